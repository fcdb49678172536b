"""What a recorder is given: each size, shape, column number and function is checked, and shapes decide how a weight's
rows and columns broadcast."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import nbdl
from nbdl import Layer, Regularizer, Sequential
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.plugins.registrar import registrar
from nbdl.program.functions import add, same, square, times
from nbdl.program.recorder import Recorder
from nbdl.program.tensor import Tensor
from nbdl.testing.probe import Probe, logged
from nbdl.testing.units import fixed, generator, reals, with_values

X = np.zeros((4, 6), np.float32)


def copied(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = x[i, j]


def one_more(x: Any, first: Any, y: Any) -> None:
    y[0, 0] = x[0, 0]


class Recorded(Layer):
    """A layer that records what a test gives it; its weights are w (6×4), b (6) and a state s (6)."""

    def __init__(self, record: Callable[..., Any]) -> None:
        self.record = record

    def build(self, b: Any, shape: Any) -> Any:
        self.w, self.b = b.weight("w", (6, 4), "ones"), b.weight("b", (6,), "ones")
        self.s = b.state("s", (6,), "zeros")
        return shape

    def forward(self, r: Any, x: Any) -> Any:
        return self.record(r, x, self), None

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        return dy


def refused(record: Callable[..., Any]) -> str:
    """What a layer that records this is told."""
    model = Sequential([Recorded(record, name="mine", input_dim=6)])  # type: ignore[call-arg]
    with pytest.raises(ConfigError) as caught:
        model.predict(X)
    text = str(caught.value)
    assert text.startswith(("layer 'mine': r.", "mine: ")), text
    return text


# By what is wrong: the recording, and what must be said of it.
WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "column beyond": (lambda r, x, s: r.take(x, [0, 1, 2, 3, 4, 600000000], (6,)), "600000000 .*from 0 to 5"),
    "column one beyond": (lambda r, x, s: r.take(x, [6], (1,)), "column 6 at position 0 .*from 0 to 5"),
    "negative column": (lambda r, x, s: r.take(x, [-1], (1,)), "column -1 .*from 0 to 5"),
    "column as a float": (lambda r, x, s: r.take(x, [1.0], (1,)), r"column 1\.0 .*integers"),
    "column as a bool": (lambda r, x, s: r.take(x, [True], (1,)), "column True .*integers"),
    "column as a word": (lambda r, x, s: r.take(x, "01", (2,)), "columns is a list"),
    "NumPy column": (lambda r, x, s: r.take(x, np.array([7]), (1,)), "column .*7.* from 0 to 5"),
    "columns in a matrix": (lambda r, x, s: r.take(x, np.array([[1, 2]]), (2,)), "column .*integers"),
    "no columns": (lambda r, x, s: r.take(x, [], (0,)), "one or more"),
    "take of another size": (lambda r, x, s: r.take(x, [0, 1, 2], (2,)), "2 elements, and columns has 3"),
    "take of a weight": (lambda r, x, s: r.take(s.b, [0], (1,)), "takes a tensor with rows"),
    "take shape": (lambda r, x, s: r.take(x, [0], 1), r"write \(1,\)"),
    "classes as a float": (lambda r, x, s: r.one_hot(r.take(x, [0], (1,)), 3.0), "classes .*at least 1, got 3.0"),
    "no classes": (lambda r, x, s: r.one_hot(r.take(x, [0], (1,)), 0), "classes .*got 0"),
    "negative classes": (lambda r, x, s: r.one_hot(r.take(x, [0], (1,)), -2), "classes .*got -2"),
    "labels of six": (lambda r, x, s: r.one_hot(x, 3), "labels are rows×1"),
    "empty table": (lambda r, x, s: r.table([]), "one number or more"),
    "table of words": (lambda r, x, s: r.table(["1", "2"]), "a number, got '1'"),
    "table of a word": (lambda r, x, s: r.table("123"), "list of numbers"),
    "table of rows": (lambda r, x, s: r.table([[1.0], [2.0]]), "a number, got"),
    "table of large integers": (lambda r, x, s: r.table([2**24 + 1]), "16777217 .*exact up to 16777216"),
    "table too large": (lambda r, x, s: r.table([1e300]), "too large for float32"),
    "reshape to another size": (lambda r, x, s: r.reshape(x, (5,)), "6 elements, .* 5"),
    "reshape by -1": (lambda r, x, s: r.reshape(x, (-1,)), "at least 1, got .-1"),
    "reshape by a float": (lambda r, x, s: r.reshape(x, (2.0, 3.0)), "integers"),
    "reshape by a number": (lambda r, x, s: r.reshape(x, 6), r"write \(6,\)"),
    "reshape to nothing": (lambda r, x, s: r.reshape(x, ()), "tuple of integers"),
    "uniform of a number": (lambda r, x, s: r.uniform(3), "tensor with rows"),
    "uniform of a weight": (lambda r, x, s: r.uniform(s.w), "tensor with rows"),
    "uniform of no shape": (lambda r, x, s: r.uniform(x, (0,)), "at least 1"),
    "uniform of a float": (lambda r, x, s: r.uniform(x, (2.5,)), "integers"),
    "product of other sizes": (lambda r, x, s: r.gemm(x, s.w, transpose_b=True), "inner sizes"),
    "product of an array": (lambda r, x, s: r.gemm(x, np.ones((6, 4))), "a product is of tensors"),
    "bias of another size": (lambda r, x, s: r.gemm(x, s.w, bias=s.b), "not a bias for 4 columns"),
    "kernel of no shapes": (lambda r, x, s: r.kernel(copied, x, shapes=[]), "one for each output"),
    "kernel of one shape": (lambda r, x, s: r.kernel(copied, x, shapes=(6,)), "shape of an output"),
    "kernel shape of 0": (lambda r, x, s: r.kernel(copied, x, shapes=[(0,)]), "at least 1"),
    "kernel shape below 0": (lambda r, x, s: r.kernel(copied, x, shapes=[(-3,)]), "at least 1"),
    "kernel shape of a float": (lambda r, x, s: r.kernel(copied, x, shapes=[(x.features / 2,)]), "integers"),
    "kernel of no function": (lambda r, x, s: r.kernel("copied", x, shapes=[(6,)]), "plain Python function"),
    "kernel of an array": (lambda r, x, s: r.kernel(copied, np.ones(6), shapes=[(6,)]), r"r\.table"),
    "fixed outputs of two heights": (
        lambda r, x, s: r.kernel(one_more, x, shapes=[(2, 1), (3, 1)], rows=False), "as many rows as each other"),
    "body of other arguments": (lambda r, x, s: r.kernel(copied, x, x, shapes=[(6,)]), "is given 3 arguments"),
    "unknown reduction of a body": (
        lambda r, x, s: r.kernel(copied, x, shapes=[(2, 1)], rows=False, reduction="mean"), "'sum' or 'max'"),
    "reduction of rows": (lambda r, x, s: r.kernel(copied, x, shapes=[(6,)], reduction="sum"), "'sum' or 'max'"),
    "body without first": (lambda r, x, s: r.kernel(copied, x, shapes=[(6,)], rows=False), "number of the first row"),
    "sum over columns": (lambda r, x, s: r.sum(same, x, over="columns"), "'rows' or 'features', got 'columns'"),
    "sum over an axis": (lambda r, x, s: r.sum(same, x, over=1), "over is .*got 1"),
    "unknown reduction": (lambda r, x, s: r.sum(same, x, reduction="mean"), "'max', 'argmax', got 'mean'"),
    "argmax over rows": (lambda r, x, s: r.sum(same, x, reduction="argmax"), "over='features'"),
    "sum into another size": (lambda r, x, s: r.sum(same, x, into=s.w), "6 elements, does not fit"),
    "map of a list": (lambda r, x, s: r.map(add, x, [1.0] * 6), r"r\.table\(values\)"),
    "map of an array": (lambda r, x, s: r.map(add, x, np.ones(6)), r"r\.table\(values\)"),
    "map of None": (lambda r, x, s: r.map(add, x, None), "a tensor or a number, got None"),
    "map of a word": (lambda r, x, s: r.map(add, x, "1.0"), "a tensor or a number, got '1.0'"),
    "map of nothing": (lambda r, x, s: r.map(lambda: 1.0), "is given no operand"),
    "map of one too few": (lambda r, x, s: r.map(add, x), r"takes \(a, b\), and is given 1 argument"),
    "map of one too many": (lambda r, x, s: r.map(same, x, 1.0), r"takes \(a\), and is given 2 arguments"),
    "map into an input": (lambda r, x, s: r.map(same, x, into=[x]), "an input, which nothing may write to"),
    "map into a weight": (lambda r, x, s: r.map(same, s.w, into=[s.w]), "which only an update changes"),
    "map into a smaller": (lambda r, x, s: r.map(same, x, into=[r.take(x, [0], (1,))]), "does not fit"),
    "gradient of a table": (lambda r, x, s: r.gradient(r.table([1.0]), r.table([1.0])), "is no weight"),
    "gradient of another size": (lambda r, x, s: r.gradient(s.b, s.w), "is not a gradient of"),
    "assign of another size": (lambda r, x, s: r.assign(s.s, s.w), "is not a value for"),
    "assign of a scalar": (lambda r, x, s: r.assign(s.s, r.total(same, s.b)), "is not a value for"),
    "assign of rows": (lambda r, x, s: r.assign(s.s, x), "is not a value for"),
    "assign to a table": (lambda r, x, s: r.assign(r.table([1.0]), r.table([1.0])), "is no state"),
    "log of no width": (lambda r, x, s: r.log("mine", 0), "width is an integer of at least 1, got 0"),
    "log of a float": (lambda r, x, s: r.log("mine", 2.0), "width is an integer"),
    "too many operands": (lambda r, x, s: r.kernel(many, *[x] * 30, shapes=[(6,)]), "31 operands .* at most"),
}  # fmt: skip


def many(*arguments: Any) -> None:
    arguments[-1][0, 0] = 0.0


@pytest.mark.parametrize("case", WRONG)
def test_what_is_known_while_recording_is_checked_there(case: str) -> None:
    record, said = WRONG[case]
    text = refused(record)
    assert re.search(said, text, re.DOTALL), text


def test_numbers_of_any_type_are_taken() -> None:
    def record(r: Any, x: Any, layer: Any) -> Any:
        y = r.take(x, np.arange(6, dtype=np.int16)[::-1], (np.int64(6),))
        assert r.one_hot(r.take(y, (0,), (1,)), np.int32(3)).features == 3
        assert r.table(np.float64(one) for one in range(2)).features == 2
        return r.map(add, r.reshape(y, [6]), np.float32(1.0))

    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    model = Sequential([Recorded(record, input_dim=6)])  # type: ignore[call-arg]
    assert_allclose(model.predict(x), x[:, ::-1] + 1.0)


class Shaped(Layer):
    """Builds a weight of a shape, and says that its outputs have another."""

    def __init__(self, shape: Any = (3,), outputs: Any = (3,), label: Any = "w") -> None:
        self.shape, self.outputs_, self.label = shape, outputs, label

    def build(self, b: Any, shape: Any) -> Any:
        self.w = b.weight(self.label, self.shape, "zeros")
        return self.outputs_

    def forward(self, r: Any, x: Any) -> Any:
        return x, None


@pytest.mark.parametrize("shape", [(3.0,), (0,), (-1, 3), (), "ab", 3, (True,), (None, 3), (2, 3.5)])
def test_the_shape_of_a_weight_is_checked(shape: Any) -> None:
    with pytest.raises(ConfigError, match=r"layer '\w+': b.weight\('w'\): a shape is a tuple of integers"):
        Sequential([Shaped(shape, input_dim=3)]).build()  # type: ignore[call-arg]


@pytest.mark.parametrize("outputs", [(3.0,), (0,), (-3,), [3], 3, (True,)])
def test_the_shape_that_build_returns_is_checked(outputs: Any) -> None:
    with pytest.raises(ConfigError, match="build returned"):
        Sequential([Shaped((3,), outputs, input_dim=3)]).build()  # type: ignore[call-arg]


def test_the_name_of_a_weight_is_a_word() -> None:
    with pytest.raises(ConfigError, match="the name is a word, such as 'kernel', got 5"):
        Sequential([Shaped(label=5, input_dim=3)]).build()  # type: ignore[call-arg]


# -- a weight's rows and columns ----------------------------------------------------------------------------

SHAPES = [(4, 3), (3, 4), (4, 4), (1, 4), (4, 1), (2, 3, 4), (33, 40), (64, 64)]
HOWS = ("compiled", "plain", "python", "float64", "cuda")


def of_weights(record: Callable[[Recorder, list[Tensor]], Tensor], *values: Any) -> Callable[[str], Any]:
    """What is recorded of weights, by how it is run."""
    weights = [fixed(f"w{number}", value) for number, value in enumerate(values)]

    def recorded(r: Recorder, t: Sequence[Tensor]) -> Any:
        return logged(r, "found", record(r, [weight.tensor for weight in weights]))

    made = with_values(Probe("weights", recorded, [], weights))
    return lambda how: np.asarray(made.run(how).log).ravel()


def everywhere(record: Callable[[Recorder, list[Tensor]], Tensor], wanted: Any, *values: Any) -> None:
    """Compiled, in Python, on a simulated GPU: NumPy's values."""
    run = of_weights(record, *values)
    for how in HOWS:
        assert_allclose(run(how), np.asarray(wanted).ravel(), rtol=2e-5, atol=1e-6, err_msg=how)


