"""Batches that come one at a time: from generators, iterables, Keras's Sequence, and arrays on disk.

A batch is (x, y) or (x, y, weights), of anything that `np.asarray` takes, and of as many rows as it likes. What can
be iterated over again is, for every pass.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.checks import PLAIN, as_array, count
from nbdl.data.columns import Names, check_names, check_order, names_of
from nbdl.engine.random import permutation
from nbdl.errors import DataError
from nbdl.network.columns import renew_names
from nbdl.program.limits import INPUTS
from nbdl.training.inputs import by_name, checked_data, weights_by_name

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.training.class_weights import ClassWeights

END = object()
BESIDE = {
    "batch_size": "its batches are as large as they are",
    "validation_split": "give validation_data=...",
}
ARRAYS = ("__array__", "__array_interface__", "__dlpack__", "toarray", "shape", "keys")  # arrays, tables, dicts


def is_stream(x: Any) -> bool:
    """Whether these are batches rather than an array.

    >>> is_stream([[1.0, 2.0], [3.0, 4.0]]), is_stream(batch for batch in [])
    (False, True)
    """
    if isinstance(x, list | tuple):
        return bool(x) and isinstance(x[0], tuple) and bool(x[0]) and all(map(_is_part, x[0]))
    if isinstance(x, str | bytes | range | set | frozenset) or any(hasattr(x, name) for name in ARRAYS):
        return False
    return hasattr(x, "__next__") or (not _is_buffer(x) and (hasattr(x, "__iter__") or _is_sequence(x)))


def _is_array(part: Any) -> bool:
    """Whether this is an array, and not one of NumPy's or PyTorch's numbers, which are arrays without a dimension."""
    return hasattr(part, "__array__") and getattr(part, "ndim", 1) != 0


def _is_part(part: Any) -> bool:
    """Whether this is an array, or those of several inputs or outputs, in a list or by name."""
    several = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
    return _is_array(part) or (bool(several) and all(map(_is_array, several)))


def _is_buffer(x: Any) -> bool:
    try:
        memoryview(x)
    except TypeError:
        return False
    return True


def _is_sequence(x: Any) -> bool:
    return hasattr(x, "__getitem__") and (hasattr(x, "__len__") or hasattr(x, "num_batches"))


def refuse_beside(**arguments: Any) -> None:
    """Refuse what batches bring themselves, where an argument is not None.

    Raises:
        DataError: one is not.
    """
    for name, value in arguments.items():
        if value is not None:
            remedy = BESIDE.get(name, "let it give (x, y) or (x, y, weights); of rows make an array, np.array(list(x))")
            raise DataError(f"{name} was given beside an iterable of batches: {remedy}")


class Slices:
    """Batches of arrays that are read a slice at a time: from files, as h5py and zarr have them.

    Args:
        arrays: x, y and weights, or None for those that are missing; of several inputs or losses a list. Each array
            has `shape` and takes slices.
        part: which rows.
        shuffle: "batch" for the order of the batches alone, which leaves each one slice of the file.

    Raises:
        DataError: their numbers of rows differ.
    """

    def __init__(self, arrays: Sequence[Any], part: range, batch: int, shuffle: bool | str = False) -> None:
        self.arrays, self.part, self.batch, self.shuffle = list(arrays), part, batch, shuffle
        lengths = [one.shape[0] for array in arrays for one in each(array) if one is not None]
        if len(set(lengths)) > 1:
            raise DataError(f"x, y and sample_weight have {' and '.join(map(str, dict.fromkeys(lengths)))} rows")

    def __len__(self) -> int:
        return -(-len(self.part) // self.batch)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        return self._rows(np.asarray(self.part[number * self.batch :][: self.batch]))

    def passed(self, seed: int, number: int) -> Iterator[tuple[Any, ...]]:
        """One pass over the rows, in the order that arrays in memory would have."""
        rows, batch = np.asarray(self.part), self.batch
        if self.shuffle and self.shuffle != "batch":
            rows = rows[permutation(len(rows), seed, number)]
        firsts = np.arange(0, len(rows), batch)
        if self.shuffle == "batch":
            firsts = in_batches(firsts, len(rows) // batch, seed, number)
        for first in firsts:
            yield self._rows(rows[first : first + batch])

    def _rows(self, rows: Any) -> tuple[Any, ...]:
        x, *others = [_read(array, rows) for array in self.arrays]
        while others and others[-1] is None:
            others.pop()
        return x, *others


def in_batches(firsts: Any, whole: int, seed: int, number: int) -> Any:
    """The batches in a new order; the last one stays where it is if it is short, as in Keras 1."""
    order = np.arange(len(firsts))
    order[:whole] = permutation(whole, seed, number)
    return firsts[order]


def _read(array: Any, rows: Any) -> Any:
    """Rows of an array, or of each of several; files want their numbers to rise."""
    if array is None or isinstance(array, list):
        return array and [_read(one, rows) for one in array]
    if len(rows) == rows[-1] - rows[0] + 1 and (np.diff(rows) == 1).all():
        return array[int(rows[0]) : int(rows[-1]) + 1]
    order = np.argsort(rows)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return np.asarray(array[rows[order]])[back]


class BatchStream:
    """Checked batches of a model's data, pass after pass.

    Args:
        source: an iterable of batches, or `Slices`.
        steps: batches of an epoch; None for one pass.
        shuffle: whether a Sequence's batches are taken in a new order each pass.
        name: what errors call it.
        first_pass: the number of the first pass, on which orders depend.
        trains: whether it is the data of a fit, whose names of columns the model takes.
    """

    def __init__(
        self,
        job: Job,
        source: Any,
        steps: int | None = None,
        shuffle: bool | str = False,
        name: str = "x",
        class_weights: ClassWeights | None = None,
        first_pass: int = 0,
        trains: bool = False,
    ) -> None:
        self.trains = trains
        self.job, self.source, self.name, self.class_weights = job, source, name, class_weights
        self.shuffle, self.passes = shuffle, first_pass
        self.again = not hasattr(source, "__next__")
        self.length = _length(source) if self.again else None
        self.steps = steps
        self.current: Iterator[Any] | None = None
        self.taken = 0  # batches of the pass under way
        self.names: tuple[Names | None, Names | None] = (None, None)  # of the columns of the first batch

    @property
    def per_epoch(self) -> int | None:
        """Batches of an epoch, where that is known."""
        return self.length if self.steps is None else self.steps

    def epoch(self) -> Iterator[Any]:
        """The batches of the next epoch as they come; fewer than `steps` where there are no more."""
        given_so_far = 0
        while self.steps is None or given_so_far < self.steps:
            if self.current is None:
                self.current, self.taken = self._pass(), 0
            batch = next(self.current, END)
            if batch is END:
                self.current = None
                if self.steps is None or not self.again or self.taken == 0:
                    return
                continue
            self.taken += 1
            given_so_far += 1
            yield batch

    def _pass(self) -> Iterator[Any]:
        number, self.passes = self.passes, self.passes + 1
        if isinstance(self.source, Slices):
            return self.source.passed(self.job.network.seed, number)
        return self._indexed(number) if _is_sequence(self.source) else iter(self.source)

    def _indexed(self, number: int) -> Iterator[Any]:
        order: Iterable[Any] = itertools.count() if self.length is None else range(self.length)
        if self.shuffle and self.length is not None:
            order = permutation(self.length, self.job.network.seed, number)
        for index in order:
            yield self.source[int(index)]
        if hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()

    def first(self) -> list[Any]:
        """The first batch, checked, before any is taken: it tells the shape of the inputs.

        Raises:
            DataError: there are no batches, or the first cannot be used.
        """
        if isinstance(self.source, Slices) or _is_sequence(self.source):
            return self.checked(self.source[0], "batch 0", looks=True)
        batches = iter(self.source)
        found = next(batches, END)
        if found is END:
            raise DataError(f"{self.name} gave no batches")
        self.current, self.taken = itertools.chain([found], batches), 0
        return self.checked(found, "the first batch", looks=True)

    def checked(self, batch: Any, where: str, looks: bool = False) -> list[Any]:
        """x, y and weights of a batch, each rows × features.

        Raises:
            DataError: the batch cannot be used; the message says which it is.
        """
        x, y, weights = parts(batch, self.name)
        self.names = self.names if any(self.names) else (names_of(x), names_of(y))
        if self.trains and looks:
            renew_names(self.job.network, x, y)
        with self.naming(where):
            data = checked_data(self.job.network, self.job.compiled(), x, y, weights, looks)
            if len(data[0]) == 0:
                raise DataError("it has no rows")
            if self.class_weights is not None:
                *_, y, row_weights = data
                data[-1] = row_weights * self.class_weights.factors(y)
        return data

    @contextmanager
    def naming(self, where: str) -> Iterator[None]:
        """Have errors in the data say which batch they are of."""
        try:
            yield
        except DataError as error:
            raise DataError(f"{self.name}, {where}: {error}") from None


def _length(source: Any) -> int | None:
    """Batches of a pass, where the source tells: some have `__len__` and cannot, or never end."""
    try:
        return len(source)
    except (TypeError, NotImplementedError):
        return getattr(source, "num_batches", None)


def parts(batch: Any, name: str) -> tuple[Any, Any, Any]:
    """x, y and weights of a batch; what is missing is None."""
    found = tuple(batch) if isinstance(batch, tuple | list) else (batch,)
    if not 1 <= len(found) <= 3:
        raise DataError(f"{name} must give batches (x, y) or (x, y, weights), one has {len(found)} parts")
    x, y, weights = (*found, None, None)[:3]
    return x, y, weights


def on_disk(array: Any) -> bool:
    """Whether an array is better read a slice at a time: h5py's and zarr's, or mapped in a form that must be converted.

    Mapped arrays of plain numbers are not: batches are gathered where they lie.
    """
    if isinstance(array, np.memmap):
        return not (array.flags.c_contiguous and array.dtype.isnative and array.dtype.name in (*PLAIN, "bool"))
    return hasattr(array, "chunks") and hasattr(array, "shape") and hasattr(array, "__getitem__")


def any_on_disk(data: Sequence[Any]) -> bool:
    """Whether one of x, y and weights is on disk, or one of the arrays of several inputs or outputs."""
    return any(on_disk(one) for value in data for one in itertools.islice(each(value), INPUTS))


def each(value: Any) -> Iterable[Any]:
    """The arrays of several inputs or outputs, in a list or by name; anything else itself."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else (value,)


