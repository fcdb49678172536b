"""Callback: what users subclass to act during training, and what it may use of the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from nbdl.units.unit import Unit

if TYPE_CHECKING:
    from nbdl.errors import DivergenceError
    from nbdl.units.optimizer import Optimizer

Logs = dict[str, Any]  # a figure is a number, or an array of several
BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
EVALUATION_HOOKS = ("on_test_batch_begin", "on_test_batch_end", "on_predict_batch_begin", "on_predict_batch_end")


class CallbackModel(Protocol):
    """What a callback may use of its model: setting `stop_training` ends the fit, and so on."""

    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool

    @property
    def metrics_names(self) -> list[str]: ...

    @property
    def optimizer(self) -> Optimizer: ...

    @property
    def layers(self) -> list[Any]: ...

    @property
    def weights(self) -> list[Any]: ...

    @property
    def store(self) -> Any: ...

    @property
    def compiled(self) -> Any: ...

    @property
    def training_state(self) -> Any: ...

    def get_config(self) -> dict[str, Any]: ...

    def array_metrics(self) -> dict[str, Any]: ...

    def get_weights(self) -> list[Any]: ...

    def set_weights(self, weights: Any) -> None: ...

    def predict(self, x: Any) -> Any: ...

    def evaluate(self, x: Any, y: Any) -> Any: ...

    def save(self, filepath: Any) -> Any: ...

    def save_weights(self, filepath: Any) -> Any: ...


class Callback(Unit):
    """Base class; the method names and arguments are Keras's.

    `self.model` is the model. `self.params` has "epochs", "steps", "batch_size", "verbose", "do_validation", and
    "initial_epoch", which `on_train_begin` may change. Its "figures" are the names of an epoch's figures, or None where
    a callback may add others: one that overrides `on_epoch_end` and does not say in its class which it `adds`.

    Set `self.model.stop_training` to end training: after the epoch from `on_epoch_end`, within some 50 ms from
    `on_progress`, after the step from a batch hook. `stop_evaluating` and `stop_predicting`, set from a batch hook of
    evaluate or predict, end those after that batch.

    The engine runs about 50 ms of steps per call. A callback that overrides a batch hook makes that one step, which
    costs some 20 µs each; `on_progress` is called between slices at no such cost.

    Hooks find the weights in host memory, and may change them there. The exception is `on_progress` on a GPU: there
    they are those of the last epoch's end, and what it changes is lost.
    """

    kind: ClassVar[str] = "callbacks"
    adds: ClassVar[tuple[str, ...] | None] = None
    model: CallbackModel
    params: dict[str, Any]

    def set_model(self, model: CallbackModel) -> None:
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None: ...

    def on_train_end(self, logs: Logs | None = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_test_begin(self, logs: Logs | None = None) -> None: ...

    def on_test_end(self, logs: Logs | None = None) -> None: ...

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None: ...

    def on_predict_begin(self, logs: Logs | None = None) -> None: ...

    def on_predict_end(self, logs: Logs | None = None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...

    def on_progress(self, step: int, steps: int, logs: Logs) -> None:
        """Between slices: `step` of `steps` (0 if not known) are done in this epoch, `logs` are the means so far."""

    def on_divergence(self, error: DivergenceError) -> bool:
        """Training met a value that is not finite. Return True to end it quietly; else `fit` raises the error."""
        return False

    def wants_batches(self) -> bool:
        """Whether a batch hook is overridden, or set on this instance."""
        return self._overrides(BATCH_HOOKS)

    def wants_evaluation_batches(self) -> bool:
        """Whether a batch hook of evaluate or predict is overridden; those then take batches of `batch_size`."""
        return self._overrides(EVALUATION_HOOKS)

    def _overrides(self, names: Iterable[str], base: type[Callback] | None = None) -> bool:
        """Whether one of these hooks is another than a class's own: of a subclass, or set on this instance."""
        base = base or Callback
        return any(getattr(getattr(self, name), "__func__", None) is not getattr(base, name) for name in names)
