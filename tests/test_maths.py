"""nbdl's float32 mathematics: error bounds over whole ranges, special values, vectorisation."""

from __future__ import annotations

import ast
import functools
import inspect
import math
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import boolean, float32, njit
from scipy import special

from nbdl.engine.denormals import flushed
from nbdl.program.language import maths
from nbdl.program.language.bits import multiply_add, nearest, scale2
from nbdl.program.language.maths import exp, log

Function = Callable[..., Any]
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "afn"},
    "nogil": True,
}
INF, NAN, LARGEST, TINIEST = np.inf, np.nan, 3.4028235e38, 1e-45


class Literals(ast.NodeTransformer):
    """Replace float literals by names of float32 constants, and drop annotations."""

    def __init__(self) -> None:
        self.constants: dict[str, np.float32] = {}

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        name = f"literal_{len(self.constants)}"
        self.constants[name] = np.float32(node.value)
        return ast.Name(name, ast.Load())

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(node.arg)


@functools.cache
def scalar(function: Function) -> Function:
    """A scalar function compiled as kernels compile it: all floats in reach float32."""
    literals = Literals()
    tree = literals.visit(ast.parse(inspect.getsource(function)))
    tree.body[0].returns = None
    scope: dict[str, Any] = dict(literals.constants)
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, float):
            scope[name] = np.float32(value)
        else:
            scope[name] = scalar(value) if isinstance(value, types.FunctionType) else value
    exec(compile(ast.fix_missing_locations(tree), function.__name__, "exec"), scope)
    compiled: Function = njit(forceinline=True, **OPTIONS)(scope[function.__name__])
    return compiled


