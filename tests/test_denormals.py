"""Denormal numbers count as zero wherever nbdl computes, and stay as they are in the caller's own arithmetic."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from llvmlite import binding
from numba import njit, prange

import nbdl
from nbdl import Layer, Sequential
from nbdl.engine.compiler import address, load
from nbdl.engine.cpu import layout as words
from nbdl.engine.cpu.driver import parallel_driver
from nbdl.engine.cpu.intrinsics import flush_denormals, restore_denormals
from nbdl.engine.cpu.texts import HEAD, INTRINSICS
from nbdl.engine.cpu.threads import parallel_region
from nbdl.engine.denormals import flushed, module
from nbdl.engine.emit import Emitter
from nbdl.errors import DivergenceError
from nbdl.layers import Dense
from nbdl.model.owner import job_of
from nbdl.training.passes import run_rows

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"), reason="other processors keep denormals"
)
SMALLEST = np.finfo(np.float32).smallest_normal
FLUSH = 0x8040 if platform.machine().lower() in ("x86_64", "amd64") else 1 << 24
TINY = np.float32(1e-39)


def linear(features: int = 4, units: int = 3, scale: float = 1.0, layers: int = 1) -> Sequential:
    """A net of products alone, whose weights have this size."""
    model = Sequential([Dense(units, input_dim=features), *(Dense(units) for _ in range(layers - 1))], seed=1)
    model.set_weights([np.full(w.shape, scale, np.float32) * (w.ndim == 2) for w in model.get_weights()])
    return model


def large() -> Sequential:
    """Large enough for the parallel driver with 256 rows."""
    model = Sequential([Dense(320, "relu", input_dim=300), Dense(320, "relu"), Dense(2)], seed=1)
    model.compile(loss="mse", optimizer="adam")
    return model


def kept() -> bool:
    """Whether this thread keeps denormals in its own arithmetic."""
    return bool(TINY * np.float32(0.5) != 0)


@njit
def mode() -> int:
    """This thread's mode."""
    now = flush_denormals()
    restore_denormals(now)
    return now & FLUSH


@njit
def halved(x: Any, factor: Any) -> Any:
    return x * factor


@njit(parallel=True)
def modes(count: int) -> Any:
    """The mode of each thread, and what it makes of a denormal."""
    seen, halves = np.zeros(count, np.int64), np.zeros(count, np.float32)
    for thread in prange(count):
        seen[thread] = mode()
        halves[thread] = halved(np.float32(1e-39), np.float32(0.5))
    return seen, halves


def no_thread_flushes() -> bool:
    seen, halves = modes(numba.get_num_threads())
    return not seen.any() and bool((halves > 0).all()) and kept()


# -- every path -------------------------------------------------------------------------------------------


@njit
def in_njit(net: Any, x: Any) -> Any:
    return net(x)


@njit(parallel=True)
def in_prange(net: Any, x: Any) -> Any:
    out = np.empty((len(x), net.outputs), np.float32)
    for i in prange(len(x)):
        net(x[i], out[i])
    return out


@njit
def njit_vjp(net: Any, x: Any, dy: Any) -> Any:
    return net.vjp(x, dy)


def by_cfunc(model: Sequential, x: Any) -> Any:
    out = np.empty((len(x), *model.output_shape), np.float32)
    function, pointer = model.as_cfunc("float").ctypes, numba.types.CPointer(numba.types.float32)
    assert pointer is not None
    kind = function.argtypes[0]
    for row, result in zip(x, out, strict=True):
        function(row.ctypes.data_as(kind), result.ctypes.data_as(kind))
    return out


def by_gpu(model: Sequential, x: Any) -> Any:
    """On the simulator, whose threads have modes of their own."""
    pytest.importorskip("numba.cuda.simulator")
    model.compile("sgd", "mse", device="cuda")
    return model.predict(x)


