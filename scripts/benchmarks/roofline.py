"""The roofline of a training step: its matrix products alone, and its bytes alone.

- Products: those of nbdl's own training program, by the BLAS of NumPy (through `out=`, from Python), by that of SciPy
  (from compiled code, so that small products are not drowned by calls from Python), and by nbdl's own kernels. The
  faster BLAS counts, with all threads or one.
- Bytes: what all other operations of that program read and write, as a copy of half as many bytes. Operands that live
  from step to step (weights, gradients, optimizer slots) and the batch are copied in their whole length; activations,
  which a good engine keeps in the nearest cache, in pieces that stay there. With all threads or one, as is faster.

The roofline is the sum of both: within a step every operation needs the one before it, so arithmetic and movement
follow one another. An engine that fuses elementwise operations into its products, or whose kernels beat BLAS, can
exceed it.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

from benchmarks.peers import Repetition, limit_blas
from benchmarks.peers.nbdl import model_of
from benchmarks.works import Training

PIECE = 1024  # floats that are copied at once where they stay in the nearest cache


# -- products ------------------------------------------------------------------------------------------------


def _products(work: Training) -> list[Any]:
    return [operation for operation in model_of(work).program("train").operations if operation.kind == "gemm"]


def _operands(work: Training) -> list[tuple[int, Any, Any, Any]]:
    """For each product: 1 where a is stored transposed, 2 where b is, else 0; a and b as stored; the result."""
    import numpy as np

    random = np.random.default_rng(1)
    operands = []
    for operation in _products(work):
        m, n, k = operation.product(work.batch)
        transpose_a, transpose_b = operation.attributes["transpose_a"], operation.attributes["transpose_b"]
        a = random.random((k, m) if transpose_a else (m, k), dtype=np.float32)
        b = random.random((n, k) if transpose_b else (k, n), dtype=np.float32)
        operands.append((1 if transpose_a else 2 if transpose_b else 0, a, b, np.empty((m, n), np.float32)))
    return operands


def products_by_numpy(work: Training, threads: int) -> Repetition:
    """np.matmul into arrays made beforehand."""
    import numpy as np

    limit_blas(threads)
    matmul = np.matmul
    operands = [(a.T if how == 1 else a, b.T if how == 2 else b, out) for how, a, b, out in _operands(work)]

    def repetition() -> float:
        for _ in range(work.epochs * work.steps):
            for a, b, out in operands:
                matmul(a, b, out=out)
        return math.nan

    return repetition


def products_by_scipy(work: Training, threads: int) -> Repetition:
    """np.dot, which Numba takes from SciPy's BLAS, in one compiled loop over all steps."""
    import numba
    import numpy as np

    @numba.njit
    def loop(how: Any, a: Any, b: Any, out: Any, count: int) -> None:
        for _ in range(count):
            for number in range(len(how)):
                if how[number] == 1:
                    np.dot(a[number].T, b[number], out[number])
                elif how[number] == 2:
                    np.dot(a[number], b[number].T, out[number])
                else:
                    np.dot(a[number], b[number], out[number])

    limit_blas(threads)
    how, *arrays = zip(*_operands(work), strict=True)
    lists = [numba.typed.List(column) for column in arrays]

    def repetition() -> float:
        loop(np.array(how), *lists, work.epochs * work.steps)
        return math.nan

    return repetition


def products_by_nbdl(work: Training, threads: int) -> Repetition:
    """nbdl's engine on a program of the products alone, which wait for one another as they do in a step."""
    import numpy as np

    from nbdl.engine.run import RunTables
    from nbdl.engine.select import make
    from nbdl.training import evaluate as inference

    model = model_of(work)
    program = model.program("train")
    makers = {id(tensor): operation for operation in program.operations for tensor in operation.outputs}

    def product_behind(tensor: Any) -> Any:
        """The result of a product, or the batch, that a tensor was made of element by element."""
        while tensor.batched and (operation := makers[id(tensor)]).kind not in ("gemm", "gather"):
            tensor = next(one for one in operation.inputs if one.batched and one.features == tensor.features)
        return tensor

    products = [
        replace(operation, inputs=tuple(map(product_behind, operation.inputs)))
        for operation in program.operations
        if operation.kind == "gemm"
    ]
    executor = make(replace(program, operations=products), model.store, work.batch, [None] * 3)
    random = np.random.default_rng(1)
    sizes = (work.sizes[0], work.sizes[-1], 1)
    data = [random.random((work.rows, size), dtype=np.float32) for size in sizes]
    steps, _, log = inference.tables(work.rows, work.batch, None, 1, program.log_width)
    scalars = np.zeros((len(steps), len(program.scalars)), np.float32)

    def repetition() -> float:
        for _ in range(work.epochs):
            executor.run(RunTables(steps, scalars, log, data, None, model.seed), threads)
        return math.nan

    return repetition


# -- bytes ---------------------------------------------------------------------------------------------------


def moved(work: Training) -> tuple[int, int, int]:
    """Floats that the other operations of a step read and write, in nbdl's program, which fuses few of them.

    Returns:
        Those of operands that last or are the batch; the memory that these take; those of all other operands.
    """
    lasting = passing = 0
    places: dict[tuple[Any, ...], int] = {}
    for operation in model_of(work).program("train").operations:
        gathers = operation.kind == "gather"
        if operation.kind in ("gemm", "check") or (gathers and not work.shuffled):
            continue  # looking for NaN is nbdl's own idea, so its bytes are nobody's floor
        twice = operation.outputs if gathers else ()  # it reads as much as it writes
        for tensor in (*operation.inputs, *operation.outputs, *twice):
            size = tensor.features * (work.batch if tensor.batched else 1)
            if tensor.space == "index":
                continue
            if tensor.batched and not gathers:
                passing += size
            else:
                lasting += size
                places[tensor.space, tensor.offset, tensor.features, gathers] = size * (2 if gathers else 1)
    return lasting, sum(places.values()), passing


def bytes_copied(work: Training, threads: int) -> Repetition:
    """Copies of half as many floats as are moved, each read once and written once."""
    import numba
    import numpy as np

    lasting, place, passing = (size // 2 + 1 for size in moved(work))
    source, target = (np.zeros(max(place, 2 * PIECE * threads), np.float32) for _ in range(2))

    @numba.njit
    def copy(source: Any, target: Any) -> None:
        for i in range(len(source)):
            target[i] = source[i]

    @numba.njit
    def copies(source: Any, target: Any, lasting: int, passing: int, steps: int) -> None:
        for _ in range(steps):
            for done in range(0, lasting, len(source)):
                end = min(lasting - done, len(source))
                copy(source[:end], target[:end])
            for done in range(0, passing, PIECE):
                first, end = done % (2 * PIECE), min(passing - done, PIECE)
                copy(source[first : first + end], target[first : first + end])

    @numba.njit(parallel=True)
    def shared(source: Any, target: Any, threads: int, steps: int) -> None:
        for thread in numba.prange(threads):
            width = len(source) // threads
            part = slice(width * thread, width * (thread + 1))
            copies(source[part], target[part], lasting // threads, passing // threads, steps)

    numba.set_num_threads(threads)
    steps = work.epochs * work.steps
    ways = [lambda: shared(source, target, threads, steps), lambda: copies(source, target, lasting, passing, steps)]
    for way in ways:
        way()
    best = min(ways, key=_seconds)

    def repetition() -> float:
        best()
        return math.nan

    return repetition


def _seconds(function: Any) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began
