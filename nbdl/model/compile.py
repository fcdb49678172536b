"""Compilable: what `compile` chooses for a model, and where the model runs, with Keras's names."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, did_you_mean
from nbdl.model.owner import Owner
from nbdl.network.setup import Goal, Setup, named_metrics
from nbdl.units.functions import is_function, own_loss
from nbdl.units.keras_names import placed
from nbdl.units.metric_wrappers import unit_of
from nbdl.units.registry import registry

if TYPE_CHECKING:
    import numpy as np

    from nbdl.units.loss import Loss
    from nbdl.units.metric import Metric
    from nbdl.units.optimizer import Optimizer


def _by_output(value: Any) -> list[Any] | None:
    """What is given for each output, in a list or by the outputs' names; None if it is one thing for all."""
    if isinstance(value, dict):
        return None if {"name", "class_name"} & value.keys() else [*value.values()]
    return [*value] if isinstance(value, list | tuple) else None


def _one_loss(value: Any) -> Any:
    """The loss of a model's only output; a pair of functions stays one.

    Raises:
        ConfigError: there are several.
    """
    several = _by_output(value)
    if several is None or (len(several) > 1 and any(map(is_function, several))):
        return value
    if len(several) > 1:
        raise ConfigError(f"compile's loss: a model has one output, so one loss is wanted, got {value!r}")
    return _one_loss(several[0]) if several else None


def _listed(value: Any, argument: str) -> list[Any]:
    """The metrics of a model's only output.

    Raises:
        ConfigError: they are of several outputs, or there is something else.
    """
    several = _by_output(value)
    if several is None:
        return [] if value is None else [value]
    of_outputs = isinstance(value, dict) or any(_by_output(one) is not None for one in several)
    if of_outputs and len(several) > 1:
        raise ConfigError(f"compile's {argument}: a model has one output, so one list is wanted, got {value!r}")
    return _listed(several[0], argument) if of_outputs and several else several


def _for_each(value: Any, names: Sequence[str], argument: str) -> list[Any]:
    """What is given for each of several outputs: in a dict by name, in a list in their order, or one thing for all.

    Raises:
        ConfigError: a name is unknown, or the list has another length.
    """
    if isinstance(value, dict) and not {"name", "class_name"} & value.keys():
        if unknown := [name for name in value if name not in names]:
            hint = did_you_mean(str(unknown[0]), names)
            raise ConfigError(
                f"compile's {argument}: there is no output {unknown[0]!r}.{hint} Outputs: {', '.join(names)}"
            )
        return [value.get(name) for name in names]
    if isinstance(value, list | tuple):
        if len(value) != len(names):
            raise ConfigError(
                f"compile's {argument}: something for each of the outputs {', '.join(names)} is wanted, or a dict by "
                f"name, got {len(value)}: {value!r}"
            )
        return list(value)
    return [value] * len(names)


def goals_of(names: Sequence[str], loss: Any, loss_weights: Any, metrics: Any, weighted_metrics: Any) -> list[Goal]:
    """The goals of a model's outputs.

    Args:
        names: of the outputs.

    Raises:
        ConfigError: something is for an output that is not there, or no output has a loss.
    """
    several = len(names) > 1
    losses = _for_each(loss, names, "loss") if several else [_one_loss(loss)]
    weights = _for_each(loss_weights, names, "loss_weights") if several else [_one_weight(loss_weights)]
    plain, weighted = (
        _for_each(value or None, names, argument) if several else [value]
        for value, argument in ((metrics, "metrics"), (weighted_metrics, "weighted_metrics"))
    )
    goals = []
    for number, name in enumerate(names):
        if losses[number] is None:
            if several and not _listed(plain[number], "metrics"):
                continue
            where = f" for the output {name}, which has metrics" if several else ""
            raise ConfigError(f"compile needs a loss{where}; known: {', '.join(registry.names('losses'))}")
        goals.append(
            Goal(
                registry.make("losses", own_loss(losses[number]), "compile's loss"),
                named_metrics(_listed(plain[number], "metrics"), _listed(weighted[number], "weighted_metrics")),
                number,
                name if several else "",
                _weight(weights[number]),
            )
        )
    if not goals:
        raise ConfigError(f"compile needs a loss; known: {', '.join(registry.names('losses'))}")
    return goals


def _one_weight(value: Any) -> Any:
    several = _each(value)
    return several[0] if len(several) == 1 else value or None


def _weight(value: Any) -> float:
    """The weight of a loss.

    Raises:
        ConfigError: it is no number.
    """
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ConfigError(f"compile's loss_weights: a number for each output is wanted, got {value!r}")
    return float(value)


def _holds_metrics(value: Any) -> bool:
    """Whether these are metrics rather than weights of losses."""
    several = _each(value)
    return bool(several) and all(one is not None and not isinstance(one, numbers.Real) for one in several)


