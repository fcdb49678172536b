"""Activations beside Keras 3's numbers; their arguments, layers and errors."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive.activations import ACTIVATIONS

import nbdl
from nbdl import Layer, Sequential, activations
from nbdl.errors import ConfigError
from nbdl.layers import ELU, Activation, Dense, Flatten, Input, LeakyReLU, PReLU, ReLU, Softmax
from nbdl.optimizers import SGD
from nbdl.program.recorder import Recorder
from nbdl.testing.probe import Probe
from nbdl.units.elementwise import elementwise
from nbdl.units.registry import registry

POINTS = [-20.0, -3.001, -2.999, -1.001, -0.499, -0.001, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001]

# Keras 3.15.1 on JAX: name, arguments, values and slopes at POINTS.
# fmt: off
KERAS: list[tuple[str, dict[str, float], list[float], list[float]]] = [
    ("relu", {},
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("relu", {"negative_slope": 0.1, "max_value": 1.5, "threshold": 0.25},
     [-2.025, -0.3251, -0.3249, -0.1251, -0.0749, -0.0251, -0.0249, 0.501, 0.999, 1.5, 1.5, 1.5],
     [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 0.0, 0.0, 0.0]),
    ("leaky_relu", {},
     [-4.0, -0.6002, -0.5998, -0.2002, -0.0998, -0.0002, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("leaky_relu", {"negative_slope": 0.05},
     [-1.0, -0.15005, -0.14995, -0.05005, -0.02495, -5e-05, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("relu6", {},
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.001, 0.501, 0.999, 1.501, 2.999, 6.0],
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
    ("celu", {},
     [-1.0, -0.9502627, -0.9501631, -0.6324883, -0.3928625, -0.0009995002, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [2.061154e-09, 0.04973731, 0.04983688, 0.3675117, 0.6071375, 0.9990005, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("celu", {"alpha": 2.0},
     [-1.999909, -1.553963, -1.553516, -0.7875451, -0.4416194, -0.00099975, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [4.539993e-05, 0.2230186, 0.2232418, 0.6062275, 0.7791903, 0.9995001, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("elu", {},
     [-1.0, -0.9502627, -0.9501631, -0.6324883, -0.3928625, -0.0009995002, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [2.061154e-09, 0.04973731, 0.04983688, 0.3675117, 0.6071375, 0.9990005, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("elu", {"alpha": 0.5},
     [-0.5, -0.4751313, -0.4750816, -0.3162441, -0.1964313, -0.0004997501, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [1.030577e-09, 0.02486865, 0.02491844, 0.1837559, 0.3035687, 0.4995002, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("selu", {},
     [-1.758099, -1.670656, -1.670481, -1.111977, -0.6906913, -0.001757221, 0.001050701, 0.5264012, 1.04965,
      1.577102, 3.151052, 6.305257],
     [3.623713e-09, 0.08744313, 0.08761819, 0.6461222, 1.067408, 1.756342, 1.050701, 1.050701, 1.050701, 1.050701,
      1.050701, 1.050701]),
    ("softplus", {},
     [2.061154e-09, 0.04853995, 0.0486348, 0.3129928, 0.4744546, 0.6926473, 0.6936473, 0.9746996, 1.312531,
      1.702231, 3.047635, 6.003473],
     [2.061154e-09, 0.04738072, 0.04747107, 0.2687449, 0.3777757, 0.49975, 0.50025, 0.6226943, 0.7308619,
      0.8177236, 0.9525289, 0.9975298]),
    ("softsign", {},
     [-0.952381, -0.7500625, -0.7499375, -0.5002499, -0.3328886, -0.000999001, 0.000999001, 0.3337775, 0.4997499,
      0.6001599, 0.7499375, 0.8571633],
     [0.002267574, 0.06246876, 0.06253126, 0.2497502, 0.4450376, 0.998003, 0.998003, 0.4438524, 0.2502502,
      0.1598721, 0.06253126, 0.02040233]),
    ("squareplus", {},
     [0.04987562, 0.3026917, 0.3028596, 0.6177577, 0.7811553, 0.9995001, 1.0005, 1.281398, 1.61731, 2.0008,
      3.30186, 6.163252],
     [0.002481405, 0.0839322, 0.08401754, 0.2762144, 0.3789605, 0.49975, 0.50025, 0.621496, 0.7234279, 0.800128,
      0.9159825, 0.9743496]),
    ("squareplus", {"b": 0.5},
     [0.006248048, 0.04109017, 0.04111684, 0.1122808, 0.1832242, 0.3530537, 0.3540537, 0.6838016, 1.111464,
      1.580108, 3.040117, 6.021758],
     [0.0003122073, 0.0133272, 0.01334428, 0.09161576, 0.2117102, 0.4992929, 0.5007071, 0.7890597, 0.9081121,
      0.9523218, 0.9866557, 0.9965647]),
    ("soft_shrink", {},
     [-19.5, -2.501, -2.499, -0.501, 0.0, 0.0, 0.0, 0.001, 0.499, 1.001, 2.499, 5.501],
     [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("soft_shrink", {"threshold": 1.0},
     [-19.0, -2.001, -1.999, -0.001, 0.0, 0.0, 0.0, 0.0, 0.0, 0.501, 1.999, 5.001],
     [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
    ("sparse_plus", {},
     [0.0, 0.0, 0.0, 0.0, 0.06275025, 0.2495003, 0.2505002, 0.5632502, 0.9990003, 1.501, 2.999, 6.001],
     [0.0, 0.0, 0.0, 0.0, 0.2505, 0.4995, 0.5005, 0.7505, 0.9995, 1.0, 1.0, 1.0]),
    ("silu", {},
     [-4.122307e-08, -0.1421895, -0.1423657, -0.2690136, -0.1885101, -0.00049975, 0.00050025, 0.3119698,
      0.7301311, 1.227403, 2.856634, 5.986177],
     [-3.916192e-08, -0.08807177, -0.08813642, 0.07202728, 0.2604802, 0.4995, 0.5005, 0.7404023, 0.927368,
      1.04145, 1.088136, 1.012317]),
    ("gelu", {},
     [-5.507248e-88, -0.004037764, -0.004061655, -0.1585718, -0.154136, -0.0004996011, 0.0005003989, 0.346599,
      0.8402616, 1.400917, 2.994938, 6.001],
     [-1.101436e-86, -0.01191466, -0.0119767, -0.08355708, 0.1331213, 0.4992021, 0.5007979, 0.8681109, 1.083073,
      1.127437, 1.011977, 1.0]),
    ("gelu", {"approximate": True},
     [0.0, -0.003625824, -0.003648992, -0.1587249, -0.1541531, -0.0004996011, 0.0005003989, 0.3465817, 0.8401091,
      1.400699, 2.995351, 6.001],
     [0.0, -0.01155243, -0.01161597, -0.08320587, 0.1332459, 0.4992021, 0.5007979, 0.8679851, 1.082722, 1.12768,
      1.011616, 1.0]),
    ("tanh", {},
     [-1.0, -0.9950647, -0.9950448, -0.7620139, -0.4613304, -0.0009999996, 0.0009999996, 0.4629032, 0.7611739,
      0.9053288, 0.9950448, 0.9999877],
     [0.0, 0.00984633, 0.009885788, 0.4193349, 0.7871743, 0.999999, 0.999999, 0.7857206, 0.4206143, 0.1803797,
      0.009885792, 2.455696e-05]),
    ("sigmoid", {},
     [2.061154e-09, 0.04738072, 0.04747107, 0.2687449, 0.3777757, 0.49975, 0.50025, 0.6226943, 0.7308619,
      0.8177236, 0.9525289, 0.9975298],
     [2.061154e-09, 0.04513578, 0.04521757, 0.1965211, 0.2350612, 0.2499999, 0.2499999, 0.2349461, 0.1967028,
      0.1490517, 0.04521757, 0.002464056]),
    ("exponential", {},
     [2.061154e-09, 0.04973731, 0.04983688, 0.3675117, 0.6071375, 0.9990005, 1.001001, 1.650371, 2.715565,
      4.486173, 20.06546, 403.8324],
     [2.061154e-09, 0.04973731, 0.04983688, 0.3675117, 0.6071375, 0.9990005, 1.001001, 1.650371, 2.715565,
      4.486173, 20.06546, 403.8324]),
    ("hard_sigmoid", {},
     [0.0, 0.0, 0.0001666667, 0.3331667, 0.4168333, 0.4998333, 0.5001667, 0.5835, 0.6665, 0.7501667, 0.9998333, 1.0],
     [0.0, 0.0, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667, 0.1666667,
      0.0]),
    ("hard_silu", {},
     [0.0, 0.0, -0.0004998333, -0.3334998, -0.2079998, -0.0004998333, 0.0005001667, 0.2923335, 0.6658335, 1.126,
      2.9985, 6.001],
     [0.0, 0.0, -0.4996667, 0.1663333, 0.3336667, 0.4996667, 0.5003333, 0.667, 0.833, 1.000333, 1.499667, 1.0]),
    ("hard_tanh", {},
     [-1.0, -1.0, -1.0, -1.0, -0.499, -0.001, 0.001, 0.501, 0.999, 1.0, 1.0, 1.0],
     [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0]),
    ("hard_shrink", {},
     [-20.0, -3.001, -2.999, -1.001, 0.0, 0.0, 0.0, 0.501, 0.999, 1.501, 2.999, 6.001],
     [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("hard_shrink", {"threshold": 1.0},
     [-20.0, -3.001, -2.999, -1.001, 0.0, 0.0, 0.0, 0.0, 0.0, 1.501, 2.999, 6.001],
     [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
    ("linear", {},
     [-20.0, -3.001, -2.999, -1.001, -0.499, -0.001, 0.001, 0.501, 0.999, 1.501, 2.999, 6.001],
     [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ("mish", {},
     [-4.122307e-08, -0.1455541, -0.1457409, -0.3034605, -0.220454, -0.00059968, 0.00060032, 0.3761319, 0.8640494,
      1.404467, 2.985514, 6.000927],
     [-3.916192e-08, -0.09335318, -0.09343304, 0.05886727, 0.2900748, 0.59936, 0.60064, 0.8868922, 1.048851,
      1.088486, 1.021137, 1.000134]),
    ("log_sigmoid", {},
     [-20.0, -3.04954, -3.047635, -1.313993, -0.9734546, -0.6936473, -0.6926473, -0.4736996, -0.3135307,
      -0.2012309, -0.0486348, -0.002473214],
     [1.0, 0.9526193, 0.9525289, 0.7312551, 0.6222243, 0.50025, 0.49975, 0.3773057, 0.2691381, 0.1822764,
      0.04747107, 0.002470158]),
    ("sparse_sigmoid", {},
     [0.0, 0.0, 0.0, 0.0, 0.2505, 0.4995, 0.5005, 0.7505, 0.9995, 1.0, 1.0, 1.0],
     [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0]),
    ("tanh_shrink", {},
     [-19.0, -2.005935, -2.003955, -0.2389862, -0.03766965, -3.333332e-10, 3.333332e-10, 0.03809676, 0.2378261,
      0.5956712, 2.003955, 5.001012],
     [1.0, 0.9901536, 0.9901143, 0.580665, 0.2128257, 9.999993e-07, 9.999993e-07, 0.2142794, 0.5793856, 0.8196202,
      0.9901143, 0.9999755]),
    ("threshold", {"threshold": 1.0, "default_value": -0.25},
     [-0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, -0.25, 1.501, 2.999, 6.001],
     [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
]
ROWS = [[1.0, 2.0, 3.0, -1.0], [0.5, 0.4, 0.3, -20.0], [100.0, -100.0, 99.5, 0.0]]
DY = [1.0, -2.0, 0.5, 3.0]
# The same for rows: values, and dx for DY. (Keras 3.15.1's sparsemax adds up too much where more than one element is
# positive, in all its backends; its numbers are by hand.)
KERAS_ROWS: list[tuple[str, list[list[float]], list[list[float]]]] = [
    ("softmax",
     [[0.08894682, 0.2417825, 0.657233, 0.01203764],
      [0.3671654, 0.332225, 0.3006096, 4.590129e-10],
      [0.6224593, 0.0, 0.3775407, 0.0]],
     [[0.09160533, -0.4763384, 0.3482604, 0.03647272],
      [0.4211313, -0.6156196, 0.1944883, 1.444504e-09],
      [0.1175019, 0.0, -0.1175019, 0.0]]),
    ("log_softmax",
     [[-2.419717, -1.419717, -0.4197166, -4.419717],
      [-1.001943, -1.101943, -1.201943, -21.50194],
      [-0.474077, -200.4741, -0.974077, -100.4741]],
     [[0.777633, -2.604456, -1.143083, 2.969906],
      [0.0820865, -2.830562, -0.251524, 3.0],
      [-0.5561483, -2.0, -0.4438517, 3.0]]),
    ("sparsemax",
     [[0.0, 0.0, 1.0, 0.0], [0.4333333, 0.3333333, 0.2333333, 0.0], [0.75, 0.0, 0.25, 0.0]],
     [[0.0, 0.0, 0.0, 0.0], [1.166667, -1.833333, 0.6666667, 0.0], [0.25, 0.0, -0.25, 0.0]]),
    ("glu",
     [[0.9525741, 0.5378828], [0.2872213, 8.244615e-10], [100.0, -50.0]],
     [[0.9525741, -0.5378828, 0.04517666, -0.7864477],
      [0.5744425, -4.122307e-09, 0.1222292, -1.648923e-09],
      [1.0, -1.0, 0.0, 50.0]]),
]
# fmt: on


def both(unit: Any, x: Any, dy: Any) -> tuple[Any, Any]:
    """y, and dx, compiled."""

    def backward(r: Recorder, t: Any) -> Any:
        y, saved = unit.forward(r, t[0])
        return unit.backward(r, t[0], y, t[1], saved)

    x = np.asarray(x, np.float32)
    y = Probe("y", lambda r, t: unit.forward(r, t[0])[0], [x]).run().output
    dy = np.broadcast_to(np.asarray(dy, np.float32), y.shape)
    return y, Probe("dx", backward, [x, np.ascontiguousarray(dy)]).run().output


def made(name: str, **arguments: Any) -> Any:
    return registry.make("activations", {"name": name, "config": arguments})


def agree(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize(("name", "arguments", "values", "slopes"), KERAS, ids=lambda one: str(one)[:40])
def test_values_and_slopes_are_keras(
    name: str, arguments: dict[str, float], values: list[float], slopes: list[float]
) -> None:
    y, dx = both(made(name, **arguments), np.array([POINTS, POINTS[::-1]]), 1.0)
    for found, wanted in ((y, values), (dx, slopes)):
        agree(found, [wanted, wanted[::-1]])


@pytest.mark.parametrize(("name", "values", "gradients"), KERAS_ROWS, ids=lambda one: str(one)[:20])
def test_rows_are_keras(name: str, values: list[list[float]], gradients: list[list[float]]) -> None:
    y, dx = both(made(name), ROWS, DY[: len(values[0])])
    agree(y, values)
    agree(dx, gradients)


def test_what_is_compared_is_there() -> None:
    """Others, and all again, are trained beside Keras or their own functions: scripts/parity takes the registry's."""
    compared = {name for name, *_ in (*KERAS, *KERAS_ROWS)}
    assert compared <= {entry.name for entry in registry.entries("activations") if entry.owner.distribution == "nbdl"}
    assert len(compared) == 30


