"""The update phase of a training step: regularizer → check → optimizer → states → constraint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbdl.engine.functions import same
from nbdl.engine.program import Recorder, Tensor
from nbdl.specs import Optimizer

if TYPE_CHECKING:
    from nbdl.engine.store import Store, Weight


def update(r: Recorder, optimizer: Optimizer, store: Store, losses: Tensor) -> None:
    """The update phase: regularizer → check → optimizer → states → constraint.

    Weights that lie side by side are updated as one long vector.
    """
    trained = [weight for weight in store.weights if weight.trainable and weight.tensor in r.gradients]
    for weight in trained:
        gradient = r.gradients[weight.tensor]
        gradient.space, gradient.offset, gradient.name = "gradient", weight.tensor.offset, f"∂{weight.name}"
    for weight in trained:
        if weight.regularizer is not None:
            with r.recording(weight.name, "regularize"):
                weight.regularizer.gradient(r, weight.tensor, r.gradients[weight.tensor])
    spans = _spans(trained)
    with r.recording("gradients", "check"):
        r.check(losses)
        for start, size in spans:
            r.check(Tensor((size,), False, "gradient", "gradients", start))
    scalars = [r.scalar(name) for name in optimizer.per_step(1)]
    for start, size in spans:
        with r.recording("optimizer", "update"):
            w = Tensor((size,), False, "weight", "weights", start)
            g = Tensor((size,), False, "gradient", "gradients", start)
            slots = [
                Tensor((size,), False, "slot", name, number * store.trainable_size + start)
                for number, name in enumerate(optimizer.used_slots())
            ]
            r.map(optimizer.update_function(), w, g, *slots, *scalars, into=[w, *slots])
    for state, value in r.assignments:
        with r.recording(state.name, "assign"):
            r.map(same, value, into=[state])
    for weight in trained:
        if weight.constraint is not None:
            with r.recording(weight.name, "constrain"):
                r.map(same, weight.constraint.project(r, weight.tensor), into=[weight.tensor])


def _spans(weights: Sequence[Weight]) -> list[tuple[int, int]]:
    """(start, size) of runs of weights that lie side by side in the store, gaps for alignment included."""
    from nbdl.engine.store import end_of

    spans: list[list[int]] = []
    for weight in sorted(weights, key=lambda weight: weight.tensor.offset):
        if spans and spans[-1][1] == weight.tensor.offset:
            spans[-1][1] = end_of(weight)
        else:
            spans.append([weight.tensor.offset, end_of(weight)])
    return [(start, end - start) for start, end in spans]
