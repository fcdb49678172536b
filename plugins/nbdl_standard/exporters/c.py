"""C: a model as one self-contained file of C99, which is also C++.

The file holds the weights and a function of one row, allocates nothing, keeps no state and needs C's own library alone.
Compiled with -DNBDL_TEST it compares itself with what Python predicted.
"""

from __future__ import annotations

import functools
import keyword
import math
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl.data import Encoding
    from nbdl.engine.c import CProgram
    from nbdl.model import Sequential

TEST_ROWS = 8
TEST_RANGE = 2.0  # inputs of the self-test lie between minus this and this
KEYWORDS = (
    "alignas alignof asm auto bool case catch char const constexpr decltype default delete do double dynamic_cast "
    "enum explicit export extern float friend goto inline int long main memcpy memset mutable namespace new noexcept "
    "nullptr operator printf private protected public register reinterpret_cast restrict short signed sizeof static "
    "static_cast strlen struct switch template this throw typedef typeid typename union unsigned using virtual void "
    "volatile wchar_t j0 j1 jn y0 y1 yn abs round rint lrint lround nearbyint logb ilogb scalb drem "
    "finite significand linux unix errno signgam isnormal signbit fpclassify fmin fmax fdim "
    "nextafter nexttoward remquo scalbn scalbln INFINITY NAN"
)
RESERVED = frozenset(KEYWORDS.split())

PREAMBLE = """#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "compile without -ffast-math, and with float arithmetic in float (32-bit x86: -msse2 -mfpmath=sse)"
#endif

#if defined(__GNUC__) || defined(_MSC_VER)
#define {M}_RESTRICT __restrict
#else
#define {M}_RESTRICT
#endif

/* Rounded once where the processor can, as in Python. */
#ifdef FP_FAST_FMAF
#define {M}_MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#else
#define {M}_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif

/* Denormals, below 1.18e-38, count as zero while the net computes, as in Python; many processors take 100 cycles for
   each. The caller's mode is restored. With -DNBDL_KEEP_DENORMALS, and on other processors, denormals stay. */
#if !defined(NBDL_KEEP_DENORMALS) && (defined(__x86_64__) || defined(_M_X64)) && !defined(_M_ARM64EC)
#define {M}_FLUSHES
#include <xmmintrin.h>

static uint64_t {n}_flush(void)
{{
    const unsigned int mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040u);
    return mode;
}}

static void {n}_restore(uint64_t mode)
{{
    _mm_setcsr((unsigned int)mode);
}}
#elif !defined(NBDL_KEEP_DENORMALS) && defined(__aarch64__) && defined(__GNUC__)
#define {M}_FLUSHES

static uint64_t {n}_flush(void)
{{
    uint64_t mode;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(mode));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode | 0x1000000u) : "memory");
    return mode;
}}

static void {n}_restore(uint64_t mode)
{{
    __asm__ __volatile__("msr fpcr, %0" : : "r"(mode) : "memory");
}}
#endif"""

INTERFACE = """#define {M}_INPUTS {inputs}
#define {M}_OUTPUTS {outputs}
#define {M}_WORK {work} /* floats */

#ifdef __cplusplus
extern "C" {{
#endif

/* One row: y[{M}_OUTPUTS] from x[{M}_INPUTS], which do not overlap. May be called from many threads at once. */
void {n}(const float *x, float *y);

/* The same with a work area of the caller's, work[{M}_WORK], where the stack is small. */
void {n}_with_work(const float *x, float *y, float *work);
{more}
#ifdef __cplusplus
}}
#endif"""

FUNCTIONS = """static void {n}_forward(const float *x, float *y, float *work)
{{
{body}
}}

#ifdef {M}_FLUSHES
/* Called by way of memory, so that no compiler moves arithmetic out of the mode. */
static void (*const volatile {n}_opaque)(const float *, float *, float *) = {n}_forward;
#endif

void {n}_with_work(const float *x, float *y, float *work)
{{
#ifdef {M}_FLUSHES
    const uint64_t mode = {n}_flush();
    {n}_opaque(x, y, work);
    {n}_restore(mode);
#else
    {n}_forward(x, y, work);
#endif
}}

void {n}(const float *x, float *y)
{{
    float work[{M}_WORK];
    {n}_with_work(x, y, work);
}}"""

