"""Optimizers: Keras's numbers, what all of them have in common, going on where training stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive.optimizers import sgd, trained

import nbdl
from nbdl import Optimizer, Sequential
from nbdl.errors import ConfigError, DivergenceError
from nbdl.layers import Dense
from nbdl.model.load import load_model
from nbdl.model.owner import job_of
from nbdl.network.executors import program_of
from nbdl.network.update import new_slots
from nbdl.optimizers import SGD, Adagrad, Adam, AdamW, Ftrl, Lion
from nbdl.testing.devices import cuda_is_there
from nbdl.units.registry import registry

NAMES = [entry.name for entry in registry.entries("optimizers") if entry.owner.distribution == "nbdl"]
Array = np.ndarray[Any, Any]


# -- Keras's numbers --------------------------------------------------------------------------------------

KERNEL = [[0.5, -0.4], [0.3, 0.8], [-0.7, 0.2]]
BIAS = [0.1, -0.2]


def data() -> tuple[Array, Array]:
    t = np.arange(60.0).reshape(20, 3)
    x = np.sin(1.7 * t + 0.3 * t[:, :1]).astype(np.float32)
    return x, np.cos(0.9 * np.arange(40)).reshape(20, 2).astype(np.float32)


def linear(optimizer: Any, **layer: Any) -> Sequential:
    model = Sequential([Dense(2, input_dim=3, **layer)])
    model.compile(optimizer=optimizer, loss="mean_squared_error")
    model.set_weights([np.array(KERNEL), np.array(BIAS)])
    return model


def ten_steps(optimizer: Any, **fit: Any) -> Array:
    model = linear(optimizer)
    model.fit(*data(), **{"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0, **fit})
    return flat(model)


def flat(model: Sequential) -> Array:
    return np.concatenate([array.reshape(-1) for array in model.get_weights()])


def with_schedules(arguments: dict[str, Any]) -> dict[str, Any]:
    rate = arguments.get("learning_rate")
    if not isinstance(rate, tuple):
        return arguments
    return {**arguments, "learning_rate": registry.get("schedules", rate[0]).target(**rate[1])}


# Kernel and bias after 10 steps of Keras 3.15 on JAX; its 1 - β₂ᵗ in float32 costs up to 2e-5 of the way.
KERAS: list[tuple[str, dict[str, Any], list[float]]] = [
    (
        "SGD",
        {"learning_rate": 0.1},
        [0.08840133, -0.1579733, 0.2536944, 0.4127951, -0.276469, 0.05775181, 0.07320441, -0.06111859],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "momentum": 0.9},
        [-0.3824287, 0.2283579, -0.007941768, -0.4028733, 0.2617819, -0.1183907, -0.09138912, 0.1102234],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        [-0.2374118, 0.1541886, -0.03651088, -0.343583, 0.1241269, -0.05949979, -0.1172159, -0.0195315],
    ),
    ("RMSprop", {}, [0.4842988, -0.3840556, 0.3024625, 0.7847419, -0.6841173, 0.1858101, 0.1050133, -0.1976705]),
    (
        "RMSprop",
        {"learning_rate": 0.02, "rho": 0.8, "momentum": 0.5, "epsilon": 0.001},
        [0.1471276, -0.08149359, 0.2343886, 0.397016, -0.3426394, -0.01117706, 0.1829703, -0.1146596],
    ),
    (
        "RMSprop",
        {"learning_rate": 0.02, "centered": True},
        [0.1764106, -0.1270351, 0.2919846, 0.4568456, -0.370183, -0.0006023869, 0.175032, -0.1333012],
    ),
    (
        "RMSprop",
        {"learning_rate": 0.02, "centered": True, "momentum": 0.5},
        [0.01288991, -0.03944289, 0.2694666, 0.2311397, -0.192837, -0.03932345, 0.229562, -0.08670738],
    ),
    ("Adagrad", {}, [0.4962344, -0.3959577, 0.2991569, 0.7958223, -0.6961831, 0.1968706, 0.10082, -0.199377]),
    (
        "Adagrad",
        {"learning_rate": 0.1, "initial_accumulator_value": 0.0},
        [0.09075006, -0.0948003, 0.2339319, 0.4021961, -0.2858109, -0.01833083, 0.1778089, -0.1083652],
    ),
    ("Adadelta", {}, [0.4999871, -0.399986, 0.3, 0.7999883, -0.6999867, 0.1999867, 0.1000017, -0.1999958]),
    (
        "Adadelta",
        {"learning_rate": 1.0, "rho": 0.9, "epsilon": 0.001},
        [-0.02361136, -0.01615617, 0.2103072, 0.1890062, -0.1732946, 0.03165389, 0.06005186, -0.03297088],
    ),
    ("Adam", {}, [0.4919815, -0.3914093, 0.2998757, 0.7908342, -0.6918824, 0.192914, 0.1034868, -0.2004988]),
    (
        "Adam",
        {"learning_rate": 0.05, "beta_1": 0.5, "beta_2": 0.6, "epsilon": 0.001, "amsgrad": True},
        [0.1894371, -0.1060768, 0.2834182, 0.4418011, -0.3800704, -0.001529677, 0.1778816, -0.1276048],
    ),
    (
        "AdamW",
        {"learning_rate": 0.05},
        [0.1244563, -0.03690553, 0.2648374, 0.3548618, -0.31434, -0.0394143, 0.2335632, -0.1644296],
    ),
    (
        "AdamW",
        {"learning_rate": 0.05, "weight_decay": 0.3, "amsgrad": True},
        [0.08498567, -0.01152583, 0.2200728, 0.2766913, -0.2477003, -0.04291341, 0.2050325, -0.1352069],
    ),
    ("Adamax", {}, [0.4948874, -0.3938213, 0.3005842, 0.7935758, -0.6948112, 0.1952195, 0.1027083, -0.2009838]),
    (
        "Adamax",
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9},
        [0.2310584, -0.09416047, 0.3036784, 0.4250337, -0.4232503, -0.0007254817, 0.2117484, -0.1649775],
    ),
    ("Nadam", {}, [0.4931396, -0.3928733, 0.3003556, 0.7930775, -0.6930602, 0.1937577, 0.1020084, -0.1989211]),
    (
        "Nadam",
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9},
        [0.1424921, -0.08611053, 0.2742279, 0.4181612, -0.3353256, -0.01980358, 0.1616749, -0.102815],
    ),
    ("Lion", {}, [0.4900001, -0.3900001, 0.298, 0.7900001, -0.6900001, 0.192, 0.102, -0.198]),
    (
        "Lion",
        {"learning_rate": 0.02, "beta_1": 0.6, "beta_2": 0.8},
        [0.2999999, -0.1999999, 0.26, 0.6000002, -0.5000002, 0.04000003, 0.1, -0.16],
    ),
    (
        "Ftrl",
        {"learning_rate": 0.1},
        [-0.02310365, 0.01733086, 0.03500133, 0.1428795, 0.009862646, 0.03913488, -0.03901134, -0.06015177],
    ),
    (
        "Ftrl",
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.4,
            "initial_accumulator_value": 0.5,
            "beta": 0.3,
            "l1_regularization_strength": 0.02,
            "l2_regularization_strength": 0.3,
            "l2_shrinkage_regularization_strength": 0.1,
        },
        [-0.008842467, 0.004154959, 0.0004554724, 0.008723045, 0.009828414, 0.008382826, -0.008434939, -0.0526299],
    ),
    ("Lamb", {}, [0.4945758, -0.3941862, 0.2996205, 0.7937676, -0.6945041, 0.1952437, 0.1010341, -0.1993749]),
    (
        "Lamb",
        {
            "learning_rate": 0.05,
            "beta_1": 0.8,
            "beta_2": 0.9,
            "weight_decay": 0.3,
            "clipnorm": 0.2,
            "use_ema": True,
            "ema_momentum": 0.8,
            "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 2,
        },
        [0.4354882, -0.3384035, 0.2990326, 0.7279661, -0.6294343, 0.145289, 0.1055999, -0.1945446],
    ),
    ("Muon", {}, [0.4982279, -0.3990901, 0.2986917, 0.7971567, -0.6978858, 0.1998227, 0.1034783, -0.2004993]),
    (
        "Muon",
        {
            "learning_rate": 0.1,
            "adam_lr_ratio": 0.5,
            "nesterov": False,
            "rms_rate": None,
            "weight_decay": 0.5,
            "adam_weight_decay": 0.2,
            "momentum": 0.8,
            "ns_steps": 3,
        },
        [-0.08993654, -0.03945847, -0.1398306, -0.1813254, 0.05250837, 0.08986694, 0.1738457, -0.1531074],
    ),
    (
        "Muon",
        {
            "learning_rate": 0.1,
            "weight_decay": 0.5,
            "adam_weight_decay": None,
            "global_clipnorm": 0.2,
            "use_ema": True,
            "ema_momentum": 0.8,
            "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 2,
        },
        [0.4205647, -0.3460548, 0.2471899, 0.6652545, -0.5953238, 0.1801941, 0.2142533, -0.2686166],
    ),
    (
        "Muon",
        {"learning_rate": 0.1, "exclude_layers": ["dense"]},
        [-0.1430077, 0.09928932, 0.1561075, -0.0121363, -0.02785241, -0.01379156, 0.2327964, -0.04589139],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "weight_decay": 0.5},
        [0.04262102, -0.09116095, 0.1531312, 0.233196, -0.1555423, 0.03475184, 0.0361067, -0.04373778],
    ),
    (
        "Adam",
        {"learning_rate": 0.1, "weight_decay": 0.5},
        [-0.1534919, 0.09257988, 0.0565598, -0.1176383, 0.05595558, 0.02248401, 0.1170958, 0.006736537],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "clipnorm": 0.3},
        [0.3865667, -0.3200646, 0.2771185, 0.6576294, -0.5806704, 0.156752, 0.1255129, -0.1732617],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "global_clipnorm": 0.3},
        [0.4118975, -0.3383489, 0.282694, 0.6954511, -0.607438, 0.16529, 0.1190162, -0.1832058],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "clipvalue": 0.1},
        [0.4091125, -0.3262217, 0.285842, 0.7000001, -0.6092358, 0.1481494, 0.1095408, -0.18],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9},
        [0.3239688, -0.2895165, 0.28176, 0.6057835, -0.5192686, 0.139564, 0.132396, -0.1852133],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3},
        [0.3999773, -0.3274211, 0.2993174, 0.6780789, -0.5998015, 0.1588389, 0.1143828, -0.2149918],
    ),
    (
        "SGD",
        {"learning_rate": 0.1, "gradient_accumulation_steps": 3},
        [0.3585487, -0.3040474, 0.2786194, 0.6588283, -0.5530392, 0.1404258, 0.1396447, -0.1522815],
    ),
    (
        "Adam",
        {"learning_rate": 0.05, "gradient_accumulation_steps": 2},
        [0.2587797, -0.1636174, 0.2130246, 0.5611815, -0.4563533, -0.01449102, 0.1942881, -0.1909956],
    ),
    (
        "Adam",
        {
            "learning_rate": ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.7}),
            "gradient_accumulation_steps": 3,
            "weight_decay": 0.1,
        },
        [0.3589777, -0.2632321, 0.2067094, 0.6547024, -0.5564516, 0.07078849, 0.1708229, -0.2376246],
    ),
    (
        "Adam",
        {
            "learning_rate": 0.05,
            "amsgrad": True,
            "weight_decay": 0.3,
            "clipnorm": 0.2,
            "use_ema": True,
            "ema_momentum": 0.8,
            "ema_overwrite_frequency": 2,
            "gradient_accumulation_steps": 2,
        },
        [0.3898488, -0.2932907, 0.3062315, 0.6833669, -0.5835814, 0.1030202, 0.1547095, -0.2297772],
    ),
    (
        "SGD",
        {
            "learning_rate": ("InverseTimeDecay", {"initial_learning_rate": 0.2, "decay_steps": 3, "decay_rate": 0.5}),
            "momentum": 0.5,
        },
        [-0.1034075, -0.006281764, 0.1720867, 0.05255661, -0.06363064, -0.001110299, 0.06961986, -0.02149819],
    ),
]


@pytest.mark.parametrize(("name", "arguments", "wanted"), KERAS, ids=[f"{name} {args}" for name, args, _ in KERAS])
def test_ten_steps_are_those_of_keras(name: str, arguments: dict[str, Any], wanted: list[float]) -> None:
    start = np.concatenate([np.array(KERNEL).reshape(-1), BIAS])
    found = ten_steps(registry.get("optimizers", name).target(**with_schedules(arguments)))
    way = np.abs(np.array(wanted) - start).max()
    assert np.abs(found - wanted).max() <= 3e-5 * way + 3e-7


def test_the_numbers_cover_every_optimizer_and_every_common_argument() -> None:
    assert {name for name, _, _ in KERAS} == set(NAMES)
    assert {*Optimizer.common} - {argument for _, arguments, _ in KERAS for argument in arguments} == {"decay", "name"}


# -- common arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_older_spellings(name: str) -> None:
    unit = registry.get("optimizers", name).target
    optimizer = unit(lr=0.1, decay=0.5)
    assert optimizer.lr == optimizer.learning_rate == 0.1
    assert [optimizer.rate(step) for step in (1, 2, 3)] == pytest.approx([0.1, 0.1 / 1.5, 0.1 / 2.0])
    schedule = nbdl.schedules.InverseTimeDecay(0.1, 1, 0.5)
    assert np.array_equal(ten_steps(optimizer), ten_steps(unit(schedule)))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_has_the_common_arguments_and_saves_them(name: str) -> None:
    unit = registry.get("optimizers", name).target
    given = {
        "weight_decay": 0.1, "global_clipnorm": 2.0, "use_ema": True, "ema_momentum": 0.5,
        "ema_overwrite_frequency": 3, "gradient_accumulation_steps": 4, "decay": 0.1, "name": "mine",
    }  # fmt: skip
    config = unit(**given).get_config()
    assert config.items() >= given.items()
    assert unit.from_config(config).get_config() == config
    assert Optimizer.common.keys() <= unit().get_config().keys()


@pytest.mark.parametrize("name", NAMES)
def test_going_on_gives_the_bits_of_not_stopping(name: str, tmp_path: Path) -> None:
    x, y = data()
    optimizer = registry.get("optimizers", name).target(
        0.01, weight_decay=0.1, clipnorm=1.0, use_ema=True, ema_overwrite_frequency=2, gradient_accumulation_steps=3
    )
    model = linear(optimizer)
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)  # 8 steps: in the middle of an update
    model.save(tmp_path / "model.nbdl")
    again = load_model(tmp_path / "model.nbdl")
    for one in (model, again):
        one.fit(x, y, batch_size=5, epochs=3, initial_epoch=2, verbose=0)
    states = [one.training_state for one in (model, again)]
    assert states[0] is not None
    assert states[1] is not None
    assert states[0].slot_names[-2:] == ("accumulated", "average")
    assert states[0].slots.any()
    assert states[0].slots.tobytes() == states[1].slots.tobytes()
    assert flat(model).tobytes() == flat(again).tobytes()


def test_accumulated_batches_are_one_large_batch() -> None:
    small = ten_steps(SGD(0.1, momentum=0.9, gradient_accumulation_steps=2), batch_size=5)
    assert small == pytest.approx(ten_steps(SGD(0.1, momentum=0.9), batch_size=10), abs=1e-6)


def test_decay_is_the_lectures_formula() -> None:
    x, y = data()
    model, plain = linear(SGD(0.1, weight_decay=0.5)), linear(SGD(0.1))
    before = flat(model)
    for one in (model, plain):
        one.fit(x, y, batch_size=20, verbose=0)
    assert flat(model) == pytest.approx(flat(plain) - 0.1 * 0.5 * before, abs=1e-6)
    l2 = linear(SGD(0.1), kernel_regularizer=nbdl.regularizers.l2(0.25), bias_regularizer=nbdl.regularizers.l2(0.25))
    l2.fit(x, y, batch_size=20, verbose=0)
    assert flat(model) == pytest.approx(flat(l2), abs=1e-6)


def test_weights_without_decay(tmp_path: Path) -> None:
    optimizer = SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model, decayed, plain = linear(optimizer), ten_steps(SGD(0.1, weight_decay=0.5)), ten_steps(SGD(0.1))
    x, y = data()
    model.fit(x[:4], y[:4], batch_size=4, verbose=0)
    once = [linear(SGD(0.1, weight_decay=decay)) for decay in (0.5, None)]
    for one in once:
        one.fit(x[:4], y[:4], batch_size=4, verbose=0)
    assert np.array_equal(model.get_weights()[0], once[0].get_weights()[0])
    assert np.array_equal(model.get_weights()[1], once[1].get_weights()[1])
    assert not np.array_equal(once[0].get_weights()[1], once[1].get_weights()[1])
    assert not np.array_equal(decayed, plain)
    model.save(tmp_path / "model.nbdl")
    again = load_model(tmp_path / "model.nbdl")
    assert [bool(again.optimizer.shrinkage(weight)) for weight in again.weights] == [True, False]
    optimizer.exclude_from_weight_decay(var_list=model.weights[:1])
    assert [bool(optimizer.shrinkage(weight)) for weight in model.weights] == [False, True]


def test_what_is_switched_on_later_acts_at_once() -> None:
    x, y = data()
    model, other = linear(SGD(0.1)), linear(SGD(0.1, clipvalue=0.01))
    for one in (model, other):
        one.fit(x, y, verbose=0)
        one.optimizer.clipvalue = 0.01
        one.set_weights([np.array(KERNEL), np.array(BIAS)])
        one.fit(x, y, verbose=0)
    assert np.array_equal(flat(model), flat(other))
    model.optimizer.use_ema = True
    with pytest.raises(ConfigError, match=r"average.*compile"):
        model.fit(x, y, verbose=0)


def test_averages_become_the_weights_at_the_end_and_only_after_steps() -> None:
    x, y = data()
    model = linear(SGD(0.1, use_ema=True, ema_momentum=0.8))
    model.fit(x, y, batch_size=4, verbose=0)
    state = model.training_state
    assert state is not None
    average = [model.store.view(state.slots, weight) for weight in model.weights]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), average, strict=True))
    model.set_weights([np.array(KERNEL), np.array(BIAS)])
    model.fit(x, y, epochs=1, initial_epoch=1, verbose=0)
    assert np.array_equal(model.get_weights()[0], np.array(KERNEL, np.float32))


def test_a_frozen_weight_is_its_own_average() -> None:
    x, y = data()
    model = Sequential([Dense(3, input_dim=3), Dense(2)], seed=1)
    model.compile(optimizer=SGD(0.1, use_ema=True), loss="mean_squared_error")
    before = model.get_weights()
    model.layers[0].trainable = False
    model.fit(x, y, batch_size=4, verbose=0)
    assert np.array_equal(model.get_weights()[0], before[0])
    model.layers[0].trainable = True
    model.fit(x, y, batch_size=4, verbose=0)
    assert np.abs(model.get_weights()[0] - before[0]).max() < 0.1  # an average with zeros would be near zero


def test_norms_of_several_weights() -> None:
    rng = np.random.default_rng(0)
    shapes = [(5, 4), (4,), (4, 2), (2,)]
    x, y = rng.normal(size=(8, 5)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32)
    for clip in ({"clipnorm": 0.05}, {"global_clipnorm": 0.1}):
        plain, clipped = (Sequential([Dense(4, input_dim=5), Dense(2)], seed=3) for _ in range(2))
        for model, more in ((plain, {}), (clipped, clip)):
            model.compile(optimizer=SGD(1.0, **more), loss="mean_squared_error")
        before = [array.astype(np.float64) for array in plain.get_weights()]
        for model in (plain, clipped):
            model.fit(x, y, batch_size=8, verbose=0)
        gradients = [b - a for a, b in zip(plain.get_weights(), before, strict=True)]
        wanted, _ = trained(sgd, before, [gradients], 1.0, **clip)
        assert [array.shape for array in wanted] == shapes
        for found, right in zip(clipped.get_weights(), wanted, strict=True):
            assert found == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_a_norm_beyond_float32_stops_before_the_update(clip: str, device: str) -> None:
    if device == "cuda" and not cuda_is_there():
        pytest.skip("no GPU, and not in Numba's simulator of one")
    x, y = data()
    model = linear(SGD(0.1, **{clip: 1.0}))
    model.device = device
    with pytest.raises(DivergenceError, match=r"clip.*infinity"):
        model.fit(x * np.float32(1e5), y * np.float32(1e18), batch_size=20, verbose=0)  # the loss is about 1e36
    assert np.array_equal(model.get_weights()[0], np.array(KERNEL, np.float32))


# -- what is recorded -------------------------------------------------------------------------------------


def test_without_common_arguments_the_rule_is_recorded_as_it_is() -> None:
    for name in NAMES:
        optimizer = registry.get("optimizers", name).target()
        if optimizer.weight_decay:
            continue
        recorded_scalars = [name for name in program_of(job_of(linear(optimizer)), "train").scalars if name != "rows"]
        assert recorded_scalars == list(optimizer.per_step(1))
        if optimizer.per_weight:
            continue
        updates = [o for o in program_of(job_of(linear(optimizer)), "train").operations if o.phase == "update"]
        assert [o.function for o in updates] == [optimizer.update_function()]


def test_other_numbers_are_the_same_program() -> None:
    one = Adam(0.1, weight_decay=0.1, clipvalue=1.0, use_ema=True, ema_overwrite_frequency=2)
    other = Adam(0.2, weight_decay=0.3, clipvalue=9.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=7)
    functions = [[o.function for o in program_of(job_of(linear(unit)), "train").operations] for unit in (one, other)]
    assert functions[0] == functions[1]
    model = linear(one)
    program = program_of(job_of(model), "train")
    one.weight_decay, one.clipvalue = 0.7, 3.0
    assert program_of(job_of(model), "train") is program
    one.weight_decay = None
    assert program_of(job_of(model), "train") is not program


def test_another_rule_is_another_program() -> None:
    optimizer = SGD(0.1, momentum=0.9)
    model = linear(optimizer)
    rules = []
    for nesterov in (False, True):
        optimizer.nesterov = nesterov
        rules.append([o.function for o in program_of(job_of(model), "train").operations if o.phase == "update"])
    assert rules[0] != rules[1]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Adam", {"amsgrad": True}),
        ("RMSprop", {"centered": True, "momentum": 0.5}),
        ("Nadam", {}),
        ("Ftrl", {"learning_rate": 0.1, "learning_rate_power": -0.4}),
        ("Lamb", {}),
    ],
)
def test_everything_at_once_fits_one_operation(name: str, arguments: dict[str, Any]) -> None:
    common = {"clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2}
    found = ten_steps(registry.get("optimizers", name).target(**arguments, **common, weight_decay=0.1))
    assert np.isfinite(found).all()
    assert not np.array_equal(found, np.concatenate([np.array(KERNEL, np.float32).reshape(-1), np.float32(BIAS)]))


def test_slots_start_from_their_first_value() -> None:
    optimizer = Adagrad(0.1, initial_accumulator_value=0.5, use_ema=True)
    slots = new_slots(optimizer, optimizer.all_slots(), 16)
    assert (slots[:16] == 0.5).all()
    assert (slots[16:] == 0.0).all()
    model = linear(Ftrl(0.1))
    x, y = data()
    model.fit(x, y, epochs=0, verbose=0)
    assert model.training_state is not None
    size = model.store.trainable_size
    assert (model.training_state.slots[:size] == np.float32(0.1)).all()
    assert not model.training_state.slots[size:].any()


def test_gaps_between_weights_keep_their_first_value_in_a_file(tmp_path: Path) -> None:
    x, y = data()
    model = linear(Ftrl(0.1))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.nbdl")
    again = load_model(tmp_path / "model.nbdl")
    assert model.training_state is not None
    assert again.training_state is not None
    assert again.training_state.slots.tobytes() == model.training_state.slots.tobytes()


def four_slots(w: float, g: float, a: float, b: float, c: float, d: float, e: float, f: float, rate: float) -> Any:
    return w - rate * g, a, b, c, d, e, f


class Six(Optimizer):
    """A third party's, with as many slots as fit without the common ones."""

    slots = ("a", "b", "c", "d", "e", "f")

    def __init__(self, learning_rate: Any = 0.1) -> None:
        self.learning_rate = learning_rate

    def per_step(self, step: Any) -> dict[str, Any]:
        return {"rate": self.rate(step)}

    def update_function(self) -> Any:
        return four_slots