PATHS: dict[str, Callable[[Sequential, Any], Any]] = {
    "predict of a few rows": lambda model, x: model.predict(x[:2]),
    "predict by the driver": lambda model, x: run_rows(job_of(model), "predict", [x], 3),
    "model(x)": lambda model, x: model(x),
    "model(x) of one row": lambda model, x: model(x[0]),
    "a net in Python": lambda model, x: model.as_njit()(x),
    "a net in Python, one row": lambda model, x: model.as_njit()(x[0]),
    "a net in @njit": lambda model, x: in_njit(model.as_njit(), x),
    "a net in @njit, one row": lambda model, x: in_njit(model.as_njit(), x[0]),
    "a net in prange": lambda model, x: in_prange(model.as_njit(), x),
    "a C function": by_cfunc,
    "a simulated GPU": by_gpu,
    "vjp": lambda model, x: model.as_njit(derivatives=True).vjp(x, x[:, :3]),
    "vjp in @njit": lambda model, x: njit_vjp(model.as_njit(derivatives=True), x[0], x[0, :3]),
    "jacobian": lambda model, x: model.as_njit(derivatives=True).jacobian(x),
}


@pytest.mark.parametrize("path", PATHS)
def test_results_and_operands_below_the_smallest_normal_are_zero(path: str) -> None:
    x = np.full((5, 4), 1e-20, np.float32)
    assert not np.any(PATHS[path](linear(scale=1e-20, layers=2), x))  # products of 1e-40, and 1e-40 of weights
    if path != "jacobian":
        assert not np.any(PATHS[path](linear(scale=1e10), np.full((5, 4), 1e-39, np.float32)))
    assert no_thread_flushes()


@pytest.mark.parametrize("threads", [1, 2])
def test_the_drivers(threads: int) -> None:
    """4e-39 as an operand of each row and each column of the products."""
    model = large()
    model.set_weights([np.full(w.shape, 1e5 * (w.ndim == 2), np.float32) for w in model.get_weights()])
    x = np.full((256, 300), 4e-39, np.float32)
    assert not model.predict(x, threads=threads).any()
    history = model.fit(x, np.zeros((256, 2)), batch_size=256, verbose=0, threads=threads).history
    assert history["loss"] == [0.0]
    assert no_thread_flushes()


MEETING = f"""@kernel
{HEAD}
    shared = word(frame, {words.WORK})
    add_shared(shared, 0)
    tries = 0
    while read_shared(shared, 0) < 2 and tries < {1 << 24}:
        tries += 1
        relax(tries)
    mode = flush_denormals()
    restore_denormals(mode)
    write_shared(shared, 1 + r0, mode)
    return 0
"""
"""A kernel whose two tasks wait for one another, so that two threads run them, and tell their modes."""


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is one processor")
def test_leader_and_followers_set_the_mode() -> None:
    emitter = Emitter()
    names = "add_shared flush_denormals read_shared relax restore_denormals word write_shared"
    emitter.imported(INTRINSICS, *names.split())
    meeting = load(emitter.text("meeting of two threads", MEETING))
    ops = np.zeros((1, words.OP_WORDS), np.int64)
    ops[0, : words.OP_OPERANDS] = address(meeting), 2, 1
    tasks = np.zeros((2, words.TASK_WORDS), np.int64)
    tasks[:, words.TASK_END], tasks[:, words.TASK_PARTS], tasks[:, words.TASK_PART] = 1, 2, (0, 1)
    shared, frame = np.zeros(3, np.int64), np.zeros(words.FRAME_WORDS, np.int64)
    frame[words.WORK], frame[words.THREADS] = shared.ctypes.data, 2
    scalars = log = np.zeros((1, 1), np.float32)
    with parallel_region(2):
        tables = np.array([[0, 2, 1]]), tasks, ops, frame, np.zeros((1, 4), np.int64), scalars, log
        assert parallel_driver()(*tables, np.zeros(2, np.int64)) == 0
    assert shared[0] == 2
    assert (shared[1:] & FLUSH == FLUSH).all()
    assert no_thread_flushes()


