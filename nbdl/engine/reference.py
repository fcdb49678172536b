"""The reference executor: the same program, one operation after another, in plain Python and NumPy.

It runs under `NUMBA_DISABLE_JIT=1`, where a debugger stops in an author's scalar function, and in float64 for
gradient checks. It shares nothing with the compiled kernels but the program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.engine.denormals import flushed
from nbdl.engine.executor import HostMemory
from nbdl.engine.random import uniform
from nbdl.engine.run import Finding, RunReport, RunTables
from nbdl.engine.store import PLACES, Floats, Store, aligned_zeros
from nbdl.engine.trial import author_error
from nbdl.program.language.plain import reference_function
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor, pattern

Array = NDArray[Any]


class ReferenceExecutor(HostMemory):
    """Runs a program step by step; the same interface as the compiled executor.

    Args:
        dtype: of all arithmetic; float64 for checks against differences.
        check: stop at the first result that is not finite and remember it in `finding`.
    """

    def __init__(
        self,
        program: Program,
        store: Store,
        rows: int,
        gathered: Sequence[str | None],
        slots: Floats | None = None,
        dtype: Any = np.float32,
        check: bool = False,
    ) -> None:
        self.program, self.store, self.gathered, self.dtype, self.check = program, store, gathered, dtype, check
        self.slots = aligned_zeros(0) if slots is None else slots
        self.weights: dict[int, Array] = {block.start: block.data for block in store.blocks}
        self.finding: Finding | None = None

    def run(self, tables: RunTables, threads: int | None = None) -> RunReport:
        """Run all steps, or up to the one that reports something."""
        orders = _orders(tables)
        for step in range(len(tables.steps)):
            with np.errstate(all="ignore"), flushed():
                stopped = self.step(tables, step, orders)
            if stopped is not None:
                return RunReport(step, stopped)
        return RunReport(len(tables.steps))

    def tuner(self, threads: int | None) -> None:
        """There are no threads to choose."""

    def step(self, tables: RunTables, step: int, orders: Sequence[Array | None]) -> Operation | None:
        """One step; the operation that stopped it, or None."""
        first, rows, counter = (int(value) for value in tables.steps[step, :3])
        self.values: dict[int, Array] = {}
        self.gradients = np.zeros(self.store.trainable_size, self.dtype)
        self.scalars = tables.scalars[step].astype(self.dtype)
        self.log, self.rows = tables.log[step], rows
        for tensor, source in zip(self.program.inputs, tables.sources, strict=True):
            order = orders[step]
            chosen = source.reshape(len(source), math.prod(source.shape[1:]))
            chosen = chosen[first : first + rows] if order is None else chosen[order[:rows]]
            self.values[id(tensor)] = chosen.astype(self.dtype)
        for operation in self.program.operations:
            if operation.kind == "gather":
                continue
            results = self._results(operation, tables.seed, counter)
            if results is None:
                self.finding = self.finding or Finding(operation, "a gradient that is not finite")
                return operation
            for tensor, result in zip(operation.outputs, results, strict=True):
                if self.check and not np.isfinite(result).all():
                    self.finding = Finding(operation, "NaN" if np.isnan(result).any() else "infinity")
                    return operation
                self._write(tensor, result)
        if tables.output is not None and self.program.output is not None:
            shape = tables.output[first : first + rows].shape
            tables.output[first : first + rows] = self.values[id(self.program.output)].reshape(shape)
        return None

    def _results(self, operation: Operation, seed: int, counter: int) -> Sequence[Array] | None:
        operands = [self._read(tensor) for tensor in operation.inputs]
        if operation.kind == "map":
            return self._apply(operation, operands, len(operation.outputs))
        if operation.kind == "sum":
            return [self._reduce(operation, self._apply(operation, operands, 1)[0])]
        if operation.kind == "gemm":
            return [self._product(operation, operands)]
        if operation.kind == "uniform":
            drawn = uniform(self.rows, operation.domain[1], seed, operation.attributes["site"], counter)
            return [drawn.astype(self.dtype)]
        if operation.kind == "check":
            return [] if np.isfinite(operands[0]).all() else None
        try:
            return body_results(operation, operands, self.rows, self.dtype)
        except Exception as error:
            told = author_error(operation, error)
            if told is None:
                raise
            raise told from error

    def _apply(self, operation: Operation, operands: list[Array], outputs: int) -> list[Array]:
        """A scalar function, element by element, in Python."""
        height, width = operation.domain
        shape = (self.rows if height is None else height, width)
        assert operation.function is not None
        function = reference_function(operation.function)
        spread = [
            _spread(tensor, operand, shape, operation)
            for tensor, operand in zip(operation.inputs, operands, strict=True)
        ]
        results = np.empty((outputs, *shape), self.dtype)
        kind: Callable[[Any], Any] = self.dtype
        for index in np.ndindex(*shape):
            value = function(*(kind(operand[index]) for operand in spread))
            results[(slice(None), *index)] = value
        return list(results)

    def _reduce(self, operation: Operation, values: Array) -> Array:
        axis = 0 if operation.attributes["over"] == "rows" else 1
        reduction = operation.attributes["reduction"]
        if reduction == "argmax":
            return np.asarray(values.argmax(axis=axis), self.dtype)
        if values.shape[axis] == 0:
            return np.zeros(values.shape[1 - axis], self.dtype)
        return np.asarray(values.max(axis=axis) if reduction == "max" else values.sum(axis=axis))

    def _product(self, operation: Operation, operands: list[Array]) -> Array:
        a, b = (_matrix(t, v) for t, v in zip(operation.inputs[:2], operands[:2], strict=True))
        a = a.T if operation.attributes["transpose_a"] else a
        b = b.T if operation.attributes["transpose_b"] else b
        product = np.einsum("ij,jk->ik", a, b)  # `@` may start threads, which would keep this thread's mode for ever
        return np.asarray(product + operands[2].reshape(-1) if len(operands) == 3 else product)

    def _read(self, tensor: Tensor) -> Array:
        """A tensor's values: rows × features with rows, else as they lie."""
        storage = tensor.storage
        extent = slice(storage.offset, storage.offset + storage.features)
        if storage.space == "weight":
            return self._weights(storage).astype(self.dtype)
        if storage.space == "slot":
            return self.slots[extent].astype(self.dtype)
        if storage.space == "gradient":
            return np.asarray(self.gradients[extent])
        if storage.space == "log":
            return np.asarray(self.log[extent], self.dtype)
        if storage.space == "scalar":
            return np.asarray(self.scalars[extent])
        if storage.space == "constant":
            return np.array(self.program.constants[extent], self.dtype)
        if storage.space == "index":
            return np.arange(tensor.features, dtype=self.dtype)
        return self.values[id(storage)]

    def _weights(self, storage: Tensor) -> Array:
        place = storage.offset & PLACES
        return self.weights[storage.offset - place][place : place + storage.features]

    def _write(self, tensor: Tensor, result: Array) -> None:
        storage = tensor.storage
        extent = slice(storage.offset, storage.offset + storage.features)
        flat = np.asarray(result, self.dtype).reshape(-1)
        if storage.space == "weight":
            self._weights(storage)[:] = flat
        elif storage.space == "slot":
            self.slots[extent] = flat
        elif storage.space == "gradient":
            self.gradients[extent] = flat
        elif storage.space == "log":
            self.log[extent] = flat
        else:
            rows = self.rows if storage.batched else -1
            self.values[id(storage)] = flat.reshape(rows, storage.features) if storage.batched else flat


