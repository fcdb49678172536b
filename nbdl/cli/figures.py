"""Figures of a model on data, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from nbdl.cli.source import check_outputs, targets_for
from nbdl.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbdl.data.encoding import Encoding
    from nbdl.data.target import Data
    from nbdl.model.sequential import Sequential


IMBALANCED = 0.8  # a share of the most frequent class from which on accuracy alone misleads
SKEWED = 2.0  # that of an exponential distribution
HEAVY_TAIL = (
    "A few targets are far from all others and decide the loss: learn their logarithm instead, "
    "or take a loss of absolute errors, --loss mae"
)
LEARNED_NOTHING = "More rows, a smaller net or another --lr may help; or the columns do not tell the target"


def encoding_of(model: Sequential, path: str) -> Encoding:
    """Return the encoding that was saved with a model.

    Raises:
        ConfigError: There is none: the model was not made by `nbdl train`.
    """
    if model.encoding is None:
        raise ConfigError(
            f"{path}: this model does not know how its data is encoded: `nbdl train` did not make it. "
            "Use it from Python: nbdl.load_model(...).predict(x)"
        )
    encoding: Encoding = model.encoding
    return encoding


Compared: TypeAlias = "tuple[NDArray[Any], NDArray[Any]]"  # inputs and targets, encoded


def compared(model: Sequential, encoding: Encoding, data: Data) -> Compared:
    """Return data as what a model's predictions are compared on.

    Raises:
        DataError: It has no targets, a class that the model has not, or a cell that cannot be used.
    """
    if not encoding.has_target(data):
        name = "y" if encoding.target is None else f"column {encoding.target!r}"
        raise DataError(f"{data.source}: has no targets ({name}) to compare the predictions with.")
    outputs = model.output_shape[-1]
    check_outputs(encoding, outputs, "the model")
    return encoding.encode(data), targets_for(model.loss, encoding, data, outputs)


def figures_of(
    model: Sequential, encoding: Encoding, data: Compared, threads: int | None
) -> tuple[dict[str, Any], list[str]]:
    """Return loss and metrics, for a regression RMSE and R2 in the unit of the target; and notes on them."""
    x, y = data
    found: dict[str, Any] = model.evaluate(x, y, verbose=0, return_dict=True, threads=threads, encoded=True)
    predictions = model.predict(x, threads=threads, encoded=True)
    if encoding.task == "regression":
        found |= regression_figures(encoding, y, predictions)
        notes = notes_on_values(found, y)
    else:
        boundary = 0.5 if model.loss is None else model.loss.boundary
        notes = notes_on_classes(encoding, indices(y), indices(predictions, boundary))
    return floats(found), notes


def floats(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as numbers of Python; one with a value for each class stays an array."""
    return {name: value if getattr(value, "ndim", 0) else float(value) for name, value in found.items()}


def indices(classes: NDArray[Any], boundary: float = 0.5) -> NDArray[Any]:
    """Return the classes that targets or predictions stand for: they are indices, one-hot rows, or chances.

    Args:
        classes: Targets or predictions.
        boundary: A single output above it means the second class; see `Loss.boundary`.
    """
    if classes.ndim == 1:
        return classes
    return (classes[:, 0] > boundary).astype(int) if classes.shape[1] == 1 else classes.argmax(axis=1)


def regression_figures(encoding: Encoding, y: Any, predictions: Any) -> dict[str, float]:
    """Return the root mean squared error and the share of the variance that is explained."""
    import numpy as np

    deviation = np.asarray(encoding.target_deviation)
    truth = np.asarray(y, np.float64) * deviation
    errors = truth - np.asarray(predictions, np.float64) * deviation
    spread = ((truth - truth.mean(axis=0)) ** 2).sum()
    found = {"RMSE": float(np.sqrt((errors**2).mean()))}
    if spread > 0:
        found["R2"] = float(1.0 - (errors**2).sum() / spread)
    return found


def notes_on_values(found: Mapping[str, float], y: NDArray[Any]) -> list[str]:
    """Say that a regression has learned nothing, and where a few targets may be the reason."""
    import numpy as np

    if found.get("R2", 0.0) >= 0.0:
        return []
    values = np.asarray(y, np.float64)
    with np.errstate(invalid="ignore"):
        skewness = (((values - values.mean(axis=0)) / values.std(axis=0)) ** 3).mean(axis=0)
    hint = HEAVY_TAIL if np.abs(skewness).max() > SKEWED else LEARNED_NOTHING
    return [f"R2 is below 0: the mean of these rows would be a better prediction for each of them. {hint}"]


def notes_on_classes(encoding: Encoding, labels: NDArray[Any], answers: NDArray[Any]) -> list[str]:
    """Say what always answering the most frequent class would give, where that is a lot, or no less than the model."""
    import numpy as np

    counts = np.bincount(labels, minlength=len(encoding.classes))
    share, name = counts.max() / len(labels), encoding.classes[int(counts.argmax())]
    right = float((answers == labels).mean())
    if (counts > 0).sum() < 2 or (share < IMBALANCED and right > share):
        return []
    text = f"always answering {name!r}, the most frequent class, is right for {share:.1%} of these rows"
    return [f"{text}, the model for {right:.1%}"]


def number(value: Any) -> str:
    """Write a figure, or each of several, with four decimals, or in scientific notation if these would show nothing.

    >>> number(0.98333), number(0.0000123), number(4844.1419), number(0), number([0.5, 1.0])
    ('0.9833', '1.23e-05', '4844.14', '0.0000', '[0.5000 1.0000]')
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return f"[{' '.join(map(number, value))}]"
    if abs(value) >= 100:
        return f"{value:.6g}"
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def plain(value: Any) -> Any:
    """Return an array of figures as JSON holds it."""
    return value.tolist()


def written(found: Mapping[str, float]) -> str:
    """Write figures in one line, the loss last: it says the least to a reader.

    >>> written({"loss": 0.25, "R2": 0.9})
    'R2 0.9000, loss 0.2500'
    """
    ordered = [name for name in found if name != "loss"] + [name for name in found if name == "loss"]
    return ", ".join(f"{name} {number(found[name])}" for name in ordered)


def seconds(value: float) -> str:
    """Write a time.

    >>> seconds(0.0123), seconds(3.14159), seconds(100)
    ('12 ms', '3.1 s', '1 min 40 s')
    """
    if value < 0.9995:
        return f"{value * 1e3:.0f} ms"
    return f"{value:.1f} s" if value < 60 else f"{int(value + 0.5) // 60} min {int(value + 0.5) % 60} s"
