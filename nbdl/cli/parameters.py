"""What commands are made of: a command that checks how it was called, and types of values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from nbdl.cli.spoken import in_options
from nbdl.cli.unused import say_unused
from nbdl.errors import ConfigError, NbdlError, did_you_mean

MODEL_SUFFIX = ".nbdl"


class Command(click.Command):
    """A command of nbdl: it checks how it is called, and its errors speak of its options.

    An option of one value is given once, where click would silently take the last.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with self.speaking():
            if not ctx.resilient_parsing:
                refuse_repeated(self, ctx, args)
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with self.speaking():
            if ctx.params.get("threads"):
                say_unused(ctx.params["threads"], ctx.params.get("device") or "cpu")
            return super().invoke(ctx)

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Let errors of the library name options where they name Python's arguments."""
        try:
            yield
        except NbdlError as error:
            error.args = (in_options(str(error), self), *error.args[1:])
            raise


def refuse_repeated(command: click.Command, ctx: click.Context, args: list[str]) -> None:
    """Refuse an option that is given twice and takes one value; a plain flag says the same twice.

    Raises:
        UsageError: There is such an option.
    """
    counts = Counter(command.make_parser(ctx).parse_args(args=list(args))[2])
    for option, times in counts.items():
        plain_flag = option.is_flag and not option.secondary_opts if isinstance(option, click.Option) else True
        if times > 1 and isinstance(option, click.Option) and not (option.multiple or option.count or plain_flag):
            name = "/".join([longest(option.opts), *option.secondary_opts[:1]])
            raise click.UsageError(f"{name} is given {'twice' if times == 2 else f'{times} times'}: give it once", ctx)


def longest(names: list[str]) -> str:
    """Return the long name of an option."""
    return max(names, key=len)


class Whole(click.IntRange):
    """A whole number within limits."""

    name = "whole number"


class Number(click.FloatRange):
    """A finite number within limits."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):  # NaN is within any limits
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time to wait, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from nbdl.units.durations import seconds_of

        try:
            return seconds_of(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class ModelFile(click.Path):
    """A saved model; a name that is misspelt is met with those that are there."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(value).expanduser()
        if not path.exists():
            self.fail(f"there is no file {value}.{models_beside(path)}", param, ctx)
        return super().convert(str(path), param, ctx)


def models_beside(path: Path) -> str:
    """Say which model may have been meant by a file that is not there, or which there are."""
    from nbdl.data.table import listed

    try:
        found = sorted(other.name for other in path.parent.iterdir() if other.suffix == MODEL_SUFFIX)
    except OSError:
        return ""
    if path.name + MODEL_SUFFIX in found:
        return f" Did you mean {path.name + MODEL_SUFFIX!r}?"
    here = "here" if path.parent == Path() else f"in {path.parent}"
    near = did_you_mean(path.stem, [Path(name).stem for name in found])  # the suffix alone makes any two names alike
    return f"{near[:-2]}{MODEL_SUFFIX}'?" if near else f" Models {here}: {listed(found)}." if found else ""
