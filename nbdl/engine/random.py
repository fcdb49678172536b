"""Random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC 2011).

A number depends only on the seed and on where it is used, so any tile, thread or device draws the same ones,
and a backward pass can draw them again. The counter of row `row`, columns j, Q + j, 2Q + j and 3Q + j is
(j, row, site, step), with Q = ceil(features / 4): neighbouring columns then come from neighbouring counters,
and the loop over j vectorises. `site` numbers the draws of a program, `step` its steps.

`philox` is one text for Python's ints, NumPy's uint64 and compiled int64 (whose products wrap), so all agree.
Its compiled form needs `forceinline=True`.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

WORD = 0xFFFFFFFF
MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85
TWO_TO_MINUS_24 = 5.9604644775390625e-08

INITIAL = 0xFFFFFFFF  # the step of draws made before training
SHUFFLE = 0xFFFFFFFF  # the site of permutations
WIDE = 64  # features from which a row is long enough to vectorise over
LANES = 16  # rows drawn at a time where it is not
BLOCK = 8192  # counters at a time in NumPy, so that the work stays in cache

Words = npt.NDArray[np.uint64]


def product(a: Any, b: Any) -> Any:
    """a·b modulo 2⁶⁴ of NumPy's uint64; in compiled text `wrapping_product` stands in its place.

    Numba promises LLVM that an int64 product does not overflow, and what LLVM makes of that flips bits.
    """
    return a * b


setattr(product, "primitive", "wrapping_product")  # noqa: B010


def philox_round(a: Any, b: Any, c: Any, d: Any, key_0: Any, key_1: Any) -> Any:
    """One round: two 32 x 32 -> 64 bit products, their high words mixed with the other words and the key."""
    p = product(a, MULTIPLIER_0)
    q = product(c, MULTIPLIER_1)
    return ((q >> 32) & WORD) ^ b ^ key_0, q & WORD, ((p >> 32) & WORD) ^ d ^ key_1, p & WORD


def philox(a: Any, b: Any, c: Any, d: Any, key_0: Any, key_1: Any) -> Any:
    """The four 32-bit words of counter (a, b, c, d). Ten rounds written out: a loop would not vectorise."""
    a, b, c, d = philox_round(a, b, c, d, key_0, key_1)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + WEYL_0) & WORD, (key_1 + WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 2 * WEYL_0) & WORD, (key_1 + 2 * WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 3 * WEYL_0) & WORD, (key_1 + 3 * WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 4 * WEYL_0) & WORD, (key_1 + 4 * WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 5 * WEYL_0) & WORD, (key_1 + 5 * WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 6 * WEYL_0) & WORD, (key_1 + 6 * WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 7 * WEYL_0) & WORD, (key_1 + 7 * WEYL_1) & WORD)
    a, b, c, d = philox_round(a, b, c, d, (key_0 + 8 * WEYL_0) & WORD, (key_1 + 8 * WEYL_1) & WORD)
    return philox_round(a, b, c, d, (key_0 + 9 * WEYL_0) & WORD, (key_1 + 9 * WEYL_1) & WORD)


def uniform_rows(
    out: Any, first_row: int, rows: int, features: int, seed_low: int, seed_high: int, site: int, step: int
) -> None:
    """Fill rows x features float32, C-contiguous, with 24-bit numbers in [0, 1). All integers are int64."""
    key_0, key_1, site, step = seed_low & WORD, seed_high & WORD, site & WORD, step & WORD
    done = 0
    if features < WIDE:
        done = uniform_narrow(out, first_row, rows, features, key_0, key_1, site, step)
    quarter = (features + 3) // 4
    whole = max(features - 3 * quarter, 0)  # counters of which all four words are used
    for i in range(done, rows):
        row = (first_row + i) & WORD
        # four views: LLVM does not vectorise stores into one array at unknown distances
        out_0, out_1 = out[i, :quarter], out[i, quarter : 2 * quarter]
        out_2, out_3 = out[i, 2 * quarter : 3 * quarter], out[i, 3 * quarter :]
        for j in range(whole):
            a, b, c, d = philox(j, row, site, step, key_0, key_1)
            out_0[j] = (a >> 8) * TWO_TO_MINUS_24
            out_1[j] = (b >> 8) * TWO_TO_MINUS_24
            out_2[j] = (c >> 8) * TWO_TO_MINUS_24
            out_3[j] = (d >> 8) * TWO_TO_MINUS_24
        for j in range(whole, quarter):  # at most three
            a, b, c, d = philox(j, row, site, step, key_0, key_1)
            out[i, j] = (a >> 8) * TWO_TO_MINUS_24
            if quarter + j < features:
                out[i, quarter + j] = (b >> 8) * TWO_TO_MINUS_24
            if 2 * quarter + j < features:
                out[i, 2 * quarter + j] = (c >> 8) * TWO_TO_MINUS_24


def uniform_narrow(
    out: Any, first_row: int, rows: int, features: int, key_0: int, key_1: int, site: int, step: int
) -> int:
    """Fill the first rows of few features, vectorised over rows; return how many rows are done.

    A row is too short to vectorise over, and elements of a column are too far apart to store to. So each
    column is drawn into the last rows of `out`, which are filled later, and copied from there.
    """
    quarter = (features + 3) // 4
    end = rows * features
    ready = max(end - 4 * LANES, 0) // features
    if ready < LANES:
        return 0
    flat = out.reshape(end)
    drawn_0, drawn_1 = flat[end - 4 * LANES : end - 3 * LANES], flat[end - 3 * LANES : end - 2 * LANES]
    drawn_2, drawn_3 = flat[end - 2 * LANES : end - LANES], flat[end - LANES :]
    ready -= ready % LANES
    for start in range(0, ready, LANES):
        for j in range(quarter):
            for i in range(LANES):
                a, b, c, d = philox(j, (first_row + start + i) & WORD, site, step, key_0, key_1)
                drawn_0[i] = (a >> 8) * TWO_TO_MINUS_24
                drawn_1[i] = (b >> 8) * TWO_TO_MINUS_24
                drawn_2[i] = (c >> 8) * TWO_TO_MINUS_24
                drawn_3[i] = (d >> 8) * TWO_TO_MINUS_24
            for i in range(LANES):
                out[start + i, j] = drawn_0[i]
                if quarter + j < features:
                    out[start + i, quarter + j] = drawn_1[i]
                if 2 * quarter + j < features:
                    out[start + i, 2 * quarter + j] = drawn_2[i]
                if 3 * quarter + j < features:
                    out[start + i, 3 * quarter + j] = drawn_3[i]
    return ready


def key(seed: int) -> tuple[int, int]:
    """The two words of a seed, of which the lowest 64 bits count."""
    return seed & WORD, (seed >> 32) & WORD


def counter_words(columns: int, rows: Words, site: int, step: int, seed: int) -> Words:
    """The words of counters (0 .. columns - 1, row, site, step) as an array of 4 x rows x columns."""
    key_0, key_1 = key(seed)
    # arrays of one element: NumPy's scalars and Python's ints do not mix alike in all its versions
    site_word, step_word = np.array([[site & WORD]], np.uint64), np.array([[step & WORD]], np.uint64)
    words = np.empty((4, len(rows), columns), np.uint64)
    height, width = max(BLOCK // max(columns, 1), 1), min(BLOCK, max(columns, 1))
    for top in range(0, len(rows), height):
        row = rows[top : top + height, None]
        for left in range(0, columns, width):
            column = np.arange(left, min(left + width, columns), dtype=np.uint64)[None, :]
            block = slice(top, top + height), slice(left, left + width)
            for word, drawn in zip(words, philox(column, row, site_word, step_word, key_0, key_1), strict=True):
                word[block] = drawn
    return words


def uniform(rows: int, features: int, seed: int, site: int, step: int, first_row: int = 0) -> npt.NDArray[np.float32]:
    """What `uniform_rows` gives, bit for bit, in NumPy."""
    row = np.arange(first_row, first_row + rows).astype(np.uint64) & np.uint64(WORD)
    words = counter_words(-(-features // 4), row, site, step, seed)
    by_row = (words >> 8).astype(np.float32).transpose(1, 0, 2).reshape(rows, -1)[:, :features]
    return by_row * np.float32(TWO_TO_MINUS_24)


def initial_words(size: int, site: int, seed: int) -> Words:
    """Words for `size` initial weights: 4 x ceil(size / 4)."""
    return counter_words(-(-size // 4), np.zeros(1, np.uint64), site, INITIAL, seed)[:, 0]


def permutation(n: int, seed: int, epoch: int, compiled: bool = False) -> npt.NDArray[np.int64]:
    """The numbers 0 .. n - 1 in an order that depends on seed and epoch: sorted by random keys.

    Args:
        compiled: draw the keys in compiled code, ten times as fast; loading it takes as long as 2¹⁷ keys in NumPy.
    """
    bits = max(n - 1, 0).bit_length()
    keys = (_compiled_keys if compiled else _keys)(n, seed, epoch)
    # The low bits of a key hold its number: keys differ, and sorting them moves the numbers along.
    low = np.uint64(bits)
    keys = (keys >> low << low) | np.arange(n, dtype=np.uint64)
    keys.sort()
    return (keys & ((1 << bits) - 1)).astype(np.int64)


def _keys(n: int, seed: int, epoch: int) -> Words:
    words = counter_words(-(-n // 2), np.zeros(1, np.uint64), SHUFFLE, epoch, seed)[:, 0]
    return ((words[:2] << np.uint64(32)) | words[2:]).reshape(-1)[:n]


def _compiled_keys(n: int, seed: int, epoch: int) -> Words:
    keys = np.empty(n, np.int64)
    _shuffler()(keys, *key(seed), epoch & WORD)
    return keys.view(np.uint64)


def shuffle_keys(keys: Any, key_0: int, key_1: int, epoch: int) -> None:
    """What `_keys` gives, bit for bit, as int64."""
    half = (len(keys) + 1) // 2
    for i in range(half):
        a, b, c, d = philox(i, 0, SHUFFLE, epoch, key_0, key_1)
        keys[i] = (a << 32) | c
        if half + i < len(keys):
            keys[half + i] = (b << 32) | d


@functools.cache
def _shuffler() -> Any:
    from nbdl.engine.compiler import load
    from nbdl.engine.emit import function_text

    return load(function_text(shuffle_keys, 'entry("void(int64[::1], int64, int64, int64)")'))


def uniform_array(shape: tuple[int, ...], low: float, high: float, seed: int, site: int) -> npt.NDArray[np.float32]:
    """Initial weights, uniform from low to high."""
    size = int(np.prod(shape, dtype=np.int64))
    words = initial_words(size, site, seed)
    unit = (words >> 8).reshape(-1)[:size] * TWO_TO_MINUS_24
    values = (low + (high - low) * unit).astype(np.float32)
    return values.reshape(shape)


def normal_array(shape: tuple[int, ...], mean: float, stddev: float, seed: int, site: int) -> npt.NDArray[np.float32]:
    """Initial weights, normal: Box and Muller's sqrt(-2 log u) * (cos, sin)(2 pi v) of 32-bit u and v."""
    size = int(np.prod(shape, dtype=np.int64))
    words = initial_words(size, site, seed)
    radius = np.sqrt(-2.0 * np.log((words[:2] + 1) * 2.0**-32))  # u in (0, 1]
    angle = words[2:] * (2.0 * np.pi * 2.0**-32)
    unit = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)]).reshape(-1)[:size]
    return (mean + stddev * unit).astype(np.float32).reshape(shape)