def test_profiles_and_checked_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBDL_CHECK", "1")
    model = linear(scale=1e10)
    assert not model.predict(np.full((2000, 4), 1e-39, np.float32)).any()
    monkeypatch.undo()
    model.compile(loss="mse", optimizer="sgd")
    model.fit(np.ones((64, 4)), np.ones((64, 3)), verbose=0)
    model.profile(batch_size=32)
    assert no_thread_flushes()


@pytest.mark.parametrize("optimizer", [nbdl.optimizers.SGD(0.1, momentum=0.9), "adam", "rmsprop"])
@pytest.mark.parametrize("threads", [1, 2])
def test_slots_of_units_that_no_longer_learn_become_zero(optimizer: Any, threads: int) -> None:
    """0.9 times the smallest denormals rounds to themselves: they would stay for ever."""
    model = Sequential([Dense(320, "relu", input_dim=300), Dense(2)], seed=1)
    model.compile(loss="mse", optimizer=optimizer)
    x, y = np.ones((128, 300), np.float32), np.zeros((128, 2), np.float32)
    model.fit(x, y, batch_size=128, epochs=3, verbose=0, threads=threads)
    kernel, bias, *others = model.get_weights()
    model.set_weights([0 * kernel, bias - 1.0, *others])  # all hidden units are dead now
    x = np.tile(x, (40, 1))
    model.fit(x, np.tile(y, (40, 1)), batch_size=128, epochs=60, verbose=0, threads=threads)
    slots = np.abs(model.training_state.slots)  # type: ignore[union-attr]
    assert not ((slots > 0) & (slots < SMALLEST)).any()
    assert no_thread_flushes()


# -- the caller's mode ------------------------------------------------------------------------------------


def test_the_mode_comes_back_after_an_error() -> None:
    for model, rows in ((linear(), 8), (large(), 256)):
        model.compile(loss="mse", optimizer=nbdl.optimizers.SGD(1e30))
        x = np.ones((rows, model.input_shape[0]), np.float32)  # type: ignore[index]
        with pytest.raises(DivergenceError):
            model.fit(x, np.ones((rows, *model.output_shape)), epochs=20, batch_size=rows, verbose=0)
        assert no_thread_flushes()


def test_a_caller_that_flushes_goes_on_flushing() -> None:
    model, x = linear(), np.ones((2, 4), np.float32)
    with flushed():
        model.predict(x)
        assert not kept()
        with flushed():
            pass
        assert not kept()
    assert kept()


def test_the_callers_arithmetic_between_calls_keeps_denormals() -> None:
    @njit(parallel=True)
    def mixed(net: Any, x: Any, own: Any) -> Any:
        found = np.zeros(len(own), np.int64)
        out = np.empty((len(own), net.outputs), np.float32)
        for i in prange(len(own)):
            before = own[i] * np.float32(0.5)
            net(x, out[i])
            found[i] = before > 0 and own[i] * np.float32(0.25) > 0 and out[i, 0] == 0 and mode() == 0
        return found

    own = np.full(64, 1e-39, np.float32)
    assert mixed(linear(scale=1e10).as_njit(), np.full(4, 1e-39, np.float32), own).all()


def printed(code: str, **environment: str) -> Any:
    """What a process prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="there is one processor")
def test_threads_that_nbdl_starts_do_not_inherit_the_mode() -> None:
    """nbdl's run is the process's first parallel region; the threads of the next one, the user's, are the same."""
    code = """
        import json, sys
        sys.path.insert(0, "tests")
        import numpy as np
        from nbdl.engine.cpu import executor as cpu
        from test_denormals import large, modes, no_thread_flushes
        called, driver = [], cpu.parallel_driver
        cpu.parallel_driver = lambda: (called.append(1), driver())[1]
        large().fit(np.ones((256, 300)), np.ones((256, 2)), batch_size=256, verbose=0, threads=2)
        print(json.dumps([len(called) > 0, no_thread_flushes(), len(modes(2)[0])]))
    """
    assert printed(code) == [True, True, 2]


# -- plain Python -----------------------------------------------------------------------------------------