def test_a_wrong_formula_is_seen() -> None:
    """A value of Keras 1 and 2, and a slope that is off by 1e-5."""
    wrong = elementwise("activations", "wrong", (lambda x: x, lambda x, y: 1.00001))()
    for unit, name, which in ((made("hard_sigmoid", slope=0.2), "hard_sigmoid", 0), (wrong, "linear", 1)):
        wanted = next(entry[2 + which] for entry in KERAS if entry[0] == name)
        found = both(unit, [POINTS], 1.0)[which]
        with pytest.raises(AssertionError, match="Not equal"):
            agree(found, [wanted])


# -- arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alias", "name"), [("swish", "silu"), ("hard_swish", "hard_silu"), ("SiLU", "silu"), ("LeakyReLU", "leaky_relu")]
)
def test_aliases(alias: str, name: str) -> None:
    assert registry.get("activations", alias).name == name
    assert getattr(activations, alias) is getattr(activations, name)


@pytest.mark.parametrize(
    "given",
    [
        "elu",
        activations.elu,
        activations.elu(),
        {"name": "elu", "config": {"alpha": 1.0}},
    ],
    ids=["name", "class", "object", "config"],
)
def test_by_name_and_by_object(given: Any) -> None:
    x = np.linspace(-2, 2, 12).reshape(4, 3)
    model = Sequential([Dense(5, activation=given, input_dim=3)], seed=1)
    z = x @ model.get_weights()[0]
    np.testing.assert_allclose(model.predict(x), np.where(z > 0, z, np.expm1(z)), rtol=1e-5, atol=1e-6)


