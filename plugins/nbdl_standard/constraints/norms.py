"""What the constraints on norms share: which weights a norm is taken over, and how they are rescaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nbdl import Constraint
from nbdl.errors import ConfigError
from nbdl.program import square, times

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

EPSILON = 1e-7  # Keras's backend.epsilon()


class NormConstraint(Constraint):
    """Base of constraints that multiply all weights of a norm by one number.

    A subclass sets `axis` and writes `scale`.
    """

    axis: int | Sequence[int]

    def scale(self, r: Recorder, squares: Tensor) -> Tensor:
        """Record, for each sum of squares, the number that its weights are multiplied by."""
        raise self.unwritten("scale")

    def project(self, r: Recorder, w: Tensor) -> Tensor:
        shape = w.shape
        axes = self._axes(shape)
        if len(axes) == len(shape):
            return r.map(times, w, self.scale(r, r.total(square, w)))
        size, last = math.prod(shape[axis] for axis in axes), axes[-1] == len(shape) - 1
        rows, columns = (w.features // size, size) if last else (size, w.features // size)
        matrix = r.reshape(w, (rows, columns))
        scale = self.scale(r, r.sum(square, matrix, over="features" if last else "rows"))
        return r.reshape(r.map(times, matrix, scale), shape)

    def _axes(self, shape: tuple[int, ...]) -> list[int]:
        """The axes that a norm goes over, counted from 0: the first ones, the last ones, or all."""
        axes_named = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        axes = sorted({axis + len(shape) if axis < 0 else axis for axis in axes_named})
        first, last = list(range(len(axes))), list(range(len(shape) - len(axes), len(shape)))
        if not axes or axes not in (first, last):
            raise ConfigError(
                f"{type(self).__name__}: axis is the first axis of a weight or its last, or several from either end; "
                f"got {self.axis!r} for a weight of shape {shape}"
            )
        return axes
