"""A siamese net on pairs of digits: the same tower looks at both, and their distance tells whether they are equal.

python scripts/examples/graphs/siamese.py
"""

from __future__ import annotations

import numpy as np

from nbdl import Model, Sequential
from nbdl.datasets import digits
from nbdl.layers import Dense, Input, Multiply, Subtract


def pairs(x: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """As many pairs of equal digits as of different ones."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, len(x), count)
    right = np.array([rng.choice(np.flatnonzero((y == y[one]) == bool(n % 2))) for n, one in enumerate(left)])
    return [x[left], x[right]], (y[left] == y[right]).astype(np.float32)


def main() -> float:
    """Train it; return how often it is right about pairs of the test set."""
    (x, y), (x_test, y_test) = digits.load_data()
    tower = Sequential([Dense(64, activation="relu", input_dim=64), Dense(32, activation="relu")], name="tower", seed=1)
    one, other = Input(shape=(64,), name="one"), Input(shape=(64,), name="other")
    apart = Subtract()([tower(one), tower(other)])
    model = Model([one, other], Dense(1, activation="sigmoid")(Multiply()([apart, apart])), seed=2)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(*pairs(x, y, 6000, 1), epochs=15, verbose=0)
    accuracy: float = model.evaluate(*pairs(x_test, y_test, 1000, 2), return_dict=True)["accuracy"]
    print(f"accuracy {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
