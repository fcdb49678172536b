"""What comes from files and goes into them: datasets, readers, exporters."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np

from nbdl.data.arrays import Arrays
from nbdl.data.source import read
from nbdl.data.table import Table
from nbdl.errors import ConfigError, DataError
from nbdl.model.export import export_model, is_export_of
from nbdl.model.sequential import Sequential
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.own import Product
from nbdl.testing.probe import Array
from nbdl.testing.randomness import only_the_models_stream
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import generator, reals

PARTS = ("x_train", "y_train", "x_test", "y_test")


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes when it is left."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# -- datasets ---------------------------------------------------------------------------------------------


def loaded(subject: Subject) -> list[Array]:
    """The four arrays of a dataset."""
    try:
        (x_train, y_train), (x_test, y_test) = subject.entry.target()
    except DataError as error:
        raise SkipTest(str(error)) from None
    return [x_train, y_train, x_test, y_test]


@check("four arrays", "datasets")
def four_arrays(subject: Subject) -> None:
    """`load()` gives `(x_train, y_train), (x_test, y_test)`: finite numbers, rows of one shape, a target for each row.

    Labels of `classes=10` are integers from 0 to 9; `task` and `recipe` are what `nbdl train` knows. Skipped where
    the data are not on this machine.
    """
    from nbdl.plugins.recipe import settings_of

    x_train, y_train, x_test, y_test = arrays = loaded(subject)
    for name, array in zip(PARTS, arrays, strict=True):
        assert isinstance(array, np.ndarray), f"{name} is a {type(array).__name__}, not an array"
        assert array.dtype.kind not in "fc" or np.isfinite(array).all(), f"{name} holds NaN or infinity"
    Arrays(subject.entry.name, x_train, y_train, x_test, y_test)  # which refuses what does not fit together
    task, classes = subject.options.get("task"), subject.options.get("classes")
    assert task in ("classification", "regression"), f'task={task!r}: register it as "classification" or "regression"'
    for name, labels in (("y_train", y_train), ("y_test", y_test)):
        if classes is not None:
            inside = np.isin(labels, np.arange(classes)).all()
            assert inside, f"{name} goes from {labels.min()} to {labels.max()}, where classes={classes}"
    settings_of(subject.entry, subject.options.get("recipe", {}))


@check("the same each time", "datasets")
def the_same_each_time(subject: Subject) -> None:
    """Loaded again it gives the same rows in the same order, also where the first ones were changed since."""
    with only_the_models_stream():
        first = loaded(subject)
    kept = [array.copy() for array in first]
    for array in (one for one in first if one.flags.writeable):
        if array.dtype.kind in "iuf":
            array += np.ones((), array.dtype)
        else:
            array[...] = array.flat[0]
    for name, array, before in zip(PARTS, loaded(subject), kept, strict=True):
        assert array.dtype == before.dtype, f"{name} is {before.dtype}, and {array.dtype} the second time"
        assert np.array_equal(array, before), f"{name} is another the second time"


# -- readers ----------------------------------------------------------------------------------------------


def sample(subject: Subject, within: Path) -> Path:
    """The file of a reader's `sample`, written."""
    content: str | bytes | Callable[[Path], Any] | None = subject.options.get("sample")
    assert content is not None, "register it with sample=..., the text or bytes of a small file, or write(path)"
    path = within / f"sample{_suffixes(subject)[0]}"
    if isinstance(content, str):
        path.write_text(content, "utf-8")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
        assert path.is_file(), f"its sample(path) writes no file at {path.name}"
    return path


def _suffixes(subject: Subject) -> list[str]:
    found = [suffix for suffix in subject.options.get("suffixes", ()) if suffix != "-"]
    assert found, 'register it with suffixes=(".abc",)'
    return found


def _read(subject: Subject, source: Any) -> Table | Arrays:
    suffixes = subject.options["suffixes"]
    return read(source, dict.fromkeys(suffixes, subject.entry.target))


def _contents(data: Table | Arrays) -> dict[str, Any]:
    if isinstance(data, Table):
        return {name: np.asarray(data.column(name)) for name in data.names}
    return {name: getattr(data, name) for name in ("x", "y", "x_test", "y_test") if getattr(data, name) is not None}


