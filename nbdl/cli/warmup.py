"""`nbdl warmup`: compile ahead of time what the installed units need; later starts find it in the cache."""

from __future__ import annotations

import inspect
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbdl.cli.figures import seconds
from nbdl.cli.options import debug_option, device_option, plugin_file_option
from nbdl.cli.output import echo, echo_over
from nbdl.cli.parameters import Command
from nbdl.cli.screen import flowed
from nbdl.errors import ConfigError, counted
from nbdl.plugins.recipe import Plan, Recipe, Request, Settings, Stage, settle

if TYPE_CHECKING:
    from nbdl.engine.compiler import Statistics
    from nbdl.model.sequential import Sequential
    from nbdl.units.entry import Entry

INPUTS, UNITS, OUTPUTS, ROWS = 5, 6, 3, 40


@click.command(cls=Command, short_help="Compile the kernels of all units now, so that later starts are fast.")
@click.option("-v", "--verbose", is_flag=True, help="Name each unit, and why one was left out.")
@device_option
@plugin_file_option
@debug_option
def warmup(verbose: bool, device: str) -> None:
    """Compile the kernels of all installed units into the cache folder.

    Kernels do not depend on a net's sizes, so nearly every new net then finds all of its own. Those of a GPU
    depend on what is next to what in a net: one that has a unit in new company still compiles some. Run it
    once after installing or updating; `nbdl doctor` names the folders.
    """
    from nbdl.engine.executor import host_backend

    if host_backend() != "cpu":
        raise ConfigError("NUMBA_DISABLE_JIT is set: programs run in plain Python, there is nothing to compile")
    began, unfit, failed = time.perf_counter(), 0, []
    trials = list(all_trials())
    for number, trial in enumerate(trials, 1):
        if sys.stderr.isatty():
            echo_over(f"{number}/{len(trials)} {trial.title}")
        try:
            attempt(trial, device)
            outcome = ""
        except ConfigError as error:
            unfit += 1
            outcome = f": needs another net, {one_line(error)}"
        except Exception as error:
            outcome = f": failed, {type(error).__name__}: {one_line(error)}"
            failed.append(f"{trial.title}{outcome}")
        if verbose:
            echo(f"{trial.title}{outcome}")
    if sys.stderr.isatty():
        echo_over()
    elapsed = seconds(time.perf_counter() - began)
    statistics, folder = cache(device)
    echo(f"{counted(statistics.compiled, 'kernel')} compiled, {statistics.loaded} taken from the cache, in {elapsed}")
    echo(f"cache folder: {folder or 'none that can be used; nothing was kept'}")
    if unfit and not verbose:
        text = (
            f"{unfit} of {len(trials)} trials need another net than warmup's small one (one whose inputs are whole "
            "numbers, for instance): their kernels are compiled when they are first used. --verbose lists them."
        )
        echo(flowed(text))
    for text in () if verbose else failed:
        echo(flowed(text, err=True), err=True)


def one_line(error: Exception) -> str:
    """Return an error's text in one line."""
    return " ".join(str(error).split())


@dataclass(frozen=True)
class Trial:
    """A small net that makes the engine compile what one unit needs."""

    title: str
    make: Callable[[], Sequential]


def cache(device: str) -> tuple[Statistics, Path | None]:
    """Return what was compiled for a device, and where it is kept."""
    if device == "cpu":
        from nbdl.engine.cache import cache_folder
        from nbdl.engine.compiler import statistics

        return statistics, cache_folder()
    from nbdl.engine.cuda import compiler

    return compiler.statistics, compiler.ptx_folder()


def attempt(trial: Trial, device: str = "cpu") -> None:
    """Train, evaluate, predict and differentiate."""
    import numpy as np

    from nbdl.cli.source import targets_for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = trial.make()
        model.device = device
        x = np.linspace(0.1, 0.9, ROWS * INPUTS, dtype=np.float32).reshape(ROWS, INPUTS)
        outputs = model.output_shape[-1]
        y = targets_for(model.loss, toy_encoding(), toy_data(), outputs)
        model.fit(x, y, epochs=1, batch_size=16, verbose=0, validation_data=(x, y))
        model.predict(x)
        if device != "cpu":
            return
        net = model.as_njit(derivatives=True)
        for rows in (x, x[0]):
            net.vjp(rows, net(rows))
            net.jacobian(rows)