def quotient(w: float, norm: float) -> float:
    return w / math.sqrt(norm)


def norms(w: Any, axis: int) -> Any:
    return np.sqrt(np.sum(w.astype(np.float64) ** 2, axis=axis, keepdims=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_of_norm_one(shape: tuple[int, ...]) -> None:
    w = reals(generator(), *shape) + 3.0
    everywhere(lambda r, t: r.map(quotient, t[0], r.sum(square, t[0], over="features")), w / norms(w, -1), w)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) == 2])
def test_columns_of_norm_one(shape: tuple[int, ...]) -> None:
    w = reals(generator(), *shape) + 3.0
    everywhere(lambda r, t: r.map(quotient, t[0], r.sum(square, t[0])), w / norms(w, 0), w)


@pytest.mark.parametrize("shape", [(4, 3), (4, 4), (33, 40)])
def test_vectors_and_columns_broadcast_as_in_numpy(shape: tuple[int, int]) -> None:
    rng, (n, m) = generator(), shape
    w, vector, column = reals(rng, n, m), reals(rng, m), reals(rng, n, 1)
    everywhere(lambda r, t: r.map(lambda a, b, c: a + b * c, *t), w + vector * column, w, vector, column)
    everywhere(lambda r, t: r.map(times, t[1], t[0]), column * vector, vector, column)
    everywhere(lambda r, t: r.sum(times, *t), (w * column).sum(axis=0), w, column)
    everywhere(lambda r, t: r.sum(times, *t, over="features"), (w * column).sum(axis=1), w, column)
    everywhere(lambda r, t: r.map(add, t[0], r.reshape(r.table(range(n)), (n, 1))), w + np.arange(n)[:, None], w)


