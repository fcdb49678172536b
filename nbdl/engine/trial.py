"""The first run of a hand-written body: a few rows in plain Python, which notices what compiled code does not look at.

An index beyond an array, or a write to an input, would corrupt the memory of the process. So each body that does not
come with nbdl is tried once in a process for each kind of operands, before it runs compiled, on any way to run it:

    on the CPU          with the data of the first step, a few rows of it, at the executor's first run
    on a GPU, in a net
    and in a C export   with made-up data, when they are made

Results are thrown away: nothing that a run computes depends on it. In plain Python bodies are looked at anyway.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterable, Sequence
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from nbdl.engine.store import Floats, Store
from nbdl.errors import KernelError
from nbdl.kernels import MOST_THREADS
from nbdl.loader import own_packages
from nbdl.program.language.explain import Fault, Unset, failed, first_line, kernel_of, own, told, within
from nbdl.program.language.plain import reference_function
from nbdl.program.language.reach import reaches_by_data
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor

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
    return [one for one in program.operations if one.kind == "kernel" and not _own_body(one)]


def unsure(operation: Operation) -> bool:
    """Whether trying a body says nothing of what it does with other data, so that its indices are to be checked."""
    if _own_body(operation) or operation.function is None:
        return False
    inputs, count = operation.inputs, len(operation.inputs) + len(operation.outputs)
    known = {at for at, one in enumerate(inputs) if one.storage.space == "constant"}
    return reaches_by_data(operation.function, frozenset({*known, count}))  # the last: a part's first row


def _own_body(operation: Operation) -> bool:
    return _comes_with_nbdl(getattr(operation.function, "__module__", "") or "")


def _comes_with_nbdl(module: str) -> bool:
    root = module.partition(".")[0]
    return root in own_packages


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
    return (-1, tensor.features) if tensor.batched else (tensor.shape[0], tensor.features // tensor.shape[0])


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
            (_run_cuda if cuda else _run_cpu)(operation, body, inputs, rows[0])
    except KernelError:
        raise
    except Exception as error:  # other errors are those of Python's rules alone, or the compiler reports them
        memory = isinstance(error, IndexError | UnboundLocalError | Unset) or any(
            one in str(error) for one in (READ_ONLY, *(() if cuda else SHAPES))
        )
        told = author_error(operation, error) if memory else None
        if told is not None:
            raise told from None


def author_error(operation: Operation, error: Exception) -> KernelError | None:
    """What an author's body raised while Python ran it, with its line; None if it was none."""
    authors = {function.__code__: function for function in within(operation)}

    def author_of(frame: FrameType, line: int) -> tuple[FunctionType, int] | None:
        function = authors.get(frame.f_code)
        return None if function is None or own(function) else (function, line)

    return failed(error, kernel_of(operation), author_of)


def _array(tensor: Tensor, values: Floats, rows: tuple[int, int]) -> Floats:
    """An input as a body is given it, for some of the rows; nobody may write to it."""
    height, width = _size(tensor)
    array = values.reshape(rows[1] if height < 0 else height, width)[: rows[0] if height < 0 else height]
    array.flags.writeable = False
    return array


MARK = 0x7FC5A5A5  # a NaN that no computation gives: what an output holds before a body writes to it


class _Watched(np.ndarray[Any, Any]):
    """An array that does not count from its end, as C and a GPU do not, and tells of elements that nobody set."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(_not_negative(index))
        if isinstance(found, np.float32) and found.view(np.int32) == MARK:
            raise Unset("an output holds anything before a body writes to it")
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_not_negative(index), value)


def _not_negative(index: Any) -> Any:
    for one in index if type(index) is tuple else (index,):
        if isinstance(one, int | np.integer) and one < 0:
            raise IndexError(f"index {one} is negative")
    return index


def _output(*shape: int) -> Floats:
    return np.full(shape, MARK, np.int32).view(np.float32).view(_Watched)


def _all_written(operation: Operation, body: FunctionType, outputs: Sequence[Floats]) -> None:
    """Refuse a body that left an element of an output as it was."""
    names = body.__code__.co_varnames[: body.__code__.co_argcount]
    last = len(names) - int(operation.domain[0] is not None and outputs[0].ndim == 2)  # which is a part's first row
    for name, output in zip(names[last - len(outputs) : last], outputs, strict=False):
        left = np.argwhere(np.asarray(output).view(np.int32) == MARK)
        if len(left):
            index = ", ".join(map(str, left[0]))
            fault = Fault(
                body, first_line(body), f"leaves {name}[{index}] unwritten", "write all elements of an output"
            )
            raise told(kernel_of(operation), fault, "fails")


def _run_cpu(operation: Operation, body: FunctionType, inputs: Sequence[Floats], rows: int) -> None:
    height, shapes = operation.domain[0], sizes(operation)[len(inputs) :]
    run, inputs = reference_function(body), [one.view(_Watched) for one in inputs]

    def part(count: int, *first: int) -> None:
        outputs = [_output(count, width) for _, width in shapes]
        run(*inputs, *outputs, *first)
        _all_written(operation, body, outputs)

    if height is None:
        part(rows)
        return
    began = time.perf_counter()
    for first, end in [(0, min(2, height)), (max(0, height - 2), height)]:  # tiles, as several threads have them
        part(end - first, first)
    if (time.perf_counter() - began) * height < 4 * SECONDS:
        part(height, 0)


def _run_cuda(operation: Operation, body: FunctionType, inputs: Sequence[Floats], rows: int) -> None:
    """Run a CUDA body: by one thread, and by several where they do not wait for one another."""
    height, shapes = operation.domain[0], sizes(operation)[len(inputs) :]
    run, written = reference_function(body), []
    meets = _meets(operation)
    for threads in (1,) if meets else (1, MOST_THREADS):
        outputs = [_output((rows if tall < 0 else tall) * width) for tall, width in shapes]
        for output in outputs if meets else ():
            output[...] = 0.0  # one thread writes its own part alone
        arrays = [*(one.reshape(-1).view(_Watched) for one in inputs), *outputs]
        for thread in range(threads):
            if height is not None:
                run(0, height, rows, thread, threads, *arrays)
            for row in range(rows if height is None else 0):
                run(row, thread, threads, *arrays)
        written.append(outputs)
    for outputs in written:
        _all_written(operation, body, outputs)


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
    storage, count = tensor.storage, tensor.features * (rows if tensor.batched else 1)
    extent = slice(storage.offset, storage.offset + storage.features)
    if storage.space == "weight":
        return store.part(storage.offset, storage.features).copy()
    if storage.space == "constant":
        return np.array(program.constants[extent], np.float32)
    if storage is tensor and tensor.space == "scalar" and tensor.name == "rows":
        return np.array([rows], np.float32)
    return random.random(count, np.float32)
