"""The runtimes of CUDA: the simulator's, and `cuda.core`'s over a stand-in for it that keeps a GPU's rules."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from nbdl.engine.cuda import availability, cublas
from nbdl.engine.cuda.kernel_text import KernelText, Pointer
from nbdl.errors import DeviceError, DeviceLostError

if not availability.simulated():
    pytest.skip("kernels run in the simulator: set NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

import fake_cuda
from fake_cuda.cublas import Library

import nbdl
from nbdl.engine.cuda import executor, feed, simulated
from nbdl.engine.cuda import runtime as cuda_runtime
from nbdl.engine.cuda.text import SIMULATOR
from nbdl.layers import Dense, Dropout

SCALED = KernelText(
    "scaled",
    """
@device
def scaled(x, factor):
    return x * factor


def run(a, out, n, factor):
    i = int32(cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x)
    if i < n:
        out[i] = scaled(a[i], factor)
""",
    ("float32*", "float32*", "int32", "float32"),
    8,
)
ADDED = KernelText(
    "added",
    """
def run(a, total):
    tile = cuda.shared.array(4, float32)
    i = cuda.threadIdx.x
    tile[i] = a[i]
    cuda.syncthreads()
    if i == 0:
        total[0] += tile[0] + tile[1] + tile[2] + tile[3]
""",
    ("float32*", "float32*"),
    4,
)
BITS = KernelText(
    "bits",
    """
def run(bytes, ints, mask):
    i = cuda.threadIdx.x
    ints[i] = int32(bytes[i]) - int32(1)
    if mask > uint32(0x80000000):
        ints[i] = int32(-7)
