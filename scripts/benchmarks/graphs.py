"""The five short programs of `scripts/examples/graphs` beside Keras 3: the time of a step, and what both learn.

    PYTHONPATH=scripts python -m benchmarks.graphs

Both sides are built by the same lines, and trained by `fit` with the same data and batches; the GAN by two
`train_on_batch` in turns. They take turns in one process: some epochs here, as many there. A time is the median of the
turns, after a turn that is not counted. Keras and JAX are needed: `pip install keras jax`.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import numpy as np
from parity.graphs import CROSS, Namespace

from benchmarks.machine import cores, processor

TURNS = 7


@dataclass
class Trained:
    """One side of a program.

    Args:
        run: trains for a turn.
        steps: of a turn.
        quality: a figure of the trained model.
    """

    run: Callable[[], Any]
    steps: int
    quality: Callable[[], float]


def fitted(model: Any, x: Any, y: Any, epochs: int, quality: Callable[[], float]) -> Trained:
    """A program that is one `fit`."""
    rows = len(x[0]) if isinstance(x, list) else len(x)
    return Trained(lambda: model.fit(x, y, epochs=epochs, verbose=0), epochs * -(-rows // 32), quality)


class Nbdl(Namespace):
    """nbdl's names, and a normal code with its divergence."""

    def __init__(self) -> None:
        import nbdl

        super().__init__(nbdl.layers, nbdl)
        self.Adam = nbdl.optimizers.Adam

    def sampled(self, mean: Any, log_variance: Any) -> Any:
        from examples.graphs.variational import deviation, zero

        noise = self.GaussianNoise(1.0)(self.Lambda(zero)(mean))
        return self.Add()([mean, self.Multiply()([noise, self.Lambda(deviation)(log_variance)])])

    def add_divergence(self, model: Any, mean: Any, log_variance: Any) -> None:
        from examples.graphs.variational import divergence

        model.add_loss(self.Lambda(lambda m, v: 0.002 * divergence(m, v))([mean, log_variance]))


