"""Datasets, readers and exporters."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np

from nbdl.data.arrays import Arrays
from nbdl.data.table import Table
from nbdl.errors import ConfigError, DataError
from nbdl.model.export import fingerprint
from nbdl.storage.atomic import write_atomically
from planted.defect import Defect, entry

# -- datasets ---------------------------------------------------------------------------------------------


def parts(rng: np.random.Generator) -> Any:
    x, y = rng.normal(size=(20, 3)).astype(np.float32), np.arange(20) % 4
    return (x[:15], y[:15]), (x[15:], y[15:])


def seeded(folder: Any = None) -> Any:
    return parts(np.random.default_rng(1))


def unseeded(folder: Any = None) -> Any:
    return parts(np.random.default_rng())


def shuffled(folder: Any = None) -> Any:
    random.random()
    return seeded()


kept = seeded()


def shared(folder: Any = None) -> Any:
    return kept


def short(folder: Any = None) -> Any:
    (x, y), test = seeded()
    return (x, y[:-1]), test


def from_one(folder: Any = None) -> Any:
    (x, y), (x_test, y_test) = seeded()
    return (x, y + 1), (x_test, y_test + 1)


DATA = {"task": "classification", "classes": 4}


# -- readers ----------------------------------------------------------------------------------------------


def numbers(source: Any, first: int = 0) -> Table:
    """Read numbers that are one to a line."""
    try:
        values = [float(line) for line in Path(source).read_text("ascii").split()][first:]
    except ValueError as error:
        raise DataError(f"{source}: {error}") from error
    if not values:
        raise DataError(f"{source}: has no numbers")
    return Table(str(source), {"x": np.array(values)}, range(1, len(values) + 1))


def careless(source: Any) -> Table:
    values = [float(line) for line in Path(source).read_text("ascii").split()]
    return Table(str(source), {"x": np.array(values)}, range(1, len(values) + 1))


def nameless(source: Any) -> Table:
    try:
        return numbers(source)
    except DataError:
        raise DataError("something is wrong") from None


def disordered(source: Any) -> Table:
    table = numbers(source)
    column = np.asarray(table.column("x"))
    return Table(table.source, {"x": column[np.random.default_rng().permutation(len(column))]}, table.lines)


def bare(source: Any) -> Any:
    return np.asarray(numbers(source).column("x"))


def consuming(source: Any) -> Any:
    table = numbers(source)
    Path(source).write_text("1\n2\n")
    return Arrays(str(source), np.asarray(table.column("x"))[:, None])


READ = {"suffixes": (".numbers",), "sample": "".join(f"{number}\n" for number in range(1, 40))}


# -- exporters --------------------------------------------------------------------------------------------


def described(model: Any) -> bytes:
    """A model as text, or a ConfigError."""
    from nbdl.network.record import prediction_program

    if model.input_shape is None:
        raise ConfigError("the model's input shape is not known")
    model.build()
    if any(operation.kind == "kernel" for operation in prediction_program(model.network).operations):
        raise ConfigError("a hand-written body cannot be expressed")
    weights = [weight.value.tolist() for weight in model.weights]
    return json.dumps({"model": fingerprint(model), "weights": weights}).encode()


def whole(model: Any, path: Path, indent: int = 0) -> None:
    """Write a model."""
    write_atomically(path, described(model))


def unmarked(model: Any, path: Path) -> None:
    write_atomically(path, described(model).replace(b"nbdl", b"none"))


times = itertools.count()


def dated(model: Any, path: Path) -> None:
    write_atomically(path, described(model) + str(next(times)).encode())


def rounding(model: Any, path: Path) -> None:
    write_atomically(path, described(model))
    for weight in model.weights:
        weight.value[...] = np.round(weight.value, 1)


def littering(model: Any, path: Path) -> None:
    write_atomically(path, described(model))
    path.with_suffix(".log").write_text("done")


def hasty(model: Any, path: Path) -> None:
    path.write_bytes(b"")
    path.write_bytes(described(model))


def crashing(model: Any, path: Path) -> None:
    if model.input_shape is None:
        raise TypeError("no shape")
    whole(model, path)


WRITE = {"suffixes": (".described",)}
ARGUMENTS = "Write.\n\nArgs:\n    first: numbers to leave out.\n    indent: not used."

HEALTHY = {
    "a dataset": entry("datasets", seeded, **DATA),
    "a reader": entry("readers", numbers, **READ, doc=ARGUMENTS),
    "an exporter": entry("exporters", whole, **WRITE, doc=ARGUMENTS),
}

DEFECTS = [
    Defect("fewer targets than rows", "four arrays", entry("datasets", short, **DATA)),
    Defect("labels from 1", "four arrays", entry("datasets", from_one, **DATA)),
    Defect("a task that is none", "four arrays", entry("datasets", seeded, task="clasification")),
    Defect("an unseeded random in a dataset", "the same each time", entry("datasets", unseeded, **DATA)),
    Defect("a draw from `random` in a dataset", "the same each time", entry("datasets", shuffled, **DATA)),
    Defect("arrays that are kept", "the same each time", entry("datasets", shared, **DATA)),
    Defect("rows in an unseeded order", "reads its sample", entry("readers", disordered, **READ)),
    Defect("an array in place of a table", "reads its sample", entry("readers", bare, **READ)),
    Defect("a file that is changed", "reads its sample", entry("readers", consuming, **READ)),
    Defect("no sample", "reads its sample", entry("readers", numbers, suffixes=(".numbers",), doc=ARGUMENTS)),
    Defect("a ValueError for a broken file", "refuses what it cannot read", entry("readers", careless, **READ)),
    Defect("an error that names no file", "refuses what it cannot read", entry("readers", nameless, **READ)),
    Defect("an argument that is not explained", "documented", entry("readers", numbers, **READ, doc="Read.")),
    Defect("a file without a fingerprint", "writes a whole file", entry("exporters", unmarked, **WRITE)),
    Defect("a file that differs each time", "writes a whole file", entry("exporters", dated, **WRITE)),
    Defect("a model that is changed", "writes a whole file", entry("exporters", rounding, **WRITE)),
    Defect("a file beside", "writes a whole file", entry("exporters", littering, **WRITE)),
    Defect("an older file that is lost", "refuses what it cannot write", entry("exporters", hasty, **WRITE)),
    Defect("a TypeError for a model", "refuses what it cannot write", entry("exporters", crashing, **WRITE)),
]