class Clashing(Six):
    """Its slot is called as one of nbdl's own."""

    slots = ("average", "b", "c", "d", "e", "f")


def test_what_a_rule_passes_to_its_base_class_stays() -> None:
    class Careful(SGD):
        def __init__(self, learning_rate: float = 0.1) -> None:
            super().__init__(learning_rate, clipnorm=1.0)

    assert (Careful().clipnorm, Careful(clipnorm=2.0).clipnorm) == (1.0, 2.0)  # type: ignore[call-arg]
    assert Careful().get_config()["clipnorm"] == 1.0


def test_a_third_partys_optimizer_takes_the_common_arguments() -> None:
    found = ten_steps(Six(0.1, weight_decay=0.5, decay=0.1, name="six"))
    assert np.array_equal(found, ten_steps(SGD(0.1, weight_decay=0.5, decay=0.1)))
    assert np.array_equal(ten_steps(Six(lr=0.1, use_ema=True)), ten_steps(SGD(0.1, use_ema=True)))


class Fixed(Optimizer):
    """Without a constructor of its own."""

    learning_rate = 0.1

    def per_step(self, step: Any) -> dict[str, Any]:
        return {"rate": self.rate(step)}

    @staticmethod
    def update(w: float, g: float, rate: float) -> float:  # type: ignore[override]
        return w - rate * g


