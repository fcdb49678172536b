"""The kinds of unit: what each must offer, and how two scalar functions become one.

An elementwise unit is written as plain scalar functions; `elementwise` turns them into a class whose
constructor takes the functions' own parameters. Anything that is not elementwise records operations on
`r`, the recorder of `nbdl.engine.program`, as a layer does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from nbdl.errors import ConfigError, PluginError
from nbdl.units import Unit, serialize

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.program import Recorder, Tensor
    from nbdl.initializing import Stream

Scalar = Callable[..., Any]


class Activation(Unit):
    """y = f(x), applied to the outputs of a layer."""

    kind = "activations"

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        """Record y = f(x); return y and what `backward` needs."""
        raise self.unwritten("forward")

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        """Record dx = dy·f'(x)."""
        raise self.unwritten("backward")

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of y, given that of one row of x: the same, for nearly all.

        Raises:
            ConfigError: x cannot have that shape.
        """
        return shape


class Loss(Unit):
    """One value per row, to be minimised; the reported loss is its mean over the rows.

    Class attributes:
        pairs: by activation name, the `Pair` that replaces this loss and that activation by one formula.
        targets: "probabilities" if targets outside 0..1 are a mistake.

    A registration may give both as options.
    """

    kind = "losses"
    pairs: ClassVar[Mapping[str, type[Pair]]] = {}
    targets: ClassVar[Any] = ""

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the loss of each row: rows × 1."""
        raise self.unwritten("values")

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the derivative of each row's loss for the predictions p: rows × features."""
        raise self.unwritten("gradient")

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of targets, given the shape of one row of predictions."""
        return output_shape

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        """Why these targets cannot be used and what to do, or an empty string."""
        return ""


class Pair(Unit):
    """A loss and the activation before it as one formula of the activation's input z.

    `saved` is what the activation's `forward` returned beside p.
    """

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        """Record the loss of each row: rows × 1."""
        raise self.unwritten("values")

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        """Record the derivative of each row's loss for z: rows × features."""
        raise self.unwritten("gradient")


class Regularizer(Unit):
    """A penalty on a weight, added to the loss: elementwise, from scalar penalty(w, ...), gradient(w, ...)."""

    kind = "regularizers"

    def penalty(self, r: Recorder, w: Tensor) -> Tensor:
        """Record the penalty: one scalar."""
        raise self.unwritten("penalty")

    def gradient(self, r: Recorder, w: Tensor, g: Tensor) -> Tensor:
        """Record g + the derivative of the penalty."""
        raise self.unwritten("gradient")


class Constraint(Unit):
    """A projection of a weight after each update."""

    kind = "constraints"

    def project(self, r: Recorder, w: Tensor) -> Tensor:
        """Record the projected weight."""
        raise self.unwritten("project")


