"""Sparse categorical crossentropy, for integer labels."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from nbdl import Loss, hookimpl
from nbdl.errors import ConfigError, counted
from nbdl.program import times
from nbdl_standard.losses.categorical_crossentropy import CategoricalCrossentropy

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program import Recorder, Tensor


def counts(label: float, ignored: float) -> float:
    return 0.0 if label == ignored else 1.0


class SparseTargets(Loss):
    """A loss of integer labels, one a row.

    Attributes:
        ignore_class: a label that need not be a class, or None.
    """

    ignore_class: int | None = None

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,)

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        classes = output_shape[-1]
        if y.shape[1:] not in ((), (1,)):
            return (
                f"loss {self.unit_name!r} needs integer labels of shape (rows,); y has shape {y.shape}. "
                "For one-hot targets use loss='categorical_crossentropy'"
            )
        if self.ignore_class is not None:
            y = y[y != self.ignore_class]
        if not y.size:
            return ""
        low, high = float(y.min()), float(y.max())
        if low < 0 or high >= classes or (y != y.astype(int)).any():
            return (
                f"labels must be integers from 0 to {classes - 1}, the model has {counted(classes, 'output')}; "
                f"y goes from {low:g} to {high:g}"
            )
        return ""


class SparseCategoricalCrossentropy(SparseTargets, CategoricalCrossentropy):
    """Crossentropy between integer labels and predicted probabilities.

    Formula: -ln q of the label's column, with q = p/Σp kept in [ε, 1 - ε], ε = 1e-7: categorical crossentropy of the
    one-hot labels, bit for bit.

    Labels are integers from 0 to classes - 1, of shape (rows,) or (rows, 1).

    Args:
        from_logits: whether predictions are logits; the model then ends without a softmax. (PyTorch's
            CrossEntropyLoss always takes logits.)
        ignore_class: a label, one of the classes or not, whose rows do not count: means are over the other rows, of a
            batch in training, of all rows in figures. (Keras's loss is a mean of its batches' means, and Keras's metric
            of this name divides by all rows, the ignored ones too. PyTorch's `ignore_index` is -100 unless it is set,
            here nothing is ignored by default.)

    Raises:
        ConfigError: ignore_class is no integer.
        DataError: labels that are not of that shape, or not those of a class.

    Source: Keras 3, losses/losses.py and losses/loss.py.

    >>> SparseCategoricalCrossentropy().target_shape((10,))
    (1,)
    """

    positions = ("from_logits", "ignore_class", "reduction", "axis", "name", "dtype")

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None) -> None:
        super().__init__(from_logits)
        if ignore_class is not None and (
            not isinstance(ignore_class, numbers.Real) or ignore_class != int(ignore_class)
        ):
            raise ConfigError(
                f"SparseCategoricalCrossentropy: ignore_class is an integer label or None, got {ignore_class!r}"
            )
        self.ignore_class = ignore_class

    def prepare(self, r: Recorder, y: Tensor, outputs: int) -> Tensor:
        ones = r.one_hot(y, outputs)
        if self.ignore_class is None:
            return ones
        return r.map(times, ones, r.map(counts, y, self.ignore_class))

    def counted(self, r: Recorder, y: Tensor) -> Tensor | None:
        return None if self.ignore_class is None else r.map(counts, y, self.ignore_class)


@hookimpl
def register_losses(register: Any) -> None:
    register(
        "sparse_categorical_crossentropy",
        SparseCategoricalCrossentropy,
        examples=({"from_logits": True}, {"ignore_class": 1}),
    )