def sliceable(job: Job, data: Sequence[Any], name: str) -> list[Any]:
    """x, y and weights as arrays that can be read a slice at a time, of several inputs or losses as lists in order.

    Args:
        name: what errors call those that are no arrays.
    """
    network, (x, *others) = job.network, data
    check_names(network.feature_names, x)
    check_order(network.target_names, names_of(others[0] if others else None), "y")
    found = [by_name(x, network.input_names, "x")]
    if others:
        goals = [network.output_names[goal.output] for goal in job.compiled().goals]
        y, weights = others
        found += [by_name(y, goals, "y", network.output_names), weights_by_name(weights, goals)]
    arrays = [[one if one is None or on_disk(one) else as_array(one, name) for one in several] for several in found]
    return [several if len(several) > 1 else several[0] for several in arrays]


def batches_of(
    job: Job, data: list[Any], batch_size: int | None, steps: int | None, one_by_one: bool = False,
    name: str = "x",
) -> BatchStream | None:  # fmt: skip
    """x (and y and weights) as batches: given so, read from files a slice at a time, or looked at `one_by_one`.

    None where they are arrays that can be used whole.
    """
    batch = count(batch_size, "batch_size", 32, 1)
    count(steps, "steps", 1, 1)
    x, *others = data
    if is_stream(x):
        refuse_beside(batch_size=batch_size, **dict(zip(("y", "sample_weight"), others, strict=False)))
        return BatchStream(job, x, steps, name=name)
    if not one_by_one and not any_on_disk(data):
        return None
    arrays = sliceable(job, data, name)
    rows = len(next(iter(each(arrays[0]))))
    return BatchStream(job, Slices(arrays, range(rows), batch), steps, name=name)


def limited(data: list[Any], batch_size: int | None, steps: int | None) -> list[Any]:
    """The rows of so many steps of that size; without a size, a step is so large that all rows are taken."""
    return data if steps is None or batch_size is None else [array[: steps * batch_size] for array in data]