def test_a_square_weight_is_not_guessed() -> None:
    """A vector goes along the last axis, as in NumPy; a column along the first: on a square matrix as on any."""
    w = reals(generator(), 5, 5)
    everywhere(lambda r, t: r.map(add, t[0], r.table(range(5))), w + np.arange(5), w)
    everywhere(lambda r, t: r.map(add, t[0], r.sum(same, t[0])), w + w.sum(axis=0), w)
    everywhere(lambda r, t: r.map(add, t[0], r.sum(same, t[0], over="features")), w + w.sum(1, keepdims=True), w)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((4, 3), (4,)), r"a column: r\.reshape\(\.\.\., \(4, 1\)\)"),
        (((4, 3), (3, 4)), "brings both to one shape"),
        (((4, 3), (2,)), r"a vector of 3 along each row and a column of 4×1"),
        (((4, 3), (3, 1)), r"does not broadcast"),
        (((4, 3), (1, 4)), r"does not broadcast"),
        (((2, 3, 4), (3, 4)), r"does not broadcast"),
    ],
)
def test_what_does_not_broadcast_in_numpy_is_refused(shapes: Any, said: str) -> None:
    values = [np.ones(shape, np.float32) for shape in shapes]
    with pytest.raises(ConfigError, match=said):
        of_weights(lambda r, t: r.map(add, *t), *values)
    with pytest.raises(ConfigError, match=r"r\.sum: "):
        of_weights(lambda r, t: r.sum(add, *reversed(t)), *values)


