"""Binary accuracy: the share of outputs on the right side of a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Metric, hookimpl

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def is_right(y: float, p: float, threshold: float) -> float:
    if p > threshold:
        return 1.0 if y == 1.0 else 0.0
    return 1.0 if y == 0.0 or y == -1.0 else 0.0


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of a threshold.

    Formula: mean over a row's outputs of [y = 1] where p > threshold, and of [y = 0 or y = -1] elsewhere.

    A target that is no class, such as one of a regression, is never right, as in Keras.

    Args:
        threshold: default 0.5. Where the loss takes logits (`from_logits=True`) or labels of -1 and 1 (hinge), the
            default cuts at 0; any other threshold is taken as it is. (Keras cuts logits at 0.5 too, and counts no -1.)

    Source: Keras 3, metrics/accuracy_metrics.py.
    """

    greater_is_better = True

    positions = ("name", "dtype", "threshold")

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = float(threshold)

    def counts_classes(self, outputs: int) -> bool:
        return True

    @property
    def decides(self) -> bool:
        return self.threshold == 0.5

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        self.refuse_labels(y, p)
        return r.mean(is_right, y, p, self.threshold)


@hookimpl
def register_metrics(register: Any) -> None:
    register("binary_accuracy", BinaryAccuracy, examples=({"threshold": 0.3},))
