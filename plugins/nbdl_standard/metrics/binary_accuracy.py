"""Binary accuracy: the share of outputs on the right side of a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl

if TYPE_CHECKING:
    from nbdl.engine.program import Recorder, Tensor


def same_side(y: float, p: float, threshold: float) -> float:
    return 1.0 if (y > threshold) == (p > threshold) else 0.0


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of a threshold.

    Formula: mean over a row's outputs of [(p > threshold) = (y > threshold)].

    Targets are cut at the threshold too, so labels of -1 and 1 and soft labels count as one would expect; Keras
    compares the cut predictions with the targets as they are.

    Args:
        threshold: default 0.5.

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = float(threshold)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        self.refuse_labels(y, p)
        return r.mean(same_side, y, p, self.threshold)


@hookimpl
def register_metrics(register: Any) -> None:
    register("binary_accuracy", BinaryAccuracy, examples=({"threshold": 0.3},))
