"""The C export: compiles without a warning, agrees with Python, tests itself, and refuses what it cannot say."""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import platform
import re
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from distributions import THIRD_PARTY, written
from distributions import run as run_python

import nbdl
from nbdl import Layer, Sequential, activations
from nbdl.cli.app import app
from nbdl.data.encoding import Encoding
from nbdl.data.table import Table
from nbdl.engine.c.program import planned
from nbdl.engine.c.scalar import CFunctions, literal
from nbdl.errors import ConfigError, UnknownNameError
from nbdl.layers import Activation, Dense, Dropout, Flatten, LeakyReLU, PReLU
from nbdl.program.functions import add, same, times
from nbdl.program.language import maths
from nbdl.program.language.plain import reference_function
from nbdl.program.language.source import ScalarError
from nbdl.program.tensor import Tensor
from nbdl.units.registry import registry

COMPILER = shutil.which("gcc") or shutil.which("cc")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
# With and without fused multiply-add, which a compiler may put where it likes outside of -std=c99.
FLAGS = {"strict": ("-O2",), "native": ("-O3", "-march=native"), "fused": ("-std=gnu99", "-O3", "-march=native")}
ULP = 32  # a defect is thousands
ORDINARY = 300  # rows without extreme values
ACTIVATIONS = [entry.name for entry in registry.entries("activations") if entry.owner.distribution == "nbdl"]
BY_NAME = [name for name in ACTIVATIONS if name not in ("glu", "threshold")]  # an even width, and arguments
LAST = dict.fromkeys(("exponential", "mish"), "linear")  # their eˣ would magnify how sums were rounded

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C compiler (gcc or cc) on this machine")


