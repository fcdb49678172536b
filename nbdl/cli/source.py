"""Where the data of a command comes from: a registered dataset, a file, or standard input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl.data.arrays import Arrays
from nbdl.errors import ConfigError, DataError, counted, did_you_mean
from nbdl.storage.outputs import as_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbdl.data.encoding import Encoding
    from nbdl.data.target import Data
    from nbdl.units.entry import Entry


@dataclass(frozen=True)
class Source:
    """Data, and what its dataset knows about it.

    Args:
        name: What the user wrote.
        data: The rows; of a dataset those to train on.
        test: Rows to test on, where the source brings them along.
        dataset: The dataset's entry, or None for files and standard input.
    """

    name: str
    data: Data
    test: Data | None = None
    dataset: Entry | None = None

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The dataset's default settings."""
        options: Mapping[str, Any] = {} if self.dataset is None else self.dataset.options.get("recipe", {})
        return options

    @property
    def task(self) -> str | None:
        """The dataset's task."""
        return None if self.dataset is None else self.dataset.options.get("task")


@dataclass(frozen=True)
class Reading:
    """How to read: the options that every command with data takes.

    Args:
        folder: Where a dataset's files are.
        download: Whether a dataset may fetch files that are not there.
        format: A file-name suffix that replaces the source's own.
        reader: Options of the reader; those that are None do not count.
        kept: How a model's own table was read: what holds where nothing else is given.
    """

    folder: str | None = None
    download: bool = False
    format: str | None = None
    reader: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> dict[str, Any]:
        """Return what is given for files, which a model keeps."""
        return {name: value for name, value in {"format": self.format, **self.reader}.items() if value is not None}

    def like(self, encoding: Encoding) -> Reading:
        """Return how to read data for a model: as its own was read, but for what is given."""
        return replace(self, kept=encoding.reading)


def written_options(reading: Mapping[str, Any]) -> str:
    """Write how a table was read as options of a command.

    >>> written_options({"format": "csv", "header": False, "delimiter": "|"})
    "--format csv --no-header --delimiter '|'"
    """
    import shlex

    flags = {True: "--{}", False: "--no-{}"}
    return " ".join(
        flags[value].format(name) if isinstance(value, bool) else f"--{name} {shlex.quote(value)}"
        for name, value in reading.items()
    )


@contextmanager
def saying_how_read(reading: Reading) -> Iterator[None]:
    """Let an error about data say that it was read as the model's own table was.

    Raises:
        DataError: The one that came, with that sentence.
    """
    try:
        yield
    except DataError as error:
        used = {name: value for name, value in reading.kept.items() if name not in reading.chosen}
        if not used:
            raise
        raise DataError(
            f"{error} It was read with the options of the training, {written_options(used)}: if it is written "
            "otherwise, give others."
        ) from error


def load(name: str, reading: Reading) -> Source:
    """Read a dataset or a file; `-` is standard input.

    A registered dataset comes before a file of the same name; `./name` is always a file.

    Raises:
        DataError: There is neither, or it cannot be used.
    """
    from nbdl.units.registry import registry

    as_path(name, "SOURCE or FILE")
    entry = registry.find("datasets", name) if name != "-" else None
    if entry is not None:
        return _dataset(name, entry, reading)
    if reading.folder is not None or reading.download:
        if name == "-" or Path(name).expanduser().exists():
            raise DataError(f"{name} is no dataset: --data and --download are for datasets. {_datasets()}")
        raise DataError(_no_dataset(name))
    if name != "-" and not Path(name).suffix and not Path(name).expanduser().exists() and Path(name).name == name:
        raise DataError(f"{_no_dataset(name)} There is no file of that name either.")
    return _file(name, reading)


def _no_dataset(name: str) -> str:
    from nbdl.units.registry import registry

    return f"{name}: no such dataset.{did_you_mean(name, registry.names('datasets'))} {_datasets()}"


def _datasets() -> str:
    from nbdl.units.registry import registry

    return f"Datasets: {', '.join(registry.names('datasets')) or 'none'}."


def _dataset(name: str, entry: Entry, reading: Reading) -> Source:
    if reading.chosen:
        raise DataError(f"{name} is a dataset: --format, --delimiter, --header and --no-header are for files.")
    (x, y), (x_test, y_test) = _loaded(entry, reading)
    arrays = Arrays(entry.name, x, y, x_test, y_test)
    return Source(entry.name, replace(arrays, x_test=None, y_test=None), arrays.test, entry)


def _loaded(entry: Entry, reading: Reading) -> Any:
    """Call a dataset's function; only some take a folder, and only some can download."""
    import inspect

    known = inspect.signature(entry.target).parameters
    if reading.download and "download" not in known:
        raise DataError(f"{entry.name}: there is nothing to download; leave --download out.")
    if reading.folder is not None and all(one.kind is one.KEYWORD_ONLY for one in known.values()):
        raise DataError(f"{entry.name}: its data come with it, it takes no folder; leave --data out.")
    chosen = {"download": True} if reading.download else {}
    return entry.target(*(() if reading.folder is None else (reading.folder,)), **chosen)


