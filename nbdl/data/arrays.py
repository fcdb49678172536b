"""Arrays: inputs and targets that come without column names, from array files and datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdl.data.cells import FLOAT32_MAX, not_finite
from nbdl.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs, and where the source has them, targets and a test part.

    Args:
        source: What error messages call the data: a path, or a dataset's name.
        x: Numbers of shape (rows, ...), any numeric type.
        y: Targets: (rows,) class labels (whole numbers or text) or values, or (rows, outputs): values, or
            one-hot classes. Default: none.
        x_test: Inputs of the test part, shaped as `x` but for the rows. Default: none.
        y_test: Targets of the test part. Default: none.
        row_numbers: The numbers of these rows in the source, for error messages. Default: from 0.
        whole: The arrays that these rows were taken from. Default: none, these are whole.

    Raises:
        DataError: Wrong type or shape; the message names the array.
    """

    source: str
    x: NDArray[Any]
    y: NDArray[Any] | None = None
    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None
    row_numbers: NDArray[Any] | None = None
    whole: Arrays | None = None

    def __post_init__(self) -> None:
        check_inputs(self.source, "x", self.x)
        if self.y is not None:
            check_targets(self.source, "y", self.y, len(self.x))
        if self.x_test is None:
            if self.y_test is not None:
                raise DataError(f"{self.source}: y_test without x_test. Store both, or neither.")
            return
        check_inputs(self.source, "x_test", self.x_test)
        if self.x_test.shape[1:] != self.x.shape[1:]:
            raise DataError(
                f"{self.source}: x_test has rows of shape {self.x_test.shape[1:]}, x of {self.x.shape[1:]}."
            )
        if self.y_test is not None:
            check_targets(self.source, "y_test", self.y_test, len(self.x_test))

    def __len__(self) -> int:
        """Return the number of rows of `x`."""
        return len(self.x)

    def number(self, row: int) -> int:
        """Return the number of a row in the source."""
        return row if self.row_numbers is None else int(self.row_numbers[row])

    def taken(self, rows: NDArray[Any]) -> Arrays:
        """Return these rows, in this order, without a test part."""
        y = None if self.y is None else self.y[rows]
        row_numbers = rows if self.row_numbers is None else self.row_numbers[rows]
        return Arrays(self.source, self.x[rows], y, row_numbers=row_numbers, whole=self.whole or self)

    def check_numbers(self) -> None:
        """Refuse inputs of which a number, in the whole arrays, is not finite or does not fit float32.

        Raises:
            DataError: There is one; the message names the first one's row and feature, and counts them.
        """
        import numpy as np

        whole = self.whole or self
        if whole.x.dtype.kind != "f":
            return
        flat = whole.x.reshape(len(whole), -1)
        bad = 0
        first: tuple[int, int] | None = None
        for start in range(0, len(flat), BLOCK_ROWS):
            cells = np.argwhere(~(np.abs(flat[start : start + BLOCK_ROWS]) <= FLOAT32_MAX))
            bad += len(cells)
            if first is None and len(cells):
                first = start + int(cells[0][0]), int(cells[0][1])
        if first is not None:
            row, feature = first
            more = f" {bad} numbers of x are not usable." if bad > 1 else ""
            reason = not_finite(float(flat[first]))
            raise DataError(f"{self.source}, row {whole.number(row)}, feature {feature}: {reason}{more}")

    @property
    def test(self) -> Arrays | None:
        """The test part as arrays of its own, or None."""
        return None if self.x_test is None else Arrays(f"{self.source} (test)", self.x_test, self.y_test)


def check_inputs(source: str, name: str, x: NDArray[Any]) -> None:
    """Refuse inputs that are not rows of numbers."""
    if x.dtype.kind not in "buif":
        raise DataError(f"{source}: {name} holds {x.dtype}; inputs must be whole numbers or floats.")
    if x.ndim < 2:
        raise DataError(
            f"{source}: {name} has shape {x.shape}; inputs need rows and features. "
            "For a single row save x[None, :], for a single feature x[:, None]."
        )
    if 0 in x.shape:
        raise DataError(f"{source}: {name} is empty: shape {x.shape}.")


def check_targets(source: str, name: str, y: NDArray[Any], rows: int) -> None:
    """Refuse targets that are not numbers or text, or that do not match the inputs row by row."""
    if y.dtype.kind not in "buifU":
        raise DataError(f"{source}: {name} holds {y.dtype}; targets must be numbers or text.")
    if y.ndim not in (1, 2) or 0 in y.shape:
        raise DataError(f"{source}: {name} has shape {y.shape}; targets need (rows,) or (rows, outputs).")
    if len(y) != rows:
        raise DataError(f"{source}: {name} has {len(y)} rows, its inputs have {rows}.")
