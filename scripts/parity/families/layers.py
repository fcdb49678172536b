"""Layers that neither normalise nor draw random numbers; MaxoutDense, which Keras lacks, beside NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from parity import tasks
from parity.cases import Array, Case, Side, Task, Training, Truth, descent, squares, titled

Layers = Callable[[Side], list[Any]]
MATRIX = (4, 5)  # rows of this shape, where a layer is about shapes


def between(name: str, *arguments: Any, **settings: Any) -> Layers:
    """The layer between two dense ones."""
    return lambda side: [
        side.layers.Dense(16),
        getattr(side.layers, name)(*arguments, **settings),
        side.layers.Dense(3),
    ]


def of_matrices(name: str, *arguments: Any, **settings: Any) -> Layers:
    """The layer between two dense ones, on rows of shape `MATRIX`; what it gives is flattened."""

    def net(side: Side) -> list[Any]:
        made = getattr(side.layers, name)(*arguments, **settings)
        units = MATRIX[0] * MATRIX[1]
        first = [side.layers.Dense(units, activation="tanh"), side.layers.Reshape(MATRIX)]
        return [*first, made, side.layers.Flatten(), side.layers.Dense(3)]

    return net


def case(name: str, settings: dict[str, Any] | None = None, suffix: str = "") -> Training:
    """A layer between two dense ones."""
    settings = settings or {}
    task = tasks.regression(2.0)
    return Training(
        titled(name, settings, suffix),
        (f"layers/{name}",),
        between(name, **settings),
        optimizer=descent(0.01),
        task=task,
    )


def shaped(name: str, *arguments: Any, **settings: Any) -> Training:
    """A layer that is about shapes, or works on matrices."""
    inner = ", ".join([*map(str, arguments), *(f"{key}={value}" for key, value in settings.items())])
    title = f"{name}({inner}) of matrices" if inner else f"{name} of matrices"
    return Training(title, (f"layers/{name}",), of_matrices(name, *arguments, **settings), optimizer=descent(0.02))


def words() -> Task:
    """Rows of four of twelve words."""
    x = tasks.rng(6).integers(0, 12, (tasks.ROWS, 4))
    return Task(x.astype(np.float32), tasks.answers())


def embedding(settings: dict[str, Any]) -> Training:
    """Word vectors, flattened."""

    def net(side: Side) -> list[Any]:
        return [side.layers.Embedding(**sizes, **settings), side.layers.Flatten(), side.layers.Dense(3)]

    sizes = {"input_dim": 12, "output_dim": 5}
    return Training(titled("Embedding", {**sizes, **settings}), ("layers/Embedding",), net, task=words)


def cases() -> Iterator[Case]:
    """All of them."""
    yield Training("Dense, use_bias=False", ("layers/Dense",), lambda side: [
        side.layers.Dense(16, activation="tanh", use_bias=False), side.layers.Dense(3, use_bias=False)])  # fmt: skip
    yield Training("Input", ("layers/Input",), lambda side: [
        *([side.layers.Input((20,))] if side.name == "nbdl" else []), side.layers.Dense(3)])  # fmt: skip
    yield Training("Activation", ("layers/Activation",), between("Activation", "tanh"))
    yield Training("Flatten", ("layers/Flatten",), lambda side: [side.layers.Flatten(), side.layers.Dense(3)],
                   task=tasks.regression(1.0, MATRIX))  # fmt: skip
    yield shaped("Reshape", (5, 4))
    yield shaped("Reshape", (2, -1))
    yield shaped("Permute", (2, 1))
    yield Training("RepeatVector(3)", ("layers/RepeatVector",), lambda side: [
        side.layers.Dense(6, activation="tanh"), side.layers.RepeatVector(3), side.layers.Flatten(),
        side.layers.Dense(3)])  # fmt: skip
    yield embedding({})
    yield embedding({"embeddings_regularizer": "l2"})
    for name, settings in (
        ("ActivityRegularization", {"l1": 0.01, "l2": 0.02}),
        ("LeakyReLU", {}), ("LeakyReLU", {"negative_slope": 0.05}),
        ("PReLU", {}), ("ELU", {}), ("ELU", {"alpha": 0.5}), ("Softmax", {}),
        ("ReLU", {}), ("ReLU", {"max_value": 3.0, "negative_slope": 0.2, "threshold": 1.0}),
    ):  # fmt: skip
        yield case(name, settings)
    yield Training("Identity, a layer", ("layers/Identity",), between("Identity"))
    yield Training("ThresholdedReLU(0.5)", ("layers/ThresholdedReLU",), lambda side: [
        side.layers.Dense(16), side.layers.ThresholdedReLU(0.5) if side.name == "nbdl"
        else side.layers.ReLU(threshold=0.5), side.layers.Dense(3)], optimizer=descent(0.01),
        task=tasks.regression(2.0))  # fmt: skip
    yield shaped("PReLU", shared_axes=[1, 2])
    yield maxout()


def maxout() -> Training:
    """The largest of three linear functions, then a dense layer."""

    def forward(weights: Sequence[Array], x: Array) -> Array:
        *pieces, kernel, bias = weights
        hidden = np.max([x @ pieces[i] + pieces[i + 1] for i in range(0, len(pieces), 2)], axis=0)
        return hidden @ kernel + bias

    truth = Truth(forward, squares, lambda step: 0.05)
    return Training(
        "MaxoutDense(4, nb_feature=3)", ("layers/MaxoutDense",),
        lambda side: [side.layers.MaxoutDense(4, 3), side.layers.Dense(3)], truth=truth,
    )  # fmt: skip