def test_plain_python() -> None:
    code = """
        import json
        import numpy as np
        from nbdl import Sequential
        from nbdl.engine.reference import ReferenceExecutor
        from nbdl.layers import Dense

        def kept():
            return bool(np.float32(1e-39) * np.float32(0.5) != 0)

        model = Sequential([Dense(2, input_dim=4, use_bias=False), Dense(2)], seed=1)
        model.set_weights([np.full(w.shape, 1e-20, np.float32) * (w.ndim == 2) for w in model.get_weights()])
        predicted = model.predict(np.full((3, 4), 1e-20)), model.predict(np.full((3, 4), 1e-39))
        model.compile(loss="mse", optimizer="sgd")
        model.fit(np.full((8, 4), 1e-39), np.zeros((8, 2)), verbose=0)
        after = kept()

        def broken(self, *arguments):
            assert not kept()
            raise LookupError

        ReferenceExecutor.step = broken
        try:
            model.predict(np.ones((2, 4)))
            failed = False
        except LookupError:
            failed = True
        print(json.dumps([[float(np.abs(p).max()) for p in predicted], after, failed, kept()]))
    """
    assert printed(code, NUMBA_DISABLE_JIT="1") == [[0.0, 0.0], True, True, True]


def test_it_does_nothing_where_no_code_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from nbdl.engine import denormals

    def refused(*_: Any) -> Any:
        raise RuntimeError("no executable memory")

    monkeypatch.setattr(binding, "create_mcjit_compiler", refused)
    denormals._functions.cache_clear()
    try:
        with flushed():
            assert kept()
    finally:
        denormals._functions.cache_clear()


# -- processors -------------------------------------------------------------------------------------------


def assembly(triple: str) -> str:
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    try:
        machine = binding.Target.from_triple(triple).create_target_machine()
    except RuntimeError:
        pytest.skip(f"this llvmlite has no code generator for {triple}")
    return machine.emit_assembly(binding.parse_assembly(module(triple)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("triple", ["aarch64-unknown-linux-gnu", "arm64-apple-darwin24.0.0", "aarch64-pc-windows-msvc"])
def test_aarch64(triple: str) -> None:
    code = re.sub(r"\s+", " ", assembly(triple)).lower()
    assert re.search(r"mrs (x\d+), fpcr orr (x\d+), \1, #0x1000000 msr fpcr, \2", code)
    assert code.count("msr fpcr") == 2


@pytest.mark.parametrize("triple", ["x86_64-unknown-linux-gnu", "x86_64-apple-darwin24.0.0", "x86_64-pc-windows-msvc"])
def test_x86(triple: str) -> None:
    code = assembly(triple)
    assert (code.count("stmxcsr"), code.count("ldmxcsr")) == (1, 2)
    assert str(0x8040) in code


def test_other_processors_are_left_as_they_are() -> None:
    text = module("riscv64-unknown-linux-gnu")
    assert "call" not in text
    assert "ret i64 0" in text


# -- constants --------------------------------------------------------------------------------------------


def folded(x: float) -> float:
    """The compiler multiplies the two constants, by IEEE's rules, to a denormal."""
    return x * (1e-30 * 1e-10)


def denormal_literal(x: float) -> float:
    return x * 1e-40 + x


def compared(x: float) -> float:
    return 1.0 if x > 1e-40 else 2.0


class Mapped(Layer):
    """A scalar function of each number."""

    def __init__(self, function: Any, **common: Any) -> None:
        super().__init__(**common)
        self.function = function

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(self.function, x), None


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (folded, 1e10, 0.0),
        (denormal_literal, 1e10, 1e10),
        (compared, 1e-39, 2.0),
        (compared, 1e-37, 1.0),
    ],
)
def test_constants_that_are_denormal_count_as_zero(function: Any, x: float, expected: float) -> None:
    model = Sequential([Mapped(function, input_shape=(4,))])
    for predicted in (
        model.predict(np.full((2, 4), x)),
        run_rows(job_of(model), "predict", [np.full((2, 4), x, "f")], 4),
    ):
        np.testing.assert_allclose(predicted, np.full((2, 4), expected), rtol=1e-5)