def _each(value: Any) -> list[Any]:
    """What is given for each output, or the one thing for all."""
    several = _by_output(value)
    return [value] if several is None else several


class Compilable(Owner):
    """Optimizer, loss, metrics and device of a model."""

    @placed(
        "optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution",
        "jit_compile", "auto_scale_loss",
    )  # fmt: skip
    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        device: str | None = None,
        precision: str | None = None,
    ) -> None:
        """Choose what is minimised, how, what is reported, and where it runs.

        Of a model with several outputs loss, loss_weights and metrics may be lists, in the order of the outputs, or
        dicts by their names, `model.output_names`; one thing that is no list is for each output. An output without a
        loss is only predicted.

        Args:
            optimizer: name or unit; by default the one that the plugins mark so (RMSprop, as in Keras).
            loss: name or unit; or a plain function f(y, p) of one target and one prediction, whose mean over a row's
                outputs is the loss; or a pair (f, df) of it and its derivative by p, which else follows from f's code.
            loss_weights: what each loss is multiplied with before they are added up. Default 1. Metrics in this place
                are taken as such, as in Keras 1 and 2.
            metrics: names or units, reported beside the loss; losses too; or plain functions f(y, p), of which the
                mean over outputs and rows is reported under the function's name. All rows count alike.
            weighted_metrics: the same, with rows that count by their `sample_weight` (and `class_weight`).
            device: see `device`; by default the one that the model has: "cpu" unless it was set.
            precision: see `precision`; by default the one that the model has: "float32" unless it was set.

        Raises:
            ConfigError: there is no such unit, device or precision, or the device cannot run the model.
            DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
        """
        if _holds_metrics(loss_weights):
            if metrics is not None:
                raise ConfigError(f"compile: metrics are given twice, {loss_weights!r} and {metrics!r}")
            metrics = loss_weights
            loss_weights = None
        if optimizer is None:
            default = registry.default("optimizers")
            optimizer = default.name if default else ""
        setup = Setup(
            registry.make("optimizers", optimizer, "compile's optimizer"),
            goals_of(self._job.network.output_names, loss, loss_weights, metrics, weighted_metrics),
        )
        choice = self._job.choice if precision is None else self._job.choice.rounded(precision)
        self._job.compile(setup, choice if device is None else choice.moved(device))

    @property
    def device(self) -> str:
        """Where `fit`, `evaluate` and `predict` run: "cpu", "cuda" (the first NVIDIA GPU) or "cuda:1" and so on.

        It may be set at any time, also to "auto": "cuda" where that can be used, else, with a warning, "cpu"; what a
        callback sets takes effect at the next call. Weights and what going on with training needs stay. Copies by
        `copy` are on the same device; files and pickles know nothing of it. All else runs on the CPU: `model(x)`,
        `as_njit`, `as_cfunc`, `export`, `profile`. Under NUMBA_DISABLE_JIT=1 plain Python runs everything, whatever
        the device, and needs nothing of CUDA.

        Raises:
            ConfigError: there is no such device, or it cannot run a layer: one with a kernel of its own for CPUs alone.
            DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
        """
        return self._job.device

    @device.setter
    def device(self, name: str) -> None:
        self._job.choose(self._job.choice.moved(name))

    @property
    def precision(self) -> str:
        """ "float32", or "tf32": a GPU may then round the operands of large matrix products to 10 bits after the point.

        It may be set at any time. The CPU always computes in float32, and a warning says so.

        Raises:
            ConfigError: there is no such precision, or the GPU lacks cuBLAS, which "tf32" needs.
        """
        return self._job.choice.precision

    @precision.setter
    def precision(self, name: str) -> None:
        self._job.choose(self._job.choice.rounded(name))

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer; its `learning_rate` may be changed at any time.

        Raises:
            MissingError: the model is not compiled; so `hasattr` says no, and `getattr` gives its default.
        """
        return self._job.optimizer

    @property
    def loss(self) -> Any:
        """The loss; None until the model is compiled; of several outputs a dict by their names."""
        setup = self._job.setup
        if setup is None:
            return None
        return {goal.name: goal.loss for goal in setup.goals} if any(goal.name for goal in setup.goals) else setup.loss

    @property
    def metrics(self) -> list[Metric | Loss]:
        """The metrics that `compile` was given, in order; empty until then."""
        return [] if self._job.setup is None else [unit_of(metric) for _, metric in self._job.setup.metrics]

    def array_metrics(self) -> dict[str, np.ndarray]:
        """Return an example of each metric whose value is an array rather than a number, by name."""
        from nbdl.training.metric_sums import several

        return several(self._job)

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in order; empty until the model is compiled."""
        return self._job.metrics_names
