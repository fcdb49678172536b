"""The first run of a hand-written body: a few rows in plain Python, which notices what compiled code does not look at.

An index beyond an array, or a write to an input, would corrupt the memory of the process. So each body that does not
come with nbdl is tried once in a process for each kind of operands, before it runs compiled, on any way to run it:

    on the CPU          with the data of the first step, a few rows of it, at the executor's first run
    on a GPU, in a net
    and in a C export   with made-up data, when they are made

Results are thrown away: nothing that a run computes depends on it. In plain Python bodies are looked at anyway.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Iterable, Sequence
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from nbdl.engine.kernel_errors import failed, kernel_of, own, within
from nbdl.engine.plain import reference_function
from nbdl.engine.program import Operation, Program, Tensor
from nbdl.engine.store import Floats, Store
from nbdl.errors import KernelError
from nbdl.kernels import MOST_THREADS

SECONDS = 0.05  # for each body; the first row is always tried
MOST_ROWS = 512
# Of the errors of NumPy and nbdl.kernels.gemm that mean a write where there is no memory.
READ_ONLY, SHAPES = "read-only", ("broadcast", "does not fit", "mismatch")
Sizes = tuple[tuple[int, int], ...]  # of the arrays that a body is given, inputs first; rows of the batch: -1

# Of each body that was tried, by its operands, on how many rows.
_tried: weakref.WeakKeyDictionary[FunctionType, dict[Any, int]] = weakref.WeakKeyDictionary()


# -- which bodies -----------------------------------------------------------------------------------------


def foreign(program: Program) -> list[Operation]:
    """The operations whose bodies do not come with nbdl."""
    kernels = [one for one in program.operations if one.kind == "kernel"]
    return [one for one in kernels if not _comes_with_nbdl(getattr(one.function, "__module__", "") or "")]


def _comes_with_nbdl(module: str) -> bool:
    root = module.partition(".")[0]
    return module.startswith("nbdl.") or root in _own_packages()


@functools.cache
def _own_packages() -> frozenset[str]:
    from nbdl.discovery import installed

    return frozenset(plugin.point.value.partition(":")[0].partition(".")[0] for plugin in installed() if plugin.own)


def untried(operations: Iterable[Operation], program: Program, rows: int, cuda: bool = False) -> list[Operation]:
    """The operations whose bodies were not tried yet with operands of these sizes, or on too few rows."""
    return [one for one in operations if _known(one, program, cuda) < min(rows, enough(one))]


def _body(operation: Operation, cuda: bool) -> FunctionType | None:
    body = operation.attributes.get("cuda") if cuda else operation.function
    found = getattr(body, "py_func", body)
    return found if isinstance(found, FunctionType) else None


def _known(operation: Operation, program: Program, cuda: bool) -> int:
    body = _body(operation, cuda)
    return MOST_ROWS if body is None else _tried.get(body, {}).get(_key(operation, program, cuda), 0)


def _key(operation: Operation, program: Program, cuda: bool) -> Any:
    """What may change which elements a body reaches: the sizes of its arrays, the numbers that it is given."""
    constants = tuple(
        tuple(program.constants[one.storage.offset : one.storage.offset + one.features])
        for one in operation.inputs
        if one.storage.space == "constant"
    )
    return cuda, operation.domain[0] is None, sizes(operation), constants


def sizes(operation: Operation) -> Sizes:
    """Rows and row length of each array of a body."""
    fixed = operation.domain[0] is not None
    found = [_size(one) for one in operation.inputs]
    return (*found, *((one.shape[0], one.features // one.shape[0]) if fixed else (-1, one.features)
                      for one in operation.outputs))  # fmt: skip


def _size(tensor: Tensor) -> tuple[int, int]:
    return (-1, tensor.features) if tensor.rows else (tensor.shape[0], tensor.features // tensor.shape[0])


def enough(operation: Operation) -> int:
    """Rows after which more would show nothing new: more than any array is wide, so that axes cannot be mixed up."""
    return min(MOST_ROWS, 1 + max(max(abs(height), width) for height, width in sizes(operation)))


# -- one body ---------------------------------------------------------------------------------------------


def attempt(operation: Operation, operands: Sequence[Floats], rows: int, program: Program, cuda: bool = False) -> None:
    """Run a body in Python: one row, then more until enough were seen or some time is over.

    Args:
        operands: their values, flat.
        rows: of the batch.

    Raises:
        KernelError: it reaches outside its arrays or writes to an input.
    """
    body = _body(operation, cuda)
    if body is None:
        return
    known, key = _tried.setdefault(body, {}), _key(operation, program, cuda)
    goal, count, left = min(rows, MOST_ROWS), min(rows, 1), SECONDS
    while count:
        began = time.perf_counter()
        _run(operation, body, operands, (count, rows), cuda)
        seconds = time.perf_counter() - began
        left -= seconds
        fitting = min(goal, int(count * left / max(seconds, 1e-6)))
        if count == goal or fitting < min(goal, 2 * count):
            break
        count = fitting
    known[key] = max(known.get(key, 0), goal if count == goal else MOST_ROWS)


def _run(
    operation: Operation, body: FunctionType, operands: Sequence[Floats], rows: tuple[int, int], cuda: bool
) -> None:
    inputs = [_array(one, values, rows) for one, values in zip(operation.inputs, operands, strict=True)]
    try:
        with np.errstate(all="ignore"):
            (_run_cuda if cuda else _run_cpu)(operation, reference_function(body), inputs, rows[0])
    except Exception as error:  # other errors are those of Python's rules alone, or the compiler reports them
        memory = isinstance(error, IndexError | UnboundLocalError) or any(
            one in str(error) for one in (READ_ONLY, *(() if cuda else SHAPES))
        )
        told = author_error(operation, error) if memory else None
        if told is not None:
            raise told from None


def author_error(operation: Operation, error: Exception) -> KernelError | None:
    """What an author's body raised while Python ran it, with its line; None if it was none."""
    authors = {function.__code__: function for function in within(operation)}

    def place(frame: FrameType, line: int) -> tuple[FunctionType, int] | None:
        function = authors.get(frame.f_code)
        return None if function is None or own(function) else (function, line)

    return failed(error, kernel_of(operation), place)


