"""Runs cases: each side, the floor, the verdict."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable

import numpy as np

from parity import nbdl_side, numpy_side
from parity.cases import AFTER_ONE, Case, Draw, Figure, Training, Truth
from parity.compare import Measure, Result, drawn, relative, trained, worst


def run(case: Case) -> Result:
    """One case; what goes wrong is part of its result."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return RUNNERS[type(case)](case)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return Result(case.title, case.family, error=f"{text} ({os.path.basename(where.filename)}:{where.lineno})")


def training(case: Training) -> Result:
    """nbdl beside Keras, or beside NumPy where Keras lacks the unit."""
    task = case.task()
    ours = nbdl_side.train(case, task)
    exact = beside(case)
    if exact is not None:
        truth = numpy_side.train(exact, task, ours.start)
        floor, against = (nbdl_side.train(case, task.permuted(), ours.start), ours), "NumPy"
    else:
        from parity.keras_side import Trained

        net = Trained(case, task, ours.start)
        truth = net.train(task)
        floor, against = (net.train(task.permuted()), truth), "Keras"
    at = worst(ours.last, truth.last)[1]
    name = ours.names[at] if at >= 0 else ""
    moved = worst(ours.last, ours.start)[0] if case.steps else None
    return Result(case.title, case.family, trained(ours, truth, floor), against, name, moved, case.explained)


def beside(case: Training) -> Truth | None:
    """What to compare with rather than with Keras."""
    if case.truth is None and case.otherwise is not None:
        from parity import keras_side

        return None if keras_side.has(case.units[0], case.otherwise.settings) else case.otherwise.truth
    return case.truth


def figure(case: Figure) -> Result:
    """A metric of `evaluate`; the floor takes all rows in another order, and so in other batches."""
    from parity import keras_side

    order = np.arange(len(case.targets))
    truth = keras_side.figure(case, order)
    mixed = keras_side.figure(case, np.random.default_rng(3).permutation(order))
    value, floor = (float(np.max(relative(one, truth))) for one in (nbdl_side.figure(case, order), mixed))
    measures = {"figure": Measure(value, floor, AFTER_ONE)}
    return Result(case.title, case.family, measures, explained=case.explained)


def draw(case: Draw) -> Result:
    """Two samples."""
    from parity import keras_side

    keras_side.keras.utils.set_random_seed(1)
    measures = drawn(case.draw(nbdl_side.SIDE), case.draw(keras_side.SIDE))
    return Result(case.title, case.family, measures, explained=case.explained)


RUNNERS: dict[type, Callable[..., Result]] = {Training: training, Figure: figure, Draw: draw}
