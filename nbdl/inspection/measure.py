"""profile: where a step goes, operation by operation, beside what one core of this machine could do.

The ordinary driver times the operations, with a clock around each kernel (`nbdl.engine.cpu.profiled`), on one thread.
Everything runs on copies of the weights and of the optimizer's slots, so the model is only read.
"""

from __future__ import annotations

import math
import numbers
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.data.checks import count, gathered
from nbdl.engine.cpu.profiled import ProfiledExecutor, Timing, timer_ticks
from nbdl.engine.cpu.threads import usable_threads
from nbdl.engine.executor import checked, host_backend
from nbdl.engine.random import permutation
from nbdl.engine.run import RunTables
from nbdl.engine.store import Floats, aligned_zeros
from nbdl.errors import ConfigError, DataError, NbdlError
from nbdl.inspection.profile import OperationProfile, Profile
from nbdl.inspection.roofline import measure
from nbdl.network.executors import training_state
from nbdl.network.record import record
from nbdl.network.update import new_slots
from nbdl.program.operation import Operation, Program
from nbdl.program.tensor import Tensor
from nbdl.training.inputs import check_threads, checked_data, checked_inputs

if TYPE_CHECKING:
    from nbdl.network.job import Job
    from nbdl.units.layer import Shape
    from nbdl.units.loss import Loss

SLICE_SECONDS = 0.005  # short, so that on a busy machine some are not interrupted
LEAST_SLICES = 5
RANDOM_BATCHES, RANDOM_BYTES = 64, 32 << 20  # at most, where no data is given


def profile(
    job: Job,
    x: Any = None,
    y: Any = None,
    batch_size: int | None = None,
    what: str = "train",
    seconds: float = 1.0,
    threads: int | None = None,
) -> Profile:
    """Measure a model's steps; see `Sequential.profile`."""
    _refuse_other_executors()
    if what not in ("train", "evaluate", "predict"):
        raise ConfigError(f"profile: what is 'train', 'evaluate' or 'predict', got {what!r}")
    if not isinstance(seconds, numbers.Real) or isinstance(seconds, bool) or not 0.0 < seconds < math.inf:
        raise ConfigError(f"profile: seconds is a number above 0, got {seconds!r}")
    if what != "predict" and job.setup is None:
        raise ConfigError("the model is not compiled: call model.compile(loss=..., optimizer=...) first, or profile "
                          "what='predict'")  # fmt: skip
    batch = count(batch_size, "batch_size", 32, 1)
    check_threads(threads)
    if x is None and y is not None:
        raise ConfigError("profile: y without x; give both, or neither for random data")
    if x is None:
        x, y = random_data(job, what, batch)
    data = _data(job, x, y, what)
    if len(data[0]) == 0:
        raise DataError("profile: there are no rows")
    return Measurement(job, data, min(batch, len(data[0])), what, threads).profile(float(seconds))


def random_data(job: Job, mode: str, batch: int, rows: int | None = None) -> tuple[Any, Any]:
    """Rows of a model's shapes: x from the standard normal distribution, for y labels, one-hot rows, or 0 and 1.

    Args:
        rows: how many; by default up to 64 batches, of at most 32 MB.
    """
    job.network.build()
    shapes = job.network.known_input_shapes()
    if rows is None:
        batches = RANDOM_BYTES // (4 * sum(map(math.prod, shapes)) * batch)
        rows = batch * max(2, min(RANDOM_BATCHES, batches))
    random = np.random.default_rng(0)
    xs = [random.standard_normal((rows, *shape), np.float32) for shape in shapes]
    x = xs[0] if len(xs) == 1 else xs
    if mode == "predict":
        return x, None
    goals, outputs = job.compiled().goals, job.network.output_shapes
    ys = [_random_targets(random, goal.loss, outputs[goal.output], rows) for goal in goals]
    return x, ys[0] if len(ys) == 1 else ys


def _random_targets(random: np.random.Generator, loss: Loss, output: Shape, rows: int) -> Any:
    """Labels, one-hot rows, or 0 and 1, as a loss takes them."""
    target = tuple(loss.target_shape(output))
    labels = random.integers(0, max(2, output[-1]), rows)
    if target == (1,):
        return labels.reshape(rows, 1)
    one_hot = np.eye(target[-1], dtype=np.float32)[labels % target[-1]]
    return np.broadcast_to(one_hot.reshape(rows, *([1] * (len(target) - 1)), -1), (rows, *target))


def _refuse_other_executors() -> None:
    if host_backend() != "cpu":
        raise ConfigError("profile: NUMBA_DISABLE_JIT is set, so programs run in plain Python; unset it: only "
                          "compiled kernels are timed")  # fmt: skip
    if checked():
        raise ConfigError("profile: NBDL_CHECK=1 runs one operation at a time in Python; unset it")