@functools.cache
def loop(function: Function) -> Any:
    """A loop over arrays of float32, as in a kernel: scalar calls could hide what vectorising changes."""
    f, vector = scalar(function), float32[::1]
    if len(inspect.signature(function).parameters) == 2:

        @njit((vector, vector, vector), **OPTIONS)
        def binary(x: Any, y: Any, out: Any) -> None:
            for i in range(x.size):
                out[i] = f(x[i], y[i])

        return binary

    @njit((vector, vector), **OPTIONS)
    def unary(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = f(x[i])

    return unary


def run(function: Function, *arguments: Any) -> np.ndarray:
    columns = [np.ascontiguousarray(argument, np.float32).reshape(-1) for argument in arguments]
    out = np.empty_like(columns[0])
    loop(function)(*columns, out)
    return out


def true(reference: Function, *arguments: Any) -> np.ndarray:
    """The float64 function of the float32 arguments."""
    with np.errstate(all="ignore"):
        return np.asarray(reference(*(np.asarray(argument, np.float32).astype(float) for argument in arguments)))


def to_float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(np.float32)


def ulps(values: np.ndarray, exact: np.ndarray) -> float:
    """The largest error in units in the last place of the nearest float32; NaN counts as infinite."""
    nearest_float = np.minimum(np.abs(to_float32(exact)), np.float32(3e38))  # beyond, the unit is the same
    error = np.abs(values.astype(float) - exact) / np.spacing(nearest_float).astype(float)
    return float(np.max(np.where(np.isnan(error), INF, error)))


def spread(low: float, high: float, count: int = 150_000) -> np.ndarray:
    """Floats from low to high, equally many in each binade."""

    def position(value: float) -> int:
        bits = int(np.float32(value).view(np.int32))
        return bits if bits >= 0 else -(bits & 0x7FFFFFFF)

    positions = np.linspace(position(low), position(high), count).astype(np.int64)
    return np.where(positions >= 0, positions, -positions | 0x80000000).astype(np.uint32).view(np.float32)


def seams() -> np.ndarray:
    """Floats around the odd multiples of ln(2) / 4 and pi / 4, where range reductions change their n."""
    odd = np.arange(-801, 802, 2)[:, None] * np.array([np.log(2) / 4, np.log(2) / 2, np.pi / 4])
    bits = odd.astype(np.float32).reshape(-1, 1).view(np.uint32) + np.arange(-4, 5)
    values: np.ndarray = bits.astype(np.uint32).view(np.float32)
    return values.reshape(-1)


def bound(function: Function) -> float:
    """The bound that the docstring states."""
    stated = re.search(r"(\d+\.\d) ulp", function.__doc__ or "")
    assert stated, f"{function.__name__} states no bound"
    return float(stated[1])


# name: reference, ranges in which results are finite (the second where it is hard)
CASES: dict[str, tuple[Function, list[tuple[float, float]]]] = {
    "exp": (np.exp, [(-104, 88.72), (-2, 2)]),
    "exp2": (np.exp2, [(-150, 127.99999), (-2, 2)]),
    "expm1": (np.expm1, [(-LARGEST, 88.72), (0.25, 0.75)]),
    "log": (np.log, [(TINIEST, LARGEST), (0.5, 2)]),
    "log2": (np.log2, [(TINIEST, LARGEST), (0.5, 2)]),
    "log10": (np.log10, [(TINIEST, LARGEST), (0.5, 2)]),
    "log1p": (np.log1p, [(-0.99999994, LARGEST), (0.25, 2)]),
    "tanh": (np.tanh, [(-LARGEST, LARGEST), (0.01, 10)]),
    "sigmoid": (special.expit, [(-104, LARGEST), (-8, 8)]),
    "sinh": (np.sinh, [(-89.4, 89.4), (0.5, 4)]),
    "cosh": (np.cosh, [(-89.4, 89.4), (0.5, 8)]),
    "erf": (special.erf, [(-LARGEST, LARGEST), (0.01, 4)]),
    "erfc": (special.erfc, [(-LARGEST, 10.05), (0.1, 10.05)]),
    "sin": (np.sin, [(-1e4, 1e4), (0.1, 10), (1e3, 1e4)]),
    "cos": (np.cos, [(-1e4, 1e4), (0.1, 10), (1e3, 1e4)]),
    "floor": (np.floor, [(-LARGEST, LARGEST), (-10, 10)]),
    "ceil": (np.ceil, [(-LARGEST, LARGEST), (-10, 10)]),
    "trunc": (np.trunc, [(-LARGEST, LARGEST), (-10, 10)]),
}
TINY_VALUES = [0.0, TINIEST, 1e-40, 1.1754944e-38]
LIMITS = [88.7, 88.73, 89.5, 87.4, 103.9, 104.5, 128.0, 150.5, 1e30, LARGEST, INF]
SPECIAL = np.array([sign * value for value in [*TINY_VALUES, 0.5, 1, 2, *LIMITS] for sign in (1, -1)], np.float32)


def named(name: str) -> Function:
    return getattr(maths, name)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CASES)
def test_error_stays_below_the_stated_bound(name: str) -> None:
    reference, ranges = CASES[name]
    for low, high in ranges:
        every = np.concatenate([spread(low, high), seams()])
        x = every[(every >= low) & (every <= high)]
        assert ulps(run(named(name), x), true(reference, x)) <= bound(named(name)), (low, high)


@pytest.mark.parametrize("name", CASES)
def test_special_values(name: str) -> None:
    function, reference = named(name), CASES[name][0]
    x = np.append(SPECIAL, np.float32(NAN))
    x = x if name not in ("sin", "cos") else x[~(np.abs(x) > 1e4) | np.isinf(x)]
    values, expected = run(function, x), to_float32(true(reference, x))
    for argument, value, right in zip(x, values, expected, strict=True):
        if np.isfinite(right):
            assert ulps(np.array([value]), true(reference, np.array([argument]))) <= bound(function), argument
        else:
            np.testing.assert_equal(value, right, err_msg=f"{name}({argument})")


def test_every_function_is_covered_and_named_as_in_math() -> None:
    assert set(maths.FUNCTIONS) | {"sigmoid"} == set(CASES) | {"pow"}
    assert set(maths.FUNCTIONS) | maths.NATIVE <= set(dir(math))
    assert not set(maths.FUNCTIONS) & maths.NATIVE
    assert all(function is named(name) for name, function in maths.FUNCTIONS.items())


