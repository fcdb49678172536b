"""nbdl: neural networks compiled to machine code, in plain Python.

Keras's workflow on Numba; every layer, activation, loss, optimizer and regularizer is a plugin.
Importing this package loads neither Numba nor NumPy; what needs them loads them when it is called.
"""

from __future__ import annotations

import importlib
import sys

from nbdl import loader

TYPE_CHECKING = False  # type checkers take it for true; importing `typing` would take ten times as long as all of this
if TYPE_CHECKING:
    from typing import Any

    from nbdl import activations as activations
    from nbdl import callbacks as callbacks
    from nbdl import constraints as constraints
    from nbdl import datasets as datasets
    from nbdl import initializers as initializers
    from nbdl import layers as layers
    from nbdl import losses as losses
    from nbdl import metrics as metrics
    from nbdl import models as models
    from nbdl import optimizers as optimizers
    from nbdl import regularizers as regularizers
    from nbdl import schedules as schedules
    from nbdl import utils as utils
    from nbdl.hookspecs import hookimpl
    from nbdl.model.base import Model
    from nbdl.model.gradients import value_and_gradient
    from nbdl.model.load import load_model, model_from_json
    from nbdl.model.sequential import Sequential
    from nbdl.network.seeds import set_random_seed
    from nbdl.plugins.session import register
    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor
    from nbdl.training.callbacks import History
    from nbdl.units.activation import Activation
    from nbdl.units.builder import Builder
    from nbdl.units.callback import Callback
    from nbdl.units.initializer import Initializer
    from nbdl.units.layer import Layer
    from nbdl.units.loss import Loss, Pair, elementwise_pair
    from nbdl.units.metric import Metric
    from nbdl.units.optimizer import Optimizer
    from nbdl.units.regularizer import Constraint, Regularizer
    from nbdl.units.schedule import Schedule

    __version__: str

_HOME = {
    "Activation": "units.activation",
    "Builder": "units.builder",
    "Callback": "units.callback",
    "Constraint": "units.regularizer",
    "History": "training.callbacks",
    "Initializer": "units.initializer",
    "Layer": "units.layer",
    "Loss": "units.loss",
    "Metric": "units.metric",
    "Model": "model.base",
    "Optimizer": "units.optimizer",
    "Pair": "units.loss",
    "Recorder": "program.recorder",
    "Regularizer": "units.regularizer",
    "Schedule": "units.schedule",
    "Sequential": "model.sequential",
    "Tensor": "program.tensor",
    "elementwise_pair": "units.loss",
    "hookimpl": "hookspecs",
    "load_model": "model.load",
    "model_from_json": "model.load",
    "register": "plugins.session",
    "set_random_seed": "network.seeds",
    "value_and_gradient": "model.gradients",
}


def _load_plugins() -> None:
    """Load all plugins: the first look-up of a unit calls this."""
    from nbdl.plugins import load_once

    load_once.load_plugins()


def _find_keras_name(module: str, name: str) -> Any:
    """Find a name of Keras's `keras.engine`, which has models and layers."""
    from nbdl.plugins.keras_paths import elsewhere, missing

    if name.islower():  # a module, for which `from nbdl.engine import` asks before it imports it
        raise missing(module, name)
    return elsewhere(module, name, ("models", "layers"))


loader.set_up(_load_plugins, _find_keras_name)

__all__ = [
    "Activation", "Builder", "Callback", "Constraint", "History", "Initializer", "Layer", "Loss", "Metric", "Model",
    "Optimizer", "Pair", "Recorder", "Regularizer", "Schedule", "Sequential", "Tensor", "elementwise_pair",
    "hookimpl", "load_model", "model_from_json", "register", "set_random_seed", "value_and_gradient",
]  # fmt: skip


if not TYPE_CHECKING:  # else a misspelt name would pass for any

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            value = getattr(importlib.import_module(f"nbdl.{_HOME[name]}"), name)
        elif name == "__version__":
            value = importlib.import_module("importlib.metadata").version("nbdl")
        else:
            try:  # nbdl.layers and the like work without an import of their own, as keras.layers does
                value = importlib.import_module(f"nbdl.{name}")
            except ImportError as error:
                if error.name != f"nbdl.{name}":
                    raise
                from nbdl.units.registry import registry

                entry = registry.find("layers", name)  # Keras has its first layer at the top
                if entry is not None and name in (entry.name, *entry.aliases):
                    return entry.target
                from nbdl.plugins.keras_paths import missing

                raise missing("nbdl", name) from None
        globals()[name] = value
        return value


class _KerasPaths:
    """Finds Keras's module paths. Python asks it last, so their table is loaded only where needed."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> Any:
        if not fullname.startswith("nbdl."):
            return None
        from nbdl.plugins.keras_paths import Finder

        return Finder.find_spec(fullname)


sys.meta_path.append(_KerasPaths)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, "__version__"])
