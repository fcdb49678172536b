"""The encoding: how data becomes a model's float32 inputs and targets, and predictions become answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from nbdl.data.arrays import BLOCK_ROWS, Arrays
from nbdl.data.cells import not_finite, tally
from nbdl.data.convert import as_data, as_targets
from nbdl.data.statistics import Scale, column_scale, moments, neutral
from nbdl.data.table import Table, listed
from nbdl.data.target import Data, Task, class_indices, class_names, guess_task, target_values
from nbdl.errors import DataError, did_you_mean
from nbdl.storage import schema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_NUMBERS = schema.items(schema.number)
ENCODING = schema.record(
    {
        "features": schema.items(schema.text),
        "shape": schema.items(schema.whole(1), 100),
        "mean": _NUMBERS,
        "deviation": _NUMBERS,
        "target": schema.maybe(schema.text),
        "task": schema.one_of("classification", "regression"),
        "classes": schema.items(schema.text),
        "target_mean": _NUMBERS,
        "target_deviation": _NUMBERS,
    },
    {"reading": schema.entries(schema.either("text, true or false", schema.text, schema.flag))},
)
"""What `Encoding.to_config` gives, and JSON holds of it."""


@dataclass(frozen=True)
class Encoding:
    """What training learned about its data and prediction must repeat; made by `fit`, saved with the model.

    An input is (value - mean) / deviation. Means and deviations hold one number for all features, or one
    for each. The same holds for the targets of a regression.

    Args:
        features: Column names in the order of the inputs; empty for arrays, which have none.
        shape: Shape of one row of inputs.
        mean, deviation: Of the inputs.
        target: The target column of a table; None for arrays.
        task: "classification" or "regression".
        classes: Class names in the order of the model's outputs; empty for a regression.
        target_mean, target_deviation: One number for each output of a regression; empty for classes.
        reading: How the table was read, where that was said: `format` and options of its reader.
    """

    features: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    target: str | None
    task: Task
    classes: tuple[str, ...] = ()
    target_mean: tuple[float, ...] = ()
    target_deviation: tuple[float, ...] = ()
    reading: Mapping[str, str | bool] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        problem = inconsistency(self)
        if problem:
            raise DataError(f"not an encoding: {problem}.")

    @classmethod
    def fit(
        cls,
        data: Data,
        target: str | None = None,
        *,
        task: Task | None = None,
        ignore: Sequence[str] = (),
        standardize: bool | None = None,
        scale: float = 1.0,
        flatten: bool = False,
    ) -> Encoding:
        """Learn an encoding from training data.

        Args:
            data: A table or arrays.
            target: The target column of a table.
            task: Default: guessed from the target, see `guess_task`.
            ignore: Columns of a table that are neither features nor target.
            standardize: Bring every feature, and the targets of a regression, to mean 0 and standard
                deviation 1; what is constant is only shifted to 0. Default: tables yes, arrays no.
            scale: Without standardizing, divide every input by this: 255 for images of bytes. Default: 1.
            flatten: Make one row of inputs one-dimensional. Default: no.

        Returns:
            The encoding.

        Raises:
            DataError: Data that cannot be used; the message says where and what to do.
        """
        if not (math.isfinite(scale) and scale > 0):
            raise DataError(f"scale is {scale}; it divides the inputs and must be a positive number.")
        if task not in (None, "classification", "regression"):
            raise DataError(f"task {task!r} is unknown. Tasks: classification, regression.")
        if ignore and isinstance(data, Arrays):
            raise DataError(f"{data.source}: has no column names, so there is none to ignore.")
        if standardize is None:
            standardize = isinstance(data, Table)
        if task is None:
            task, _ = guess_task(data, target)
        answers = fit_target(data, target, task, standardize)
        if isinstance(data, Table):
            features = feature_names(data, str(target), ignore)
            mean, deviation = column_scale(data, features) if standardize else neutral(1, float(scale))
            return cls(features, (len(features),), mean, deviation, target, task, *answers)
        data.check_numbers()
        shape = (math.prod(data.x.shape[1:]),) if flatten else data.x.shape[1:]
        mean, deviation = moments(data.x.reshape(len(data), -1)) if standardize else neutral(1, float(scale))
        return cls((), shape, mean, deviation, None, task, *answers)

    @property
    def outputs(self) -> int:
        """Number of outputs that the task needs: one for each class, or for each target value."""
        return len(self.classes) or len(self.target_mean)

    @property
    def neutral(self) -> bool:
        """Whether encoded rows and targets are the plain ones."""
        return not any((*self.mean, *self.target_mean)) and {*self.deviation, *self.target_deviation} == {1.0}

    def has_target(self, data: Data) -> bool:
        """Return whether `data` brings targets along."""
        return data.y is not None if isinstance(data, Arrays) else self.target in data.columns

    def encode(self, data: Any) -> NDArray[np.float32]:
        """Return plain rows as the inputs that the model takes: float32 of shape (rows, *shape).

        Args:
            data: A data frame, a dict of columns or a table, whose columns may stand in any order and may be more
                than the inputs, such as the target; or an array of rows whose columns are in the order of
                `features`.

        Raises:
            DataError: A missing column, a wrong number of features, or a cell that is not a finite number.
        """
        data = as_data(data)
        columns = self.input_columns(data)
        x = self.table_inputs(data, columns) if isinstance(data, Table) else self.array_inputs(data)
        return x.reshape(len(x), *self.shape)

    def table_inputs(self, table: Table, columns: tuple[str, ...]) -> NDArray[np.float32]:
        """Return these columns, encoded, of shape (rows, columns)."""
        import numpy as np

        table.check_numbers(columns)
        x = np.empty((len(table), len(columns)), np.float32)
        for index, name in enumerate(columns):
            one = index if len(self.mean) > 1 else 0
            column = table.numbers(name)
            with np.errstate(over="ignore"):
                x[:, index] = (column - self.mean[one]) / self.deviation[one]
            bad = np.flatnonzero(~np.isfinite(x[:, index]))
            if bad.size:
                reason = unusable(float(column[bad[0]]))
                counts = Counter(str(value) for value in column[bad].tolist())
                raise DataError(f"{table.location(int(bad[0]), name)}: {reason} {tally(counts, len(table))}")
        return x

    def array_inputs(self, data: Arrays) -> NDArray[np.float32]:
        """Return the inputs of arrays, encoded, of shape (rows, features)."""
        import numpy as np

        data.check_numbers()
        flat = data.x.reshape(len(data), -1)
        mean, deviation = np.asarray(self.mean), np.asarray(self.deviation)
        x = np.empty(flat.shape, np.float32)
        # In blocks: the float64 between the two would be eight times the size of an array of bytes.
        for start in range(0, len(x), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            with np.errstate(over="ignore", invalid="ignore"):
                x[block] = (flat[block] - mean) / deviation
            if not np.isfinite(x[block]).all():
                row, feature = np.argwhere(~np.isfinite(x[block]))[0]
                reason = unusable(float(flat[start + row, feature]))
                raise DataError(f"{data.source}, row {data.number(start + row)}, feature {feature}: {reason}")
        return x

    def input_columns(self, data: Data) -> tuple[str, ...]:
        """Return the columns of a table that are the inputs (of arrays: none), or refuse the data."""
        size = math.prod(self.shape)
        if isinstance(data, Arrays):
            names: tuple[str, ...] = ()
            found = math.prod(data.x.shape[1:])
        elif self.features:
            missing = [name for name in self.features if name not in data.columns]
            if missing:
                others = [name for name in data.names if name not in self.features]
                raise DataError(
                    f"{data.source}: missing column{'s' * (len(missing) > 1)} "
                    f"{listed([repr(name) for name in missing])}.{did_you_mean(missing[0], others)} "
                    f"The model needs: {listed(self.features)}.{data.unparted()}"
                )
            return self.features
        else:
            names = tuple(name for name in data.names if name != self.target)
            found = len(names)
        if found != size:
            raise DataError(
                f"{data.source}: {found} features in each row; the model was trained on {size}"
                + (f" of shape {self.shape}." if len(self.shape) > 1 else ".")
            )
        return names

    def encode_target(self, data: Any) -> NDArray[np.int32] | NDArray[np.float32]:
        """Return the targets: class indices, int32 of shape (rows,), or float32 of shape (rows, outputs).

        Args:
            data: Data as for `encode` that brings the target along, or the targets alone: classes or values.

        Raises:
            DataError: No targets, a class not seen in training, text or an unusable number.
        """
        import numpy as np

        data = as_targets(data, self.target)
        if self.task == "classification":
            return class_indices(data, self.target, self.classes)
        values = regression_values(data, self.target)
        if values.shape[1] != self.outputs:
            raise DataError(
                f"{data.source}: y has {values.shape[1]} numbers in each row; the model was trained on {self.outputs}."
            )
        encoded: NDArray[np.float32] = (
            (values - np.asarray(self.target_mean)) / np.asarray(self.target_deviation)
        ).astype(np.float32)
        return encoded

    def decode(self, predictions: NDArray[Any], boundary: float = 0.5) -> list[str] | list[float] | list[list[float]]:
        """Return a model's outputs as answers, one for each row.

        Args:
            predictions: Shape (rows, outputs); two classes may have one output, the probability of the
                second; with one output the shape may be (rows,).
            boundary: A single output above it means the second class; see `Loss.boundary`.

        Returns:
            Class names, or numbers in the target's own unit: a float for each row, a list where there are
            several outputs.

        Raises:
            DataError: The wrong number of outputs, or outputs that are not finite.
        """
        import numpy as np

        outputs = np.asarray(predictions, dtype=np.float64)
        outputs = outputs[:, None] if outputs.ndim == 1 else outputs
        wanted = (1, 2) if len(self.classes) == 2 else (self.outputs,)
        if outputs.ndim != 2 or outputs.shape[1] not in wanted:
            raise DataError(f"predictions of shape {outputs.shape}: this {self.task} needs (rows, {self.outputs}).")
        bad = np.flatnonzero(~np.isfinite(outputs).all(axis=1))
        if bad.size:
            raise DataError(
                f"the prediction for row {bad[0]} is not finite: the model's weights are not usable. "
                "Train it again with a smaller learning rate."
            )
        if self.task == "classification":
            single = outputs.shape[1] == 1
            best = (outputs[:, 0] > boundary).astype(int) if single else outputs.argmax(axis=1)
            return [self.classes[index] for index in best.tolist()]
        values = outputs * np.asarray(self.target_deviation) + np.asarray(self.target_mean)
        one: list[float] = values[:, 0].tolist()
        several: list[list[float]] = values.tolist()
        return one if self.outputs == 1 else several

    def to_config(self) -> dict[str, Any]:
        """Return the encoding as names, numbers and lists that JSON keeps exactly."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        if not self.reading:
            del values["reading"]
        return values

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Encoding:
        """Return the encoding that `to_config` described.

        Raises:
            DataError: An entry is missing, unknown, or does not fit the others.
        """
        known = [one.name for one in fields(cls)]
        optional = [one.name for one in fields(cls) if one.default_factory is not MISSING]  # older files have none
        if sorted({*config, *optional}) != sorted(known):
            raise DataError(f"not an encoding: entries {listed(sorted(config))}; expected {listed(sorted(known))}.")
        problem = ENCODING(dict(config), "")
        if problem:
            raise DataError(f"not an encoding: {problem}.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
        }
        return cls(**values)


