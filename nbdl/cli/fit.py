"""The training of a command: fit, save, test. What ends it early, or fails after it, never costs the model."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli import report
from nbdl.cli.figures import Compared, compared, figures_of, plain, written
from nbdl.cli.output import echo
from nbdl.cli.signals import INTERRUPTED, Ending
from nbdl.cli.source import targets_for
from nbdl.errors import DivergenceError, NbdlError, counted

if TYPE_CHECKING:
    from nbdl.cli.parts import Parts, Run
    from nbdl.model.sequential import Sequential
    from nbdl.plugins.recipe import Plan, Settings


def train_and_save(run: Run, trained: Training) -> None:
    """Train, write the model, and only then report and test.

    Raises:
        NbdlError: What ended the training, or came after it; the model is written, and the message says where if that
            is not where it should be.
    """
    with Ending() as ending:
        stopped = trained.fit(ending)
        if stopped is not None and not trained.worth_saving(stopped):
            if isinstance(stopped, KeyboardInterrupt):
                run.say("stopped", "before the first epoch was over; nothing is saved")
            raise stopped
        replaced, problem = run.output.exists(), save(trained.model, run.output)
        ending.waits = False
        run.say("stopped" if stopped else "trained", trained.outcome())
        try:
            if stopped is None and ending.asked is None:
                trained.tell_test()
        finally:
            if problem is None:
                run.say("saved", f"{run.output}{' (replaced an earlier model)' if replaced else ''}")
    if problem is not None:
        raise problem
    if isinstance(stopped, Exception):
        raise stopped
    if stopped is not None or ending.asked is not None:
        click.get_current_context().exit(ending.exit_code or INTERRUPTED)


class Training:
    """One training: its data are encoded before it begins, so that errors in them come first.

    Raises:
        DataError: The rows to test on cannot be compared with predictions.
        ConfigError: The model could not be saved.
    """

    def __init__(self, run: Run, model: Sequential, plan: Plan, parts: Parts, settings: Settings) -> None:
        from nbdl.model.write import check_saveable

        def encoded(data: Any) -> tuple[Any, Any]:
            return parts.encoding.encode(data), targets_for(model.loss, parts.encoding, data, model.output_shape[-1])

        check_saveable(model)
        self.run, self.model, self.plan, self.parts, self.settings = run, model, plan, parts, settings
        self.rows = encoded(parts.train)
        self.validation = None if parts.validation is None else encoded(parts.validation)
        self.test: Compared | None = None if parts.test is None else compared(model, parts.encoding, parts.test)
        self.seconds, self.compiled = 0.0, 0

    def fit(self, ending: Ending) -> BaseException | None:
        """Train; return what ended it early. The weights are then the best so far.

        Raises:
            DivergenceError: A value was not finite; nothing is saved then.
        """
        from nbdl.cli.progress import shown

        (x, y), began, compiled = self.rows, time.perf_counter(), compiled_kernels()
        try:
            with shown(self.run.progress) as callbacks:
                self.model.fit(
                    x,
                    y,
                    batch_size=self.settings.batch_size,
                    epochs=self.settings.epochs,
                    validation_data=self.validation,
                    callbacks=[*self.plan.callbacks, *callbacks],
                    verbose=0,
                    threads=self.run.threads,
                    encoded=True,
                )
            ending.waits = True  # within the block: a signal is either the end of the training or waits
        except DivergenceError as error:
            hint = "" if self.settings.lr is None else f" (it was --lr {self.settings.lr:g})"
            raise DivergenceError(
                f"{error}{hint}. No model was saved.", error.epoch, error.step, error.layer
            ) from error
        except (Exception, KeyboardInterrupt) as error:
            ending.waits = True
            return error
        finally:
            self.seconds, self.compiled = time.perf_counter() - began, compiled_kernels() - compiled
        return None

    def worth_saving(self, stopped: BaseException) -> bool:
        """Return whether a training that was ended early gave a model: after a whole epoch.

        Somebody who ends it before that gets what there is, unless that would replace an earlier model.
        """
        state = self.model.training_state
        if state is None or isinstance(stopped, Exception) or self.run.output.exists():
            return state is not None and state.epochs > 0
        return state.iterations > 0

    def outcome(self) -> str:
        """Say how long it took and which weights are kept."""
        return report.outcome_line(self.model, self.plan.callbacks, self.settings, self.seconds, self.compiled)

    def tell_test(self) -> None:
        """Say how well the model does on rows that it has never seen."""
        if self.test is None:
            return
        rows = len(self.test[0])
        found, notes = figures_of(self.model, self.parts.encoding, self.test, self.run.threads)
        self.run.say("test", f"{written(found)} ({counted(rows, 'row')})")
        for note in notes:
            self.run.say("note", note)
        if self.run.progress == "json":
            echo(json.dumps({"test": found, "rows": rows}, default=plain))


def save(model: Sequential, path: Path) -> NbdlError | None:
    """Write the model; where that fails, write it to a folder for temporary files and return an error that says so."""
    try:
        model.save(path)
    except (OSError, NbdlError) as error:
        other = Path(tempfile.mkdtemp(prefix="nbdl-"), path.name)
        model.save(other)
        reason = f"{path} cannot be written: {error.strerror}" if isinstance(error, OSError) else str(error)
        return NbdlError(f"{reason}. The model is saved as {other} instead")
    return None


def compiled_kernels() -> int:
    """Return how many kernels this process has compiled."""
    module = sys.modules.get("nbdl.engine.compiler")
    return 0 if module is None else int(module.statistics.compiled)