SELF_TEST = """#ifdef NBDL_TEST

#include <stdio.h>

#define NBDL_TEST_ROWS {rows}
#define TEST_ALLOWED {allowed} /* units in the last place of the largest output */

static const float nbdl_test_inputs[NBDL_TEST_ROWS][{M}_INPUTS] = {{
{inputs}
}};

/* What Python predicted. */
static const float nbdl_test_outputs[NBDL_TEST_ROWS][{M}_OUTPUTS] = {{
{outputs}
}};

/* The unit in the last place of the largest output that Python predicted. */
static double nbdl_test_unit(void)
{{
    float largest = FLT_MIN;
    for (int row = 0; row < NBDL_TEST_ROWS; row++) {{
        for (int j = 0; j < {M}_OUTPUTS; j++) {{
            const float size = fabsf(nbdl_test_outputs[row][j]);
            largest = size > largest && size < FLT_MAX ? size : largest;
        }}
    }}
    return (double)nextafterf(largest, INFINITY) - (double)largest;
}}

/* How far apart two outputs are; infinitely where only one of the two is NaN. */
static double nbdl_test_difference(float found, float expected)
{{
    if (found == expected || (found != found && expected != expected)) {{
        return 0.0;
    }}
    return found - expected == found - expected ? fabs((double)found - (double)expected) : (double)INFINITY;
}}

int main(void)
{{
    const double unit = nbdl_test_unit();
    double worst = 0.0;
    for (int row = 0; row < NBDL_TEST_ROWS; row++) {{
        float y[{M}_OUTPUTS];
        {n}(nbdl_test_inputs[row], y);
        for (int j = 0; j < {M}_OUTPUTS; j++) {{
            const double difference = nbdl_test_difference(y[j], nbdl_test_outputs[row][j]) / unit;
            worst = difference > worst ? difference : worst;
        }}
    }}
    printf("{n}: %d rows, largest difference %.3g ulp of the largest output, %d allowed: %s\\n", NBDL_TEST_ROWS, worst,
           TEST_ALLOWED, worst <= TEST_ALLOWED ? "passed" : "FAILED");
    return worst <= TEST_ALLOWED ? 0 : 1;
}}

#endif /* NBDL_TEST */"""


def export(model: Sequential, path: Path, *, name: str | None = None, header: bool = False) -> str:
    """Write a model as C.

    Args:
        model: whose forward pass is written.
        path: the file.
        name: of the function, and the start of all names in the file. Default: made from the file's name.
        header: also write a .h file beside it. Default: no.

    Returns:
        A line for the shell, which compiles the file with its self-test and runs that.

    Raises:
        ConfigError: the name is none of C's, the header's place is taken, or the model has an operation that C cannot
            express; the message names layer, plugin and operation.
    """
    from nbdl.model import refuse_overwriting
    from nbdl.storage import write_atomically

    chosen = checked_name(name) if name is not None else name_from(path.stem)
    beside = path.with_suffix(".h")
    if header and beside == path:
        raise ConfigError(f"{path} would be the header too: give the file another suffix, such as .c")
    if header:
        refuse_overwriting(beside)
    source, interface = texts(model, chosen)
    write_atomically(path, source.encode())
    if header:
        write_atomically(beside, interface.encode())
    program = path.with_name(f"{path.stem}_test")
    compiling = ["cc", "-std=c99", "-O2", "-DNBDL_TEST", str(path), "-o", str(program), "-lm"]
    return f"{shlex.join(compiling)} && {shlex.quote(str(program) if len(program.parts) > 1 else f'./{program}')}"


