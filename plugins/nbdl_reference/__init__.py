"""Reference pages of a package's units, by `nbdl plugins docs`: an ordinary plugin package."""

from __future__ import annotations

from nbdl import hookimpl
from nbdl.hookspecs import Register


class Hooks:
    """What the package registers; its entry point names this class, so that loading plugins imports no other module."""

    @staticmethod
    @hookimpl
    def register_commands(register: Register) -> None:
        """Register the command, in the group of commands about plugins."""
        summary = "Write reference pages of a package's units, with plots."
        register("plugins docs", "nbdl_reference.command:docs", help=summary)
