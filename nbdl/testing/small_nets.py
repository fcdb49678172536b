"""Units at work: a small net with the unit in it learns."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbdl.errors import NbdlError
from nbdl.model.base import Model
from nbdl.model.sequential import Sequential
from nbdl.testing.data import draw
from nbdl.testing.own import Bounded, Descent, Product, Squares, Squashed
from nbdl.testing.probe import Array
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import built, generator, in_a_graph, layer_inputs, reals
from nbdl.units.entry import singular
from nbdl.units.layer import Layer, Shape
from nbdl.units.random import RandomStream

ROWS, FEATURES, EPOCHS = 96, 3, 25


def task(outputs: int, shape: Shape = (FEATURES,)) -> tuple[Array, Array]:
    """Inputs and targets with a relation that a net can learn."""
    rng = generator()
    x = reals(rng, ROWS, *shape) / 2
    flat = x.reshape(ROWS, -1)
    y = np.tanh(flat @ rng.normal(size=(flat.shape[1], outputs)))
    return x, y.astype(np.float32)


def lowers_its_loss(layers: list[Layer], x: Array, y: Array, loss: Any = None, optimizer: Any = None,
                    metrics: Any = ()) -> dict[str, float]:  # fmt: skip
    """Train, and assert that the loss goes down; return the last figures."""
    model = Sequential(layers, seed=1)
    model.build(x.shape[1:] if model.input_shape is None else None)
    return learns(model, x, y, loss or Squares(), optimizer or Descent(), metrics)


def learns(model: Model, x: Any, y: Any, loss: Any, optimizer: Any, metrics: Any = ()) -> dict[str, float]:
    """Train a model, and assert that the loss goes down; return the last figures."""
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics))
    before = model.evaluate(x, y, return_dict=True)["loss"]
    try:
        model.fit(x, y, batch_size=16, epochs=EPOCHS, verbose=0)
    except NbdlError as error:
        raise AssertionError(str(error)) from None
    figures: dict[str, float] = model.evaluate(x, y, return_dict=True)
    assert np.isfinite(list(figures.values())).all(), f"a figure is not finite: {figures}"
    assert figures["loss"] < before, f"the loss went from {before:.4f} to {figures['loss']:.4f} in {EPOCHS} epochs"
    return figures


@check("trains", "activations", "layers", "losses", "optimizers", "regularizers", "initializers", "constraints")
def trains(subject: Subject) -> None:
    """A net of two layers with the unit in it lowers its loss."""
    x, y = task(2)
    if subject.kind == "activations":
        lowers_its_loss([Product(6, subject.make()), Product(2)], x, y, optimizer=Descent(0.03))
    elif subject.kind == "layers":
        layer, shape, _, _ = built(subject, FEATURES)
        layer.name = ""
        x, y = task(2, shape)
        if layer.input_limit is not None:
            x = layer_inputs(layer, generator(), *x.shape)
        called = in_a_graph(layer, shape)
        if called is None:
            lowers_its_loss([layer, Product(2)], x, y)
        else:
            inputs, outputs = called
            rows = [x[:, number] for number in range(len(inputs))] if layer.takes_several else [x]
            model = Model(inputs, [Product(2)(one) for one in outputs], seed=1)
            learns(model, rows, [y] * len(outputs), Squares(), Descent())
    elif subject.kind == "losses":
        _train_loss(subject, x)
    elif subject.kind == "optimizers":
        lowers_its_loss([Product(6), Product(2)], x, y, optimizer=subject.make())
    else:
        argument = singular(subject.kind)
        unit = subject.make()
        if subject.kind == "initializers" and np.unique(unit((9, 9), RandomStream(1, 1))).size == 1:
            lowers_its_loss([Product(2, **{argument: unit})], x, y)  # all units of a hidden layer would be one
        else:
            lowers_its_loss([Product(6, **{argument: unit}), Product(2)], x, y)


def _train_loss(subject: Subject, x: Array) -> None:
    from nbdl.units.registry import registry

    loss, features = subject.make(), 3
    usual = "one-hot" if type(loss).pairs else "reals"
    targets = subject.options.get("targets", usual)
    if loss.target_shape((features,)) != (features,):
        y = np.argmax(x @ generator().normal(size=(FEATURES, features)), axis=1)[:, None].astype(np.float32)
    elif type(loss).pairs:
        y = np.eye(features, dtype=np.float32)[np.argmax(x @ generator().normal(size=(FEATURES, features)), axis=1)]
    else:
        y = draw(targets, len(x), features, generator())
    bounded = not loss.from_logits and subject.options.get("predictions") in ("probabilities", "positive")
    for name in loss.pairs or (None,):
        last = registry.make("activations", name) if name else Squashed() if bounded else None
        lowers_its_loss([Product(6), Product(features, last)], x, y, loss=subject.make(), optimizer=Bounded())
