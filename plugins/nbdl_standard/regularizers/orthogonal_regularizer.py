"""A penalty on rows, or columns, of a matrix that are not orthogonal to one another."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl import Regularizer, hookimpl
from nbdl.errors import ConfigError
from nbdl.program import same, square, times
from nbdl.units import Factor
from nbdl_standard.numbers import numbers

if TYPE_CHECKING:
    from nbdl.program import Recorder, Tensor

EPSILON = 1e-7  # Keras's backend.epsilon()


def inverse_norm(squares: float) -> float:
    return 1.0 / max(math.sqrt(squares), EPSILON)


def lengthening(products: float, squares: float) -> float:
    """The part of a gradient that only lengthens its vector; nothing of it is lost where that is too short to have
    length 1."""
    return products if math.sqrt(squares) > EPSILON else 0.0 * products


def off_diagonal(product: float, row: float, column: float) -> float:
    return abs(product) if row != column else 0.0 * product


def sign_off_diagonal(product: float, row: float, column: float) -> float:
    sign = (1.0 if product > 0.0 else 0.0) - (1.0 if product < 0.0 else 0.0) + 0.0 * product
    return sign if row != column else 0.0 * product


def turning(change: float, unit: float, length: float, inverse: float, factor: float) -> float:
    return factor * inverse * (change - length * unit)


class OrthogonalRegularizer(Regularizer):
    """A penalty on rows, or columns, of a matrix that are not orthogonal to one another.

    Formula: factor·Σ|uᵢ·uⱼ| over i < j, divided by the number of such pairs, where uᵢ is row (or column) i divided by
    its length: the mean |cosine|, times the factor.

    Args:
        factor: not negative. Default 0.01.
        mode: "rows" (default) or "columns"; of a kernel of inputs × units, a row is what an input gives to each unit.

    Raises:
        ConfigError: an argument is out of range, or the weight is no matrix.

    Source: Keras 3, regularizers/regularizers.py.

    >>> OrthogonalRegularizer(mode="columns")
    OrthogonalRegularizer(mode='columns')
    """

    def __init__(self, factor: Factor = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ConfigError(f"OrthogonalRegularizer: mode is 'rows' or 'columns', got {mode!r}")
        self.factor, self.mode = float(factor), mode

    def penalty(self, r: Recorder, w: Tensor) -> Tensor:
        cosines, diagonal, _, _, _ = self._cosines(r, w)
        total = r.total(off_diagonal, cosines, *diagonal)
        return r.map(times, total, 0.5 * self._share(cosines))

    def gradient(self, r: Recorder, w: Tensor, g: Tensor) -> Tensor:
        cosines, diagonal, units, squares, inverse = self._cosines(r, w)
        signs = r.map(sign_off_diagonal, cosines, *diagonal)
        change = r.gemm(signs, units) if self.mode == "rows" else r.gemm(units, signs)
        products = r.sum(times, change, units, over=self._over())
        length = r.map(lengthening, products, squares)
        return r.add_to(g, turning, change, units, length, inverse, self._share(cosines))

    def _cosines(self, r: Recorder, w: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor], Tensor, Tensor, Tensor]:
        """The cosines of all pairs, the numbers of their rows and columns, the unit vectors, the sums of squares, and
        the inverse norms."""
        if len(w.shape) != 2:
            raise ConfigError(f"OrthogonalRegularizer is for matrices; this weight has shape {w.shape}")
        rows = self.mode == "rows"
        squares = r.sum(square, w, over=self._over())
        inverse = r.map(inverse_norm, squares)
        units = r.map(times, w, inverse)
        cosines = r.gemm(units, units, transpose_a=not rows, transpose_b=rows)
        size = cosines.shape[0]
        rows_of = r.reshape(r.map(same, numbers(size)), (size, 1))
        return cosines, (rows_of, numbers(size)), units, squares, inverse

    def _over(self) -> str:
        return "features" if self.mode == "rows" else "rows"

    def _share(self, cosines: Tensor) -> float:
        """The factor, divided by the number of pairs."""
        size = cosines.shape[0]
        return self.factor / max(size * (size - 1) / 2, 1)


@hookimpl
def register_regularizers(register: Any) -> None:
    register("orthogonal_regularizer", OrthogonalRegularizer, examples=({"factor": 0.5, "mode": "columns"},))
