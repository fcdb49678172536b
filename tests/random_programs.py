"""Random programs of all operations, and what must hold of a GPU's launches, whatever the program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np

from nbdl.engine.cuda.fusion import Fusion, Group
from nbdl.engine.cuda.lowering import Lowering
from nbdl.engine.cuda.text import STATUS
from nbdl.engine.store import LINE, PLACES, Weight
from nbdl.kernels import barrier
from nbdl.program.functions import same
from nbdl.program.operation import Operation
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor, pattern
from nbdl.testing.probe import Array, Probe, logged
from nbdl.testing.units import fixed, with_values

WIDTHS = (1, 3, 5, 10)  # 10: wider than a block of the simulator's
CLASSES = 5


# -- functions whose results stay small, so that rounding errors do ------------------------------------------


def squash(x: float) -> float:
    return x / (1.0 + abs(x))


def blend(x: float, y: float) -> float:
    return (0.25 + x - 0.5 * y) / (1.0 + abs(x) + abs(y))


def gate(x: float, y: float, z: float) -> float:
    return x * y / (1.0 + abs(x * y)) - z / (1.0 + abs(z))


def pair(x: float, y: float) -> tuple[float, float]:
    return (x + y) / (1.0 + abs(x) + abs(y)), x * 0.5


def step(w: float, g: float, m: float, rate: float) -> tuple[float, float]:
    m = 0.5 * m + g / (1.0 + abs(g))
    return w - rate * m, m


MAPS = {1: squash, 2: blend, 3: gate}


def running(x: Array, y: Array, last: Array) -> None:
    for row in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total += 0.125 * x[row, j]
            y[row, j] = total
        last[row, 0] = total


def running_cuda(row: int, thread: int, threads: int, x: Array, y: Array, last: Array) -> None:
    """For rows of 5: the first thread alone, then the others read what it wrote."""
    if thread == 0:
        total = 0.0
        for j in range(5):
            total += 0.125 * x[row * 5 + j]
            y[row * 5 + j] = total
    barrier()
    if thread == 1:
        last[row] = y[row * 5 + 4]


# -- programs ------------------------------------------------------------------------------------------------


def _goes_over(tensor: Tensor, other: Tensor) -> bool:
    """Whether a tensor without rows broadcasts to the shape of another."""
    shape = other.shape
    return tensor.features == 1 or tensor.shape in (shape, shape[-1:], (*shape[:-1], 1))


class RandomProgram:
    """Records a program that follows from a generator of random numbers alone, the same one each time."""

    def __init__(self, state: Any, size: int) -> None:
        self.state, self.size = state, size

    def __call__(self, r: Recorder, inputs: Sequence[Tensor], weights: Sequence[Weight]) -> Tensor | None:
        self.random = Random()
        self.random.setstate(self.state)
        self.r = r
        self.rowed = list(inputs)
        self.written = set(map(id, inputs))  # batches are never written to
        self.fixed: list[Tensor] = [weight.tensor for weight in weights]
        self.logs = 0
        self.labels = inputs[0]
        actions = [
            self.map_rows, self.map_rows, self.map_rows, self.map_fixed, self.sum_rows, self.sum_rows,
            self.sum_features, self.sum_features, self.sum_fixed, self.product, self.product, self.product_of_rows,
            self.product_of_fixed, self.in_place, self.uniform, self.one_hot, self.body, self.several, self.log,
        ]  # fmt: skip
        with r.recording("forward", "forward"):
            for _ in range(self.size):
                self.random.choice(actions)()
            for tensor in self.random.sample(self.fixed[len(weights) :], min(3, len(self.fixed) - len(weights))):
                self.log(tensor)
        self.update(weights)
        return self.random.choice(self.rowed) if self.random.random() < 0.8 else None

    def operands(self, first: Tensor, count: int) -> list[Any]:
        """Some that broadcast to a tensor with rows."""
        fitting: list[Any] = [t for t in self.rowed if t.features in (1, first.features)]
        fitting += [t for t in self.fixed if len(t.shape) == 1 and t.features in (1, first.features)]
        fitting += [0.25, self.r.rows, self.r.scalar("rate"), Tensor((first.features,), False, "index", "column")]
        return [first, *(self.random.choice(fitting) for _ in range(count - 1))]

    def map_rows(self) -> None:
        operands = self.operands(self.random.choice(self.rowed), self.random.randint(1, 3))
        self.random.shuffle(operands)
        self.rowed.append(self.r.map(MAPS[len(operands)], *operands))

    def several(self) -> None:
        operands = self.operands(self.random.choice(self.rowed), 2)
        width = max(1 if isinstance(one, float) else one.features for one in operands)
        new = [Tensor((width,), True), Tensor((width,), True)]
        self.r.map(pair, *operands, into=new)
        self.rowed += new

    def map_fixed(self) -> None:
        first = self.random.choice(self.fixed)
        fitting: list[Any] = [t for t in self.fixed if _goes_over(t, first)]
        operands = [first, *(self.random.choice([*fitting, 0.5]) for _ in range(self.random.randint(0, 2)))]
        self.fixed.append(self.r.map(MAPS[len(operands)], *operands))

    def sum_rows(self) -> None:
        operands = self.operands(self.random.choice(self.rowed), self.random.randint(1, 2))
        reduction = self.random.choice(["sum", "sum", "max"])
        self.fixed.append(self.r.sum(MAPS[len(operands)], *operands, reduction=reduction))

    def sum_features(self) -> None:
        operands = self.operands(self.random.choice(self.rowed), self.random.randint(1, 2))
        reduction = self.random.choice(["sum", "sum", "max"])
        if self.random.random() < 0.2:  # of numbers that no rounding brings into another order
            operands, reduction = [self.random.choice(self.rowed[1:3])], "argmax"
        function = same if reduction == "argmax" else MAPS[len(operands)]
        self.rowed.append(self.r.sum(function, *operands, over="features", reduction=reduction))

    def sum_fixed(self) -> None:
        over = self.random.choice(["rows", "features"])
        self.fixed.append(self.r.sum(squash, self.random.choice(self.fixed), over=over))

    def product(self) -> None:
        x = self.random.choice(self.rowed)
        matrices = [t for t in self.fixed if len(t.shape) == 2]
        found = [(t, False) for t in matrices if t.shape[0] == x.features]
        found += [(t, True) for t in matrices if t.shape[1] == x.features]
        if found:
            matrix, transposed = self.random.choice(found)
            columns = matrix.shape[0] if transposed else matrix.shape[1]
            biases = [t for t in self.fixed if t.shape == (columns,)]
            bias = self.random.choice(biases) if biases and self.random.random() < 0.5 else None
            self.rowed.append(self.r.gemm(x, matrix, bias, transpose_b=transposed))

    def product_of_rows(self) -> None:
        x, y = self.random.choice(self.rowed), self.random.choice(self.rowed)
        self.fixed.append(self.r.gemm(x, y, transpose_a=True))

    def product_of_fixed(self) -> None:
        matrices = [t for t in self.fixed if len(t.shape) == 2]
        a, b = self.random.choice(matrices), self.random.choice(matrices)
        ta, tb = self.random.random() < 0.5, self.random.random() < 0.5
        if a.shape[0 if ta else 1] == b.shape[1 if tb else 0]:
            self.fixed.append(self.r.gemm(a, b, transpose_a=ta, transpose_b=tb))

    def in_place(self) -> None:
        targets = [t for t in (*self.rowed, *self.fixed) if t.space == "work" and t.root is None]
        if targets:
            target = self.random.choice(targets)
            if target.batched:
                self.r.add_to(target, squash, *self.operands(target, 2)[1:])
            else:
                self.r.add_to(target, squash, self.random.choice([t for t in self.fixed if _goes_over(t, target)]))

    def uniform(self) -> None:
        self.rowed.append(self.r.uniform(self.random.choice(self.rowed)))

    def one_hot(self) -> None:
        self.rowed.append(self.r.one_hot(self.labels, CLASSES))

    def body(self) -> None:
        x = self.random.choice([t for t in self.rowed if t.features == 5])
        self.rowed += self.r.kernel(running, x, shapes=[(5,), (1,)], cuda=running_cuda)

    def log(self, tensor: Tensor | None = None) -> None:
        tensor = tensor or self.random.choice(self.fixed)
        reshaped = self.r.reshape(tensor, (tensor.features,))
        logged(self.r, f"log {self.logs}", reshaped)
        self.logs += 1

    def update(self, weights: Sequence[Weight]) -> None:
        """Gradients where a vector or matrix fits, a check, updates of all weights as one, and what follows."""
        r, end = self.r, max((w.tensor.offset & PLACES) + w.tensor.features for w in weights)
        start = weights[0].tensor.offset & ~PLACES
        end = -(-end // LINE) * LINE
        for weight in weights:
            fitting = [t for t in self.fixed if t.space == "work" and t.root is None and t.shape == weight.tensor.shape]
            value = self.random.choice(fitting) if fitting else r.map(squash, weight.tensor)
            with r.recording("gradient", "backward"):
                r.gradient(weight.tensor, value)
            gradient = r.gradients[weight.tensor]
            gradient.space, gradient.offset = "gradient", weight.tensor.offset & PLACES
        with r.recording("penalty", "regularize"):
            for weight in weights:
                if self.random.random() < 0.5:
                    r.add_to(r.gradients[weight.tensor], squash, weight.tensor)
        whole, checked = Tensor((end,), False, "weight", "weights", start), Tensor((end,), False, "gradient", "all", 0)
        slot = Tensor((end,), False, "slot", "m", 0)
        with r.recording("check", "check"):
            r.check(checked)
        with r.recording("optimizer", "update"):
            r.map(step, whole, checked, slot, r.scalar("rate"), into=[whole, slot])
        with r.recording("projection", "constrain"):
            for weight in weights:
                if self.random.random() < 0.5:
                    axis = self.random.choice(["rows", "features"])
                    size = r.sum(squash, weight.tensor, over=axis)
                    if axis == "rows" or size.features == 1:
                        r.map(blend, weight.tensor, size, into=[weight.tensor])
                    else:
                        r.map(blend, weight.tensor, r.sum(same, size, over="features"), into=[weight.tensor])
                    if self.random.random() < 0.3:
                        self.log(size)


def random_probe(random: Random, size: int = 12, rows: int | None = None) -> Probe:
    """A random program with its data."""
    rows = rows or random.choice([1, 2, 5, 11])
    generator = np.random.default_rng(random.randrange(1 << 30))
    sources = [generator.integers(0, CLASSES, (rows, 1)).astype(np.float32)]
    sources += [generator.normal(size=(rows, width)).astype(np.float32) for width in (5, random.choice([3, 10]))]
    shapes: list[tuple[int, ...]] = [(5, 3), (5, 10), (3, 5), (10, 5), (5, 5), (1, 5), (3,), (5,), (10,)]
    chosen = random.sample(shapes, random.randint(3, 5))
    chosen = [(5, 3), *(shape for shape in chosen if shape != (5, 3))]
    weights = [fixed(f"w{n}", generator.normal(size=s).astype(np.float32)) for n, s in enumerate(chosen)]
    recorded = RandomProgram(random.getstate(), size)
    size_of_slots = sum(-(-math.prod(shape) // LINE) * LINE for shape in chosen)
    made = Probe(
        "random",
        lambda r, t: recorded(r, t, weights),
        sources,
        weights,
        size_of_slots,
        lambda step: {"rate": 0.5 / step},
    )
    return with_values(made)


# -- what must hold ------------------------------------------------------------------------------------------


def elements(tensor: Tensor) -> list[Any]:
    """What a tensor occupies: places of a space, or itself."""
    storage = tensor.storage
    if storage.space in ("weight", "slot", "gradient", "log"):
        return [(storage.space, storage.offset + number) for number in range(storage.features)]
    return [id(storage)]


def histories(operations: Sequence[Operation]) -> dict[int, list[Any]]:
    """For each operation, which operation wrote what it reads, place by place."""
    writers: dict[Any, int] = {}
    found = {}
    for operation in operations:
        found[id(operation)] = [[writers.get(place) for place in elements(t)] for t in operation.inputs]
        writers.update({place: id(operation) for tensor in operation.outputs for place in elements(tensor)})
    found[0] = [sorted((str(place), writer) for place, writer in writers.items())]
    return found


def check_order(fusion: Fusion) -> None:
    """Every operation is launched once, and reads and leaves what it does in the program's order."""
    launched = [operation for group in fusion.groups for operation in group.operations]
    virtual = list(fusion.virtual.values())
    assert sorted(map(id, [*launched, *virtual])) == sorted(map(id, fusion.expanded)), "not each once"
    assert histories([*virtual, *launched]) == histories(
        [*virtual, *(o for o in fusion.expanded if o not in virtual)]
    ), "operations in another order, which shows"


