"""`nbdl.kernels`: what hand-written bodies may do, on every executor, and errors that name the author's own line."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import nbdl
from nbdl.engine.cpu.texts import kernel_text, map_text
from nbdl.engine.cuda import availability
from nbdl.errors import ConfigError, KernelError
from nbdl.kernels import barrier, gemm, shared
from nbdl.program.language.explain import author_line, explained, found, plugin_of, readable
from nbdl.program.operation import Operation
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.probe import Array, Probe, forced
from nbdl.testing.units import fixed, with_values

THIRD_PARTY = Path(__file__).parent / "thirdparty" / "nbdl-calibration"
COMPILER = shutil.which("gcc") or shutil.which("cc")
EVERYWHERE = ("compiled", "plain", "checked", "python", "float64")


def data(*shape: int) -> Array:
    return np.random.default_rng(math.prod(shape)).uniform(-1.0, 1.0, shape).astype(np.float32)


def probe(record: Callable[[Recorder, Sequence[Tensor]], Tensor | None], *sources: Array, **options: Any) -> Probe:
    """A probe whose operations belong to layer_1."""

    def recorded(r: Recorder, tensors: Sequence[Tensor]) -> Tensor | None:
        with r.recording("layer_1", "forward"):
            return record(r, tensors)

    return Probe("kernel", recorded, list(sources), **options)


def body_probe(body: Any, x: Array, *operands: Any, width: int | None = None, **options: Any) -> Probe:
    shape = (width or x.shape[1],)
    return probe(lambda r, t: r.kernel(body, t[0], *operands, shapes=[shape], **options), x)


# -- products ---------------------------------------------------------------------------------------------


def plain_product(x: Any, w: Any, y: Any) -> None:
    gemm(x, w, y)


def transposed(x: Any, w: Any, y: Any) -> None:
    gemm(x, w, y, transpose_b=True)


def in_parts(x: Any, w: Any, y: Any) -> None:
    split, width = 3, x.shape[1]
    gemm(x[:, :split], w[:split], y)
    gemm(x[:, split:width], w[split:width], out=y, accumulate=True)


def of_columns(x: Any, w: Any, y: Any) -> None:
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = 1.0
    gemm(x, w[:, 1:3], y[:, 2:4], accumulate=True)


def ones_and_columns(x: Array, w: Array) -> Array:
    y = np.ones((len(x), w.shape[1]))
    y[:, 2:4] += x @ w[:, 1:3]
    return y


PRODUCTS: list[tuple[Any, tuple[int, int], Callable[[Array, Array], Array]]] = [
    (plain_product, (7, 5), lambda x, w: x @ w),
    (transposed, (5, 7), lambda x, w: x @ w.T),
    (in_parts, (7, 5), lambda x, w: x @ w),
    (of_columns, (7, 5), ones_and_columns),
]


@pytest.mark.parametrize("how", EVERYWHERE)
@pytest.mark.parametrize(("body", "shape", "truth"), PRODUCTS, ids=[one[0].__name__ for one in PRODUCTS])
def test_a_product_of_views(
    body: Any, shape: tuple[int, int], truth: Callable[[Array, Array], Array], how: str
) -> None:
    x, w = data(41, 7), data(*shape)
    made = product_probe(body, x, w)
    wanted = truth(x.astype(float), w.astype(float))
    tolerance = 1e-12 if how == "float64" else 1e-5
    assert_allclose(made.run(how).output, wanted, rtol=tolerance, atol=tolerance)


def product_probe(body: Any, x: Array, w: Array) -> Probe:
    weight = fixed("w", w)
    return with_values(probe(lambda r, t: r.kernel(body, t[0], weight.tensor, shapes=[(5,)]), x, weights=[weight]))


def test_a_product_has_the_bits_of_the_engines_own_whatever_the_tile() -> None:
    x, w = data(300, 7), data(7, 5)
    weight = fixed("w", w)
    by_engine = with_values(probe(lambda r, t: r.gemm(t[0], weight.tensor), x, weights=[weight])).run().output
    made = product_probe(plain_product, x, w)
    for parts in ([300], [1] * 300, [7] * 42 + [6]):
        assert_array_equal(made.run(parts=parts).output, by_engine)
    for schedule in ("tiles", "blocks"):
        with forced(schedule, parallel=True):
            for threads in (1, 2):
                executor = made.executor("compiled")
                assert_array_equal(made.run(executor=executor, threads=threads).output, by_engine)


class Multiplied(nbdl.Layer):
    """A product in a body, for export."""

    body: Any = None

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.w = b.weight("w", (self.rows, 12 - self.rows), "glorot_uniform")
        return (5,)

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.kernel(type(self).body, x, self.w, shapes=[(5,)]), None


def exported(model: nbdl.Sequential, folder: Path) -> str:
    """The C file's own comparison with Python; warnings are errors."""
    model.export(folder / "net.c")
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-DNBDL_TEST"]
    command = [str(COMPILER), *flags, str(folder / "net.c"), "-o", str(folder / "net"), "-lm"]
    subprocess.run(command, check=True)
    done = subprocess.run([str(folder / "net")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on this machine")
@pytest.mark.parametrize(("body", "shape", "truth"), PRODUCTS, ids=[one[0].__name__ for one in PRODUCTS])
def test_a_product_in_c(body: Any, shape: tuple[int, int], truth: Any, tmp_path: Path) -> None:
    made = type("Made", (Multiplied,), {"body": staticmethod(body)})
    model = nbdl.Sequential([made(shape[0], input_dim=7)], seed=1)
    assert "passed" in exported(model, tmp_path)


def test_a_product_that_does_not_fit_is_told_where_python_runs_it() -> None:
    with pytest.raises(ValueError, match=r"gemm: a product of shape \(3, 2\) does not fit into one of \(1, 2\)"):
        gemm(data(3, 4), data(4, 2), data(1, 2))
    with pytest.raises(KernelError, match=r"in plain_product\n    gemm\(x, w, y\)\n  .*fails .*3.*is different"):
        product_probe(plain_product, data(4, 7), data(3, 5)).run("checked")


# -- the language of bodies -------------------------------------------------------------------------------


def by_python(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        y[i, 0] = max(x[i, 0], 0.0)
        y[i, 1] = min(x[i, 0], 0.0, -0.25)
        y[i, 2] = 0.1 * float(i - i + 3) + x[i, 0]
        y[i, 3] = math.log(x[i, 0])
        y[i, 4] = 1.0 / x[i, 0]


@pytest.mark.parametrize("how", EVERYWHERE[:4])
def test_nan_and_infinity_are_those_of_scalar_functions(how: str) -> None:
    x = np.array([[math.nan], [-1.0], [0.0], [2.0]], np.float32)
    if how == "checked":
        x = x[3:]
    with np.errstate(all="ignore"):
        x64 = x[:, 0].astype(float)
        wanted = [np.maximum(x64, 0.0), np.minimum(x64, -0.25), 0.3 + x64, np.log(x64), 1.0 / x64]
    found = body_probe(by_python, x, width=5).run(how).output
    assert_allclose(found, np.stack(wanted, axis=1), rtol=1e-6)


def test_numbers_of_a_body_are_float32() -> None:
    """An integer and a float would be a float64, were it not for `float`."""
    operation = body_operation(by_python)
    text = kernel_text(operation)
    assert "np.float32(i - i + 3)" in text
    assert "max(" not in text.replace("_maximum", "")


def body_operation(body: Any, **options: Any) -> Operation:
    r = Recorder()
    with r.recording("layer_1", "forward"):
        r.kernel(body, r.input((3,), "x"), shapes=[(5,)], **options)
    return r._operations[-1]


def dropped(x: Any, u: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * 2.0 if u[i, 0] < 0.5 else 0.0


def test_random_numbers_are_an_operand() -> None:
    """One for each row, the same in whatever parts and on whatever executor."""
    x = np.ones((64, 3), np.float32)
    made = probe(lambda r, t: r.kernel(dropped, t[0], r.uniform(t[0], (1,)), shapes=[(3,)]), x)
    wanted = made.run("python").output
    assert set(wanted.mean(axis=1)) == {0.0, 2.0}
    assert_array_equal(made.run().output, wanted)
    with forced("blocks", parallel=True):
        assert_array_equal(made.run(threads=2, executor=made.executor("compiled")).output, wanted)
    assert (made.run(seed=3).output != wanted).any()
    r = Recorder()
    assert r.uniform(r.input((3,), "x"), (2, 4)).shape == (2, 4)
    assert r._operations[-1].domain == (None, 8)


# -- on a GPU ---------------------------------------------------------------------------------------------


def mirrored(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, x.shape[1] - 1 - j] + 2.0 * x[i, j]


def mirrored_cuda(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    here, there = shared(5), shared(5)  # two arrays of one line
    j = thread
    while j < 5:
        here[j] = 2.0 * x[row * 5 + j]
        there[4 - j] = x[row * 5 + j]
        j += threads
    barrier()
    j = thread
    while j < 5:
        y[row * 5 + j] = here[j] + there[j]
        j += threads


def shares(x: Any, y: Any) -> None:
    here = shared(5)
    for i in range(x.shape[0]):
        y[i, 0] = here[0]


def multiplies(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    gemm(x, x, y)


def test_threads_share_arrays_and_meet() -> None:
    x = data(6, 5)
    made = body_probe(mirrored, x, cuda=mirrored_cuda)
    assert_allclose(made.run("cuda").output, made.run().output, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"body": shares}, "shared"), ({"body": mirrored, "cuda": multiplies}, "gemm")],
)
def test_what_is_for_the_other_kind_of_body_is_refused(options: dict[str, Any], name: str) -> None:
    how = "cuda" if "cuda" in options else "compiled"
    made = probe(lambda r, t: r.kernel(options["body"], t[0], shapes=[(5,)], cuda=options.get("cuda")), data(2, 5))
    with pytest.raises(KernelError, match=f"uses {name}, which is not for (CPU|CUDA) kernels"):
        made.run(how)


# -- compile errors ---------------------------------------------------------------------------------------

# In each function one line is at fault; its comment says what the message must say.
FAULTS = '''
import math
import numpy as np
from faulty_helpers import helper, twice
TABLE = np.zeros(3)
def unknown_attribute(x, y):
    """What it does."""
    for i in range(x.shape[0]):

        y[i, 0] = 1.0
        y[i, 0] = x.length  #: uses .length, which an array does not have
def unknown_method(x, y):
    y[0, 0] = x[0].sort_all()  #: uses .sort_all, which a row does not have
def undefined_name(x, y):
    for i in range(y.shape[0]):
        y[i, 0] = (x[i, 0] +
                   nowhere)  # the statement begins a line above
def wrong_arity(x, y):
    y[0, 0] = twice(x[0, 0], 1.0)  #: calls twice(a) with other arguments (too many positional arguments)
def takes_more(x, y, z):  #: takes (x, y, z), and is given 2 arguments
    y[0, 0] = 1.0
def uses_a_list(x, y):
    q = [1.0, 2.0]  #: has a list, `[1.0, 2.0]`
    y[0, 0] = q[0]
def uses_a_dict(x, y):
    q = {}  #: has a dict
    y[0, 0] = 1.0
def uses_a_string(x, y):
    y[0, 0] = x[0, 0] + "abc"  #: has 'abc', which is not a number
def uses_an_f_string(x, y):
    q = f"{x[0, 0]}"  #: has a string
def not_in_numba(x, y):
    y[0] = np.apply_along_axis(x, x)  #: uses numpy.apply_along_axis, which compiled code does not have
def not_in_numpy(x, y):
    y[0] = np.nothing(x)  #: uses np.nothing, which there is not
def misused_numpy(x, y):
    y[0, 0] = np.interp(x[0, 0], x[0])  #: calls interp(float, row), which is not possible
def float_index(x, y):
    k = x[0, 0] * 2.0
    y[0, 0] = x[0, k]  #: has a float as an index
def third_index(x, y):
    y[0, 0, 0] = 1.0  #: has an index that is not possible (cannot index array with 3 indices
def two_kinds(x, y):
    if x[0, 0] > 0.0:
        k = 1
    else:
        k = x[0]
    y[0, 0] = k  #: gives 'k' row here and 1 there
def closure(x, y):
    def inner(a):  #: has a function within it, inner
        return a
    y[0, 0] = inner(x[0, 0])
def lambdas(x, y):
    f = lambda a: a  #: has a lambda
def prints(x, y):
    y[0, 0] = 1.0
    print(x[0, 0])  #: uses print
def raises(x, y):
    if x[0, 0] > 0.0:
        raise ValueError("bad")  #: has a `raise` statement
def tries(x, y):
    try:  #: has a `try` statement
        y[0, 0] = 1.0
    except ValueError:
        pass
def opens(x, y):
    with x:  #: has a `with` statement
        y[0, 0] = 1.0
def generates(x, y):
    yield 1  #: has `yield`
def recursive(x, y):  #: calls itself
    recursive(x, y)
def array_of_the_module(x, y):
    y[0, 0] = TABLE[0]  #: an array; what is an operand may be one, see r.table
def wrong_operand(x, y):
    y[0, 0] = x[0, 0] & 3  #: has `&` of float and int, which is not possible
def in_a_helper(x, y):
    y[0, 0] = helper(x[0, 0])
def s_loop(x):
    t = 0.0
    for i in range(3):  #: has a `for` statement
        t += x
    return t
def s_attribute(x):
    y = x * 2.0
    return y.size_of  #: uses .size_of, which a number does not have
def s_attribute_of_two(x, y):
    return x * y.size_of  #: uses .size_of, which a number does not have
def s_undefined(x):
    return x + nowhere  #: uses 'nowhere', which is not defined
def s_in_a_helper(x):
    return helper(x)
def s_wrong_arity(x):
    return twice(x, x)  #: calls twice(a) with other arguments
def s_two_operands(x, y):  #: takes (x, y), and is given 1 argument. It is given one for each operand
    return x + y
def s_list(x):
    a = [x, x]  #: has a list
    return a[0]
def s_string(x):
    return x + "a"  #: has 'a', which is not a number
def s_numpy(x):
    return np.interp(x, x, x)  #: uses np.interp
def s_table(x):
    return TABLE[0] * x  #: uses TABLE
def s_returns_nothing(x):  #: ends without `return`
    y = x * 2.0
def s_two_returns(x):
    if x > 0.0:
        return 1.0
    return x, x  #: returns (2 of float) and float
def s_pair(x):  #: returns what its operation cannot use
    return x, x
def s_raise(x):
    if x > 0.0:
        raise ValueError("a")  #: has a `raise` statement
    return x
def s_recursive(x):  #: calls itself
    return s_recursive(x - 1.0)
def s_maths(x):
    return math.factorial(x)  #: calls math.factorial, which compiled code does not have
def s_misspelt(x):
    return math.expp(x)  #: uses math.expp, which there is not
def s_element(x):
    return x[0]  #: has an index that is not possible
def s_matrix(x):
    return x @ x  #: has `@` of float and float
def s_bits(x):
    return x & 3  #: has `&` of float and float
def s_sum(x):
    return sum((x, x))  #: uses sum
s_lambda = lambda x: x + nowhere  #: uses 'nowhere'
'''
HELPERS = """
def twice(a):
    return a * 2.0
def helper(a):
    b = a + 1.0
    return b.nothing  #: uses .nothing
"""
NAMES = re.findall(r"^(?:def )?(\w+)(?:\(| = lambda)", FAULTS, re.MULTILINE)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty_units.py").write_text(FAULTS)
    (folder / "faulty_helpers.py").write_text(HELPERS)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("faulty_units")
    sys.path.remove(str(folder))
    for name in ("faulty_units", "faulty_helpers"):
        sys.modules.pop(name)


def blamed(text: str, name: str) -> tuple[int, str]:
    """The line whose comment says what is wrong with a function, and what it says."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if re.match(rf"(def )?{name}\b", line))
    for number in range(start, len(lines)):
        _, marked, said = lines[number].partition("#: ")
        if marked:
            return number + 1, said
    raise AssertionError(name)


@pytest.mark.parametrize("name", NAMES)
def test_an_error_is_one_message_of_four_lines_at_the_authors_own(faulty: ModuleType, name: str) -> None:
    function = getattr(faulty, name)
    source, where, blame = FAULTS, str(faulty.__file__), name
    if name.endswith("in_a_helper"):
        source, where, blame = HELPERS, str(sys.modules["faulty_helpers"].__file__), "helper"
    line, said = blamed(source, blame)
    if name == "undefined_name":
        line, said = FAULTS.splitlines().index("        y[i, 0] = (x[i, 0] +") + 1, "uses 'nowhere'"
    x = data(2, 3)
    operands = 2 if name.endswith("of_two") else 1

    def run() -> Any:
        scalar = name.startswith("s_")
        made = probe(lambda r, t: r.map(function, *t * operands), x) if scalar else body_probe(function, x)
        return made.run("compiled")

    with pytest.raises(KernelError) as caught:
        run()
    error, text = caught.value, str(caught.value)
    assert said in text
    assert (error.file, error.line, error.plugin) == (where, line, "this session")
    kernel, place, quoted, why = text.split("\n")
    assert kernel.startswith("layer_1: ")
    assert kernel == f"{error.kernel} (this session) does not compile"
    assert place == f"  {where}:{line}, in {error.function}"
    assert quoted.strip() == source.splitlines()[line - 1].strip()
    assert why.startswith(f"  {error.function} ")
    assert not re.search(r"nbdl_kernel|_[0-9a-f]{8}\b|K_|Literal|array\(float|nopython|CPUDispatcher", why)
    assert error.__suppress_context__


def test_an_error_survives_pickling(faulty: ModuleType) -> None:
    with pytest.raises(KernelError) as caught:
        body_probe(faulty.prints, data(2, 3)).run()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert vars(copy) == vars(caught.value)
    assert (copy.kernel, copy.plugin) == ("layer_1: kernel faulty_units.prints", "this session")
    assert isinstance(copy, ConfigError)


def test_a_faulty_derivative_is_found_within_what_the_engine_composed(faulty: ModuleType) -> None:
    """The chain rule is nbdl's; the function in it the author's."""

    def record(r: Recorder, t: Sequence[Tensor]) -> Tensor:
        return r.chain_rule(function, t[0], t[0], t[0])

    cases = {
        faulty.s_two_returns: "returns",
        faulty.s_attribute: "uses .size_of",
        faulty.s_pair: r"returns what its operation cannot use: it then has `\*` of float and \(2 of float\)",
    }
    for function, said in cases.items():
        with pytest.raises(KernelError, match=said) as caught:
            probe(record, data(2, 3)).run()
        assert caught.value.function == function.__name__
        assert caught.value.line == blamed(FAULTS, function.__name__)[0]


def test_units_of_every_kind_are_named(faulty: ModuleType) -> None:
    """What training compiles: a function of an activation, of its derivative, of a regularizer, of a loss."""
    from nbdl.layers import Dense
    from nbdl.units.elementwise import ELEMENTWISE, elementwise

    one, two = faulty.s_attribute, faulty.s_attribute_of_two
    cases = [
        ("activations", (one, two), "activation"),
        ("activations", (good, two), "activation"),
        ("regularizers", (one, one), "kernel_regularizer"),
        ("losses", (two, two), ""),
    ]
    for kind, functions, argument in cases:
        assert kind in ELEMENTWISE
        unit = elementwise(kind, "faulty_one", functions)()
        model = nbdl.Sequential([Dense(2, input_dim=3, **({argument: unit} if argument else {}))])
        model.compile("sgd", "mse" if argument else unit)
        with pytest.raises(KernelError, match=r"uses \.size_of") as caught:
            model.fit(data(4, 3), data(4, 2), epochs=1, verbose=0)
        assert caught.value.function in ("s_attribute", "s_attribute_of_two")
        assert caught.value.line == blamed(FAULTS, caught.value.function)[0]


def good(x: float) -> float:
    return x


def test_the_plugin_is_the_distribution_of_the_functions_module(faulty: ModuleType) -> None:
    from importlib.metadata import version

    from nbdl_standard.layers.embedding import look_up

    assert plugin_of(look_up) == f"nbdl {version('nbdl')}"
    assert plugin_of(faulty.prints) == "this session"


def many_lines(x: float) -> float:
    """A docstring
    of two lines."""
    # a comment
    a: float = (  # the first
        x * 2.0
    )

    if a > 1.0:
        "another comment"
        b = a
    elif a > 0.0:
        b = -a; a = b  # fmt: skip # noqa: E702
    else:
        b = max(
            a, 0.0)  # fmt: skip
    return (
        b + a
    )  # fmt: skip


def test_every_line_of_emitted_text_leads_to_the_authors() -> None:
    text, _ = map_text(many_lines, ["full"], 1)
    own, lines = Path(__file__).read_text().splitlines(), text.splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("def many_lines"))
    wanted = {"a =": "a: float = (", "if a": "if a > 1.0", "'another": '"another', "b = a": "b = a", "elif": "elif a",
              "b = -a": "b = -a; a", "a = b": "b = -a; a", "b = _m": "b = max(", "return b": "return ("}  # fmt: skip
    for part, line in wanted.items():
        number = next(n for n, one in enumerate(lines, 1) if one.strip().startswith(part) and n > first)
        place = author_line(text, number)
        assert place is not None
        assert place[0] is many_lines
        assert own[place[1] - 1].strip().startswith(line), part
    assert author_line(text, len(lines)) is None, "the engine's own text is nobody's"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Unknown attribute 'a' of type float32*\n", "uses .a, which a flat array does not have"),
        ("Cannot unify float32 and Literal[int](1) for 'k.2', defined at <k> (3)", "gives 'k' float here and 1 there"),
        ("Failed in nopython mode pipeline (step: x)\nSomething new of f_0123abcd. Raised from <k> (3)",
         "is refused (Something new of f)"),
        ("", "is refused (is not understood by the compiler)"),
    ],
)  # fmt: skip
def test_a_compilers_words_are_cut_down(message: str, said: str) -> None:
    assert explained(message, "")[0] == said


def test_an_error_that_is_no_compilers_is_left_alone() -> None:
    assert found(ValueError("x"), "", [body_operation(mirrored)]) is None
    assert readable("UniTuple(int64 x 3)") == "(3 of int)"


# -- errors while it runs ---------------------------------------------------------------------------------


def one_too_far(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = x[i, j + 1]


def one_too_far_cuda(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    j = thread
    while j < 5:
        y[row * 5 + j] = x[row * 5 + j + 9999]
        j += threads


def line_of(function: Any, part: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    first = function.__code__.co_firstlineno
    return next(number for number in range(first, len(lines)) if part in lines[number - 1])


def test_an_index_out_of_range_is_found_by_a_checked_run() -> None:
    with pytest.raises(KernelError, match=r"one_too_far reaches outside an array \(index 5 is out of bounds") as caught:
        body_probe(one_too_far, data(2, 5)).run("checked")
    assert caught.value.line == line_of(one_too_far, "j + 1]")
    assert body_probe(mirrored, data(2, 5)).run("checked").output.shape == (2, 5)


def meddling(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        y[i, 0] = x[i, 0]
        x[i, 0] = 0.0


def test_a_body_that_writes_to_an_input_is_found_by_a_checked_run() -> None:
    with pytest.raises(KernelError, match=r"meddling writes to an input .*Only outputs are written\.") as caught:
        body_probe(meddling, data(2, 5), width=1).run("checked")
    assert caught.value.line == line_of(meddling, "x[i, 0] = 0.0")


def test_an_index_out_of_range_of_a_cuda_body_is_found_by_the_simulator() -> None:
    with pytest.raises(KernelError, match="one_too_far_cuda reaches outside an array") as caught:
        body_probe(mirrored, data(2, 5), cuda=one_too_far_cuda).run("cuda")
    assert caught.value.line == line_of(one_too_far_cuda, "9999")


def faulty_cuda(row: int, thread: int, threads: int, x: Any, y: Any) -> None:
    y[row] = x.nothing


def test_an_attribute_of_a_cuda_body_is_told() -> None:
    """In the simulator when it runs; by a compiler when it compiles."""
    with pytest.raises(KernelError, match="faulty_cuda fails") as caught:
        body_probe(mirrored, data(2, 5), cuda=faulty_cuda).run("cuda")
    assert caught.value.line == line_of(faulty_cuda, "nothing")


# -- the worked package -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibration() -> Iterator[ModuleType]:
    sys.path.insert(0, str(THIRD_PARTY))
    yield importlib.import_module("nbdl_calibration")
    sys.path.remove(str(THIRD_PARTY))
    for name in [name for name in sys.modules if name.startswith("nbdl_calibration")]:
        sys.modules.pop(name)


POINTS = [-1.0, -0.25, 0.5]


@pytest.fixture(scope="module")
def worked(calibration: ModuleType) -> nbdl.Sequential:
    """A net of both layers, trained a little."""
    net = [calibration.PiecewiseLinear(POINTS, input_dim=5), calibration.FactorizationMachine(3)]
    model = nbdl.Sequential(net, seed=2)
    model.compile("sgd", "mse")
    model.fit(data(64, 5), data(64, 1), epochs=2, verbose=0)
    return model


def by_numpy(model: nbdl.Sequential, x: Array) -> Array:
    values, bias, linear, vectors = (weight.astype(float) for weight in model.get_weights())
    z = np.stack([np.interp(x[:, j].astype(float), POINTS, values[j]) for j in range(x.shape[1])], axis=1)
    pairs = [z[:, i] * z[:, j] * (vectors[:, i] @ vectors[:, j]) for i in range(5) for j in range(i)]
    return np.asarray(bias + z @ linear + np.sum(pairs, axis=0))[:, None]


def test_the_worked_layers_are_their_formulas(worked: nbdl.Sequential) -> None:
    x = 2.0 * data(50, 5)
    assert_allclose(worked.predict(x), by_numpy(worked, x), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on this machine")
def test_the_worked_layers_are_exported_to_c(worked: nbdl.Sequential, tmp_path: Path) -> None:
    assert "passed" in exported(worked, tmp_path)


def test_the_worked_layers_train_alike_on_one_thread_on_two_and_on_a_gpu(calibration: ModuleType) -> None:
    def trained(device: str = "cpu", **options: Any) -> list[Array]:
        net = [calibration.PiecewiseLinear(POINTS, input_dim=5), calibration.FactorizationMachine(3)]
        model = nbdl.Sequential(net, seed=2)
        model.compile("sgd", "mse", device=device)
        model.fit(data(40, 5), data(40, 1), batch_size=20, epochs=1, verbose=0, **options)
        return [*model.get_weights()]

    one, two, gpu = trained(threads=1), trained(threads=2), trained(device="cuda")
    for a, b, c in zip(one, two, gpu, strict=True):
        assert_array_equal(a, b)
        assert_allclose(a, c, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("keypoints", [[], [1.0], [1.0, 1.0], [2.0, 1.0], [0.0, math.nan], [0.0, math.inf]])
def test_keypoints_ascend(calibration: ModuleType, keypoints: list[float]) -> None:
    with pytest.raises(ConfigError, match="keypoints are two numbers or more, ascending"):
        calibration.PiecewiseLinear(keypoints)


needs_cuda_compiler = pytest.mark.skipif(
    importlib.util.find_spec("numba_cuda") is None or bool(availability.compiler_problem()),
    reason="needs the CUDA compiler: pip install 'nbdl[cuda]'",
)
COMPILED = """
import sys
sys.path[:0] = {paths!r}
import nbdl
import test_kernel_api as tests
from nbdl.engine.cuda.compiler import compile_ptx
from nbdl.engine.cuda.lowering import Lowering
from nbdl.engine.cuda.text import GPU
from nbdl.program.language.explain import naming
from nbdl.errors import KernelError


def compiled(program, gradients=0):
    for launch in Lowering(program, 64, ["float32"] * len(program.inputs), gradients, GPU).launches:
        with naming(launch.operations) as attempt:
            attempt.text = launch.kernel.text
            assert ".f64" not in compile_ptx(launch.kernel, (9, 0)).text, launch.kernel.title


x = tests.data(2, 5)
compiled(tests.body_probe(tests.mirrored, x, cuda=tests.mirrored_cuda).program)
try:
    compiled(tests.body_probe(tests.mirrored, x, cuda=tests.faulty_cuda).program)
except KernelError as error:
    print(error)
from nbdl_calibration import FactorizationMachine, PiecewiseLinear

model = nbdl.Sequential([PiecewiseLinear([-1.0, 0.0, 1.0], input_dim=5), FactorizationMachine(2)])
model.compile("sgd", "mse")
compiled(model.program("train"), 1 << 10)
"""


@needs_cuda_compiler
def test_bodies_compile_for_a_gpu_and_their_errors_name_the_line(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), str(THIRD_PARTY)]
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_ENABLE_CUDASIM"}
    code = COMPILED.format(paths=paths)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{__file__}:{line_of(faulty_cuda, 'nothing')}, in faulty_cuda\n    y[row] = x.nothing\n" in done.stdout
    assert "uses .nothing, which a flat array does not have" in done.stdout
