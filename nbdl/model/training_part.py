"""The training of a model in its file: training.json and optimizer.npz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.errors import FileFormatError
from nbdl.model.arrays import arrays_of, floats_of
from nbdl.model.file_format import SCHEMAS
from nbdl.network.setup import Goal, Setup, TrainingState
from nbdl.storage.archive import Archive
from nbdl.units.metric import Metric
from nbdl.units.metric_wrappers import LossMetric, WeightedMetric
from nbdl.units.optimizer import Optimizer
from nbdl.units.registry import registry
from nbdl.units.unit import serialize

if TYPE_CHECKING:
    import numpy as np

    from nbdl.network.job import Job


def training_config(job: Job) -> dict[str, Any]:
    """Optimizer, loss, metrics and how far training has come, as plain data."""
    setup, state = job.compiled(), job.state
    config: dict[str, Any] = {
        "optimizer": serialize(setup.optimizer),
        **_goal_config(setup.goals[0]),
    }
    if setup.goals[0].name:
        config["outputs"] = [
            {**_goal_config(goal), "output": goal.output, "name": goal.name, "weight": goal.weight}
            for goal in setup.goals
        ]
    elif setup.goals[0].weight != 1.0:
        config["weight"] = setup.goals[0].weight
    if state is not None:
        config.update(iterations=state.iterations, epochs=state.epochs, slots=list(state.slot_names))
    return config


def _goal_config(goal: Goal) -> dict[str, Any]:
    return {
        "loss": serialize(goal.loss),
        "metrics": [{"as": name, **_metric_config(metric)} for name, metric in goal.metrics],
    }


def _metric_config(metric: Any) -> dict[str, Any]:
    if isinstance(metric, WeightedMetric):
        return {"weighted": True, **_metric_config(metric.metric)}
    if isinstance(metric, LossMetric):
        return {"loss": serialize(metric.loss)}
    return dict(serialize(metric))


def slots_of(job: Job) -> dict[str, np.ndarray]:
    """The parts of the optimizer's slots, by slot and weight."""
    state, store = job.state, job.network.store
    assert state is not None
    arrays = {}
    for number, slot in enumerate(state.slot_names):
        block = state.slots[number * store.trainable_size : (number + 1) * store.trainable_size]
        for name, weight in job.network.named_weights().items():
            if weight.trainable:
                arrays[f"{slot}/{name}"] = store.view(block, weight)
    return arrays


def restore_training(job: Job, archive: Archive) -> None:
    """Take optimizer, loss, metrics and training state from a model's file."""
    config = archive.json("training.json", SCHEMAS["training.json"])
    optimizer = registry.make("optimizers", config["optimizer"])
    rate = config.get("learning_rate")
    if rate is not None:  # in older files
        optimizer.learning_rate = registry.make("schedules", rate) if isinstance(rate, dict) else float(rate)
    goals = [_goal_from(one, job, archive) for one in config.get("outputs", [config])]
    job.setup = Setup(optimizer, goals)
    if "optimizer.npz" in archive.names:
        _restore_state(job, optimizer, config, archive)


def _goal_from(config: dict[str, Any], job: Job, archive: Archive) -> Goal:
    outputs = len(job.network.output_names)
    if config.get("output", 0) >= outputs:
        raise FileFormatError(
            f"{archive.where}: training.json: outputs: expected one of {outputs}, got {config['output']}"
        )
    metrics = [(one["as"], _metric_from(one)) for one in config["metrics"]]
    name = config.get("name", "") if outputs > 1 else ""
    loss = registry.make("losses", config["loss"])
    return Goal(loss, metrics, config.get("output", 0), name, float(config.get("weight", 1.0)))


def _metric_from(config: dict[str, Any]) -> Metric:
    loss = config.get("loss")
    made = registry.make("metrics", config) if loss is None else LossMetric(registry.make("losses", loss))
    return WeightedMetric(made) if config.get("weighted") else made


def _restore_state(job: Job, optimizer: Optimizer, config: dict[str, Any], archive: Archive) -> None:
    from nbdl.network.update import new_slots

    names = tuple(config.get("slots", ()))
    possible = optimizer.possible_slots()
    if names not in (optimizer.all_slots(), tuple(slot for slot in possible if slot in names)):
        raise FileFormatError(
            f"{archive.where}: training.json: slots: expected {', '.join(possible)}, or some of these in this order, "
            f"got {', '.join(names) or 'none'}"
        )
    stored = arrays_of(archive, "optimizer.npz")
    store = job.network.store
    named = job.network.named_weights()
    wanted = {f"{slot}/{name}": weight.shape for slot in names for name, weight in named.items() if weight.trainable}
    for name, shape in wanted.items():
        if stored.shapes.get(name) != shape:
            raise FileFormatError(f"{archive.where}: the optimizer's {name} is missing or of another shape")
    slots = new_slots(optimizer, names, store.trainable_size)
    job.state = TrainingState(slots, names, config.get("iterations", 0), config.get("epochs", 0))
    for name, values in slots_of(job).items():
        values[...] = floats_of(stored, name, archive.where)