def _file(name: str, reading: Reading) -> Source:
    from nbdl.data.source import check_file, read
    from nbdl.units.registry import registry

    if name != "-":
        check_file(Path(name).expanduser())
    readers = {suffix: entry.target for entry in registry.entries("readers") for suffix in entry.options["suffixes"]}
    data = read(name, readers, **settled(name, readers, reading))
    if isinstance(data, Arrays) and data.x_test is not None:
        return Source(name, replace(data, x_test=None, y_test=None), data.test)
    return Source(name, data)


def settled(name: str, readers: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    """Return format and options for a file: what is given, then what the model keeps and the reader takes.

    A kept format does not replace a suffix that says which reader a file needs.
    """
    from nbdl.data.source import find, parameters

    chosen, kept = reading.chosen, dict(reading.kept)
    format = kept.pop("format", None)
    if format is not None and "format" not in chosen and (name == "-" or not suffixed(name, readers)):
        chosen["format"] = format
    if not kept:
        return chosen
    known = parameters(find(Path(name).name, readers, chosen.get("format")))
    return {option: value for option, value in kept.items() if known is None or option in known} | chosen


def suffixed(name: str, readers: Mapping[str, Any]) -> bool:
    """Return whether a file's name ends in the suffix of a reader."""
    return any(name.lower().endswith(suffix.lower()) for suffix in readers if suffix != "-")


def rows_of(data: Data, rows: NDArray[np.int64]) -> Data:
    """Return these rows, in this order."""
    return data.taken(rows) if isinstance(data, Arrays) else data.taken(rows.tolist())


def hold_out(data: Data, target: str | None, task: str, fraction: float, seed: int) -> tuple[Data, Data | None]:
    """Hold rows out, so that both parts have each class, or each range of values, in equal shares.

    The rows are shuffled, ordered by the target, and taken at equal distances; the first row of each class
    stays.

    Returns:
        The rest, and the rows held out or None where the fraction is 0.

    Raises:
        DataError: One of the two parts would be empty.
    """
    import numpy as np

    if fraction == 0.0:
        return data, None
    order, stays = _ordered(data, target, task, seed)
    candidates = order[~stays]
    number = np.floor(fraction * np.arange(len(candidates) + 1) + 0.5)
    taken = np.diff(number) > 0
    held = np.zeros(len(data), bool)
    held[candidates[taken]] = True
    if not held.any():
        classes = int(stays.sum())
        of_each = "the only class" if classes == 1 else f"each of the {classes} classes"
        each = f"{of_each} keeps a row, and " if classes else ""
        raise DataError(
            f"{data.source}: {each}{counted(len(data), 'row is', 'rows are')} too few to hold out {fraction:g} of "
            "them. Hold out a larger share, or none: --validation-split 0 --test-split 0."
        )
    return rows_of(data, np.flatnonzero(~held)), rows_of(data, np.flatnonzero(held))


def _ordered(data: Data, target: str | None, task: str, seed: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The rows by target, shuffled where it is equal, and which of them are the first of a class."""
    import numpy as np

    from nbdl.data.target import class_indices, class_names, target_values
    from nbdl.engine.random import permutation

    shuffled = np.asarray(permutation(len(data), seed, 0), np.int64)
    values = target_values(data, target)
    if task == "classification":
        keys: NDArray[Any] = class_indices(data, target, class_names(values))
    elif isinstance(values, list):
        data.numbers(str(target))  # type: ignore[union-attr]  # raises: it names the cell that is text
        raise DataError(f"{data.source}: y is text; a regression needs numbers.")
    else:
        keys = values.reshape(len(values), -1)[:, 0]
    order = shuffled[np.argsort(keys[shuffled], kind="stable")]
    stays = np.zeros(len(order), bool)
    if task == "classification":
        stays[np.unique(keys[order], return_index=True)[1]] = True
    return order, stays


def targets_for(loss: Any, encoding: Encoding, data: Data, outputs: int) -> NDArray[Any]:
    """Return the targets as a loss compares them with this many outputs: labels, one-hot rows or values."""
    import numpy as np

    y = encoding.encode_target(data)
    if encoding.task == "regression":
        return y
    if outputs == 1:
        return y.astype(np.float32).reshape(-1, 1)
    if tuple(loss.target_shape((outputs,))) == (1,):
        return y
    return np.eye(outputs, dtype=np.float32)[y]


def check_outputs(encoding: Encoding, outputs: int, origin: str) -> None:
    """Refuse a net whose last layer does not fit the targets."""
    if outputs == encoding.outputs or (outputs == 1 and len(encoding.classes) == 2):
        return
    nouns = ("class", "classes") if encoding.task == "classification" else ("value to predict", "values to predict")
    raise ConfigError(
        f"{origin} has {counted(outputs, 'output')}; the data has {counted(encoding.outputs, *nouns)}: "
        f"the last layer needs {counted(encoding.outputs, 'unit')}."
    )