def test_an_optimizer_without_a_constructor_takes_them_too() -> None:
    assert np.array_equal(ten_steps(Fixed(clipvalue=0.1)), ten_steps(SGD(0.1, clipvalue=0.1)))


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_there_may_be_nothing_to_clip(clip: str) -> None:
    model = linear(SGD(0.1, **{clip: 1.0}))
    model.trainable = False
    model.fit(*data(), verbose=0)
    assert np.array_equal(model.get_weights()[0], np.array(KERNEL, np.float32))


def test_too_many_slots_are_refused() -> None:
    model = linear(Six(use_ema=True, gradient_accumulation_steps=2))
    with pytest.raises(ConfigError, match=r"Six.* a, b, c, d, e, f, accumulated, average.* 7"):
        model.fit(*data(), verbose=0)
    with pytest.raises(ConfigError, match=r"Clashing: .*average.*rename"):
        linear(Clashing(use_ema=True)).fit(*data(), verbose=0)


# -- refusals ---------------------------------------------------------------------------------------------

REFUSED: list[tuple[type[Optimizer], dict[str, Any], str]] = [
    (SGD, {"clipnorm": 1.0, "clipvalue": 1.0}, "only one of clipnorm, clipvalue, global_clipnorm"),
    (Adam, {"clipnorm": 1.0, "global_clipnorm": 1.0}, "got clipnorm and global_clipnorm"),
    (SGD, {"clipvalue": -1.0}, "clipvalue is a positive number"),
    (SGD, {"gradient_accumulation_steps": 1}, "gradient_accumulation_steps is None or an integer from 2"),
    (SGD, {"gradient_accumulation_steps": 2.5}, "gradient_accumulation_steps is an integer or None"),
    (SGD, {"use_ema": True, "ema_overwrite_frequency": 0}, "ema_overwrite_frequency is None or an integer from 1"),
    (SGD, {"use_ema": True, "ema_momentum": 1.5}, "ema_momentum lies between 0 and 1"),
    (SGD, {"weight_decay": -0.1}, "weight_decay is None or a number that is not negative"),
    (AdamW, {"weight_decay": None}, "weight_decay is a number, got None"),
    (Adagrad, {"initial_accumulator_value": -0.1}, "initial_accumulator_value is not negative"),
    (Ftrl, {"learning_rate_power": 0.5}, "learning_rate_power is not positive"),
    (Ftrl, {"l1_regularization_strength": -1.0}, "l1_regularization_strength is not negative"),
    (Lion, {"beta_1": 0.0}, "beta_1 lies above 0"),
    (SGD, {"momentum": 1.5}, "momentum lies between 0 and 1"),
]


