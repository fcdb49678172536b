"""Nets in compiled code: `as_njit` and `as_cfunc`, used rightly and wrongly."""

from __future__ import annotations

import copy
import ctypes
import gc
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from naive.activations import ACTIVATIONS
from numba import njit, prange, typed
from numba.core.errors import NumbaWarning, TypingError
from numba.experimental import jitclass

from nbdl import Layer, Sequential
from nbdl.engine.nets import plans
from nbdl.engine.nets.net import Net
from nbdl.engine.nets.numba_type import net_type
from nbdl.errors import ConfigError, DataError
from nbdl.layers import Activation, Dense, Dropout, Flatten
from nbdl.model.owner import job_of
from nbdl.network.network import Network
from nbdl.program.functions import add
from nbdl.training.passes import run_rows
from nbdl.units.registry import registry

BY_NAME = sorted(ACTIVATIONS.keys() - {"glu", "threshold"})  # which need an even number of features, and arguments
SMOOTH = [name for name in BY_NAME if not registry.get("activations", name).options.get("kinks")]
ROWS = (1, 2, 255, 256, 257, 1000)
OTHER_LAYERS = "other layers now than when as_njit"


def chain(*widths: int, activation: str = "tanh", last: str = "linear", seed: int = 1) -> Sequential:
    """Dense layers of these widths; biases are not zero, as after training."""
    model = Sequential(seed=seed)
    for number, units in enumerate(widths[1:], 1):
        name = last if number == len(widths) - 1 else activation
        model.add(Dense(units, activation=name, input_dim=widths[0] if number == 1 else None))
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=w.shape) / np.sqrt(len(w)) for w in model.get_weights()])
    return model


