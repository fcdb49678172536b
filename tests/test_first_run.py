"""The first run of a hand-written body is looked at, on every way to run it: nothing is read or written beside arrays.

Each test makes functions of its own, since a body is tried once in a process.
"""

from __future__ import annotations

import ctypes
import textwrap
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import Layer, Sequential
from nbdl.engine import trial
from nbdl.errors import KernelError
from nbdl.layers import Dense
from nbdl.units.registry import registry

GOOD = """
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, j]
"""
BODIES = {
    "writes beyond a narrow output": "for i in range(x.shape[0]):\n    for j in range(6):\n        y[i, j] = 1.0",
    "reads beyond": "for i in range(x.shape[0]):\n    y[i, 0] = x[i, 6]",
    "reads the next row": "for i in range(x.shape[0]):\n    y[i, 0] = x[i + 1, 0]",
    "takes rows for columns": "for i in range(x.shape[0]):\n"
    "    y[i, 1] = y[i, 2] = 0.0\n    for j in range(len(x)):\n        y[i, 0] = x[i, j]",
    "takes columns for rows": "for i in range(x.shape[1]):\n    y[i, 0] = x[i, 0]",
    "indexes by data": "for i in range(x.shape[0]):\n"
    "    for j in range(3):\n        y[i, j] = 0.0\n    y[i, int(x[i, 0])] = 1.0",
    "slices of two sizes": "for i in range(x.shape[0]):\n    y[i, :] = x[i, :4]",
    "product of other sizes": "gemm(x, x, y, transpose_b=True)",
}


def made(text: str, folder: Path, head: str = "body(x, y)", name: str = "body") -> Any:
    """A function from a file of its own."""
    path = folder / f"{name}_{len(list(folder.iterdir()))}.py"
    head_of_file = "import math\nfrom nbdl.kernels import gemm, shared, barrier\n\n\n"
    path.write_text(f"{head_of_file}def {head}:\n{textwrap.indent(text, '    ')}\n")
    module = types.ModuleType(path.stem)
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return getattr(module, head.partition("(")[0])


class Bodied(Layer):
    """A layer of bodies: one for the values, which are 3 wide, one for the gradient."""

    def __init__(self, forward: Any = None, backward: Any = None, cuda: Any = None, whole: Any = None) -> None:
        self.bodies = forward, backward, cuda, whole

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight("w", (6, 3), "ones")
        return (3,)

    def forward(self, r: Any, x: Any) -> Any:
        if self.bodies[0] is None:
            return r.gemm(x, self.w), None
        return r.kernel(self.bodies[0], x, shapes=[(3,)], cuda=self.bodies[2]), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        if self.bodies[3] is None:
            r.gradient(self.w, r.gemm(x, dy, transpose_a=True))
        else:
            r.gradient(self.w, r.kernel(self.bodies[3], x, dy, shapes=[(6, 3)], rows=False))
        if self.bodies[1] is None:
            return r.gemm(dy, self.w, transpose_b=True)
        return r.kernel(self.bodies[1], dy, shapes=[(6,)])


def model_of(*bodies: Any, device: str | None = None) -> Sequential:
    layers = [Dense(6, input_dim=6, kernel_initializer="identity"), Bodied(*bodies, name="mine")]  # type: ignore[call-arg]
    model = Sequential(layers, seed=1)
    model.compile("sgd", "mse", **({"device": device} if device else {}))
    return model


X = np.arange(240, dtype=np.float32).reshape(40, 6)
Y = np.zeros((40, 3), np.float32)
WAYS: dict[str, Any] = {
    "fit": lambda model: model.fit(X, Y, epochs=1, verbose=0),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "predict": lambda model: model.predict(X),
    "predict many": lambda model: model.predict(np.repeat(X, 400, axis=0)),
    "call": lambda model: model(X),
}


@pytest.mark.parametrize("case", BODIES)
@pytest.mark.parametrize("way", ["fit", "predict many"])
def test_a_body_that_reaches_outside_its_arrays_is_refused(case: str, way: str, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"mine: kernel .*\n.*body_0\.py:\d+, in body") as caught:
        WAYS[way](model_of(made(BODIES[case], tmp_path)))
    assert "reaches outside an array" in str(caught.value) or "fails (" in str(caught.value)
    assert caught.value.function == "body"


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_run_a_body_looks_at_it(way: str, tmp_path: Path) -> None:
    body = made(BODIES["reads beyond"], tmp_path)
    for _ in range(2):  # it is not taken for tried
        with pytest.raises(KernelError, match="reaches outside an array"):
            WAYS[way](model_of(body))


