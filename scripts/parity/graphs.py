"""Graphs beside Keras 3: the same description builds both, from the same weights, over the same batches.

    PYTHONPATH=scripts python -m parity.graphs            # some minutes
    PYTHONPATH=scripts python -m parity.graphs residual gate
    PYTHONPATH=scripts python -m parity.graphs --random 50

For each graph both sides make 50 steps of Adam, or of momentum where the graphs are made at random. The table has the
worst tensor's ‖Δw‖/‖w‖ after 1 and 50 steps. Beside it stands Keras against itself with the rows of each batch in
another order, which float32's rounding alone tells apart; and the time of a step. Keras and JAX are needed:
`pip install keras jax`.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import numpy as np

ROWS, BATCH, STEPS = 320, 32, 50
RNG = np.random.default_rng(7)
A = RNG.normal(size=(ROWS, 12)).astype(np.float32)
B = RNG.normal(size=(ROWS, 12)).astype(np.float32)
WORDS = RNG.integers(0, 9, size=(ROWS, 3))
NUMBER = np.tanh(A[:, :1] * B[:, :1]).astype(np.float32)
LABEL = (A[:, 0] + B[:, 0] > 0).astype(np.int64)
ONE_HOT = np.eye(3, dtype=np.float32)[np.digitize(A[:, 0], (-0.5, 0.5))]
CROSS = "sparse_categorical_crossentropy"

Graph = Callable[[Any], tuple[Any, Any]]  # of a side's names: the model, and what compile takes
GRAPHS: dict[str, tuple[Graph, Any, Any]] = {}


def graph(x: Any, y: Any) -> Callable[[Graph], Graph]:
    """Enter a graph with its data."""

    def enter(build: Graph) -> Graph:
        GRAPHS[build.__name__] = build, x, y
        return build

    return enter


def mse(model: Any) -> tuple[Any, Any]:
    return model, {"loss": "mse"}


@graph(A, NUMBER)
def residual(k: Any) -> Any:
    x = k.Input((12,))
    h = k.Dense(12, activation="relu", name="a")(x)
    h = k.Add()([x, k.Dense(12, name="b")(h)])
    return mse(k.Model(x, k.Dense(1, name="out")(h)))


@graph(A, LABEL)
def deep_residual(k: Any) -> Any:
    x = k.Input((12,))
    h = k.Dense(16, name="in")(x)
    for number in range(4):
        inner = k.Dense(16, activation="relu", name=f"up{number}")(k.LayerNormalization(name=f"norm{number}")(h))
        h = k.Add()([h, k.Dense(16, name=f"down{number}")(inner)])
    return k.Model(x, k.Dense(2, activation="softmax", name="out")(h)), {"loss": CROSS}


@graph(A, NUMBER)
def diamond(k: Any) -> Any:
    x = k.Input((12,))
    h = k.Dense(8, activation="tanh", name="a")(x)
    left, right = k.Dense(8, activation="sigmoid", name="l")(h), k.Dense(8, activation="relu", name="r")(h)
    return mse(k.Model(x, k.Dense(1, name="out")(k.Multiply()([left, right]))))


@graph(A, LABEL)
def branches_side_by_side(k: Any) -> Any:
    x = k.Input((12,))
    parts = [k.Dense(4, activation=name, name=f"b{name}")(x) for name in ("relu", "tanh", "elu")]
    return k.Model(x, k.Dense(2, activation="softmax", name="out")(k.Concatenate()(parts))), {"loss": CROSS}


@graph(A, NUMBER)
def gate(k: Any) -> Any:
    x = k.Input((12,))
    opened = k.Dense(1, activation="sigmoid", name="gate")(x)
    h = k.Multiply()([k.Dense(8, activation="tanh", name="h")(x), opened])
    return mse(k.Model(x, k.Dense(1, name="out")(h)))


@graph([A, B], LABEL)
def siamese(k: Any) -> Any:
    a, b = k.Input((12,), name="left"), k.Input((12,), name="right")
    layers = [k.Input((12,)), k.Dense(8, activation="relu", name="t1"), k.Dense(6, name="t2")]
    tower = k.Sequential(layers, name="tower")
    apart = k.Subtract()([tower(a), tower(b)])
    out = k.Dense(1, activation="sigmoid", name="out")(k.Multiply()([apart, apart]))
    return k.Model([a, b], out), {"loss": "binary_crossentropy"}


@graph(A, ONE_HOT)
def ensemble(k: Any) -> Any:
    x = k.Input((12,))
    heads = [k.Dense(3, activation="softmax", name=f"head{number}")(x) for number in range(4)]
    return k.Model(x, k.Average()(heads)), {"loss": "categorical_crossentropy"}


@graph(A, NUMBER)
def largest_of_branches(k: Any) -> Any:
    x = k.Input((12,))
    return mse(k.Model(x, k.Dense(1, name="out")(k.Maximum()([k.Dense(8, name=f"m{n}")(x) for n in range(3)]))))


@graph(A, NUMBER)
def smallest_of_branches(k: Any) -> Any:
    x = k.Input((12,))
    return mse(k.Model(x, k.Dense(1, name="out")(k.Minimum()([k.Dense(8, name=f"m{n}")(x) for n in range(2)]))))


@graph([A, B], NUMBER)
def two_towers(k: Any) -> Any:
    a, b = k.Input((12,), name="user"), k.Input((12,), name="item")
    left, right = k.Dense(8, activation="relu", name="u")(a), k.Dense(8, activation="relu", name="i")(b)
    return mse(k.Model([a, b], k.Dot(axes=1)([left, right])))


@graph([A, B], NUMBER)
def cosine_towers(k: Any) -> Any:
    a, b = k.Input((12,), name="user"), k.Input((12,), name="item")
    left, right = k.Dense(8, activation="tanh", name="u")(a), k.Dense(8, activation="tanh", name="i")(b)
    return mse(k.Model([a, b], k.Dot(axes=1, normalize=True)([left, right])))


@graph([A, B], [LABEL, NUMBER])
def two_losses(k: Any) -> Any:
    a, b = k.Input((12,), name="a"), k.Input((12,), name="b")
    both = k.Concatenate()([k.Dense(8, activation="relu", name="x")(a), k.Dense(8, activation="relu", name="y")(b)])
    outputs = [k.Dense(2, activation="softmax", name="cls")(both), k.Dense(1, name="reg")(both)]
    return k.Model([a, b], outputs), {"loss": [CROSS, "mse"], "loss_weights": [1.0, 0.3]}


@graph(A, NUMBER)
def layer_used_three_times(k: Any) -> Any:
    x = k.Input((12,))
    layer, h = k.Dense(12, activation="tanh", name="again"), x
    for _ in range(3):
        h = layer(h)
    return mse(k.Model(x, k.Dense(1, name="out")(h)))


@graph(A, NUMBER)
def frozen_branch(k: Any) -> Any:
    x = k.Input((12,))
    frozen = k.Dense(8, activation="relu", name="frozen")
    frozen.trainable = False
    h = k.Concatenate()([frozen(x), k.Dense(4, activation="relu", name="free")(x)])
    return mse(k.Model(x, k.Dense(1, name="out")(h)))


@graph(A, NUMBER)
def model_used_twice(k: Any) -> Any:
    z = k.Input((12,))
    block = k.Model(z, k.Add()([z, k.Dense(12, activation="tanh", name="inner")(z)]), name="block")
    x = k.Input((12,))
    return mse(k.Model(x, k.Dense(1, name="out")(block(block(x)))))


@graph(A, [ONE_HOT, ONE_HOT])
def softmax_that_others_read(k: Any) -> Any:
    x = k.Input((12,))
    p = k.Dense(3, activation="softmax", name="p")(x)
    q = k.Dense(3, activation="softmax", name="q")(k.Concatenate()([p, x]))
    return k.Model(x, [p, q]), {"loss": ["categorical_crossentropy"] * 2, "loss_weights": [0.5, 1.0]}


@graph(A, [A, NUMBER])
def autoencoder_with_a_head(k: Any) -> Any:
    x = k.Input((12,))
    code = k.Dense(4, activation="tanh", name="code")(k.Dense(8, activation="relu", name="e")(x))
    back = k.Dense(12, name="back")(k.Dense(8, activation="relu", name="d")(code))
    return k.Model(x, [back, k.Dense(1, name="head")(code)]), {"loss": ["mse", "mae"], "loss_weights": [1.0, 0.2]}


@graph(A, NUMBER)
def penalties_on_branches(k: Any) -> Any:
    x = k.Input((12,))
    left = k.Dense(8, activation="relu", kernel_regularizer=k.l2(0.01), name="l")(x)
    right = k.Dense(8, activation="tanh", kernel_constraint=k.max_norm(1.0), name="r")(x)
    return mse(k.Model(x, k.Dense(1, name="out")(k.Add()([left, right]))))


@graph(A, NUMBER)
def normalised_branches(k: Any) -> Any:
    x = k.Input((12,))
    left, right = (k.BatchNormalization(name=f"n{n}")(k.Dense(8, use_bias=False, name=f"d{n}")(x)) for n in range(2))
    return mse(k.Model(x, k.Dense(1, name="out")(k.Multiply()([left, right]))))


@graph([WORDS, A], NUMBER)
def words_and_numbers(k: Any) -> Any:
    words, numbers = k.Input((3,), name="words"), k.Input((12,), name="numbers")
    known = k.Flatten()(k.Embedding(9, 4, name="table")(words))
    both = k.Concatenate()([known, k.Dense(6, activation="relu", name="n")(numbers)])
    return mse(k.Model([words, numbers], k.Dense(1, name="out")(both)))


@graph(A, LABEL)
def densely_connected(k: Any) -> Any:
    x = k.Input((12,))
    seen = [x]
    for number in range(4):
        before = seen[0] if len(seen) == 1 else k.Concatenate()(list(seen))
        seen.append(k.Dense(6, activation="relu", name=f"d{number}")(before))
    return k.Model(x, k.Dense(2, activation="softmax", name="out")(k.Concatenate()(list(seen)))), {"loss": CROSS}


@graph([A, B], [NUMBER, NUMBER])
def losses_on_one_value(k: Any) -> Any:
    a, b = k.Input((12,), name="a"), k.Input((12,), name="b")
    h = k.Add()([k.Dense(6, activation="tanh", name="x")(a), k.Dense(6, activation="tanh", name="y")(b)])
    first = k.Dense(1, name="first")(h)
    return k.Model([a, b], [first, k.Dense(1, name="second")(k.Concatenate()([h, first]))]), {"loss": ["mse", "huber"]}


# -- graphs at random ---------------------------------------------------------------------------------------

MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
ENDS = (("linear", "mse", NUMBER), ("sigmoid", "binary_crossentropy", LABEL[:, None]), ("tanh", "mae", NUMBER))


def enter_random(seed: int) -> str:
    """Enter a graph of one or two inputs and losses: branches, shared layers, models within it, frozen parts."""
    name, draw = f"random_{seed}", random.Random(seed)
    inputs, ends = draw.randint(1, 2), [draw.choice(ENDS) for _ in range(draw.randint(1, 2))]
    choices = draw.randint(0, 1 << 30)  # the same on both sides

    def build(k: Any) -> tuple[Any, Any]:
        draw = random.Random(choices)
        known = [k.Input((12,), name=f"in{number}") for number in range(inputs)]
        given, shared = list(known), []
        for number in range(draw.randint(3, 7)):
            known.append(at_random(k, draw, known, shared, number))
        outputs = [
            k.Dense(1, activation=activation, name=f"out{number}")(draw.choice(known[inputs:]))
            for number, (activation, _, _) in enumerate(ends)
        ]
        model = k.Model(given, outputs)
        for layer in sorted(layers_of(model).values(), key=lambda layer: layer.name):
            if draw.random() < 0.2 and not layer.name.startswith("out"):
                layer.trainable = False
        return model, {"loss": [loss for _, loss, _ in ends], "loss_weights": [1.0, 0.5][: len(ends)]}

    GRAPHS[name] = build, [A, B][:inputs], [y for _, _, y in ends]
    return name


def at_random(k: Any, draw: random.Random, known: list[Any], shared: list[Any], number: int) -> Any:
    """Return one more tensor of 12 columns, made of known ones."""
    a, b = draw.choice(known), draw.choice(known)
    kind = draw.choice(("dense", "dense", "shared", "norm", "merge", "concat", "dot", "model"))
    if kind == "shared" and shared:
        return draw.choice(shared)(a)
    if kind == "norm":
        return draw.choice((k.LayerNormalization, k.BatchNormalization))(name=f"n{number}")(a)
    if kind == "merge":
        return getattr(k, draw.choice(MERGES))(name=f"m{number}")([a, b])
    if kind == "concat":
        return k.Dense(12, activation="tanh", name=f"d{number}")(k.Concatenate(name=f"c{number}")([a, b]))
    if kind == "dot":
        return k.Multiply(name=f"m{number}")([a, k.Dot(axes=1, normalize=True, name=f"p{number}")([a, b])])
    if kind == "model":
        layers = [k.Input((12,)), k.Dense(5, activation="tanh", name=f"i{number}"), k.Dense(12, name=f"o{number}")]
        return k.Sequential(layers, name=f"model{number}")(a)
    shared.append(k.Dense(12, activation=draw.choice(("tanh", "sigmoid", "softplus", "relu")), name=f"d{number}"))
    return shared[-1](a)


# -- both sides ---------------------------------------------------------------------------------------------


class Namespace:
    """Layers, models and units of one side, under Keras's names."""

    def __init__(self, layers: Any, package: Any) -> None:
        self.layers, self.Model, self.Sequential = layers, package.Model, package.Sequential
        self.l2, self.max_norm = package.regularizers.L2, package.constraints.MaxNorm

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layers, name)


