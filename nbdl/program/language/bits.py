"""Float32 operations that Python cannot spell: bit patterns, fused and strictly rounded arithmetic.

Compiled code only. Everything is 32 bits wide, straight-line and free of undefined cases, so that LLVM
vectorises it and a NaN stays a NaN.

Kernels are compiled with `reassoc`, `contract` and `afn`: LLVM may then turn (1 + x) - 1 into x.
The `strict_` operations round as written: they carry one harmless flag, and Numba adds its own only where
there is none. LLVM asks only the outermost operation for leave to reassociate, so all of a compensated
sum must be strict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic as numba_intrinsic

F32, I32 = ir.FloatType(), ir.IntType(32)
NO_REORDERING = ("nsz",)
MAY_FUSE = ("contract",)
ROUNDER = 12582912.0  # 1.5 * 2^23: added to |n| <= 2^22 it leaves the integer n in the low bits
ROUNDER_BITS = 0x4B400000
SQRT_HALF_BITS = 0x3F3504F3

Lowering = Callable[[Any, Any, Any, Any], Any]


def intrinsic(typing: Callable[..., tuple[Any, Lowering]]) -> Callable[..., float]:
    """numba.extending.intrinsic, typed as what callers see: a function of floats."""
    compiled: Callable[..., float] = numba_intrinsic(typing)
    return compiled


def unary(emit: Callable[[Any, Any], Any]) -> tuple[Any, Lowering]:
    """Signature and code of a float32 function of one float32."""
    return types.float32(types.float32), lambda context, builder, signature, args: emit(builder, *args)


def binary(emit: Callable[[Any, Any, Any], Any]) -> tuple[Any, Lowering]:
    """Signature and code of a float32 function of two float32."""
    signature = types.float32(types.float32, types.float32)
    return signature, lambda context, builder, signature, args: emit(builder, *args)


def ternary(emit: Callable[[Any, Any, Any, Any], Any]) -> tuple[Any, Lowering]:
    """Signature and code of a float32 function of three float32."""
    signature = types.float32(types.float32, types.float32, types.float32)
    return signature, lambda context, builder, signature, args: emit(builder, *args)


class NoFlags(frozenset[str]):
    """Stays empty: Numba adds its flags to every call that returns a float, even those that have some."""

    def add(self, flag: str) -> None:
        """Leave the flag out."""


def call(builder: Any, name: str, *args: Any) -> Any:
    """Emit a call of one of LLVM's float32 functions, rounded as written."""
    function = builder.module.declare_intrinsic(name, [F32], ir.FunctionType(F32, [F32] * len(args)))
    instruction = builder.call(function, args)
    instruction.fastmath = NoFlags()
    return instruction


def integer(builder: Any, n: Any) -> Any:
    """The int32 of an integral float32, |n| <= 2^22; some int32 for others (fptosi would be undefined)."""
    biased = builder.fadd(n, ir.Constant(F32, ROUNDER), flags=NO_REORDERING)
    return builder.sub(builder.bitcast(biased, I32), ir.Constant(I32, ROUNDER_BITS))


def power_of_two(builder: Any, n: Any) -> Any:
    """2^n as float32 of an int32, -127 < n < 128."""
    return builder.bitcast(builder.shl(builder.add(n, ir.Constant(I32, 127)), ir.Constant(I32, 23)), F32)


def exponent_bits(builder: Any, x: Any) -> Any:
    """The int32 e of x = 2^e * m with sqrt(1/2) <= m < sqrt(2)."""
    offset = builder.sub(builder.bitcast(x, I32), ir.Constant(I32, SQRT_HALF_BITS))
    return builder.ashr(offset, ir.Constant(I32, 23))


@intrinsic
def strict_add(context: Any, x: Any, y: Any) -> Any:
    """x + y, not reassociated and not fused."""
    return binary(lambda builder, a, b: builder.fadd(a, b, flags=NO_REORDERING))


@intrinsic
def strict_subtract(context: Any, x: Any, y: Any) -> Any:
    """x - y, not reassociated and not fused."""
    return binary(lambda builder, a, b: builder.fsub(a, b, flags=NO_REORDERING))


@intrinsic
def strict_multiply(context: Any, x: Any, y: Any) -> Any:
    """x * y, not reassociated and not fused."""
    return binary(lambda builder, a, b: builder.fmul(a, b, flags=NO_REORDERING))


