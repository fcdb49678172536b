"""Training steps of one's own: the loss with its gradients, and an optimizer's step with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.engine import select
from nbdl.engine.run import INDICES, ROW_COUNT, STEP_NUMBER, STEP_WORDS, RunTables
from nbdl.engine.store import Store, Weight
from nbdl.errors import ConfigError, DataError, DivergenceError
from nbdl.network.executors import training_state
from nbdl.network.record import gradient_program
from nbdl.network.setup import Setup, TrainingState
from nbdl.network.update import constrain, descend, new_slots
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.training.inputs import checked_data
from nbdl.training.metric_sums import MetricSums
from nbdl.training.steps import alone, kinds_of

if TYPE_CHECKING:
    from nbdl.engine.executor import Executor
    from nbdl.network.job import Job
    from nbdl.units.optimizer import Optimizer


@dataclass
class Gradients:
    """The executor that finds gradients on batches of up to `rows` rows.

    Attributes:
        weights: those that have gradients, in the order of the log.
    """

    setup: Setup
    executor: Executor
    weights: list[Weight]
    rows: int
    kinds: list[str | None]


def value_and_gradient(
    job: Job, setup: Setup, x: Any, y: Any, sample_weight: Any = None
) -> tuple[float, list[np.ndarray]]:
    """The loss on a batch, penalties included, and its gradient by each weight that is trained.

    Args:
        setup: whose losses are meant; its optimizer is not looked at.
    """
    data = checked_data(job.network, setup, x, y, sample_weight, looks=False)
    if len(data[0]) == 0:
        raise DataError("there are no rows")
    found = _executor_for(job, setup, data)
    job.draws += 1
    steps = np.zeros((1, STEP_WORDS), np.int64)
    order = np.arange(len(data[0]), dtype=np.int64)
    steps[0, ROW_COUNT], steps[0, STEP_NUMBER], steps[0, INDICES] = len(order), job.draws, order.ctypes.data
    log = np.zeros((1, found.executor.program.log_width), np.float32)
    scalars = np.full((1, 1), len(order), np.float32)
    found.executor.push()
    sources = found.executor.prepare(data)
    found.executor.run(RunTables(steps, scalars, log, sources, None, job.network.seed), None)
    sums = MetricSums(found.executor.program, setup)
    sums.add(log, steps[:, ROW_COUNT])
    width = sum(weight.tensor.features for weight in found.weights)
    parts, start = [], log.shape[1] - width
    for weight in found.weights:
        size = weight.tensor.features
        parts.append(log[0, start : start + size].reshape(weight.shape).copy())
        start += size
    return sums.figures()["loss"], parts


def _executor_for(job: Job, setup: Setup, data: Sequence[Any]) -> Gradients:
    weights = [weight for weight in job.network.store.weights if weight.trained]
    rows, kinds, found = len(data[0]), kinds_of(data), job.programs.gradients
    if isinstance(found, Gradients) and found.setup.goals == setup.goals and found.weights == weights:
        if found.rows >= rows and found.kinds == kinds:
            return found
        rows = max(rows, found.rows)
    program = gradient_program(job.network, setup, weights)
    executor = select.make(program, job.network.store, rows, kinds, None, job.device, job.choice.precision)
    made = job.programs.gradients = Gradients(setup, executor, weights, rows, kinds)
    return made


# -- an optimizer's step ------------------------------------------------------------------------------------


@dataclass
class Step:
    """The executor that makes a step with gradients, and where it reads them."""

    executor: Executor
    weights: list[Weight]
    gradients: list[Weight]
    state: TrainingState
    rule: Any


def apply(job: Job, optimizer: Optimizer, gradients: Sequence[Any]) -> None:
    """Change the weights that are trained by an optimizer's rule, with these gradients, in their order.

    Raises:
        ConfigError: there are more or fewer, or one has another shape.
        DivergenceError: one is not finite; the weights stay as they are.
    """
    with alone(job):
        weights = [weight for weight in job.network.store.weights if weight.trained]
        arrays = [np.asarray(one, np.float32) for one in gradients]
        if len(arrays) != len(weights):
            raise ConfigError(
                f"apply takes {len(weights)} gradients, one for each weight that is trained, got {len(arrays)}"
            )
        for weight, array in zip(weights, arrays, strict=True):
            if array.shape != weight.shape:
                raise ConfigError(f"the gradient of {weight.name} has shape {array.shape}, the weight {weight.shape}")
        step = _step_for(job, optimizer, weights)
        for gradient, array in zip(step.gradients, arrays, strict=True):
            gradient.value[...] = array
        _run(job, optimizer, step)


def _run(job: Job, optimizer: Optimizer, step: Step) -> None:
    program, number = step.executor.program, step.state.iterations + 1
    steps = np.zeros((1, STEP_WORDS), np.int64)
    steps[0, ROW_COUNT], steps[0, STEP_NUMBER] = 1, number
    scalars = np.ones((1, len(program.scalars)), np.float32)
    values = optimizer.scalars(np.array([number]))
    for column, name in enumerate(program.scalars[1:], 1):
        scalars[0, column] = values[name][0] if np.ndim(values[name]) else values[name]
    step.executor.push()
    report = step.executor.run(
        RunTables(steps, scalars, np.zeros((1, max(1, program.log_width)), np.float32), [], None, job.network.seed),
        None,
    )
    step.executor.pull()
    if report.stopped_by is not None:
        wrong = next(g.name for g in step.gradients if not np.isfinite(g.value).all())
        raise DivergenceError(f"{wrong} is not finite; the weights stay as they are", 1, number, "")
    step.state.iterations = number


def _step_for(job: Job, optimizer: Optimizer, weights: list[Weight]) -> Step:
    known, rule = job.programs.own_step, optimizer.rule()
    if isinstance(known, Step) and known.weights == weights and known.rule == rule:
        return known
    store, state = job.network.store, _state_of(job, optimizer)
    made = [Weight(Tensor(w.shape, False, "weight", f"gradient of {w.name}"), None, None, False) for w in weights]
    both = Store([*store.weights, *made])
    r = Recorder(training=True)
    by_weight = {weight: gradient.tensor for weight, gradient in zip(weights, made, strict=True)}
    with r.recording("gradients", "check"):
        for gradient in made:
            r.check(gradient.tensor)
    descend(r, optimizer, by_weight, both)
    constrain(r, weights)
    executor = select.make(r.finish(), both, 1, [], state.slots, job.device, job.choice.precision)
    step = job.programs.own_step = Step(executor, weights, made, state, rule)
    return step


def _state_of(job: Job, optimizer: Optimizer) -> TrainingState:
    """The slots and the counter of an optimizer: those of `compile`, or its own."""
    if job.setup is not None and job.setup.optimizer is optimizer:
        return training_state(job)
    names = optimizer.all_slots()
    state = job.own_states.get(optimizer)
    if state is None or state.slot_names != names:
        state = TrainingState(new_slots(optimizer, names, job.network.store.trainable_size), names)
        job.own_states[optimizer] = state
    return state
