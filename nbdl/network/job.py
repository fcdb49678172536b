"""Job: a network with all that it takes to train it and to predict with it."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, MissingError
from nbdl.network.device import DeviceChoice
from nbdl.network.learnable import warn_of_outputs
from nbdl.network.network import Network
from nbdl.network.programs import ProgramCache
from nbdl.network.setup import NOT_COMPILED, Setup, TrainingState

if TYPE_CHECKING:
    from nbdl.units.optimizer import Optimizer


class Job:
    """A network with its setup, training state, device and programs; what fit, evaluate and predict take.

    Attributes:
        setup: what `compile` chose; None until then.
        state: how far training has come; None before the first step, and once the setup or the layers change.
        choice: the device and the precision.
        programs: what was made for the network as it is.
        own_states: of optimizers that make steps with gradients and were not given to `compile`.
        draws: how many gradients were found, for random numbers.
        in_fit: whether it is being trained.
        in_own_step: whether a `train_step` of its author's is running.
        stop_training, stop_evaluating, stop_predicting: whether to stop soon; callbacks set them.
        history: of the last fit.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        network.listener = weakref.ref(self)
        self.setup: Setup | None = None
        self.state: TrainingState | None = None
        self.choice = DeviceChoice()
        self.programs = ProgramCache()
        self.own_states: weakref.WeakKeyDictionary[Optimizer, TrainingState] = weakref.WeakKeyDictionary()
        self.draws = 0
        self.in_fit = False
        self.in_own_step = False
        self.stop_training = False
        self.stop_evaluating = False
        self.stop_predicting = False
        self.history: Any = None

    def compiled(self) -> Setup:
        """The setup.

        Raises:
            ConfigError: there is none yet.
        """
        if self.setup is None:
            raise ConfigError(NOT_COMPILED)
        return self.setup

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer, whose `iterations` are those of this job from here on.

        Raises:
            MissingError: there is no setup yet; so `hasattr` says no, and `getattr` gives its default.
        """
        if self.setup is None:
            raise MissingError("the model has no optimizer yet: call model.compile(loss=..., optimizer=...) first")
        self.setup.optimizer.attach(self)
        return self.setup.optimizer

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda", "cuda:1" and so on."""
        return self.choice.device

    @property
    def iterations(self) -> int:
        """Steps done since `compile`."""
        return 0 if self.state is None else self.state.iterations

    @property
    def metrics_names(self) -> list[str]:
        """The names of what an evaluation returns, in order; empty without a setup."""
        if self.setup is None:
            return []
        losses = [goal.reported("loss") for goal in self.setup.goals if goal.name]
        return ["loss", *losses, *(name for name, _ in self.setup.metrics)]

    def compile(self, setup: Setup, choice: DeviceChoice) -> None:
        """Take a setup, and a device if that can run the network; training begins again.

        Raises:
            ConfigError: the device cannot run the network; the job keeps the setup that it had.
        """
        before = self.setup, self.state
        self.setup, self.state = setup, None
        self.programs.clear()
        try:
            self.choose(choice)
        except ConfigError:
            self.setup, self.state = before
            raise
        warn_of_outputs(self.network, setup)
        setup.optimizer.attach(self)

    def choose(self, choice: DeviceChoice) -> None:
        """Run on a device from here on.

        Raises:
            ConfigError: it cannot run the network.
        """
        self.choice = choice.suited(self.network, self.setup)

    def layers_changed(self) -> None:
        self.programs.clear()
        self.own_states.clear()
        self.state = None

    def weights_made(self) -> None:
        if self.device != "cpu":
            self.choose(self.choice)

    def take_state(self, state: TrainingState) -> None:
        """Go on with training where another job is, whose weights this one's network has."""
        from nbdl.network.update import new_slots

        slots = new_slots(self.compiled().optimizer, state.slot_names, self.network.store.trainable_size)
        slots[...] = state.slots
        self.state = replace(state, slots=slots)
