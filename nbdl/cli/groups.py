"""Groups of commands that are imported when they are called, with those that plugin packages add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import click

from nbdl.plugins.commands import commands_within, imported


class Group(click.Group):
    """A group of commands.

    Attributes:
        built_in: nbdl's own commands, each as "module:object".
        summaries: a line on each of them, so that help need not import them.
        within: the group that a plugin's command names to join: "plugins" in "plugins docs"; "" is the top.
    """

    built_in: ClassVar[Mapping[str, str]]
    summaries: ClassVar[Mapping[str, str]]
    within: ClassVar[str]

    def of_plugins(self) -> Mapping[str, click.Command]:
        """Return the commands that plugin packages add, by name."""
        return commands_within(self.within)

    def hint(self, ctx: click.Context, name: str) -> str:
        """Say what was meant by a name that no command has."""
        raise NotImplementedError

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.built_in, *sorted(self.of_plugins().keys() - self.built_in.keys())]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in self.built_in:
            return imported(self.built_in[name])
        return self.of_plugins().get(name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        others = self.of_plugins()
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))
        rows = [(name, self.summaries.get(name) or others[name].get_short_help_str(limit)) for name in names]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f"no such command {name!r}.{self.hint(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)
