"""Sparse categorical crossentropy, for integer labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import Loss, Pair, hookimpl
from nbdl_standard.losses.categorical_crossentropy import CategoricalCrossentropy, SoftmaxCrossentropy

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.program import Recorder, Tensor


class SparseSoftmaxCrossentropy(Pair):
    """Softmax and crossentropy with integer labels as one formula."""

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return SoftmaxCrossentropy(self.loss).values(r, r.one_hot(y, p.features), z, p, saved)

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return SoftmaxCrossentropy(self.loss).gradient(r, r.one_hot(y, p.features), z, p, saved)


class SparseCategoricalCrossentropy(Loss):
    """Crossentropy between integer labels and predicted probabilities.

    Formula: -ln q of the label's column, with q = p/Σp kept in [ε, 1 - ε], ε = 1e-7: categorical crossentropy of the
    one-hot labels, bit for bit.

    Labels are integers from 0 to classes - 1, of shape (rows,) or (rows, 1).

    Source: Keras 3, losses/losses.py.

    >>> SparseCategoricalCrossentropy().target_shape((10,))
    (1,)
    """

    pairs = {"softmax": SparseSoftmaxCrossentropy}

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return CategoricalCrossentropy().values(r, r.one_hot(y, p.features), p)

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return CategoricalCrossentropy().gradient(r, r.one_hot(y, p.features), p)

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,)

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        classes = output_shape[-1]
        if y.shape[1:] not in ((), (1,)):
            return (
                f"loss 'sparse_categorical_crossentropy' needs integer labels of shape (rows,); y has shape {y.shape}. "
                "For one-hot targets use loss='categorical_crossentropy'"
            )
        low, high = float(y.min()), float(y.max())
        if low < 0 or high >= classes or (y != y.astype(int)).any():
            return (
                f"labels must be integers from 0 to {classes - 1}, the model has {classes} outputs; "
                f"y goes from {low:g} to {high:g}"
            )
        return ""


@hookimpl
def register_losses(register: Any) -> None:
    register("sparse_categorical_crossentropy", SparseCategoricalCrossentropy)