class Optimizer(Unit):
    """An update rule: `per_step` gives a few scalars once a step, `update` is a scalar function.

    Class attributes:
        slots: names of the arrays, as large as the weights and zero at first, that the rule keeps.

    `update(w, g, *slots, *scalars)` returns the new w, or a tuple `(w, *slots)`. The scalars follow in the
    order of the dict that `per_step` returns.
    """

    kind = "optimizers"
    slots: ClassVar[tuple[str, ...]] = ()
    learning_rate: float | Schedule | Callable[[int], float]

    def per_step(self, step: Any) -> dict[str, Any]:
        """The scalars of one step, in float64; `step` counts from 1.

        It must be a pure function of the step and of this unit's attributes: it is called ahead of the steps, and
        with an array of steps where that works. Plain arithmetic (`**`, not `math.pow`) takes both; what raises
        TypeError or ValueError for an array is called step by step.
        """
        raise self.unwritten("per_step")

    @staticmethod
    def update(w: float, g: float) -> Any:
        """The scalar function: new weight, and new slots."""
        raise NotImplementedError

    def used_slots(self) -> tuple[str, ...]:
        """The slots that these arguments need."""
        return self.slots

    def update_function(self) -> Scalar:
        """The scalar function that these arguments need."""
        return self.update

    def get_config(self) -> dict[str, Any]:
        """The arguments as they are now: what was changed since is part of going on.

        Raises:
            ConfigError: an argument is a function, or a unit that is not registered.
        """
        from nbdl.registry import registry

        names = dict.fromkeys([*inspect.signature(type(self)).parameters, *self.arguments])
        current = {name: vars(self)[name] for name in names if name in vars(self)}
        values = {**self.arguments, **current}
        for name, value in values.items():
            if callable(value) and (not isinstance(value, Unit) or registry.entry_of(value) is None):
                raise ConfigError(
                    f"{type(self).__name__}: its {name} is {value!r}, which a config cannot hold; make it a "
                    "nbdl.Schedule and register it with nbdl.register(...)"
                )
        return {name: serialize(value) for name, value in values.items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        from nbdl.registry import registry

        made = {
            name: registry.make("schedules", value, f"{cls.__name__}'s {name}") if isinstance(value, dict) else value
            for name, value in config.items()
        }
        return cls(**made)

    def rate(self, step: Any) -> Any:
        """The learning rate of a step (from 1) or of an array of them: a number, or what a schedule says."""
        rate = self.learning_rate
        if not callable(rate):
            return float(rate)
        if hasattr(step, "__len__"):
            import numpy as np

            return np.array([float(rate(int(one) - 1)) for one in step])
        return float(rate(step - 1))


class Schedule(Unit):
    """A learning rate that depends on the step, counted from 0."""

    kind = "schedules"

    def __call__(self, step: int) -> float:
        raise self.unwritten("__call__")


class Initializer(Unit):
    """The first values of a weight."""

    kind = "initializers"

    def __call__(self, shape: tuple[int, ...], random: Stream) -> np.ndarray:
        """Values of that shape; all randomness comes from `random`, so a seed gives the same bits."""
        raise self.unwritten("__call__")


class Metric(Unit):
    """A figure over an epoch: sums of per-row values, finished in Python.

    `update` records rows × width; the engine adds the rows up in a fixed order, float64 over the steps.
    """

    kind = "metrics"
    greater_is_better: ClassVar[bool] = False

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the values of each row: rows × width."""
        raise self.unwritten("update")

    def result(self, sums: np.ndarray, rows: int) -> float:
        """The figure, from the sums over all rows; by default their mean."""
        return float(sums[0]) / rows


class ElementwiseActivation(Activation):
    """An activation from scalar f(x, ...) and df(x, y, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(self.functions[0], x, *self.parameters.values()), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.chain_rule(self.functions[1], dy, x, y, *self.parameters.values())


class ElementwiseLoss(Loss):
    """A loss from scalar f(y, p, ...) and df(y, p, ...): the mean over a row's features."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(self.functions[0], y, p, *self.parameters.values())

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.share(self.functions[1], y, p, *self.parameters.values())


class ElementwiseRegularizer(Regularizer):
    """A regularizer from scalar penalty(w, ...) and gradient(w, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def penalty(self, r: Recorder, w: Tensor) -> Tensor:
        return r.total(self.functions[0], w, *self.parameters.values())

    def gradient(self, r: Recorder, w: Tensor, g: Tensor) -> Tensor:
        return r.add_to(g, self.functions[1], w, *self.parameters.values())


class ElementwiseConstraint(Constraint):
    """A constraint from scalar project(w, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def project(self, r: Recorder, w: Tensor) -> Tensor:
        return r.map(self.functions[0], w, *self.parameters.values())


class ElementwisePair(Pair):
    """A loss and its activation as scalar f(y, z) and df(y, z) of the activation's input z."""

    functions: ClassVar[tuple[Scalar, ...]] = ()

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.mean(self.functions[0], y, z)

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.share(self.functions[1], y, z)


# What the scalar functions of a kind are called, and the arguments that come before a unit's own.
ELEMENTWISE: dict[str, tuple[type[Unit], tuple[tuple[str, int], ...]]] = {
    "activations": (ElementwiseActivation, (("f", 1), ("df", 2))),
    "losses": (ElementwiseLoss, (("f", 2), ("df", 2))),
    "regularizers": (ElementwiseRegularizer, (("penalty", 1), ("gradient", 1))),
    "constraints": (ElementwiseConstraint, (("project", 1),)),
}


def elementwise(kind: str, name: str, functions: tuple[Scalar, ...]) -> type[Unit]:
    """A class for a unit given as scalar functions; raises PluginError where their signatures do not fit."""
    base, roles = ELEMENTWISE[kind]
    wanted = " and ".join(f"{role} with {count} leading argument(s)" for role, count in roles)
    if len(functions) != len(roles):
        raise PluginError(f"{name!r}: {kind} take {wanted}; {len(functions)} function(s) were given")
    own = [_own_parameters(function, count) for function, (_, count) in zip(functions, roles, strict=True)]
    for (role, count), function, parameters in zip(roles, functions, own, strict=True):
        if parameters is None:
            raise PluginError(f"{name!r}: {role} must take at least {count} argument(s): {function!r}")
        if list(parameters) != list(own[0] or ()):
            first = f"{roles[0][0]}: {list(own[0] or ())}"
            raise PluginError(f"{name!r}: {role} must have the same own arguments as {first}")
    return cast("type[Unit]", type(name, (base,), _members(functions, own[0] or {})))


def elementwise_pair(f: Scalar, df: Scalar) -> type[Pair]:
    """A `Pair` from scalar f(y, z) and df(y, z)."""
    return type("ElementwisePair", (ElementwisePair,), {"functions": (f, df), "__module__": f.__module__})


def _own_parameters(function: Scalar, leading: int) -> dict[str, inspect.Parameter] | None:
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) < leading:
        return None
    return {parameter.name: parameter for parameter in parameters[leading:]}


def _members(functions: tuple[Scalar, ...], own: dict[str, inspect.Parameter]) -> dict[str, Any]:
    """The class body: a constructor with the functions' own parameters, which stay run-time scalars."""

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        self.parameters = {key: float(bound.arguments[key]) for key in own}

    keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter("self", keyword), *own.values()])
    __init__.__signature__ = signature  # type: ignore[attr-defined]
    first = functions[0]
    return {
        "__init__": __init__,
        "__doc__": first.__doc__ or inspect.getdoc(inspect.getmodule(first)),
        "__module__": first.__module__,
        "functions": functions,
    }