def _data(job: Job, x: Any, y: Any, mode: str) -> list[Any]:
    """x, and for what needs them y and row weights, as a run of the model takes them."""
    if mode != "predict":
        return checked_data(job.network, job.compiled(), x, y, None)
    return list(checked_inputs(job.network, x))


class Measurement:
    """The steps of one profile, on copies of whatever they change."""

    def __init__(self, job: Job, data: list[Any], batch: int, mode: str, threads: int | None) -> None:
        self.job, self.data, self.batch, self.mode = job, data, batch, mode
        self.program: Program = record(job.network, job.setup, mode)
        self.store = job.network.store.copied()
        self.first_step, self.first_slots = 1, aligned_zeros(0)
        if mode == "train":
            self._take_training_state()
        self.slots = _copied(self.first_slots)
        self.batches = len(data[0]) // batch  # the last, short one is left out
        shuffled = mode == "train" and len(data[0]) > batch  # as `fit` does
        kinds = [gathered(array, shuffled) for array in data]
        rows = len(data[0])
        self.order = permutation(rows, job.network.seed, 0) if shuffled else np.arange(rows, dtype=np.int64)
        self.executor = ProfiledExecutor(self.program, self.store, batch, kinds, self.slots)
        self.threads = usable_threads(threads)

    def _take_training_state(self) -> None:
        optimizer, size = self.job.optimizer, self.job.network.store.trainable_size
        self.first_slots = new_slots(optimizer, optimizer.all_slots(), size)
        if self.job.state is not None:
            state = training_state(self.job)
            self.first_slots, self.first_step = state.slots, state.iterations + 1

    def profile(self, seconds: float) -> Profile:
        """Slices in turn: with the clock, without it, and on all threads; of each, the quickest quarter counts."""
        parallel = self.executor.parallel and self.threads > 1
        steps = self._steps_of_a_slice()
        tables = self._tables(steps)
        if parallel:
            self._seconds(tables, self.threads)  # wakes the threads up
        timings: list[Timing] = []
        ordinary: list[float] = []
        threaded: list[float] = []
        until = time.perf_counter() + seconds
        while len(timings) < LEAST_SLICES or time.perf_counter() < until:
            self._reset()
            timings.append(self.executor.timed(tables))
            ordinary.append(self._seconds(tables, 1))
            if parallel:
                threaded.append(self._seconds(tables, self.threads))
        us, tick, timer = 1e6 / steps, float(np.median([one.tick for one in timings])), timer_ticks()
        kept = _quickest([one.seconds for one in timings])
        ticks = np.mean([timings[number].ticks for number in kept], axis=0) - timings[0].calls * timer
        return self._profile(
            np.maximum(ticks, 0.0) * tick * us, timings[0].calls / steps, _typical(ordinary) * us,
            _typical([one.seconds for one in timings]) * us, _typical(threaded) * us if parallel else None,
            timer * tick * 1e9,
        )  # fmt: skip

    def _profile(
        self, spent: Any, calls: Any, step_us: float, timed_us: float, threads_us: float | None, timer_ns: float
    ) -> Profile:
        listing = self.executor.listing
        touched = [self._touched(operation) / many for operation, many in zip(listing, calls, strict=True)]
        roofline = measure(max(touched, default=1.0))
        total = max(float(spent.sum()), 1e-9)
        found = []
        for operation, us, many, size in zip(listing, spent.tolist(), calls.tolist(), touched, strict=True):
            flops, moved = operation.flops(self.batch), self._moved(operation)
            found.append(OperationProfile(
                operation.layer or "batch", operation.phase, operation.title, self._shape(operation), many, us,
                us / total, flops, moved, *roofline.limits(flops, moved, size),
            ))  # fmt: skip
        operations = tuple(found[number] for number in self._program_order())
        return Profile(
            self.mode, self.batch, operations, step_us, timed_us, self.threads, threads_us, timer_ns, roofline
        )

    def _program_order(self) -> list[int]:
        """The listing's numbers in the order of the program; what adds up parts comes after what made them."""
        position = {id(operation): number for number, operation in enumerate(self.program.operations)}
        made = {id(t): position[id(o)] for o in self.program.operations for t in o.outputs}
        listing = self.executor.listing

        def when(number: int) -> tuple[int, int]:
            operation = listing[number]
            at = position.get(id(operation))
            return (made[id(operation.outputs[0])], 1) if at is None else (at, 0)

        return sorted(range(len(listing)), key=when)

    def _moved(self, operation: Operation) -> int:
        """Bytes read and bytes written, each operand once."""
        read, written = (sum(self._sizes(tensors).values()) for tensors in (operation.inputs, operation.outputs))
        return read * self._parts(operation) + written + self._source(operation)

    def _touched(self, operation: Operation) -> int:
        """Bytes of all operands; what is written over in place counts once."""
        sizes = self._sizes((*operation.inputs, *operation.outputs))
        return sum(sizes.values()) * self._parts(operation) + self._source(operation)

    def _sizes(self, tensors: tuple[Tensor, ...]) -> dict[Any, int]:
        """Bytes by where they lie in memory."""
        offsets = self.executor.memory.offsets
        return {
            (storage.space, offsets.get(id(storage), id(storage))):
            4 * storage.features * (self.batch if storage.batched else 1)
            for storage in (tensor.storage for tensor in tensors) if storage.space != "index"
        }  # fmt: skip

    def _parts(self, operation: Operation) -> int:
        """How many parts of a sum over chunks of rows are added up."""
        return self.executor.partition.partials[operation.outputs[0]] if operation.kind == "combine" else 1

    def _source(self, operation: Operation) -> int:
        """Bytes of data that a batch is gathered from."""
        if operation.kind != "gather":
            return 0
        return int(self.data[operation.outputs[0].offset].itemsize * operation.elements(self.batch))

    def _shape(self, operation: Operation) -> str:
        """The operands of a product, or the loop."""
        rows = self.batch
        if operation.kind == "gemm":
            m, n, k = operation.product(rows)
            a = f"({k}×{m})ᵀ" if operation.attributes["transpose_a"] else f"{m}×{k}"
            b = f"({n}×{k})ᵀ" if operation.attributes["transpose_b"] else f"{k}×{n}"
            return f"{a} · {b}"
        height, width = operation.domain
        loop = f"{width}" if height == 1 else f"{rows if height is None else height}×{width}"
        if operation.kind == "sum":
            return f"{loop}, {operation.attributes['reduction']} over {operation.attributes['over']}"
        return f"{self._parts(operation)} parts of {loop}" if operation.kind == "combine" else loop

    # -- running ----------------------------------------------------------------------------------------

    def _reset(self) -> None:
        """The weights and slots of the beginning, so that no number of slices leads a net astray."""
        self.store.restore(self.job.network.store)
        self.slots[:] = self.first_slots

    def _seconds(self, tables: RunTables, threads: int) -> float:
        """Seconds of an ordinary run."""
        self._reset()
        began = time.perf_counter()
        report = self.executor.run(tables, threads)
        seconds = time.perf_counter() - began
        if report.stopped_by is not None:
            raise NbdlError(f"profile: training diverged at step {report.steps + 1}; usual remedies: a smaller "
                            "learning rate, scaled inputs")  # fmt: skip
        return seconds

    def _steps_of_a_slice(self) -> int:
        self._seconds(self._tables(1), 1)
        steps = 1
        while True:
            seconds = self._seconds(self._tables(steps), 1)
            if seconds > SLICE_SECONDS / 4:
                return max(1, round(steps * SLICE_SECONDS / seconds))
            steps *= 4

    def _tables(self, steps: int) -> RunTables:
        """A slice of so many steps, over the data again and again."""
        numbers = np.arange(steps, dtype=np.int64)
        table = np.zeros((steps, 4), np.int64)
        table[:, 0] = numbers % self.batches * self.batch
        table[:, 1], table[:, 2] = self.batch, self.first_step + numbers
        table[:, 3] = self.order.ctypes.data + 8 * table[:, 0]
        scalars = np.zeros((steps, len(self.program.scalars)), np.float32)
        scalars[:, 0] = self.batch
        names = self.program.scalars[1:]
        if names:
            values = self.job.optimizer.scalars(table[:, 2])
            for column, name in enumerate(names, 1):
                scalars[:, column] = values[name]
        log = np.zeros((steps, max(1, self.program.log_width)), np.float32)
        output = None
        if self.program.output is not None:
            output = np.empty((len(self.data[0]), self.program.output.features), np.float32)
        return RunTables(table, scalars, log, self.data, output, self.job.network.seed)


def _quickest(seconds: list[float]) -> list[int]:
    """Numbers of the quickest quarter: in the others the machine may have run something else too."""
    return sorted(range(len(seconds)), key=seconds.__getitem__)[: math.ceil(len(seconds) / 4)]


def _typical(seconds: list[float]) -> float:
    """The mean of the quickest quarter."""
    return float(np.mean([seconds[number] for number in _quickest(seconds)]))


def _copied(values: Floats) -> Floats:
    """A copy that lies as aligned as the original."""
    copied = aligned_zeros(values.size)
    copied[: values.size] = values
    return copied