def check_groups(fusion: Fusion) -> None:
    """Within a launch nobody waits: threads read of what the launch writes only their own elements."""
    for group in fusion.groups:
        for number, reader in enumerate(group.operations):
            for tensor in reader.inputs:
                places = set(elements(tensor))
                for other_number, writer in enumerate(group.operations):
                    for output in writer.outputs:
                        if places & set(elements(output)):
                            check_meeting(group, reader, tensor, writer, output, number - other_number)


def check_meeting(
    group: Group, reader: Operation, tensor: Tensor, writer: Operation, output: Tensor, order: int
) -> None:
    """One operation of a launch reads what another one (or itself) writes."""
    what = f"{reader.title} reads {tensor.describe()} that {writer.title} writes within {group.kind}"
    assert group.kind in ("rows", "product"), what
    assert reader.domain[0] == writer.domain[0], what
    if writer.kind == "sum" or writer.domain[1] == 1:  # one a row: all threads of the row have it
        assert pattern(tensor, reader.domain) in ("row", "full", "scalar"), what
        assert order > 0 or writer.domain == reader.domain, what
    else:
        assert reader.domain == writer.domain, what
        assert pattern(tensor, reader.domain) == "full", what


def check_memory(lowering: Lowering) -> None:
    """What is alive at the same time lies apart; each launch is given what it reads and writes."""
    places, fusion = lowering.arena_plan, lowering.fusion
    given = [{id(a.of): a.of for a in one.arguments if a.role == "tensor"} for one in lowering.launches]
    lives: dict[int, list[int]] = {}
    tensors = {key: tensor for one in given for key, tensor in one.items()}
    for number, one in enumerate(given):
        for key, tensor in one.items():
            if tensor.space in ("work", "batch"):
                lives.setdefault(key, []).append(number)
    spans = {key: (places.offsets[key], places.offsets[key] + _floats(tensors[key], lowering.rows)) for key in lives}
    for first, (begin, end) in spans.items():
        assert end <= places.size
        assert begin >= 0
        if places.gradients is not None and any(t.space == "gradient" for t in tensors.values()):
            top = max(t.offset + t.features for t in tensors.values() if t.space == "gradient")
            assert begin >= places.gradients + top or end <= places.gradients, "overlaps the gradients"
        for second, (other_begin, other_end) in spans.items():
            if first != second and begin < other_end and other_begin < end:
                a, b = lives[first], lives[second]
                assert a[-1] < b[0] or b[-1] < a[0], "two live tensors overlap"
    written: set[int] = set()
    for number, group in enumerate(fusion.groups):
        stored = fusion.stored(group) if group.kind in ("rows", "product") else group.results
        own: set[int] = set()
        for operation in group.operations:
            for tensor in operation.inputs:
                key = id(tensor.storage)
                if tensor.storage.space in ("work", "batch") and key not in fusion.virtual and key not in own:
                    assert key in written, f"{tensor.describe()} is read and was not stored"
                    assert key in given[number], f"{tensor.describe()} is read and not given"
            own |= {id(tensor.storage) for tensor in operation.outputs}
        written |= stored
        for key in stored:
            assert key in given[number] or any(
                t.storage.space == "output" for o in group.operations for t in o.outputs if id(t.storage) == key
            ), "a result that others read is not stored"


def _floats(tensor: Tensor, rows: int) -> int:
    return tensor.features * (rows if tensor.batched else 1)


def check_guards(lowering: Lowering) -> None:
    """Whatever changes weights or slots looks at the state first."""
    for launch in lowering.launches:
        writes = {t.storage.space for o in launch.operations for t in o.outputs} & {"weight", "slot"}
        if writes:
            assert launch.kernel is not None
            head = launch.kernel.text[launch.kernel.text.index("def run(") :].splitlines()[1:3]
            state = [a.role for a in launch.arguments].index("state")
            assert [line.strip() for line in head] == [f"if p{state}[{STATUS}] != 0:", "return"], launch.kernel.title


def check_all(lowering: Lowering) -> None:
    """All of it."""
    check_order(lowering.fusion)
    check_groups(lowering.fusion)
    check_memory(lowering)
    check_guards(lowering)
