"""Owner: what users find on a model of its network, setup and training, under the names that they know."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from nbdl.errors import ConfigError
from nbdl.network.job import Job
from nbdl.network.network import Network
from nbdl.network.seeds import new_seed
from nbdl.units.arguments import truth
from nbdl.units.keras_names import unknown_attribute
from nbdl.units.overrides import UNCALLED
from nbdl.units.weighted import Weighted

if TYPE_CHECKING:
    from nbdl.data.encoding import Encoding
    from nbdl.engine.store import Store, Weight
    from nbdl.network.setup import Setup, TrainingState
    from nbdl.training.callbacks import History
    from nbdl.units.layer import Layer
    from nbdl.units.symbol import Symbol


M = TypeVar("M", bound="Owner")


class Owner(Weighted):
    """A model's attributes. All that it knows is in its job, which the rooms below take instead of it."""

    _job: Job

    def __init__(self, network: Network) -> None:
        self._job = Job(network)

    if not TYPE_CHECKING:  # else a misspelt attribute would pass for any

        def __getattr__(self, name: str) -> Any:
            return unknown_attribute(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name in UNCALLED["models"] and callable(value):
                raise ConfigError(f"nbdl never calls {name!r} of a model; {UNCALLED['models'][name]}")
            if name.startswith("stop_"):
                if truth(value) is None:
                    raise ConfigError(f"{name} of a model is True or False, got {value!r}")
                value = truth(value)
            super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """Shown in `summary`."""
        return self._job.network.name

    @name.setter
    def name(self, name: str) -> None:
        self._job.network.name = name

    @property
    def seed(self) -> int:
        """The number from which all randomness of this model follows."""
        return self._job.network.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._job.network.seed = seed

    @property
    def encoding(self) -> Encoding | None:
        """How rows became inputs, for a model that was trained on encoded ones, as `nbdl train` does; else None."""
        return self._job.network.encoding

    @encoding.setter
    def encoding(self, encoding: Encoding | None) -> None:
        self._job.network.encoding = encoding

    # -- layers and weights -----------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """The layers joined to a graph, with their weights: what models are made of that use this one as a layer."""
        return self._job.network

    @property
    def input(self) -> Any:
        """The symbol of the input, from which other models can be made; of several inputs a list."""
        symbols = self._job.network.symbols()[0]
        return symbols[0] if len(symbols) == 1 else symbols

    @property
    def output(self) -> Any:
        """The symbol of the output; of several outputs a list."""
        symbols = self._job.network.symbols()[1]
        return symbols[0] if len(symbols) == 1 else symbols

    @property
    def inputs(self) -> list[Symbol]:
        """The symbols of the inputs."""
        return self._job.network.symbols()[0]

    @property
    def outputs(self) -> list[Symbol]:
        """The symbols of the outputs."""
        return self._job.network.symbols()[1]

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, by which data may come in a dict."""
        return list(self._job.network.input_names)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, by which losses, metrics, targets and weights may come in a dict."""
        return list(self._job.network.output_names)

    @property
    def layers(self) -> list[Layer]:
        """The layers, in order; of a Sequential without an `Input`, which only tells the shape of the inputs."""
        return self._job.network.layers

    @property
    def input_shape(self) -> Any:
        """The shape of one row of inputs, once known; of several inputs a list of them."""
        return self._job.network.input_shape

    @property
    def output_shape(self) -> Any:
        """The shape of one row of outputs; of several outputs a list of them.

        Raises:
            MissingError: it is not known yet; so `hasattr` says no, and `getattr` gives its default.
        """
        return self._job.network.output_shape

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._job.network.built

    @property
    def store(self) -> Store:
        """The weights' memory; builds the model if need be."""
        return self._job.network.store

    @property
    def weights(self) -> list[Weight]:
        """All weights and states, layer by layer; empty until the shape of the inputs is known."""
        return self._job.network.weights

    def existing_weights(self) -> list[Weight]:
        return self._job.network.existing_weights()

    def _shown(self) -> str:
        return "the model"

    @property
    def trainable(self) -> bool:
        """Whether any layer is; setting it freezes all layers, or none, at once: see `Layer`."""
        return self._job.network.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._job.network.trainable = value

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the columns of the inputs: those of the data frame that was fitted on last, else None.

        Every data frame given later has to have these columns, in this order; but a fit on as many columns of other
        names takes those. The names that a layer's `adapt` saw count as well. Setting other names renames the
        columns; None makes the model forget them.
        """
        return self._job.network.feature_names

    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None:
        if names is not None and (isinstance(names, str) or not all(isinstance(name, str) for name in names)):
            raise ConfigError(f"feature_names is a list of names, or None, got {names!r}")
        self._job.network.rename_features(names)

    def get_config(self) -> dict[str, Any]:
        """The model as plain data, without weights."""
        return self.config_within({})

    def config_within(self, seen: dict[int, int]) -> dict[str, Any]:
        """The same for a model that may be part of another, whose layers that were written so far are `seen`."""
        raise NotImplementedError

    def around(self, network: Network) -> Owner:
        """Return a model around another network, such as this one is around its own."""
        return face_of(network)

    # -- training ---------------------------------------------------------------------------------------

    @property
    def compiled(self) -> Setup | None:
        """What `compile` chose: optimizer, loss and metrics; None until then."""
        return self._job.setup

    @compiled.setter
    def compiled(self, setup: Setup | None) -> None:
        self._job.setup = setup

    @property
    def training_state(self) -> TrainingState | None:
        """How far training has come; None before the first step."""
        return self._job.state

    @training_state.setter
    def training_state(self, state: TrainingState | None) -> None:
        self._job.state = state

    @property
    def history(self) -> History | None:
        """What the last `fit` returned; None before the first."""
        history: History | None = self._job.history
        return history

    @history.setter
    def history(self, history: History | None) -> None:
        self._job.history = history

    @property
    def stop_training(self) -> bool:
        """Whether `fit` is to end; callbacks set it."""
        return self._job.stop_training

    @stop_training.setter
    def stop_training(self, stop: bool) -> None:
        self._job.stop_training = stop

    @property
    def stop_evaluating(self) -> bool:
        """Whether `evaluate` is to end; callbacks set it."""
        return self._job.stop_evaluating

    @stop_evaluating.setter
    def stop_evaluating(self, stop: bool) -> None:
        self._job.stop_evaluating = stop

    @property
    def stop_predicting(self) -> bool:
        """Whether `predict` is to end; callbacks set it."""
        return self._job.stop_predicting

    @stop_predicting.setter
    def stop_predicting(self, stop: bool) -> None:
        self._job.stop_predicting = stop


# What users hold a network by; imported when one is needed, since these modules lie above this one.
FACES = {"Chain": "nbdl.model.sequential:Sequential", "Graph": "nbdl.model.base:Model"}


def face_of(network: Network) -> Owner:
    """Return a model around a network: a Sequential around a chain, else a Model."""
    module, _, name = FACES[type(network).__name__].partition(":")
    kind: type[Owner] = getattr(importlib.import_module(module), name)
    return around(kind, network)


def around(kind: type[M], network: Network) -> M:
    """Return a model of a class around a network; a constructor of a user's own is not called."""
    made = kind.__new__(kind)
    Owner.__init__(made, network)
    return made


def job_of(model: Owner) -> Job:
    """The job of a model, which the rooms below take instead of it."""
    return model._job


def seed_of(seed: Any) -> int:
    """Return a seed: the one given, or a new one.

    Raises:
        ConfigError: it is no such number.
    """
    if seed is None:
        return new_seed()
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= int(seed) < 1 << 64:
        raise ConfigError(f"seed is an integer from 0 to 2**64 - 1, got {seed!r}")
    return int(seed)
