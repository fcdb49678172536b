"""What a recorder is given: tensors, numbers, sizes and column numbers, each checked where it is recorded.

Compiled code looks at none of them again, so a wrong one would read or write what lies beside an array.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import reprlib
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, KernelError
from nbdl.program.language.source import label
from nbdl.program.limits import DESCRIPTOR_WORDS, OPERANDS_START
from nbdl.program.tensor import Shape, Tensor

if TYPE_CHECKING:
    from nbdl.program.language.explain import Fault

EXACT = 1 << 24  # float32 holds all integers up to here


def integer(value: Any) -> int | None:
    """The value of an integer of any type, NumPy's included; None for anything else, a bool too."""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's has no common base with Python's
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def size(value: Any, where: str, name: str) -> int:
    """A positive integer.

    Raises:
        ConfigError: it is something else; the message begins with `where`.
    """
    number = integer(value)
    if number is None or number < 1:
        raise ConfigError(f"{where}: {name} is an integer of at least 1, got {said(value)}")
    return number


def shape(value: Any, where: str, name: str = "a shape") -> tuple[int, ...]:
    """A tuple of positive integers.

    Raises:
        ConfigError: it is something else; the message begins with `where`.
    """
    sizes = [integer(one) for one in value] if _is_sequence(value) else []
    if not sizes or any(one is None or one < 1 for one in sizes):
        hint = f"; write ({value},)" if integer(value) is not None else ""
        raise ConfigError(f"{where}: {name} is a tuple of integers of at least 1, got {said(value)}{hint}")
    return tuple(one for one in sizes if one is not None)


def columns(value: Any, features: int, where: str) -> list[int]:
    """The numbers of columns, checked against the number of features.

    Raises:
        ConfigError: one is no integer or lies outside of the row; the message begins with `where`.
    """
    if not _is_sequence(value) or len(value) == 0:
        raise ConfigError(f"{where}: columns is a list of column numbers, one or more, got {said(value)}")
    numbers = []
    for position, one in enumerate(value):
        number = integer(one)
        if number is None or not 0 <= number < features:
            raise ConfigError(
                f"{where}: column {said(one)} at position {position} is not there: column numbers are integers from "
                f"0 to {features - 1}"
            )
        numbers.append(number)
    return numbers


def axis(value: Any, shape: Shape, where: str) -> int:
    """The number of an axis of a row, from 0.

    Raises:
        ConfigError: it is not there; the message begins with `where`.
    """
    number = integer(value)
    if number is None or not -len(shape) <= number < len(shape):
        raise ConfigError(
            f"{where}: axis is one of a row of shape {shape}, from 0 to {len(shape) - 1}, got {said(value)}"
        )
    return number % len(shape)


def range_of(start: Any, stop: Any, size: int, where: str) -> tuple[int, int]:
    """The ends of a range within an axis.

    Raises:
        ConfigError: it is empty or reaches beyond the axis; the message begins with `where`.
    """
    first, end = integer(start), integer(stop)
    if first is None or end is None or not 0 <= first < end <= size:
        raise ConfigError(f"{where}: a range lies between 0 and {size}, got {said(start)} to {said(stop)}")
    return first, end


def reductions(value: Any, count: int, rows: bool, where: str) -> tuple[str, ...] | None:
    """How each of so many outputs follows from those of parts of the rows.

    Raises:
        ConfigError: it is none of "sum" and "max", or the outputs have rows; the message begins with `where`.
    """
    if value is None:
        return None
    found = (value,) * count if isinstance(value, str) else tuple(value) if _is_sequence(value) else ()
    if rows or len(found) != count or any(one not in ("sum", "max") for one in found):
        given = "outputs with rows" if rows else said(value)
        raise ConfigError(f"{where}: with rows=False reduction is 'sum' or 'max', or one for each output, got {given}")
    return found


