"""nbdl's side of a case, as a user would write it."""

from __future__ import annotations

from typing import Any

import numpy as np

import nbdl
from nbdl import Callback, Sequential
from nbdl.units.registry import registry
from parity.cases import BATCH, Array, Figure, Task, Training
from parity.compare import Trajectory


class Metrics:
    """Metrics, and the losses that may be used as such."""

    def __getattr__(self, name: str) -> Any:
        return getattr(nbdl.losses if registry.find("metrics", name) is None else nbdl.metrics, name)


class Nbdl:
    """Units of nbdl."""

    name = "nbdl"
    layers, losses, optimizers, schedules = nbdl.layers, nbdl.losses, nbdl.optimizers, nbdl.schedules
    regularizers, constraints, metrics = nbdl.regularizers, nbdl.constraints, Metrics()
    initializers = nbdl.initializers

    def activation(self, name: str, **settings: Any) -> Any:
        return registry.make("activations", {"name": name, "config": settings})


SIDE = Nbdl()


class Watch(Callback):
    """Each step's loss, and the weights after the first, where a step is an epoch."""

    def __init__(self, weights: list[Any]) -> None:
        self.weights = weights
        self.losses: list[float] = []
        self.first: list[Array] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])
        if not self.first:
            self.first = values(self.weights)


def values(weights: list[Any]) -> list[Array]:
    """Copies."""
    return [weight.value.copy() for weight in weights]


def model_of(case: Training, task: Task) -> Sequential:
    """The net, compiled; adapted to the data where a layer wants that."""
    layers = case.layers(SIDE)
    if case.adapt:
        layers[0].adapt(task.x)
    model = Sequential(layers, seed=1)
    model.build(task.x.shape[1:])
    model.compile(loss=case.loss(SIDE), optimizer=case.optimizer(SIDE))
    return model


def initial(weights: list[Any]) -> list[Array]:
    """The initial values with some noise, so that none which starts at 0 or 1 hides a mistake; adapted ones stay."""
    rng = np.random.default_rng(5)
    noise = [0.1 * rng.normal(size=weight.value.shape) * (not hasattr(weight.layer, "adapt")) for weight in weights]
    return [(weight.value + one).astype(np.float32) for weight, one in zip(weights, noise, strict=True)]


def train(case: Training, task: Task, start: list[Array] | None = None) -> Trajectory:
    """All steps from the given values of the weights, or from `initial`."""
    model = model_of(case, task)
    weights = [weight for weight in model.weights if weight.name.split("/")[-1] not in case.own]
    for weight, value in zip(weights, start or initial(weights), strict=True):
        weight.value[...] = value
    start = values(weights)
    watch = Watch(weights)
    if case.steps:
        options = {} if task.class_weight is None else {"class_weight": task.class_weight}
        model.fit(
            task.x, task.y, batch_size=BATCH, steps_per_epoch=1, epochs=len(task.x) // BATCH, shuffle=False, verbose=0,
            callbacks=[watch], sample_weight=task.sample_weight, **options,
        )  # fmt: skip
    names = [weight.name for weight in weights]
    return Trajectory(np.array(watch.losses), start, watch.first, values(weights), model.predict(task.probe), names)


def figure(case: Figure, order: Array) -> Array:
    """What `evaluate` says of the metric."""
    predictions, targets = case.predictions[order], case.targets[order]
    model = Sequential([SIDE.layers.Activation("linear", input_shape=predictions.shape[1:])], seed=1)
    model.compile(loss=case.loss, optimizer="sgd", metrics=[case.metric(SIDE)])
    result = model.evaluate(predictions, targets, batch_size=32, verbose=0)
    return np.atleast_1d(np.asarray(result[1], np.float64))
