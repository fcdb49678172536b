"""Muon: momentum whose matrix is made orthogonal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Optimizer, hookimpl
from nbdl.program import square, times
from nbdl_standard.optimizers.adam import update as adam
from nbdl_standard.ranges import NOT_NEGATIVE

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor
    from nbdl.units import Weight


def update(
    w: float, g: float, m: float, v: float, momentum: float, size: float, u: float
) -> tuple[float, float, float]:
    return w - size * u, momentum * m + g, v


def heavy_ball(g: float, m: float, momentum: float) -> float:
    return momentum * m + g


def nesterov(g: float, m: float, momentum: float) -> float:
    return g + momentum * (momentum * m + g)


def normalized(x: float, squares: float) -> float:
    return x / (math.sqrt(squares) + 1e-7)


def weighted(x: float, y: float, a: float, b: float) -> float:
    return a * x + b * y


class Muon(Optimizer):
    """Momentum whose matrix is made orthogonal, for matrices; Adam for all other weights.

    Formula: m ← μ·m + g; X = g + μ·m (without Nesterov m), divided by its norm; five times A = X·Xᵀ,
    X ← a·X + (b·A + c·A²)·X; w ← w - η·s·√max(n, k)·X for a weight of n × k. For others Adam's step with rate η·ratio.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001.
        adam_beta_1, adam_beta_2, epsilon: of Adam. Default 0.9, 0.999, 1e-7.
        adam_weight_decay: weight decay where Adam steps, or None. Default 0.004.
        weight_decay: weight decay of the matrices, or None. Default 0.004.
        exclude_layers: regular expressions; matrices in whose names ("dense_1/kernel") one is found go to Adam, as
            the last layer's should. Default none.
        exclude_embeddings: whether weights named so go to Adam. Default True.
        muon_a, muon_b, muon_c: a, b, c. Default 3.4445, -4.775, 2.0315.
        adam_lr_ratio: Adam's share of the rate. Default 1.
        momentum: μ. Default 0.95.
        ns_steps: how often X is brought nearer to orthogonal. Default 5.
        nesterov: whether momentum looks ahead. Default True.
        rms_rate: s, or None to leave out s·√max(n, k). Default 0.2.

    Source: Jordan et al. 2024; Liu et al. 2025; Keras 3, optimizers/muon.py.

    >>> Muon(exclude_layers=["dense_2"]).is_orthogonal("dense_1/kernel", (3, 2))
    True
    """

    slots = ("momentum", "velocity")
    per_weight = True

    positions = (
        "learning_rate", "adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "weight_decay", "clipnorm",
        "clipvalue", "global_clipnorm", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor",
        "gradient_accumulation_steps", "name", "exclude_layers", "exclude_embeddings", "muon_a", "muon_b", "muon_c",
        "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "rms_rate",
    )  # fmt: skip
    ranges: ClassVar = {"epsilon": NOT_NEGATIVE}
    none_means_default = ("epsilon",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1.0,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
    ) -> None:
        self.learning_rate, self.weight_decay, self.adam_weight_decay = learning_rate, weight_decay, adam_weight_decay
        self.adam_beta_1, self.adam_beta_2, self.epsilon = float(adam_beta_1), float(adam_beta_2), float(epsilon)
        self.exclude_layers, self.exclude_embeddings = list(exclude_layers or ()), bool(exclude_embeddings)
        self.muon_a, self.muon_b, self.muon_c = float(muon_a), float(muon_b), float(muon_c)
        self.adam_lr_ratio, self.momentum, self.rms_rate = float(adam_lr_ratio), float(momentum), rms_rate
        self.ns_steps, self.nesterov = int(ns_steps), bool(nesterov)

    def is_orthogonal(self, name: str, shape: tuple[int, ...]) -> bool:
        """Whether the weight is a matrix that Adam does not step for."""
        embedding = self.exclude_embeddings and "embedding" in name.lower()
        return len(shape) == 2 and not embedding and not any(re.search(one, name) for one in self.exclude_layers)

    def shrinkage(self, weight: Weight) -> str:
        if self.is_orthogonal(weight.name, weight.tensor.shape):
            return super().shrinkage(weight)
        return "adam_weight_decay" if self.adam_weight_decay and not self.is_excluded(weight) else ""

    def per_step(self, step: Any) -> dict[str, Any]:
        rate = self.rate(step)
        correction = (1.0 - self.adam_beta_2**step) ** 0.5 / (1.0 - self.adam_beta_1**step)
        return {
            "alpha": rate * self.adam_lr_ratio * correction,
            "beta_1": self.adam_beta_1,
            "beta_2": self.adam_beta_2,
            "epsilon": self.epsilon,
            "learning_rate": rate,
            "momentum": self.momentum,
            "a": self.muon_a,
            "b": self.muon_b,
            "c": self.muon_c,
            "adam_weight_decay": rate * (self.adam_weight_decay or 0.0),
        }

    def rule(self) -> tuple[Any, ...]:
        chosen = (*self.exclude_layers, self.exclude_embeddings, self.ns_steps, self.nesterov, self.rms_rate)
        return (*super().rule(), bool(self.adam_weight_decay), *chosen)

    def record(
        self, r: Recorder, w: Tensor, g: Tensor, slots: Mapping[str, Tensor], scalars: Mapping[str, Tensor]
    ) -> tuple[Any, Sequence[Tensor]]:
        if not self.is_orthogonal(w.name, w.shape):
            return adam, [scalars[name] for name in ("alpha", "beta_1", "beta_2", "epsilon")]
        momentum, size = scalars["momentum"], scalars["learning_rate"]
        x = r.map(nesterov if self.nesterov else heavy_ball, g, slots["momentum"], momentum)
        x = r.map(normalized, x, r.total(square, x))
        tall = w.shape[0] > w.shape[1]
        for _ in range(self.ns_steps):
            squares = r.gemm(x, x, transpose_a=tall, transpose_b=not tall)
            factor = r.map(weighted, squares, r.gemm(squares, squares), scalars["b"], scalars["c"])
            x = r.map(weighted, x, r.gemm(x, factor) if tall else r.gemm(factor, x), scalars["a"], 1.0)
        if self.rms_rate is not None:
            size = r.map(times, size, math.sqrt(max(w.shape)) * self.rms_rate)
        return update, [momentum, size, x]


@hookimpl
def register_optimizers(register: Any) -> None:
    register("Muon", Muon, examples=({"learning_rate": 0.1, "nesterov": False, "ns_steps": 2, "rms_rate": None},))
