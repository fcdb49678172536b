"""Two towers and two losses: who likes what, and how old they are.

python scripts/examples/graphs/two_towers.py
"""

from __future__ import annotations

import numpy as np

from nbdl import Model
from nbdl.layers import Dense, Dot, Input


def main() -> float:
    """Train it on made-up people and films; return how often it tells whether someone likes a film."""
    rng = np.random.default_rng(0)
    people, films = rng.normal(size=(4000, 8)), rng.normal(size=(4000, 6))
    likes = (people[:, :3] * films[:, :3]).sum(axis=1) > 0
    age = np.tanh(people @ rng.normal(size=8) / 3)

    person, film = Input(shape=(8,), name="person"), Input(shape=(6,), name="film")
    h = Dense(64, activation="relu")(person)
    left, right = Dense(16)(h), Dense(16)(Dense(64, activation="relu")(film))
    likes_it = Dense(1, activation="sigmoid", name="likes")(Dot(axes=1)([left, right]))
    model = Model([person, film], [likes_it, Dense(1, name="age")(h)], seed=1)
    model.compile("adam", {"likes": "binary_crossentropy", "age": "mse"}, {"age": 0.5}, metrics={"likes": ["accuracy"]})
    x, y = {"person": people, "film": films}, {"likes": likes, "age": age}
    history = model.fit(x, y, epochs=30, verbose=0, validation_split=0.2).history
    accuracy: float = history["val_likes_accuracy"][-1]
    print(f"accuracy {accuracy:.3f}, error of the age {history['val_age_loss'][-1] ** 0.5:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
