"""The k largest predictions of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.program import same

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

LEFT_OUT = -1e10  # below any threshold, as Keras has it


def keep_largest(p: Any, k: Any, width: Any, kept: Any) -> None:
    """The k largest of each row stay, the rest is LEFT_OUT; of equal ones the first stay."""
    for i in range(p.shape[0]):
        for j in range(p.shape[1]):
            better = 0.0
            for other in range(p.shape[1]):
                if p[i, other] > p[i, j] or (p[i, other] == p[i, j] and other < j):
                    better += 1.0
            kept[i, j] = p[i, j] if better < k[0, 0] else LEFT_OUT


def keep_largest_cuda(row: int, thread: int, threads: int, p: Any, k: Any, width: Any, kept: Any) -> None:
    columns = int(width[0])
    start = row * columns
    j = thread
    while j < columns:
        better = 0.0
        for other in range(columns):
            if p[start + other] > p[start + j] or (p[start + other] == p[start + j] and other < j):
                better += 1.0
        kept[start + j] = p[start + j] if better < k[0] else LEFT_OUT
        j += threads


def k_largest(r: Recorder, p: Tensor, k: int, who: str) -> Tensor:
    """Predictions, where all but a row's k largest are LEFT_OUT.

    Raises:
        ConfigError: k is not from 1 to the number of columns.
    """
    if not 1 <= k <= p.features:
        raise ConfigError(f"{who}: top_k is from 1 to the {p.features} columns, got {k!r}")
    sizes = r.map(same, float(k)), r.map(same, float(p.features))
    kept: Tensor = r.kernel(keep_largest, p, *sizes, shapes=[p.shape], name="largest", cuda=keep_largest_cuda)
    return kept
