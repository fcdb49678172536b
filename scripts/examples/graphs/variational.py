"""A variational autoencoder of the digits: the loss of the picture, and by `add_loss` the divergence of the code.

python scripts/examples/graphs/variational.py
"""

from __future__ import annotations

import math

import numpy as np

from nbdl import Model
from nbdl.datasets import digits
from nbdl.layers import Add, Dense, GaussianNoise, Input, Lambda, Multiply


def divergence(mean: float, log_variance: float) -> float:
    """Of a normal distribution from that of mean 0 and variance 1: of one number of the code."""
    return 0.5 * (mean * mean + math.exp(log_variance) - log_variance - 1.0)


def deviation(log_variance: float) -> float:
    """The root of the variance."""
    return math.exp(0.5 * log_variance)


def zero(mean: float) -> float:
    """0, to which noise is added."""
    return 0.0 * mean


def main() -> float:
    """Train it; return the mean squared error of a picture, beside the variance of all pictures."""
    (x, _), _ = digits.load_data()
    image = Input(shape=(64,))
    h = Dense(48, activation="relu")(image)
    mean, log_variance = Dense(8, name="mean")(h), Dense(8, name="log_variance")(h)
    noise = GaussianNoise(1.0)(Lambda(zero)(mean))
    code = Add()([mean, Multiply()([noise, Lambda(deviation)(log_variance)])])
    picture = Dense(64, activation="sigmoid")(Dense(48, activation="relu")(code))
    model = Model(image, picture, seed=1)
    model.add_loss(Lambda(lambda m, v: 0.002 * divergence(m, v))([mean, log_variance]))
    model.compile("adam", "mse")
    model.fit(x, x, epochs=40, verbose=0)
    error = float(np.mean((model.predict(x) - x) ** 2))
    print(f"error {error:.4f}, variance of the pictures {float(np.var(x - x.mean(axis=0))):.4f}")
    return error


if __name__ == "__main__":
    main()
