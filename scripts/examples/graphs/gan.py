"""A GAN that learns a ring of points: a maker, a judge, and a loop of one's own with a step for each.

python scripts/examples/graphs/gan.py
"""

from __future__ import annotations

import numpy as np

from nbdl import Model, Sequential, optimizers, value_and_gradient
from nbdl.layers import Dense, Input

BATCH = 128
LOSS = "binary_crossentropy"


def main(steps: int = 1500) -> float:
    """Train it; return how far the points that it makes lie from the ring, on average."""
    rng = np.random.default_rng(0)
    maker = Sequential([Dense(32, activation="relu", input_dim=2), Dense(32, activation="relu"), Dense(2)], seed=1)
    layers = [Dense(32, activation="relu", input_dim=2), Dense(32, activation="relu"), Dense(1, "sigmoid")]
    judge = Sequential(layers, seed=2)
    noise = Input(shape=(2,))
    both = Model(noise, judge(maker(noise)), seed=3)
    judging, making = optimizers.Adam(0.002, beta_1=0.5), optimizers.Adam(0.002, beta_1=0.5)
    for _ in range(steps):
        angle = rng.uniform(0.0, 2.0 * np.pi, BATCH)
        real = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        points = np.concatenate([real, maker(rng.normal(size=(BATCH, 2)))])
        judge.trainable = True  # acts at once: each of the two steps says whose weights it changes
        _, gradients = value_and_gradient(judge, points, np.repeat([1.0, 0.0], BATCH), LOSS)
        judging.apply(gradients, judge)
        judge.trainable = False
        _, gradients = value_and_gradient(both, rng.normal(size=(BATCH, 2)), np.ones(BATCH), LOSS)
        making.apply(gradients, both)
    made = maker.predict(rng.normal(size=(1000, 2)))
    distance = float(np.abs(np.linalg.norm(made, axis=1) - 1.0).mean())
    print(f"distance from the ring {distance:.3f}")
    return distance


if __name__ == "__main__":
    main()
