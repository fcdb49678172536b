"""Primitives: the operations of a recorder; `Recorder` adds what is made of them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from nbdl.errors import ConfigError
from nbdl.program import checks
from nbdl.program.functions import add, same
from nbdl.program.language.source import label
from nbdl.program.limits import INPUTS, OUTPUTS
from nbdl.program.operation import Function, Operation, Program
from nbdl.program.simplify import distinct, live
from nbdl.program.tensor import Shape, Tensor, broadcast


class Primitives:
    """The operations of a recorder, and what it has recorded."""

    def __init__(self, training: bool = False) -> None:
        self.training = training
        self.rows = Tensor((1,), False, "scalar", "rows", 0)
        self.gradients: dict[Tensor, Tensor] = {}
        self.assignments: list[tuple[Tensor, Tensor]] = []
        self._operations: list[Operation] = []
        self._inputs: list[Tensor] = []
        self._scalars = ["rows"]
        self._constants: list[float] = []
        self._tables: dict[bytes, Tensor] = {}
        self._log: list[tuple[str, int]] = []
        self._sites = 0
        self._layer, self._phase = "", "forward"

    # -- the four operations ----------------------------------------------------------------------------

    def map(self, function: Function, *operands: Tensor | float, into: Sequence[Tensor] | None = None) -> Tensor:
        """Apply a scalar function to each element; operands broadcast.

        Args:
            function: scalar function of as many arguments as there are operands.
            operands: rows × features, a vector of features, a column of rows × 1, a scalar or a number. Without rows
                shapes broadcast as in NumPy: over a weight of n × m goes a vector of m along each row, a column of
                n × 1 along each column.
            into: tensors to write to, one for each value that the function returns; by default a new one.

        Returns:
            The result; where `into` has several, the first.

        Raises:
            ConfigError: the function takes another number of arguments, or the shapes do not go together.
        """
        where = self._where("r.map")
        tensors = self._loop(function, operands, where)
        domain, shape = broadcast(tensors, where)
        outputs = tuple(into) if into is not None else (Tensor(shape, domain[0] is None),)
        if not 1 <= len(outputs) <= OUTPUTS:
            raise ConfigError(f"{where}: {label(function)} has {len(outputs)} results; there can be 1 to {OUTPUTS}")
        for target in outputs if into is not None else ():
            checks.target(target, domain[0] is None, domain[1] * (domain[0] or 1), where, self._writes)
        checks.few_enough(len(tensors) + len(outputs), 2, where, "an elementwise function")
        self._record("map", tensors, outputs, domain, function)
        return outputs[0]

    def sum(
        self,
        function: Function,
        *operands: Tensor | float,
        over: str = "rows",
        reduction: str = "sum",
        into: Tensor | None = None,
    ) -> Tensor:
        """Reduce a scalar function of the operands, in a fixed order.

        Args:
            over: "rows" gives a vector of features, "features" a column: rows × 1, of a weight of n × m n × 1.
            reduction: "sum", "max", or "argmax" (over features: the first column that has the maximum).
            into: the tensor to write to; by default a new one.

        Raises:
            ConfigError: the function takes another number of arguments, or the shapes do not go together.
        """
        where = self._where("r.sum")
        checks.one_of(over, ("rows", "features"), where, "over")
        checks.one_of(reduction, ("sum", "max", "argmax"), where, "reduction")
        if (over, reduction) == ("rows", "argmax"):
            raise ConfigError(f"{where}: argmax goes over='features', got over='rows'")
        tensors = self._loop(function, operands, where)
        domain, shape = broadcast(tensors, where)
        if domain[0] is not None:
            domain = (math.prod(shape[:-1]), shape[-1])
        if over == "rows":
            made = Tensor((domain[1],), False)
        else:
            made = Tensor((1,) if domain[0] in (None, 1) else (*shape[:-1], 1), domain[0] is None)
        if into is not None:
            checks.target(into, made.batched, made.features, where, self._writes)
        result = into or made
        checks.few_enough(len(tensors) + 1, 2, where, "a reduction")
        self._record("sum", tensors, (result,), domain, function, over=over, reduction=reduction)
        return result

    def gemm(
        self,
        a: Tensor,
        b: Tensor,
        bias: Tensor | None = None,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> Tensor:
        """The product op(a)·op(b), plus a bias for each column.

        A product over the rows (`transpose_a` of a tensor with rows) gives a fixed-shape result.

        Raises:
            ConfigError: the sizes do not go together.
        """
        where = self._where("r.gemm")
        inputs = (a, b) if bias is None else (a, b, bias)
        for one in inputs:
            if not isinstance(one, Tensor) or one.space == "index":
                raise ConfigError(f"{where}: a product is of tensors, got {checks.said(one)}")
        transpose_a, transpose_b = bool(transpose_a), bool(transpose_b)
        operation = Operation("gemm", inputs, (), (None, 0), None,
                              {"transpose_a": transpose_a, "transpose_b": transpose_b})  # fmt: skip
        m, n, _ = operation.product(-1)
        result = Tensor((n,), True) if m == -1 else Tensor((m, n), False)
        domain = (None if m == -1 else m, n)
        self._check_product(a, b, transpose_a, transpose_b)
        if n == -1:
            raise ConfigError(f"{where}: {a.describe()} by {b.describe()} would have a column for each row")
        if bias is not None and (bias.batched or bias.features != n):
            raise ConfigError(f"{where}: {bias.describe()} is not a bias for {n} columns")
        self._record("gemm", inputs, (result,), domain, transpose_a=transpose_a, transpose_b=transpose_b)
        return result

    def kernel(
        self,
        body: Function,
        *operands: Tensor | float,
        shapes: Sequence[Shape],
        rows: bool = True,
        name: str = "",
        cuda: Function | None = None,
        reduction: str | Sequence[str] | None = None,
    ) -> Any:
        """A hand-written body over rows: `body(*inputs, *outputs)` on arrays, rows × features or as fixed shapes lie.

        `nbdl.kernels` says what a body is made of.

        Args:
            body: plain Python over arrays; it may be given any range of rows, so rows must be independent.
            operands: tensors, or numbers, which the body gets as arrays of one element.
            shapes: the shape of one row of each output; without `rows`, of each output, all with as many rows.
            rows: False for outputs of fixed shape, `body(*inputs, *outputs, first)`: the body gets all rows of its
                inputs, fills the outputs that it is given, and these begin with row `first` of the whole. So a sum over
                the batch can be shared out with every element still added up in the batch's order.
            cuda: the same for a GPU, where every thread of a row's block runs it: `cuda(row, thread, threads, *inputs,
                *outputs)` on flat arrays, where element j of a row is at row * features + j; without `rows`
                `cuda(first, end, count, thread, threads, *inputs, *outputs)` for rows first to end of the outputs and
                `count` rows of the batch. Threads share the work out (`j = thread`, then `j += threads`) and meet at
                `nbdl.kernels.barrier()`. Without it the layer runs on the CPU alone.
            reduction: without `rows`, how the outputs of parts of the batch's rows make those of all: "sum" or "max",
                or one of these for each output. Default None: that is not known.

        Returns:
            The output, or a tuple of them.

        Raises:
            ConfigError: the shapes do not go together, a body takes another number of arguments, or writes to an
                input.
        """
        where = self._where("r.kernel")
        tensors = self._operands(operands, where)
        rows = bool(rows)
        outputs = tuple(Tensor(one, rows) for one in checks.shapes(shapes, where))
        heights = {None if rows else tensor.shape[0] for tensor in outputs}
        if len(heights) > 1:
            raise ConfigError(f"{where}: outputs of fixed shape have as many rows as each other, got {list(shapes)}")
        height = heights.pop()
        reductions = checks.reductions(reduction, len(outputs), rows, where)
        count = len(tensors) + len(outputs)
        arrays = f"{len(tensors)} inputs and {len(outputs)} outputs"
        first = arrays if rows else f"{arrays}, and the number of the first row"
        checks.takes(body, count + (not rows), where, first, self._layer)
        if cuda is not None:
            numbers = 3 if rows else 5
            checks.takes(cuda, count + numbers, where, f"{numbers} numbers, then {arrays}", self._layer)
            checks.writes_outputs_only(cuda, range(numbers, numbers + len(tensors)), 1, where, self._layer)
        checks.writes_outputs_only(body, range(len(tensors)), 2, where, self._layer)
        checks.few_enough(count, 4, where, "a body")
        width = max(tensor.features for tensor in outputs) // (height or 1)
        self._record("kernel", tensors, outputs, (height, width), body, name=name, cuda=cuda, reductions=reductions)
        return outputs[0] if len(outputs) == 1 else outputs

    def uniform(self, like: Tensor, shape: Shape | None = None) -> Tensor:
        """Random numbers in [0, 1) for each row, drawn anew each step: the same on any number of threads.

        Args:
            like: a tensor with rows.
            shape: of a row's numbers; by default that of `like`.

        Raises:
            ConfigError: `like` has no rows, or the shape is none.
        """
        where = self._where("r.uniform")
        checks.rows(like, where)
        result = Tensor(like.shape if shape is None else checks.shape(shape, where), True)
        self._record("uniform", (), (result,), (None, result.features), site=self._sites)
        self._sites += 1
        return result

    def table(self, values: Iterable[float]) -> Tensor:
        """Numbers that a model brings, column numbers for instance: a vector of float32, integers exact to 2²⁴.

        They are data of the program, not part of any kernel, and an operand as any vector is.

        Raises:
            ConfigError: there are none, or something in it is no number that float32 holds.
        """
        return self._table(checks.numbers(values, self._where("r.table")))

    def _table(self, numbers: Sequence[float]) -> Tensor:
        key = struct.pack(f"{len(numbers)}d", *numbers)
        if key not in self._tables:
            name = f"{numbers[0]:g}" if len(numbers) == 1 else "table"
            self._tables[key] = Tensor((len(numbers),), False, "constant", name, len(self._constants))
            self._constants += numbers
        return self._tables[key]

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        """The same memory under another shape, the rows left out.

        Raises:
            ConfigError: the shape has another number of elements.
        """
        where = self._where("r.reshape")
        if not isinstance(x, Tensor) or x.space == "index":
            raise ConfigError(f"{where}: x is a tensor, got {checks.said(x)}")
        shape = checks.shape(shape, where)
        if math.prod(shape) != x.features:
            raise ConfigError(f"{where}: {x.shape} has {x.features} elements, {shape} {math.prod(shape)}")
        return Tensor(shape, x.batched, x.space, x.name, x.offset, x)

    def gradient(self, weight: Tensor, value: Tensor) -> None:
        """The gradient of a weight; where a weight is used twice, gradients add up.

        Raises:
            ConfigError: it is no weight, or the value is not of its shape.
        """
        where = self._where("r.gradient")
        for one in (weight, value):
            if not isinstance(one, Tensor):
                raise ConfigError(f"{where}: takes a weight and its gradient, both tensors, got {checks.said(one)}")
        if weight.space != "weight":
            raise ConfigError(f"{where}: {weight.describe()} is no weight; weights are made by b.weight(...)")
        flat = len(value.shape) != len(weight.shape)  # as a sum over rows is; a transposed one is as deep
        if value.batched or value.features != weight.features or not (flat or value.shape == weight.shape):
            raise ConfigError(f"{where}: {value.describe()} is not a gradient of {weight.describe()}")
        known = self.gradients.get(weight)
        if known is not None:
            known, value = (self._under(one, weight.shape) for one in (known, value))
            value = self.map(add, known, value)
        elif value.space != "work" or value.root is not None or value in self.gradients.values():
            value = self.map(same, value)
        self.gradients[weight] = value

    def assign(self, state: Tensor, value: Tensor) -> None:
        """A new value for a state without gradient, written in the update phase.

        Raises:
            ConfigError: it is no state, or the value is not of its shape.
        """
        where = self._where("r.assign")
        for one in (state, value):
            if not isinstance(one, Tensor):
                raise ConfigError(f"{where}: takes a state and its new value, both tensors, got {checks.said(one)}")
        if state.space != "weight":
            raise ConfigError(f"{where}: {state.describe()} is no state; states are made by b.state(...)")
        flat = len(value.shape) != len(state.shape)
        if value.batched or value.features != state.features or not (flat or value.shape == state.shape):
            raise ConfigError(f"{where}: {value.describe()} is not a value for {state.describe()}")
        self.assignments.append((state, value))

    def write(self, value: Tensor, into: Tensor) -> None:
        """Put a value, which nobody else reads, into a tensor of the same size.

        The map that made it writes there itself, if that was recorded last and reads of `into` only what it overwrites.
        """
        checks.target(into, value.batched, value.features, self._where("r.write"), self._writes)
        last, made = self._operations[-1] if self._operations else None, value.storage
        if last is not None and last.kind == "map" and last.outputs == (made,) and made.space == "work":
            inside = [t for t in last.inputs if (t.space, t.offset) == (into.space, into.offset)]
            if all(tensor.features == into.features for tensor in inside):
                last.outputs = (into if into.shape == made.shape else self.reshape(into, made.shape),)
                return
        self.map(same, self._under(value, into.shape), into=[into])

    # -- for the engine ---------------------------------------------------------------------------------

    def input(self, shape: Shape, name: str) -> Tensor:
        """A tensor that a batch brings."""
        if len(self._inputs) == INPUTS:
            raise ConfigError(f"r.input: {name!r} would be input {INPUTS + 1}; a batch has at most {INPUTS}")
        tensor = Tensor(checks.shape(shape, "r.input"), True, "batch", name, len(self._inputs))
        self._inputs.append(tensor)
        self._record("gather", (), (tensor,), (None, tensor.features), source=tensor.offset)
        return tensor

    def scalar(self, name: str) -> Tensor:
        """A scalar that Python sets for each step."""
        if name not in self._scalars:
            self._scalars.append(name)
        return Tensor((1,), False, "scalar", name, self._scalars.index(name))

    def log(self, name: str, width: int = 1) -> Tensor:
        """A place in the log, to be given as `into`."""
        width = checks.size(width, self._where("r.log"), "width")
        entry = Tensor((width,), False, "log", name, sum(width for _, width in self._log))
        self._log.append((name, width))
        return entry

    def check(self, gradients: Tensor) -> None:
        """Stop the run, before the update, where a gradient is not finite."""
        self._record("check", (gradients,), (), (1, gradients.features))

    @contextmanager
    def recording(self, layer: str, phase: str) -> Iterator[None]:
        """Name the layer and phase of what is recorded within."""
        previous = self._layer, self._phase
        self._layer, self._phase = layer, phase
        try:
            yield
        finally:
            self._layer, self._phase = previous

    def finish(self, output: Tensor | None = None) -> Program:
        """The program: without operations whose results nobody reads."""
        if output is not None:
            if output.space != "work" or output.root is not None:
                output = self.map(same, output)
            assert output is not None
            output.space, output.offset = "output", 0
        return Program(
            live(distinct(self._operations)),
            self._inputs,
            output,
            self._log,
            self._scalars,
            self._constants,
            self.training,
        )

    def _where(self, method: str) -> str:
        """Whose recording it is, as messages begin."""
        if not self._layer:
            return method
        return (
            f"layer {self._layer!r}: {method}" if self._phase in ("forward", "backward") else f"{self._layer}: {method}"
        )

    @property
    def _writes(self) -> bool:
        """Whether weights may be written now: not by a layer or a loss."""
        return not self._layer or self._phase not in ("forward", "loss", "backward")

    def _operands(self, operands: Sequence[Tensor | float], where: str) -> tuple[Tensor, ...]:
        return tuple(one if isinstance(one, Tensor) else self._table([checks.number(one, where)]) for one in operands)

    def _loop(self, function: Function, operands: Sequence[Tensor | float], where: str) -> tuple[Tensor, ...]:
        """The operands of a loop over a scalar function, which takes one argument for each."""
        checks.takes(function, len(operands), where, "one for each operand", self._layer)
        if not operands:
            raise ConfigError(f"{where}: {label(function)} is given no operand")
        return self._operands(operands, where)

    def _under(self, tensor: Tensor, shape: Shape) -> Tensor:
        """A tensor under a shape of as many elements."""
        return tensor if tensor.shape == shape or tensor.features == 1 else self.reshape(tensor, shape)

    def _check_product(self, a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> None:
        def inner(tensor: Tensor, transposed: bool, first: bool) -> int:
            sizes = (-1, tensor.features) if tensor.batched else (tensor.shape[0], tensor.features // tensor.shape[0])
            return sizes[1] if first != transposed else sizes[0]

        left, right = inner(a, transpose_a, True), inner(b, transpose_b, False)
        if left != right:
            raise ConfigError(
                f"{self._where('r.gemm')}: the inner sizes of {a.describe()} and {b.describe()} differ: "
                f"{'rows' if left == -1 else left} and {'rows' if right == -1 else right}"
            )

    def _record(
        self,
        kind: str,
        inputs: Sequence[Tensor],
        outputs: tuple[Tensor, ...],
        domain: tuple[int | None, int],
        function: Function | None = None,
        **attributes: Any,
    ) -> None:
        self._operations.append(
            Operation(kind, tuple(inputs), outputs, domain, function, attributes, self._layer, self._phase)
        )