@pytest.mark.parametrize("derivatives", [False, True])
def test_a_net_in_compiled_code_is_looked_at_when_it_is_made(derivatives: bool, tmp_path: Path) -> None:
    bodies = (
        (None, made(BODIES["reads beyond"], tmp_path)) if derivatives else (made(BODIES["reads beyond"], tmp_path),)
    )
    with pytest.raises(KernelError, match="reaches outside an array"):
        model_of(*bodies).as_njit(derivatives=derivatives)


def test_an_export_to_c_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="reaches outside an array"):
        model_of(made(BODIES["reads beyond"], tmp_path)).export(tmp_path / "net.c")


def test_a_body_of_the_backward_pass_is_looked_at(tmp_path: Path) -> None:
    backward = made("for i in range(dy.shape[0]):\n    dx[i, 0] = dy[i, 3]", tmp_path, "backward(dy, dx)")
    with pytest.raises(KernelError, match="backward reaches outside an array"):
        WAYS["fit"](model_of(None, backward))


@pytest.mark.parametrize(
    "text",
    [
        "for i in range(x.shape[1]):\n    for j in range(3):\n        y[i, j] = 1.0",  # forgets that it has a part
        "for i in range(y.shape[0]):\n    y[i, 1] = y[i, 2] = 0.0\n    y[i, 0] = x[0, first + i + 1]",
        "for i in range(x.shape[0]):\n    y[0, 0] = x[i, 0] * dy[i + 1, 0]",
        "for i in range(y.shape[0]):\n    for j in range(4):\n        y[i, j] = 0.0",
    ],
)
def test_a_body_over_the_whole_batch_is_looked_at(text: str, tmp_path: Path) -> None:
    whole = made(text, tmp_path, "whole(x, dy, y, first)")
    with pytest.raises(KernelError, match="whole reaches outside an array"):
        WAYS["fit"](model_of(None, None, None, whole))


CUDA = {
    "no guard": "y[row * 3 + thread] = x[row * 6]",
    "beyond": "j = thread\nwhile j < 6:\n    y[row * 3 + j] = x[row * 6 + j]\n    j += threads",
    "before": "j = thread\nwhile j < 3:\n    y[row * 3 + j] = x[row * 6 + j - 1]\n    j += threads",
    "with shared": "a = shared(4)\nfor j in range(5):\n    a[j] = x[row * 6 + j]\nbarrier()\ny[row * 3] = a[0]",
}


@pytest.mark.parametrize("case", CUDA)
@pytest.mark.parametrize("way", ["fit", "predict", "evaluate"])
def test_cuda_bodies_are_looked_at(case: str, way: str, tmp_path: Path) -> None:
    cuda = made(CUDA[case], tmp_path, "cuda(row, thread, threads, x, y)")
    with pytest.raises(KernelError, match="cuda reaches outside an array"):
        WAYS[way](model_of(made(GOOD, tmp_path), None, cuda, device="cuda"))


BY_DATA = {
    "an index": "for j in range(3):\n    y[i, j] = 0.0\ny[i, int(x[i, 0])] = 1.0",
    "an index read": "for j in range(3):\n    y[i, j] = x[i, int(x[i, 0])]",
    "a branch": "for j in range(3):\n    y[i, j] = 0.0\nif x[i, 0] > 2.0:\n"
    "    for k in range(9000):\n        y[i, k] = 5.0",
    "a bound": "for j in range(3):\n    y[i, j] = 0.0\nfor k in range(int(x[i, 0])):\n    y[i, k] = 5.0",
    "while": "for j in range(3):\n    y[i, j] = 0.0\nk = 0\nwhile float(k) < x[i, 0]:\n    y[i, k] = 5.0\n    k += 1",
    "a way out": "k = 0\n"
    "while k < 9000:\n    y[i, k] = 1.0\n    k += 1\n    if k == 3 and x[i, 0] < 2.0:\n        break",
}


def by_data(text: str, folder: Path) -> Any:
    return made(f"for i in range(x.shape[0]):\n{textwrap.indent(text, '    ')}", folder)


