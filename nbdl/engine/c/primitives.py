"""The primitives of the scalar language as C: what `nbdl.program.language.bits` does with LLVM's instructions.

`$` stands for the prefix of a file's own names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LIBRARY = {
    "fma": "fmaf", "rint": "rintf", "round_down": "floorf", "round_up": "ceilf", "round_to_zero": "truncf",
    "fabs": "fabsf", "abs": "fabsf", "copysign": "copysignf", "sqrt": "sqrtf", "acos": "acosf", "acosh": "acoshf",
    "asin": "asinf", "asinh": "asinhf", "atan": "atanf", "atan2": "atan2f", "atanh": "atanhf",
    "gamma": "tgammaf", "hypot": "hypotf", "lgamma": "lgammaf", "tan": "tanf",
}  # fmt: skip
"""Functions of the scalar language that C's own library has, and their names there."""

_TEXT = """
static inline uint32_t $bits(float x)
{
    uint32_t n;
    memcpy(&n, &x, sizeof n);
    return n;
}

static inline float $from_bits(uint32_t n)
{
    float x;
    memcpy(&x, &n, sizeof x);
    return x;
}

/* A shift that keeps the sign; C leaves that to the compiler, and all of them do. */
static inline uint32_t $shift(uint32_t n, int by)
{
    return (uint32_t)((int32_t)n >> by);
}

/* The integer of an integral x, |x| <= 2^22. */
static inline uint32_t $integer(float x)
{
    return $bits(x + 12582912.0f) - 0x4B400000u;
}

static inline float $power_of_two(uint32_t n)
{
    return $from_bits((n + 127u) << 23);
}

/* The e of x = 2^e * m with sqrt(1/2) <= m < sqrt(2). */
static inline uint32_t $exponent_bits(float x)
{
    return $shift($bits(x) - 0x3F3504F3u, 23);
}

static inline float $strict_add(float x, float y)
{
    return x + y;
}

static inline float $strict_subtract(float x, float y)
{
    return x - y;
}

static inline float $strict_multiply(float x, float y)
{
    return x * y;
}

static inline float $strict_divide(float x, float y)
{
    return x / y;
}

/* Rounded once where the processor can, as in Python. */
static inline float $multiply_add(float x, float y, float z)
{
#ifdef FP_FAST_FMAF
    return fmaf(x, y, z);
#else
    return x * y + z;
#endif
}

/* The nearest integer, ties to even, |x| <= 2^22. */
static inline float $nearest(float x)
{
    return (x + 12582912.0f) - 12582912.0f;
}

/* x * 2^n in two steps, so that neither overflows before the result does. */
static inline float $scale2(float x, float n)
{
    const uint32_t whole = $integer(n), half = $shift(whole, 1);
    return x * $power_of_two(half) * $power_of_two(whole - half);
}

static inline float $exponent(float x)
{
    return (float)(int32_t)$exponent_bits(x);
}

static inline float $mantissa(float x)
{
    return $from_bits($bits(x) - ($exponent_bits(x) << 23));
}

static inline float $choose_odd(float n, float odd, float even)
{
    return ($integer(n) & 1u) != 0u ? odd : even;
}

static inline float $flip_half_turn(float x, float n)
{
    return $from_bits($bits(x) ^ (($integer(n) & 2u) << 30));
}

static inline int $isnan(float x)
{
    return x != x;
}

static inline int $isinf(float x)
{
    return fabsf(x) > FLT_MAX;
}

static inline int $isfinite(float x)
{
    return fabsf(x) <= FLT_MAX;
}

static inline float $degrees(float x)
{
    return x * 57.2957802f;
}

static inline float $radians(float x)
{
    return x * 0.0174532924f;
}

/* x % y, with the sign of y. */
static inline float $modulo(float x, float y)
{
    const float rest = fmodf(x, y);
    if (rest == 0.0f) {
        return copysignf(0.0f, y);
    }
    return (y < 0.0f) != (rest < 0.0f) ? rest + y : rest;
}

/* x // y */
static inline float $floor_divide(float x, float y)
{
    const float rest = fmodf(x, y);
    float quotient = (x - rest) / y, whole;
    if (y == 0.0f) {
        return x / y;
    }
    if (rest != 0.0f && (y < 0.0f) != (rest < 0.0f)) {
        quotient -= 1.0f;
    }
    if (quotient == 0.0f) {
        return copysignf(0.0f, x / y);
    }
    whole = floorf(quotient);
    return quotient - whole > 0.5f ? whole + 1.0f : whole;
}
"""

PRIMITIVES: dict[str, str] = {
    found.group(1): text.strip()
    for text in re.split(r"\n\n(?=static|/\*)", _TEXT)
    if (found := re.search(r"^static inline \w+ \$(\w+)\(", text, re.MULTILINE))
}
"""The text of each primitive by its name in `nbdl.program.language.bits`, `math` or here."""


def with_prefix(prefix: str, names: Iterable[str]) -> list[str]:
    """The texts of primitives and of what they are made of, in order."""
    wanted, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            waiting += set(re.findall(r"\$(\w+)\(", PRIMITIVES[name])) - {name}
    return [text.replace("$", f"{prefix}_") for name, text in PRIMITIVES.items() if name in wanted]