@intrinsic
def strict_divide(context: Any, x: Any, y: Any) -> Any:
    """x / y correctly rounded, never by way of an estimated reciprocal."""
    return binary(lambda builder, a, b: builder.fdiv(a, b, flags=NO_REORDERING))


@intrinsic
def multiply_add(context: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, not reassociated; fused where the processor can."""

    def emit(builder: Any, a: Any, b: Any, c: Any) -> Any:
        return builder.fadd(builder.fmul(a, b, flags=MAY_FUSE), c, flags=MAY_FUSE)

    return ternary(emit)


@intrinsic
def fma(context: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z rounded once, always (a slow library call on processors without the instruction)."""
    return ternary(lambda builder, a, b, c: call(builder, "llvm.fma", a, b, c))


@intrinsic
def rint(context: Any, x: Any) -> Any:
    """The nearest integer, ties to even (a library call below SSE4.1)."""
    return unary(lambda builder, a: call(builder, "llvm.rint", a))


@intrinsic
def nearest(context: Any, x: Any) -> Any:
    """The nearest integer, ties to even, |x| <= 2^22: as fast as rint, and on every processor."""

    def emit(builder: Any, a: Any) -> Any:
        rounder = ir.Constant(F32, ROUNDER)
        return builder.fsub(builder.fadd(a, rounder, flags=NO_REORDERING), rounder, flags=NO_REORDERING)

    return unary(emit)


@intrinsic
def round_down(context: Any, x: Any) -> Any:
    """The largest integer <= x, as a float."""
    return unary(lambda builder, a: call(builder, "llvm.floor", a))


@intrinsic
def round_up(context: Any, x: Any) -> Any:
    """The smallest integer >= x, as a float."""
    return unary(lambda builder, a: call(builder, "llvm.ceil", a))


@intrinsic
def round_to_zero(context: Any, x: Any) -> Any:
    """The integer part of x, as a float."""
    return unary(lambda builder, a: call(builder, "llvm.trunc", a))


@intrinsic
def fabs(context: Any, x: Any) -> Any:
    """x without its sign."""
    return unary(lambda builder, a: call(builder, "llvm.fabs", a))


@intrinsic
def copysign(context: Any, x: Any, y: Any) -> Any:
    """The magnitude of x with the sign of y."""
    return binary(lambda builder, a, b: call(builder, "llvm.copysign", a, b))


@intrinsic
def scale2(context: Any, x: Any, n: Any) -> Any:
    """x * 2^n, n integral, -252 <= n <= 254, correctly rounded down to denormals and 0 and up to inf."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        whole = integer(builder, b)
        half = builder.ashr(whole, ir.Constant(I32, 1))
        rest = builder.sub(whole, half)
        first = builder.fmul(a, power_of_two(builder, half), flags=NO_REORDERING)
        return builder.fmul(first, power_of_two(builder, rest), flags=NO_REORDERING)

    return binary(emit)


@intrinsic
def exponent(context: Any, x: Any) -> Any:
    """The integral e of x = 2^e * mantissa(x), x > 0 and normal."""
    return unary(lambda builder, a: builder.sitofp(exponent_bits(builder, a), F32))


@intrinsic
def mantissa(context: Any, x: Any) -> Any:
    """The m of x = 2^exponent(x) * m, sqrt(1/2) <= m < sqrt(2), x > 0 and normal."""

    def emit(builder: Any, a: Any) -> Any:
        shift = builder.shl(exponent_bits(builder, a), ir.Constant(I32, 23))
        return builder.bitcast(builder.sub(builder.bitcast(a, I32), shift), F32)

    return unary(emit)


@intrinsic
def choose_odd(context: Any, n: Any, odd: Any, even: Any) -> Any:
    """`odd` if the integral n is odd, else `even`; |n| <= 2^22."""

    def emit(builder: Any, a: Any, b: Any, c: Any) -> Any:
        return builder.select(builder.trunc(integer(builder, a), ir.IntType(1)), b, c)

    return ternary(emit)


@intrinsic
def flip_half_turn(context: Any, x: Any, n: Any) -> Any:
    """x if the integral n is 0 or 1 modulo 4, else -x; |n| <= 2^22."""

    def emit(builder: Any, a: Any, b: Any) -> Any:
        second_bit = builder.and_(integer(builder, b), ir.Constant(I32, 2))
        sign = builder.shl(second_bit, ir.Constant(I32, 30))
        return builder.bitcast(builder.xor(builder.bitcast(a, I32), sign), F32)

    return binary(emit)