@check("reads its sample", "readers")
def reads_its_sample(subject: Subject) -> None:
    """The file of `sample` is read, by each of the suffixes, as a `Table` or `Arrays` with rows; again as the same.

    The file stays as it is. A reader of the suffix "-" gives the same for a stream of text.
    """
    with folder() as within:
        path = sample(subject, within)
        raw, data = path.read_bytes(), _read(subject, path)
        assert isinstance(data, Table | Arrays), f"it returns a {type(data).__name__}, not a Table or Arrays"
        assert len(data) > 0, "its sample has no rows"
        sources: dict[str, Any] = {"read again": path}
        if "-" in subject.options["suffixes"]:
            sources["as a stream"] = StringIO(raw.decode("utf-8"))
        wanted = _contents(data)
        for title, source in sources.items():
            found = _contents(_read(subject, source))
            same = list(found) == list(wanted) and all(np.array_equal(found[name], wanted[name]) for name in wanted)
            assert same, f"{title}, the sample gives other data"
        assert path.read_bytes() == raw, "reading changes the file"


@check("refuses what it cannot read", "readers")
def refuses_what_it_cannot_read(subject: Subject) -> None:
    """An empty file, noise, one cut off and a missing one are a `DataError`, which names the file: no other exception.

    A part of a file may be a whole file, as of a table; then it is read.
    """
    with folder() as within:
        path = sample(subject, within)
        whole, noise = path.read_bytes(), generator().integers(0, 256, 400, np.uint8).tobytes()
        broken = {"an empty file": b"", "noise": noise, "a file cut off": whole[: len(whole) // 2]}
        for title, content in broken.items():
            path.write_bytes(content)
            _refused(subject, path, title)
        path.unlink()
        assert _refused(subject, path, "a missing file"), "a missing file is read"


def _refused(subject: Subject, path: Path, title: str) -> bool:
    try:
        if path.exists():
            subject.entry.target(path)  # itself: `read` would turn any exception into a DataError
        else:
            _read(subject, path)
    except DataError as error:
        message = str(error)
    except OSError:  # `read` says which file
        return True
    except Exception as error:
        raise AssertionError(f"{title} is a {type(error).__name__} rather than a DataError: {error}") from error
    else:
        return False
    assert path.name in message, f"{title}: the message does not name the file: {message}"
    return True


# -- exporters --------------------------------------------------------------------------------------------


def unwritable(x: Any, y: Any) -> None:
    """A body in no language but Python."""
    raise NotImplementedError


class Foreign(Product):
    """A layer whose body no format can express; the suite's own."""

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        y, _ = super().forward(r, x)
        return r.kernel(unwritable, y, shapes=[y.shape]), None


def _model(layer: Product) -> Sequential:
    layer.set_input_shape((3,))
    model = Sequential([layer], seed=3)
    model.build()
    return model


@check("writes a whole file", "exporters")
def writes_a_whole_file(subject: Subject) -> None:
    """A small model becomes a file that is not empty and holds its fingerprint; again the same bytes.

    By the fingerprint an export is known and may be replaced. The model stays as it is, and nothing lies beside.
    """
    model, x = _model(Product(2)), reals(generator(), 4, 3)
    before = model.predict(x)
    with folder() as within:
        path = within / f"model{_suffixes(subject)[0]}"
        export_model(model, path, subject.entry.name) if _is_registered(subject) else subject.entry.target(model, path)
        assert path.is_file(), "it writes no file at the path that it is given"
        assert is_export_of(model, path), "the file does not hold `nbdl.model.export.fingerprint(model)` near its start"
        first = path.read_bytes()
        subject.entry.target(model, path)
        assert path.read_bytes() == first, "the second export of the same model has other bytes"
        others = [one.name for one in within.iterdir() if one != path]
        assert not others, f"it leaves {', '.join(others)} beside the file"
    assert np.array_equal(model.predict(x), before), "exporting changes the model"


def _is_registered(subject: Subject) -> bool:
    from nbdl.units.registry import registry

    found = registry.find(subject.kind, subject.entry.name)
    return found is not None and found.target is subject.entry.target


@check("refuses what it cannot write", "exporters")
def refuses_what_it_cannot_write(subject: Subject) -> None:
    """A model that it cannot express, or whose input shape is not known, is a `ConfigError`; an older file stays."""
    with folder() as within:
        path = within / f"model{_suffixes(subject)[0]}"
        models = {"a body that is only Python": _model(Foreign(2)), "no input shape": Sequential([Product(2)])}
        for title, model in models.items():
            path.write_bytes(b"older")
            try:
                subject.entry.target(model, path)
            except ConfigError:
                pass
            except Exception as error:
                raise AssertionError(
                    f"a model with {title} is a {type(error).__name__} rather than a ConfigError: {error}"
                ) from error
            else:
                raise AssertionError(f"a model with {title} is exported all the same")
            assert [one.name for one in within.iterdir()] == [path.name], f"a model with {title} leaves files behind"
            assert path.read_bytes() == b"older", f"a model with {title} destroys the older file"
