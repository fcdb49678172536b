"""Arrays: inputs and targets that come without column names, from array files and datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbdl.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


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

    Raises:
        DataError: Wrong type or shape; the message names the array.
    """

    source: str
    x: NDArray[Any]
    y: NDArray[Any] | None = None
    x_test: NDArray[Any] | None = None
    y_test: NDArray[Any] | None = None

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