def test_arguments_come_back_from_a_file(tmp_path: Path) -> None:
    units = [
        activations.relu(max_value=1.5, negative_slope=0.1), activations.gelu(approximate=True),
        activations.hard_sigmoid(slope=0.2), activations.threshold(0.1, -1.0),
    ]  # fmt: skip
    layers = [Input((3,)), *(Dense(4, activation=unit) for unit in units), PReLU(shared_axes=[1]), ELU(0.5), ReLU(6.0)]
    model = Sequential(layers, seed=1)
    model.save(tmp_path / "all.nbdl")
    again = nbdl.load_model(tmp_path / "all.nbdl")
    assert again.get_config() == model.get_config()
    x = np.random.default_rng(1).normal(size=(9, 3))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_relu_takes_keras_spellings() -> None:
    x = [[-2.0, 0.5, 9.0]]
    np.testing.assert_array_equal(both(made("relu", max_value=None), x, 1.0)[0], [[0.0, 0.5, 9.0]])
    np.testing.assert_array_equal(both(made("relu", alpha=0.5, max_value=6), x, 1.0)[0], [[-1.0, 0.5, 6.0]])


def test_shrinks_give_plain_zeros() -> None:
    for name in ("soft_shrink", "hard_shrink"):
        assert not np.signbit(both(made(name), [[-0.3, 0.3]], 1.0)[0]).any()


