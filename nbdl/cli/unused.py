"""Options that would do nothing: a command refuses them, or says so, before any work is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbdl.cli.output import echo
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl.cli.parts import Run
    from nbdl.cli.source import Source
    from nbdl.plugins.recipe import Settings, Stage


def refuse_unused(run: Run, source: Source, options: Mapping[str, Any], settings: Settings) -> None:
    """Refuse options of a training that the data, or another option, leave without effect.

    Args:
        run: The call.
        source: The data.
        options: What the user gave of the settings; None where nothing was.
        settings: What is settled.

    Raises:
        ConfigError: There is such an option.
    """
    if options["test_split"] is not None and run.test is not None:
        raise ConfigError("--test-split holds out rows to test on, and --test gives them: leave one of them out")
    if options["test_split"] is not None and source.test is not None:
        raise ConfigError(f"--test-split: {source.name} has rows to test on of its own; leave --test-split out")
    if options["patience"] and not settings.validation_split:
        raise ConfigError(
            "--patience waits for the validation loss, and --validation-split 0 leaves no rows to validate on: "
            "leave one of them out"
        )
    if run.target is not None and run.target in run.ignore:
        raise ConfigError(f"--ignore {run.target}: it is the --target, which is no input anyway; leave --ignore out")
    if run.quiet and run.verbose:
        raise ConfigError("--quiet prints errors and warnings only, --verbose also the layers: leave one of them out")


def refuse_dropout(stages: tuple[Stage, ...], options: Mapping[str, Any]) -> None:
    """Refuse to drop hidden units of a net that has none.

    Raises:
        ConfigError: The net has one layer.
    """
    if options["dropped"] and len(stages) == 1:
        raise ConfigError("--dropout drops hidden units, and this net has none: add a layer to --arch, or leave it out")


def say_unused(threads: int, device: str) -> None:
    """Say on standard error where a number of threads is not what will be used."""
    from nbdl.engine.cpu.threads import usable_threads
    from nbdl.network.device import resolve

    if resolve(device) != "cpu":
        echo(f"--threads {threads} is for the CPU; {device} does not use it", err=True)
        return
    most = usable_threads(threads)
    if most < threads:
        echo(f"--threads {threads}: {most} can be used here, and {most} will be", err=True)
