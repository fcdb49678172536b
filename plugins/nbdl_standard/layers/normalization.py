"""Normalization: features with mean 0 and variance 1 over the whole data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nbdl import Initializer, Layer, hookimpl
from nbdl.data import check_names, check_order, names_of
from nbdl.errors import ConfigError, DataError, warn
from nbdl.program import per, times
from nbdl_standard.normalizing import axes_of, over_all_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder, RandomStream

ROWS = 4096  # of the data, looked at together in float64


def deviation_of(variance: float) -> float:
    return max(math.sqrt(variance), 1e-7)  # Keras's epsilon, for features that are constant


def standardized(x: float, mean: float, deviation: float) -> float:
    return (x - mean) / deviation


def restored(x: float, mean: float, deviation: float) -> float:
    return mean + x * deviation


class Known(Initializer):
    """Values that are known."""

    rescales = True

    def __init__(self, values: Any) -> None:
        self.values = values

    def __call__(self, shape: Shape, random: RandomStream) -> np.ndarray:
        import numpy as np

        return np.broadcast_to(np.asarray(self.values, np.float32), shape)


class Normalization(Layer):
    """Features with mean 0 and variance 1 over the whole data, in training and after it.

    Formula: y = (x - mean)/max(√variance, 10⁻⁷); inverted, y = mean + x·max(√variance, 10⁻⁷).

    Args:
        axis: which has statistics of its own: -1 is the last, None means one mean and variance for all numbers, a list
            of all axes of a row one for each of its numbers.
        mean, variance: the statistics, where they are known; else call `adapt(data)`. Before it they are 0 and 1.
        invert: whether to go back from normalised values.

    The statistics are states named mean and variance, which a saved model holds, so that it takes raw data.
    Unlike here, scikit-learn's StandardScaler divides by 1 where a feature is constant.

    Raises:
        ConfigError: one of mean and variance is missing, they differ in shape, or there is no such axis.

    Source: Keras 3, layers/preprocessing/normalization.py.

    >>> layer = Normalization()
    >>> layer.adapt([[0.0, 7.0, 4.0], [2.0, 9.0, 6.0], [0.0, 7.0, 4.0], [2.0, 9.0, 6.0]])
    >>> import nbdl
    >>> nbdl.Sequential([layer]).predict([[1.0, 9.0, 3.0]]).tolist()
    [[0.0, 1.0, -2.0]]
    """

    def __init__(
        self, axis: int | Sequence[int] | None = -1, mean: Any = None, variance: Any = None, invert: bool = False
    ) -> None:
        import numpy as np

        if (mean is None) != (variance is None):
            raise ConfigError(f"Normalization: give both mean and variance or none, got {mean!r} and {variance!r}")
        known = (0.0 if mean is None else mean), (1.0 if variance is None else variance)
        try:
            first, second = (np.asarray(values, np.float64) for values in known)
        except (TypeError, ValueError):
            raise ConfigError(f"Normalization: mean and variance are numbers, got {mean!r} and {variance!r}") from None
        if first.shape != second.shape:
            raise ConfigError(f"Normalization: mean has shape {first.shape}, variance {second.shape}")
        self.axis, self.mean, self.variance, self.invert = axis, mean, variance, bool(invert)
        self._statistics = first, second
        self._shape: Shape | None = None

    def build(self, b: Builder, shape: Shape) -> Shape:
        self._shape = shape
        apart, axes = self._apart(shape), tuple(range(len(shape)))
        if apart not in ((), axes[-1:], axes):
            raise ConfigError(
                f"Normalization {self.name!r}: rows of shape {shape} have statistics for the last axis (-1), for all "
                f"({list(range(1, len(shape) + 1))}) or for none (None), not for axis={self.axis!r}"
            )
        kept = tuple(shape[axis] for axis in apart) or (1,)
        for values in self._statistics:
            if values.ndim and values.shape != kept:
                raise ConfigError(
                    f"Normalization {self.name!r}: mean and variance have shape {values.shape}, and rows of shape "
                    f"{shape} with axis={self.axis!r} need {kept}"
                )
        mean, variance = self._statistics
        self._states = b.state("mean", kept, Known(mean)), b.state("variance", kept, Known(variance))
        return shape

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        mean, variance = self._states
        if mean.features > 1:
            mean, variance = (over_all_features(r, state, x.shape) for state in self._states)
        deviation = r.map(deviation_of, variance)
        return r.map(restored if self.invert else standardized, x, mean, deviation), deviation

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.map(times if self.invert else per, dy, saved)

    def adapt(self, data: Any) -> None:
        """Take mean and variance of all rows of the data, in float64; a model that has the layer uses them at once.

        Args:
            data: rows, an array or what becomes one, or an iterable of batches of rows.

        Raises:
            ConfigError: mean and variance were given to the constructor.
            DataError: rows of another shape than the layer's, none at all, or numbers that are not finite.
        """
        import numpy as np

        if self.mean is not None:
            raise ConfigError(
                f"Normalization {self.name!r} was made with a mean and a variance: leave them out to adapt"
            )
        count, mean, variance, names = 0, np.zeros(()), np.zeros(()), None
        for part, rows in _parts(data):
            check_names(names, part, "adapt's data")
            names = names or names_of(part)
            for network in self.networks:
                check_order(network.fitted_names, names, "adapt's data")
            shape = self._shape or self.given_shape or rows.shape[1:]
            if rows.shape[1:] != shape:
                raise DataError(f"adapt: Normalization {self.name!r} takes rows of shape {shape}, got {rows.shape[1:]}")
            if self.given_shape is None and self._shape is None:
                self.set_input_shape(shape)
            apart = self._apart(shape)
            others = tuple(axis for axis in range(rows.ndim) if axis - 1 not in apart)
            # The variance of all is that of the parts and of their means, weighted by their rows.
            count += len(rows)
            share, now = len(rows) / count, rows.mean(axis=others)
            spread = (now - mean) ** 2 * share * (1.0 - share)
            mean = mean + (now - mean) * share
            variance = variance * (1.0 - share) + rows.var(axis=others) * share + spread
        if not count:
            raise DataError("adapt: there are no rows")
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            raise DataError("adapt: the data has NaN or infinity; drop or fill such rows")
        self._statistics, self.feature_names = (mean, variance), names
        _warn_of_rounding(mean, variance)
        if self.built:
            for weight, values in zip(self.weights, self._statistics, strict=True):
                weight.value[...] = values

    def _apart(self, shape: Shape) -> tuple[int, ...]:
        """The axes of a row that have statistics of their own."""
        return () if self.axis is None else axes_of(self, self.axis, shape)


def _warn_of_rounding(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> None:
    """Warn of values that lie so close together, beside their size, that few different ones are left in float32."""
    import numpy as np

    from nbdl.data import CLOSE

    close = (variance > 0.0) & (2.0 * np.sqrt(variance) < np.abs(mean) * CLOSE)
    if close.any():
        at = int(close.argmax())
        warn(
            f"adapt: mean {mean.flat[at]:.12g} and deviation {np.sqrt(variance.flat[at]):.6g} of column {at} (counted "
            "from 0) are too far apart: layers compute in float32, which has few different values there. Subtract an "
            "offset from the data in float64 first, such as x - x.min(axis=0)",
            package="nbdl_standard",
        )


def _parts(data: Any) -> Iterator[tuple[Any, NDArray[np.float64]]]:
    """Some rows after another, in float64, each with the data that has them."""
    import numpy as np

    from nbdl.data import as_array

    is_batches = isinstance(data, list | tuple) and len(data) > 0 and getattr(data[0], "ndim", 0) > 1
    if is_batches or (isinstance(data, Iterable) and not hasattr(data, "__len__")):
        for batch in data:
            yield from _parts(batch)
        return
    rows = as_array(data, "adapt's data")
    rows = rows[:, None] if rows.ndim == 1 else rows
    for start in range(0, len(rows), ROWS):
        yield data, rows[start : start + ROWS].astype(np.float64)


@hookimpl
def register_layers(register: Any) -> None:
    register(
        "Normalization",
        Normalization,
        examples=(
            {"mean": [0.5, -0.3, 0.2], "variance": [4.0, 1.5, 2.0], "input_shape": [4, 3]},
            {"axis": None, "mean": 0.25, "variance": 0.5, "invert": True, "input_shape": [4, 3]},
        ),
    )
