"""Float32 mathematics in the scalar language: straight-line polynomials that LLVM vectorises.

Each docstring gives the largest error measured, in units in the last place (ulp), on processors with and
without fused multiply-add. NaN gives NaN, infinities give the limits. The coefficients are minimax fits
of our own, their rounding to float32 part of the fit. Bounds hold for denormals too, as C with NBDL_KEEP_DENORMALS
keeps them. Kernels run where denormals count as zero (`nbdl.engine.denormals`): as arguments, as results, and on the
way, so that expm1 and erf are 0 below 2.4e-38. Where the order of operations carries the accuracy,
`strict_` operations and `multiply_add` keep LLVM from changing it. Clamps are written so that a NaN
passes. Most of these functions are too large for LLVM's inliner: compile them with `forceinline=True`, or
loops do not vectorise.
"""

from __future__ import annotations

from collections.abc import Callable

from nbdl.program.language.bits import (
    choose_odd,
    copysign,
    exponent,
    fabs,
    flip_half_turn,
    fma,
    mantissa,
    multiply_add,
    nearest,
    rint,
    round_down,
    round_to_zero,
    round_up,
    scale2,
    strict_add,
    strict_divide,
    strict_multiply,
    strict_subtract,
)

INFINITY = float("inf")
NAN = float("nan")
SMALLEST_NORMAL = 1.1754943508222875e-38
LOG2_E = 1.4426950408889634
LOG2_E_LESS_1 = 0.4426950408889634
LN2_HIGH = 0.693359375  # 9 bits: a product with an exponent is exact
LN2_LOW = -2.12194440054690583e-4
LOG10_E_HIGH = 0.4345703125
LOG10_E_LOW = -2.7583059272873884e-4
LOG10_2_HIGH = 0.30078125
LOG10_2_LOW = 2.4874566588550806e-4
TWO_LOG2_E = 2.885390043258667  # 2 / ln 2, as a float32 and the rest
TWO_LOG2_E_LOW = 3.851926067e-8
THIRD = 0.3333333432674408  # 1 / 3, likewise
THIRD_LOW = -9.934107481068821e-9
TWO_OVER_PI = 0.6366197723675814
HALF_PI_1 = 1.5703125  # pi / 2 in three pieces of 11 bits, exact in products with 13 bits, and the rest
HALF_PI_2 = 4.837512969970703e-4
HALF_PI_3 = 7.549533620476723e-8
HALF_PI_4 = 2.5633440682570896e-12


def exp_scaled(x: float, shift: float) -> float:
    """e^x * 2^shift, shift 0 or -1, which overflows only where the result does."""
    x = 90.0 if x > 90.0 else x
    x = -105.0 if x < -105.0 else x
    n = nearest(x * LOG2_E)
    r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, x))
    q = (((1.3820734e-3 * r + 8.368677e-3) * r + 4.1668266e-2) * r + 0.16666521) * r + 0.49999994
    return scale2(strict_add(multiply_add(r * r, q, r), 1.0), strict_add(n, shift))


def exp(x: float) -> float:
    """e^x; 1.1 ulp, all x, down to denormals. Cody-Waite reduction and degree 6 (as Cephes expf)."""
    return exp_scaled(x, 0.0)


def exp2(x: float) -> float:
    """2^x; 1.1 ulp, all x, down to denormals. Degree 6 (as Cephes exp2f)."""
    x = 130.0 if x > 130.0 else x
    x = -151.0 if x < -151.0 else x
    n = nearest(x)
    r = strict_subtract(x, n)
    q = ((((1.5327803e-4 * r + 1.3390997e-3) * r + 9.618503e-3) * r + 5.5503596e-2) * r + 0.24022648) * r
    return scale2(multiply_add(r, q + 0.6931472, 1.0), n)


def expm1(x: float) -> float:
    """e^x - 1; 1.7 ulp, all x. 2^n * (e^r - 1) + (2^n - 1), degree 6 (as fdlibm)."""
    x = 88.75 if x > 88.75 else x
    x = -30.0 if x < -30.0 else x
    n = nearest(x * LOG2_E)
    r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, x))
    q = (((1.3870657e-3 * r + 8.366262e-3) * r + 4.1667435e-2) * r + 0.16666546) * r + 0.49999997
    half_power = scale2(1.0, strict_subtract(n, 1.0))  # 2^n overflows for results below the largest float32
    half = multiply_add(half_power, multiply_add(r * r, q, r), strict_subtract(half_power, 0.5))
    return strict_add(half, half)


