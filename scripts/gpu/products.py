"""Matrix products: the own kernel beside cuBLAS, in µs, TFLOP/s, and as a share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from benchmarks.works import LECTURE

from gpu.context import Context
from gpu.peers import BATCHES, WIDE

ROUNDS, SECONDS = 5, 0.02
TOLERANCE = 1e-5  # of a result, to float64
FLOATS_CHECKED = 1 << 22  # larger results are checked in part


@dataclass(frozen=True)
class Shape:
    """op(a)·op(b): m × k by k × n."""

    m: int
    n: int
    k: int
    transpose_a: bool = False
    transpose_b: bool = False

    @property
    def title(self) -> str:
        """As the report shows it."""
        how = ("aᵀ" if self.transpose_a else "a") + "·" + ("bᵀ" if self.transpose_b else "b")
        return f"{self.m}×{self.k} by {self.k}×{self.n}, {how}"

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return 2 * self.m * self.n * self.k


def shapes(tiny: bool) -> list[Shape]:
    """Of the steps of both nets at all batches, forward, and back to inputs and weights; then squares."""
    if tiny:
        return [Shape(5, 7, 9, a, b) for a in (False, True) for b in (False, True)] + [Shape(17, 9, 33)]
    found: list[Shape] = []
    for batch in BATCHES:
        for sizes in (LECTURE, WIDE):
            for number, (inputs, units) in enumerate(pairwise(sizes)):
                found += [Shape(batch, units, inputs), Shape(inputs, units, batch, True)]
                if number:
                    found.append(Shape(batch, inputs, units, False, True))
    squares = [Shape(size, size, size) for size in (1024, 2048, 4096)]
    return list(dict.fromkeys(found + squares))


def products(context: Context) -> None:
    """Every shape, in interleaved rounds; results are compared with float64 too."""
    from nbdl.engine.cuda import open_runtime

    runtime = open_runtime(0)
    rows: list[dict[str, Any]] = []
    context.keep(cublas=runtime.cublas, products=rows)
    for shape in shapes(context.options.tiny):
        if context.left() < 2.0:
            context.keep(stopped_at=shape.title)
            break
        rows.append(_measured(runtime, shape, context))
        context.keep()


def _measured(runtime: Any, shape: Shape, context: Context) -> dict[str, Any]:
    row: dict[str, Any] = {"title": shape.title, "flops": shape.flops}
    rng = np.random.default_rng(7)
    a, b = (rng.random(size, dtype=np.float32) - np.float32(0.5) for size in _operands(shape))
    ways: dict[str, Callable[[], None]] = {}
    own = Own(runtime, shape, a, b)
    row["kernels"] = [kernel.text.title for kernel in own.kernels if kernel]
    ways["own"] = own.launch
    if runtime.cublas:
        library = Library(own, shape)
        ways["cublas"] = library.launch
    with runtime.lock:
        for name, way in ways.items():
            way()
            error = _error(own.result(), shape, a, b)
            row["error" if name == "own" else f"error_{name}"] = error
            if not error <= TOLERANCE:
                context.fail(f"{shape.title} by {name}: {error:.1e} from float64")
        graphs = {name: Repeated(runtime, way) for name, way in ways.items()}
        for number in range(ROUNDS):
            for name in list(graphs)[:: -1 if number % 2 else 1]:
                row.setdefault(name, []).append(graphs[name].seconds())
    return row


def _operands(shape: Shape) -> Iterator[tuple[int, int]]:
    yield (shape.k, shape.m) if shape.transpose_a else (shape.m, shape.k)
    yield (shape.n, shape.k) if shape.transpose_b else (shape.k, shape.n)


def _error(found: Any, shape: Shape, a: Any, b: Any) -> float:
    """To float64, relative, of the first and last rows."""
    left, right = (a.T if shape.transpose_a else a), (b.T if shape.transpose_b else b)
    count = max(1, min(shape.m, FLOATS_CHECKED // max(shape.n, shape.k)) // 2)
    rows = np.unique(np.r_[:count, shape.m - count : shape.m])
    if len(rows) * shape.n * shape.k > 1 << 31:
        rows = rows[:: -(-len(rows) * shape.n * shape.k // (1 << 31))]
    exact = left[rows].astype(np.float64) @ right.astype(np.float64)
    return float(np.linalg.norm(found[rows] - exact) / np.linalg.norm(exact))


class Own:
    """The launches that the engine makes of one product: of tiles, and where the inner size is split, their sum."""

    def __init__(self, runtime: Any, shape: Shape, a: Any, b: Any) -> None:
        from nbdl.engine.cuda.executor import CudaExecutor
        from nbdl.engine.cuda.text import GPU, SIMULATOR
        from nbdl.engine.store import Store, Weight
        from nbdl.program.functions import same
        from nbdl.program.recorder import Recorder
        from nbdl.program.tensor import Tensor

        self.runtime, self.shape = runtime, shape
        weights = [
            Weight(Tensor(array.shape, False, "weight", name), None, lambda size, random: np.zeros(size), True)
            for name, array in (("a", a), ("b", b))
        ]
        store = Store(weights)
        for weight, array in zip(weights, (a, b), strict=True):
            weight.value[...] = array
        r = Recorder(True)
        tensors = [weight.tensor for weight in weights]
        y = r.gemm(tensors[0], tensors[1], None, shape.transpose_a, shape.transpose_b)
        r.sum(same, y, into=r.log("sums", shape.n))  # somebody must read it
        sizes = replace(SIMULATOR if runtime.simulated else GPU, library=1 << 62)
        self.executor = CudaExecutor(r.finish(None), store, 1, [], None, runtime, sizes=sizes)
        self.executor.push()
        self.numbers = [
            number for number, launch in enumerate(self.executor.lowering.launches)
            if any(operation.kind in ("gemm", "combine") for operation in launch.operations)
        ]  # fmt: skip
        self.kernels = [self.executor.kernels[number] for number in self.numbers]
        self.tensors = [*tensors, self._product(self.executor.lowering.launches)]

    @staticmethod
    def _product(launches: Any) -> Any:
        """The tensor of the whole result."""
        operations = [o for launch in launches for o in launch.operations if o.kind in ("gemm", "combine")]
        return operations[-1].outputs[0].storage

    def launch(self) -> None:
        """All of them."""
        for number in self.numbers:
            self.executor._launch(number, 1, 0)

    def pointers(self) -> list[Any]:
        """Of a, b and the result."""
        return [self.executor.pointer(tensor, 0) for tensor in self.tensors]

    def result(self) -> Any:
        """What is in the result's memory; cleared, so that nothing is taken for the next one's."""
        pointer = self.pointers()[2]
        found = np.empty((self.shape.m, self.shape.n), np.float32)
        self.runtime.download(pointer.block, pointer.start, found)
        self.runtime.upload(pointer.block, pointer.start, np.full_like(found, np.nan))
        return found


class Library:
    """cuBLAS, on the same memory."""

    def __init__(self, own: Own, shape: Shape) -> None:
        self.runtime, self.pointers = own.runtime, own.pointers()
        a, b = _operands(shape)
        self.sizes = {"m": shape.m, "n": shape.n, "k": shape.k, "lda": a[1], "ldb": b[1],
                      "transpose_a": shape.transpose_a, "transpose_b": shape.transpose_b}  # fmt: skip

    def launch(self) -> None:
        """One call."""
        self.runtime.product(*self.pointers, **self.sizes)


class Repeated:
    """A graph of some products, replayed for a while: what a product takes within it."""

    def __init__(self, runtime: Any, way: Callable[[], None]) -> None:
        self.runtime = runtime
        self.each = 2 if runtime.simulated else 20
        self.way, self.replays = way, 1
        self.graph = runtime.capture(self._all)
        if not runtime.simulated:
            self.seconds()
            self.replays = max(1, round(SECONDS / (self.seconds() * self.each)))

    def _all(self) -> None:
        for _ in range(self.each):
            self.way()

    def seconds(self) -> float:
        """Of one product."""
        self.runtime.synchronize()
        began = time.perf_counter()
        for _ in range(self.replays):
            self.runtime.replay(self.graph)
        self.runtime.synchronize()
        return (time.perf_counter() - began) / (self.replays * self.each)
