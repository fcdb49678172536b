"""Optimizers, with their own settings and with those that all have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from parity.cases import Case, Side, Training, titled

LARGER = {"learning_rate": 0.01}
LARGEST = {"Adadelta": {"learning_rate": 1.0}}  # at smaller rates its weights hardly move
EXPLAINED = {"Adadelta": "with Keras's default rate the weights hardly move; the cases with 1.0 show the rule"}
# By name, the settings of its own beside the defaults; a large epsilon shows where it stands.
OWN: dict[str, list[dict[str, Any]]] = {
    "SGD": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "RMSprop": [
        {"epsilon": 0.01}, {"rho": 0.5}, {"momentum": 0.8}, {"centered": True, "epsilon": 1e-4},
        {"centered": True, "momentum": 0.8, "epsilon": 1e-4},
    ],
    "Adagrad": [{"epsilon": 0.01}, {"initial_accumulator_value": 0.0, "epsilon": 1e-3}],
    "Adadelta": [{}, {"rho": 0.8, "epsilon": 1e-4}],
    "Adam": [{"epsilon": 0.01}, {"beta_1": 0.5, "beta_2": 0.9}, {"amsgrad": True}, {"amsgrad": True, "beta_2": 0.5}],
    "Adamax": [{"epsilon": 0.01}, {"beta_1": 0.5, "beta_2": 0.9}],
    "Nadam": [{"epsilon": 0.01}, {"beta_1": 0.5, "beta_2": 0.9}],
    "AdamW": [{"weight_decay": 0.1}, {"amsgrad": True}, {"epsilon": 0.01}],
    "Lion": [{"beta_1": 0.5, "beta_2": 0.7}],
    "Lamb": [{"epsilon": 0.01}, {"beta_1": 0.5, "beta_2": 0.9}],
    "Muon": [
        {"nesterov": False, "rms_rate": None}, {"ns_steps": 3, "momentum": 0.8, "adam_lr_ratio": 0.3},
        {"weight_decay": 0.1, "adam_weight_decay": 0.5}, {"muon_a": 3.0, "muon_b": -3.5, "muon_c": 1.5},
    ],
    "Ftrl": [
        {"learning_rate": 0.1}, {"learning_rate": 0.1, "l1_regularization_strength": 0.01},
        {"learning_rate": 0.1, "l2_regularization_strength": 0.05, "l2_shrinkage_regularization_strength": 0.02},
        {"learning_rate": 0.1, "beta": 0.5, "learning_rate_power": -0.7, "initial_accumulator_value": 0.3},
    ],
}  # fmt: skip
COMMON: list[dict[str, Any]] = [
    {"weight_decay": 0.5},
    {"clipnorm": 0.05},
    {"global_clipnorm": 0.05},
    {"clipvalue": 0.01},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7},
    {"gradient_accumulation_steps": 4},
]
TOGETHER: list[dict[str, Any]] = [
    {"gradient_accumulation_steps": 3, "clipnorm": 0.05, "weight_decay": 0.5},
    {"gradient_accumulation_steps": 3, "use_ema": True, "ema_momentum": 0.9},
    {"gradient_accumulation_steps": 3, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 5},
    {"global_clipnorm": 0.05, "use_ema": True, "ema_momentum": 0.9, "weight_decay": 0.5},
]


def cases() -> Iterator[Case]:
    """Each optimizer with its defaults, its own settings, and those that all have."""
    for name, own in OWN.items():
        yield optimizer(name, {})
        larger = LARGEST.get(name, LARGER)
        common = [one for one in COMMON if not any(one.items() <= other.items() for other in own)]
        for settings in (*own, *common):
            yield optimizer(name, {**larger, **settings})
    for name in ("SGD", "Adam"):
        for settings in TOGETHER:
            yield optimizer(name, {**LARGER, **settings})
    yield excluded()
    yield matrices_excluded()


def optimizer(name: str, settings: dict[str, Any]) -> Training:
    """A case."""
    return Training(
        titled(name, settings),
        (f"optimizers/{name}",),
        optimizer=lambda side: getattr(side.optimizers, name)(**settings),
        explained="" if settings else EXPLAINED.get(name, ""),
    )


def excluded() -> Training:
    """Biases that do not decay."""

    def build(side: Side) -> Any:
        made = side.optimizers.SGD(learning_rate=0.01, weight_decay=0.5)
        made.exclude_from_weight_decay(var_names=["bias"])
        return made

    return Training("SGD, exclude_from_weight_decay(var_names=['bias'])", ("optimizers/SGD",), optimizer=build)


def matrices_excluded() -> Training:
    """Muon with Adam for the last layer."""

    def net(side: Side) -> list[Any]:
        return [side.layers.Dense(16, activation="tanh"), side.layers.Dense(3, name="last")]

    return Training(
        "Muon(exclude_layers=['last'])",
        ("optimizers/Muon",),
        net,
        optimizer=lambda side: side.optimizers.Muon(learning_rate=0.01, exclude_layers=["last"]),
    )
