"""The names that a kernel's text finds: one small language for every CUDA compiler and for the simulator.

    cuda                                 threadIdx, blockIdx, blockDim, gridDim, syncthreads, shared.array, local.array
    device                               decorates functions that kernels call
    float32 int32 int64 uint32 uint64    casts, the types of shared and local arrays, constants: K = float32(0.1)
    math                                 the functions of Python's `math`, of float32 and in float32

Compiled, `math` is libdevice's float32 functions, without fast variants: at most 2 ulp for exp, IEEE division.
Denormals count as zero. Three functions, sin, cos and tan, reduce large arguments in float64 and through an array in
local memory; here they have replacements that need neither.
"""

from __future__ import annotations

import importlib
import math
import types
import warnings
from collections.abc import Callable
from typing import Any

from nbdl.engine.cuda.availability import simulated

BACKENDS = ("numba-cuda", "mlir", "simulator")
"""numba-cuda, its successor numba-cuda-mlir, and the simulator of numba or numba-cuda."""

_LIBDEVICE = """acos acosh asin asinh atan atan2 atanh ceil copysign cosh erf erfc exp exp2 expm1 floor hypot
    ldexp lgamma log log10 log1p log2 nextafter pow sinh sqrt tanh trunc"""
LIBDEVICE = {name: f"{name}f" for name in _LIBDEVICE.split()} | {"fabs": "fabsf", "gamma": "tgammaf"}
"""libdevice's float32 function for each function of Python's `math`."""

_NUMPY = """ceil copysign cos cosh degrees exp exp2 expm1 fabs floor hypot ldexp log log10 log1p log2 radians
    sin sinh sqrt tan tanh trunc"""
_ARC = ("cos", "cosh", "sin", "sinh", "tan", "tan2", "tanh")
NUMPY = {name: name for name in _NUMPY.split()} | {f"a{name}": f"arc{name}" for name in _ARC} | {"pow": "power"}
"""NumPy's function for each of them that NumPy has: unlike Python's it gives infinity or NaN and never raises."""

# Compiled with libdevice. The angle is x less a multiple n of pi / 2, in [-pi/4, pi/4]: for small x by subtracting n
# times pi / 2 in three pieces, with fused multiply-adds; for large x by the 96 bits of 2 / pi that matter for x's
# exponent, times x's 24 bits, in integers (Payne and Hanek). The polynomials are those of nbdl.program.language.maths.
ANGLES = '''
TWO_OVER_PI = float32(0.6366197723675814)
HALF_PI_1 = float32(-1.57079601287841796875)
HALF_PI_2 = float32(-3.13916473e-07)
HALF_PI_3 = float32(-5.39030253e-15)
REDUCED = float32(48000.0)
SINE_1, SINE_2, SINE_3 = float32(-0.16666655), float32(8.332188e-3), float32(-1.9518104e-4)
COSINE_1, COSINE_2, COSINE_3 = float32(4.1666646e-2), float32(-1.3887311e-3), float32(2.4432557e-5)
ONE, MINUS_HALF, ZERO = float32(1.0), float32(-0.5), float32(0.0)
RADIANS, DEGREES = float32(0.017453292519943295), float32(57.29577951308232)
HALF_PI = uint64(0xC90FDAA22168C235)
LOW, HALF = uint64(0xFFFFFFFF), uint64(32)
FRACTION, NEAREST, QUARTER = uint64(0x3FFFFFFFFFFFFFFF), uint64(0x2000000000000000), uint64(62)


@device
def word(i):
    """32 bits of 2 / pi; the first word holds those before the binary point."""
    w = uint32(0x00000000)
    if i == 1:
        w = uint32(0x28BE60DB)
    elif i == 2:
        w = uint32(0x9391054A)
    elif i == 3:
        w = uint32(0x7F09D5F4)
    elif i == 4:
        w = uint32(0x7D4D3770)
    elif i == 5:
        w = uint32(0x36D8A566)
    elif i == 6:
        w = uint32(0x4F10E410)
    return uint64(w)


@device
def bits_at(i, shift):
    """32 bits of 2 / pi that begin `shift` bits after the beginning of a word."""
    pair = (word(i) << HALF) | word(i + 1)
    return (pair >> uint64(int32(32) - shift)) & LOW


@device
def reduced_large(x):
    """The product's first 2 bits are n modulo 4, the other 62 a fraction of pi / 2, from -1/2 to 1/2."""
    b = uint32(libdevice.float_as_int(x))
    mantissa = uint64(((b & uint32(0x007FFFFF)) << uint32(8)) | uint32(0x80000000))
    e = int32((b >> uint32(23)) & uint32(0xFF)) - int32(126)
    first, shift = int32(e >> int32(5)), int32(e & int32(31))
    high, middle, low = bits_at(first, shift), bits_at(first + 1, shift), bits_at(first + 2, shift)
    p = mantissa * middle + ((mantissa * low) >> HALF)
    p = (((mantissa * high) & LOW) << HALF) + p
    n = int32(p >> QUARTER)
    p = p & FRACTION
    negative = p >= NEAREST
    if negative:
        p = (FRACTION - p) + uint64(1)
        n = int32(n + 1)
    zeros = int32(libdevice.clzll(int64(p)))
    high_part = uint64(libdevice.umul64hi(int64(p << uint64(zeros & int32(63))), int64(HALF_PI)))
    r = float32(high_part) * libdevice.int_as_float(int32((int32(127) - int32(61) - zeros) << int32(23)))
    if p == uint64(0):
        r = ZERO
    if negative:
        r = -r
    if x < ZERO:
        return -r, -n
    return r, n


@device
def reduced(x):
    if libdevice.fabsf(x) <= REDUCED:
        n = libdevice.rintf(x * TWO_OVER_PI)
        r = libdevice.fmaf(n, HALF_PI_1, x)
        r = libdevice.fmaf(n, HALF_PI_2, r)
        return libdevice.fmaf(n, HALF_PI_3, r), int32(n)
    if libdevice.isinff(x) != 0 or x != x:
        return x - x, int32(0)
    return reduced_large(x)


@device
def sine(r):
    z = r * r
    p = libdevice.fmaf(libdevice.fmaf(SINE_3, z, SINE_2), z, SINE_1)
    return libdevice.fmaf(r * z, p, r)


@device
def cosine(r):
    z = r * r
    q = libdevice.fmaf(libdevice.fmaf(COSINE_3, z, COSINE_2), z, COSINE_1)
    return libdevice.fmaf(z * z, q, libdevice.fmaf(z, MINUS_HALF, ONE))


@device
def turned(r, n):
    y = cosine(r) if n & 1 else sine(r)
    return -y if n & 2 else y


@device
def sin(x):
    r, n = reduced(x)
    return x if x == ZERO else turned(r, n)


@device
def cos(x):
    r, n = reduced(x)
    return turned(r, int32(n + 1))


@device
def tan(x):
    r, n = reduced(x)
    s, c = sine(r), cosine(r)
    if x == ZERO:
        return x
    return -c / s if n & 1 else s / c


@device
def degrees(x):
    return x * DEGREES


@device
def radians(x):
    return x * RADIANS
'''


