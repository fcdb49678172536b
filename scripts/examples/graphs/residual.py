"""A residual net on the digits: each block adds what it finds to what came in.

python scripts/examples/graphs/residual.py
"""

from __future__ import annotations

from nbdl import Model
from nbdl.datasets import digits
from nbdl.layers import Add, Dense, Input, LayerNormalization


def main() -> float:
    """Train it; return its accuracy on the test set."""
    (x, y), (x_test, y_test) = digits.load_data()
    image = Input(shape=(64,))
    h = Dense(48)(image)
    for _ in range(4):
        inner = Dense(48, activation="relu")(LayerNormalization()(h))
        h = Add()([h, Dense(48)(inner)])
    model = Model(image, Dense(10, activation="softmax")(h), seed=1)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, verbose=0)
    accuracy: float = model.evaluate(x_test, y_test, return_dict=True)["accuracy"]
    print(f"accuracy {accuracy:.3f}")
    return accuracy


if __name__ == "__main__":
    main()