class GroupLasso(Regularizer):
    """λ·Σᵢ‖wᵢ‖ over the rows of a matrix."""

    def __init__(self, rate: float = 0.1) -> None:
        self.rate = rate

    def penalty(self, r: Any, w: Any) -> Any:
        return r.total(lambda s, rate: rate * math.sqrt(s), r.sum(square, w, over="features"), self.rate)

    def gradient(self, r: Any, w: Any, g: Any) -> Any:
        return r.add_to(g, lambda w, s, rate: rate * w / math.sqrt(s), w, r.sum(square, w, over="features"), self.rate)


class NewGradient(GroupLasso):
    """The same, whose gradient is a new tensor."""

    def gradient(self, r: Any, w: Any, g: Any) -> Any:
        norms = r.sum(square, w, over="features")
        return r.map(lambda g, w, s, rate: g + rate * w / math.sqrt(s), g, w, norms, self.rate)


@pytest.mark.parametrize("unit", [GroupLasso, NewGradient])
@pytest.mark.parametrize(("inputs", "units"), [(4, 3), (4, 4), (3, 1)])
def test_group_lasso(unit: type[Regularizer], inputs: int, units: int) -> None:
    model = Sequential([Dense(units, use_bias=False, kernel_regularizer=unit(), input_dim=inputs)], seed=3)
    model.compile(nbdl.optimizers.SGD(0.5), "mse")
    x, y = np.zeros((2, inputs), np.float32), np.zeros((2, units), np.float32)
    (w,) = model.get_weights()
    loss = model.train_on_batch(x, y)
    assert loss == pytest.approx(0.1 * norms(w, 1).sum(), rel=1e-5)
    assert_allclose(model.get_weights()[0], w - 0.5 * 0.1 * w / norms(w, 1), rtol=1e-5, atol=1e-7)


