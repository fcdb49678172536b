"""Loss: one value per row, to be minimised; Pair: a loss and the activation before it as one formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl.units.unit import NAMED, Scalar, Unit

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor

SLACK = 1e-6  # for targets that were rounded
# Kind of targets → the lowest, the highest, and a hint for the error message.
TARGETS = {
    "probabilities": (0.0, 1.0, ""),
    "signs": (-1.0, 1.0, "; label two classes -1 and 1, or 0 and 1"),
    "positive": (0.0, math.inf, ""),
}


def positive(y: float) -> float:
    return 1.0 if y > 0.0 else 0.0


def probability(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


class Loss(Unit):
    """One value per row, to be minimised; the reported loss is its mean over the rows.

    Attributes:
        pairs: by activation name, the `Pair` that replaces this loss and that activation by one formula.
        targets: what targets outside of a range are a mistake: "probabilities", "signs", "positive".
        name: what it is reported under as a metric, which any loss takes as an argument.
        from_logits: whether predictions are what an activation of `pairs` would have been given. Such a loss has no
            pairs of its own, and is refused after that activation.
        predictions: "probabilities" if a model that gives anything else cannot learn.
        over_columns: whether it compares the predictions of a row with one another, and so needs several.

    A registration may give the first two, and predictions, as options.
    """

    kind = "losses"
    last_positions = ("reduction", "name", "dtype")
    ignored: ClassVar[Mapping[str, tuple[Any, ...]]] = {"reduction": ("sum_over_batch_size", "auto")}
    instead: ClassVar[Mapping[str, str]] = {
        "reduction": "not there: a loss is the mean over the rows, each times its sample_weight (Keras's default)"
    }
    common = NAMED
    pairs: Mapping[str, type[Pair]] = {}
    targets: ClassVar[Any] = ""
    predictions: ClassVar[Any] = ""
    over_columns: ClassVar[bool] = False
    from_logits: bool = False
    name: str

    def __init__(self, *, name: str | None = None) -> None:
        self._set_common(name)

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the loss of each row: rows × 1."""
        raise self.unwritten("values")

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the derivative of each row's loss for the predictions p: rows × features."""
        raise self.unwritten("gradient")

    def prepare(self, r: Recorder, y: Tensor, outputs: int) -> Tensor:
        """Record the targets as the formulas take them: what a loss and its pairs do first."""
        return y

    def counted(self, r: Recorder, y: Tensor) -> Tensor | None:
        """Record which rows count, 1 or 0: the mean is over these. None, the usual: all do."""
        return None

    @property
    def boundary(self) -> float:
        """The value above which a single output means the second class: 0 of logits and signs, else 0.5."""
        return 0.0 if self.from_logits or self.targets == "signs" else 0.5

    def decided(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Record what metrics of decisions look at: targets as 0 and 1, predictions as probabilities.

        Logits go through the activation of `pairs`; signs and their predictions count as classes and logits.
        """
        if self.from_logits and type(self).pairs:
            from nbdl.units.registry import registry

            activation = registry.make("activations", next(iter(type(self).pairs)))
            return y, activation.forward(r, p)[0]
        if self.targets == "signs":
            return r.map(positive, y), r.map(probability, p)
        return y, p

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one row of targets, given the shape of one row of predictions."""
        return output_shape

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        """Say why these targets cannot be used and what to do, or return an empty string."""
        return ""

    def check_range(self, low: float, high: float) -> str:
        """Say why targets from `low` to `high` cannot be used, by the range of `targets`, or return an empty string."""
        bottom, top, hint = TARGETS.get(str(self.targets), (-math.inf, math.inf, ""))
        if bottom - SLACK <= low and high <= top + SLACK:
            return ""
        wanted = f"from {bottom:g} to {top:g}" if top < math.inf else f"not below {bottom:g}"
        hint = "; from -1 and 1 make (y + 1) / 2" if (low, high, bottom) == (-1.0, 1.0, 0.0) else hint
        return f"loss {self.unit_name!r} takes targets {wanted}, y goes from {low:g} to {high:g}{hint}"


class Pair(Unit):
    """A loss and the activation before it as one formula of the activation's input z.

    `saved` is what the activation's `forward` returned beside p.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        """Record the loss of each row: rows × 1."""
        raise self.unwritten("values")

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        """Record the derivative of each row's loss for z: rows × features."""
        raise self.unwritten("gradient")


class ElementwiseLoss(Loss):
    """A loss from scalar f(y, p, ...) and df(y, p, ...): the mean over a row's features."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(self.functions[0], self.prepare(r, y, p.features), p, *self.parameters.values())

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.share(self.functions[1], self.prepare(r, y, p.features), p, *self.parameters.values())


class ElementwisePair(Pair):
    """A loss and its activation as scalar f(y, z, ...) and df(y, z, ...) of the activation's input z.

    The loss's own parameters, if it has any, follow z.
    """

    functions: ClassVar[tuple[Scalar, ...]] = ()

    def __init__(self, loss: Loss) -> None:
        self.loss, self.parameters = loss, getattr(loss, "parameters", {})

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.mean(self.functions[0], self.loss.prepare(r, y, z.features), z, *self.parameters.values())

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.share(self.functions[1], self.loss.prepare(r, y, z.features), z, *self.parameters.values())


def elementwise_pair(f: Scalar, df: Scalar) -> type[Pair]:
    """Make a `Pair` from scalar f(y, z) and df(y, z), with the loss's own parameters after z, if it has any."""
    return type("ElementwisePair", (ElementwisePair,), {"functions": (f, df), "__module__": f.__module__})