def toy_data() -> Any:
    """Rows of every class."""
    import numpy as np

    from nbdl.data.arrays import Arrays

    return Arrays("warm-up", np.ones((ROWS, INPUTS)), np.arange(ROWS) % OUTPUTS)


def toy_encoding() -> Any:
    """The encoding of `toy_data`."""
    from nbdl.data.encoding import Encoding

    return Encoding.fit(toy_data(), task="classification")


# -- what is tried ----------------------------------------------------------------------------------------


def all_trials() -> Iterator[Trial]:
    """Yield a trial for every unit of every kind that compiles anything."""
    from nbdl.units.registry import registry

    for recipe in registry.entries("recipes"):
        yield Trial(f"recipe {recipe.name}", partial(net, recipe))
        yield Trial(f"recipe {recipe.name}, regularized", partial(net, recipe, dropped=0.2, penalty=1e-4))
    base = next(iter(registry.entries("recipes")), None)
    if base is None:
        return
    for entry in registry.entries("activations"):
        yield Trial(f"activation {entry.name}", partial(net, base, hidden=entry.name))
    for entry in registry.entries("losses"):
        for last in (None, *entry.target.pairs):
            title = f"loss {entry.name}{f' after {last}' if last else ''}"
            yield Trial(title, partial(net, base, loss=entry, last=last))
    for kind in ("optimizers", "layers", "metrics", "regularizers", "constraints"):
        for entry in registry.entries(kind):
            for arguments in examples(entry):
                yield Trial(f"{kind} {entry.name}", partial(with_unit, base, kind, entry, arguments))


def examples(entry: Entry) -> list[dict[str, Any]]:
    """Return the arguments to try a unit with: none if it needs none, and those it was registered with."""
    registered = [example for example in entry.options.get("examples", ()) if isinstance(example, dict)]
    needed = [
        parameter
        for parameter in inspect.signature(entry.target).parameters.values()
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return registered if needed else [{}, *registered]


def planned(recipe: Entry, stages: tuple[Stage, ...], settings: Settings) -> Plan:
    """Return the recipe's plan for a small net."""
    make: Recipe = recipe.target
    task = recipe.options.get("default_for", "classification")
    return make(Request(task, INPUTS, OUTPUTS, ROWS, stages, True, settings))


def net(
    recipe: Entry,
    hidden: str | None = None,
    last: str | None = None,
    loss: Entry | None = None,
    **settings: Any,
) -> Sequential:
    """Return a small net with these parts in place of the recipe's."""
    plan = planned(recipe, (Stage(UNITS, hidden), Stage(OUTPUTS, last)), settle(settings))
    return compiled(plan if loss is None else replace(plan, loss=loss.target()))


def with_unit(recipe: Entry, kind: str, entry: Entry, arguments: dict[str, Any]) -> Sequential:
    """Return a small net with one unit put where its kind belongs."""
    plan = planned(recipe, (Stage(UNITS), Stage(OUTPUTS)), settle({}))
    unit = entry.target(**arguments)
    if kind == "optimizers":
        return compiled(replace(plan, optimizer=unit))
    if kind == "metrics":
        return compiled(replace(plan, metrics=[unit]))
    if kind == "layers":
        return compiled(replace(plan, layers=[*plan.layers[:-1], unit, plan.layers[-1]]))
    model = compiled(plan)
    for weight in model.weights:
        setattr(weight, "regularizer" if kind == "regularizers" else "constraint", unit)
    return model


def compiled(plan: Plan) -> Sequential:
    """Return the model of a plan."""
    from nbdl import Sequential

    model = Sequential(plan.layers, seed=0)
    model.compile(optimizer=plan.optimizer, loss=plan.loss, metrics=plan.metrics)
    return model