class WeightNorm(Layer):
    """y = x·(g·v/‖v‖), with one norm for each row of v."""

    def __init__(self, units: int) -> None:
        self.units = units

    def build(self, b: Any, shape: Any) -> Any:
        self.v, self.g = b.weight("v", (*shape, self.units), "he_normal"), b.weight("g", (*shape, 1), "ones")
        return (self.units,)

    def forward(self, r: Any, x: Any) -> Any:
        w = r.map(lambda v, g, s: g * v / math.sqrt(s), self.v, self.g, r.sum(square, self.v, over="features"))
        return r.gemm(x, w), w

    def backward(self, r: Any, x: Any, y: Any, dy: Any, saved: Any) -> Any:
        s = r.sum(square, self.v, over="features")
        dw = r.gemm(x, dy, transpose_a=True)
        inner = r.sum(times, dw, self.v, over="features")
        r.gradient(self.g, r.map(lambda i, s: i / math.sqrt(s), inner, s))
        r.gradient(
            self.v, r.map(lambda d, v, g, i, s: g * (d - v * i / s) / math.sqrt(s), dw, self.v, self.g, inner, s)
        )
        return r.gemm(dy, saved, transpose_b=True)


@pytest.mark.parametrize("units", [3, 5, 1])
def test_weight_norm(units: int) -> None:
    from nbdl.testing import check_unit

    model = Sequential([WeightNorm(units, input_dim=5)], seed=2)  # type: ignore[call-arg]
    x = reals(generator(), 7, 5)
    v, g = model.get_weights()
    assert_allclose(model.predict(x), x @ (g * v / norms(v, 1)), rtol=1e-4, atol=1e-5)
    with suppress(InterruptedError), registrar.owned(registrar.owner, ""):  # what is registered is taken back
        nbdl.register("t_weight_norm", WeightNorm, examples=({"units": units},))
        check_unit("layers/t_weight_norm", "derivative", "CUDA is the CPU", "any batch size")
        raise InterruptedError