def body_results(operation: Operation, operands: Sequence[Array], rows: int, dtype: Any) -> list[Array]:
    """What a hand-written body makes of its operands, all rows at once."""
    fixed = operation.domain[0] is not None
    sizes = [(t.shape[0], t.features // t.shape[0]) if fixed else (rows, t.features) for t in operation.outputs]
    outputs = [np.zeros(size, dtype) for size in sizes]
    arrays = [_matrix(t, v) for t, v in zip(operation.inputs, operands, strict=True)]
    for array in arrays:
        array.flags.writeable = False
    assert operation.function is not None
    reference_function(operation.function)(*arrays, *outputs, *([0] if fixed else []))
    return outputs


def _orders(tables: RunTables) -> list[Array | None]:
    """The indices of each step's rows, read from where the table points."""
    import ctypes

    found: list[Array | None] = []
    for _, rows, _, address in tables.steps:
        pointer = ctypes.cast(int(address), ctypes.POINTER(ctypes.c_int64)) if address else None
        found.append(None if pointer is None else np.ctypeslib.as_array(pointer, (int(rows),)))
    return found


def _spread(tensor: Tensor, values: Array, shape: tuple[int, int], operation: Operation) -> Array:
    how = pattern(tensor, operation.domain)
    if how == "full":
        return values.reshape(shape)
    if how == "row":
        return np.broadcast_to(values.reshape(-1, 1), shape)
    return np.broadcast_to(values.reshape(1, -1), shape)


def _matrix(tensor: Tensor, values: Array) -> Array:
    return values.reshape(-1, tensor.features) if tensor.batched else values.reshape(tensor.shape[0], -1)
