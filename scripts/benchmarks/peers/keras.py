"""Keras on JAX, jitted, which is its default there; many steps in one call, which is up to twice as fast."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Repetition, calls
from benchmarks.works import Inference, Training, Work, inference_rows, training_data

STEPS_AT_ONCE = 32


def net_of(work: Work) -> Any:
    """The net."""
    import keras

    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.layers.Input((work.sizes[0],))])
    for _, units in work.layers[:-1]:
        net.add(keras.layers.Dense(units, activation=work.hidden))
        if isinstance(work, Training) and work.dropout:
            net.add(keras.layers.Dropout(work.dropout))
    net.add(keras.layers.Dense(work.sizes[-1], activation="softmax" if work.classes else "linear"))
    return net


def fit(work: Training, threads: int) -> Repetition:
    """fit with verbose=0."""
    net = net_of(work)
    net.compile(
        loss="categorical_crossentropy" if work.classes else "mse",
        optimizer=work.optimizer,
        steps_per_execution=min(STEPS_AT_ONCE, work.steps),
    )
    x, y, _ = training_data(work)

    def repetition() -> float:
        history = net.fit(x, y, batch_size=work.batch, epochs=work.epochs, verbose=0, shuffle=work.shuffled)
        return float(history.history["loss"][-1])

    return repetition


def predict(work: Inference, threads: int) -> Repetition:
    """predict_on_batch, which is faster than predict."""
    return calls(work, net_of(work).predict_on_batch, inference_rows(work))
