"""Commands of the command line, imported when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from nbdl.errors import PluginError
from nbdl.units.registry import registry

# nbdl's own, which lie above in `nbdl.cli`: a plugin's command needs another name.
BUILT_IN = (
    "train", "evaluate", "predict", "summary", "explain", "export", "profile", "plugins", "doctor", "warmup",
)  # fmt: skip


def imported(target: str) -> click.Command:
    """Return the command at "module:object".

    Raises:
        PluginError: There is no command there.
    """
    module, _, name = target.partition(":")
    command = getattr(import_module(module), name, None)
    if not isinstance(command, click.Command):
        raise PluginError(f"{target!r} is not a click command")
    return command


class PluginCommand(click.Command):
    """A plugin's command that has not been imported yet; it knows its name and one line of help."""

    def __init__(self, name: str, target: str, owner: str, help: str) -> None:
        super().__init__(name, help=help, short_help=help, add_help_option=False)
        self.target, self.owner = target, owner

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Import the command and let it parse its arguments."""
        return self.command().make_context(info_name, args, parent, **extra)

    def command(self) -> click.Command:
        """Import the command.

        Raises:
            PluginError: It cannot be imported; the message names its distribution.
        """
        try:
            return imported(self.target)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                f"the command {self.name!r} of {self.owner} cannot be loaded: "
                f"{type(error).__name__}: {error}. Update or remove that package"
            ) from error


def commands_within(group: str) -> dict[str, click.Command]:
    """Return the registered commands of a group by their names in it; "" is the top.

    A command that is registered as "plugins docs" is "docs" in the group "plugins".
    """
    found: dict[str, click.Command] = {}
    for entry in registry.entries("commands"):
        within, _, name = entry.name.rpartition(" ")
        if within == group:
            text = str(entry.options.get("help", ""))
            found[name] = PluginCommand(name, str(entry.target), str(entry.owner), text)
    return found
