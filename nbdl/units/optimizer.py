"""Optimizer: the base class of update rules, and the arguments that all of them have.

A rule is one scalar function and a few scalars for each step. The arguments that every optimizer takes (weight decay,
clipping, averages of the weights, accumulation) are recorded around it, in the order of Keras 3.
"""

from __future__ import annotations

import math
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from nbdl.errors import ConfigError
from nbdl.program.limits import OUTPUTS
from nbdl.units.arguments import Range
from nbdl.units.constructor import parameters_of
from nbdl.units.schedule import Schedule, rates
from nbdl.units.unit import Scalar, Unit, serialize

if TYPE_CHECKING:
    from nbdl.engine.store import Weight
    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor

LARGEST = 3.4028234663852886e38  # of float32
CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")

# Slots and scalars of the common arguments; no rule's are called so, since its scalars are names of arguments.
ACCUMULATED, AVERAGE = "accumulated", "average"
SHARE, SHRINKAGE, CLIP, MOMENTUM, OVERWRITE = (
    "share of the sum", "weight decay", "clip at", "momentum of the average", "overwritten by the average",
)  # fmt: skip


class Counter(Protocol):
    """What counts the steps of a training."""

    @property
    def iterations(self) -> int:
        """How many are done."""


class Optimizer(Unit):
    """An update rule: `per_step` gives a few scalars once a step, `update` is a scalar function.

    Class attributes:
        slots: names of the arrays, as large as the weights, that the rule keeps.
        per_weight: whether the rule looks at whole weights, and so records sums or products of its own in `record`.

    `update(w, g, *slots, *scalars)` returns the new w, or a tuple `(w, *slots)`. The scalars follow in the
    order of the dict that `per_step` returns.

    Any optimizer also takes:

        weight_decay: λ, decoupled: before the update w ← w - w·λ·η, so that w ← (1 - ηλ)·w - η·∂L/∂w with plain
            descent. The regularizer l2(λ) adds λ·Σw² to the loss, whose derivative is 2λw, and passes through the
            rule like any gradient: with plain descent l2(λ/2) does the same, with others it does not. Default None.
        clipnorm: the largest norm of each weight's gradient (Keras 1 and 2: of all together). Default None.
        clipvalue: the largest size of each element of a gradient. Default None.
        global_clipnorm: the largest norm of all gradients together. Only one of the three can be given. Default None.
        use_ema: whether to average the weights over the steps, a ← m·a + (1 - m)·w from a = w after the first
            update; the averages become the weights at the end of `fit`. Default False.
        ema_momentum: m. Default 0.99.
        ema_overwrite_frequency: after how many updates, again and again, the averages become the weights. Default None.
        gradient_accumulation_steps: update once in so many steps, by the mean of their gradients. The rule then counts
            updates, a schedule counts steps. Default None: each step.
        decay: d of older Keras: the rate is η/(1 + d·step), with steps from 0 (Keras 3 ignores it). Default 0.
        name: kept for the config.

    `lr` is the older spelling of `learning_rate`. `iterations` is how many steps the model has done that was compiled
    with this optimizer.

    Source: Keras 3, optimizers/base_optimizer.py.
    """

    kind = "optimizers"
    last_positions = (
        "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "use_ema", "ema_momentum",
        "ema_overwrite_frequency", "loss_scale_factor", "gradient_accumulation_steps", "name",
    )  # fmt: skip
    ignored: ClassVar[Mapping[str, tuple[Any, ...]]] = {"loss_scale_factor": (None,), "jit_compile": (...,)}
    instead: ClassVar[Mapping[str, str]] = {"loss_scale_factor": "not needed: everything inside is float32"}
    common: ClassVar[Mapping[str, tuple[str, Any]]] = {
        "weight_decay": ("float | None", None),
        "clipnorm": ("float | None", None),
        "clipvalue": ("float | None", None),
        "global_clipnorm": ("float | None", None),
        "use_ema": ("bool", False),
        "ema_momentum": ("float", 0.99),
        "ema_overwrite_frequency": ("int | None", None),
        "gradient_accumulation_steps": ("int | None", None),
        "decay": ("float", 0.0),
        "name": ("str", ""),
    }
    ranges: ClassVar[Mapping[str, Range]] = {
        "learning_rate": Range(
            0.0, LARGEST, "is a number of at least 0 that float32 can hold, or a schedule", schedules=True
        ),
        **dict.fromkeys(CLIPS, Range(math.ulp(0.0), wanted="is a positive number", optional=True)),
        "weight_decay": Range(0.0, wanted="is None or a number that is not negative", optional=True),
        "decay": Range(0.0, wanted="is a number of at least 0"),
        "ema_momentum": Range(0.0, 1.0),
        "gradient_accumulation_steps": Range(2, wanted="is None or an integer from 2 on", whole=True, optional=True),
        "ema_overwrite_frequency": Range(1, wanted="is None or an integer from 1 on", whole=True, optional=True),
    }
    renamed: ClassVar[dict[str, str]] = {"lr": "learning_rate"}
    slots: ClassVar[tuple[str, ...]] = ()
    per_weight: ClassVar[bool] = False
    learning_rate: float | Schedule | Callable[[int], float]
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    gradient_accumulation_steps: int | None = None
    decay: float = 0.0
    name: str
    undecayed: tuple[str, ...] = ()
    _counter: weakref.ref[Counter] | None = None

    def __init__(self) -> None:
        pass

    def _set_common(self, name: str | None = None, **values: Any) -> None:
        super()._set_common(name)
        for argument, value in values.items():
            setattr(self, argument, value)
        clips = [clip for clip in CLIPS if getattr(self, clip) is not None]
        if len(clips) > 1:
            raise ConfigError(f"{type(self).__name__}: give only one of {', '.join(CLIPS)}; got {' and '.join(clips)}")
        if self.ema_overwrite_frequency is not None and not self.use_ema:
            raise ConfigError(
                f"{type(self).__name__}: ema_overwrite_frequency is for averages: give use_ema=True too, or leave it "
                "out"
            )

    if not TYPE_CHECKING:  # hidden from type checkers, which would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            now = vars(self).get("learning_rate")
            if self.renamed.get(name, name) == "learning_rate" and isinstance(now, Schedule) and not callable(value):
                raise ConfigError(
                    f"{type(self).__name__}: its learning_rate is {now!r}, which sets the rate of each step, so it "
                    f"cannot become {value!r}; compile with a number to change it during training, or set another "
                    "schedule"
                )
            super().__setattr__(name, value)

        def __getattr__(self, name: str) -> Any:
            if name == "iterations":  # no property: a rule may have an attribute of that name
                counter = None if self._counter is None else self._counter()
                return 0 if counter is None else counter.iterations
            return super().__getattr__(name)

    def apply(self, gradients: Any, model: Any) -> None:
        """Change the weights of a model that are trained, by this rule, with gradients of one's own.

        Args:
            gradients: one for each of `model.trainable_weights`, as `nbdl.value_and_gradient` gives them.
            model: whose weights. Slots and the number of steps are kept for each model.

        Raises:
            ConfigError: there are more or fewer, or one has another shape.
            DivergenceError: one is not finite; the weights stay as they are.
        """
        model.apply_gradients(gradients, self)

    def attach(self, counter: Counter) -> None:
        """Remember who counts the steps that `iterations` tells."""
        self._counter = weakref.ref(counter)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out who counts the steps: a copy takes no part in them."""
        return {name: value for name, value in self.__dict__.items() if name != "_counter"}

    # -- what a rule says -------------------------------------------------------------------------------

    def per_step(self, step: Any) -> dict[str, Any]:
        """Compute the scalars of one step, in float64; `step` counts from 1.

        It must be a pure function of the step and of this unit's attributes: it is called ahead of the steps, and
        with an array of steps where that works. Plain arithmetic (`**`, not `math.pow`) takes both; what raises
        TypeError or ValueError for an array is called step by step.
        """
        raise self.unwritten("per_step")

    @staticmethod
    def update(w: float, g: float) -> Any:
        """Compute the new weight, and new slots: the scalar function."""
        raise NotImplementedError

    def used_slots(self) -> tuple[str, ...]:
        """Return the slots that these arguments need."""
        return self.slots

    def first_value(self, slot: str) -> float:
        """Return what a slot holds before the first step."""
        return 0.0

    def update_function(self) -> Scalar:
        """Return the scalar function that these arguments need."""
        return self.update

    def record(
        self, r: Recorder, w: Tensor, g: Tensor, slots: Mapping[str, Tensor], scalars: Mapping[str, Tensor]
    ) -> tuple[Scalar, Sequence[Tensor]]:
        """Return the scalar function for a weight, and its operands after w, g and the slots.

        Args:
            w: with `per_weight` one weight, under its name and in its shape; else many in one vector.
            slots, scalars: by name; slots are written by the scalar function alone.
        """
        return self.update_function(), list(scalars.values())

    def rate(self, step: Any) -> Any:
        """Compute the learning rate of a step (from 1) or of an array of them."""
        # With accumulation `step` counts updates, and a schedule the steps: an update falls on the last of its steps.
        iterations = step * (self.gradient_accumulation_steps or 1) - 1
        rate = self.learning_rate
        if not callable(rate):
            value: Any = float(rate)
        elif hasattr(step, "__len__"):
            value = rates(rate, iterations)
        else:
            value = float(rate(iterations))
        return value / (1.0 + self.decay * iterations) if self.decay else value

    # -- what is recorded -------------------------------------------------------------------------------

    def all_slots(self) -> tuple[str, ...]:
        """List the rule's slots and those of the common arguments.

        Raises:
            ConfigError: the rule has a slot of the same name, or there are more than one step can write.
        """
        needed = {ACCUMULATED: self.gradient_accumulation_steps, AVERAGE: self.use_ema}
        common = [slot for slot, wanted in needed.items() if wanted]
        names = (*self.used_slots(), *common)
        if len(names) >= OUTPUTS:
            raise ConfigError(
                f"{type(self).__name__} keeps {', '.join(names)} for each weight; with the weight itself a step can "
                f"write {OUTPUTS} numbers, so there can be {OUTPUTS - 1} of them"
            )
        if len(set(names)) < len(names):
            raise ConfigError(
                f"{type(self).__name__}: {' and '.join(common)} are slots of nbdl's own; rename the rule's"
            )
        return names

    def possible_slots(self) -> tuple[str, ...]:
        """List the slots that any arguments of this rule need: those in a file may be of other arguments."""
        return (*self.slots, ACCUMULATED, AVERAGE)

    def scalars(self, step: Any) -> dict[str, Any]:
        """Compute the scalars of `per_step` and of the common arguments for a step (from 1) or an array of steps."""
        if not hasattr(step, "__len__"):
            return self._scalars(step)
        import numpy as np

        try:
            return self._scalars(step.astype(np.float64))
        except (TypeError, ValueError):
            each = [self._scalars(int(one)) for one in step]
            return {name: np.array([one[name] for one in each]) for name in each[0]}

    def _scalars(self, step: Any) -> dict[str, Any]:
        every = self.gradient_accumulation_steps
        update = (step - 1) // every + 1 if every else step
        values = self._own_scalars(update)
        if every:
            values[SHARE] = (step % every == 0) / every
        if self.weight_decay:
            values[SHRINKAGE] = self.weight_decay * self.rate(update)
        for name in CLIPS:
            if getattr(self, name) is not None:
                values[CLIP] = float(getattr(self, name))
        if self.use_ema:
            values[MOMENTUM] = self.ema_momentum * (update > 1)
            if self.ema_overwrite_frequency:
                values[OVERWRITE] = 1.0 * (update % self.ema_overwrite_frequency == 0)
        return values

    def _own_scalars(self, step: Any) -> dict[str, Any]:
        """Call `per_step`, and refuse what is not numbers by name."""
        values: Any = self.per_step(step)
        if not isinstance(values, Mapping):
            raise ConfigError(f"{type(self).__name__}: per_step returns a dict of numbers by name, got {values!r}")
        for name, value in values.items():
            if (
                not isinstance(name, str)
                or not (hasattr(value, "__float__") or hasattr(value, "__len__"))
                or isinstance(value, str | bytes)
            ):
                raise ConfigError(
                    f"{type(self).__name__}: per_step returns a dict of numbers by name; {name!r} is {value!r}"
                )
        return dict(values)

    def shrinkage(self, weight: Weight) -> str:
        """Name the scalar by which weight decay shrinks a weight; "" if it does not."""
        return SHRINKAGE if self.weight_decay and not self.is_excluded(weight) else ""

    def is_excluded(self, weight: Weight) -> bool:
        """Whether `exclude_from_weight_decay` named that weight."""
        return any(re.search(pattern, weight.name) for pattern in self.undecayed)

    def rule(self) -> tuple[Any, ...]:
        """Return all that a recorded update depends on, beside the model: another rule is another program."""
        switches = (self.weight_decay, self.gradient_accumulation_steps, self.ema_overwrite_frequency)
        clips = [getattr(self, name) is not None for name in CLIPS]
        return (
            self.update_function(), self.all_slots(), self.undecayed, *map(bool, switches), *clips,
        )  # fmt: skip

    def exclude_from_weight_decay(
        self, var_list: Sequence[Any] | None = None, var_names: Sequence[str] | None = None
    ) -> None:
        """Name the weights that decay leaves alone; another call replaces these.

        Args:
            var_list: weights, as `model.weights` holds them.
            var_names: regular expressions, found anywhere in a weight's name: `["bias"]`.
        """
        exact = [f"^{re.escape(weight.name)}$" for weight in var_list or ()]
        self.undecayed = (*exact, *(var_names or ()))

    # -- config -----------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as they are now, since a training goes on with what was changed.

        Raises:
            ConfigError: an argument is a function, or a unit that is not registered.
        """
        from nbdl.units.registry import registry

        names = dict.fromkeys([*parameters_of(type(self)), *self.arguments])
        current = {name: vars(self)[name] for name in names if name in vars(self)}
        values = {**self.arguments, **current}
        for name, value in values.items():
            if callable(value) and (not isinstance(value, Unit) or registry.entry_of(value) is None):
                raise ConfigError(
                    f"{type(self).__name__}: its {name} is {value!r}, which a config cannot hold; make it a "
                    "nbdl.Schedule and register it with nbdl.register(...)"
                )
        values["name"] = self.name
        if self.undecayed:
            values["undecayed"] = self.undecayed
        return {name: serialize(value) for name, value in values.items()}

    def stored_config(self) -> dict[str, Any]:
        """Return all arguments as they are now."""
        config = self.get_config()
        return {name: value for name, value in config.items() if name != "name" or "name" in vars(self)}

    def default_name(self) -> str:
        return super().default_name().lower()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        from nbdl.units.registry import registry

        made = {
            name: registry.make("schedules", value, f"{cls.__name__}'s {name}") if isinstance(value, dict) else value
            for name, value in config.items()
        }
        undecayed = made.pop("undecayed", ())
        unit = cls(**made)
        unit.undecayed = tuple(undecayed)
        return unit
