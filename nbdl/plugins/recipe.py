"""Recipes: what `nbdl train` does where the user leaves the choice. Plugins offer them, not the core.

A recipe is a function that turns a `Request` into a `Plan`. It is registered with the task that it is the
default for, and with default settings:

    @hookimpl
    def register_recipes(register):
        register("dense_classifier", classifier, default_for="classification", epochs=200, batch_size=32)

A dataset may have a `recipe` of settings, which takes the place of these. What the user gives comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

from nbdl.errors import PluginError, did_you_mean
from nbdl.plugins import unit_text

if TYPE_CHECKING:
    from nbdl.units.entry import Entry


@dataclass(frozen=True)
class Stage:
    """One layer: its units, and its activation as text, or None where that is left to the recipe."""

    units: int
    activation: str | None = None

    def unit(self) -> Any:
        """Return a new activation, or None."""
        return None if self.activation is None else unit_text.unit("activations", self.activation)

    def __str__(self) -> str:
        return f"{self.units}:{self.activation}" if self.activation else str(self.units)


@dataclass(frozen=True)
class Settings:
    """What the user, a dataset or a recipe may settle; None leaves it to the next of them.

    Args:
        arch: The net as text, as `nbdl train --arch` takes it. Without one the recipe chooses.
        optimizer, loss: Names, or names with arguments; `nbdl.plugins.unit_text.unit` makes units of them.
        lr: Learning rate; without one the optimizer's own default.
        dropped: Share of the hidden units that is dropped at random while training.
        penalty: Factor of the penalty on squared weights.
        epochs, batch_size: Of the training.
        patience: Epochs without progress after which training stops; 0 never stops early.
        max_time: Seconds after which training stops; without it the clock never ends it.
        validation_split, test_split: Share of the rows held out; the test's only where the data brings none.
        standardize: Whether inputs (and the targets of a regression) are brought to mean 0 and deviation 1.
        scale: What inputs that are not standardized are divided by.
    """

    arch: str | None = None
    optimizer: str | None = None
    loss: str | None = None
    lr: float | None = None
    dropped: float | None = None
    penalty: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    patience: int | None = None
    max_time: float | None = None
    validation_split: float | None = None
    test_split: float | None = None
    standardize: bool | None = None
    scale: float | None = None


GENERAL: dict[str, Any] = {
    "dropped": 0.0,
    "penalty": 0.0,
    "epochs": 100,
    "batch_size": 32,
    "patience": 10,
    "validation_split": 0.1,
    "test_split": 0.2,
    "scale": 1.0,
}


@dataclass(frozen=True)
class Request:
    """What a recipe is asked for.

    Args:
        task: "classification" or "regression".
        inputs: Features of a row.
        outputs: Classes, or values to predict.
        rows: Rows to train on.
        stages: The layers that `--arch` asks for, or none: the recipe chooses.
        validated: Whether there are rows to validate on, without which nothing can stop training early.
        settings: Everything settled; `arch`, `optimizer`, `loss` and `lr` may be None.
    """

    task: str
    inputs: int
    outputs: int
    rows: int
    stages: tuple[Stage, ...]
    validated: bool
    settings: Settings


@dataclass(frozen=True)
class Plan:
    """What a recipe answers: the layers, and what `compile` and `fit` are given.

    Args:
        title: The net in a few words, for the user.
        layers, loss, optimizer, metrics, callbacks: Units.
    """

    title: str
    layers: list[Any]
    loss: Any
    optimizer: Any
    metrics: list[Any]
    callbacks: list[Any]


Recipe: TypeAlias = Callable[[Request], Plan]


def settle(user: Mapping[str, Any], *defaults: Mapping[str, Any]) -> Settings:
    """Return the settings: for each the first that is not None, of the user's and then of the defaults."""
    settled: dict[str, Any] = {}
    for source in (user, *defaults, GENERAL):
        for name, value in source.items():
            if settled.get(name) is None:
                settled[name] = value
    return Settings(**settled)


def settings_of(entry: Entry, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a plugin's default settings.

    Raises:
        PluginError: One of them is unknown.
    """
    known = [field.name for field in fields(Settings)]
    for name in settings:
        if name not in known:
            raise PluginError(
                f"{entry.name!r} of {entry.owner}: its recipe has an unknown setting {name!r}."
                f"{did_you_mean(name, known)} Known: {', '.join(known)}"
            )
    return settings


def choose(task: str, name: str | None) -> Entry:
    """Return the recipe of that name, else the default for the task.

    Raises:
        UnknownNameError: There is none of that name.
        PluginError: No plugin offers one for the task.
    """
    from nbdl.units.registry import registry

    if name is not None:
        return registry.get("recipes", name)
    found = [entry for entry in registry.entries("recipes") if entry.options.get("default_for") == task]
    if not found:
        raise PluginError(f"no plugin offers a recipe for {task}; `nbdl plugins` lists what is installed")
    return found[0]


def defaults_of(recipe: Entry) -> Mapping[str, Any]:
    """Return the default settings that a recipe was registered with."""
    return settings_of(recipe, {key: value for key, value in recipe.options.items() if key != "default_for"})
