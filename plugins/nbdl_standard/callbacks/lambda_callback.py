"""LambdaCallback: functions as a callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbdl import Callback, hookimpl
from nbdl.errors import ConfigError

Hook = Callable[..., Any] | None


class LambdaCallback(Callback):
    """Functions as a callback, each by the name of its hook.

    Formula: on_epoch_end(epoch, logs) and so on are the functions given.

    Args:
        on_epoch_begin, on_epoch_end: functions of (epoch, logs).
        on_train_begin, on_train_end: functions of (logs).
        on_train_batch_begin, on_train_batch_end: functions of (batch, logs); they make a slice of each step.
        on_batch_begin, on_batch_end: the same, under their older names.
        on_test_begin, on_test_end, on_predict_begin, on_predict_end: functions of (logs), around `evaluate`, a
            validation, `predict`.
        on_test_batch_begin, on_test_batch_end, on_predict_batch_begin, on_predict_batch_end: of (batch, logs).
        on_progress: a function of (step, steps, logs), about every 50 ms.

    Raises:
        ConfigError: one is not a function.

    Source: Keras 3, callbacks/lambda_callback.py.

    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: None).wants_batches()
    False
    """

    positions = (
        "on_epoch_begin", "on_epoch_end", "on_train_begin", "on_train_end", "on_train_batch_begin",
        "on_train_batch_end",
    )  # fmt: skip

    def __init__(
        self,
        on_epoch_begin: Hook = None,
        on_epoch_end: Hook = None,
        on_train_begin: Hook = None,
        on_train_end: Hook = None,
        on_train_batch_begin: Hook = None,
        on_train_batch_end: Hook = None,
        on_batch_begin: Hook = None,
        on_batch_end: Hook = None,
        on_test_begin: Hook = None,
        on_test_end: Hook = None,
        on_test_batch_begin: Hook = None,
        on_test_batch_end: Hook = None,
        on_predict_begin: Hook = None,
        on_predict_end: Hook = None,
        on_predict_batch_begin: Hook = None,
        on_predict_batch_end: Hook = None,
        on_progress: Hook = None,
    ) -> None:
        functions = {name: value for name, value in locals().items() if name.startswith("on_") and value is not None}
        for name, function in functions.items():
            if not callable(function):
                raise ConfigError(f"LambdaCallback: {name} is a function, got {function!r}")
            setattr(self, name, function)


@hookimpl
def register_callbacks(register: Any) -> None:
    register("LambdaCallback", LambdaCallback)