def feature_names(table: Table, target: str, ignore: Sequence[str]) -> tuple[str, ...]:
    """Return every column that is neither the target nor ignored."""
    for name in ignore:
        table.column(name)
    features = tuple(name for name in table.names if name != target and name not in ignore)
    if not features:
        raise DataError(f"{table.source}: no column is left as a feature beside the target {target!r}.")
    return features


def fit_target(
    data: Data, target: str | None, task: Task, standardize: bool
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Return class names, and means and deviations of the targets of a regression."""
    if task == "regression":
        values = regression_values(data, target)
        refuse_constant(data, target, values)
        scale: Scale = moments(values) if standardize else neutral(values.shape[1], 1.0)
        return (), *scale
    values_or_text = target_values(data, target)
    classes = class_names(values_or_text)
    if len(classes) < 2:
        raise DataError(f"{data.source}: the target is {classes[0]!r} in every row: nothing to learn.")
    class_indices(data, target, classes)
    return classes, (), ()


def refuse_constant(data: Data, target: str | None, values: NDArray[np.float64]) -> None:
    """Refuse targets of a regression that are the same in every row of the whole data."""
    whole = regression_values(data.whole, target) if data.whole else values
    if len(whole) > 1 and (whole == whole[0]).all():
        raise DataError(f"{data.source}: the target is {whole[0, 0]:g} in every row: nothing to learn.")


def regression_values(data: Data, target: str | None) -> NDArray[np.float64]:
    """Return the targets of a regression as float64 of shape (rows, outputs)."""
    values = target_values(data, target)
    if isinstance(values, list):
        if isinstance(data, Table):
            return data.numbers(str(target)).reshape(-1, 1)
        raise DataError(f"{data.source}: y is text; a regression needs numbers.")
    return values.reshape(len(values), -1)


def unusable(value: float) -> str:
    """Say why an input that is a number cannot be used."""
    if not math.isfinite(value):
        return not_finite(value)
    return f"{value} is too far from the values seen in training to fit float32."


def inconsistency(encoding: Encoding) -> str | None:
    """Return what is wrong with the parts of an encoding, or None."""
    size = math.prod(encoding.shape)
    if not encoding.shape or not all(isinstance(length, int) and length > 0 for length in encoding.shape):
        return f"shape {encoding.shape}"
    numbers = (*encoding.mean, *encoding.target_mean)
    deviations = (*encoding.deviation, *encoding.target_deviation)
    if encoding.task not in ("classification", "regression"):
        return f"task {encoding.task!r}"
    if encoding.features and len(encoding.features) != size:
        return f"{len(encoding.features)} features, shape {encoding.shape}"
    if len(encoding.mean) != len(encoding.deviation) or len(encoding.mean) not in (1, size):
        return f"{len(encoding.mean)} means and {len(encoding.deviation)} deviations for {size} inputs"
    if len(encoding.target_mean) != len(encoding.target_deviation):
        return "target means and deviations differ in number"
    if bool(encoding.classes) == bool(encoding.target_mean):
        return "it needs either classes or target means"
    if bool(encoding.classes) != (encoding.task == "classification"):
        return f"task {encoding.task!r} with {len(encoding.classes)} classes"
    if not isinstance(encoding.reading, Mapping) or not all(
        isinstance(name, str) and isinstance(value, str | bool) for name, value in encoding.reading.items()
    ):
        return f"reading {encoding.reading!r}"
    if not all(math.isfinite(number) for number in (*numbers, *deviations)):
        return "a mean or deviation is not finite"
    return None if all(number > 0 for number in deviations) else "a deviation is not positive"