def reals(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def driven(model: Sequential, x: Any) -> Any:
    """Predictions by the driver of `fit`, which knows nothing of plans."""
    rows = np.ascontiguousarray(x, np.float32).reshape(len(x), -1)
    return run_rows(job_of(model), "predict", [rows], int(np.prod(model.output_shape)))


@njit
def forward(net: Any, x: Any) -> Any:
    return net(x)


@njit
def forward_into(net: Any, x: Any, out: Any) -> Any:
    return net(x, out)


@njit
def pulled_back(net: Any, x: Any, dy: Any) -> Any:
    return net.vjp(x, dy)


@njit
def pulled_back_into(net: Any, x: Any, dy: Any, out: Any) -> Any:
    return net.vjp(x, dy, out)


@njit
def slopes(net: Any, x: Any) -> Any:
    return net.jacobian(x)


@njit(parallel=True)
def each_row(net: Any, x: Any) -> Any:
    out = np.empty((len(x), net.outputs), np.float32)
    for i in prange(len(x)):
        net(x[i], out[i])
    return out


def run_python(code: str, *arguments: Any, **environment: str) -> Any:
    """What a process printed, as JSON."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})
    assert made.returncode == 0, f"it ended with {made.returncode}: {made.stderr}"
    return json.loads(made.stdout)


# -- the same bits as predict -----------------------------------------------------------------------------


def same_everywhere(model: Sequential, x: Any) -> None:
    """From Python and from compiled code, all rows at once and one at a time, the bits of the driver."""
    net, wanted = model.as_njit(), driven(model, x)
    flat = x.reshape(len(x), -1)
    for found in (net(x), forward(net, flat), each_row(net, flat), model.predict(x).reshape(wanted.shape)):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
    for row, values in zip(flat[:5], wanted, strict=False):
        np.testing.assert_array_equal(net(row), values)
        np.testing.assert_array_equal(forward(net, row), values)


@pytest.mark.parametrize("rows", ROWS)
def test_rows(rows: int) -> None:
    same_everywhere(chain(16, 16, 16, 4), reals(rows, 16))


@pytest.mark.parametrize("activation", BY_NAME)
def test_activations(activation: str) -> None:
    same_everywhere(chain(5, 7, 3, activation=activation, last=activation), reals(19, 5))


@pytest.mark.parametrize("widths", [(784, 500, 500, 10), (20, 3000, 5)])
def test_a_work_area_on_the_heap(widths: tuple[int, ...]) -> None:
    same_everywhere(chain(*widths, last="softmax"), reals(70, widths[0]))


@pytest.mark.parametrize(
    "layers",
    [
        [Flatten(input_shape=(28, 28)), Dense(3)],
        [Dense(6, input_dim=784), Dropout(0.5), Dense(3, activation="softmax")],
        [Dense(6, input_dim=784), Dropout(0.5, scaling="classic"), Activation("tanh")],
        [Dense(1, input_dim=784)],
        [Activation("sigmoid", input_shape=(784,))],
    ],
    ids=["Flatten", "Dropout", "classic Dropout", "one output", "no weights"],
)
def test_layers(layers: list[Layer]) -> None:
    model = Sequential(copy.deepcopy(layers), seed=1)
    x = reals(9, 28, 28)
    same_everywhere(model, x if model.input_shape == (28, 28) else x.reshape(9, 784))


def test_no_rows() -> None:
    net, flat = chain(5, 3).as_njit(derivatives=True), Sequential([Flatten(input_shape=(2, 3)), Dense(4)]).as_njit()
    assert net(np.empty((0, 5))).shape == forward(net, np.empty((0, 5))).shape == (0, 3)
    assert net.jacobian(np.empty((0, 5))).shape == (0, 3, 5)
    assert flat(np.empty((0, 2, 3))).shape == (0, 4)


def unaligned(array: Any) -> Any:
    moved = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def read_only(array: Any) -> Any:
    fixed = array.copy()
    fixed.flags.writeable = False
    return fixed


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "float64": lambda x: x.astype(np.float64),
    "int64": lambda x: x.astype(np.int64),
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: x[..., ::-1].copy()[..., ::-1],
    "Fortran": np.asfortranarray,
    "read-only": read_only,
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_any_kind(kind: str) -> None:
    model = chain(6, 4, 3)
    net, x = model.as_njit(derivatives=True), np.abs(np.round(3 * reals(7, 6)))
    dy, given = np.round(reals(7, 3)), ARRAYS[kind]
    for rows, gradients in ((x, dy), (x[2], dy[2])):
        wanted, pulled = net(rows), net.vjp(rows, gradients)
        np.testing.assert_array_equal(wanted, driven(model, x)[2] if rows.ndim == 1 else driven(model, x))
        for found in (net(given(rows)), forward(net, given(rows))):
            np.testing.assert_array_equal(found, wanted)
        for found in (net.vjp(given(rows), gradients), pulled_back(net, given(rows), gradients)):
            np.testing.assert_array_equal(found, pulled)
        for found in (net.jacobian(given(rows)), slopes(net, given(rows))):
            np.testing.assert_array_equal(found, net.jacobian(rows))
    assert given(x).dtype == np.float32 or not np.shares_memory(given(x), x)


def test_more_that_python_takes() -> None:
    model = chain(6, 4, 3)
    net, x = model.as_njit(), reals(7, 6)
    for given in (x.tolist(), unaligned(x), x.astype(">f4"), x.astype(np.float16).astype(object)):
        np.testing.assert_array_equal(net(given), driven(model, np.asarray(given, np.float32)))
    np.testing.assert_array_equal(net(x[0].tolist()), driven(model, x)[0])
    np.testing.assert_array_equal(net(x > 0), driven(model, x > 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_into_an_array(dtype: Any) -> None:
    model = chain(6, 4, 3)
    net, x = model.as_njit(derivatives=True), reals(7, 6)
    for rows in (x, x[0]):
        for call in (net, lambda x, out: forward_into(net, x, out)):
            out = np.full((*rows.shape[:-1], 3), np.nan, dtype)
            assert call(rows, out) is out or np.shares_memory(call(rows, out), out)
            np.testing.assert_array_equal(out, net(rows))
    out = np.empty((7, 6), dtype)
    assert net.vjp(x, reals(7, 3), out) is out
    np.testing.assert_array_equal(out, net.vjp(x, reals(7, 3)))
    jacobian = np.empty((7, 3, 6), dtype)
    assert net.jacobian(x, jacobian) is jacobian
    np.testing.assert_array_equal(jacobian, net.jacobian(x))


@pytest.mark.parametrize("rows", [1, 3, 300])
@pytest.mark.parametrize("widths", [(4, 4), (40, 40), (40, 40, 40)])
def test_results_over_the_inputs(widths: tuple[int, ...], rows: int) -> None:
    net = chain(*widths).as_njit(derivatives=True)
    for shape in ((rows, widths[0]), (widths[0],)):
        x, dy = reals(*shape), reals(*shape)[..., ::-1].copy()
        values, pulled, size = net(x), net.vjp(x, dy), x.size
        for call in (net, lambda x, out: forward_into(net, x, out)):
            for place in (0, size // 2, size):  # in place, half over the inputs, beside them
                both = np.zeros(2 * size, np.float32)
                given, out = both[:size].reshape(shape), both[place : place + size].reshape(shape)
                given[...] = x
                call(given, out)
                np.testing.assert_array_equal(out, values)
        for call in (net.vjp, lambda x, dy, out: pulled_back_into(net, x, dy, out)):
            first, second = x.copy(), dy.copy()
            call(first, dy, first)
            call(x, second, second)
            np.testing.assert_array_equal(first, pulled)
            np.testing.assert_array_equal(second, pulled)


def test_what_a_net_says_of_itself() -> None:
    net = chain(6, 4, 3).as_njit()

    @njit
    def sizes(net: Any) -> Any:
        return net.inputs, net.outputs

    assert sizes(net) == (net.inputs, net.outputs) == (6, 3)
    assert repr(net) == "Net(6 → 3)"


# -- derivatives ------------------------------------------------------------------------------------------


def in_float64(model: Sequential, x: Any) -> Any:
    """Dense layers in NumPy."""
    for layer in model.layers:
        kernel, bias = (weight.value.astype(np.float64) for weight in model.weights if weight.layer is layer)
        x = ACTIVATIONS[layer.activation.unit_name].value(x @ kernel + bias)
    return x


def differences(model: Sequential, x: Any, step: float = 1e-5) -> Any:
    """The Jacobian of each row by central differences: rows × outputs × inputs."""
    columns = []
    for i in range(x.shape[1]):
        moved = np.zeros(x.shape[1])
        moved[i] = step
        columns.append((in_float64(model, x + moved) - in_float64(model, x - moved)) / (2 * step))
    return np.stack(columns, axis=2)


@pytest.mark.parametrize("rows", [1, 2, 19])
@pytest.mark.parametrize("activation", SMOOTH)
def test_derivatives_are_differences(activation: str, rows: int) -> None:
    hidden, both = chain(5, 7, 3, activation=activation), chain(3, 4, 8, activation=activation, last=activation)
    for model in (hidden, both, chain(5, 7, 3, activation=activation, last="softmax")):
        net, x = model.as_njit(derivatives=True), reals(rows, model.input_shape[0])
        dy, wanted = reals(rows, net.outputs), differences(model, x.astype(np.float64))
        pulled = np.einsum("roi,ro->ri", wanted, dy)
        for found in (net.jacobian(x), slopes(net, x)):
            np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-6)
        for found in (net.vjp(x, dy), pulled_back(net, x, dy)):
            np.testing.assert_allclose(found, pulled, rtol=2e-4, atol=5e-6)
        for found in (net.jacobian(x[0]), slopes(net, x[0])):
            np.testing.assert_array_equal(found, net.jacobian(x)[0])
        for found in (net.vjp(x[0], dy[0]), pulled_back(net, x[0], dy[0])):
            np.testing.assert_array_equal(found, net.vjp(x, dy)[0])
        np.testing.assert_array_equal(net(x), driven(model, x))


@pytest.mark.parametrize("rows", [256, 257, 1000])
def test_derivatives_of_many_rows(rows: int) -> None:
    net, x, dy = chain(5, 7, 3).as_njit(derivatives=True), reals(rows, 5), reals(rows, 3)
    wanted = np.stack([net.vjp(one, gradient) for one, gradient in zip(x, dy, strict=True)])
    np.testing.assert_array_equal(net.vjp(x, dy), wanted)
    np.testing.assert_array_equal(pulled_back(net, x, dy), wanted)


def test_derivatives_of_many_outputs() -> None:
    model, x = chain(3, 4, 300), reals(3)
    found, wanted = slopes(model.as_njit(derivatives=True), x), differences(model, x[None].astype(np.float64))[0]
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("scaling", ["inverted", "classic"])
def test_derivatives_through_flatten_and_dropout(scaling: str) -> None:
    layers = [Flatten(input_shape=(2, 3)), Dropout(0.5, scaling=scaling), Dense(4, activation="tanh")]
    model = Sequential(layers, seed=1)
    net, x = model.as_njit(derivatives=True), reals(5, 2, 3)
    kernel = model.get_weights()[0] * (1.0 if scaling == "inverted" else 0.5)
    wanted = (1 - net(x)[:, :, None] ** 2) * kernel.T
    np.testing.assert_allclose(net.jacobian(x), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layer", [Flatten, Activation, Dropout])
def test_derivatives_of_nets_that_change_nothing(layer: Any) -> None:
    model = Sequential([layer(*({Activation: ("linear",), Dropout: (0.5,)}.get(layer, ())), input_shape=(3,))])
    net, x, dy = model.as_njit(derivatives=True), reals(2, 3), reals(2, 3)
    np.testing.assert_array_equal(forward(net, x), x)
    np.testing.assert_array_equal(pulled_back(net, x, dy), dy)
    np.testing.assert_array_equal(slopes(net, x), [np.eye(3)] * 2)


BIG_JACOBIAN = """
import json, sys
import numpy as np
from numba import njit
from nbdl import Sequential
from nbdl.layers import Dense

@njit
def slopes(net, x):
    return net.jacobian(x)

model = Sequential([Dense(20, activation="tanh", input_dim=3000), Dense(50)], seed=1)
net, x = model.as_njit(derivatives=True), np.ones(3000, np.float32)
found = net.jacobian(x) if sys.argv[1] == "Python" else slopes(net, x)
wanted = net.vjp(np.tile(x, (50, 1)), np.eye(50))
print(json.dumps(bool(np.array_equal(found, wanted))))
"""


@pytest.mark.parametrize("caller", ["Python", "compiled code"])
def test_a_large_jacobian(caller: str) -> None:
    """Memory of this size goes back to the system as soon as it is freed: used after that, it ends the process."""
    assert run_python(BIG_JACOBIAN, caller)


def test_a_net_without_derivatives_says_so() -> None:
    net, x = chain(5, 3).as_njit(), reals(2, 5)
    for call in (
        lambda: net.vjp(x, x[:, :3]),
        lambda: net.jacobian(x),
        lambda: net.jacobian(x[0]),
        lambda: pulled_back(net, x, x[:, :3]),
        lambda: slopes(net, x),
    ):
        with pytest.raises(ValueError, match=r"as_njit\(derivatives=True\)"):
            call()


# -- what does not fit ------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [lambda net, *given: net(*given), lambda net, *given: forward_into(net, *given)])
def test_wrong_sizes(call: Callable[..., Any]) -> None:
    net, good = chain(5, 3).as_njit(), np.empty((2, 3), np.float32)
    for x in (reals(2, 4), reals(2, 6), reals(2, 0)):
        with pytest.raises(ValueError, match="features"):
            call(net, x, good)
        with pytest.raises(ValueError, match="features"):
            call(net, x[0], good[0])
    for shape in ((1, 3), (3, 3), (2, 2), (2, 4), (3, 2)):
        for dtype in (np.float32, np.float64):
            with pytest.raises(ValueError, match="out"):
                call(net, reals(2, 5), np.empty(shape, dtype))
    with pytest.raises(ValueError, match="out"):
        call(net, reals(5), np.empty(4, np.float32))


@pytest.mark.parametrize("call", [lambda net, x, dy: net.vjp(x, dy), pulled_back])
def test_wrong_sizes_of_gradients(call: Callable[..., Any]) -> None:
    net = chain(5, 3).as_njit(derivatives=True)
    for x, dy in ((reals(2, 5), reals(3, 3)), (reals(2, 5), reals(2, 5)), (reals(2, 4), reals(2, 3))):
        with pytest.raises(ValueError):
            call(net, x, dy)
        with pytest.raises(ValueError):
            call(net, x[0], dy[0] if len(x) == len(dy) else dy[0, :2])


def test_what_is_no_array() -> None:
    net = chain(5, 3).as_njit()
    for wrong in (3.0, "text", ["1"] * 5, [[1.0, 2.0], [3.0]], None, {}, [1j] * 5):
        with pytest.raises(DataError, match="x"):
            net(wrong)
    with pytest.raises((TypeError, ValueError), match="out"):
        net(reals(2, 5), [0.0] * 6)
    for wrong in (3.0, 1, (1.0, 2.0), True, reals(1, 1, 5), np.ones(5, bool)):
        with pytest.raises(TypingError, match="not an array of numbers of"):
            forward(net, wrong)
    with pytest.raises(TypingError, match="complex128"):
        forward(net, np.ones(5, complex))
    with pytest.raises(TypingError, match="not an array of numbers of"):
        forward_into(net, reals(2, 5), np.empty(6, np.float32))


def test_a_read_only_result_stays_as_it_is() -> None:
    net, out = chain(5, 3).as_njit(), read_only(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="read-only"):
        net(reals(2, 5), out)
    with pytest.raises(TypingError, match="read-only"):
        forward_into(net, reals(2, 5), out)
    assert not out.any()


class Noise(Layer):
    """Random numbers, in training and after it."""

    def forward(self, r: Any, x: Any) -> Any:
        return r.map(add, x, r.uniform(x)), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return dy


def test_layers_that_draw_are_refused() -> None:
    model = Sequential([Dense(4, input_dim=4), Noise(name="hiss")], seed=1)
    for make in (model.as_njit, lambda: model.as_njit(derivatives=True), model.as_cfunc):
        with pytest.raises(ConfigError, match="'hiss' draws random numbers"):
            make()
    few, many = model.predict(np.zeros((2, 4))), model.predict(np.zeros((100_000, 4)))
    assert few.shape == (2, 4)
    np.testing.assert_array_equal(few, many[:2])
    np.testing.assert_array_equal(model(np.zeros((2, 4))), few)


# -- a net lives as long as it is used, and no longer is used than its layers live ------------------------


def test_weights_that_change_are_seen(tmp_path: Path) -> None:
    model, other = chain(5, 4, 3), chain(5, 4, 3, seed=2)
    model.compile(loss="mse", optimizer="sgd")
    net, x = model.as_njit(derivatives=True), reals(40, 5)
    c_function = model.as_cfunc()

    @njit
    def closed_over(x: Any) -> Any:
        return net(x)

    def by_c(row: Any) -> Any:
        out = np.empty(3, np.float32)
        c_function.ctypes(pointer(row, ctypes.c_float), pointer(out, ctypes.c_float))
        return out

    other.save_weights(tmp_path / "weights.npz")
    seen = [closed_over(x)]
    for change in (
        lambda: model.fit(x, x[:, :3], epochs=2, verbose=0),
        lambda: model.set_weights([0.5 * weight for weight in model.get_weights()]),
        lambda: model.layers[0].set_weights(other.layers[0].get_weights()),
        lambda: model.load_weights(tmp_path / "weights.npz"),
        lambda: model.compile(loss="mse", optimizer="adam"),
        lambda: model.fit(x, x[:, :3], epochs=1, verbose=0),
    ):
        change()
        wanted = driven(model, x)
        for found in (net(x), forward(net, x), closed_over(x), model(x)):
            np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(by_c(x[0]), wanted[0])
        np.testing.assert_allclose(net.jacobian(x), differences(model, x.astype(np.float64)), rtol=2e-4, atol=2e-6)
        seen.append(wanted)
    assert len({values.tobytes() for values in seen}) == 6  # compile alone changes nothing


@pytest.mark.parametrize("change", [lambda model: model.add(Dense(3)), lambda model: model.pop()])
def test_other_layers_are_refused(change: Callable[[Sequential], Any]) -> None:
    model = chain(5, 4, 3)
    net, x, dy = model.as_njit(derivatives=True), reals(2, 5), reals(2, 3)

    @njit
    def closed_over(x: Any) -> Any:
        return net(x)

    closed_over(x)
    forward(net, x)
    change(model)
    for call in (
        lambda: net(x),
        lambda: net(x[0]),
        lambda: net.vjp(x, dy),
        lambda: net.jacobian(x),
        lambda: forward(net, x),
        lambda: forward(net, x[0]),
        lambda: each_row(net, x),
        lambda: pulled_back(net, x, dy),
        lambda: slopes(net, x),
        lambda: closed_over(x),
    ):
        with pytest.raises(RuntimeError, match=OTHER_LAYERS):
            call()
    np.testing.assert_array_equal(model(x), driven(model, x))
    np.testing.assert_array_equal(forward(model.as_njit(), x), driven(model, x))


def test_a_layer_that_does_not_fit_changes_nothing() -> None:
    model = chain(5, 3)
    net, wanted = model.as_njit(), driven(model, reals(2, 5))
    with pytest.raises(ConfigError):
        model.add(Dense(2, input_dim=9))
    np.testing.assert_array_equal(forward(net, reals(2, 5)), wanted)


def test_a_net_outlives_its_model() -> None:
    model, x = chain(20, 300, 5), reals(4, 20)
    wanted, c_function = driven(model, x), model.as_cfunc()
    scope: dict[str, Any] = {"net": model.as_njit(derivatives=True)}
    exec("def run(x):\n    return net(x)", scope)
    global_net = njit(scope["run"])
    jacobian, first = scope["net"].jacobian(x), global_net(x)
    del model
    rubbish()
    for found in (first, scope["net"](x), forward(scope["net"], x), global_net(x)):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(slopes(scope["net"], x), jacobian)
    del scope["net"]
    rubbish()
    np.testing.assert_array_equal(global_net(x), wanted)
    out = np.empty(5, np.float32)
    c_function.ctypes(pointer(x[0].copy(), ctypes.c_float), pointer(out, ctypes.c_float))
    np.testing.assert_array_equal(out, wanted[0])


def rubbish() -> None:
    """Free what nobody holds, and write over it."""
    gc.collect()
    for seed in range(2, 12):
        chain(20, 300, 5, seed=seed).as_njit(derivatives=True)(reals(4, 20))


def test_copies_are_refused() -> None:
    net = chain(5, 3).as_njit()
    for make in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="pickle or save the model"):
            make(net)


def test_copies_of_the_model_have_nets_of_their_own() -> None:
    model, x = chain(5, 3), reals(2, 5)
    net, wanted = model.as_njit(), driven(model, x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(forward(other.as_njit(), x), wanted)
        other.set_weights([2.0 * weight for weight in other.get_weights()])
        np.testing.assert_array_equal(forward(net, x), wanted)
        assert not np.array_equal(forward(other.as_njit(), x), wanted)


def test_nets_are_not_stored_in_compiled_code() -> None:
    """They would be addresses that outlive what they point to."""
    net, x = chain(5, 3).as_njit(), reals(5)

    @njit
    def returned(net: Any) -> Any:
        return net

    @njit
    def listed(net: Any, x: Any) -> Any:
        return [net, net][0](x)

    @njit
    def in_a_dict(net: Any) -> Any:
        return {1: net}

    @jitclass([("net", net_type)])  # type: ignore[untyped-decorator]
    class Keeper:
        def __init__(self, net: Any) -> None:
            self.net = net

    with pytest.raises(TypeError, match=r"nbdl\.Net"):
        returned(net)
    append = typed.List().append
    for store in (lambda: listed(net, x), lambda: in_a_dict(net), lambda: Keeper(net), lambda: append(net)):
        with pytest.raises(TypingError, match="a net cannot be put into"):
            store()


def test_tuples_of_nets() -> None:
    one, two, x = chain(5, 4, 3), chain(5, 3, seed=2), reals(5)

    @njit
    def both(nets: Any, x: Any) -> Any:
        return nets[0](x) + nets[1](x)

    wanted = driven(one, x[None])[0] + driven(two, x[None])[0]
    np.testing.assert_array_equal(both((one.as_njit(), two.as_njit()), x), wanted)


# -- one type, one signature, one cache -------------------------------------------------------------------


def test_all_nets_are_one_type() -> None:
    @njit
    def total(net: Any, x: Any) -> Any:
        return net(x).sum()

    for model in (chain(5, 4, 3), chain(5, 300, 2, last="softmax", seed=2)):
        for derivatives in (False, True):
            assert total(model.as_njit(derivatives), reals(5)) == pytest.approx(driven(model, reals(1, 5)).sum())
    assert len(total.signatures) == 1
    assert total.signatures[0][0] is net_type is numba.typeof(chain(2, 1).as_njit())


USER = """
import numpy as np
from numba import njit, prange

@njit(cache=True)
def stepped(net, x):
    for _ in range(3):
        x = x + np.float32(0.1) * net(x)
    return x

@njit(cache=True, parallel=True)
def each(net, x):
    out = np.empty((len(x), net.outputs), np.float32)
    for i in prange(len(x)):
        net(x[i], out[i])
    return out

@njit(cache=True)
def turned(net, x):
    return net.jacobian(x).T
"""
PROCESS = """
import json, sys
sys.path.insert(0, sys.argv[1])
seed, hidden = int(sys.argv[2]), int(sys.argv[3])
ballast = [bytes(1000 * seed + 8 * i) for i in range(1000 * seed)]  # addresses differ also where no system moves them
import numpy as np
from numba.core import event
from nbdl import Sequential
from nbdl.layers import Dense
from nbdl.engine.compiler import statistics
import user

model = Sequential([Dense(hidden, activation="tanh", input_dim=6), Dense(6)], seed=seed)
net = model.as_njit(derivatives=True)
x = np.linspace(-1, 1, 12).reshape(2, 6).astype(np.float32)
wanted = x
for _ in range(3):
    wanted = wanted + np.float32(0.1) * model.predict(wanted)
with event.install_recorder("numba:compile") as recorder:
    found, each, turned = user.stepped(net, x), user.each(net, x), user.turned(net, x[0])
print(json.dumps({
    "right": bool(np.allclose(found, wanted, rtol=1e-5, atol=1e-6)),
    "each": bool(np.array_equal(each, model.predict(x))),
    "turned": bool(np.array_equal(turned, net.jacobian(x[0]).T)),
    "sum": float(found.sum()), "address": net.address,
    "kernels": statistics.compiled, "events": len(recorder.buffer),
    "hits": sum(sum(f.stats.cache_hits.values()) for f in (user.stepped, user.each, user.turned)),
}))
"""


def test_cached_callers_hold_neither_weights_nor_addresses(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    models = ((1, 8), (2, 8), (3, 8), (1, 3000))
    first, *later = [run_python(PROCESS, tmp_path, seed, hidden) for seed, hidden in models]
    assert first["events"] > 0
    assert first["hits"] == 0
    for run in (first, *later):
        assert run["right"]
        assert run["each"]
        assert run["turned"]
    for run in later:
        assert run["hits"] == 3
        assert run["events"] == 0, "the second process compiled something"
        assert run["address"] != first["address"]
    assert all(run["kernels"] == 0 for run in later[:2])
    assert len({run["sum"] for run in (first, *later)}) == 4


def test_a_global_net_is_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = chain(5, 3), reals(5)
    (tmp_path / "global_net.py").write_text(
        "from numba import njit\nnet = None\n\n@njit(cache=True)\ndef run(x):\n    return net(x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import global_net  # type: ignore[import-not-found]

    global_net.net = model.as_njit()
    with pytest.warns(NumbaWarning, match="Cannot cache compiled function"):
        found = global_net.run(x)
    np.testing.assert_array_equal(found, driven(model, x[None])[0])
    assert not list(tmp_path.rglob("*.nbc"))


# -- many callers, many calls -----------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(16, 16, 16, 4), (20, 3000, 5)])
def test_many_threads_at_once(widths: tuple[int, ...]) -> None:
    model = chain(*widths)
    net, calls, threads = model.as_njit(derivatives=True), 60, 8
    x = reals(threads, 3, widths[0])
    wanted = [(driven(model, rows), net.jacobian(rows)) for rows in x]
    wrong: list[Any] = []
    barrier = threading.Barrier(threads)

    def work(number: int) -> None:
        barrier.wait()
        rows, (values, jacobian) = x[number], wanted[number]
        for _ in range(calls):
            for found, right in (
                (net(rows), values),
                (net(rows[0]), values[0]),
                (forward(net, rows), values),
                (model(rows), values),
                (net.jacobian(rows), jacobian),
            ):
                if not np.array_equal(found, right):
                    wrong.append((number, found))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_memory_does_not_grow() -> None:
    model, large = chain(16, 16, 4), chain(20, 3000, 5)
    net, x, dy = model.as_njit(derivatives=True), reals(16), reals(4)
    heap, row = large.as_njit(derivatives=True), reals(20)

    def calls(count: int) -> None:
        for _ in range(count):
            net(x)
            model(x)
            forward(net, x)
        for _ in range(count // 10):
            net.vjp(x, dy)
            slopes(net, x)
            heap(row)
            slopes(heap, row)

    @njit
    def inside(net: Any, x: Any, count: int) -> float:
        total = 0.0
        for _ in range(count):
            total += net(x)[0] + net(2.0 * x)[0] + net.jacobian(x)[0, 0]
        return total

    calls(100)
    inside(net, x, 100)
    before = peak()
    calls(30_000)
    inside(net, x, 300_000)
    assert peak() - before < 10  # a small array that is lost at each call of one kind: 30 at least


def peak() -> float:
    """The largest memory of this process so far, in MB."""
    resource = pytest.importorskip("resource")
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / (2**20 if sys.platform == "darwin" else 1024)


# -- C ----------------------------------------------------------------------------------------------------


def pointer(array: Any, kind: Any) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))


@pytest.mark.parametrize(("form", "kind"), [("float", ctypes.c_float), ("double", ctypes.c_double)])
@pytest.mark.parametrize("widths", [(16, 16, 4), (20, 3000, 5)])
def test_c_functions(form: str, kind: Any, widths: tuple[int, ...]) -> None:
    model = chain(*widths)
    c_function = model.as_cfunc(form)
    by_address = ctypes.CFUNCTYPE(None, ctypes.POINTER(kind), ctypes.POINTER(kind))(c_function.address)
    for row in reals(3, widths[0]):
        for call in (c_function.ctypes, by_address):
            x, out = row.astype(kind), np.full(widths[-1] + 2, 7.0, kind)
            call(pointer(x, kind), pointer(out, kind))
            np.testing.assert_array_equal(out, [*driven(model, row[None])[0], 7.0, 7.0])
    model.pop()
    call(pointer(x, kind), pointer(out, kind))
    assert np.isnan(out[: widths[-1]]).all()
    assert (out[widths[-1] :] == 7.0).all()


def test_integrals() -> None:
    integrate, low_level = pytest.importorskip("scipy.integrate"), pytest.importorskip("scipy").LowLevelCallable
    one, two = chain(1, 8, 1), chain(2, 8, 1)
    found, _ = integrate.quad(low_level(one.as_cfunc("quad").ctypes), -1.0, 2.0)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    x = 0.5 + 1.5 * nodes
    assert found == pytest.approx(1.5 * weights @ in_float64(one, x[:, None])[:, 0], rel=1e-5)
    square, options = [[-1.0, 2.0], [-1.0, 2.0]], {"epsabs": 1e-4}
    found, _ = integrate.nquad(low_level(two.as_cfunc("quad").ctypes), square, opts=options)
    grid = np.array([(a, b) for a in x for b in x])
    areas = 2.25 * np.outer(weights, weights).reshape(-1)
    assert found == pytest.approx(areas @ in_float64(two, grid)[:, 0], rel=1e-4)


def test_integrals_that_do_not_fit_are_nan() -> None:
    model = chain(2, 8, 1)
    call = model.as_cfunc("quad").ctypes
    x = np.zeros(3)
    assert np.isfinite(call(2, pointer(x, ctypes.c_double)))
    assert np.isnan(call(1, pointer(x, ctypes.c_double)))
    assert np.isnan(call(3, pointer(x, ctypes.c_double)))
    model.add(Dense(1))
    assert np.isnan(call(2, pointer(x, ctypes.c_double)))


def test_forms_that_are_none() -> None:
    with pytest.raises(ConfigError, match="'float', 'double', 'quad'"):
        chain(2, 1).as_cfunc("int")
    with pytest.raises(ConfigError, match="one number, this net 3"):
        chain(2, 3).as_cfunc("quad")


# -- without the compiler, and with every result looked at ------------------------------------------------

NUMBERS = """
import json, sys
import numpy as np
from numba import njit
from nbdl import Sequential
from nbdl.layers import Activation, Dense, Dropout

@njit
def forward(net, x):
    return net(x)

@njit
def slopes(net, x):
    return net.jacobian(x)

model = Sequential(
    [Dense(7, activation="tanh", input_dim=5), Dropout(0.5), Dense(3), Activation("softmax")], seed=1)
net, x, dy = model.as_njit(derivatives=True), np.linspace(-2, 2, 20).reshape(4, 5), np.linspace(0, 1, 12).reshape(4, 3)
results = [net(x), net(x[0]), forward(net, x), forward(net, x[0]), net.vjp(x, dy), net.vjp(x[0], dy[0]),
           net.jacobian(x), net.jacobian(x[0]), slopes(net, x[0]), model(x), model(x[0]), model.predict(x)]
errors = []
for wrong in (lambda: net(x[:, :4]), lambda: net.vjp(x, x), lambda: model.as_njit().vjp(x, dy), lambda: net(3.0),
              lambda: model.pop() and net(x)):
    try:
        wrong()
        errors.append(None)
    except Exception as error:
        errors.append([base.__name__ for base in type(error).__mro__ if base in (ValueError, RuntimeError)])
print(json.dumps([[result.tolist() for result in results], [net.inputs, net.outputs], errors]))
"""


def test_the_same_without_the_compiler_and_with_checks() -> None:
    results, sizes, errors = run_python(NUMBERS)
    assert errors == [["ValueError"]] * 4 + [["RuntimeError"]]
    for environment in ({"NUMBA_DISABLE_JIT": "1"}, {"NBDL_CHECK": "1"}):
        others, other_sizes, other_errors = run_python(NUMBERS, **environment)
        assert other_sizes == sizes
        assert other_errors == errors
        for one, other in zip(results, others, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_c_function_needs_the_compiler() -> None:
    code = """
        import json
        from nbdl import Sequential
        from nbdl.errors import ConfigError
        from nbdl.layers import Dense

        try:
            Sequential([Dense(1, input_dim=1)]).as_cfunc("quad")
        except ConfigError as error:
            print(json.dumps(str(error)))
    """
    assert "NUMBA_DISABLE_JIT" in run_python(code, NUMBA_DISABLE_JIT="1")


# -- model(x) ---------------------------------------------------------------------------------------------


def test_calling_a_model() -> None:
    model = chain(5, 4, 3)
    x = reals(2000, 5)
    wanted = driven(model, x)
    for rows in (1, 2, 7, 819, 820, 2000):
        np.testing.assert_array_equal(model(x[:rows]), wanted[:rows])
    for row in (x[0], x[0].tolist(), tuple(x[0]), x[0].astype(np.float64)):
        np.testing.assert_array_equal(model(row), wanted[0])
    np.testing.assert_array_equal(model(x[:3].tolist()), wanted[:3])
    np.testing.assert_array_equal(model(np.asfortranarray(x[:3])), wanted[:3])
    assert np.isnan(model(np.full((1, 5), np.nan))).all()
    flat = Sequential([Flatten(input_shape=(2, 3)), Dense(2)])
    np.testing.assert_array_equal(flat(reals(4, 2, 3)), driven(flat, reals(4, 2, 3)))
    np.testing.assert_array_equal(flat(reals(4, 2, 3)[0]), driven(flat, reals(4, 2, 3))[0])
    numbers = Sequential([Dense(2, input_dim=1)])
    np.testing.assert_array_equal(numbers(reals(4, 1)), driven(numbers, reals(4, 1)))


def test_other_frameworks_arrays() -> None:
    model, x = chain(5, 3), reals(2, 5)
    for name, make in (("torch", "tensor"), ("pandas", "DataFrame")):
        package = pytest.importorskip(name)
        np.testing.assert_array_equal(model(getattr(package, make)(x)), driven(model, x))


WRONG_ROWS: dict[str, Any] = {
    "too few columns": np.ones((2, 4)),
    "too many columns": np.ones((2, 6)),
    "a row of the wrong length": np.ones(4),
    "the transpose": np.ones((5, 7)),
    "three dimensions": np.ones((2, 5, 1)),
    "ragged": [[1.0, 2.0], [3.0]],
    "a number": 3.0,
    "text": [["a"] * 5],
    "an array of text": np.array([["1"] * 5]),
    "complex": np.ones((2, 5), complex),
    "masked": np.ma.masked_array(np.ones((2, 5)), mask=True),
    "None": None,
}


@pytest.mark.parametrize("kind", WRONG_ROWS)
def test_calling_a_model_with_what_does_not_fit(kind: str) -> None:
    model, x = chain(5, 3), WRONG_ROWS[kind]
    with pytest.raises(DataError) as wanted:
        model.predict(x)
    with pytest.raises(DataError) as found:
        model(x)
    assert str(found.value) == str(wanted.value)


# -- planted defects --------------------------------------------------------------------------------------


def test_copied_weights_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plans.Plans._one_plan

    def with_a_copy(self: Any, program: Any, rows: int) -> int:
        place = planned(self, program, rows)
        self.copied = self.store.data.copy()
        self._plans[-1][plans.PLAN_STORE] = self.copied.ctypes.data
        return place

    monkeypatch.setattr(plans.Plans, "_one_plan", with_a_copy)
    with pytest.raises(AssertionError):
        test_weights_that_change_are_seen(tmp_path)


def test_a_second_block_of_the_first_rows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = plans.Plans._one_plan

    def without_a_stride(self: Any, program: Any, rows: int) -> int:
        place = planned(self, program, rows)
        self._plans[-1][plans.PLAN_X] = 0
        return place

    monkeypatch.setattr(plans.Plans, "_one_plan", without_a_stride)
    test_rows(256)
    with pytest.raises(AssertionError):
        test_rows(257)


def test_ignored_gradients_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def ignoring(self: Net, x: Any, dy: Any, out: Any = None) -> Any:
        return vjp(self, x, np.ones_like(dy), out)

    vjp = Net.vjp
    monkeypatch.setattr(Net, "vjp", ignoring)
    with pytest.raises(AssertionError):
        test_derivatives_are_differences("tanh", 2)


def test_layers_that_go_unnoticed_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Network._changed

    def silently(self: Network) -> None:
        store = self._store
        changed(self)
        if store is not None:
            store.stale[0] = 0

    monkeypatch.setattr(Network, "_changed", silently)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        test_other_layers_are_refused(lambda model: model.pop())


def test_a_thread_with_a_small_stack() -> None:
    model = Sequential([Dense(1000, input_dim=1000, activation="tanh"), Dense(1000)], seed=1)
    net, x = model.as_njit(derivatives=True), np.linspace(-1, 1, 64_000, dtype=np.float32).reshape(64, 1000)
    expected, found = [net(x), net.vjp(x, x)], []
    before = threading.stack_size(256 << 10)
    try:
        thread = threading.Thread(target=lambda: found.extend([net(x), net.vjp(x, x)]))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    np.testing.assert_array_equal(found, expected)