def log_excess(f: float) -> float:
    """log(1 + f) - f, sqrt(1/2) <= 1 + f <= sqrt(2): -f^2 / 2 + f^3 * P(f), degree 11 (as Cephes logf)."""
    high = (((6.749837e-2 * f - 0.11671167) * f + 0.11883875) * f - 0.12406115) * f + 0.14220311
    p = (((high * f - 0.16667992) * f + 0.20002073) * f - 0.2500001) * f + 0.33333313
    return strict_multiply(f * f, multiply_add(f, p, -0.5))


def log_special(x: float, value: float) -> float:
    """`value` for finite x > 0, else the logarithm's special values: -inf at 0, NaN below, inf and NaN."""
    value = value if x > 0.0 else (-INFINITY if x == 0.0 else NAN)
    return value if x < INFINITY else x


def log(x: float) -> float:
    """log x; 0.9 ulp, all x, denormals too. x = 2^e * (1 + f), then degree 11 (as Cephes logf)."""
    tiny = x < SMALLEST_NORMAL
    a = x * 8388608.0 if tiny else x
    e = exponent(a) - (23.0 if tiny else 0.0)
    f = strict_subtract(mantissa(a), 1.0)
    low = strict_add(f, multiply_add(e, LN2_LOW, log_excess(f)))
    return log_special(x, multiply_add(e, LN2_HIGH, low))


def log2(x: float) -> float:
    """log x / log 2; 1.4 ulp, all x, exact for powers of 2 (as Cephes log2f)."""
    tiny = x < SMALLEST_NORMAL
    a = x * 8388608.0 if tiny else x
    e = exponent(a) - (23.0 if tiny else 0.0)
    f = strict_subtract(mantissa(a), 1.0)
    y = log_excess(f)
    low = multiply_add(f, LOG2_E_LESS_1, strict_add(y, y * LOG2_E_LESS_1))
    return log_special(x, strict_add(e, strict_add(f, low)))


def log10(x: float) -> float:
    """log x / log 10; 1.9 ulp, all x (as Cephes log10f)."""
    tiny = x < SMALLEST_NORMAL
    a = x * 8388608.0 if tiny else x
    e = exponent(a) - (23.0 if tiny else 0.0)
    f = strict_subtract(mantissa(a), 1.0)
    y = log_excess(f)
    low = multiply_add(e, LOG10_2_LOW, strict_add(f, y) * LOG10_E_LOW)
    low = multiply_add(f, LOG10_E_HIGH, multiply_add(y, LOG10_E_HIGH, low))
    return log_special(x, multiply_add(e, LOG10_2_HIGH, low))


def log1p(x: float) -> float:
    """log(1 + x); 1.5 ulp, all x. 1 + f = (1 + x) / 2^e without rounding 1 + x, then as log."""
    e = exponent(strict_add(1.0, x))
    f = strict_add(scale2(x, -e), strict_subtract(scale2(1.0, -e), 1.0))
    low = strict_add(f, multiply_add(e, LN2_LOW, log_excess(f)))
    value = multiply_add(e, LN2_HIGH, low)
    value = value if x > -1.0 else (-INFINITY if x == -1.0 else NAN)
    return value if x < INFINITY else x