@pytest.mark.parametrize("case", BY_DATA)
@pytest.mark.parametrize("way", ["fit", "call", "predict many", "train_on_batch", "evaluate"])
def test_later_data_lead_no_body_outside_its_arrays(case: str, way: str, tmp_path: Path) -> None:
    """The first rows are harmless, others are not: compiled code checks the indices of such a body."""
    harmless, harmful = np.ones((40, 6), np.float32), np.ones((700, 6), np.float32)
    harmful[600] = 8000.0
    model = model_of(by_data(BY_DATA[case], tmp_path))
    model.predict(harmless)
    model.evaluate(harmless, Y, verbose=0)
    model.train_on_batch(harmless, Y)
    y = np.zeros((700, 3), np.float32)
    run: Any = {
        "fit": lambda: model.fit(harmful, y, epochs=1, batch_size=700, verbose=0, shuffle=False),
        "call": lambda: model(harmful),
        "predict many": lambda: model.predict(np.repeat(harmful, 100, axis=0)),
        "train_on_batch": lambda: model.train_on_batch(harmful, y),
        "evaluate": lambda: model.evaluate(harmful, y, verbose=0),
    }
    with pytest.raises(KernelError, match=r"body_0\.py:\d+, in body\n.*\n.*reaches outside an array"):
        run[way]()
    assert np.isfinite(model.predict(harmless)).all()


def test_nets_in_compiled_code_check_such_bodies_too(tmp_path: Path) -> None:
    net = model_of(by_data(BY_DATA["an index"], tmp_path)).as_njit()
    assert np.isfinite(net(np.ones((4, 6), np.float32))).all()
    for rows in (1, 300):
        with pytest.raises(RuntimeError, match="reaches outside an array with these data"):
            net(np.full((rows, 6), 1e6, np.float32))
    assert np.isfinite(net(np.ones((4, 6), np.float32))).all()


