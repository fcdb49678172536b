"""The callbacks of one fit, evaluate or predict: made, called in order, and the history that a fit returns."""

from __future__ import annotations

import reprlib
from typing import Any

from nbdl.errors import ConfigError, counted
from nbdl.training.progress import figures
from nbdl.units.arguments import is_bool, is_number
from nbdl.units.callback import Callback, CallbackModel, Logs
from nbdl.units.registry import registry
from nbdl.units.spellings import spelling


def made(callbacks: Any, where: str) -> list[Callback]:
    """Callbacks of one, or a list, of instances, classes and names."""
    listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks] if callbacks else []
    return [registry.make("callbacks", one, where) for one in listed]


class Record(dict[str, list[Any]]):
    """A history's lists by name; a metric's aliases answer for one another, since versions of Keras differ in them."""

    def __missing__(self, key: str) -> list[Any]:
        known = spelling(key, self)
        if known is None:
            raise KeyError(key)
        return self[known]

    def __contains__(self, key: object) -> bool:
        return spelling(str(key), self) is not None


class History(Callback):
    """The figures of every epoch: `history` is a dict of lists, `epoch` the epochs' numbers.

    A figure is a float, one of several numbers a list of floats: JSON can hold them, and `np.asarray` takes them.
    """

    adds = ()

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: Record = Record()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value.tolist() if getattr(value, "ndim", 0) else float(value))

    def __repr__(self) -> str:
        """How many epochs, and their last figures: short, for it is what a notebook shows below a cell with `fit`."""
        last = {name: values[-1] for name, values in self.history.items() if values}
        return f"<History: {counted(len(self.epoch), 'epoch')}{f'; {figures(last)}' if last else ''}>"


def _sets_hooks(callback: Callback) -> bool:
    return any(name.startswith("on_") for name in vars(callback))


class CallbackList:
    """Calls each callback's method in order."""

    def __init__(self, callbacks: list[Callback], model: CallbackModel, params: dict[str, Any]) -> None:
        self.callbacks, self.model = callbacks, model
        self.params = params
        self.begun: list[Callback] = []
        for callback in callbacks:
            callback.set_model(model)
            callback.set_params(params)
        self.look()

    def look(self) -> None:
        """See which hooks are overridden; a callback may set one on itself during training."""
        self.batches = any(callback.wants_batches() for callback in self.callbacks)
        self.evaluation_batches = any(callback.wants_evaluation_batches() for callback in self.callbacks)
        self.watching = any(type(one) is not History or _sets_hooks(one) for one in self.callbacks)

    def figures(self, validates: bool) -> list[str] | None:
        """The names of an epoch's figures, where every callback says which it adds."""
        own = self.model.metrics_names
        names = [*own, *(f"val_{name}" for name in own if validates)]
        for callback in self.callbacks:
            owner = next(one for one in type(callback).__mro__ if "on_epoch_end" in vars(one))
            if owner is Callback and "on_epoch_end" not in vars(callback):
                continue
            adds = None if "on_epoch_end" in vars(callback) else vars(owner).get("adds")
            if adds is None:
                return None
            names += adds
        return names

    def begin(self, name: str, *arguments: Any) -> None:
        """Call a method of every callback; those that have begun will be told of the end."""
        for callback in self.callbacks:
            getattr(callback, name)(*arguments)
            self.begun.append(callback)

    def end(self, name: str, logs: Logs, error: BaseException | None = None) -> None:
        """Call a method of every callback that has begun, even if one raises.

        Args:
            error: what ended the training early. It is raised by the caller; what callbacks raise is noted on it.

        Raises:
            Exception: what the first of them raised, if nothing else went wrong.
        """
        first: Exception | None = None
        for callback in self.begun:
            try:
                getattr(callback, name)(logs)
            except Exception as own:
                if error is not None:
                    error.add_note(f"Afterwards {name} of {type(callback).__name__} raised {type(own).__name__}: {own}")
                first = first or own
        if first is not None and error is None:
            raise first

    def call(self, name: str, *arguments: Any) -> list[Any]:
        """Call a method of every callback; return what each returned.

        Raises:
            ConfigError: a callback added a value to an epoch's figures that is not a number.
        """
        results = []
        for callback in self.callbacks:
            results.append(getattr(callback, name)(*arguments))
            if name == "on_epoch_end":
                _check_figures(callback, arguments[-1])
        return results


def _check_figures(callback: Callback, logs: Logs) -> None:
    """Refuse values that are not numbers at once: the callbacks after this one write figures to files."""
    for name, value in logs.items():
        if not (is_number(value) or is_bool(value) or getattr(value, "ndim", False)):
            raise ConfigError(
                f"{type(callback).__name__}: logs hold numbers, and logs[{name!r}] is now {reprlib.repr(value)}; keep "
                "it in an attribute of the callback"
            )
