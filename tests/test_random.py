"""Philox4x32-10: known answers, the same bits everywhere, and numbers that look random."""

from __future__ import annotations

import itertools
import subprocess
import sys
import types
from typing import Any

import numpy as np
import pytest
from numba import float32, int64, njit
from scipy import stats

from nbdl.engine import random
from nbdl.engine.cpu.intrinsics import wrapping_product

SEED = 0x0123456789ABCDEF
KNOWN = [  # Random123's kat_vectors: counter, key, words
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((random.WORD,) * 4, (random.WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.fixture(scope="module")
def compiled() -> Any:
    """`random`'s functions as kernels compile them: integers int64, floats float32, everything inlined."""
    options: dict[str, Any] = {
        "error_model": "numpy",
        "fastmath": {"contract", "reassoc", "nsz", "afn"},
    }
    scope = dict(vars(random), TWO_TO_MINUS_24=np.float32(random.TWO_TO_MINUS_24), product=wrapping_product)
    for name in ("philox_round", "philox", "uniform_narrow", "uniform_rows"):
        copy = types.FunctionType(getattr(random, name).__code__, scope, name)
        scope[name] = njit(forceinline=True, **options)(copy)
    scope["uniform_rows"].compile((float32[:, ::1], *(int64,) * 7))
    return types.SimpleNamespace(**scope)


def fill(body: Any, rows: int, features: int, site: int = 3, step: int = 4, first_row: int = 0) -> np.ndarray:
    out = np.full((rows, features), np.nan, np.float32)
    body(out, first_row, rows, features, *random.key(SEED), site, step)
    return out


# known answers ------------------------------------------------------------------------------------------


def rounds(count: int, counter: Any, key: Any) -> Any:
    words: Any = counter
    key_0, key_1 = key
    for k in range(count):
        weyl: Any = (key_0 + k * random.WEYL_0) & random.WORD, (key_1 + k * random.WEYL_1) & random.WORD
        words = random.philox_round(*words, *weyl)
    return words


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers(compiled: Any, counter: Any, key: Any, words: Any) -> None:
    assert random.philox(*counter, *key) == words
    assert compiled.philox(*counter, *key) == words
    arrays = random.philox(*(np.array([word], np.uint64) for word in counter), *key)
    assert tuple(int(array[0]) for array in arrays) == words


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_nine_rounds_fail_the_known_answer(counter: Any, key: Any, words: Any) -> None:
    assert rounds(10, counter, key) == words
    assert rounds(9, counter, key) != words


# the same bits everywhere -------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5, 7, 10, 16, 33, 63, 64, 65, 67, 130])
def test_compiled_and_numpy_give_the_same_bits(compiled: Any, features: int) -> None:
    for rows, first_row in ((1, 0), (5, 7), (200, 2**32 - 3)):
        values = fill(compiled.uniform_rows, rows, features, first_row=first_row)
        np.testing.assert_array_equal(values, random.uniform(rows, features, SEED, 3, 4, first_row))


def test_plain_python_gives_the_same_bits() -> None:
    for rows, features in ((2, 9), (40, 5)):
        np.testing.assert_array_equal(
            fill(random.uniform_rows, rows, features), random.uniform(rows, features, SEED, 3, 4)
        )


def test_layout() -> None:
    """Column j is word j div Q of counter (j mod Q, row, site, step)."""
    values = random.uniform(3, 10, SEED, 5, 6, first_row=8)
    for i, j in np.ndindex(3, 10):
        word = random.philox(j % 3, 8 + i, 5, 6, *random.key(SEED))[j // 3]
        assert values[i, j] == np.float32((word >> 8) / 2**24)


@pytest.mark.parametrize("features", [6, 16, 100])
def test_any_tiles_give_the_same_values(compiled: Any, features: int) -> None:
    whole = fill(compiled.uniform_rows, 300, features)
    for cuts in ([0, 300], [0, 1, 2, 130, 300], [0, 128, 256, 300], [*range(0, 301, 20)]):
        tiles = [
            fill(compiled.uniform_rows, stop - start, features, first_row=start)
            for start, stop in itertools.pairwise(cuts)
        ]
        np.testing.assert_array_equal(np.concatenate(tiles), whole)


def test_seed_site_step_and_row_all_matter() -> None:
    base = random.uniform(4, 8, 1, 2, 3)
    others = [
        random.uniform(4, 8, 2, 2, 3),
        random.uniform(4, 8, 1 + 2**32, 2, 3),
        random.uniform(4, 8, 1, 3, 3),
        random.uniform(4, 8, 1, 2, 4),
        random.uniform(4, 8, 1, 2, 3, first_row=4),
    ]
    assert not any((base == other).any() for other in others)
    np.testing.assert_array_equal(base, random.uniform(4, 8, 1, 2, 3))


def test_blocks_of_the_numpy_version_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, tall = random.uniform(2, 500, SEED, 1, 1), random.uniform(300, 6, SEED, 1, 1)
    monkeypatch.setattr(random, "BLOCK", 64)
    np.testing.assert_array_equal(wide, random.uniform(2, 500, SEED, 1, 1))
    np.testing.assert_array_equal(tall, random.uniform(300, 6, SEED, 1, 1))


def test_import_does_not_load_numba() -> None:
    code = "import sys, nbdl.engine.random; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# quality ------------------------------------------------------------------------------------------------


def defects(values: np.ndarray) -> list[str]:
    """What is wrong with supposedly uniform, independent numbers, at five standard deviations."""
    count, found = values.size, []
    if not ((values >= 0) & (values < 1)).all():
        found.append("range")
    if abs(values.mean() - 0.5) > 5 * np.sqrt(1 / 12 / count):
        found.append("mean")
    cells = np.histogram(values, 256, (0, 1))[0]
    if abs(((cells - count / 256) ** 2).sum() / (count / 256) - 255) > 5 * np.sqrt(2 * 255):
        found.append("chi-squared")
    centred = values.astype(float) - 0.5
    quarter = values.shape[1] // 4
    neighbours = {"columns": (0, 1), "rows": (1, 0), "words": (0, quarter), "diagonal": (1, 1)}
    for name, (down, right) in neighbours.items():
        first = centred[: centred.shape[0] - down, : centred.shape[1] - right]
        correlation = 12 * (first * centred[down:, right:]).mean()
        if abs(correlation) > 5 / np.sqrt(first.size):
            found.append(f"correlation between {name}")
    return found


def test_numbers_look_random() -> None:
    values = random.uniform(1000, 256, SEED, 0, 0)
    assert defects(values) == []
    steps = np.stack([random.uniform(1, 256, SEED, 0, step)[0] for step in range(500)])
    sites = np.stack([random.uniform(1, 256, SEED, site, 0)[0] for site in range(500)])
    assert defects(steps) == defects(sites) == []


def test_planted_defects_are_found() -> None:
    values = random.uniform(1000, 256, SEED, 0, 0)
    assert "range" in defects(values + np.float32(0.5))
    assert "mean" in defects(values * np.float32(0.99))
    assert "chi-squared" in defects(np.round(values * 200) / np.float32(200.1))
    assert defects(np.repeat(values[:, ::2], 2, axis=1)) != []
    assert "correlation between rows" in defects(np.repeat(values[::2], 2, axis=0))
    assert "correlation between words" in defects(np.tile(values[:, :64], 4))


# shuffling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 1000, 60_000])
def test_permutation_holds_every_number_once(n: int) -> None:
    order = random.permutation(n, SEED, 0)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(order, random.permutation(n, SEED, 0))


def test_permutation_depends_on_seed_and_epoch() -> None:
    base = random.permutation(100, 1, 1)
    for other in (random.permutation(100, 2, 1), random.permutation(100, 1, 2)):
        assert (base == other).sum() < 10


def test_permutation_is_fixed_for_ever() -> None:
    assert random.permutation(8, 0, 0).tolist() == [3, 4, 5, 7, 2, 0, 6, 1]


def test_all_orders_are_equally_likely() -> None:
    codes = [tuple(random.permutation(4, SEED, epoch)) for epoch in range(4800)]
    counts = np.unique(codes, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


# initial weights ----------------------------------------------------------------------------------------


def test_uniform_array() -> None:
    values = random.uniform_array((300, 200), -0.5, 1.5, SEED, 7)
    assert values.dtype == np.float32
    assert values.shape == (300, 200)
    assert stats.kstest(values.reshape(-1), stats.uniform(-0.5, 2.0).cdf).pvalue > 1e-4
    assert stats.kstest(values.reshape(-1), stats.uniform(-0.5, 1.95).cdf).pvalue < 1e-4
    assert (values != random.uniform_array((300, 200), -0.5, 1.5, SEED, 8)).mean() > 0.99
    np.testing.assert_array_equal(values, random.uniform_array((300, 200), -0.5, 1.5, SEED, 7))


def test_normal_array() -> None:
    values = random.normal_array((300, 201), 2.0, 0.5, SEED, 7)
    assert values.dtype == np.float32
    assert values.shape == (300, 201)
    assert stats.kstest(values.reshape(-1), stats.norm(2.0, 0.5).cdf).pvalue > 1e-4
    assert stats.kstest(values.reshape(-1), stats.norm(2.0, 0.52).cdf).pvalue < 1e-4
    assert abs(np.corrcoef(values[:, :100].reshape(-1), values[:, 100:200].reshape(-1))[0, 1]) < 0.03
    assert np.abs((values - 2.0) / 0.5).max() > 3.5


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 3, 4)])
def test_shapes(shape: tuple[int, ...]) -> None:
    assert random.uniform_array(shape, 0, 1, 1, 1).shape == shape
    assert random.normal_array(shape, 0, 1, 1, 1).shape == shape


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 1001, 6400])
def test_compiled_shuffling_gives_the_same_order(n: int) -> None:
    for seed, epoch in ((0, 0), (2**64 - 1, 3), (12345678901234567890, 2**32 - 1)):
        plain = random.permutation(n, seed, epoch)
        np.testing.assert_array_equal(random.permutation(n, seed, epoch, compiled=True), plain)
        np.testing.assert_array_equal(np.sort(plain), np.arange(n))