def checked_name(name: str) -> str:
    """The name, if C and C++ take it for a function.

    Raises:
        ConfigError: they do not.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ConfigError(f"name={name!r}: a function's name in C is letters, digits and _, and begins with a letter")
    if taken(name):
        raise ConfigError(f"name={name!r} is taken in C or C++: write {f'{name}_net'!r}, or another")
    return name


def taken(name: str) -> bool:
    """Whether C, C++ or the C library has a name already."""
    stems = {name.removesuffix("f"), name.removesuffix("l")}
    return keyword.iskeyword(name) or bool(stems & (RESERVED | set(dir(math)) | {"gamma", "tgamma"}))


def name_from(stem: str) -> str:
    """A name that C takes, made from a file's.

    >>> name_from("my model-2"), name_from("2024"), name_from("exp")
    ('my_model_2', 'net_2024', 'net_exp')
    """
    from nbdl.engine.c import identifier

    name = identifier(stem).strip("_")
    return name if name[:1].isalpha() and not taken(name) else f"net_{name}".rstrip("_")


def texts(model: Sequential, name: str) -> tuple[str, str]:
    """The file, and its header."""
    from nbdl.engine.c import CProgram, rehearse
    from nbdl.model import owner_of

    recorded = model.program("row")
    rehearse(recorded, model.store)
    program = CProgram(recorded, name, functools.partial(owner_of, model))
    names = {"n": name, "M": name.upper()}
    encoding, prototypes, functions = encoding_parts(model, name)
    interface = INTERFACE.format(
        **names,
        inputs=sum(math.prod(symbol.row_shape) for symbol in model.inputs),
        outputs=sum(math.prod(symbol.row_shape) for symbol in model.outputs),
        work=max(1, program.work),
        more="".join(f"\n{line}" for line in prototypes),
    )
    unused = [] if program.work else ["(void)work;"]
    body = "\n".join(f"    {line}" for line in [*unused, *program.body])
    parts = [
        comment([*opening(model, name), *encoding, *building(name)]),
        PREAMBLE.format(**names),
        interface,
        *weights(model, program),
        program.functions.text(),
        *program.loops.values(),
        FUNCTIONS.format(**names, body=body),
        *functions,
        self_test(model, program, names),
    ]
    guard = f"{name.upper()}_H"
    head = [comment([*opening(model, name), *encoding]), f"#ifndef {guard}\n#define {guard}", interface, "#endif"]
    return joined(parts), joined(head)


def joined(parts: Sequence[str]) -> str:
    """The parts of a file with an empty line between them."""
    return "\n\n".join(filter(None, parts)) + "\n"


# Comments -------------------------------------------------------------------------------------------------


def comment(lines: Sequence[str]) -> str:
    """A comment of several lines."""
    from nbdl.engine.c import comment_text

    return "\n".join(["/*", *(f" * {comment_text(line)}".rstrip() for line in lines), " */"])


def opening(model: Sequential, name: str) -> list[str]:
    """What the file is."""
    import nbdl
    from nbdl.model import fingerprint

    layers = ", ".join(f"{layer.name} ({type(layer).__name__})" for layer in model.layers)
    return [
        f"{name}: a neural network, written by nbdl {nbdl.__version__}. Do not edit.",
        "",
        f"{fingerprint(model)}, a digest of layers, weights and encoding",
        "",
        f"A snapshot of the model {model.name!r}: weights that change later are not in it. Export it again then;",
        "`nbdl export MODEL --check FILE` tells whether a file is still the model's.",
        "",
        *textwrap.wrap(f"Layers: {layers}", 110),
    ]


def building(name: str) -> list[str]:
    """How the file is compiled."""
    return [
        "",
        "Compile with a C99 or C++ compiler, for speed with -O3 -march=native, and link with -lm. To test it:",
        f"    cc -std=c99 -O2 -DNBDL_TEST {name}.c -lm && ./a.out",
    ]


# Numbers --------------------------------------------------------------------------------------------------


def weights(model: Sequential, program: CProgram) -> list[str]:
    """The arrays of weights and tables. Nine decimal digits give every bit back, in C and in C++."""
    from nbdl.engine.c import comment_text, literal

    found = []
    for name, tensor in program.arrays.items():
        if tensor.space == "weight":
            values = model.store.part(tensor.offset, tensor.features).tolist()
        else:
            values = program.program.constants[tensor.offset : tensor.offset + tensor.features]
        head = f"/* {comment_text(tensor.describe())} */\nstatic const float {name}[{tensor.features}] = {{"
        found.append("\n".join([head, *rows_of([literal(float(value)) for value in values]), "};"]))
    return found


def rows_of(values: list[str], per_line: int = 8) -> list[str]:
    """Lines of an initialiser, so many values on each."""
    return [f"    {', '.join(values[start : start + per_line])}," for start in range(0, len(values), per_line)]


def self_test(model: Sequential, program: CProgram, names: dict[str, str]) -> str:
    """A main function that compares a few rows with what Python predicts."""
    import numpy as np

    from nbdl.engine.c import literal, uniform

    parts = []
    for number, symbol in enumerate(model.inputs):
        drawn = uniform(TEST_ROWS, math.prod(symbol.row_shape), 0, 0, number).astype(np.float32)
        limits = [layer.input_limit for layer in model.network.readers(number) if layer.input_limit is not None]
        part = np.floor(min(limits) * drawn) if limits else 2 * TEST_RANGE * drawn - TEST_RANGE
        part[0] = 0.0
        parts.append(part.reshape(TEST_ROWS, *symbol.row_shape))
    predicted = model.predict(parts[0] if len(parts) == 1 else parts, encoded=True)
    x, predicted = (
        np.concatenate([np.reshape(one, (TEST_ROWS, -1)) for one in several], axis=1)
        for several in (parts, predicted if isinstance(predicted, list) else [predicted])
    )

    def listed(values: Any) -> str:
        flat = values.reshape(TEST_ROWS, -1).tolist()
        return "\n".join(line for row in flat for line in ("    {", *rows_of([literal(v) for v in row]), "    },"))

    return SELF_TEST.format(
        **names, rows=TEST_ROWS, allowed=allowed(program.longest), inputs=listed(x), outputs=listed(predicted)
    )


def allowed(longest: int) -> int:
    """How far C may be from Python, in ulp: rounding errors of long sums grow with the root of their length."""
    return 16 + math.isqrt(longest)


# Encoding -------------------------------------------------------------------------------------------------


def encoding_parts(model: Sequential, name: str) -> tuple[list[str], list[str], list[str]]:
    """What a model that was trained on raw data adds: comments, prototypes and functions."""
    encoding: Encoding | None = model.encoding
    if encoding is None:
        return [], [], []
    lines, prototypes, functions = ["", "Inputs, in this order:"], [], []
    lines += [f"    x[{number}]  {feature}" for number, feature in enumerate(encoding.features)]
    lines = lines if encoding.features else ["", "Inputs: one row of the data, last axis fastest."]
    size = math.prod(encoding.shape)
    if is_scaled(encoding.mean, encoding.deviation):
        lines += [f"They are scaled: {name}_encode makes them from the data's own numbers."]
        prototypes += ["/* The net's inputs from raw numbers: (raw - mean) / deviation. */"]
        prototypes += [f"void {name}_encode(const double *raw, float *x);", ""]
        formula = "x[j] = (float)((raw[j] - mean[{at}]) / deviation[{at}]);"
        head = f"void {name}_encode(const double *raw, float *x)"
        functions += [scaling(head, formula, encoding.mean, encoding.deviation, size)]
    if encoding.classes:
        lines += ["", "Outputs:", *class_lines(encoding.classes, 0.5 if model.loss is None else model.loss.boundary)]
    elif is_scaled(encoding.target_mean, encoding.target_deviation):
        lines += ["", f"Outputs are scaled: {name}_decode gives {encoding.target or 'the targets'} in their own unit."]
        prototypes += ["/* Answers in the target's own unit: y * deviation + mean. */"]
        prototypes += [f"void {name}_decode(const float *y, double *answer);", ""]
        formula = "answer[j] = (double)y[j] * deviation[{at}] + mean[{at}];"
        head = f"void {name}_decode(const float *y, double *answer)"
        functions += [scaling(head, formula, encoding.target_mean, encoding.target_deviation, encoding.outputs)]
    else:
        lines += ["", f"Outputs: {encoding.target or 'the targets'}, in their own unit."]
    return lines, prototypes, functions


def class_lines(classes: Sequence[str], boundary: float) -> list[str]:
    """What each output stands for."""
    lines = [f"    y[{number}]  {name}" for number, name in enumerate(classes)]
    if len(classes) > 2:
        return [*lines, "The largest names the class."]
    return [*lines, f"The largest names the class; of a single output y[0], above {boundary:g} it is {classes[1]}."]


def is_scaled(mean: Sequence[float], deviation: Sequence[float]) -> bool:
    """Whether (value - mean) / deviation is another number than the value."""
    return any(mean) or any(one != 1.0 for one in deviation)


def scaling(head: str, formula: str, mean: Sequence[float], deviation: Sequence[float], size: int) -> str:
    """A function that scales so many numbers."""
    lines = []
    for name, values in (("mean", mean), ("deviation", deviation)):
        numbers = [f"    {line}" for line in rows_of([repr(float(value)) for value in values], 4)]
        lines += [f"    static const double {name}[{len(values)}] = {{", *numbers, "    };"]
    lines += [f"    for (int j = 0; j < {size}; j++) {{"]
    lines += [f"        {formula.format(at='j' if len(mean) > 1 else '0')}", "    }"]
    return "\n".join([head, "{", *lines, "}"])


@hookimpl
def register_exporters(register: Callable[..., None]) -> None:
    """Offer the exporter."""
    register("c", export, suffixes=(".c",), description="one self-contained C file with a self-test")