def test_the_hard_sigmoid_of_keras_1() -> None:
    y, _ = both(made("hard_sigmoid", slope=0.2), [[-2.6, -1.0, 1.0, 2.4]], 1.0)
    np.testing.assert_allclose(y, [[0.0, 0.3, 0.7, 0.98]], rtol=1e-6)


# -- layers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "unit"),
    [
        (ReLU(), activations.relu()),
        (ReLU(1.5, 0.1, 0.25), activations.relu(max_value=1.5, negative_slope=0.1, threshold=0.25)),
        (LeakyReLU(), activations.leaky_relu(0.3)),
        (LeakyReLU(alpha=0.1), activations.leaky_relu(0.1)),
        (ELU(0.5), activations.elu(alpha=0.5)),
        (Softmax(), "softmax"),
        (Softmax(axis=1), "softmax"),
    ],
    ids=repr,
)
def test_layers_are_their_activation(layer: Layer, unit: Any) -> None:
    """The same bits, in inference and in training."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 3)), rng.uniform(size=(40, 4))
    models = [Sequential([Dense(4, input_dim=3), last], seed=1) for last in (copy.deepcopy(layer), Activation(unit))]
    for model in models:
        model.compile(optimizer="sgd", loss="mse")
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
    np.testing.assert_array_equal(models[0].predict(x), models[1].predict(x))
    for first, second in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_softmax_layer_forms_a_pair_with_its_loss() -> None:
    """As one formula the loss is exact where the probability has no float32."""
    model = Sequential([Softmax(input_shape=(2,))])
    model.compile(loss="categorical_crossentropy")
    assert model.evaluate([[0.0, 200.0]], [[1.0, 0.0]]) == pytest.approx(200.0)


def trained_slopes(layer: PReLU, shape: tuple[int, ...]) -> Any:
    """Train on y = x above 0 and -0.5·x below, which PReLU can learn exactly."""
    x = np.random.default_rng(1).normal(size=(200, *shape)).astype(np.float32)
    model = Sequential([Input(shape), layer], seed=1)
    model.compile(optimizer=SGD(learning_rate=0.3), loss="mse")
    model.fit(x, np.where(x > 0, x, -0.5 * x), batch_size=20, epochs=100, verbose=0)
    return model.get_weights()[0]


@pytest.mark.parametrize(("shared", "shape"), [(None, (3,)), ([1], (3,)), (1, (3,)), (None, (2, 3)), ([1, 2], (2, 3))])
def test_prelu_learns_its_slope(shared: Any, shape: tuple[int, ...]) -> None:
    alpha = trained_slopes(PReLU(shared_axes=shared), shape)
    assert alpha.shape == (shape if shared is None else (1,) * len(shape))
    np.testing.assert_allclose(alpha, -0.5, atol=1e-3)


def test_prelu_starts_as_relu_and_keeps_to_its_arguments() -> None:
    x = np.linspace(-2, 2, 9).reshape(3, 3)
    np.testing.assert_array_equal(Sequential([PReLU(input_dim=3)]).predict(x), np.maximum(x, 0).astype(np.float32))
    model = Sequential([PReLU("ones", alpha_regularizer="l1", input_dim=3)])
    model.compile(loss="mse")
    assert model.evaluate(x, x) == pytest.approx(0.03)
    assert [weight.name.partition("/")[2] for weight in model.weights] == ["alpha"]


# -- rows of another width ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["glu", "sparsemax"])
def test_hand_written_bodies_in_a_model(name: str) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 5)).astype(np.float32), rng.uniform(size=(300, 3))
    model = Sequential([Dense(8, input_dim=5, activation=name), Dense(3)], seed=1)
    assert model.layers[1].weights[0].value.shape == ((4, 3) if name == "glu" else (8, 3))
    model.compile(optimizer="adam", loss="mse")
    before = model.evaluate(x, y)
    model.fit(x, y, batch_size=32, epochs=5, verbose=0)
    assert model.evaluate(x, y) < 0.8 * before
    w, b, v, c = (weight.astype(np.float64) for weight in model.get_weights())
    wanted = ACTIVATIONS[name].value(x @ w + b) @ v + c
    for found in (model.predict(x), np.asarray(model(x)), model.as_njit()(x), model.as_njit()(x[:1])):
        np.testing.assert_allclose(found, wanted[: len(found)], rtol=1e-4, atol=1e-5)
    net = model.as_njit(derivatives=True)
    moved = [net(x[:4].astype(np.float64) + step * np.eye(5)[0]) for step in (1e-2, -1e-2)]
    slope = (moved[0].astype(np.float64) - moved[1]) / 2e-2
    np.testing.assert_allclose(net.jacobian(x[:4])[:, :, 0], slope, rtol=2e-2, atol=2e-3)


def test_sparsemax_of_wide_rows_and_ties() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=(20, 500)), np.zeros((1, 500)), 1e4 * rng.normal(size=(9, 500))])
    y, _ = both(made("sparsemax"), x, 1.0)
    np.testing.assert_allclose(y, ACTIVATIONS["sparsemax"].value(x.astype(np.float32).astype(float)), atol=2e-6)
    np.testing.assert_allclose(y.sum(axis=1), 1.0, rtol=1e-5)


def test_nan_fills_a_row_of_sparsemax() -> None:
    for place in range(3):
        x = np.zeros((2, 3))
        x[0, place] = np.nan
        y, _ = both(made("sparsemax"), x, 1.0)
        assert np.isnan(y[0]).all()
        np.testing.assert_allclose(y[1], 1 / 3, rtol=1e-6)


# -- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax", "glu"])
def test_rows_must_be_vectors(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} takes vectors, .*\(None, 4, 6\): add Flatten\(\) before it"):
        Sequential([Activation(name, input_shape=(4, 6))]).build()
    flat = Sequential([Flatten(input_shape=(4, 6)), Activation(name)])
    assert flat.output_shape == ((12,) if name == "glu" else (24,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: activations.softmax(axis=0), "softmax: it goes over the last axis of vectors, axis=-1, got axis=0"),
        (lambda: Softmax(axis=2), "got axis=2"),
        (lambda: Sequential([Dense(5, activation="glu", input_dim=2)]).build(), "glu halves.* must be even, got 5"),
        (lambda: activations.relu(max_value=-1.0), "relu: max_value is the largest y"),
        (lambda: ReLU(max_value=-1.0), "max_value is the largest y"),
        (lambda: ReLU(negative_slope=-0.1), "ReLU: negative_slope must be 0 or more, got -0.1"),
        (lambda: ReLU(threshold=None), "ReLU: threshold is a number, got None"),
        (lambda: LeakyReLU(None), "LeakyReLU: negative_slope is a number, got None"),
        (
            lambda: Sequential([PReLU(shared_axes=[1], input_shape=(2, 3))]).build(),
            r"PReLU '.*': shared_axes of rows of shape \(2, 3\) are None or \[1, 2\], all of them, got \[1\]",
        ),
    ],
)  # fmt: skip
def test_errors(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_threshold_needs_its_arguments() -> None:
    with pytest.raises(TypeError, match=r"missing a required argument: 'threshold'.*threshold, default_value"):
        Dense(3, activation="threshold")