# -- what other units return ----------------------------------------------------------------------------------


class ByRows(nbdl.Loss):
    """A loss that returns what a test says."""

    def __init__(self, values: Any = None, gradient: Any = None) -> None:
        self.returned = values, gradient

    def values(self, r: Any, y: Any, p: Any) -> Any:
        return self.returned[0](r, y, p) if self.returned[0] else r.mean(square, p)

    def gradient(self, r: Any, y: Any, p: Any) -> Any:
        return self.returned[1](r, y, p) if self.returned[1] else r.map(same, p)


def total(r: Any, y: Any, p: Any) -> Any:
    return r.sum(same, p)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"values": total}, r"values returned 4; it returns the loss of each row: rows×1"),
        ({"values": lambda r, y, p: p}, r"values returned .*rows×4.*rows×1"),
        ({"values": lambda r, y, p: None}, r"values returned None"),
        ({"values": lambda r, y, p: 1.0}, r"values returned 1\.0"),
        ({"gradient": total}, r"gradient returned 4; it returns the derivative .*: rows×4"),
        ({"gradient": lambda r, y, p: r.sum(same, p, over="features")}, r"gradient returned rows×1; .*rows×4"),
        ({"gradient": lambda r, y, p: None}, r"gradient returned None"),
    ],
)
def test_what_a_loss_returns_is_checked(arguments: Any, said: str) -> None:
    model = Sequential([Dense(4, input_dim=6)])
    model.compile("sgd", ByRows(**arguments))
    with pytest.raises(ConfigError, match=f"loss 'ByRows': {said}"):
        model.fit(X, X[:, :4], verbose=0)


class Penalty(Regularizer):
    """A regularizer that returns what a test says."""

    def __init__(self, penalty: Any = None, gradient: Any = None) -> None:
        self.returned = penalty, gradient

    def penalty(self, r: Any, w: Any) -> Any:
        return self.returned[0](r, w) if self.returned[0] else r.total(square, w)

    def gradient(self, r: Any, w: Any, g: Any) -> Any:
        return self.returned[1](r, w) if self.returned[1] else g


class Projected(nbdl.Constraint):
    """A constraint that returns what a test says."""

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def project(self, r: Any, w: Any) -> Any:
        return self.returned(r, w)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            {"kernel_regularizer": Penalty(lambda r, w: r.sum(square, w))},
            r"penalty returned 4; .*one number: 1 element",
        ),
        ({"kernel_regularizer": Penalty(lambda r, w: w)}, r"penalty returned .*kernel.*one number"),
        ({"kernel_regularizer": Penalty(lambda r, w: 1.0)}, r"penalty returned 1\.0"),
        ({"kernel_regularizer": Penalty(None, lambda r, w: r.sum(square, w))}, r"gradient returned 4; .*24 elements"),
        ({"kernel_regularizer": Penalty(None, lambda r, w: None)}, r"gradient returned None"),
        ({"activity_regularizer": Penalty(lambda r, w: w)}, r"penalty returned .*one number for each row: rows×1"),
        ({"activity_regularizer": Penalty(None, lambda r, w: r.sum(same, w))}, r"gradient returned 4; .*rows×4"),
        ({"kernel_constraint": Projected(lambda r, w: r.sum(square, w))}, r"project returned 4; .*24 elements"),
        ({"kernel_constraint": Projected(lambda r, w: None)}, r"project returned None"),
    ],
)
def test_what_regularizers_and_constraints_return_is_checked(arguments: Any, said: str) -> None:
    model = Sequential([Dense(4, input_dim=6, **arguments)])
    model.compile("sgd", "mse")
    with pytest.raises(ConfigError, match=rf"(regularizer|constraint) '(Penalty|Projected)': {said}"):
        model.fit(X, X[:, :4], verbose=0)