def compile_c(source: Path, *flags: str, compiler: str | None = None) -> Path:
    """The program or library made of a C file; a warning is an error."""
    output = source.with_suffix(f".{hashlib.sha256(' '.join(flags).encode()).hexdigest()[:8]}.out")
    strict = [flag for flag in STRICT if "-xc++" not in flags or not flag.startswith("-std")]
    command = [compiler or str(COMPILER), *strict, *flags, str(source), "-o", str(output), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def self_test(source: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the test that a file brings along."""
    program = compile_c(source, "-DNBDL_TEST", *flags)
    return subprocess.run([str(program)], capture_output=True, text=True, check=False)


def library(source: Path, *flags: str) -> ctypes.CDLL:
    return ctypes.CDLL(str(compile_c(source, "-shared", "-fPIC", *flags)))


def pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.c_void_p)


def run_rows(function: Any, x: np.ndarray, outputs: int) -> np.ndarray:
    """One call for each row."""
    y = np.full((len(x), outputs), 7.0, np.float32)
    for row, out in zip(np.ascontiguousarray(x, np.float32), y, strict=True):
        function(pointer(row), pointer(out))
    return y


def difference(found: np.ndarray, expected: np.ndarray, each_row: bool) -> float:
    """The largest difference in units in the last place of the largest output, of each row or of all."""
    finite = np.where(np.isfinite(expected), np.abs(expected), 1e-38).astype(np.float32)
    unit = np.spacing(finite.max(axis=1, keepdims=True) if each_row else finite.max())
    agree = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(found.astype(np.float64) - expected) / unit
    return float(np.where(agree, 0.0, np.where(np.isnan(distance), np.inf, distance)).max())


def extreme_rows(width: int) -> np.ndarray:
    """Ordinary rows, and rows with every kind of value."""
    rng = np.random.default_rng(3)
    ordinary = rng.normal(size=(ORDINARY, width))
    scaled = rng.normal(size=(100, width)) * 10.0 ** rng.integers(-6, 5, size=(100, width))
    special = [0.0, -0.0, 1e4, -1e4, 1e-40, -1e-45, 1e30, -1e30, 3e38, np.nan, np.inf, -np.inf]
    rows = rng.normal(size=(len(special), width))
    rows[:, 0] = special
    whole = np.repeat(np.array(special)[:, None], width, axis=1)
    return np.concatenate([ordinary, scaled, rows, whole]).astype(np.float32)


def net(*layers: Layer, name: str = "net") -> Sequential:
    """A model whose biases are not zero either."""
    model = Sequential(layers, name=name, seed=5)
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(size=w.shape).astype(np.float32) * 0.1 for w in model.get_weights()])
    return model


NETS: dict[str, Callable[[], Sequential]] = {
    **{
        activation: lambda activation=activation: net(
            Dense(17, input_dim=9, activation=activation), Dense(5, activation=LAST.get(activation, activation))
        )
        for activation in BY_NAME
    },
    "glu": lambda: net(Dense(18, input_dim=9, activation="glu"), Dense(10, activation="glu")),
    "threshold": lambda: net(Dense(17, input_dim=9, activation=activations.threshold(0.1, -0.5)), Dense(5)),
    "gelu(approximate)": lambda: net(Dense(17, input_dim=9, activation=activations.gelu(approximate=True)), Dense(5)),
    "PReLU": lambda: net(Dense(17, input_dim=9), PReLU(), Dense(5), LeakyReLU()),
    "flatten": lambda: net(Flatten(input_shape=(3, 4)), Dense(6, activation="relu"), Dense(2)),
    "dropout": lambda: net(Dense(8, input_dim=3), Dropout(0.5, scaling="classic"), Dropout(0.3), Dense(2)),
    "one weight": lambda: net(Dense(1, input_dim=1)),
    "without bias": lambda: net(Dense(7, input_dim=6, use_bias=False), Dense(3, use_bias=False)),
    "no layer that computes": lambda: net(Flatten(input_shape=(2, 3))),
    "activations alone": lambda: net(Activation("tanh", input_shape=(4,)), Activation("softmax")),
    "deep": lambda: net(Dense(32, input_dim=12, activation="tanh"), *(Dense(32, activation="relu") for _ in range(6))),
}


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("which", NETS)
def test_c_agrees_with_python(which: str, flags: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "nbdl.training.inputs.check_finite", lambda *_: (0.0, 0.0)
    )  # `predict` refuses NaN; C takes all rows
    model, source = NETS[which](), tmp_path / "net.c"
    model.export(source, name="the_net")
    done = self_test(source, *FLAGS[flags])
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    width, outputs = math.prod(model.input_shape or ()), math.prod(model.output_shape)
    x = extreme_rows(width)
    expected = model.predict(x.reshape(-1, *(model.input_shape or ())))
    expected = expected.reshape(len(x), outputs)
    found = run_rows(library(source, *FLAGS[flags]).the_net, x, outputs)
    # Where sums overflow on the way, another rounding gives infinity for a number, or NaN for infinity.
    settled = np.isfinite(expected).all(axis=1) | np.isnan(x).any(axis=1)
    if flags == "strict":  # without fused multiply-add products round otherwise; far from it where they cancel
        settled &= np.arange(len(x)) < ORDINARY
    measured = difference(found[settled], expected[settled], each_row=flags != "strict")
    print(f"{which}, {flags}: {measured:.3g} ulp; {done.stdout.strip()}")
    assert settled.sum() >= ORDINARY
    assert measured <= ULP
    assert (np.isnan(found) == np.isnan(expected))[np.isfinite(x).all(axis=1) & (np.abs(x) < 1e9).all(axis=1)].all()


def test_the_file_is_also_cplusplus(tmp_path: Path) -> None:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler (g++ or c++) on this machine")
    source, output = tmp_path / "net.c", tmp_path / "net"
    NETS["softmax"]().export(source)
    command = [compiler, "-x", "c++", *STRICT[1:], "-DNBDL_TEST", str(source), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([str(output)], check=False).returncode == 0


# -- the scalar language ----------------------------------------------------------------------------------


def compiled_scalar(function: Callable[..., Any], folder: Path, *flags: str) -> Callable[..., np.ndarray]:
    """A scalar function as C, called on arrays."""
    functions = CFunctions("t")
    signature = functions.function(function)
    count = len(signature.parameters)
    arguments = "".join(f", const float *a{number}" for number in range(count))
    values = ", ".join(f"a{number}[i]" for number in range(count))
    call = f"{signature.name}({values})"
    store = f"y[i] = {call};"
    if signature.results > 1:
        parts = "".join(f"y[{signature.results} * i + {n}] = v.at[{n}]; " for n in range(signature.results))
        store = f"const t_values_{signature.results} v = {call}; {parts}"
    run = f"void run(int rows, float *y{arguments});\nvoid run(int rows, float *y{arguments})\n"
    run += f"{{ for (int i = 0; i < rows; i++) {{ {store} }} }}\n"
    source = folder / "scalar.c"
    heads = "".join(f"#include <{name}.h>\n" for name in ("float", "math", "stdint", "string"))
    source.write_text(f"{heads}\n{functions.text()}\n{run}")
    loaded = library(source, *flags)

    def call_it(*columns: Any) -> np.ndarray:
        given = [np.ascontiguousarray(column, np.float32) for column in columns]
        y = np.zeros((len(given[0]), signature.results), np.float32)
        loaded.run(len(y), pointer(y), *map(pointer, given))
        return y[:, 0] if signature.results == 1 else y

    return call_it


RANGES = {"log": (1e-30, 1e30), "log2": (1e-30, 1e30), "log10": (1e-30, 1e30), "log1p": (-0.99, 1e5)}


@pytest.mark.parametrize("flags", ["strict", "fused"])
@pytest.mark.parametrize("name", sorted(maths.FUNCTIONS))
def test_maths_in_c_is_as_exact_as_in_python(name: str, flags: str, tmp_path: Path) -> None:
    function = maths.FUNCTIONS[name]
    low, high = RANGES.get(name, (-30.0, 30.0))
    x = np.linspace(low, high, 20001).astype(np.float32)
    columns = [np.abs(x) + 1e-3, np.roll(x, 7777) / 8] if name == "pow" else [x]
    exact = np.array([getattr(math, name)(*map(float, row)) for row in zip(*columns, strict=True)])
    found = compiled_scalar(function, tmp_path, *FLAGS[flags])(*columns).astype(np.float64)
    normal = (np.abs(exact) > 1.2e-38) & (np.abs(exact) < 3.4e38)
    error = np.abs(found - exact)[normal] / np.spacing(np.abs(exact[normal]).astype(np.float32))
    bound = float(re.search(r"([\d.]+) ulp", str(function.__doc__)).group(1))  # type: ignore[union-attr]
    print(f"{name}, {flags}: {error.max():.2f} ulp, documented {bound}")
    assert error.max() <= bound + 0.5
    assert np.isnan(compiled_scalar(function, tmp_path, *FLAGS[flags])(*[[np.nan]] * len(columns))).all()


@pytest.mark.parametrize("name", ["exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "sinh", "tanh"])
def test_maths_in_c_at_the_ends(name: str, tmp_path: Path) -> None:
    x = np.array([0.0, -0.0, 1e-40, -1e-40, 1e-45, -1.0, 1e4, -1e4, 3e38, np.inf, -np.inf, np.nan], np.float32)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_allclose(compiled_scalar(maths.FUNCTIONS[name], tmp_path)(x), expected, rtol=1e-6, atol=2e-45)


def chained(a: float, b: float) -> float:
    return 1.0 if -1.0 < a < b <= 2.0 else 0.0


def python_max(a: float, b: float) -> float:
    return max(a, 0.0, b) - min(b, a)


def first_true(a: float, b: float) -> float:
    return (a or b) + 2.0 * (a and b) + 4.0 * (a > 0.0 and b)


def negated(a: float, b: float) -> float:
    return -(-a) - (b - (a - -b)) + (0.0 if not (a > b or a == b) else 1.0)  # noqa: B002


def grouped(a: float, b: float) -> float:
    return a / (b * 4.0) - (a + (b + 1e8)) * (a - b) / 2


def whole(a: float, b: float) -> float:
    return a // b + 10.0 * (a % b)


def power(a: float, b: float) -> float:
    a **= 2
    return a + b**3 + abs(a) ** 0.5


def branches(a: float, b: float) -> float:
    if a > 1.0:
        c = b
        if math.isnan(b):
            return 3.0
    elif not b:
        c = 2.0
        a += 1.0
    else:
        c, a = a, b
    register = c  # a keyword of C
    register *= 2
    return register - a


def truths(a: float, b: float) -> float:
    positive = a > 0.0
    both = positive and bool(b)
    return positive + 2.0 * both + 4.0 * (not math.isinf(a) and math.isfinite(b))


def split(a: float, b: float = 0.5) -> tuple[float, float]:
    return a + b, a - b


def unpacked(a: float, b: float) -> float:
    p, q = split(a)
    r, s = split(b=a, a=b)
    r, s = s, r
    return p * q + r - 2.0 * s


def libm(a: float, b: float) -> float:
    return math.atan2(a, b) + math.tan(a) + math.copysign(math.sqrt(abs(b)), a) + int(a) + math.degrees(a) * 0.0


SCALARS = [chained, python_max, first_true, negated, grouped, whole, power, branches, truths, unpacked, libm]


@pytest.mark.parametrize("function", SCALARS, ids=lambda function: function.__name__)
def test_scalar_functions_mean_what_they_mean_in_python(function: Callable[..., Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    special = np.array([0.0, -0.0, 1.0, -1.0, 2.0, 0.5, np.nan, np.inf, -np.inf, 1e-40, 3.25], np.float32)
    a, b = (grid.reshape(-1) for grid in np.meshgrid(special, special))
    if function in (whole, libm):  # Python refuses what C gives NaN for
        keep = np.isfinite(a) & np.isfinite(b) & (b != 0) & (np.abs(b) > 1e-30)
        a, b = a[keep], b[keep]
    a, b = (np.concatenate([one, rng.normal(size=200).astype(np.float32) * 3]) for one in (a, b))
    found = compiled_scalar(function, tmp_path)(a, b)
    plain = reference_function(function)
    with np.errstate(all="ignore"):
        expected = np.array([plain(np.float32(p), np.float32(q)) for p, q in zip(a, b, strict=True)], np.float32)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


def test_a_function_of_several_results(tmp_path: Path) -> None:
    np.testing.assert_array_equal(compiled_scalar(split, tmp_path)([3.0, 1.0], [1.0, 2.0]), [[4.0, 2.0], [3.0, -1.0]])


def rounded(a: float) -> float:
    return math.nextafter(a, 1.0)


def endless(a: float) -> float:  # noqa: RET503
    if a > 0.0:
        return a


def walrus(a: float) -> float:
    return (b := a) + b


@pytest.mark.parametrize(("function", "reason"), [(rounded, "nextafter"), (endless, "return"), (walrus, ":=")])
def test_what_has_no_equivalent_is_refused_with_its_place(function: Callable[..., Any], reason: str) -> None:
    with pytest.raises(ScalarError, match=re.escape(reason)) as caught:
        CFunctions("t").function(function)
    assert f"{function.__name__} ({__file__}:" in str(caught.value)


def test_literals_give_every_bit_back(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 5000, dtype=np.uint64).astype(np.uint32)
    values = np.concatenate([bits.view(np.float32), np.array([0.0, -0.0, 1e-45, 3.4028235e38, np.inf], np.float32)])
    source = tmp_path / "literals.c"
    listed = ",\n".join(map(literal, values.tolist()))
    source.write_text(f"#include <math.h>\nconst float values[{len(values)}] = {{{listed}}};\n")
    found = np.array((ctypes.c_float * len(values)).in_dll(library(source), "values"), np.float32)
    numbers = ~np.isnan(values)
    assert (found[numbers].view(np.uint32) == values[numbers].view(np.uint32)).all()
    assert np.isnan(found[~numbers]).all()


# -- operations -------------------------------------------------------------------------------------------


class Everything(Layer):
    """Operations that the standard layers do not record in inference: of fixed shapes, transposed, in place."""

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.w = b.weight("w/*\n#error", (shape[0], 5), "glorot_uniform")
        self.v = b.weight("v", (5, shape[0]), "glorot_uniform")
        self.u = b.weight("u", (7, 5), "glorot_uniform")
        self.s = b.weight("w/*?#error", (1,), "ones")
        return (5,)

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        shared = r.gemm(self.w, self.v)  # fixed × fixed
        shared = r.gemm(shared, self.w, transpose_a=True)
        gram = r.gemm(self.u, self.u, transpose_a=True)  # 5 × 5
        columns = r.sum(times, self.u, self.u)
        largest = r.sum(same, self.u, over="features", reduction="max")
        y = r.gemm(x, shared, bias=r.map(add, columns, r.sum(same, largest)))
        best = r.sum(same, y, over="features", reduction="argmax")
        top = r.sum(same, y, over="features", reduction="max")
        a, b = (r.reshape(r.map(times, y, 1.0), (5, 1)) for _ in range(2))
        r.map(split, y, top, into=[a, b])
        z = r.gemm(r.reshape(a, (5,)), gram, transpose_b=True)
        one_hot = r.one_hot(best, 5)
        return r.map(add, r.map(times, r.map(add, z, one_hot), r.reshape(b, (5,))), self.s), None


def test_every_operation(tmp_path: Path) -> None:
    model, source = net(Everything(input_dim=6), Activation("softsign")), tmp_path / "net.c"
    model.export(source)
    assert self_test(source).returncode == 0
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    found = run_rows(library(source, *FLAGS["native"]).net, x, 5)
    assert difference(found, model.predict(x), each_row=False) <= ULP


class RowsOfNormOne(Layer):
    """x·W, where each row of W is divided by its norm: a column beside a matrix."""

    def __init__(self, units: int) -> None:
        self.units = units

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        self.w = b.weight("w", (*shape, self.units), "glorot_uniform")
        return (self.units,)

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        squares = r.sum(times, self.w, self.w, over="features")
        return r.gemm(x, r.map(lambda w, s: w / math.sqrt(s), self.w, squares)), None


@pytest.mark.parametrize("units", [4, 6])
def test_a_column_goes_along_the_rows_of_a_weight(units: int, tmp_path: Path) -> None:
    model, source = net(RowsOfNormOne(units, input_dim=6)), tmp_path / "net.c"  # type: ignore[call-arg]
    model.export(source)
    (w,) = model.get_weights()
    x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    found = run_rows(library(source, *FLAGS["native"]).net, x, units)
    np.testing.assert_allclose(found, x @ (w / np.linalg.norm(w, axis=1, keepdims=True)), rtol=1e-4, atol=1e-6)


class Largest(Layer):
    """The maximum of each row, and where it is."""

    def build(self, b: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (2,)

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        top, best = (r.sum(same, x, over="features", reduction=how) for how in ("max", "argmax"))
        return r.map(lambda column, a, b: a if column == 0.0 else b, COLUMN, top, best), None


COLUMN = Tensor((2,), False, "index", "column")


def test_maxima_with_ties_and_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbdl.training.inputs.check_finite", lambda *_: (0.0, 0.0))
    model, source = net(Largest(input_shape=(3,))), tmp_path / "net.c"
    model.export(source)
    values = [1.0, 2.0, -np.inf, np.inf, np.nan]
    x = np.stack(np.meshgrid(values, values, values), axis=-1).reshape(-1, 3).astype(np.float32)
    found = run_rows(library(source).net, x, 2)
    np.testing.assert_array_equal(found, model.predict(x))
    assert (np.isnan(found[:, 0]) == np.isnan(x).any(axis=1)).all()


def test_work_memory_is_used_again() -> None:
    operations = [one for one in NETS["deep"]().program().operations if one.kind != "gather"]
    assert planned(operations)[1] == 2 * 32


def test_a_callers_work_area(tmp_path: Path) -> None:
    model, source = NETS["tanh"](), tmp_path / "net.c"
    model.export(source, header=True)
    size = int(re.search(r"define NET_WORK (\d+)", source.read_text()).group(1))  # type: ignore[union-attr]
    x, y, work = np.ones(9, np.float32), np.zeros(5, np.float32), np.full(size + 8, 7.0, np.float32)
    loaded = library(source, *FLAGS["native"])
    loaded.net_with_work(pointer(x), pointer(y), pointer(work))
    assert (y == run_rows(loaded.net, x[None], 5)[0]).all()
    assert (work[size:] == 7.0).all()
    user = tmp_path / "user.c"
    user.write_text('#include "net.h"\n#include "net.h"\nint main(void) { return NET_INPUTS - 9; }\n')
    assert subprocess.run([str(compile_c(user))], check=False).returncode == 0


def test_two_exports_in_one_program(tmp_path: Path) -> None:
    NETS["tanh"]().export(tmp_path / "first.c")
    NETS["softmax"]().export(tmp_path / "second.c")
    both = tmp_path / "both.c"
    both.write_text('#include "first.c"\n#include "second.c"\n')
    x = np.linspace(-1, 1, 9, dtype=np.float32)[None]
    loaded = library(both, *FLAGS["native"])
    for name, which in (("first", "tanh"), ("second", "softmax")):
        found = run_rows(getattr(loaded, name), x, 5)
        assert difference(found, NETS[which]().predict(x), each_row=True) <= ULP


# -- denormals --------------------------------------------------------------------------------------------

# Prints the largest result, and whether the caller's own arithmetic keeps denormals afterwards.
CALLER = """
#include <stdio.h>
int main(void)
{
    static float work[NET_WORK];
    float x[NET_INPUTS], y[NET_OUTPUTS], largest = 0.0f;
    volatile float own = 1e-39f;
    for (int j = 0; j < NET_INPUTS; j++) {
        x[j] = SIZE;
    }
    CALL;
    for (int j = 0; j < NET_OUTPUTS; j++) {
        largest = y[j] > largest || y[j] != y[j] ? y[j] : largest;
    }
    own = own * 0.5f;
    (void)work;
    printf("%d %d\\n", largest > 0.0f, own > 0.0f);
    return 0;
}
"""


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"), reason="other processors keep denormals"
)
@pytest.mark.parametrize("call", ["net(x, y)", "net_with_work(x, y, work)"])
@pytest.mark.parametrize(
    "flags", [("-O0",), ("-O3", "-march=native"), ("-O3", "-flto", "-std=gnu99"), ("-xc++", "-std=c++17", "-O2")]
)
@pytest.mark.parametrize(("weight", "size"), [(1e-20, "1e-20f"), (1e10, "1e-39f")])
def test_denormals_count_as_zero(call: str, flags: tuple[str, ...], weight: float, size: str, tmp_path: Path) -> None:
    """Results below the smallest normal, and operands. A compiler that sees all code moves none out of the mode."""
    model = Sequential([Dense(3, input_dim=4, use_bias=False), Activation("relu")])
    model.set_weights([np.full((4, 3), weight, np.float32)])
    model.export(tmp_path / "net.c")
    caller, compiler = tmp_path / "caller.c", shutil.which("g++") if "-xc++" in flags else COMPILER
    caller.write_text('#include "net.c"\n' + CALLER.replace("CALL", call).replace("SIZE", size))
    if compiler is None:
        pytest.skip("no C++ compiler (g++) on this machine")
    for more, results in (((), "0"), (("-DNBDL_KEEP_DENORMALS",), "1")):
        output = compile_c(caller, *flags, *more, compiler=compiler)
        assert subprocess.run([str(output)], capture_output=True, text=True, check=True).stdout.split() == [
            results,
            "1",
        ]


def body(x: np.ndarray, y: np.ndarray) -> None:
    y[:] = x


class HandWritten(Layer):
    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.kernel(body, x, shapes=[x.shape]), None


class Random(Layer):
    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.map(add, x, r.uniform(x)), None


class OverRows(Layer):
    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.map(add, x, r.sum(same, x)), None


class CountsRows(Layer):
    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.map(times, x, r.rows), None


class Inexpressible(Layer):
    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.map(rounded, x), None


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (HandWritten, rf"kernel .*{re.escape(__file__)}:\d+, in body.*body has `x`, which cannot be written as C"),
        (Random, "uniform is random numbers"),
        (OverRows, "sum .* goes over all rows of a batch"),
        (CountsRows, "map times .* reads 'rows' of the batch"),
        (Inexpressible, rf"{re.escape(__file__)}:\d+, in rounded.*calls `math.nextafter\(a, 1.0\)`"),
    ],
)
def test_what_c_cannot_express_is_refused(layer: type[Layer], reason: str, tmp_path: Path) -> None:
    model = net(Dense(3, input_dim=2), layer(name="odd_one"))
    with pytest.raises(ConfigError, match=f"(?s)layer 'odd_one'.*{reason}"):
        model.export(tmp_path / "net.c")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_names_the_plugin(tmp_path: Path) -> None:
    entry = registry.get("layers", "Flatten")
    forward = Flatten.forward
    try:
        Flatten.forward = HandWritten.forward
        model = net(Dense(3, input_dim=2), Flatten())
        with pytest.raises(ConfigError, match=re.escape(f"(plugin {entry.owner.plugin!r} of {entry.owner})")):
            model.export(tmp_path / "net.c")
    finally:
        Flatten.forward = forward


# -- a snapshot -------------------------------------------------------------------------------------------


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "net.c", tmp_path / "b" / "net.c"
    for path in (first, second):
        path.parent.mkdir()
        NETS["softmax"]().export(path)
    assert first.read_bytes() == second.read_bytes()
    NETS["softmax"]().export(second, name="other")
    assert first.read_bytes() != second.read_bytes()


def test_the_head_says_what_it_is(tmp_path: Path) -> None:
    model = NETS["dropout"]()
    model.export(tmp_path / "net.c")
    head = (tmp_path / "net.c").read_text().partition("*/")[0]
    for part in (nbdl.__version__, "'net'", "A snapshot", "dense_1 (Dense), dropout_1 (Dropout)"):
        assert part in head
    assert re.search(r"^ \* nbdl model [0-9a-f]{16},", head, re.MULTILINE)


def change_weight(model: Sequential) -> None:
    weights = model.get_weights()
    weights[0][0, 0] = np.nextafter(weights[0][0, 0], 9, dtype=np.float32)
    model.set_weights(weights)


def change_encoding(model: Sequential) -> None:
    model.encoding = Encoding(("a",), (1,), (1.0,), (2.0,), "b", "regression", (), (0.0,), (1.0,))


@pytest.mark.parametrize("change", [change_weight, change_encoding, lambda model: model.add(Activation("relu"))])
def test_an_export_of_another_state_is_told_apart(change: Callable[[Sequential], None], tmp_path: Path) -> None:
    from nbdl.model.export import is_export_of

    model, path = NETS["tanh"](), tmp_path / "net.c"
    model.export(path)
    assert is_export_of(model, path)
    change(model)
    assert not is_export_of(model, path)
    model.export(path)
    assert is_export_of(model, path)


def replaced_once(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


def changed_weight(text: str) -> str:
    """The first weight, by a thousandth."""
    found = re.search(r"_kernel\[\d+\] = \{\n    (\S+)f,", text)
    assert found is not None
    return text[: found.start(1)] + f"{float(found[1]) * 1.001:.9g}" + text[found.end(1) :]


def swapped_activation(text: str) -> str:
    calls = re.findall(r"(net_f_\w+)\(work", text)
    assert len(set(calls)) == 2
    return replaced_once(text, f"= {calls[0]}(work", f"= {calls[1]}(work")


DEFECTS: dict[str, Callable[[str], str]] = {
    "a changed weight": changed_weight,
    "a swapped activation": swapped_activation,
    "a product one short": lambda text: replaced_once(text, "p < 16", "p < 12"),
    "a bias left out": lambda text: replaced_once(text, "= bias[j]", "= 0.0f"),
    "NaN": lambda text: replaced_once(text, "= bias[j]", "= NAN"),
    "a polynomial's coefficient": lambda text: replaced_once(text, "0.0416682661f", "0.04f"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_self_test_catches(defect: str, tmp_path: Path) -> None:
    model = net(Dense(16, input_dim=16, activation="sigmoid"), Dense(16, activation="softsign"), Dense(3))
    path = tmp_path / "net.c"
    model.export(path)
    assert self_test(path).returncode == 0
    path.write_text(DEFECTS[defect](path.read_text()))
    done = self_test(path, "-Wno-error")
    assert done.returncode == 1
    assert "FAILED" in done.stdout


def test_fast_math_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.c"
    NETS["relu"]().export(path)
    done = subprocess.run(
        [str(COMPILER), "-ffast-math", "-c", str(path), "-o", "/dev/null"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "compile without -ffast-math" in done.stderr


# -- names and places -------------------------------------------------------------------------------------


def test_names_cannot_smuggle_code_in(tmp_path: Path) -> None:
    evil = '*/ #error "x" /* ??/\n#error\r#error \\'
    model = net(Dense(2, input_dim=2, name="a*/b??/"), Dense(2, name="ünïcode 1"), name=evil)
    model.encoding = Encoding(
        (evil, "b\\"), (2,), (0.0, 1.0), (1.0, 2.0), "t*/", "classification", (evil, "\u202e#error\u2028")
    )
    path = tmp_path / "net.c"
    model.export(path, header=True)
    assert self_test(path, "-trigraphs").returncode == 0
    user = tmp_path / "user.c"
    user.write_text('#include "net.h"\nint main(void) { return 0; }\n')
    compile_c(user, "-trigraphs")


@pytest.mark.parametrize(
    ("stem", "name"),
    [("2024", "net_2024"), ("my net-v1.2", "my_net_v1_2"), ("exp", "net_exp"), ("double", "net_double"),
     ("main", "net_main"), ("sinf", "net_sinf"), ("---", "net"), ("y1", "net_y1"), ("digits", "digits")],
)  # fmt: skip
def test_the_name_comes_from_the_files(stem: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{stem}.c"
    NETS["one weight"]().export(path)
    assert f"void {name}(const float *x, float *y);" in path.read_text()
    compile_c(path, "-c")


@pytest.mark.parametrize("name", ["", "1net", "a-b", "a b", "é", "_x", "double", "class", "tanh", "x; int y"])
def test_names_that_c_does_not_take_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"name[ =]"):
        NETS["one weight"]().export(tmp_path / "net.c", name=name)
    assert list(tmp_path.iterdir()) == []


def test_only_exports_are_overwritten(tmp_path: Path) -> None:
    model, path = NETS["one weight"](), tmp_path / "net.c"
    path.write_text("int main(void) { return 0; }\n")
    with pytest.raises(ConfigError, match="is not an export of a model, so it is not overwritten"):
        model.export(path)
    header = tmp_path / "other.h"
    header.write_text("#define MINE 1\n")
    with pytest.raises(ConfigError, match=r"other\.h is there already"):
        model.export(tmp_path / "other.c", header=True)
    assert not (tmp_path / "other.c").exists()
    with pytest.raises(ConfigError, match="does not exist; create it first"):
        model.export(tmp_path / "no" / "net.c")
    with pytest.raises(ConfigError, match="is a folder"):
        model.export(tmp_path, format="c")


def test_unknown_formats_and_options_are_refused(tmp_path: Path) -> None:
    model = NETS["one weight"]()
    with pytest.raises(UnknownNameError, match=r"unknown export format 'cc'.*Known: c \(\.c\)"):
        model.export(tmp_path / "net.c", format="cc")
    with pytest.raises(UnknownNameError, match=r"net\.txt: its suffix names no export format\..*Known: c \(\.c\)"):
        model.export(tmp_path / "net.txt")
    with pytest.raises(ConfigError, match=r"does not take nam=.*Did you mean 'name'\? It takes: name, header"):
        model.export(tmp_path / "net.c", nam="x")
    model.export(tmp_path / "net.txt", format="c")
    model.export(tmp_path / "net.inc", format=".c")
    assert (tmp_path / "net.txt").read_bytes() == (tmp_path / "net.inc").read_bytes()


# -- encoded models and the command line ------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


def written_table(path: Path, target: Callable[[float, float], str]) -> list[tuple[float, float]]:
    rng = np.random.default_rng(2)
    rows = [(round(a, 3), round(b, 3)) for a, b in zip(rng.uniform(30, 200, 80), rng.uniform(0, 80, 80), strict=True)]
    lines = ["area,age,target", *(f"{a},{b},{target(a, b)}" for a, b in rows)]
    path.write_text("\n".join(lines) + "\n")
    return rows


def one_row(row: tuple[float, float]) -> Table:
    return Table("row", {"area": np.array(row[:1]), "age": np.array(row[1:])}, [2])


def test_a_table_of_numbers_in_c(folder: Path) -> None:
    rows = written_table(folder / "houses.csv", lambda a, b: str(1000 * a - 500 * b))
    run("train", "houses.csv", "--target", "target", "--epochs", "3", "-q")
    assert run("export", "houses.nbdl", "--to", "c", "--header").output.startswith("exported  houses.c\nnext      cc ")
    assert self_test(folder / "houses.c").returncode == 0
    text = (folder / "houses.h").read_text()
    assert "x[0]  area" in text
    assert "houses_decode gives target in their own unit" in text
    loaded = library(folder / "houses.c", *FLAGS["native"])
    model = nbdl.load_model("houses.nbdl")
    for row in rows[:10]:
        raw, x, y, answer = (ctypes.c_double * 2)(*row), *(np.zeros(2, np.float32) for _ in range(2)), np.zeros(1)
        loaded.houses_encode(raw, pointer(x))
        encoded = model.encoding.encode(one_row(row))
        assert (x == encoded[0]).all()
        loaded.houses(pointer(x), pointer(y))
        loaded.houses_decode(pointer(y), pointer(answer))
        assert answer[0] == pytest.approx(model.encoding.decode(model.predict(encoded, encoded=True))[0], rel=1e-6)


def test_classes_are_named_in_order(folder: Path) -> None:
    written_table(folder / "kinds.csv", lambda a, b: ("low", "mid", "top")[int(a // 70)])
    run("train", "kinds.csv", "--target", "target", "--epochs", "2", "-q")
    run("export", "kinds.nbdl", "-o", "k.c", "--name", "kind")
    head = (folder / "k.c").read_text().partition("*/")[0]
    assert re.search(r"y\[0\]  low\n.*y\[1\]  mid\n.*y\[2\]  top\n", head)
    assert self_test(folder / "k.c").returncode == 0


def test_the_command(folder: Path) -> None:
    model = NETS["tanh"]()
    model.save("net.nbdl")
    exported, following = run("export", "net.nbdl", "-o", "out.c", "--name", "fast_net").output.splitlines()
    assert exported == "exported  out.c"
    assert following == "next      cc -std=c99 -O2 -DNBDL_TEST out.c -o out_test -lm && ./out_test"
    if shutil.which("cc") and os.name == "posix":
        done = subprocess.run(following.removeprefix("next"), shell=True, capture_output=True, text=True, timeout=60)
        assert (done.returncode, "passed" in done.stdout) == (0, True), done.stderr
    assert "void fast_net(" in (folder / "out.c").read_text()
    assert "(replaced an earlier export)" in run("export", "net.nbdl", "--to", "C", "-o", "out.c").output
    assert run("export", "net.nbdl", "--check", "out.c").output.startswith("out.c is an export of net.nbdl")
    change_weight(model)
    model.save("net.nbdl")
    assert run("export", "net.nbdl", "--check", "out.c", code=1).output.startswith("out.c is no export")
    assert "Known: c (.c)" in run("export", "net.nbdl", code=2).output
    assert "unknown export format 'onxx'" in run("export", "net.nbdl", "--to", "onxx", code=2).output
    assert (
        "leave --to, --output, --name and --header out"
        in run("export", "net.nbdl", "--to", "c", "--check", "out.c", code=2).output
    )
    (folder / "mine.c").write_text("int x;\n")
    assert "not overwritten" in run("export", "net.nbdl", "-o", "mine.c", code=2).output
    assert (folder / "mine.c").read_text() == "int x;\n"


def test_a_third_partys_units_are_exported(tmp_path: Path) -> None:
    module = (THIRD_PARTY / "nbdl-snake" / "nbdl_snake.py").read_text()
    site = written(tmp_path / "site", "nbdl-snake", {"nbdl_snake.py": module}, {"snake": "nbdl_snake"})
    code = """
        import nbdl
        from nbdl.layers import Dense
        net = [Dense(6, activation=nbdl.activations.snake(a=0.5), input_dim=4), Dense(2, "snake")]
        nbdl.Sequential(net, seed=1).export("net.c")
    """
    done = run_python(site, "-c", textwrap.dedent(code), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert self_test(tmp_path / "net.c").returncode == 0
