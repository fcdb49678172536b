"""Sparsemax: a row as a probability distribution, most of it exactly 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.program import same
from nbdl_standard.activations.last_axis import LastAxis
from nbdl_standard.activations.softmax import subtract

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor


def thresholds(z: Any, width: Any, tau: Any) -> None:
    """τ of each row whose largest element is 0.

    From -1, which is too low, each pass takes (Σ z - 1)/count of the elements above the last τ, until none drops out.
    """
    for i in range(z.shape[0]):
        low, kept = -1.0, width[0, 0] + 1.0
        before = kept + 1.0
        while kept < before:
            before, kept, total = kept, 0.0, 0.0
            for j in range(z.shape[1]):
                if not z[i, j] <= low:  # so that NaN counts too
                    total += z[i, j]
                    kept += 1.0
            low = (total - 1.0) / kept
        tau[i, 0] = low


def thresholds_cuda(row: int, thread: int, threads: int, z: Any, width: Any, tau: Any) -> None:
    """The same by one thread: rows are many, and short."""
    if thread == 0:
        columns = int(width[0])
        low, kept = -1.0, width[0] + 1.0
        before = kept + 1.0
        while kept < before:
            before, kept, total = kept, 0.0, 0.0
            j = 0
            while j < columns:
                if not z[row * columns + j] <= low:
                    total += z[row * columns + j]
                    kept += 1.0
                j += 1
            low = (total - 1.0) / kept
        tau[row] = low


def above(z: float, tau: float) -> float:
    return max(z - tau, 0.0)


def is_positive(y: float) -> float:
    return 1.0 if y > 0.0 else 0.0


def where_positive(y: float, dy: float) -> float:
    return dy * is_positive(y)


def derivative(y: float, dy: float, total: float, count: float) -> float:
    return is_positive(y) * (dy - total / count)


class Sparsemax(LastAxis):
    """A row's nearest probability distribution: unlike softmax's, most of it is exactly 0.

    Formula: yᵢ = max(xᵢ - τ, 0), with τ such that Σᵢ yᵢ = 1; dxᵢ = dyᵢ - mean of dyⱼ where yⱼ > 0, for yᵢ > 0, else 0.

    Args:
        axis: -1: over all features of a row.

    Raises:
        ConfigError: another axis, or rows that are not vectors.

    Source: Martins & Astudillo 2016; Keras 3, activations/activations.py.

    >>> Sparsemax()
    Sparsemax()
    """

    adds_up = True

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        z = r.map(subtract, x, r.sum(same, x, over="features", reduction="max"))
        width = float(x.features)
        tau = r.kernel(thresholds, z, width, shapes=[(1,)], name="sparsemax", cuda=thresholds_cuda)
        return r.map(above, z, tau), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        total = r.sum(where_positive, y, dy, over="features")
        return r.map(derivative, y, dy, total, r.sum(is_positive, y, over="features"))


@hookimpl
def register_activations(register: Any) -> None:
    register("sparsemax", Sparsemax)
