"""TerminateOnNaN: end quietly, rather than with an error, where training diverges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Callback, hookimpl

if TYPE_CHECKING:
    from nbdl.errors import DivergenceError


class TerminateOnNaN(Callback):
    """Ends training quietly at the first value that is not finite.

    Formula: stop where the loss or a gradient is NaN or infinite; the weights are those from before that step.

    Without this callback `fit` raises a `DivergenceError` there, which names epoch, step, layer and operation; with it
    fit prints the same text and returns the history. Its last epoch is the one that was broken off: its loss is the
    value that is not finite, or NaN, and its other figures are those of the steps before. (Keras looks at the loss
    alone, after the update.)

    Args:
        raise_error: raise the error after all, as without the callback. Default False.

    Source: Keras 3, callbacks/terminate_on_nan.py.

    >>> TerminateOnNaN().raise_error
    False
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = bool(raise_error)

    def on_divergence(self, error: DivergenceError) -> bool:
        if not self.raise_error and vars(self).get("params", {}).get("verbose", 1):
            print(error)
        return not self.raise_error


@hookimpl
def register_callbacks(register: Any) -> None:
    register("TerminateOnNaN", TerminateOnNaN)