def scope(backend: str) -> dict[str, Any]:
    """The names for one backend, in a new dict: execute a kernel's text in it, then take `run` from it.

    Args:
        backend: one of `BACKENDS`. The simulator needs NUMBA_ENABLE_CUDASIM=1 set before Numba is imported.
    """
    if backend == "simulator":
        return _simulated()
    package = "numba_cuda_mlir" if backend == "mlir" else "numba"
    return _compiled(importlib.import_module(f"{package}.cuda"), importlib.import_module(f"{package}.types"))


def _compiled(cuda: Any, number_types: Any) -> dict[str, Any]:
    names = {name: getattr(number_types, name) for name in ("float32", "int32", "int64", "uint32", "uint64")}
    names |= {"cuda": cuda, "device": cuda.jit(device=True)}
    libdevice = importlib.import_module(f"{cuda.__name__}.libdevice")
    angles = {**names, "libdevice": libdevice}
    exec(compile(ANGLES, "<nbdl.engine.cuda.dialect>", "exec"), angles)
    functions = {name: getattr(libdevice, known) for name, known in LIBDEVICE.items()}
    functions |= {name: angles[name] for name in ("sin", "cos", "tan", "degrees", "radians")}
    functions |= {name: getattr(math, name) for name in ("isfinite", "isinf", "isnan")}
    return {**names, "math": _module(functions, names["float32"])}


def _simulated() -> dict[str, Any]:
    import numpy as np

    if not simulated():
        raise RuntimeError("set NUMBA_ENABLE_CUDASIM=1 before Numba is imported, to run kernels in the simulator")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's own target is deprecated in favour of numba-cuda
        cuda = importlib.import_module("numba.cuda")
    # Called through as it is: the simulator puts its own `cuda` into the globals, which all functions of a text share.
    names = {name: getattr(np, name) for name in ("float32", "int32", "int64", "uint32", "uint64")}
    functions = {name: _quiet(getattr(np, known), np) for name, known in NUMPY.items()}
    quiet_ldexp = functions["ldexp"]
    functions["ldexp"] = lambda x, exponent: quiet_ldexp(x, int(exponent))  # a constant of a text is a float32
    functions |= {name: _safe(getattr(math, name), np) for name in ("erf", "erfc", "gamma", "lgamma")}
    functions |= {name: getattr(math, name) for name in ("isfinite", "isinf", "isnan")}
    functions["nextafter"] = lambda x, y: np.nextafter(np.float32(x), np.float32(y))
    return {**names, "cuda": cuda, "device": _as_it_is, "math": _module(functions, np.float32)}


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _quiet(function: Callable[..., Any], np: Any) -> Callable[..., Any]:
    """A function of NumPy's, computed in float64 and rounded once."""

    def quiet(x: Any, *others: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.float32(function(np.float64(x), *(y if isinstance(y, int) else np.float64(y) for y in others)))

    return quiet


def _safe(function: Callable[..., Any], np: Any) -> Callable[..., Any]:
    """A function of Python's that NumPy lacks, with C's results at its poles."""

    def safe(x: Any, *others: Any) -> Any:
        try:
            value = function(float(x), *map(float, others))
        except OverflowError:
            value = math.inf
        except ValueError:
            pole = function is math.lgamma or (function is math.gamma and x == 0)
            value = (math.copysign(math.inf, x) if function is math.gamma else math.inf) if pole else math.nan
        with np.errstate(all="ignore"):
            return np.float32(value)

    return safe


def _module(functions: dict[str, Any], float32: Callable[[float], Any]) -> types.ModuleType:
    """A module: compilers resolve the attributes of modules when they compile."""
    module = types.ModuleType("math")
    constants = {name: float32(getattr(math, name)) for name in ("pi", "e", "tau", "inf", "nan")}
    vars(module).update(functions, **constants)
    return module