def test_exact_values() -> None:
    assert run(maths.exp, [0.0, -INF, -1e30])[:2].tolist() == [1.0, 0.0]
    assert run(maths.tanh, [9.1, 20.0, 1e30, INF, -9.1, -INF]).tolist() == [1, 1, 1, 1, -1, -1]
    assert np.abs(run(maths.tanh, spread(4, 12))).max() == 1.0
    assert run(maths.cos, [0.0]).tolist() == [1.0]
    assert run(maths.sigmoid, [0.0, 30.0, -200.0]).tolist() == [0.5, 1.0, 0.0]
    assert run(maths.sigmoid, [-100.0])[0] > 0.0
    powers = np.arange(-149.0, 128.0)
    assert (run(maths.log2, np.exp2(powers)) == powers).all()
    assert (run(maths.exp2, powers) == np.exp2(powers)).all()


def test_sine_and_cosine_stay_bounded_where_they_are_no_longer_accurate() -> None:
    x = spread(1e4, LARGEST)
    for function in (maths.sin, maths.cos):
        assert np.abs(run(function, x)).max() <= 1.0


# pow --------------------------------------------------------------------------------------------------


def test_pow_error() -> None:
    generator = np.random.default_rng(0)
    whole = spread(TINIEST, LARGEST, 300_000)
    hard = generator.choice([0.7071, 1.0, 1.4142], whole.size) * generator.uniform(0.95, 1.05, whole.size)
    for x in (whole, to_float32(hard)):
        logarithm = np.log2(x.astype(float))
        y = to_float32(generator.uniform(-145, 127.9, x.size) / np.where(logarithm == 0, 1, logarithm))
        exact = true(np.power, x, y)
        fits = exact < LARGEST
        assert fits.mean() > 0.99
        assert ulps(run(maths.pow, x, y)[fits], exact[fits]) <= bound(maths.pow)
    x = to_float32(generator.uniform(0.1, 10, 100_000) * generator.choice([-1, 1], 100_000))
    y = generator.integers(-30, 30, x.size)
    assert ulps(run(maths.pow, x, y), true(np.power, x, y)) <= bound(maths.pow)


def test_pow_special_values() -> None:
    values = [0.0, 1.0, 2.0, 3.0, 0.5, 2.5, INF, TINIEST, 3e38, 1e10, 16777215.0, 8388607.5, 1e-10]
    every = np.array([*values, *(-value for value in values), NAN], np.float32)
    x, y = (grid.reshape(-1) for grid in np.meshgrid(every, every))
    result, exact = run(maths.pow, x, y), true(np.power, x, y)
    expected = to_float32(exact)
    for base, exponent, value, right, precise in zip(x, y, result, expected, exact, strict=True):
        if np.isfinite(right) and right != 0:
            assert ulps(np.array([value]), np.array([precise])) <= bound(maths.pow), (base, exponent)
        else:
            np.testing.assert_equal(value, right, err_msg=f"pow({base}, {exponent})")
            assert np.isnan(right) or np.signbit(value) == np.signbit(right), (base, exponent)


# denormals as zero --------------------------------------------------------------------------------------

SMALLEST = np.finfo(np.float32).smallest_normal


def without_denormals(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < SMALLEST, np.copysign(0, values), values)


def flushed_ulps(function: Function, reference: Function, *arguments: np.ndarray) -> float:
    """The largest error where denormals count as zero, in arguments and in results; at the border both are right."""
    with flushed():
        values = run(function, *arguments)
    assert not ((values != 0) & (np.abs(values) < SMALLEST)).any()
    exact = true(reference, *map(without_denormals, arguments))
    halves = 2 if function in (maths.expm1, maths.erf) else 1  # they add two halves, which are denormal first
    border = np.abs(exact) < halves * SMALLEST * (1 + 1e-6)
    assert (values[np.abs(exact) < SMALLEST * (1 - 1e-6)] == 0).all()
    return ulps(values[~border], exact[~border])