def _array(tensor: Tensor, values: Floats, rows: tuple[int, int]) -> Floats:
    """An input as a body is given it, for some of the rows; nobody may write to it."""
    height, width = _size(tensor)
    array = values.reshape(rows[1] if height < 0 else height, width)[: rows[0] if height < 0 else height]
    array.flags.writeable = False
    return array


def _run_cpu(operation: Operation, body: Any, inputs: Sequence[Floats], rows: int) -> None:
    height, shapes = operation.domain[0], sizes(operation)[len(inputs) :]
    if height is None:
        body(*inputs, *(np.zeros((rows, width), np.float32) for _, width in shapes))
        return
    parts = [(0, min(2, height)), (max(0, height - 2), height)]  # tiles, as several threads have them
    began = time.perf_counter()
    for first, end in parts:
        body(*inputs, *(np.zeros((end - first, width), np.float32) for _, width in shapes), first)
    if (time.perf_counter() - began) * height < 4 * SECONDS:
        body(*inputs, *(np.zeros((height, width), np.float32) for _, width in shapes), 0)


class _Flat(np.ndarray[Any, Any]):
    """A flat array that does not count from its end, as a GPU's does not."""

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_not_negative(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_not_negative(index), value)


def _not_negative(index: Any) -> Any:
    if isinstance(index, int | np.integer) and index < 0:
        raise IndexError(f"index {index} is negative")
    return index


def _run_cuda(operation: Operation, body: Any, inputs: Sequence[Floats], rows: int) -> None:
    """Run a CUDA body: by one thread, and by several where they do not wait for one another."""
    height, shapes = operation.domain[0], sizes(operation)[len(inputs) :]
    outputs = [np.zeros((rows if tall < 0 else tall) * width, np.float32) for tall, width in shapes]
    arrays = [array.reshape(-1).view(_Flat) for array in (*inputs, *outputs)]
    for threads in (1,) if _meets(operation) else (1, MOST_THREADS):
        for thread in range(threads):
            if height is not None:
                body(0, height, rows, thread, threads, *arrays)
            for row in range(rows if height is None else 0):
                body(row, thread, threads, *arrays)


def _meets(operation: Operation) -> bool:
    """Whether threads of a CUDA body share memory or wait for one another."""
    return any({"shared", "barrier"} & {*one.__code__.co_names} for one in within(operation))


# -- made-up data -----------------------------------------------------------------------------------------


def rehearse(program: Program, store: Store, cuda: bool = False) -> None:
    """Try the bodies of a program before it has data: with its weights and tables, and numbers from 0 to below 1.

    Raises:
        KernelError: a body reaches outside its arrays or writes to an input.
    """
    random = np.random.default_rng(0)
    for operation in foreign(program):
        rows = enough(operation)
        if untried([operation], program, rows, cuda):
            operands = [_made_up(one, program, store, rows, random) for one in operation.inputs]
            attempt(operation, operands, rows, program, cuda)


def _made_up(tensor: Tensor, program: Program, store: Store, rows: int, random: np.random.Generator) -> Floats:
    storage, count = tensor.storage, tensor.features * (rows if tensor.rows else 1)
    extent = slice(storage.offset, storage.offset + storage.features)
    if storage.space == "weight":
        return store.data[extent].copy()
    if storage.space == "constant":
        return np.array(program.constants[extent], np.float32)
    if storage is tensor and tensor.space == "scalar" and tensor.name == "rows":
        return np.array([rows], np.float32)
    return random.random(count, np.float32)
