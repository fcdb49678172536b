"""Recorder: what layers, losses and optimizers record a program on; see `operation` for what they record."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nbdl.errors import ConfigError
from nbdl.program import checks
from nbdl.program.bodies import join, join_cuda, part, part_cuda, spread, spread_cuda, take, take_cuda
from nbdl.program.functions import is_column, same, times
from nbdl.program.language.source import compose, used_arguments
from nbdl.program.operation import Function
from nbdl.program.primitives import Primitives
from nbdl.program.tensor import Shape, Tensor, broadcast


class Recorder(Primitives):
    """What layers, losses and optimizers record on.

    Attributes:
        training: a Python bool; training and inference are two recordings.
        rows: the number of rows of the batch, as a scalar operand.
    """

    def take(self, x: Tensor, columns: Sequence[int], shape: Shape) -> Tensor:
        """Columns of each row by their numbers, under a shape: y[row, j] = x[row, columns[j]].

        Raises:
            ConfigError: a column is not there, or the shape has another number of elements.
        """
        where = self._where("r.take")
        checks.rows(x, where)
        chosen = checks.columns(columns, x.features, where)
        shape = checks.shape(shape, where)
        if math.prod(shape) != len(chosen):
            raise ConfigError(f"{where}: {shape} has {math.prod(shape)} elements, and columns has {len(chosen)}")
        numbers = self.table(chosen)
        return self.kernel(  # type: ignore[no-any-return]
            take, x, numbers, x.features, numbers.features, shapes=[shape], name="take", cuda=take_cuda
        )

    def chain_rule(self, df: Function, dy: Tensor, x: Tensor, y: Tensor, *parameters: float) -> Tensor:
        """dx = dy·df(x, y, ...); an operand that `df` does not read is not kept alive for it."""
        used = used_arguments(df)
        names = df.__code__.co_varnames[: df.__code__.co_argcount]
        operands: list[Tensor | float] = [dy]
        arguments, values = ["dy"], []
        read: tuple[Tensor | float, ...] = (x, y, *parameters)
        for name, operand in zip(names, read, strict=False):
            if name in used:
                arguments.append(f"{name}_")
                operands.append(operand)
            values.append(f"{name}_" if name in used else "0.0")
        return self.map(compose("chain", arguments, f"dy * df({', '.join(values)})", df=df), *operands)

    def mean(self, function: Function, *operands: Tensor | float) -> Tensor:
        """The mean of a scalar function over the features of each row: rows × 1."""
        domain, _ = broadcast(self._operands(operands, self._where("r.mean")), self._where("r.mean"))
        if domain[1] == 1:
            return self.map(function, *operands)
        total = self.sum(function, *operands, over="features")
        return self.map(times, total, 1.0 / domain[1])

    def share(self, function: Function, *operands: Tensor | float) -> Tensor:
        """A scalar function divided by the number of features: the derivative of `mean` for each element."""
        domain, _ = broadcast(self._operands(operands, self._where("r.share")), self._where("r.share"))
        if domain[1] == 1:
            return self.map(function, *operands)
        arguments = [f"a{number}" for number in range(len(operands))]
        shared = compose("share", [*arguments, "part"], f"f({', '.join(arguments)}) * part", f=function)
        return self.map(shared, *operands, 1.0 / domain[1])

    def total(self, function: Function, weight: Tensor, *parameters: Tensor | float) -> Tensor:
        """The sum of a scalar function over a whole weight: one scalar. Of a tensor with rows, one for each row."""
        partial = self.sum(function, weight, *parameters, over="features")
        if partial.features == 1:
            return partial
        return self.sum(same, self.reshape(partial, (partial.features,)), over="features")

    def add_to(self, target: Tensor, function: Function, *operands: Tensor | float) -> Tensor:
        """target + function(operands), in place."""
        arguments = [f"a{number}" for number in range(len(operands))]
        added = compose("add", ["target", *arguments], f"target + f({', '.join(arguments)})", f=function)
        return self.map(added, target, *operands, into=[target])

    def one_hot(self, labels: Tensor, classes: int) -> Tensor:
        """Rows × classes with 1 in the column that the label names; labels are rows × 1.

        Raises:
            ConfigError: labels are something else, or there is no number of classes.
        """
        where = self._where("r.one_hot")
        checks.rows(labels, where)
        if labels.features != 1:
            raise ConfigError(f"{where}: labels are rows×1, got {labels.describe()}")
        classes = checks.size(classes, where, "classes")
        return self.map(is_column, labels, Tensor((classes,), False, "index", "column"))

    # -- copies within a row ----------------------------------------------------------------------------

    def concat(self, *tensors: Tensor, axis: int = -1) -> Tensor:
        """Put tensors with rows side by side along an axis of a row. `r.slice` of a gradient is that of each.

        Args:
            tensors: their shapes differ along the axis alone.
            axis: of a row: 0 is the first after the rows, -1 the last.

        Raises:
            ConfigError: there are none, one has no rows, or the shapes do not go together.
        """
        where = self._where("r.concat")
        if not tensors:
            raise ConfigError(f"{where}: takes one tensor or more")
        for tensor in tensors:
            checks.rows(tensor, where)
        axis = checks.axis(axis, tensors[0].shape, where)
        for tensor in tensors[1:]:
            if _without(tensor.shape, axis) != _without(tensors[0].shape, axis):
                raise ConfigError(
                    f"{where}: {tensor.describe()} beside {tensors[0].describe()}: shapes differ along axis {axis} only"
                )
        return self._joined(tensors, axis)

    def _joined(self, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Halves are joined first, so that no element is copied more often than it must be."""
        if len(tensors) == 1:
            return tensors[0]
        a, b = (self._joined(half, axis) for half in (tensors[: len(tensors) // 2], tensors[len(tensors) // 2 :]))
        outer = math.prod(a.shape[:axis])
        shape = (*a.shape[:axis], a.shape[axis] + b.shape[axis], *a.shape[axis + 1 :])
        joined: Tensor = self.kernel(
            join, a, b, outer, a.features // outer, b.features // outer, shapes=[shape], name="concat", cuda=join_cuda
        )
        return joined

    def slice(self, x: Tensor, start: int, stop: int, axis: int = -1) -> Tensor:
        """Copy a range of an axis of each row. `r.spread` of a gradient is that of x.

        Raises:
            ConfigError: x has no rows, or the range is empty or not there.
        """
        where = self._where("r.slice")
        checks.rows(x, where)
        axis = checks.axis(axis, x.shape, where)
        start, stop = checks.range_of(start, stop, x.shape[axis], where)
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        shape = (*x.shape[:axis], stop - start, *x.shape[axis + 1 :])
        copied: Tensor = self.kernel(
            part, x, outer, x.features // outer, start * inner, (stop - start) * inner, shapes=[shape], name="slice",
            cuda=part_cuda,
        )  # fmt: skip
        return copied

    def spread(self, x: Tensor, start: int, size: int, axis: int = -1) -> Tensor:
        """Put each row of x into a row of zeros whose axis has `size`, from `start` on: what `r.slice` took away.

        Raises:
            ConfigError: x has no rows, or does not fit there.
        """
        where = self._where("r.spread")
        checks.rows(x, where)
        axis = checks.axis(axis, x.shape, where)
        size = checks.size(size, where, "size")
        start, stop = checks.range_of(start, start + x.shape[axis], size, where)
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        copied: Tensor = self.kernel(
            spread, x, outer, size * inner, start * inner, (stop - start) * inner, shapes=[shape], name="spread",
            cuda=spread_cuda,
        )  # fmt: skip
        return copied


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])
