"""Random graphs of layers, and their losses in float64, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import nbdl
from nbdl.engine.reference import ReferenceExecutor
from nbdl.engine.run import RunTables
from nbdl.layers import (
    Add,
    Average,
    BatchNormalization,
    Concatenate,
    Dense,
    Dot,
    Input,
    Lambda,
    LayerNormalization,
    Multiply,
    Subtract,
)  # fmt: skip
from nbdl.model.owner import job_of
from nbdl.network.record import evaluation_program

ROWS = 7
ACTIVATIONS = (None, "tanh", "sigmoid", "softplus", "softmax", "swish")
LOSSES = {"linear": "mean_squared_error", "sigmoid": "binary_crossentropy", "softmax": "categorical_crossentropy"}


def joined(a: float, b: float) -> float:
    """A scalar function of two inputs."""
    return a * b + 0.3 * a - b * b


@st.composite
def graphs(draw: st.DrawFn, widths: tuple[int, int] = (2, 5), rows: int = ROWS) -> tuple[nbdl.Model, Any, Any]:
    """A compiled model of one or two inputs and outputs, with its data: shared layers, merges, a frozen part."""
    width = draw(st.integers(*widths))
    inputs = [Input(shape=(width,), name=f"in{number}") for number in range(draw(st.integers(1, 2)))]
    known: list[Any] = list(inputs)
    shared: list[Any] = []
    for _ in range(draw(st.integers(2, 7))):
        kind = draw(st.sampled_from(("dense", "shared", "norm", "merge", "concat", "lambda", "dot", "model")))
        a, b = (draw(st.sampled_from(known)) for _ in range(2))
        if kind == "dense":
            layer = Dense(width, activation=draw(st.sampled_from(ACTIVATIONS)))
            shared.append(layer)
            known.append(layer(a))
        elif kind == "shared" and shared:
            known.append(draw(st.sampled_from(shared))(a))
        elif kind == "norm":
            known.append(draw(st.sampled_from((LayerNormalization, BatchNormalization)))()(a))
        elif kind == "merge":
            known.append(draw(st.sampled_from((Add, Subtract, Multiply, Average)))()([a, b]))
        elif kind == "concat":
            known.append(Dense(width, activation="tanh")(Concatenate()([a, b])))
        elif kind == "lambda":
            known.append(Lambda(joined)([a, b]))
        elif kind == "dot":
            known.append(Multiply()([a, Dot(axes=1, normalize=draw(st.booleans()))([a, b])]))
        elif kind == "model":
            inner = nbdl.Sequential([Dense(3, activation="tanh", input_dim=width), Dense(width)], seed=1)
            known.append(inner(a))
    ends = draw(st.lists(st.sampled_from(sorted(LOSSES)), min_size=1, max_size=2))
    outputs = [
        Dense(2, activation=end, name=f"out{number}")(draw(st.sampled_from(known[len(inputs) :] or known)))
        for number, end in enumerate(ends)
    ]
    model = nbdl.Model(inputs, outputs, seed=draw(st.integers(0, 99)))
    for layer in model.network.all_layers[:-1]:
        if draw(st.integers(0, 4)) == 0:
            layer.trainable = False
    weights = [draw(st.sampled_from((1.0, 0.5, 2.0))) for _ in ends]
    model.compile(loss=[LOSSES[end] for end in ends], loss_weights=weights, optimizer="sgd")
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = [rng.normal(size=(rows, width)).astype(np.float32) for _ in inputs]
    y = [np.eye(2, dtype=np.float32)[rng.integers(0, 2, rows)] for _ in ends]
    return model, x, y


class Loss64:
    """The total loss of a model on a batch, in float64 and as in training, as a function of its weights."""

    def __init__(self, model: nbdl.Model, x: Any, y: Any) -> None:
        job = job_of(model)
        self.setup = job.compiled()
        self.store = job.network.store
        program = evaluation_program(job.network, self.setup, training=True)
        rows = len(x[0])
        self.data = [*x, *y, *(np.ones(rows, np.float32) for _ in y)]
        self.executor = ReferenceExecutor(program, self.store, rows, [None] * len(self.data), None, np.float64)
        self.columns = [name for name, _ in program.log]
        self.steps = np.array([[0, rows, 1, 0]], np.int64)

    def __call__(self, weight: Any, values: np.ndarray) -> float:
        """The loss with other values of one weight."""
        blocks = {block.start: block.data.astype(np.float64) for block in self.store.blocks}
        first = weight.tensor.offset - weight.block.start
        blocks[weight.block.start][first : first + values.size] = values.reshape(-1)
        self.executor.weights = blocks
        log = np.zeros((1, len(self.columns)))
        rows = float(self.steps[0, 1])
        self.executor.run(RunTables(self.steps, np.full((1, 1), rows), log, self.data, None, 0))
        found = dict(zip(self.columns, log[0], strict=True))
        return float(sum(goal.weight * found[goal.logged("loss")] / rows for goal in self.setup.goals))

    def gradient(self, weight: Any, step: float = 1e-5) -> np.ndarray:
        """The derivative by each element of a weight, by differences."""
        start = weight.value.astype(np.float64).reshape(-1)
        found = np.zeros(start.size)
        for index in range(start.size):
            ends = []
            for sign in (1.0, -1.0):
                moved = start.copy()
                moved[index] += sign * step
                ends.append(self(weight, moved))
            found[index] = (ends[0] - ends[1]) / (2.0 * step)
        return found.reshape(weight.shape)