def tanh(x: float) -> float:
    """(e^x - e^-x) / (e^x + e^-x); 2.5 ulp, all x, never beyond 1. e / (e + 2), e = expm1(2|x|)."""
    a = fabs(x)
    a = 12.0 if a > 12.0 else a
    e = expm1(2.0 * a)
    return copysign(strict_divide(e, strict_add(e, 2.0)), x)


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x); 2.3 ulp, all x, down to denormals. From e^-|x|, which cannot overflow."""
    e = exp(-fabs(x))
    return strict_divide(1.0 if x >= 0.0 else e, strict_add(1.0, e))


def quadrant(x: float, quarters: float) -> float:
    """sin(x + quarters * pi / 2): Cody-Waite reduction, then one of two polynomials by n modulo 4."""
    n = nearest(x * TWO_OVER_PI)
    r = multiply_add(n, -HALF_PI_2, multiply_add(n, -HALF_PI_1, x))
    r = multiply_add(n, -HALF_PI_4, multiply_add(n, -HALF_PI_3, r))
    r = 1.2 if r > 1.2 else r  # only beyond the stated range
    r = -1.2 if r < -1.2 else r
    z = r * r
    p = (-1.9518104e-4 * z + 8.332188e-3) * z - 0.16666655
    q = (2.4432557e-5 * z - 1.3887311e-3) * z + 4.1666646e-2
    sine = multiply_add(r * z, p, r)
    cosine = multiply_add(z * z, q, multiply_add(z, -0.5, 1.0))
    m = strict_add(n, quarters)
    return flip_half_turn(choose_odd(m, cosine, sine), m)


def sin(x: float) -> float:
    """sin x; 2.4 ulp for |x| <= 1e4 (1e6 with fused multiply-add), beyond only |y| <= 1. As Cephes sinf."""
    return quadrant(x, 0.0)


def cos(x: float) -> float:
    """cos x; 2.4 ulp for |x| <= 1e4 (1e6 with fused multiply-add), beyond only |y| <= 1. As Cephes cosf."""
    return quadrant(x, 1.0)


def sinh(x: float) -> float:
    """(e^x - e^-x) / 2; 1.7 ulp, all x. Odd polynomial of degree 9 below 1 (as Cephes sinhf)."""
    a = fabs(x)
    h = exp_scaled(a, -1.0)
    large = copysign(strict_subtract(h, strict_divide(0.25, h)), x)
    z = x * x
    p = ((2.7822132e-6 * z + 1.9842896e-4) * z + 8.3333105e-3) * z + 0.16666667
    small = multiply_add(x * z, p, x)
    return small if a < 1.0 else large


def cosh(x: float) -> float:
    """(e^x + e^-x) / 2; 1.5 ulp, all x (as Cephes coshf)."""
    h = exp_scaled(fabs(x), -1.0)
    return strict_add(h, strict_divide(0.25, h))


def erf(x: float) -> float:
    """2 / sqrt(pi) * integral of e^-t^2, 0 to x; 2.1 ulp, all x. -expm1(-a * P(a)), a = |x| (after Juffa)."""
    a = fabs(x)
    a = 4.0 if a > 4.0 else a
    high = ((-9.388052e-6 * a + 1.18861746e-4) * a - 6.373643e-4) * a + 1.6756773e-3
    p = ((((high * a - 1.6950456e-4) * a - 1.9147823e-2) * a + 0.102776304) * a + 0.63661957) * a + 0.12837917
    return copysign(expm1(-multiply_add(a, p, a)), x)


def erfc(x: float) -> float:
    """1 - erf(x); 5.0 ulp, all x. e^-x^2 * P((a - 2) / (a + 2)) / (1 + 2a), a = |x| (after Juffa)."""
    a = fabs(x)
    a = 10.5 if a > 10.5 else a
    q = strict_divide(a - 2.0, a + 2.0)
    high = (((-4.0387313e-4 * q - 1.2365521e-3) * q + 1.314308e-3) * q + 8.639166e-3) * q - 8.058435e-3
    p = ((((high * q - 5.420723e-2) * q + 0.16405472) * q - 0.16603097) * q - 9.276392e-2) * q + 1.2769784
    square = strict_multiply(a, a)
    rest = fma(a, a, -square)  # what rounding took from a^2; e^-rest = 1 - rest
    g = exp(-square)
    g = multiply_add(-rest, g, g)
    tail = strict_divide(p * g, multiply_add(2.0, a, 1.0))
    return 2.0 - tail if x < 0.0 else tail


def pow(x: float, y: float) -> float:
    """x^y; 1.2 ulp, all x and y, C99 special values. 2^(y * log2|x|), the logarithm in two float32."""
    tiny = fabs(x) < SMALLEST_NORMAL
    a = fabs(x) * 8388608.0 if tiny else fabs(x)
    e = exponent(a) - (23.0 if tiny else 0.0)
    m = mantissa(a)
    # log2(m) = 2 / ln 2 * atanh(s), s = (m - 1) / (m + 1) = s + s_low
    t = strict_add(m, 1.0)
    t_low = strict_subtract(m, strict_subtract(t, 1.0))
    f = strict_subtract(m, 1.0)
    reciprocal = strict_divide(1.0, t)
    s = strict_multiply(f, reciprocal)
    s_low = strict_multiply(fma(-s, t_low, fma(-s, t, f)), reciprocal)
    # atanh(s) = s + s^3 / 3 + s^5 * P(s^2), each of the first two terms in two float32
    z = strict_multiply(s, s)
    z_low = fma(s + s, s_low, fma(s, s, -z))
    c = strict_multiply(s, z)
    c_low = fma(s, z_low, fma(s_low, z, fma(s, z, -c)))
    d = strict_multiply(c, THIRD)
    d_low = fma(c_low, THIRD, fma(c, THIRD_LOW, fma(c, THIRD, -d)))
    d_low = fma(c * z, (0.11709948 * z + 0.14273542) * z + 0.20000076, d_low)
    g = strict_add(s, d)
    g_low = strict_add(strict_subtract(d, strict_subtract(g, s)), strict_add(s_low, d_low))
    high = strict_multiply(g, TWO_LOG2_E)
    low = fma(g_low, TWO_LOG2_E, fma(g, TWO_LOG2_E_LOW, fma(g, TWO_LOG2_E, -high)))
    # log2|x| = e + high + low, renormalised twice so that |low| is half an ulp of high
    total = strict_add(e, high)
    low = strict_add(low, strict_subtract(high, strict_subtract(total, e)))
    high = strict_add(total, low)
    low = strict_subtract(low, strict_subtract(high, total))
    a = fabs(x)
    high = (high if a > 0.0 else -INFINITY) if a < INFINITY else a
    # 2^(y * (high + low)); a finite exponent keeps (+-1)^inf = 1
    b = 2147483648.0 if y > 2147483648.0 else y
    b = -2147483648.0 if b < -2147483648.0 else b
    product = strict_multiply(b, high)
    rest = fma(b, low, fma(b, high, -product))
    rest = rest if fabs(product) < 250.0 else 0.0
    product = 250.0 if product > 250.0 else product
    product = -250.0 if product < -250.0 else product
    n = nearest(product)
    r = strict_add(strict_subtract(product, n), rest)
    q = ((((1.5327803e-4 * r + 1.3390997e-3) * r + 9.618503e-3) * r + 5.5503596e-2) * r + 0.24022648) * r
    value = scale2(multiply_add(r, q + 0.6931472, 1.0), n)
    # sign and special values
    integral = rint(y) == y
    half = 0.5 * y
    odd = rint(half) != half
    value = (copysign(value, x) if odd else value) if integral else value
    root = 0.0 if integral else x
    value = (NAN if root > -INFINITY else value) if root < 0.0 else value
    return 1.0 if y == 0.0 else (1.0 if x == 1.0 else value)


def floor(x: float) -> float:
    """The largest integer <= x, as a float; 0.0 ulp, all x. One instruction (math.floor gives int64)."""
    return round_down(x)


def ceil(x: float) -> float:
    """The smallest integer >= x, as a float; 0.0 ulp, all x. One instruction (math.ceil gives int64)."""
    return round_up(x)


def trunc(x: float) -> float:
    """The integer part of x, as a float; 0.0 ulp, all x. One instruction (math.trunc gives int64)."""
    return round_to_zero(x)


_EXPONENTIALS = (exp, exp2, expm1, log, log10, log1p, log2, pow)
_HYPERBOLIC = (cosh, sinh, tanh)
_OTHERS = (ceil, cos, erf, erfc, floor, sin, trunc)

FUNCTIONS: dict[str, Callable[..., float]] = {
    function.__name__: function for function in _EXPONENTIALS + _HYPERBOLIC + _OTHERS
}
"""The functions of Python's `math` that compiled code takes from here, by name."""

NATIVE: frozenset[str] = frozenset({"copysign", "fabs", "isfinite", "isinf", "isnan", "sqrt"})
"""The functions of Python's `math` that stay float32 (or bool) and vectorise as they are."""

_LIBRARY = "acos acosh asin asinh atan atan2 atanh degrees gamma hypot ldexp lgamma nextafter radians tan"
LIBRARY: frozenset[str] = frozenset(_LIBRARY.split())
"""The functions of Python's `math` that libraries compute, one element at a time; a GPU has them too."""
