"""What works around training: callbacks, and recipes of `nbdl train`."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nbdl.errors import NbdlError, did_you_mean
from nbdl.model.sequential import Sequential
from nbdl.plugins.recipe import Plan, Request, Stage, defaults_of, settle
from nbdl.testing.conduct import registered_model
from nbdl.testing.probe import Array
from nbdl.testing.small_nets import ROWS, task
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import generator
from nbdl.units.callback import Callback

INPUTS, OUTPUTS = 3, 4
TASKS = ("classification", "regression")


@contextmanager
def elsewhere() -> Iterator[None]:
    """Within, relative paths are those of a folder that goes afterwards."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


# -- callbacks --------------------------------------------------------------------------------------------


@check("hooks exist", "callbacks")
def hooks_exist(subject: Subject) -> None:
    """Every method called `on_...` is one that training calls, and takes what it is called with.

    A misspelt hook would never be called, and nothing would say so.
    """
    known = {name: method for name, method in vars(Callback).items() if name.startswith("on_")}
    for name in dir(subject.entry.target):
        if not name.startswith("on_"):
            continue
        assert name in known, f"training calls no {name!r}.{did_you_mean(name, known)}"
        arguments = list(inspect.signature(known[name]).parameters)[1:]
        try:
            inspect.signature(getattr(subject.make(), name)).bind(*arguments)
        except TypeError:
            raise AssertionError(f"{name} is called with ({', '.join(arguments)}), which it does not take") from None


@check("accompanies training", "callbacks")
def accompanies_training(subject: Subject) -> None:
    """A small model trains with it, twice with the same callback, and once more with a new one: the same figures.

    What it counts starts anew in `on_train_begin`. Files are written in a folder of the check's own.
    """
    unit, figures = subject.make(), []
    for callback in (unit, unit, subject.make()):
        with elsewhere():
            figures.append(_figures(callback))
    for found, name in ((figures[1], "used again"), (figures[2], "made anew")):
        assert found == figures[0], f"{name}, training goes another way: {found} rather than {figures[0]}"


def _figures(callback: Any) -> dict[str, list[float]]:
    model = registered_model()
    assert model.output_shape is not None
    x, y = task(model.output_shape[0])
    try:
        history = model.fit(x, y, validation_data=(x, y), batch_size=16, epochs=3, verbose=0, callbacks=[callback])
    except NbdlError as error:
        raise AssertionError(str(error)) from None
    return {name: list(values) for name, values in history.history.items()}


# -- recipes ----------------------------------------------------------------------------------------------


@check("plans a net that trains", "recipes")
def plans_a_net_that_trains(subject: Subject) -> None:
    """For its task it returns a `Plan`; the net compiles, takes the features, gives the outputs, and lowers its loss.

    Asked for layers (`--arch`), it plans these; without rows to validate on, nothing waits for a validation loss.
    """
    defaults = defaults_of(subject.entry)
    wanted = subject.options.get("default_for")
    for one in TASKS if wanted is None else (wanted,):
        assert one in TASKS, f"default_for={one!r}: tasks are {', '.join(TASKS)}"
        for stages in ((), (Stage(5), Stage(OUTPUTS))):
            settings = settle({"patience": 3}, defaults)
            for validated in (True, False):
                request = Request(one, INPUTS, OUTPUTS, ROWS, stages, validated, settings)
                plan = subject.entry.target(request)
                assert isinstance(plan, Plan), f"it returns a {type(plan).__name__}, not a nbdl.recipe.Plan"
                _carry_out(plan, request)


def _carry_out(plan: Plan, request: Request) -> None:
    x, y = data(request.task)
    model = Sequential(plan.layers, seed=1)
    model.compile(optimizer=plan.optimizer, loss=plan.loss, metrics=plan.metrics)
    assert model.input_shape == (INPUTS,), f"the net takes rows of {model.input_shape}, the data has ({INPUTS},)"
    assert model.output_shape == (OUTPUTS,), f"the net gives {model.output_shape}, ({OUTPUTS},) are asked for"
    if request.stages:
        sizes = {size for weight in model.weights for size in weight.tensor.shape}
        assert request.stages[0].units in sizes, f"no layer has the {request.stages[0].units} units that are asked for"
    before = model.evaluate(x, y, return_dict=True)["loss"]
    validation = (x, y) if request.validated else None
    model.fit(x, y, validation_data=validation, epochs=8, batch_size=16, verbose=0, callbacks=plan.callbacks)
    after = model.evaluate(x, y, return_dict=True)["loss"]
    assert after < before, f"{plan.title}: the loss went from {before:.4f} to {after:.4f} in 8 epochs"


def data(task: str) -> tuple[Array, Array]:
    """Rows and targets for a task: labels, or values."""
    rng = generator()
    x = rng.normal(size=(ROWS, INPUTS)).astype(np.float32)
    y = np.tanh(x @ rng.normal(size=(INPUTS, OUTPUTS))).astype(np.float32)
    return x, y.argmax(axis=1) if task == "classification" else y
