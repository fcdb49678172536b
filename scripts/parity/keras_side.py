"""Keras's side of a case, on its JAX backend.

The trainer's own `train_step` runs all steps in one compiled loop: a call a step would take longer than the case, and
compile as often. What `fit` does after the last step (`use_ema`) is done here too.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import keras
import numpy as np
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

from parity.cases import BATCH, Array, Figure, Task, Training
from parity.compare import Trajectory
from parity.tasks import balanced

if keras.backend.backend() != "jax" or jax.config.jax_enable_x64:
    raise RuntimeError("parity needs Keras on JAX, in float32")


class Keras:
    """Units of Keras."""

    name = "Keras"
    layers, losses, optimizers = keras.layers, keras.losses, keras.optimizers
    schedules = keras.optimizers.schedules
    regularizers, constraints, metrics = keras.regularizers, keras.constraints, keras.metrics
    initializers = keras.initializers

    def activation(self, name: str, **settings: Any) -> Any:
        return functools.partial(getattr(keras.activations, name), **settings)


SIDE = Keras()


def has(unit: str, settings: Mapping[str, Any]) -> bool:
    """Whether Keras has a function of that name, "activations/relu", that takes these settings."""
    kind, name = unit.split("/")
    found = getattr(getattr(keras, kind), name, None)
    return found is not None and settings.keys() <= inspect.signature(found).parameters.keys()


class Trained:
    """A compiled net that can be trained again and again, from the same weights."""

    def __init__(self, case: Training, task: Task, start: list[Array]) -> None:
        layers = case.layers(SIDE)
        if case.adapt:
            layers[0].adapt(task.x)
        self.case, self.start = case, start
        self.model = keras.Sequential([keras.Input(task.x.shape[1:]), *layers])
        self.model.compile(loss=case.loss(SIDE), optimizer=case.optimizer(SIDE))
        self.places = places(self.model.weights, start)
        self.assign(start)
        if not case.steps:
            return
        self.model.optimizer.build(self.model.trainable_variables)
        self.optimizer_start = [variable.numpy() for variable in self.model.optimizer.variables]
        x, y, weights = batches(task)
        data = (x[0], y[0], *([] if weights is None else [weights[0]]))
        self.model._symbolic_build(data_batch=data)
        self.loop = jax.jit(self._loop)

    def assign(self, weights: list[Array]) -> None:
        """Set the weights, in nbdl's order; what was adapted stays."""
        for place, value in zip(self.places, weights, strict=True):
            if place.trainable or not self.case.adapt:
                place.assign(value)

    def weights(self) -> list[Array]:
        """The weights, in nbdl's order."""
        return [place.numpy() for place in self.places]

    def _loop(self, state: Any, metrics: Any, data: Any) -> Any:
        def step(state: Any, batch: Any) -> Any:
            logs, (*state, _) = self.model.train_step((*state, metrics), batch)
            return tuple(state), (logs["loss"], state[:2])

        return jax.lax.scan(step, state, data)

    def train(self, task: Task) -> Trajectory:
        """All steps, from the initial weights."""
        model, optimizer = self.model, self.model.optimizer
        self.assign(self.start)
        losses, first = np.zeros(0), self.start
        if self.case.steps:
            for variable, value in zip(optimizer.variables, self.optimizer_start, strict=True):
                variable.assign(value)
            # Copies: the state is what the loop starts from.
            variables = (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
            state = tuple([variable.value for variable in group] for group in variables)
            x, y, weights = batches(task)
            data = (x, y) if weights is None else (x, y, weights)
            metrics = [variable.value for variable in model.metrics_variables]
            state, (losses, each) = self.loop(state, metrics, data)
            for group, values in zip(variables[:2], each, strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable.assign(value[0])
            first = self.weights()
            for group, values in zip(variables, state, strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable.assign(value)
            optimizer.finalize_variable_values(model.trainable_weights)
        predictions = np.asarray(model(task.probe, training=False))
        return Trajectory(np.asarray(losses, np.float64), self.start, first, self.weights(), predictions, [])


def batches(task: Task) -> tuple[Array, Array, Array | None]:
    """Steps × rows × features."""
    weights = task.sample_weight
    if task.class_weight is not None:
        by_class = balanced(task.y) if task.class_weight == "balanced" else task.class_weight
        of_class = np.asarray(class_weight_to_sample_weights(task.y, by_class), np.float32)
        weights = of_class if weights is None else weights * of_class
    cut = [None if one is None else one.reshape(-1, BATCH, *one.shape[1:]) for one in (task.x, task.y, weights)]
    return cut[0], cut[1], cut[2]  # type: ignore[return-value]


def places(variables: list[Any], start: list[Array]) -> list[Any]:
    """Keras's variables in nbdl's order: the layers are in the same one, and within a layer shapes tell them apart.

    Raises:
        ValueError: the shapes differ.
    """
    found = [variable for variable in variables if variable.dtype == "float32"]
    ours, theirs = [one.shape for one in start], [tuple(variable.shape) for variable in found]
    if ours != theirs:
        raise ValueError(f"weights differ in shape: nbdl {ours}, Keras {theirs}")
    return found


def figure(case: Figure, order: Array) -> Array:
    """What `evaluate` says of the metric."""
    predictions, targets = case.predictions[order], case.targets[order]
    model = keras.Sequential([keras.Input(predictions.shape[1:]), keras.layers.Activation("linear")])
    # Not compiled, which would take longer than 32 batches do.
    model.compile(loss=case.loss, optimizer="sgd", metrics=[case.metric(SIDE)], run_eagerly=True)
    result = model.evaluate(predictions, targets, batch_size=32, verbose=0)
    return np.atleast_1d(np.asarray(result[1], np.float64))