def layers_of(model: Any) -> dict[str, Any]:
    """All layers by name, those within models too."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        found |= layers_of(layer) if hasattr(layer, "layers") else {layer.name: layer}
    return found


def optimizer(package: Any, name: str) -> Any:
    """Adam; for graphs at random, momentum, whose steps are as large as the gradients."""
    if name.startswith("random"):
        return package.optimizers.SGD(0.02, momentum=0.9)
    return package.optimizers.Adam(0.01)


def compared(name: str) -> tuple[float, float, float, float, float]:
    """The worst tensor after 1 and after 50 steps; that of Keras against itself; µs of a step on either side."""
    import keras

    import nbdl

    build, x, y = GRAPHS[name]
    nbdl.set_random_seed(1)
    mine, how = build(Namespace(nbdl.layers, nbdl))
    theirs, again = (build(Namespace(keras.layers, keras))[0] for _ in range(2))
    other, floor = layers_of(theirs), layers_of(again)
    own = {key: layer for key, layer in layers_of(mine).items() if layer.weights}
    for key, layer in own.items():
        for layers in (other, floor):
            layers[key].set_weights(layer.get_weights())
    mine.compile(optimizer=optimizer(nbdl, name), **how)
    for model in (theirs, again):
        model.compile(optimizer=optimizer(keras, name), **how)
    apart, times = [], {"nbdl": list[float](), "Keras": list[float]()}
    backwards = np.arange(BATCH)[::-1]
    for step in range(STEPS):
        part = slice(step * BATCH % ROWS, step * BATCH % ROWS + BATCH)
        rows = [[one[part] for one in data] if isinstance(data, list) else data[part] for data in (x, y)]
        for side, model in (("nbdl", mine), ("Keras", theirs)):
            began = time.perf_counter()
            model.train_on_batch(*rows)
            times[side].append(time.perf_counter() - began)
        again.train_on_batch(*([one[backwards] for one in d] if isinstance(d, list) else d[backwards] for d in rows))
        if step in (0, STEPS - 1):
            apart.append(max(distance(layer, other[key]) for key, layer in own.items()))
    apart.append(max(distance(floor[key], other[key]) for key in own))
    return (*apart, *(1e6 * statistics.median(several[5:]) for several in times.values()))  # type: ignore[return-value]


def distance(layer: Any, other: Any) -> float:
    """The worst ‖Δw‖/‖w‖ of a layer's weights."""
    pairs = zip(layer.get_weights(), other.get_weights(), strict=True)
    return max(float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-6)) for a, b in pairs)


def main() -> int:
    """Print the table; exit with 1 if a graph is further away than rounding brings it."""
    if sys.argv[1:2] == ["--random"]:
        names = [enter_random(seed) for seed in range(int(sys.argv[2]))]
    else:
        names = sys.argv[1:] or list(GRAPHS)
    worst = [0.0, 0.0]
    print(
        "| graph | 1 step | 50 steps | Keras itself | nbdl, µs a batch | Keras, µs a batch |\n|---|---|---|---|---|---|"
    )
    for name in names:
        first, last, floor, own, theirs = compared(name)
        worst = [max(worst[0], first), max(worst[1], last / max(1.0, floor / 1e-4))]
        print(
            f"| {name.replace('_', ' ')} | {first:.1e} | {last:.1e} | {floor:.1e} | {own:.0f} | {theirs:.0f} |",
            flush=True,
        )
    print(f"\n{len(names)} graphs; largest {worst[0]:.1e} after 1 step, {worst[1]:.1e} after 50")
    return int(worst[0] > 1e-4 or worst[1] > 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