def numbers(values: Any, where: str) -> list[float]:
    """Numbers that float32 holds: integers exactly, others rounded.

    Raises:
        ConfigError: there are none, or one is something else; the message begins with `where`.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ConfigError(f"{where}: values is a list of numbers, got {said(values)}")
    entries = list(values)
    if not entries:
        raise ConfigError(f"{where}: values is a list of one number or more, got an empty one")
    return [number(value, where) for value in entries]


def number(value: Any, where: str) -> float:
    """A number that float32 holds.

    Raises:
        ConfigError: it is something else; the message begins with `where`.
    """
    if isinstance(value, str | bytes) or getattr(value, "ndim", 0) != 0 or not hasattr(value, "__float__"):
        todo = "" if isinstance(value, str | bytes) or not _is_sequence(value) else (
            "; numbers that lie in a row are r.table(values), and r.reshape(r.table(values), shape) those of a matrix"
        )  # fmt: skip
        raise ConfigError(f"{where}: an operand is a tensor or a number, got {said(value)}{todo}")
    found, exact = float(value), integer(value)
    if exact is not None and abs(exact) > EXACT and _float32(found) != exact:
        raise ConfigError(f"{where}: {exact} is an integer that float32 cannot hold; they are exact up to {EXACT}")
    if math.isfinite(found) and math.isinf(_float32(found)):
        raise ConfigError(f"{where}: {found!r} is too large for float32, whose largest number is 3.4e38")
    return found


def one_of(value: Any, allowed: Sequence[str], where: str, name: str) -> None:
    """Refuse a word that is none of those allowed."""
    if not isinstance(value, str) or value not in allowed:
        words = " or ".join(map(repr, allowed)) if len(allowed) < 3 else ", ".join(map(repr, allowed))
        raise ConfigError(f"{where}: {name} is {words}, got {said(value)}")


def takes(function: Any, count: int, where: str, arguments: str, layer: str) -> None:
    """Refuse what is no function, or one that does not take so many arguments.

    Args:
        arguments: they are: "one for each operand".
        layer: whose function it is.

    Raises:
        ConfigError: it is no function.
        KernelError: it takes another number of arguments.
    """
    plain = getattr(function, "py_func", function)
    if isinstance(plain, functools.partial):
        name = getattr(plain.func, "__name__", "f")
        raise ConfigError(
            f"{where}: {name} is given as a functools.partial, whose values compiled code cannot see; give them as "
            f"operands, {where.rpartition(': ')[2]}({name}, x, value), or write a function with a default"
        )
    if not inspect.isfunction(plain):
        raise ConfigError(f"{where}: the function is a plain Python function, def or lambda, got {said(plain)}")
    code, defaults = plain.__code__, len(plain.__defaults__ or ())
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return  # what these are is refused where they are compiled
    if not code.co_argcount - defaults <= count <= code.co_argcount:
        from nbdl.program.language.explain import Fault, first_line

        known = ", ".join(code.co_varnames[: code.co_argcount])
        fault = Fault(
            plain, first_line(plain), f"takes ({known}), and is given {count} argument{'s' * (count != 1)}",
            f"it is given {arguments}",
        )  # fmt: skip
        raise _told(plain, fault, where, layer) from None


def writes_outputs_only(body: Any, inputs: Iterable[int], axes: int, where: str, layer: str) -> None:
    """Refuse a body that writes to its inputs.

    Args:
        inputs: the positions of the arguments that are inputs.
        axes: of each.
        layer: whose body it is.

    Raises:
        KernelError: it does.
    """
    from nbdl.program.language.rewrite import Refusal
    from nbdl.program.language.writes import refuse_writes

    try:
        refuse_writes(body, dict.fromkeys(inputs, axes))
    except Refusal as error:
        from nbdl.program.language.explain import refused

        raise _told(body, refused(error, ()), where, layer) from None


def _told(function: Any, fault: Fault, where: str, layer: str) -> KernelError:
    from nbdl.program.language.explain import told

    kernel = f"{layer}: {where.rpartition('r.')[2]} {label(getattr(function, 'py_func', function))}"
    return told(kernel.removeprefix(": "), fault, "does not compile")


def most_operands(words: int) -> int:
    """How many operands a descriptor has room for, if each takes so many words."""
    return (DESCRIPTOR_WORDS - OPERANDS_START) // words


def few_enough(operands: int, words: int, where: str, kind: str) -> None:
    """Refuse more operands than a kernel's descriptor has room for.

    Args:
        words: of the descriptor that each operand takes.
    """
    most = most_operands(words)
    if operands > most:
        raise ConfigError(
            f"{where}: {operands} operands and results together; {kind} takes at most {most}. Put numbers that do not "
            "change from step to step into the function, as literals or constants of its module"
        )


def rows(tensor: Any, where: str) -> None:
    """Refuse what is no tensor with rows."""
    if not isinstance(tensor, Tensor) or not tensor.batched:
        raise ConfigError(f"{where}: takes a tensor with rows, got {said(tensor)}")


def target(value: Any, has_rows: bool, features: int, where: str, to_weights: bool) -> None:
    """Refuse to write results where they do not fit, or where nothing may be written."""
    if not isinstance(value, Tensor):
        raise ConfigError(f"{where}: into names tensors, got {said(value)}")
    if value.batched != has_rows or value.features != features:
        size = f"rows×{features}" if has_rows else f"{features} elements"
        raise ConfigError(f"{where}: the result, {size}, does not fit into {value.describe()}")
    space = value.storage.space
    if space in ("batch", "constant", "scalar", "index"):
        raise ConfigError(f"{where}: {value.describe()} is an input, which nothing may write to; leave out into")
    if space in ("weight", "slot") and not to_weights:
        raise ConfigError(
            f"{where}: {value.describe()} is a weight, which only an update changes: r.gradient(weight, ...) gives it "
            "its gradient, r.assign(state, ...) a state its next value"
        )


def shapes(shapes: Any, where: str) -> list[Shape]:
    """The shapes of a body's outputs."""
    if isinstance(shapes, str | bytes | Tensor) or not hasattr(shapes, "__iter__") or not list(shapes):
        raise ConfigError(f"{where}: shapes is a list of shapes, one for each output, got {said(shapes)}")
    return [shape(one, where, "the shape of an output") for one in shapes]


def _float32(value: float) -> float:
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def _is_sequence(value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__len__") and hasattr(value, "__getitem__")


def result(value: Any, has_rows: bool, features: int | None, unit: Any, method: str, expected: str) -> Tensor:
    """What a unit's method recorded, if that is what the engine goes on with.

    Args:
        has_rows, features: of what it returns; None for any number of features.
        expected: it returns: "the loss of each row".

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(value, Tensor) and value.batched == has_rows and features in (None, value.features):
        return value
    size = f"rows×{features or 'features'}" if has_rows else f"{features} element{'s' * (features != 1)}, without rows"
    got = value.describe() if isinstance(value, Tensor) else reprlib.repr(value)
    who = getattr(unit, "unit_name", "") or type(unit).__name__
    kind = {"losses": "loss"}.get(unit.kind, unit.kind.removesuffix("s") or "unit")
    raise ConfigError(f"{kind} {who!r}: {method} returned {got}; it returns {expected}: {size}")


def said(value: Any) -> str:
    """A value as a message shows it."""
    return f"the tensor {value.describe()}" if isinstance(value, Tensor) else reprlib.repr(value)
