"""The command, which is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable

from nbdl import hookimpl


@hookimpl
def register_commands(register: Callable[..., None]) -> None:
    register("outliers", "nbdl_robust.command:outliers", help="The rows that a model is most wrong about.")
