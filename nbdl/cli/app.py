"""The group of all commands: the built-in ones, those of plugins, and what an error becomes."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import click

from nbdl.cli.groups import Group
from nbdl.cli.options import DEBUG, debug_option, plugin_file_option
from nbdl.cli.output import echo
from nbdl.cli.screen import flowed
from nbdl.cli.signals import INTERRUPTED
from nbdl.cli.spoken import in_options
from nbdl.errors import (
    ConfigError,
    DataError,
    DivergenceError,
    FileFormatError,
    KernelError,
    NbdlError,
    PluginError,
    safe,
)
from nbdl.network.device import DeviceWarning

COMMANDS = {
    "train": "nbdl.cli.train:train",
    "evaluate": "nbdl.cli.evaluate:evaluate",
    "predict": "nbdl.cli.predict:predict",
    "summary": "nbdl.cli.inspect:summary",
    "explain": "nbdl.cli.inspect:explain",
    "export": "nbdl.cli.export:export",
    "profile": "nbdl.cli.profile:profile",
    "plugins": "nbdl.cli.plugins:plugins",
    "doctor": "nbdl.cli.doctor:doctor",
    "warmup": "nbdl.cli.warmup:warmup",
}

SUMMARIES = {
    "train": "Train a net on a dataset or a table and save it.",
    "evaluate": "Loss and metrics of a model on data with answers.",
    "predict": "Answers for rows: a table in, CSV out.",
    "summary": "The layers of a model, and the data it is for.",
    "explain": "The program of a model, an operation a line.",
    "export": "Write a model as a file of another format.",
    "profile": "Where a step goes: µs, GFLOP/s, GB/s, share of the roofline.",
    "plugins": "What is installed, what is broken; check, describe.",
    "doctor": "Versions, threads, BLAS, GPU, cache folder, and a self-test.",
    "warmup": "Compile the kernels of all units now, so that later starts are fast.",
}

# Most specific first: several of these inherit from the same built-in errors.
EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (DivergenceError, 5),
    (PluginError, 4),
    (KernelError, 4),
    (DataError, 3),
    (FileFormatError, 3),
    (ConfigError, 2),
    (NbdlError, 1),
)
BROKEN_PIPE = 141


class App(Group):
    """The top: errors become one line and an exit code."""

    built_in, summaries = COMMANDS, SUMMARIES
    within = ""

    def of_plugins(self) -> Mapping[str, click.Command]:
        from nbdl.units.registry import registry

        with plain_warnings():
            registry.load()
        return super().of_plugins()

    def hint(self, ctx: click.Context, name: str) -> str:
        from nbdl.errors import did_you_mean

        return did_you_mean(name, self.list_commands(ctx)) or " `nbdl --help` lists them."

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] == ["help"]:  # as git and others take it: `nbdl help train`
            args = [*args[1:], "--help"]
        with plain_warnings(), plain_errors(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with plain_warnings(), plain_errors(ctx):
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def plain_errors(ctx: click.Context) -> Iterator[None]:
    """Turn every error into one line on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt as error:
        code = getattr(error, "exit_code", INTERRUPTED)  # of the signal
        echo("Interrupted." if code == INTERRUPTED else f"Ended by {error}.", err=True)
        ctx.exit(code)
    except BrokenPipeError:
        silence_stdout()
        ctx.exit(BROKEN_PIPE)
    except click.ClickException as error:
        vars(error)["message"] = safe(error.message)  # a file's name may be in it; click says that it is final
        raise
    except (click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        if ctx.meta.get(DEBUG):
            raise
        echo(flowed(f"Error: {described(error)}", err=True), err=True)
        ctx.exit(exit_code(error))


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def described(error: Exception) -> str:
    """Return an error in one line; one that nobody raised on purpose says how to learn more."""
    if isinstance(error, NbdlError):
        return str(error)
    text = safe(" ".join(str(error).split()))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'standard output'}: {error.strerror}"  # files are named where they are written
    return f"{type(error).__name__}: {text} (a bug in nbdl or in a plugin; --debug shows where)"


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show each warning as one line on standard error, once; those about devices whatever PYTHONWARNINGS says."""
    seen: set[str] = set()

    def show(message: Warning | str, *rest: Any, **more: Any) -> None:
        context = click.get_current_context(silent=True)
        text = safe(str(message) if context is None else in_options(str(message), context.command))
        if text not in seen:
            seen.add(text)
            echo(flowed(f"Warning: {text}", err=True), err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DeviceWarning)
        warnings.showwarning = show
        yield


def silence_stdout() -> None:
    """Let Python's last flush go nowhere: the reader of the pipe has gone."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# -- the top ----------------------------------------------------------------------------------------------


def show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        import nbdl

        echo(f"nbdl {nbdl.__version__}")
        ctx.exit()


@click.group(cls=App, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version.",
)
@plugin_file_option
@debug_option
def app() -> None:
    """Neural networks compiled to machine code: train, evaluate, predict.

    \b
    Start with:
      nbdl train digits
      nbdl train table.csv --target price
      nbdl predict table.nbdl new.csv > answers.csv

    \b
    Tab completes commands, options, units, datasets, columns and files after this line, in ~/.bashrc:
      eval "$(_NBDL_COMPLETE=bash_source nbdl)"
    In ~/.zshrc it is zsh_source; in ~/.config/fish/completions/nbdl.fish: _NBDL_COMPLETE=fish_source nbdl | source

    Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration, 3 the data or a file, 4 a plugin, 5 training
    diverged, 130 interrupted, 143 terminated (a model in training is saved).
    """
