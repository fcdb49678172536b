"""Which CUDA kernels have a line in the table of scripts/ptx.py: by their text, without a compiler."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

import ptx
from ptx import Made, Row

from nbdl.engine.cuda.kernel_text import KernelText
from nbdl.plugins.registrar import registrar
from nbdl.units.entry import Owner

TARGET = ptx.TARGETS[-1]


def made(title: str, text: str, compiled: str = "", shared: int = 0) -> Made:
    return Made((title, "here"), KernelText(title, text, ("float32*",), 32), TARGET, compiled, shared=shared)


@pytest.fixture(scope="module")
def kernels() -> list[Made]:
    return [Made(key, kernel, TARGET) for key, kernel in ptx.kernels().items()]


def test_the_table_has_the_lines_that_kernels_need(kernels: list[Made]) -> None:
    needed = {one.key for one in kernels if not one.elementwise}
    assert len(needed) > 200
    assert needed == ptx.read(ptx.TABLE.read_text("utf-8")).keys()


def test_a_new_activation_of_scalar_functions_needs_no_line(
    kernels: list[Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {one.key for one in kernels}
    try:
        with registrar.owned(Owner("standard", "nbdl", ""), ""):
            registrar.add("activations", "a_newcomer", lambda x: x + x * abs(x), lambda x, y: 1.0 + 2.0 * abs(x))
            monkeypatch.setattr(ptx, "_of_nets", list)
            monkeypatch.setattr(ptx, "_of_steps", list)
            new = [Made(key, kernel, TARGET) for key, kernel in ptx.kernels().items() if key not in before]
            raise LookupError("takes the activation back")
    except LookupError:
        pass
    assert sorted({where for _, where in (one.key for one in new)}) == [
        "activations a_newcomer() backward", "activations a_newcomer() forward"
    ]  # fmt: skip
    assert all(one.elementwise for one in new)


@pytest.mark.parametrize(
    ("title", "text", "elementwise"),
    [
        ("rows f", "out[i] = f(x[i])", True),
        ("rows f, same", "out[i] = f(x[i])\ncuda.syncthreads()", False),
        ("rows f", "a = cuda.shared.array(4, float32)", False),
        ("columns f", "out[i] = f(x[i])", False),
        ("product a b", "out[i] = f(x[i])", False),
    ],
)
def test_elementwise_is_what_needs_no_other_thread(title: str, text: str, elementwise: bool) -> None:
    one = made(title, text)
    assert one.elementwise == elementwise
    assert bool(ptx.rows_of([one] * len(ptx.TARGETS))) == (not elementwise)


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (made("rows f", "pass"), ""),
        (made("rows f", "pass", "bar.sync 0;"), "1 barriers and 0 shared bytes in a kernel of elementwise operations"),
        (made("rows f", "pass", shared=128), "0 barriers and 128 shared bytes"),
        (made("rows f", "cuda.syncthreads()", "bar.sync 0;", 128), ""),
    ],
)
def test_an_elementwise_kernel_shares_nothing(one: Made, said: str) -> None:
    found = "; ".join(ptx.faults(one, None))
    assert said in found
    assert bool(said) == bool(found)


def test_other_kernels_are_compared_with_their_line() -> None:
    one = made("rows f", "cuda.syncthreads()", "bar.sync 0;")
    assert list(ptx.faults(one, Row((0,) * len(ptx.TARGETS), 0, 2))) == ["1 barriers, 2 in the table"]