@pytest.mark.parametrize("name", CASES)
def test_errors_where_denormals_count_as_zero(name: str) -> None:
    reference, ((low, high), *_) = CASES[name]
    x = np.concatenate([spread(low, high), spread(-1e-37, 1e-37) if low < 0 else spread(TINIEST, 1e-37)])
    x = x[np.abs(x) >= SMALLEST] if name.startswith("log") and name != "log1p" else x
    if name in ("floor", "ceil"):  # moves, not arithmetic: they may look at a denormal as it is
        x = x[np.abs(x) >= SMALLEST]
    assert flushed_ulps(named(name), reference, x) <= bound(named(name))


@pytest.mark.parametrize("function", [maths.log, maths.log2, maths.log10])
def test_logarithms_of_denormals_are_those_of_zero(function: Function) -> None:
    with flushed():
        assert (run(function, [TINIEST, 1e-40, 1.17e-38]) == -INF).all()


def test_powers_where_denormals_count_as_zero() -> None:
    generator = np.random.default_rng(0)
    x = np.concatenate([spread(SMALLEST, LARGEST), spread(TINIEST, 1e-37, 10_000)])
    y = to_float32(generator.uniform(-145, 127.9, x.size) / np.where(np.log2(x.astype(float)) == 0, 1, 100))
    exact = true(np.power, without_denormals(x), y)
    fits = np.isfinite(to_float32(exact))
    assert flushed_ulps(maths.pow, np.power, x[fits], y[fits]) <= bound(maths.pow)


# vectorisation ----------------------------------------------------------------------------------------


def vectorised(compiled: Any) -> bool:
    """Whether the code of a loop loads several elements at once."""
    code = "".join(compiled.inspect_llvm().values())
    return re.search(r"load <\d+ x (float|i32)>", code) is not None


@pytest.mark.parametrize("name", [*CASES, "pow"])
def test_loops_vectorise(name: str) -> None:
    assert vectorised(loop(named(name)))


@pytest.mark.parametrize("name", sorted(maths.NATIVE))
def test_native_functions_stay_float32_and_vectorise(name: str) -> None:
    function = getattr(math, name)
    one = njit(**OPTIONS)((lambda x: function(x, x)) if name == "copysign" else (lambda x: function(x)))
    one.compile((float32,))
    assert one.nopython_signatures[0].return_type in (float32, boolean)

    @njit((float32[::1], float32[::1]), **OPTIONS)
    def column(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = one(x[i])

    assert vectorised(column)


def test_a_library_call_does_not_vectorise() -> None:
    @njit((float32[::1], float32[::1]), **OPTIONS)
    def column(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[i] = math.lgamma(x[i])

    assert not vectorised(column)


# planted defects: what the bounds must catch ---------------------------------------------------------


def naive_softplus_slope(y: float) -> float:
    return 1.0 - exp(-y)


def naive_log1p(x: float) -> float:
    return log(1.0 + x)


def compensated_log1p(x: float) -> float:
    """Right as written, but `reassoc` makes u - 1.0 of 1.0 + x into x."""
    u = 1.0 + x
    return log(u) + (x - (u - 1.0)) / u


def exp_with_a_wrong_digit(x: float) -> float:
    n = nearest(x * 1.442695)
    r = multiply_add(n, 2.12194440e-4, multiply_add(n, -0.693359375, x))
    q = ((1.38e-3 * r + 8.37e-3) * r + 4.167e-2) * r + 0.16666521
    return scale2((q * r + 0.49999) * r * r + r + 1.0, n)


@pytest.mark.parametrize(
    ("defect", "reference", "low", "high"),
    [
        (naive_softplus_slope, lambda y: -np.expm1(-y), 1e-6, 10),
        (naive_log1p, np.log1p, -0.5, 10),
        (compensated_log1p, np.log1p, -0.5, 10),
        (exp_with_a_wrong_digit, np.exp, -10, 10),
    ],
)
def test_planted_defects_are_caught(defect: Function, reference: Function, low: float, high: float) -> None:
    x = spread(low, high)
    assert ulps(run(defect, x), true(reference, x)) > 10


def test_ulps_counts_nan_as_an_error() -> None:
    assert ulps(np.array([1.0, NAN], np.float32), np.array([1.0, 1.0])) == INF
    assert ulps(np.array([np.nextafter(np.float32(1), np.float32(2))]), np.array([1.0])) == 1.0