class Figure(nbdl.Metric):
    """A metric that returns what a test says."""

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def update(self, r: Any, y: Any, p: Any) -> Any:
        return self.returned(r, y, p)


@pytest.mark.parametrize("argument", ["metrics", "weighted_metrics"])
@pytest.mark.parametrize("returned", [total, lambda r, y, p: None, lambda r, y, p: (p, 1.0), lambda r, y, p: [p]])
def test_what_a_metric_returns_is_checked(argument: str, returned: Any) -> None:
    model = Sequential([Dense(4, input_dim=6)])
    model.compile("sgd", "mse", **{argument: [Figure(returned)]})
    with pytest.raises(ConfigError, match=r"metric 'Figure': update returned .*values of each row: rows×features"):
        model.evaluate(X, X[:, :4], verbose=0)


class First(nbdl.Initializer):
    """An initializer that returns what a test says."""

    def __init__(self, returned: Any) -> None:
        self.returned = returned

    def __call__(self, shape: Any, random: Any) -> Any:
        return self.returned


@pytest.mark.parametrize(
    "returned", [0.5, np.ones(4), np.ones((6, 1)), np.ones((4, 6)), np.array([["a"] * 4] * 6), None]
)
def test_what_an_initializer_returns_is_checked(returned: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"initializer 'First' of dense\w*/kernel: it returns numbers of shape \(6, 4\)"
    ):
        Sequential([Dense(4, input_dim=6, kernel_initializer=First(returned))]).build()


class Rule(nbdl.Optimizer):
    """Plain descent that returns, or is given, what a test says."""

    def __init__(self, returned: Any = None, scalars: Any = None, operands: Any = None) -> None:
        self.returned, self.scalars_, self.operands = returned, scalars, operands

    def per_step(self, step: Any) -> Any:
        return {"rate": 0.1} if self.scalars_ is None else self.scalars_

    def update_function(self) -> Any:
        return self.returned or (lambda w, g, rate: w - rate * g)

    def record(self, r: Any, w: Any, g: Any, slots: Any, scalars: Any) -> Any:
        return self.operands(r, w, g) if self.operands else super().record(r, w, g, slots, scalars)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"returned": lambda w, g, rate: (w, g)}, "returns"),
        ({"returned": lambda w, g: w}, r"takes \(w, g\), and is given 3 arguments"),
        ({"scalars": [0.1]}, "per_step returns a dict of numbers by name, got"),
        ({"scalars": {"rate": "fast"}}, "per_step .*'rate' is 'fast'"),
        ({"scalars": {"rate": None}}, "per_step .*'rate' is None"),
        ({"operands": lambda r, w, g: None}, "record returns the scalar function and a list of its operands, got None"),
        ({"operands": lambda r, w, g: (lambda w, g: w, g)}, "record returns"),
    ],
)
def test_what_an_optimizer_returns_is_checked(arguments: Any, said: str) -> None:
    model = Sequential([Dense(4, input_dim=6)])
    model.compile(Rule(**arguments), "mse")
    with pytest.raises(ConfigError, match=said):
        model.fit(X, X[:, :4], verbose=0)