""",
    ("uint8*", "int32*", "uint32"),
    4,
)
OUTSIDE = KernelText("outside", "def run(a):\n    a[1 << 20] = float32(1.0)\n", ("float32*",), 1)
SCHEDULES = {"late": (), "compute first": (0,), "copies first": (1,), "soon": (0, 1)}


@pytest.fixture(params=["simulator", *SCHEDULES])
def runtime(request, monkeypatch):
    if request.param == "simulator":
        return simulated.SimulatedRuntime()
    fake_cuda.install(monkeypatch, eager=SCHEDULES[request.param])
    return cuda_runtime.runtime()


@pytest.fixture
def machine(monkeypatch):
    return fake_cuda.install(monkeypatch)


def block_of(runtime, array):
    block = runtime.allocate(max(array.nbytes, 1))
    runtime.upload(block, 0, array)
    return block


def values_of(runtime, block, size, offset=0, dtype=np.float32):
    out = np.empty(size, dtype)
    runtime.download(block, offset, out)
    return out.tolist()


def scale(runtime, block, n, factor=2.0, blocks=2):
    pointer = Pointer(block, 0, n)
    runtime.launch(runtime.kernel(SCALED), (blocks,), (8,), [pointer, pointer, np.int32(n), np.float32(factor)])


# -- memory and copies ------------------------------------------------------------------------------------


def test_memory_is_zeroed_and_keeps_what_is_uploaded(runtime):
    block = runtime.allocate(40)
    assert block.size == 40
    assert values_of(runtime, block, 10) == [0.0] * 10
    runtime.upload(block, 12, np.arange(3, dtype=np.float32) + 1)
    assert values_of(runtime, block, 10) == [0, 0, 0, 1, 2, 3, 0, 0, 0, 0]
    assert values_of(runtime, block, 2, offset=16) == [2, 3]
    runtime.upload(block, 1, np.array([255, 254], np.uint8))
    assert values_of(runtime, block, 4, dtype=np.uint8) == [0, 255, 254, 0]


def test_an_array_may_change_as_soon_as_it_is_uploaded(runtime, monkeypatch):
    monkeypatch.setattr(cuda_runtime, "STAGE_SIZE", 64)  # so that one upload takes all stages, again and again
    data = np.arange(333, dtype=np.int32)
    block = runtime.allocate(data.nbytes)
    for first in range(3):
        data[:] = np.arange(first, first + 333)
        runtime.upload(block, 0, data)
        data[:] = -1
    assert values_of(runtime, block, 333, dtype=np.int32) == list(range(2, 335))


def test_an_upload_waits_for_launches_and_a_launch_for_uploads(runtime):
    block = block_of(runtime, np.full(9, 3, np.float32))
    other = runtime.allocate(36)
    kernel = runtime.kernel(SCALED)
    runtime.launch(kernel, (2,), (8,), [Pointer(block, 0, 9), Pointer(other, 0, 9), np.int32(9), np.float32(1)])
    runtime.upload(block, 0, np.full(9, 5, np.float32))
    assert values_of(runtime, other, 9) == [3] * 9


@pytest.mark.parametrize("offset", [-4, 8, 41])
def test_copies_beyond_a_block_are_refused(runtime, offset):
    block, data = runtime.allocate(40), np.zeros(9, np.float32)
    for copy in (runtime.upload, runtime.download):
        with pytest.raises(ValueError, match="beyond a block of 40"):
            copy(block, offset, data)
    with pytest.raises(ValueError, match="C-contiguous"):
        runtime.download(block, 0, np.zeros((3, 4), np.float32)[:, :2])


def test_memory_is_counted_and_comes_back(runtime):
    first, second = runtime.allocate(1000), runtime.allocate(500)
    assert (runtime.allocated, runtime.peak) == (1500, 1500)
    del first
    gc.collect()
    assert (runtime.allocated, runtime.peak) == (500, 1500)
    del second


def limited(runtime, monkeypatch, size):
    if runtime.simulated:
        runtime.limit = size
    else:
        monkeypatch.setattr(fake_cuda.current(), "size", size)


def test_too_little_memory_says_how_much(runtime, monkeypatch):
    limited(runtime, monkeypatch, 5_000_000)
    held = runtime.allocate(2_000_000)
    with pytest.raises(DeviceError, match=r"4\.0 MB are asked for, 3\.0 MB are free, 2\.0 MB are in use.*batch"):
        runtime.allocate(4_000_000)
    assert runtime.free_memory() == 3_000_000
    del held
    gc.collect()
    runtime.free_memory()  # which gives back what is unused
    runtime.synchronize()
    assert runtime.free_memory() == 5_000_000
    assert runtime.allocate(4_000_000).size == 4_000_000


def test_memory_of_unused_models_is_found_when_it_is_needed(machine, monkeypatch):
    runtime = cuda_runtime.runtime()
    machine.size = 1000
    cycle = {"block": runtime.allocate(800)}
    cycle["self"] = cycle
    gc.disable()
    try:
        del cycle
        assert runtime.allocate(900).size == 900
    finally:
        gc.enable()


# -- launches and graphs ----------------------------------------------------------------------------------


def test_launches_run_in_order(runtime):
    block = block_of(runtime, np.arange(9, dtype=np.float32))
    scale(runtime, block, 9)
    total = runtime.allocate(4)
    for _ in range(2):
        runtime.launch(runtime.kernel(ADDED), (1,), (4,), [Pointer(block, 2, 4), Pointer(total, 0, 1)])
        scale(runtime, block, 9)
    assert values_of(runtime, total, 1) == [2 * (2 + 3 + 4 + 5) + 4 * (2 + 3 + 4 + 5)]


def test_all_kinds_of_arguments_arrive(runtime):
    data, out = block_of(runtime, np.array([9, 200, 255, 0, 1], np.uint8)), runtime.allocate(20)
    kernel = runtime.kernel(BITS)
    arguments = [Pointer(data, 1, 4, "uint8"), Pointer(out, 1, 4, "int32")]
    runtime.launch(kernel, (1, 1), (4, 1, 1), [*arguments, np.uint32(0x7FFFFFFF)])
    assert values_of(runtime, out, 5, dtype=np.int32) == [0, 199, 254, -1, 0]
    runtime.launch(kernel, (1,), (4,), [*arguments, np.uint32(0xFFFFFFFF)])
    assert values_of(runtime, out, 5, dtype=np.int32) == [0, -7, -7, -7, -7]


def test_a_kernel_is_loaded_once(runtime):
    assert runtime.kernel(SCALED) is runtime.kernel(KernelText("again", SCALED.text, SCALED.parameters, SCALED.threads))
    assert runtime.kernel(ADDED) is not runtime.kernel(SCALED)


def test_what_does_not_fit_a_kernel_is_refused(runtime):
    block, kernel = runtime.allocate(64), runtime.kernel(SCALED)
    a, n, factor = Pointer(block, 0, 16), np.int32(16), np.float32(1)
    for arguments, message in [
        ([a, a, n], "takes 4 arguments, not 3"),
        ([a, a, 16, factor], "argument 2 is int, not int32"),
        ([a, a, np.int64(16), factor], "argument 2 is int64, not int32"),
        ([a, a, n, np.int32(1)], "argument 3 is int32, not float32"),
        ([a, Pointer(block, 0, 16, "int32"), n, factor], r"argument 1 is int32\*, not float32\*"),
    ]:
        with pytest.raises(TypeError, match=message):
            runtime.launch(kernel, (2,), (8,), arguments)
    for pointer in (Pointer(block, 1, 16), Pointer(block, -1, 4), Pointer(block, 0, -1)):
        with pytest.raises(ValueError, match="leaves its block"):
            runtime.launch(kernel, (2,), (8,), [a, pointer, n, factor])
    for grid, threads in [((), (8,)), ((0,), (8,)), ((1, 65536), (8,)), ((1,), (9,)), ((1,), (0, 8)), ((1,), (4, 3))]:
        with pytest.raises(ValueError, match="scaled: "):
            runtime.launch(kernel, grid, threads, [a, a, n, factor])


def test_a_graph_runs_what_was_captured_as_often_as_asked(runtime):
    block = block_of(runtime, np.arange(9, dtype=np.float32))
    runtime.kernel(SCALED)

    def step():
        scale(runtime, block, 9, 2.0)
        scale(runtime, block, 9, 3.0)

    graph = runtime.capture(step)
    assert values_of(runtime, block, 9) == list(range(9))
    runtime.replay(graph)
    runtime.replay(graph)
    assert values_of(runtime, block, 9) == [36 * x for x in range(9)]


def test_a_graph_keeps_what_it_refers_to(runtime):
    block, total = block_of(runtime, np.ones(4, np.float32)), runtime.allocate(4)
    runtime.kernel(ADDED)
    held = [[Pointer(block, 0, 4), Pointer(total, 0, 1)]]
    graph = runtime.capture(lambda: runtime.launch(runtime.kernel(ADDED), (1,), (4,), held[0]))
    held.clear()
    del block
    gc.collect()
    others = [runtime.allocate(16) for _ in range(3)]
    runtime.replay(graph)
    assert values_of(runtime, total, 1) == [4]
    runtime.replay(graph)
    del graph  # it may still run
    gc.collect()
    others.append(runtime.allocate(16))
    assert values_of(runtime, total, 1) == [8]


def test_nothing_but_launches_is_captured(runtime):
    block = block_of(runtime, np.ones(16, np.float32))
    graph = runtime.capture(lambda: None)
    mark = runtime.mark()
    for forbidden in (
        lambda: runtime.allocate(4),
        lambda: runtime.upload(block, 0, np.zeros(4, np.float32)),
        lambda: runtime.download(block, 0, np.zeros(4, np.float32)),
        lambda: runtime.kernel(SCALED),
        lambda: runtime.capture(lambda: None),
        lambda: runtime.replay(graph),
        lambda: runtime.copy_behind(block, 0, np.zeros(4, np.uint8)),
        lambda: runtime.wait(mark),
        lambda: runtime.wait_host(mark),
        runtime.mark,
        runtime.synchronize,
    ):
        with pytest.raises(DeviceError, match="Within a capture"):
            runtime.capture(forbidden)
    scale(runtime, block, 16)  # and it is as it was
    assert values_of(runtime, block, 16) == [2] * 16


def test_memory_is_not_freed_within_a_capture(runtime):
    block, gone = block_of(runtime, np.ones(4, np.float32)), [runtime.allocate(64), runtime.pinned(8)]
    runtime.kernel(SCALED)

    def step():
        scale(runtime, block, 4)
        gone.clear()

    runtime.replay(runtime.capture(step))
    assert values_of(runtime, block, 4) == [2] * 4
    runtime.allocate(4)


def test_time_is_taken_in_seconds(runtime):
    block = runtime.allocate(64)
    assert 0 <= runtime.elapsed(lambda: scale(runtime, block, 16)) < 60


# -- copies behind the computation --------------------------------------------------------------------------


def streamed(runtime, wait=True, after=True, wait_host=True):
    """Sums of batches that pass through two buffers on each side, as training streams data."""
    kernel, total = runtime.kernel(ADDED), runtime.allocate(4)
    blocks = [runtime.allocate(16) for _ in range(2)]
    pinned = [runtime.pinned(16) for _ in range(2)]
    copied, used = [None, None], [None, None]
    for batch in range(5):
        side = batch % 2
        if wait_host and copied[side] is not None:
            runtime.wait_host(copied[side])
        pinned[side].view(np.float32)[:] = 10.0**batch
        copied[side] = runtime.copy_behind(blocks[side], 0, pinned[side], used[side] if after else None)
        if wait:
            runtime.wait(copied[side])
        runtime.launch(kernel, (1,), (4,), [Pointer(blocks[side], 0, 4), Pointer(total, 0, 1)])
        used[side] = runtime.mark()
    return values_of(runtime, total, 1)


def test_copies_behind_the_computation(runtime):
    assert streamed(runtime) == [44444.0]


def test_the_first_copy_comes_after_the_memory_is_zeroed(runtime):
    block, pinned = runtime.allocate(8), runtime.pinned(8)
    pinned[:] = 5
    runtime.wait(runtime.copy_behind(block, 0, pinned))
    assert values_of(runtime, block, 8, dtype=np.uint8) == [5] * 8


def test_a_copy_keeps_its_memory(runtime):
    block, pinned = runtime.allocate(8), runtime.pinned(8)
    pinned[:] = 5
    mark = runtime.copy_behind(block, 4, pinned[:4])
    del pinned
    gc.collect()
    runtime.pinned(8)[:] = 9
    runtime.allocate(8)
    runtime.wait(mark)
    assert values_of(runtime, block, 8, dtype=np.uint8) == [0] * 4 + [5] * 4
    runtime.copy_behind(block, 0, runtime.pinned(8))
    runtime.synchronize()
    assert values_of(runtime, block, 8, dtype=np.uint8) == [0] * 8


@pytest.mark.parametrize("missing", ["wait", "after", "wait_host"])
def test_a_missing_wait_gives_wrong_data(monkeypatch, missing):
    """Under one of the schedules at least: the stand-in can tell."""
    results = {}
    for name, eager in SCHEDULES.items():
        fake_cuda.install(monkeypatch, eager=eager)
        results[name] = streamed(cuda_runtime.runtime(), **{missing: False}) == [44444.0]
    assert not all(results.values()), results
    if missing == "wait":  # the simulator computes at once, and copies when it must
        assert streamed(simulated.SimulatedRuntime(), **{missing: False}) != [44444.0]


def test_a_stage_that_is_used_again_too_early_is_seen(machine, monkeypatch):
    monkeypatch.setattr(cuda_runtime, "STAGE_SIZE", 64)
    runtime, data = cuda_runtime.runtime(), np.arange(333, dtype=np.int32)
    block = runtime.allocate(data.nbytes)

    def free_stage():
        runtime._stages.rotate(-1)
        return runtime._stages[-1]

    runtime.upload(block, 0, data)
    monkeypatch.setattr(runtime, "_free_stage", free_stage)
    runtime.upload(block, 0, data[::-1])
    assert values_of(runtime, block, 333, dtype=np.int32) != list(range(332, -1, -1))


def test_a_copy_that_does_not_wait_for_the_zeroing_is_seen(monkeypatch):
    fake_cuda.install(monkeypatch, eager=(1,))
    runtime = cuda_runtime.runtime()
    monkeypatch.setattr(runtime._behind, "wait", lambda event: None)
    block, pinned = runtime.allocate(8), runtime.pinned(8)
    pinned[:] = 5
    runtime.wait(runtime.copy_behind(block, 0, pinned))
    assert values_of(runtime, block, 8, dtype=np.uint8) == [0] * 8


def test_a_free_within_a_capture_is_seen(machine, monkeypatch):
    runtime = cuda_runtime.runtime()
    block = runtime._local.device.allocate(16, stream=runtime._compute)
    with pytest.raises(fake_cuda.Misuse, match="freed within a capture"):
        runtime.capture(block.close)


# -- failures -----------------------------------------------------------------------------------------------


def everything(runtime):
    block = block_of(runtime, np.ones(16, np.float32))
    runtime.kernel(SCALED)
    graph = runtime.capture(lambda: scale(runtime, block, 16))
    runtime.replay(graph)
    pinned = runtime.pinned(64)
    runtime.wait(runtime.copy_behind(block, 0, pinned, runtime.mark()))
    values_of(runtime, block, 16)
    runtime.free_memory()
    runtime.synchronize()
    return block


def test_a_lost_device_is_told_wherever_it_is_noticed(monkeypatch):
    machine = fake_cuda.install(monkeypatch)
    runtime = cuda_runtime.runtime()
    before = machine.calls.total()
    everything(runtime)
    for call in range(machine.calls.total() - before):
        machine = fake_cuda.install(monkeypatch)
        runtime = cuda_runtime.runtime()
        machine.fail(call, "CUDA_ERROR_LAUNCH_FAILED")
        with pytest.raises(DeviceLostError, match=r"Fake GPU is lost: a kernel failed.*those of the last pull"):
            everything(runtime)
        assert runtime.lost
        calls = machine.calls.total()
        for use, arguments in [(runtime.allocate, [4]), (runtime.synchronize, []), (runtime.capture, [runtime.mark])]:
            with pytest.raises(DeviceLostError, match="is lost: a kernel failed"):
                use(*arguments)
        assert machine.calls.total() == calls
        assert not runtime.lock._is_owned()


def test_a_device_survives_errors_that_are_not_sticky(monkeypatch):
    machine = fake_cuda.install(monkeypatch)
    runtime = cuda_runtime.runtime()
    before = machine.calls.total()
    everything(runtime)
    for call in range(machine.calls.total() - before):
        machine = fake_cuda.install(monkeypatch)
        runtime = cuda_runtime.runtime()
        machine.fail(call, "CUDA_ERROR_INVALID_VALUE")
        with pytest.raises(DeviceError, match="Fake GPU refused: CUDA_ERROR_INVALID_VALUE") as caught:
            everything(runtime)
        assert not isinstance(caught.value, DeviceLostError)
        assert machine.capturing == 0
        for _ in range(2):
            everything(runtime)


def test_a_kernel_that_leaves_its_memory_is_noticed(runtime):
    block = runtime.allocate(16)
    if runtime.simulated:
        with pytest.raises(IndexError) as caught:
            runtime.launch(runtime.kernel(OUTSIDE), (1,), (1,), [Pointer(block, 0, 4)])
        assert caught.value.__notes__ == ["in the kernel 'outside'"]
        return
    with pytest.raises(DeviceLostError, match="a kernel reached for memory that is not its own"):
        (runtime.launch(runtime.kernel(OUTSIDE), (1,), (1,), [Pointer(block, 0, 4)]), runtime.synchronize())


def test_the_simulator_refuses_indices_below_zero_and_large_blocks():
    runtime = simulated.SimulatedRuntime()
    block = runtime.allocate(256)
    below = KernelText("below", "def run(a):\n    a[cuda.threadIdx.x - 1] = float32(1.0)\n", ("float32*",), 64)
    with pytest.raises(IndexError, match="below zero"):
        runtime.launch(runtime.kernel(below), (1,), (1,), [Pointer(block, 4, 4)])
    with pytest.raises(ValueError, match="at most 32 threads"):
        runtime.launch(runtime.kernel(below), (1,), (33,), [Pointer(block, 4, 4)])


def test_division_by_zero_does_not_warn_in_the_simulator():
    runtime = simulated.SimulatedRuntime()
    block = runtime.allocate(4)
    divided = KernelText("divided", "def run(a):\n    a[0] = float32(1.0) / a[0]\n", ("float32*",), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runtime.launch(runtime.kernel(divided), (1,), (1,), [Pointer(block, 0, 1)])
    assert values_of(runtime, block, 1) == [np.inf]


def test_there_is_one_runtime_for_a_device_and_none_for_none(machine):
    assert cuda_runtime.runtime() is cuda_runtime.runtime(0)
    assert simulated.runtime() is simulated.runtime()
    with pytest.raises(DeviceError, match=r"cuda:3 cannot be used.*nbdl doctor"):
        cuda_runtime.runtime(3)


def test_a_kernel_that_the_driver_refuses_has_a_remedy(machine):
    runtime = cuda_runtime.runtime()
    machine.fail(2, "CUDA_ERROR_OUT_OF_MEMORY")  # after set_current and get_kernel
    with pytest.raises(DeviceError, match="smaller batch"):
        runtime.kernel(SCALED)
    assert runtime.kernel(SCALED).text is SCALED


def test_a_kernel_too_new_for_the_driver_is_linked(machine):
    runtime = cuda_runtime.runtime()
    machine.old_driver, machine.nvjitlink = True, False
    with pytest.raises(DeviceError, match="The driver is older than the CUDA toolkit"):
        runtime.kernel(SCALED)
    machine.nvjitlink = True
    block = block_of(runtime, np.ones(9, np.float32))
    scale(runtime, block, 9)
    assert values_of(runtime, block, 9) == [2] * 9
    machine.old_driver = False
    runtime.kernel(ADDED)
    assert machine.calls["link"] == 1


def test_other_threads_come_in_when_it_is_known_that_the_device_is_lost(machine, monkeypatch):
    runtime, told = cuda_runtime.runtime(), []
    explained = runtime._explained

    def use():
        try:
            runtime.synchronize()
        except DeviceLostError as error:
            told.append(error)

    other = threading.Thread(target=use)

    def slowly_explained(error):
        monkeypatch.setattr(runtime, "_explained", explained)
        other.start()
        other.join(0.2)
        return explained(error)

    monkeypatch.setattr(runtime, "_explained", slowly_explained)
    machine.fail(1, "CUDA_ERROR_LAUNCH_FAILED")  # after set_current
    with pytest.raises(DeviceLostError):
        runtime.synchronize()
    other.join()
    assert len(told) == 1
    assert machine.calls["set_current"] == 2  # by its making and by this thread


def test_a_forked_child_is_told(runtime):
    block = runtime.allocate(4)
    read, write = os.pipe()
    held, done = threading.Event(), threading.Event()

    def hold():
        with runtime.lock:  # which in the child nobody will release
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            runtime.upload(block, 0, np.zeros(1, np.float32))
        except DeviceError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    done.set()
    thread.join()
    os.close(write)
    with os.fdopen(read) as pipe:
        assert "before this process was forked" in pipe.read()
    os.waitpid(child, 0)
    assert values_of(runtime, block, 1) == [0]


def test_any_thread_may_use_and_drop_memory(runtime):
    held = [block_of(runtime, np.arange(9, dtype=np.float32))]
    results = []

    def work():
        scale(runtime, held[0], 9)
        results.append(values_of(runtime, held[0], 9))
        held.clear()

    for _ in range(2):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        held.append(block_of(runtime, np.ones(9, np.float32)))
    assert results == [[2.0 * x for x in range(9)], [2.0] * 9]


# -- cuBLAS -------------------------------------------------------------------------------------------------


@pytest.fixture
def library(monkeypatch):
    library = Library()
    monkeypatch.delenv("NBDL_CUBLAS", raising=False)
    monkeypatch.setattr(cublas, "_loaded", lambda: library)
    return library


def multiplied(runtime, transpose_a, transpose_b, captured=False, m=5, n=4, k=7):
    """A product of two matrices whose rows are further apart than they are long, and what it should be."""
    if runtime.simulated:
        runtime.library = "13.2.0"
    assert runtime.cublas == "13.2.0"
    rng = np.random.default_rng(0)
    a = rng.normal(size=(k, m + 2) if transpose_a else (m, k + 2)).astype(np.float32)
    b = rng.normal(size=(n, k + 4) if transpose_b else (k, n + 4)).astype(np.float32)
    left, right = a[:, :-2].T if transpose_a else a[:, :-2], b[:, :-4].T if transpose_b else b[:, :-4]
    first, second, out = block_of(runtime, a), block_of(runtime, b), runtime.allocate(4 * (m * n + 2))
    arguments = Pointer(first, 0, a.size), Pointer(second, 0, b.size), Pointer(out, 1, m * n)
    sizes = {"m": m, "n": n, "k": k, "lda": a.shape[1], "ldb": b.shape[1]}
    sizes |= {"transpose_a": transpose_a, "transpose_b": transpose_b}

    def run():
        runtime.product(*arguments, **sizes)

    if captured:
        runtime.warm(*arguments, **sizes)
        runtime.upload(out, 0, np.zeros(m * n + 2, np.float32))
        runtime.warm(*arguments, **sizes)  # which now is nothing
        graph = runtime.capture(run)
        assert values_of(runtime, out, m * n + 2) == [0] * (m * n + 2)
        runtime.replay(graph)
    else:
        run()
    result = values_of(runtime, out, m * n + 2)
    assert (result[0], result[-1]) == (0, 0)
    return np.array(result[1:-1]).reshape(m, n), left @ right


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_products_are_row_by_row(runtime, library, transpose_a, transpose_b):
    np.testing.assert_allclose(*multiplied(runtime, transpose_a, transpose_b), rtol=1e-5, atol=1e-6)


def test_products_are_captured(runtime, library):
    np.testing.assert_allclose(*multiplied(runtime, False, True, captured=True), rtol=1e-5, atol=1e-6)


def test_a_product_is_warm_for_its_sizes_strides_and_places(runtime, library):
    if runtime.simulated:
        runtime.library = "13.2.0"
    assert runtime.cublas
    block = block_of(runtime, np.ones(64, np.float32))
    a, b, out = (Pointer(block, start, 8) for start in (0, 16, 32))
    sizes = {"m": 2, "n": 2, "k": 2, "lda": 2, "ldb": 2}

    def runs(*pointers, **changed):
        """Whether `warm` runs a product."""
        runtime.upload(block, 4 * 32, np.zeros(16, np.float32))
        runtime.warm(*pointers, **{**sizes, **changed})
        return any(values_of(runtime, block, 16, offset=4 * 32))

    assert runs(a, b, out)
    assert not runs(a, b, out)
    assert not runs(b, a, out)
    with pytest.raises(DeviceError, match="Within a capture a product is run"):
        runtime.capture(lambda: runtime.warm(a, b, out, **sizes))
    if runtime.simulated:  # the stand-in does not let it come to this
        runtime.capture(lambda: runtime.product(a, b, out, **{**sizes, "n": 1}))
        assert runs(a, b, out, n=1)
    for changed in ({"m": 1}, {"lda": 3}, {"transpose_b": True}, {"tf32": True}):
        assert runs(a, b, out, **changed)
        assert not runs(a, b, out, **changed)
    assert runs(a, b, Pointer(block, 33, 8))  # whose address is a multiple of 4 bytes only


def test_a_product_that_first_runs_within_a_capture_is_seen(machine, library):
    runtime = cuda_runtime.runtime()
    assert runtime.cublas
    pointer = Pointer(runtime.allocate(64), 0, 16)
    with pytest.raises(fake_cuda.Misuse, match="within a capture"):
        runtime.capture(lambda: runtime.product(*[pointer] * 3, 1, 1, 1, 1, 1))
    runtime.product(*[pointer] * 3, 1, 1, 1, 1, 1)
    runtime.capture(lambda: runtime.product(*[pointer] * 3, 1, 1, 1, 1, 1))


def test_a_product_that_cublas_refuses_is_a_device_error(machine, library, monkeypatch):
    runtime = cuda_runtime.runtime()
    assert runtime.cublas
    pointer = Pointer(runtime.allocate(64), 0, 16)
    with monkeypatch.context() as patch:
        patch.setattr(library, "cublasGemmEx", lambda *arguments: 14)
        with pytest.raises(DeviceError, match=r"cublasGemmEx failed with status 14.*NBDL_CUBLAS=0") as caught:
            runtime.product(*[pointer] * 3, 1, 1, 1, 1, 1)
    assert not isinstance(caught.value, DeviceLostError)
    assert not runtime.lost
    runtime.product(*[pointer] * 3, 1, 1, 1, 1, 1)


def test_a_product_after_a_kernel_that_failed_names_what_failed(machine, library, monkeypatch):
    runtime = cuda_runtime.runtime()
    assert runtime.cublas
    pointer = Pointer(runtime.allocate(64), 0, 16)
    monkeypatch.setattr(runtime, "_make_current", lambda: None)  # which would see it here
    machine.dead = "CUDA_ERROR_ILLEGAL_ADDRESS"
    with pytest.raises(DeviceLostError, match="reached for memory that is not its own"):
        runtime.product(*[pointer] * 3, 1, 1, 1, 1, 1)
    assert "memory that is not its own" in runtime.lost


def test_a_device_that_is_lost_while_cublas_starts_is_lost(machine, library):
    runtime = cuda_runtime.runtime()
    machine.fail(2, "CUDA_ERROR_ECC_UNCORRECTABLE")  # after set_current, twice: when the workspace is allocated
    with pytest.raises(DeviceLostError, match="could not be corrected"):
        _ = runtime.cublas


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_swapped_strides_are_seen(machine, library, monkeypatch, transpose_a, transpose_b):
    right = cublas.Cublas.product

    def swapped(self, product, stream):
        right(self, dataclasses.replace(product, lda=product.ldb, ldb=product.lda), stream)

    monkeypatch.setattr(cublas.Cublas, "product", swapped)
    try:
        found, wanted = multiplied(cuda_runtime.runtime(), transpose_a, transpose_b)
    except DeviceError:
        return  # cuBLAS, or the device, refuses it
    assert not np.allclose(found, wanted)


def test_float32_stays_float32_unless_tf32_is_asked_for(machine, library):
    runtime = cuda_runtime.runtime()
    multiplied(runtime, False, False)
    block = runtime.allocate(4)
    runtime.product(*[Pointer(block, 0, 1)] * 3, 1, 1, 1, 1, 1, tf32=True)
    assert library.computes == [68, 77]


def test_matrices_that_are_too_large_are_refused(runtime, library):
    pointer = Pointer(runtime.allocate(64), 0, 16)
    for m, n, k, lda, ldb in [(5, 1, 4, 4, 1), (1, 5, 4, 4, 5), (4, 4, 4, 3, 4), (4, 4, 4, 5, 4), (0, 1, 1, 1, 1)]:
        with pytest.raises(ValueError, match="matrix"):
            runtime.product(pointer, pointer, pointer, m, n, k, lda, ldb)


def test_cublas_is_not_required(monkeypatch, library):
    fake_cuda.install(monkeypatch)
    library.works = False
    assert cuda_runtime.runtime().cublas == ""
    assert cublas.found() == "13.2.0"
    monkeypatch.setattr(cublas, "_loaded", lambda: None)
    fake_cuda.install(monkeypatch)
    assert cuda_runtime.runtime().cublas == cublas.found() == ""
    monkeypatch.setattr(cublas, "_loaded", lambda: library)
    monkeypatch.setenv("NBDL_CUBLAS", "0")
    assert cublas.found() == ""


# -- a training, whole --------------------------------------------------------------------------------------


def trained(device):
    rng = np.random.default_rng(0)
    model = nbdl.Sequential([Dense(5, "tanh"), Dropout(0.25), Dense(2)], seed=1)
    model.compile("adam", "mse", device=device)
    model.fit(rng.normal(size=(13, 4)), rng.normal(size=(13, 2)), epochs=1, batch_size=2, verbose=0)
    return np.concatenate([array.ravel() for array in model.get_weights()])


@pytest.mark.parametrize("case", ["late", "copies first, streamed", "late, cublas"])
def test_a_training_gives_the_same_on_both_runtimes(monkeypatch, library, case):
    """What the simulator computes at once, the stand-in computes in streams and graphs, to the same bits."""
    runtimes = [simulated.SimulatedRuntime()]
    fake_cuda.install(monkeypatch, eager=SCHEDULES[case.partition(",")[0]])
    runtimes.append(cuda_runtime.runtime())
    sizes = dataclasses.replace(SIMULATOR, library=1 if "cublas" in case else SIMULATOR.library)
    monkeypatch.setattr(executor, "SIMULATOR", sizes)
    monkeypatch.setattr(feed, "RESIDENT_SHARE", 0.0 if "streamed" in case else 0.6)
    results = []
    for runtime in runtimes:
        runtime.simulated, runtime.library = True, "13.2.0"  # for the simulator's sizes, and its cuBLAS
        monkeypatch.setattr("nbdl.engine.cuda.open_runtime", lambda number, runtime=runtime: runtime)
        results.append(trained("cuda"))
    calls = fake_cuda.current().calls
    assert calls["graph.launch"] > 1
    assert (calls["event.is_done"] > 0) == ("streamed" in case)
    assert bool(library.computes) == ("cublas" in case)
    np.testing.assert_allclose(results[0], trained("cpu"), rtol=1e-5, atol=1e-6)
    if "cublas" in case:  # whose sums NumPy orders by how the matrices lie
        np.testing.assert_allclose(results[1], results[0], rtol=1e-5, atol=1e-6)
    else:
        assert results[1].tobytes() == results[0].tobytes()


# -- the stand-in against the real ones ---------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:cuda.bindings.nvjitlink:RuntimeWarning")  # which nothing here needs
@pytest.mark.skipif(importlib.util.find_spec("cuda") is None, reason="cuda-core is not installed")
def test_the_stand_in_has_nothing_that_cuda_core_has_not():
    """The runtime runs on the stand-in, so what it uses is part of it, and what is part of it must be real."""
    import cuda.core as real
    from cuda.bindings import driver
    from cuda.core import graph
    from fake_cuda import core as fake

    fakes = {name: getattr(fake, name) for name in ("Event", "Stream", "Kernel", "Graph", "GraphBuilder")}
    modules = fake.modules()
    fakes |= {name: item for name, item in vars(modules["cuda.core"]).items() if not name.startswith("_")}
    compared = 0
    for name, item in fakes.items():
        genuine = next(getattr(place, name) for place in (real, graph, real._event) if hasattr(place, name))
        methods = {"__call__": item} if inspect.isfunction(item) else vars(item)
        for method, function in methods.items():
            function = getattr(function, "__func__", function)
            if (method.startswith("_") and method != "__call__") or not inspect.isfunction(function):
                continue
            parameters = inspect.signature(getattr(genuine, method) if method != "__call__" else genuine).parameters
            for parameter in list(inspect.signature(function).parameters.values()):
                assert parameter.name == "self" or parameters[parameter.name].kind == parameter.kind, (name, method)
                compared += 1
    assert compared > 40
    pool = real._memory._memory_pool._MemPoolAttributes
    for place, names in [
        (real.Kernel, "num_arguments handle"),
        (real.Stream, "handle"),
        (real.Event, "is_done __sub__"),
        (real.Buffer, "handle"),
        (real.Device, "name compute_capability memory_resource"),
        (real.DeviceMemoryResource, "attributes"),
        (pool, "reserved_mem_current used_mem_current"),
        (graph.GraphBuilder, "stream"),
        (driver, " ".join(name for name in vars(modules["cuda.bindings.driver"]) if name.startswith("cu"))),
    ]:
        assert all(hasattr(place, name) for name in names.split()), (place, names)
    assert real.LaunchConfig(grid=(3, 2), block=(8,)).grid == (3, 2, 1)
    assert real.StreamOptions(nonblocking=True).nonblocking
    assert real.EventOptions(timing_enabled=True).timing_enabled
    assert real.LinkerOptions(arch="sm_90").arch == "sm_90"
    assert issubclass(driver.CUresult, int)
    assert driver.CUkernel(7)


COMPILE = """
import json, sys
from nbdl.engine.cuda.compiler import compile_ptx
from nbdl.engine.cuda.kernel_text import KernelText

texts = [KernelText(title, text, tuple(types), threads) for title, text, types, threads in json.load(sys.stdin)]
print(json.dumps([compile_ptx(text, (9, 0)).text for text in texts]))
"""


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
def test_compiled_kernels_take_the_arguments_that_their_texts_say(machine):
    """The simulator knows no types, so the compiler is asked in a process without it."""
    texts = [SCALED, ADDED, BITS]
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], input=json.dumps([dataclasses.astuple(text) for text in texts]),
        capture_output=True, text=True, env=environment, cwd=Path(__file__).parent.parent, check=True,
    )  # fmt: skip
    machine.ptx.update(zip(texts, json.loads(done.stdout), strict=True))
    runtime = cuda_runtime.runtime()
    block = block_of(runtime, np.ones(16, np.float32))
    scale(runtime, block, 16)
    assert values_of(runtime, block, 16) == [2] * 16
    for text in texts:
        runtime.kernel(text)
    machine.ptx[SCALED] = machine.ptx[SCALED].replace(".param .f32", ".param .f64")
    with pytest.raises(fake_cuda.Misuse, match="bytes for parameters"):
        scale(runtime, block, 16)
