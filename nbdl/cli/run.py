"""One training from the command line: read, settle, build, train, test, save."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.cli import arch as nets
from nbdl.cli import report
from nbdl.cli.fit import Training, train_and_save
from nbdl.cli.parts import Parts, Run
from nbdl.cli.source import Reading, Source, check_outputs, hold_out, load
from nbdl.cli.unused import refuse_dropout, refuse_unused
from nbdl.errors import ConfigError, DataError, counted
from nbdl.plugins.recipe import Plan, Request, Settings, Stage, choose, defaults_of, settings_of, settle
from nbdl.storage.outputs import as_path, check_file, is_model

if TYPE_CHECKING:
    from nbdl.data.target import Task
    from nbdl.model.sequential import Sequential

SUFFIX = ".nbdl"


def output_path(output: str | None, source: str) -> Path:
    """Return where the model goes; refuse what cannot be or should not be written, before any work is done.

    Raises:
        ConfigError: Another suffix, a folder that is missing or cannot be written to, or a file there that is no model.
    """
    default = f"{('' if source == '-' else Path(source).name.split('.')[0]) or 'model'}{SUFFIX}"
    output = default if output is None else output
    path = as_path(output, "-o FILE").expanduser()
    if path.is_dir():
        raise ConfigError(f"-o {output}: is a folder; write -o {shlex.quote(str(path / default))}")
    if path.suffix != SUFFIX:
        instead = shlex.quote(str(path.with_suffix(SUFFIX) if path.stem else default))
        raise ConfigError(f"-o {output}: models are saved as {SUFFIX} files only; write -o {instead}")
    check_file(path, "a saved model", is_model)
    return path


def train_and_report(run: Run, how: Reading, options: dict[str, Any]) -> None:
    """Read, settle, build, train, test, save; a line of report for each."""
    from nbdl.data.remarks import remarks

    data = load(run.source, how)
    task, why = the_task(run, data)
    recipe = choose(task, run.recipe)
    settings = settle(options, own_settings(data, task) or defaults_of(recipe))
    refuse_unused(run, data, options, settings)
    parts = parted(run, data, task, settings, how)
    wanted = request(parts, settings, options)
    refuse_dropout(wanted.stages, options)
    plan = recipe.target(wanted)
    model = built(run, plan, parts)
    training = Training(run, model, plan, parts, settings)
    run.say("data", report.data_line(data, parts))
    run.say("task", f"{task}: {why}")
    for remark in remarks(data.data, run.target, task, parts.encoding.features):
        run.say("note", remark)
    run.say("net", f"{plan.title}, {counted(model.count_params(), 'weight')}")
    run.say("training", report.training_line(model, parts, settings))
    if run.verbose:
        model.summary(print_fn=run.echo)
    if run.dry_run:
        return
    train_and_save(run, training)
    run.say("next", report.next_line(run.output, data, how))


def own_settings(data: Source, task: Task) -> Mapping[str, Any]:
    """Return a dataset's own settings; its net and loss are for its own task."""
    if data.dataset is None:
        return {}
    own = settings_of(data.dataset, data.recipe)
    return own if task == data.task else {name: own[name] for name in own if name not in ("arch", "loss")}


def the_task(run: Run, data: Source) -> tuple[Task, str]:
    """Return the task, and why it is that one."""
    from nbdl.data.table import Table, listed
    from nbdl.data.target import guess_task

    if isinstance(data.data, Table) and run.target is None:
        raise DataError(
            f"{data.data.source}: say which column to predict: --target COLUMN. Columns: {listed(data.data.names)}."
        )
    if not isinstance(data.data, Table) and run.target is not None:
        raise ConfigError(f"--target {run.target}: {data.name} has no columns with names, its targets are known")
    if run.task is not None:
        return run.task, "as told by --task"
    if data.task is not None:
        return data.task, "as the dataset says"  # type: ignore[return-value]
    task, why = guess_task(data.data, run.target)
    return task, f"{why} (--task overrides)"


def parted(run: Run, source: Source, task: Task, settings: Settings, how: Reading) -> Parts:
    """Part the rows, and learn the encoding from those to train on."""
    from nbdl.data.encoding import Encoding

    rest, test = source.data, source.test
    if run.test is not None:
        test = load(run.test, replace(how, folder=None, download=False)).data
    elif test is None:
        rest, test = hold_out(rest, run.target, task, settings.test_split or 0.0, run.seed)
    training, validation = hold_out(rest, run.target, task, settings.validation_split or 0.0, run.seed + 1)
    standardize = settings.standardize
    if standardize is None:
        standardize = source.dataset is None
    encoding = Encoding.fit(
        training,
        run.target,
        task=task,
        ignore=run.ignore,
        standardize=standardize,
        scale=settings.scale or 1.0,
        flatten=True,
    )
    if source.dataset is None:
        encoding = replace(encoding, reading=how.chosen)
    return Parts(training, validation, test, encoding)


def request(parts: Parts, settings: Settings, options: Mapping[str, Any]) -> Request:
    """Return what the recipe is asked for.

    Raises:
        ConfigError: The net in the settings does not fit the data.
    """
    inputs = parts.encoding.shape[0]
    stages: tuple[Stage, ...] = ()
    if settings.arch is not None:
        net = nets.parse(settings.arch)
        origin = f"--arch {settings.arch!r}" if options["arch"] else f"the dataset's net {settings.arch!r}"
        if net.inputs != inputs:
            raise ConfigError(
                f"{origin} begins with {counted(net.inputs, 'input')}; the data has {inputs}: "
                f"write --arch {nets.Net(inputs, net.stages)}"
            )
        check_outputs(parts.encoding, net.stages[-1].units, origin)
        stages = net.stages
    return Request(
        task=parts.encoding.task,
        inputs=inputs,
        outputs=parts.encoding.outputs,
        rows=len(parts.train),
        stages=stages,
        validated=parts.validation is not None,
        settings=settings,
    )


def built(run: Run, plan: Plan, parts: Parts) -> Sequential:
    """Return the compiled model of a plan."""
    from nbdl import Sequential

    model = Sequential(plan.layers, name=run.output.stem, seed=run.seed)
    model.compile(plan.optimizer, plan.loss, metrics=plan.metrics, device=run.device, precision=run.precision)
    model.encoding = parts.encoding
    check_outputs(parts.encoding, model.output_shape[-1], "the recipe's net")
    return model
