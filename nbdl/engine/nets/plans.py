"""Plans: how any compiled function can run a net, one row or many, forward or backward.

They are what the driver's tables are to `fit`, for callers that are compiled themselves. A plan holds the descriptors
of one executor; `run_plan` calls their kernels one after another. The frame and the work area live on the caller's
stack, or on the heap where they are large, so any number of threads can share them.

A net is the address of a few words, which name the plans. What compiled code keeps is at most that address; those of
kernels and weights are written into the words when a process makes them, and a function that was cached holds none.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import numpy as np
from numba.extending import register_jitable

from nbdl.engine.compiler import address, load
from nbdl.engine.cpu.executor import CpuExecutor
from nbdl.engine.cpu.intrinsics import call, data_of, flush_denormals, restore_denormals, store_0, word, write_word
from nbdl.engine.cpu.layout import (
    BATCH,
    CONSTANTS,
    FRAME_WORDS,
    OP_HEIGHT,
    OP_KERNEL,
    OP_WIDTH,
    OP_WORDS,
    OUTPUT,
    ROWS,
    SCALARS,
    STORE,
    WORK,
)
from nbdl.engine.cpu.matmul import scratch
from nbdl.engine.emit import function_text
from nbdl.engine.run import Words
from nbdl.engine.store import Store
from nbdl.engine.trial import rehearse
from nbdl.program.operation import Program

# Words of a net: addresses of `run_plan` and of the store's word that says that it is stale, sizes of a row, plans.
RUN, STALE, INPUTS, OUTPUTS, FORWARD_ROW, FORWARD_ROWS, BACKWARD_ROW, BACKWARD_ROWS, NET_WORDS = range(9)

# Words of a plan; the descriptors follow.
PLAN_ROWS, PLAN_WORK, PLAN_COUNT, PLAN_STORE, PLAN_CONSTANTS, PLAN_X, PLAN_DY, PLAN_OUT, PLAN_OPS = range(9)

STACK_FLOATS = 16_384  # 64 kB: some threads have no more than 512
MOST_ROWS = 256
MOST_FLOATS = 1 << 18


def run_rows(area: int, plan: int, x: int, dy: int, rows: int, out: int) -> int:
    """Run a plan over all rows, as many at once as it was made for, in a work area of its own; return a status."""
    size, count = word(plan, PLAN_ROWS), word(plan, PLAN_COUNT)
    frame, scalars = area, area + 8 * FRAME_WORDS
    write_word(frame, STORE, word(plan, PLAN_STORE))
    write_word(frame, CONSTANTS, word(plan, PLAN_CONSTANTS))
    write_word(frame, WORK, scalars + 64)
    write_word(frame, SCALARS, scalars)
    first, status, mode = 0, 0, flush_denormals()
    while first < rows and status == 0:
        now = min(size, rows - first)
        store_0(scalars, 0, np.float32(now))
        write_word(frame, ROWS, now)
        write_word(frame, BATCH, x + first * word(plan, PLAN_X))
        write_word(frame, BATCH + 1, dy + first * word(plan, PLAN_DY))
        write_word(frame, OUTPUT, out + first * word(plan, PLAN_OUT))
        op = plan + 8 * PLAN_OPS
        for _ in range(count):
            height = word(op, OP_HEIGHT)
            if height < 0:
                height = now
            status |= call(word(op, OP_KERNEL), frame, op, 0, height, 0, word(op, OP_WIDTH), 0, 1)
            op += 8 * OP_WORDS
        first += now
    restore_denormals(mode)
    return status


setattr(run_rows, "policy", "called")  # noqa: B010


def run_plan(plan: int, x: int, dy: int, rows: int, out: int, _5: int, _6: int, _7: int) -> int:
    """A kernel: out = f(x), or f'(x)ᵀ·dy, for rows of float32 at these addresses."""
    size = word(plan, PLAN_WORK) + 2 * FRAME_WORDS + 32
    if size <= STACK_FLOATS:
        status = run_rows(scratch(size), plan, x, dy, rows, out)
    else:
        area = np.empty(size, np.float32)
        status = run_rows((data_of(area) + 63) // 64 * 64, plan, x, dy, rows, out)
        area[0] = 0.0  # lives until here
    return status


@functools.cache
def runner() -> int:
    """The address of `run_plan`."""
    return address(load(function_text(run_plan, "kernel")))


# -- what compiled code calls, and Python --------------------------------------------------------------------


# Arrays become numbers at once: a reference that is held over several calls that may raise is counted up and down.


@register_jitable
def refuse(net: int, features: int, fits: bool) -> None:
    """Raise unless the net is its model's still, and the arrays fit."""
    if word(word(net, STALE), 0) != 0:
        raise RuntimeError("the model has other layers now than when as_njit() was called: call it again")
    if features != word(net, INPUTS):
        raise ValueError("x: a row has another number of features than the model takes (net.inputs)")
    if not fits:
        raise ValueError("the sizes of out, or of dy, do not go with those of x and of the model")


@register_jitable
def refuse_without_derivatives(net: int) -> None:
    """Raise unless the net has plans to go backward."""
    if word(net, BACKWARD_ROW) == 0:
        raise ValueError("the net was made without derivatives: use model.as_njit(derivatives=True)")


@register_jitable
def refuse_outside(status: int) -> None:
    """Raise where a hand-written body did not keep to its arrays."""
    if status != 0:
        raise RuntimeError("a hand-written body reaches outside an array with these data: model.predict names the line")


@register_jitable
def predict(net: int, x: int, rows: int, features: int, out: int, out_rows: int, out_features: int) -> None:
    """out = f(x) for rows at addresses."""
    refuse(net, features, out_rows == rows and out_features == word(net, OUTPUTS))
    plan = word(net, FORWARD_ROW if rows == 1 else FORWARD_ROWS)
    refuse_outside(call(word(net, RUN), plan, x, 0, rows, out, 0, 0, 0))


@register_jitable
def vjp(net: int, x: int, rows: int, features: int, dy: int, out: int, fits: bool) -> None:
    """out = f'(x)ᵀ·dy for rows at addresses."""
    refuse(net, features, fits)
    refuse_without_derivatives(net)
    plan = word(net, BACKWARD_ROW if rows == 1 else BACKWARD_ROWS)
    refuse_outside(call(word(net, RUN), plan, x, dy, rows, out, 0, 0, 0))


@register_jitable
def predict_row(net: int, x: Any, out: Any) -> None:
    """out = f(x) of one row."""
    predict(net, data_of(x), 1, x.size, data_of(out), 1, out.size)


@register_jitable
def predict_rows(net: int, x: Any, out: Any) -> None:
    """out = f(x) of each row."""
    predict(net, data_of(x), x.shape[0], x.shape[1], data_of(out), out.shape[0], out.shape[1])


@register_jitable
def vjp_row(net: int, x: Any, dy: Any, out: Any) -> None:
    """out = f'(x)ᵀ·dy of one row."""
    fits = dy.size == word(net, OUTPUTS) and out.size == x.size
    vjp(net, data_of(x), 1, x.size, data_of(dy), data_of(out), fits)


@register_jitable
def vjp_rows(net: int, x: Any, dy: Any, out: Any) -> None:
    """out = f'(x)ᵀ·dy of each row."""
    rows, features = x.shape
    fits = dy.shape == (rows, word(net, OUTPUTS)) and out.shape == (rows, features)
    vjp(net, data_of(x), rows, features, data_of(dy), data_of(out), fits)


@register_jitable
def jacobian_row(net: int, x: Any, out: Any) -> None:
    """out = f'(x), outputs × inputs: a vjp for each output, all at once."""
    outputs, features = word(net, OUTPUTS), x.size
    fits = out.shape == (outputs, features)
    xs, dy = np.empty((outputs, features), np.float32), np.zeros((outputs, outputs), np.float32)
    for i in range(outputs):
        xs[i] = x
        dy[i, i] = 1.0
    vjp(net, data_of(xs), outputs, features, data_of(dy), data_of(out), fits)
    xs[0, 0] = dy[0, 0] = 0.0  # they live until here


@register_jitable
def jacobian_rows(net: int, x: Any, out: Any) -> None:
    """out = f'(x) of each row: rows × outputs × inputs."""
    refuse(net, x.shape[1], out.shape[0] == x.shape[0])
    refuse_without_derivatives(net)
    for i in range(x.shape[0]):
        jacobian_row(net, x[i], out[i])


ROW, MATRIX, CUBE = "float32[::1]", "float32[:, ::1]", "float32[:, :, ::1]"
SIGNATURES = {
    predict_row: f"void(int64, {ROW}, {ROW})",
    predict_rows: f"void(int64, {MATRIX}, {MATRIX})",
    vjp_row: f"void(int64, {ROW}, {ROW}, {ROW})",
    vjp_rows: f"void(int64, {MATRIX}, {MATRIX}, {MATRIX})",
    jacobian_row: f"void(int64, {ROW}, {MATRIX})",
    jacobian_rows: f"void(int64, {MATRIX}, {CUBE})",
}


@functools.cache
def from_python(function: Any) -> Any:
    """One of these functions, compiled for a caller in Python."""
    return load(function_text(function, f'entry("{SIGNATURES[function]}")'))


# -- making one -----------------------------------------------------------------------------------------------


_gone = np.ones(1, np.int64)
_retired: list[Words] = []


def _retire(words: Words) -> None:
    """Keep a net's words for ever, as stale: whatever compiled code still holds their address is refused."""
    words[STALE] = _gone.ctypes.data
    _retired.append(words)


class Plans:
    """The words of a net, and all that they point to.

    Args:
        store: the model's weights.
        forward_program: x → y.
        backward_program: x, dy → dx, or None.
    """

    def __init__(self, store: Store, forward_program: Program, backward_program: Program | None = None) -> None:
        self.store, self._executors, self._plans = store, list[CpuExecutor](), list[Words]()
        self.words = np.zeros(NET_WORDS, np.int64)
        weakref.finalize(self, _retire, self.words)
        self.words[RUN] = runner()
        self.words[STALE] = store.stale.ctypes.data
        rehearse(forward_program, store)
        if backward_program is not None:
            rehearse(backward_program, store)
        output = forward_program.output
        assert output is not None
        self.words[INPUTS], self.words[OUTPUTS] = forward_program.inputs[0].features, output.features
        self._plan(FORWARD_ROW, forward_program)
        if backward_program is not None:
            self._plan(BACKWARD_ROW, backward_program)

    @property
    def address(self) -> int:
        """Where the words lie."""
        return int(self.words.ctypes.data)

    def _plan(self, word: int, program: Program) -> None:
        self.words[word] = self._one_plan(program, 1)
        self.words[word + 1] = self._one_plan(program, _rows_at_once(program))

    def _one_plan(self, program: Program, rows: int) -> int:
        executor = CpuExecutor(program, self.store, rows, [None] * len(program.inputs), whole=True)
        output = program.output
        assert output is not None
        plan = np.zeros(PLAN_OPS + executor.ops.size, np.int64)
        plan[PLAN_ROWS], plan[PLAN_WORK], plan[PLAN_COUNT] = rows, executor.memory.size, len(executor.ops)
        plan[PLAN_X], plan[PLAN_OUT] = 4 * program.inputs[0].features, 4 * output.features
        if len(program.inputs) > 1:
            plan[PLAN_DY] = 4 * program.inputs[1].features
        plan[PLAN_STORE], plan[PLAN_CONSTANTS] = self.store.address, executor.constants.ctypes.data
        plan[PLAN_OPS:] = executor.ops.reshape(-1)
        self._executors.append(executor)
        self._plans.append(plan)
        return int(plan.ctypes.data)


def _rows_at_once(program: Program) -> int:
    """As many as keep the work area within bounds, a power of two."""
    most = max(2, min(MOST_ROWS, MOST_FLOATS // max(1, program.row_floats)))
    return 1 << (most.bit_length() - 1)
