"""What an author's function does that a kernel cannot, cut down to the author's own line.

A compiler tells of the text that it was given, at length. Here its first sentence and line are found, the line is
looked up in the author's file, and plugin, kernel and function are named with it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import linecache
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType, FunctionType

from nbdl.errors import KernelError
from nbdl.program.language.rewrite import Refusal, parts, remedy, statements
from nbdl.program.language.source import Function, ScalarError, definition, is_own
from nbdl.program.operation import Operation

Place = tuple[FunctionType, int]
SESSION = "this session"
PLACE = re.compile(r'File "[^"\n]*", line (\d+)|(?:\bat|\b[Ff]rom) \S[^\n]*? \((\d+)\)')
ANSI = re.compile(r"\x1b\[[0-9;]*m")
CALLED = re.compile(r"<function (\w+) at")
NOISE = ("Failed in", "During:", "There are ", " - Of which", "File ", "Of which")
OPERATORS = {
    "add": "+", "iadd": "+=", "sub": "-", "isub": "-=", "mul": "*", "imul": "*=", "truediv": "/", "floordiv": "//",
    "mod": "%", "pow": "**", "matmul": "@", "and_": "&", "or_": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=", "invert": "~", "neg": "-", "pos": "+",
}  # fmt: skip
FLAT = "a flat array"
TYPES = (
    (r"\bfloat32\*", FLAT),
    (r"array\(float32, 2d, \w\)", "array"),
    (r"array\(float32, 1d, \w\)", "row"),
    (r"array\(float32, 0d, \w\)", "element"),
    (r"Literal\[int\]\((-?\d+)\)", r"\1"),
    (r"Literal\[str\]\(([^)]*)\)", r"'\1'"),
    (r"UniTuple\(([^()]*) x (\d+)\)", r"(\2 of \1)"),
    (r"Tuple\(", "("),
    (r"unicode_type", "str"),
    (r"\bu?int\d+\b", "int"),
    (r"\bfloat\d+\b", "float"),
    (r"<iv=[^>]*>", ""),
    (r"'(\w+)\.\d+'", r"'\1'"),
    (r"\b(\w+)_[0-9a-f]{8}\b", r"\1"),
)
ELEMENTS = "elements are x[i, j] and take numbers, rows x[i] and slices x[:, a:b] take as much as they hold"
SET_FIRST = "set it on every way that leads here"
INDEX = "an index is from 0 to below the array's size"
INTEGERS = "an index is an integer: make one of a float by int(...)"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and at which line of whose function."""

    function: Function
    line: int
    why: str
    remedy: str


class Unset(Exception):
    """A body reads an element of an output that nobody set."""


@dataclass
class Attempt:
    """What is being compiled.

    Attributes:
        text: of the module, once there is one.
    """

    text: str = ""


@contextmanager
def naming(operations: Sequence[Operation], cannot: str = "does not compile", where: str = "") -> Iterator[Attempt]:
    """Errors of emitting and compiling kernels, told of their author's line.

    Args:
        cannot: what the kernel cannot.
        where: whose it is, by default the operation's layer.

    Raises:
        KernelError: instead of a compiler's error.
    """
    attempt = Attempt()
    try:
        yield attempt
    except KernelError:
        raise
    except ScalarError as error:
        raise kernel_error(operations, refused(error, operations), cannot, where) from None
    except Exception as error:
        fault = found(error, attempt.text, operations)
        if fault is None:
            raise
        raise kernel_error(operations, fault, cannot, where) from None


def kernel_error(operations: Sequence[Operation], fault: Fault, cannot: str, where: str) -> KernelError:
    """The error to raise: kernel and plugin, file and line, the line itself, what is wrong and what to do."""
    operation = next((one for one in operations if fault.function in within(one)), operations[0])
    return told(kernel_of(operation, where), fault, cannot)


def kernel_of(operation: Operation, where: str = "") -> str:
    """An operation by its layer and title."""
    return f"{where or operation.layer}: {operation.title}".removeprefix(": ")


def told(kernel: str, fault: Fault, cannot: str) -> KernelError:
    """As `kernel_error`, of a kernel by its name."""
    function, code = fault.function, fault.function.__code__
    plugin = plugin_of(function)
    source = linecache.getline(code.co_filename, fault.line, function.__globals__).strip()
    lines = [
        f"{kernel} ({plugin}) {cannot}",
        f"  {code.co_filename}:{fault.line}, in {function.__name__}",
        *([f"    {source}"] if source else []),
        f"  {function.__name__} {fault.why}. {fault.remedy[:1].upper()}{fault.remedy[1:]}.",
    ]
    return KernelError("\n".join(lines), kernel, function.__name__, plugin, code.co_filename, fault.line)