@pytest.mark.parametrize(("unit", "arguments", "message"), REFUSED, ids=[str(args) for _, args, _ in REFUSED])
def test_arguments_that_are_refused(unit: type[Optimizer], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        unit(**arguments)


def test_what_is_not_an_argument() -> None:
    with pytest.raises(TypeError, match="loss_scale_factor= is not needed"):
        Adam(loss_scale_factor=2.0)
    with pytest.raises(TypeError, match="Did you mean 'clipnorm'"):
        Adam(clipnrom=2.0)
    with pytest.raises(TypeError, match="older name"):
        Adam(lr=0.1, learning_rate=0.1)


def test_a_decay_that_is_no_number_is_refused_before_a_step() -> None:
    model = linear(SGD(0.1, weight_decay=1e300))
    with pytest.raises(ConfigError, match="weight decay is not a finite number"):
        model.fit(*data(), verbose=0)
    assert np.array_equal(model.get_weights()[0], np.array(KERNEL, np.float32))


def test_an_attribute_that_hides_a_method_is_refused() -> None:
    class Shrinking(Optimizer):
        def __init__(self, learning_rate: float = 0.1, shrinkage: float = 0.5) -> None:
            self.learning_rate, self.shrinkage = learning_rate, shrinkage  # type: ignore[method-assign]

    with pytest.raises(ConfigError, match="'shrinkage' is a method"):
        Shrinking()


def test_none_stands_for_the_default_as_in_keras_2() -> None:
    assert Adam(lr=0.01, epsilon=None, decay=0.0, amsgrad=False).epsilon == 1e-7  # type: ignore[call-arg, arg-type]