# The quantile of the normal distribution over its distance q from the median, as a quotient of polynomials of q²:
# within 2e-9 (relative) up to two deviations. Fitted by least squares to √2·erf⁻¹(2q)/q.
QUANTILE_ABOVE = (2.506628277585355, -30.750204114381056, 139.1888025266105,
                  -278.6478733494741, 224.202442535828, -40.57766667617537)  # fmt: skip
QUANTILE_BELOW = (1.0, -13.314753617536711, 67.16853169857075,
                  -157.08988363889415, 163.70798712600063, -55.49662915648886)  # fmt: skip
WITHIN_TWO = 0.4772498680518208  # the share of a normal distribution between its mean and two deviations


def truncated_normal_array(
    shape: tuple[int, ...], mean: float, stddev: float, seed: int, site: int
) -> npt.NDArray[np.float32]:
    """Initial weights, normal but without what is farther from the mean than two deviations: a number for each word.

    The quantile of a uniform number: arithmetic alone, so the bits are the same on any machine.
    """
    size = int(np.prod(shape, dtype=np.int64))
    words = initial_words(size, site, seed).reshape(-1)[:size]
    q = ((words + 0.5) * 2.0**-31 - 1.0) * WITHIN_TWO
    unit = q * _polynomial(QUANTILE_ABOVE, q * q) / _polynomial(QUANTILE_BELOW, q * q)
    return (mean + stddev * unit).astype(np.float32).reshape(shape)


def _polynomial(coefficients: tuple[float, ...], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Σ coefficientᵢ·xⁱ, by Horner's rule."""
    value = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value
