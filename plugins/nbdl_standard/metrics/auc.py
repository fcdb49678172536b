"""AUC: the area under the curve of all thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl.units import probability
from nbdl_standard.metrics.curves import CurveMetric, ratios

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor
    from nbdl_standard.metrics.curves import Floats


class AUC(CurveMetric):
    """The area under the ROC curve, or under that of precision over recall, of all rows and columns of the epoch.

    Formula: Σᵢ (xᵢ - xᵢ₊₁)·(yᵢ + yᵢ₊₁)/2 over the thresholds i/(n - 1), the first just below 0 and the last just above
    1; "ROC": x = FP/(FP + TN), y = TP/(TP + FN); "PR": x = TP/(TP + FN), y = TP/(TP + FP), between two thresholds by
    Davis and Goadrich's curve.

    Args:
        num_thresholds: n, above 1. Default 200; predictions between the same two thresholds count as equal, where
            scikit-learn's `roc_auc_score` has a threshold for each prediction.
        curve: "ROC" (default) or "PR".
        summation_method: "interpolation" (default); "minoring" and "majoring" take the smaller and the larger of yᵢ and
            yᵢ₊₁, so the area lies between.
        from_logits: the predictions are inputs of a sigmoid. Default False: they are probabilities, or what the loss
            says: logits where it has `from_logits=True`, which Keras must be told here again.

    Integer labels count as one-hot rows; columns count together, as in Keras without `multi_label`.

    Raises:
        ConfigError: an argument is out of range.

    Source: Davis and Goadrich 2006; Keras 3, metrics/confusion_metrics.py.

    >>> AUC(curve="PR")
    AUC(curve='PR')
    """

    ignored: ClassVar = {
        "thresholds": (None,), "multi_label": (False,), "num_labels": (None,), "label_weights": (None,),
    }  # fmt: skip
    instead: ClassVar = {
        "thresholds": "not there: num_thresholds=... spreads them evenly from 0 to 1",
        "multi_label": "not there: all columns count together; class_id or a metric of each column tells more",
        **dict.fromkeys(("num_labels", "label_weights"), "for multi_label=True, which is not there"),
    }
    positions = (
        "num_thresholds", "curve", "summation_method", "name", "dtype", "thresholds", "multi_label", "num_labels",
        "label_weights", "from_logits",
    )  # fmt: skip

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        from_logits: bool = False,
    ) -> None:
        self.num_thresholds = num_thresholds
        self.curve, self.summation_method, self.from_logits = curve.upper(), summation_method.lower(), from_logits
        if self.curve not in ("ROC", "PR"):
            raise ConfigError(f"AUC: curve is 'ROC' or 'PR', got {curve!r}")
        if self.summation_method not in ("interpolation", "minoring", "majoring"):
            raise ConfigError(
                f"AUC: summation_method is 'interpolation', 'minoring' or 'majoring', got {summation_method!r}"
            )

    @property
    def decides(self) -> bool:
        return not self.from_logits

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return super().update(r, y, r.map(probability, p) if self.from_logits else p)

    def result(self, sums: np.ndarray, rows: float) -> float:
        import numpy as np

        tp, fp, fn, tn = self.decisions(sums, ends=True)
        recall = ratios(tp, tp + fn)
        if self.curve == "ROC":
            x, y = ratios(fp, fp + tn), recall
        elif self.summation_method == "interpolation":
            return _interpolated(tp, fp, fn)
        else:
            x, y = recall, ratios(tp, tp + fp)
        height = {"minoring": np.minimum, "majoring": np.maximum}.get(self.summation_method, _middle)
        return float(((x[:-1] - x[1:]) * height(y[:-1], y[1:])).sum())


def _middle(a: Floats, b: Floats) -> Floats:
    return (a + b) / 2.0


def _interpolated(tp: Floats, fp: Floats, fn: Floats) -> float:
    """The area under precision over recall: between two thresholds TP is a linear function of TP + FP."""
    import numpy as np

    positive, steps = tp + fp, tp[:-1] - tp[1:]
    slope = ratios(steps, np.maximum(positive[:-1] - positive[1:], 0.0))
    rest = tp[1:] - slope * positive[1:]
    both = (positive[:-1] > 0.0) & (positive[1:] > 0.0)
    growth = np.divide(positive[:-1], positive[1:], out=np.ones(len(steps)), where=both)
    return float(ratios(slope * (steps + rest * np.log(growth)), np.maximum((tp + fn)[1:], 0.0)).sum())


@hookimpl
def register_metrics(register: Any) -> None:
    register(
        "auc",
        AUC,
        examples=(
            {"num_thresholds": 12, "curve": "PR", "from_logits": True},
            {"num_thresholds": 9, "curve": "PR", "summation_method": "minoring"},
        ),
    )
