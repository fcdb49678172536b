"""Compilable: what `compile` chooses for a model, and where the model runs, with Keras's names."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.model.owner import Owner
from nbdl.network.setup import Setup, named_metrics
from nbdl.units.functions import is_function, own_loss
from nbdl.units.keras_names import FUNCTIONS_LACK, placed
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

        A model has one output. Where Keras takes a list or a dict with something for each output, this may be one of
        length 1.

        Args:
            optimizer: name or unit; by default the one that the plugins mark so (RMSprop, as in Keras).
            loss: name or unit; or a plain function f(y, p) of one target and one prediction, whose mean over a row's
                outputs is the loss; or a pair (f, df) of it and its derivative by p, which else follows from f's code.
            loss_weights: not there, a model has one loss; metrics in this place are taken as such, as in Keras 1 and 2.
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
        elif any(one not in (None, 1) for one in _each(loss_weights)):
            raise TypeError(f"compile: loss_weights= is {FUNCTIONS_LACK.instead['loss_weights']}")
        loss = _one_loss(loss)
        if loss is None:
            raise ConfigError(f"compile needs a loss; known: {', '.join(registry.names('losses'))}")
        if optimizer is None:
            default = registry.default("optimizers")
            optimizer = default.name if default else ""
        setup = Setup(
            registry.make("optimizers", optimizer, "compile's optimizer"),
            registry.make("losses", own_loss(loss), "compile's loss"),
            named_metrics(_listed(metrics, "metrics"), _listed(weighted_metrics, "weighted_metrics")),
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
    def loss(self) -> Loss | None:
        """The loss; None until the model is compiled."""
        return None if self._job.setup is None else self._job.setup.loss

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