def plugin_of(function: Function) -> str:
    """Distribution and version of a function's package, "this session" where it is in none."""
    package = (function.__module__ or "").partition(".")[0]
    names = importlib.metadata.packages_distributions().get(package)
    return f"{names[0]} {importlib.metadata.version(names[0])}" if names else SESSION


def failed(
    error: BaseException, kernel: str, author_of: Callable[[FrameType, int], Place | None]
) -> KernelError | None:
    """What an author's function raised while Python ran it, or None if it was none.

    Args:
        kernel: by its name.
        author_of: the author's function and line of a frame and its line, or None.
    """
    author, trace = None, error.__traceback__
    while trace is not None:
        author, trace = author_of(trace.tb_frame, trace.tb_lineno) or author, trace.tb_next
    if author is None or own(author[0]):
        return None
    message = re.sub(r"^tid=\[.*?\] ctaid=\[.*?\]:? ?", "", str(error))  # the simulator's threads
    why, todo = "fails", "see help(nbdl.kernels)"
    if isinstance(error, IndexError):
        why, todo = "reaches outside an array", INDEX
    elif isinstance(error, Unset):
        why, todo = "reads an output before it is written", "set each element before you add to it"
    elif isinstance(error, UnboundLocalError):
        name = re.search(r"local variable ('\w+')", message)
        why, todo = f"uses {name[1] if name else 'a variable'} before it is set", SET_FIRST
    elif "read-only" in message:
        why, todo = "writes to an input", "only outputs are written"
    reason = "" if isinstance(error, UnboundLocalError) else f" ({message or type(error).__name__})"
    return told(kernel, Fault(*author, f"{why}{reason}", todo), "fails")


def first_line(function: Function) -> int:
    """The line of `def`, below any decorators."""
    with suppress(ScalarError, SyntaxError):
        return definition(function).lineno
    return int(function.__code__.co_firstlineno)


# -- where it is ------------------------------------------------------------------------------------------


def refused(error: ScalarError, operations: Sequence[Operation]) -> Fault:
    """The fault of a function that was not even emitted."""
    if isinstance(error, Refusal):
        return Fault(error.function, error.line, error.why, error.remedy)
    function = author_of(operations)
    reason = str(error).partition("): ")[2] or str(error)  # after the function and its place
    return Fault(function, first_line(function), "cannot be compiled", reason)


def found(error: BaseException, text: str, operations: Sequence[Operation]) -> Fault | None:
    """The fault that a compiler's error tells of, or None if it is no compiler's."""
    error = error.__cause__ or error
    if not any(kind.__module__.startswith("numba") for kind in type(error).__mro__):
        return None
    message = ANSI.sub("", str(error))
    numbers = [int(one or other) for one, other in PLACE.findall(message)]
    number = numbers[0] if numbers else 0
    if "unify return type" in message:  # of all its returns, in no order
        number = max(map(int, re.findall(r", line (\d+)", message.partition("During:")[0])), default=number)
    function, line = author_line(text, number) or (None, 0)
    missing = re.search(r"to signature '(\([^']*\))' due to \"TypeError: ([^\"]*)", message)
    called = CALLED.search(message)
    callee = parts[called[1]].function if called and called[1] in parts else None
    if missing and callee is not None and not own(callee):
        if function is None or own(function):  # the engine calls it
            why = f"takes {missing[1]}, and is given something else ({missing[2]})"
            return Fault(callee, first_line(callee), why, "one argument for each operand, outputs last")
        why = f"calls {callee.__name__}{missing[1]} with other arguments ({missing[2]})"
        return Fault(function, line, why, "give it what it takes")
    scalar = all(one.kind != "kernel" for one in operations)
    why, todo = explained(message, remedy(scalar))
    if function is not None and not own(function):
        return Fault(function, line, why, todo)
    function = author_of(operations, text)
    if scalar and numbers and not why.startswith("ends "):  # what the engine does with its results is refused
        why, todo = f"returns what its operation cannot use: it then {why}", "return a number, or one for each output"
    return Fault(function, first_line(function), why, todo)


