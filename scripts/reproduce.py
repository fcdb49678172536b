"""Published results on MNIST, reproduced: test accuracy beside the published one.

    python scripts/reproduce.py --data FOLDER                          # mnist_mlp, three seeds: half a minute
    python scripts/reproduce.py --data FOLDER max_norm --epochs 100    # the long one, as far as you like

FOLDER holds the four idx files of MNIST, packed or not. Recipes and published figures were read in the repositories
named below; what is done otherwise here is said with the recipe.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nbdl import Sequential
from nbdl.callbacks import LambdaCallback
from nbdl.constraints import MaxNorm
from nbdl.datasets import mnist
from nbdl.layers import Dense, Dropout
from nbdl.optimizers import SGD, RMSprop


@dataclass(frozen=True)
class Recipe:
    """A net, how it is trained, and what was published for it.

    Attributes:
        make: the compiled model, given a seed.
        callbacks: of a fit, given the model.
        epochs: of the publication.
        published: its test accuracy, and where it stands.
        seeds: how many runs show the spread.
    """

    make: Callable[[int], Sequential]
    callbacks: Callable[[Sequential], list[Any]]
    batch: int
    epochs: int
    published: str
    seeds: int


def mnist_mlp(seed: int) -> Sequential:
    """784-512-512-10, relu, dropout 0.2, RMSprop: Keras's example of that name, as it stands there."""
    model = Sequential(seed=seed)
    model.add(Dense(512, activation="relu", input_shape=(784,)))
    model.add(Dropout(0.2))
    model.add(Dense(512, activation="relu"))
    model.add(Dropout(0.2))
    model.add(Dense(10, activation="softmax"))
    model.compile(loss="sparse_categorical_crossentropy", optimizer=RMSprop(), metrics=["accuracy"])
    return model


MOMENTUM = (0.5, 0.699217, 698)  # from, to, within so many epochs


def max_norm(seed: int) -> Sequential:
    """784-898-1532-10, relu, dropout 0.2 of the inputs and 0.5 of hidden units, each column's norm bounded.

    The first weights are He's rather than uniform within ±0.05 or so: the publication's file sets them per layer.
    """
    model = Sequential(seed=seed)
    model.add(Dropout(0.2, input_shape=(784,)))
    model.add(Dense(898, activation="relu", kernel_initializer="he_uniform", kernel_constraint=MaxNorm(4.378)))
    model.add(Dropout(0.5))
    model.add(Dense(1532, activation="relu", kernel_initializer="he_uniform", kernel_constraint=MaxNorm(2.970)))
    model.add(Dropout(0.5))
    model.add(Dense(10, activation="softmax", kernel_constraint=MaxNorm(4.627)))
    optimizer = SGD(learning_rate=0.097259, momentum=MOMENTUM[0])
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


def rising_momentum(model: Sequential) -> list[Any]:
    """Momentum that rises from epoch to epoch."""
    low, high, epochs = MOMENTUM

    def rise(epoch: int, logs: Any) -> None:
        model.optimizer.momentum = low + (high - low) * min(1.0, epoch / epochs)

    return [LambdaCallback(on_epoch_begin=rise)]


RECIPES = {
    "mnist_mlp": Recipe(
        mnist_mlp, lambda model: [], 128, 20,
        "98.40 % after 20 epochs (keras-team/keras, examples/mnist_mlp.py, 2.3.0)", 3,
    ),
    "max_norm": Recipe(
        max_norm, rising_momentum, 100, 698,
        "98.92 % (stopped by validation), 98.95 % (all rows) after some 700 epochs (lisa-lab/pylearn2, "
        "scripts/papers/dropout)", 1,
    ),
}  # fmt: skip


def images(folder: str | None) -> list[tuple[Any, Any]]:
    """Rows of 784 numbers from 0 to 1, and labels, to train and to test on."""
    return [((x.reshape(len(x), -1) / np.float32(255)).astype(np.float32), y) for x, y in mnist.load_data(folder)]


def run(recipe: Recipe, data: list[tuple[Any, Any]], epochs: int, seed: int) -> tuple[list[float], float]:
    """The test accuracy after each epoch, and seconds an epoch."""
    (x, y), test = data
    model = recipe.make(seed)
    began = time.perf_counter()
    history = model.fit(
        x, y, batch_size=recipe.batch, epochs=epochs, validation_data=test, callbacks=recipe.callbacks(model), verbose=0
    )
    return history.history["val_accuracy"], (time.perf_counter() - began) / epochs


def main() -> None:
    """Train, and print a line for each run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=["mnist_mlp"], help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--data", metavar="FOLDER", help="with MNIST's idx files; by default NBDL_DATA names it")
    parser.add_argument("--epochs", type=int, help="fewer or more than the publication's")
    parser.add_argument("--seeds", type=int, help="so many runs")
    options = parser.parse_args()
    if unknown := set(options.recipes) - set(RECIPES):
        parser.error(f"unknown {', '.join(unknown)}; known: {', '.join(RECIPES)}")
    data = images(options.data)
    for name in options.recipes:
        recipe = RECIPES[name]
        print(f"{name}, published: {recipe.published}")
        for seed in range(1, 1 + (options.seeds or recipe.seeds)):
            epochs = options.epochs or recipe.epochs
            curve, seconds = run(recipe, data, epochs, seed)
            marks = sorted({epoch for epoch in (1, 2, 5, 10, 20, 50, 100, 200, 400) if epoch < epochs} | {epochs})
            shown = ", ".join(f"{epoch}: {curve[epoch - 1]:.2%}" for epoch in marks)
            print(f"  seed {seed}: test accuracy after epoch {shown}; {seconds:.2f} s an epoch", flush=True)


if __name__ == "__main__":
    main()