class Keras(Namespace):
    """Keras's names; its code is a layer that adds the divergence, as Keras 3 has no `add_loss` of a tensor."""

    def __init__(self) -> None:
        import keras

        super().__init__(keras.layers, keras)
        self.Adam = keras.optimizers.Adam

        class Sampled(keras.layers.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.seeds = keras.random.SeedGenerator(1)

            def call(self, inputs: Any) -> Any:
                mean, log_variance = inputs
                apart = 0.5 * (mean * mean + keras.ops.exp(log_variance) - log_variance - 1.0)
                self.add_loss(0.002 * keras.ops.mean(apart))
                noise = keras.random.normal(keras.ops.shape(mean), seed=self.seeds)
                return mean + noise * keras.ops.exp(0.5 * log_variance)

        self.Sampled = Sampled

    def sampled(self, mean: Any, log_variance: Any) -> Any:
        return self.Sampled()([mean, log_variance])

    def add_divergence(self, model: Any, mean: Any, log_variance: Any) -> None:
        """Do nothing: `sampled` has done it."""


def digits() -> tuple[Any, Any, Any, Any]:
    """The digits, as float32."""
    import nbdl.datasets

    (x, y), (x_test, y_test) = nbdl.datasets.digits.load_data()
    return x.astype(np.float32), y, x_test.astype(np.float32), y_test


def residual(k: Any) -> Trained:
    x, y, x_test, y_test = digits()
    image = k.Input((64,))
    h = k.Dense(48)(image)
    for _ in range(4):
        h = k.Add()([h, k.Dense(48)(k.Dense(48, activation="relu")(k.LayerNormalization()(h)))])
    model = k.Model(image, k.Dense(10, activation="softmax")(h))
    model.compile("adam", CROSS)
    return fitted(model, x, y, 3, lambda: float((model.predict(x_test, verbose=0).argmax(1) == y_test).mean()))


def two_towers(k: Any) -> Trained:
    rng = np.random.default_rng(0)
    people, films = (rng.normal(size=(4000, columns)).astype(np.float32) for columns in (8, 6))
    likes = ((people[:, :3] * films[:, :3]).sum(axis=1) > 0).astype(np.float32)[:, None]
    age = np.tanh(people @ rng.normal(size=8) / 3).astype(np.float32)[:, None]
    person, film = k.Input((8,), name="person"), k.Input((6,), name="film")
    h = k.Dense(64, activation="relu")(person)
    left, right = k.Dense(16)(h), k.Dense(16)(k.Dense(64, activation="relu")(film))
    ends = [k.Dense(1, activation="sigmoid", name="likes")(k.Dot(axes=1)([left, right])), k.Dense(1, name="age")(h)]
    model = k.Model([person, film], ends)
    model.compile("adam", ["binary_crossentropy", "mse"], loss_weights=[1.0, 0.5])
    x = [people, films]
    return fitted(model, x, [likes, age], 2, lambda: float(((model.predict(x, verbose=0)[0] > 0.5) == likes).mean()))


def variational(k: Any) -> Trained:
    x, _, _, _ = digits()
    image = k.Input((64,))
    h = k.Dense(48, activation="relu")(image)
    mean, log_variance = k.Dense(8, name="mean")(h), k.Dense(8, name="log_variance")(h)
    code = k.sampled(mean, log_variance)
    model = k.Model(image, k.Dense(64, activation="sigmoid")(k.Dense(48, activation="relu")(code)))
    k.add_divergence(model, mean, log_variance)
    model.compile("adam", "mse")
    return fitted(model, x, x, 4, lambda: float(np.mean((model.predict(x, verbose=0) - x) ** 2)))


def siamese(k: Any) -> Trained:
    from examples.graphs.siamese import pairs

    x, y, x_test, y_test = digits()
    layers = [k.Input((64,)), k.Dense(64, activation="relu"), k.Dense(32, activation="relu")]
    tower = k.Sequential(layers, name="tower")
    one, other = k.Input((64,), name="one"), k.Input((64,), name="other")
    apart = k.Subtract()([tower(one), tower(other)])
    model = k.Model([one, other], k.Dense(1, activation="sigmoid")(k.Multiply()([apart, apart])))
    model.compile("adam", "binary_crossentropy")
    (data, equal), (test, wanted) = pairs(x, y, 6000, 1), pairs(x_test, y_test, 1000, 2)
    return fitted(model, data, equal, 2, lambda: float(((model.predict(test, verbose=0)[:, 0] > 0.5) == wanted).mean()))


def gan(k: Any) -> Trained:
    rng = np.random.default_rng(0)
    maker = k.Sequential([k.Input((2,)), k.Dense(32, activation="relu"), k.Dense(32, activation="relu"), k.Dense(2)])
    judge = k.Sequential(
        [
            k.Input((2,)),
            k.Dense(32, activation="relu"),
            k.Dense(32, activation="relu"),
            k.Dense(1, activation="sigmoid"),
        ]
    )
    judge.compile(k.Adam(0.002, beta_1=0.5), "binary_crossentropy")
    noise = k.Input((2,))
    both = k.Model(noise, judge(maker(noise)))
    both.compile(k.Adam(0.002, beta_1=0.5), "binary_crossentropy")
    real_or_made, real = np.repeat([1.0, 0.0], 128).astype(np.float32)[:, None], np.ones((128, 1), np.float32)

    def normal(rows: int) -> Any:
        return rng.normal(size=(rows, 2)).astype(np.float32)

    def run() -> None:
        for _ in range(100):
            angle = rng.uniform(0.0, 2.0 * np.pi, 128).astype(np.float32)
            circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            judge.trainable = True
            judge.train_on_batch(np.concatenate([circle, np.asarray(maker(normal(128)))]), real_or_made)
            judge.trainable = False
            both.train_on_batch(normal(128), real)

    def distance() -> float:
        return float(np.abs(np.linalg.norm(maker.predict(normal(1000), verbose=0), axis=1) - 1.0).mean())

    return Trained(run, 200, distance)


def main() -> int:
    """Print the table."""
    import nbdl

    print(f"{processor()}, {cores()} cores; Keras on JAX; median of {TURNS} turns, least and most\n")
    print(
        "| program | nbdl, µs a step | Keras, µs a step | factor | nbdl learns | Keras learns |\n"
        "|---|---|---|---|---|---|"
    )
    for program in (residual, two_towers, variational, gan, siamese):
        nbdl.set_random_seed(1)
        sides = [program(side()) for side in (Nbdl, Keras)]
        times: list[list[float]] = [[], []]
        for turn in range(TURNS + 1):
            for side, several in zip(sides, times, strict=True):
                began = time.perf_counter()
                side.run()
                if turn:
                    several.append(1e6 * (time.perf_counter() - began) / side.steps)
        own, theirs = (statistics.median(several) for several in times)
        cells = [f"{statistics.median(one):.0f} ({min(one):.0f} to {max(one):.0f})" for one in times]
        learned = [f"{side.quality():.3f}" for side in sides]
        name = program.__name__.replace("_", " ")
        print(f"| {name} | {' | '.join(cells)} | {theirs / own:.1f} | {' | '.join(learned)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