def author_line(text: str, number: int) -> Place | None:
    """The author's function and line that a line of emitted text was made of."""
    for node in ast.parse(text).body:
        part = parts.get(node.name) if isinstance(node, ast.FunctionDef) else None
        if part is None or not node.lineno - 1 <= number <= (node.end_lineno or 0):  # the line before: its decorator
            continue
        line = part.lines[0]
        for statement, known in zip(statements(node), part.lines, strict=True):
            if statement.lineno <= number:
                line = known
        return part.function, line
    return None


def own(function: Function) -> bool:
    """Whether a function is the engine's, or composed by it."""
    return is_own(function) or function.__module__ == "nbdl.kernels"


def within(operation: Operation) -> list[FunctionType]:
    """An operation's functions, with those that the engine composed them of."""
    waiting = [operation.function, operation.attributes.get("cuda")]
    reached: list[FunctionType] = []
    while waiting:
        function = waiting.pop(0)
        if isinstance(function, FunctionType) and function not in reached:
            reached.append(function)
            names = function.__code__.co_names
            waiting += [value for name in names if isinstance(value := function.__globals__.get(name), FunctionType)]
    return reached


def author_of(operations: Sequence[Operation], text: str = "") -> FunctionType:
    """The function that an author gave for operations: one that is in a text, and not what the engine composed."""
    functions = [function for operation in operations for function in within(operation)]
    authors = [function for function in functions if not own(function)] or functions
    emitted = {part.function for name, part in parts.items() if f"def {name}(" in text}
    return next((function for function in authors if function in emitted), authors[0])


# -- what it is -------------------------------------------------------------------------------------------


def explained(message: str, otherwise: str) -> tuple[str, str]:
    """A compiler's message as what is wrong, which completes "function ...", and what to do."""
    if match := re.search(r"[Vv]ariable '([^'.]+)[^']*' (?:is not defined|referenced before)", message):
        name = readable(match[1])
        return f"uses {name!r} before it is set", SET_FIRST
    if match := re.search(r"Unknown attribute '(\w+)' of type (.+)", message):
        kind = {"array": "an array", "row": "a row", FLAT: FLAT}.get(readable(match[2]), "a number")
        return f"uses .{match[1]}, which {kind} does not have", otherwise
    if match := re.search(r"unsupported NumPy function '([\w.]+)'", message):
        return f"uses {match[1]}, which compiled code does not have", otherwise
    if match := re.search(r">>> (\w+)\((.*)\)\n", message):
        return _unsupported(match[1], readable(match[2]), message, otherwise)
    if match := re.search(r"Cannot unify (.+) and (.+) for ('[\w.$]+')", message):
        name, one, other = readable(match[3]), readable(match[1]), readable(match[2])
        return f"gives {name} {one} here and {other} there", "a name holds one kind of value"
    if match := re.search(r"Can't unify return type from the following types: (.+)", message):
        kinds = sorted(readable(match[1]).split(", "))
        return f"returns {' and '.join(kinds)}", "return the same kind of value everywhere"
    if re.search(r"Cannot cast none to|none", message.partition("\n\n")[0]) and "return" not in otherwise:
        return "ends without `return` on some way through it", "return a number, or one for each output"
    lines = [line.strip() for line in message.splitlines()]
    first = next((line for line in lines if line and not line.startswith(NOISE)), "is not understood by the compiler")
    first = re.split(r"(?:\. |\s)Raised from |, defined at ", first)[0]
    return f"is refused ({readable(first).rstrip('. ')})", otherwise


def _unsupported(name: str, types: str, message: str, otherwise: str) -> tuple[str, str]:
    if name in ("getitem", "setitem", "static_getitem", "static_setitem"):
        array, _, rest = types.partition(", ")
        if "float" in rest.partition("), ")[0] and array in ("array", "row", FLAT):
            return "has a float as an index", INTEGERS
        reason = re.search(r"NumbaTypeError: (.+)", message)
        return f"has an index that is not possible ({readable(reason[1]) if reason else types})", ELEMENTS
    if name in OPERATORS:
        return f"has `{OPERATORS[name]}` of {types.replace(', ', ' and ')}, which is not possible", otherwise
    reason = re.search(r"\w+Error: (.+)", message)
    why = f" ({readable(reason[1])})" if reason else ""
    return f"calls {name}({types}), which is not possible{why}", otherwise


def readable(text: str) -> str:
    """A compiler's names of types in an author's words.

    >>> readable("array(float32, 2d, C)"), readable("Literal[int](3)"), readable("float32")
    ('array', '3', 'float')
    """
    for pattern, instead in TYPES:
        text = re.sub(pattern, instead, text)
    return text.strip()