def test_a_c_function_gives_nan_where_a_body_reaches_outside(tmp_path: Path) -> None:
    function = model_of(by_data(BY_DATA["an index"], tmp_path)).as_cfunc()
    x, y = np.full(6, 1e6, np.float32), np.zeros(3, np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    function.ctypes(x.ctypes.data_as(pointer), y.ctypes.data_as(pointer))
    assert np.isnan(y).all()


def test_helpers_of_such_a_body_are_checked(tmp_path: Path) -> None:
    helped = by_data("for j in range(3):\n    y[i, j] = 0.0\nput(y, i, x[i, 0])", tmp_path)
    helped.__globals__["put"] = made("y[i, int(at)] = 1.0", tmp_path, "put(y, i, at)", "helper")
    model = model_of(helped)
    model.predict(np.ones((2, 6), np.float32))
    with pytest.raises(KernelError, match=r"helper_1\.py:\d+, in put"):
        model.predict(np.full((9, 6), 1e6, np.float32))


@pytest.mark.parametrize(
    "text",
    [
        "for j in range(3):\n    y[i, j] = x[i, j] if x[i, j] > 0.0 else 0.0",
        "for j in range(3):\n    y[i, j] = 0.0\n    if x[i, j] > 0.0:\n        y[i, j] = x[i, j]",
        "for j in range(3):\n    a = x[i, j]\n    if a > 0.0:\n        a = 2.0 * a\n    y[i, j] = a",
        "best = x[i, 0]\nfor j in range(3):\n    if x[i, j] > best:\n        best = x[i, j]\n    y[i, j] = best",
    ],
)
def test_bodies_whose_indices_are_of_sizes_alone_are_compiled_without_checks(text: str, tmp_path: Path) -> None:
    model = model_of(by_data(text, tmp_path))
    assert not any(trial.unsure(one) for one in trial.foreign(model.program("predict")))


UNWRITTEN = {
    "a column": ("y[i, 0] = x[i, 0]", r"leaves y\[0, 1\] unwritten"),
    "a row": ("if i > 0:\n    for j in range(3):\n        y[i, j] = 1.0", r"leaves y\[0, 0\] unwritten"),
    "added up": ("for j in range(3):\n    y[i, j] += x[i, j]", "reads an output before it is written"),
    "a row added up": ("y[i, :] += x[i, :3]", r"leaves y\[0, 0\] unwritten"),
}


@pytest.mark.parametrize("case", UNWRITTEN)
@pytest.mark.parametrize("way", ["fit", "call"])
def test_an_output_that_is_not_filled_is_refused(case: str, way: str, tmp_path: Path) -> None:
    text, said = UNWRITTEN[case]
    with pytest.raises(KernelError, match=said) as caught:
        WAYS[way](model_of(by_data(text, tmp_path)))
    assert caught.value.line > 4


def test_an_output_of_fixed_shape_that_is_not_filled_is_refused(tmp_path: Path) -> None:
    whole = made("for i in range(y.shape[0]):\n    y[i, 0] = 1.0", tmp_path, "whole(x, dy, y, first)")
    with pytest.raises(KernelError, match=r"whole leaves y\[0, 1\] unwritten"):
        WAYS["fit"](model_of(None, None, None, whole))


def test_a_cuda_body_that_does_not_fill_its_output_is_refused(tmp_path: Path) -> None:
    cuda = made("if thread == 0:\n    y[row * 3] = x[row * 6]", tmp_path, "cuda(row, thread, threads, x, y)")
    with pytest.raises(KernelError, match=r"cuda leaves y\[1\] unwritten"):
        WAYS["predict"](model_of(made(GOOD, tmp_path), None, cuda, device="cuda"))


def test_a_cuda_body_of_threads_that_meet_may_leave_parts_to_others(tmp_path: Path) -> None:
    text = "if thread < 3:\n    y[row * 3 + thread] = x[row * 6 + thread]\nbarrier()"
    model = model_of(made(GOOD, tmp_path), None, made(text, tmp_path, "cuda(row, thread, threads, x, y)"))
    trial.rehearse(model.program("predict"), model.store, cuda=True)


@pytest.mark.parametrize("text", ["y[i, j] = x[i, j - 1]", "y[i - 1, j] = x[i, j]", "y[i, j] = x[i][-1]"])
@pytest.mark.parametrize("way", ["fit", "call"])
def test_a_negative_index_is_refused(text: str, way: str, tmp_path: Path) -> None:
    body = by_data(f"for j in range(3):\n    {text}", tmp_path)
    with pytest.raises(KernelError, match=r"index -1 is negative\). An index is from 0 to below the array's size"):
        WAYS[way](model_of(body))


def test_values_and_weights_do_not_change_by_it(tmp_path: Path) -> None:
    """The bits of a first fit and prediction are those of a run that tries nothing."""
    outcomes = []
    for tried in (True, False):
        body = made(GOOD, tmp_path)
        model = model_of(body)
        if not tried:
            trial._tried[body] = {}
            model.fit(X, Y, epochs=0, verbose=0)
        with pytest.MonkeyPatch.context() as patched:
            if not tried:
                patched.setattr(trial, "foreign", lambda program: [])
                patched.setattr("nbdl.engine.cpu.lowered.foreign", lambda program: [])
            history = model.fit(X / 240.0, Y, epochs=2, batch_size=16, verbose=0).history
            outcomes.append((model.predict(X), history["loss"], *model.get_weights()))
        assert bool(trial._tried.get(body)) == tried
    for one, other in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_callers_data_stay(tmp_path: Path) -> None:
    x = X.copy()
    model_of(made(GOOD, tmp_path)).predict(x)
    np.testing.assert_array_equal(x, X)


def test_a_body_is_tried_once_for_each_kind_of_operands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []
    ran = trial._run
    monkeypatch.setattr(trial, "_run", lambda *arguments: runs.append(1) or ran(*arguments))
    body = made(GOOD, tmp_path)
    WAYS["predict"](model_of(body))
    assert runs
    runs.clear()
    for way in WAYS.values():
        way(model_of(body))
    assert not runs


def test_more_of_a_number_is_another_kind(tmp_path: Path) -> None:
    """A body that counts to a number is tried again with a larger one."""
    body = made(
        "for i in range(x.shape[0]):\n    for j in range(int(k[0, 0])):\n        y[i, j] = x[i, j]",
        tmp_path,
        "body(x, k, y)",
    )

    class Counts(Layer):
        def __init__(self, count: int) -> None:
            self.count = count

        def forward(self, r: Any, x: Any) -> Any:
            return r.kernel(body, x, self.count, shapes=[x.shape]), None

    Sequential([Counts(6, input_dim=6)]).predict(X)  # type: ignore[call-arg]
    with pytest.raises(KernelError, match="reaches outside an array"):
        Sequential([Counts(7, input_dim=6)]).predict(X)  # type: ignore[call-arg]


def test_python_is_not_stricter_than_compiled_code(tmp_path: Path) -> None:
    """What Python raises and compiled code does not is no fault: a division by zero, an integer of NaN."""
    text = """
for i in range(x.shape[0]):
    a = 0.0
    y[i, 0] = 1.0 / a
    y[i, 1] = float(int(math.nan * x[i, 0]))
    y[i, 2] = x[i, 5]
"""
    found = model_of(made(text, tmp_path)).predict(X)
    assert np.isinf(found[:, 0]).all()
    np.testing.assert_array_equal(found[:, 2], X[:, 5])


def test_bodies_of_nbdls_own_are_not_tried() -> None:
    model = Sequential([nbdl.layers.Embedding(5, 2, input_length=3), nbdl.layers.Flatten()], seed=1)
    assert trial.foreign(model.program("predict")) == []
    assert trial.own_packages >= {"nbdl", "nbdl_standard"}
    assert registry.entries("layers")
