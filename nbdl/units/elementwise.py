"""The kinds of unit: what each must offer, and how two scalar functions become one.

An elementwise unit is written as plain scalar functions; `elementwise` turns them into a class whose
constructor takes the functions' own parameters. Anything that is not elementwise records operations on
`r`, the recorder of `nbdl.program.recorder`, as a layer does.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
import math
from abc import ABCMeta
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from nbdl.errors import ConfigError, PluginError
from nbdl.program.functions import same, times
from nbdl.units.unit import Unit, with_common_arguments

if TYPE_CHECKING:
    import numpy as np

    from nbdl.program.recorder import Recorder, Tensor
    from nbdl.units.random import Stream

Scalar = Callable[..., Any]

SLACK = 1e-6  # for targets that were rounded
# By what a loss says of its targets: the lowest, the highest, what to do.
TARGETS = {
    "probabilities": (0.0, 1.0, ""),
    "signs": (-1.0, 1.0, "; label two classes -1 and 1, or 0 and 1"),
    "positive": (0.0, math.inf, ""),
}


def positive(y: float) -> float:
    return 1.0 if y > 0.0 else 0.0


def probability(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


# Where activations are tried, to see what they give.
SAMPLES = (0.0, 1e-3, 0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 5.0, 10.0, 20.0, 100.0, 1e4)


class Activation(Unit):
    """y = f(x), applied to the outputs of a layer.

    Attributes:
        output_range: the least and the largest y, None where that is not known; of scalar functions it is found out.
        adds_up: whether the y of a row add up to 1.
    """

    kind = "activations"
    adds_up: ClassVar[bool] = False

    @property
    def output_range(self) -> tuple[float, float] | None:
        return (0.0, 1.0) if self.adds_up else None

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


NAMED: dict[str, tuple[str, Any]] = {"name": ("str | None", None)}


def _set_name(unit: Any, name: str | None = None) -> None:
    if name:
        unit.name = str(name)


class Loss(Unit):
    """One value per row, to be minimised; the reported loss is its mean over the rows.

    Attributes:
        pairs: by activation name, the `Pair` that replaces this loss and that activation by one formula.
        targets: what targets outside of a range are a mistake: "probabilities", "signs", "positive".
        name: what it is reported under as a metric, which any loss takes as an argument.
        from_logits: whether predictions are what an activation of `pairs` would have been given. Such a loss has no
            pairs of its own, and is refused after that activation.
        predictions: "probabilities" if a model that gives anything else cannot learn.
        over_columns: whether it compares the predictions of a row with one another, and so needs several.

    A registration may give the first two, and predictions, as options.
    """

    kind = "losses"
    last_positions = ("reduction", "name", "dtype")
    pairs: Mapping[str, type[Pair]] = {}
    targets: ClassVar[Any] = ""
    predictions: ClassVar[Any] = ""
    over_columns: ClassVar[bool] = False
    from_logits: bool = False
    name: str

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" in cls.__dict__:
            cls.__init__ = with_common_arguments(cls.__init__, NAMED, _set_name)  # type: ignore[method-assign]
        super().__init_subclass__(**options)

    def __init__(self, *, name: str | None = None) -> None:
        _set_name(self, name)

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the loss of each row: rows × 1."""
        raise self.unwritten("values")

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        """Record the derivative of each row's loss for the predictions p: rows × features."""
        raise self.unwritten("gradient")

    def prepare(self, r: Recorder, y: Tensor, outputs: int) -> Tensor:
        """Record the targets as the formulas take them: what a loss and its pairs do first."""
        return y

    def counted(self, r: Recorder, y: Tensor) -> Tensor | None:
        """Record which rows count, 1 or 0: the mean is over these. None, the usual: all do."""
        return None

    @property
    def boundary(self) -> float:
        """The value above which a single output means the second class: 0 of logits and signs, else 0.5."""
        return 0.0 if self.from_logits or self.targets == "signs" else 0.5

    def decided(self, r: Recorder, y: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Record what metrics of decisions look at: targets as 0 and 1, predictions as probabilities.

        Logits go through the activation of `pairs`; signs and their predictions count as classes and logits.
        """
        if self.from_logits and type(self).pairs:
            from nbdl.plugins.registry import registry

            activation = registry.make("activations", next(iter(type(self).pairs)))
            return y, activation.forward(r, p)[0]
        if self.targets == "signs":
            return r.map(positive, y), r.map(probability, p)
        return y, p

    def target_shape(self, output_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one row of targets, given the shape of one row of predictions."""
        return output_shape

    def check_targets(self, y: np.ndarray, output_shape: tuple[int, ...]) -> str:
        """Why these targets cannot be used and what to do, or an empty string."""
        return ""

    def check_range(self, low: float, high: float) -> str:
        """Why targets from `low` to `high` cannot be used, by what `targets` says, or an empty string."""
        bottom, top, hint = TARGETS.get(str(self.targets), (-math.inf, math.inf, ""))
        if bottom - SLACK <= low and high <= top + SLACK:
            return ""
        wanted = f"from {bottom:g} to {top:g}" if top < math.inf else f"not below {bottom:g}"
        hint = "; from -1 and 1 make (y + 1) / 2" if (low, high, bottom) == (-1.0, 1.0, 0.0) else hint
        return f"loss {self.unit_name!r} takes targets {wanted}, y goes from {low:g} to {high:g}{hint}"


class Made(ABCMeta):
    """The type of classes that nbdl makes, which are in no module: pickle finds them by name."""


@functools.cache
def metric_form(loss: type[Loss]) -> type[Loss]:
    """The loss as `nbdl.metrics` offers it: with the order of arguments that metrics have, the name first."""
    own = [name for name in inspect.signature(loss).parameters if name not in (*Loss.last_positions, "axis")]
    lacking = ["axis"] if "axis" in inspect.signature(loss).parameters else []
    members = {
        "positions": (*Metric.last_positions, *own, *lacking), "stands_for": loss, "__reduce__": _as_loss,
        "__module__": loss.__module__, "__doc__": loss.__doc__,
    }  # fmt: skip
    return cast("type[Loss]", Made(loss.__name__, (loss,), members))


def _as_loss(unit: Loss) -> tuple[Any, ...]:
    """How such a loss is pickled: as the loss itself."""
    if "stands_for" not in vars(type(unit)):  # a subclass is in a module
        return copyreg.__newobj__, (type(unit),), vars(unit)  # type: ignore[attr-defined]
    made = object.__new__(vars(type(unit))["stands_for"])
    made.__dict__.update(vars(unit))
    return _itself, (made,)


def _itself(unit: Loss) -> Loss:
    return unit


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


class Initializer(Unit):
    """The first values of a weight."""

    kind = "initializers"

    def __call__(self, shape: tuple[int, ...], random: Stream) -> np.ndarray:
        """Values of that shape; all randomness comes from `random`, so a seed gives the same bits."""
        raise self.unwritten("__call__")


def in_order(sums: np.ndarray | None, steps: np.ndarray) -> np.ndarray:
    """Sums over the steps, added one after the other: the bits do not depend on how many steps come at once."""
    import numpy as np

    started = steps if sums is None else np.concatenate([sums[None], steps])
    return np.asarray(np.add.accumulate(started)[-1])


class Metric(Unit):
    """A figure over an epoch: sums of per-row values, finished in Python.

    `update` records rows × width, once or several times; the engine adds the rows up in a fixed order, float64 over
    the steps. Sums of squares lose digits where values are far from 0: see `nbdl.units.moments`.

    Any metric also takes:

    Args:
        name: what it is reported under; by default the unit's, with a number where that is taken.
    """

    kind = "metrics"
    last_positions = ("name", "dtype")
    greater_is_better: ClassVar[bool] = False
    name: str

    @property
    def decides(self) -> bool:
        """Whether the metric looks at decisions: it then gets targets and predictions as `Loss.decided` gives them."""
        return False

    def counts_classes(self, outputs: int) -> bool:
        """Whether it takes each target for one of two classes, for a net with that many outputs."""
        return False

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" in cls.__dict__:
            cls.__init__ = with_common_arguments(cls.__init__, NAMED, _set_name)  # type: ignore[method-assign]
        super().__init_subclass__(**options)

    def __init__(self, *, name: str | None = None) -> None:
        _set_name(self, name)

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Record the values of each row: rows × width, or a tuple of such."""
        raise self.unwritten("update")

    def result(self, sums: np.ndarray, rows: float) -> float | np.ndarray:
        """The figure, from what `add` returned, or an array of several; by default the mean of the first.

        Args:
            rows: how many there were; of `weighted_metrics`, the sum of their weights.
        """
        return float(sums[0]) / rows

    def add(self, sums: np.ndarray | None, steps: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Add what some steps logged to the sums of the epoch's earlier steps, one step after the other.

        Args:
            sums: what the last call returned; None at the start of an epoch.
            steps: steps × width, float64: what `recorded` gave, summed over the rows of each step.
            rows: of each step, their number.
            weights: of each step, the sum of its rows' weights: their number, but for `weighted_metrics`.
        """
        return in_order(sums, steps)

    def figure(self, steps: np.ndarray, rows: np.ndarray) -> float | np.ndarray:
        """The figure of steps that are not weighted: `add` and `result`."""
        return self.result(self.add(None, steps, rows, rows), rows.sum())

    def recorded(self, r: Recorder, y: Tensor, p: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
        """Record what each step logs: values of rows, which are summed, and numbers of the whole step, as they are.

        Args:
            weights: of the rows, for `weighted_metrics`; None: all count alike.

        Raises:
            ConfigError: `update` returns something else than values of rows.
        """
        from nbdl.program.operands import result

        values: Any = self.update(r, y, p)
        parts = values if isinstance(values, tuple) else (values,)
        parts = tuple(result(one, True, None, self, "update", "values of each row") for one in parts)
        return parts if weights is None else tuple(r.map(times, part, weights) for part in parts)

    def refuse_labels(self, y: Tensor, p: Tensor) -> None:
        """Refuse targets of another width than the predictions: what compares the two element by element says so."""
        if y.features != p.features:
            raise ConfigError(
                f"the metric {self.unit_name!r} compares predictions of shape {p.shape} with targets of that shape; "
                f"those of the loss have shape {y.shape}: labels and one-hot targets go with different units"
            )

    def log(self, r: Recorder, name: str, y: Tensor, p: Tensor, weights: Tensor | None = None) -> tuple[Tensor, ...]:
        """Record the values, which are returned, and their sums over the rows as one entry of the log.

        Args:
            weights: of the rows, which metrics do not look at unless they are `weighted_metrics`.
        """
        return self.sums(r, name, self.recorded(r, y, p))

    def sums(self, r: Recorder, name: str, parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Record sums over the rows, and numbers of the whole step, as one entry of the log; return what was summed."""
        log = r.log(name, sum(part.features for part in parts))
        start = log.offset
        for part in parts:
            place = replace(log, shape=(part.features,), offset=start)
            if part.rows:
                r.sum(same, part, into=place)
            else:
                r.map(same, part, into=[place])
            start += part.features
        return tuple(part for part in parts if part.rows)


class ElementwiseActivation(Activation):
    """An activation from scalar f(x, ...) and df(x, y, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    @property
    def output_range(self) -> tuple[float, float] | None:
        found = []
        for x in (*SAMPLES, *(-x for x in SAMPLES)):
            try:
                found.append(float(self.functions[0](x, *self.parameters.values())))
            except (ArithmeticError, ValueError, TypeError):  # outside the domain: Python raises, or gives a complex
                continue
            except Exception:  # the compiler says what is wrong with the function, and where
                return None
        found = [y for y in found if not math.isnan(y)]
        return (min(found), max(found)) if found else None

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(self.functions[0], x, *self.parameters.values()), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.chain_rule(self.functions[1], dy, x, y, *self.parameters.values())


class ElementwiseLoss(Loss):
    """A loss from scalar f(y, p, ...) and df(y, p, ...): the mean over a row's features."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def values(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(self.functions[0], self.prepare(r, y, p.features), p, *self.parameters.values())

    def gradient(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.share(self.functions[1], self.prepare(r, y, p.features), p, *self.parameters.values())


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


class ElementwiseMetric(Metric):
    """A metric from scalar f(y, p, ...): the mean over features and rows."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def update(self, r: Recorder, y: Tensor, p: Tensor) -> Tensor:
        return r.mean(self.functions[0], y, p, *self.parameters.values())


class ElementwisePair(Pair):
    """A loss and its activation as scalar f(y, z, ...) and df(y, z, ...) of the activation's input z.

    The loss's own parameters, if it has any, follow z.
    """

    functions: ClassVar[tuple[Scalar, ...]] = ()

    def __init__(self, loss: Loss) -> None:
        self.loss, self.parameters = loss, getattr(loss, "parameters", {})

    def values(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.mean(self.functions[0], self.loss.prepare(r, y, z.features), z, *self.parameters.values())

    def gradient(self, r: Recorder, y: Tensor, z: Tensor, p: Tensor, saved: Any) -> Tensor:
        return r.share(self.functions[1], self.loss.prepare(r, y, z.features), z, *self.parameters.values())


# What the scalar functions of a kind are called, and their arguments before a unit's own.
ELEMENTWISE: dict[str, tuple[type[Unit], tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "activations": (ElementwiseActivation, (("f", ("x",)), ("df", ("x", "y")))),
    "losses": (ElementwiseLoss, (("f", ("y", "p")), ("df", ("y", "p")))),
    "regularizers": (ElementwiseRegularizer, (("penalty", ("w",)), ("gradient", ("w",)))),
    "constraints": (ElementwiseConstraint, (("project", ("w",)),)),
    "metrics": (ElementwiseMetric, (("f", ("y", "p")),)),
}


def elementwise(kind: str, name: str, functions: tuple[Scalar, ...]) -> type[Unit]:
    """A class for a unit given as scalar functions; raises PluginError where their signatures do not fit."""
    base, roles = ELEMENTWISE[kind]
    wanted = " and ".join(f"{role}({', '.join(leading)}, ...)" for role, leading in roles)
    if len(functions) != len(roles):
        raise PluginError(f"{name!r}: {kind} take {wanted}; {len(functions)} function(s) were given")
    for function in functions:
        refuse_partial(function, name)
        refuse_variable(function, name)
    own = [_own_parameters(one, len(leading)) for one, (_, leading) in zip(functions, roles, strict=True)]
    for (role, leading), function, parameters in zip(roles, functions, own, strict=True):
        if parameters is None:
            raise PluginError(f"{name!r}: {role} must take at least {len(leading)} argument(s): {function!r}")
        if list(parameters) != list(own[0] or ()):
            first = f"{roles[0][0]}: {list(own[0] or ())}"
            raise PluginError(f"{name!r}: {role} must have the same own arguments as {first}")
        if _defaults(parameters) != _defaults(own[0] or {}):
            raise PluginError(
                f"{name!r}: the arguments' defaults are {_defaults(parameters)} in {role}, and "
                f"{_defaults(own[0] or {})} in {roles[0][0]}"
            )
    return cast("type[Unit]", Made(name, (base,), _members(functions, own[0] or {})))


def unregistered(kind: str, name: str, functions: tuple[Scalar, ...]) -> type[Unit]:
    """The class of a unit that is in no registry: the one that was made of these functions before, if there is one.

    Raises:
        PluginError: as for `elementwise`.
    """
    before = [one for one in ELEMENTWISE[kind][0].__subclasses__() if one.__name__ == name]
    made: type[Unit] | None = next((one for one in before if getattr(one, "functions", ()) == functions), None)
    if made is None:
        made = elementwise(kind, name, functions)
        made.unit_name = name
    return made


def refuse_partial(function: Any, name: str) -> None:
    """Refuse what is called as a function but is none: its code cannot be read.

    Raises:
        PluginError: it is no plain function.
    """
    if inspect.isfunction(getattr(function, "py_func", function)):
        return
    inner = getattr(function, "func", None)
    if inner is None:
        raise PluginError(f"{name!r}: {function!r} is no plain Python function (def or lambda)")
    called, values = getattr(inner, "__name__", "f"), getattr(function, "keywords", None) or {}
    given = "".join(f", {key}={value!r}" for key, value in values.items())
    raise PluginError(
        f"{name!r}: {called} is given as a functools.partial, whose values compiled code cannot see; write a function "
        f"with a default instead: def f(x{given}): return {called}(x{''.join(f', {key}={key}' for key in values)})"
    )


def refuse_variable(function: Any, name: str) -> None:
    """Refuse *args and **kwargs: each argument of a unit has a name and a number.

    Raises:
        PluginError: the function has such a parameter.
    """
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    for one in inspect.signature(function).parameters.values():
        if one.kind in marks:
            raise PluginError(f"{name!r} takes {marks[one.kind]}{one.name}; give plain parameters")


def kind_of_functions(functions: tuple[Scalar, ...]) -> str:
    """The kind of unit that scalar functions make, by the names of their first arguments; "" if these do not tell."""
    named = [tuple(inspect.signature(function).parameters) for function in functions]
    for kind, (_, roles) in ELEMENTWISE.items():
        if len(roles) == len(named) and all(
            names[: len(leading)] == leading for names, (_, leading) in zip(named, roles, strict=True)
        ):
            return kind
    return ""


def elementwise_pair(f: Scalar, df: Scalar) -> type[Pair]:
    """A `Pair` from scalar f(y, z) and df(y, z), with the loss's own parameters after z, if it has any."""
    return type("ElementwisePair", (ElementwisePair,), {"functions": (f, df), "__module__": f.__module__})


def _defaults(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    return {name: one.default for name, one in parameters.items() if one.default is not one.empty}


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
        "__reduce__": _reduced,
        "functions": functions,
    }


def _reduced(unit: Unit) -> Any:
    """How pickle finds the class of a unit of functions, which is in no module."""
    cls: Any = type(unit)
    if "functions" not in vars(cls):  # a subclass is in a module
        return copyreg.__newobj__, (cls,), vars(unit)  # type: ignore[attr-defined]
    return _blank, _found_by(cls), vars(unit)


def _found_by(cls: Any) -> tuple[str, str, tuple[Any, ...]]:
    """What `_class_of` finds a class of functions by: its name, or its functions."""
    from nbdl.plugins.registry import registry

    entry = registry.find(cls.kind, cls.unit_name) if cls.unit_name else None
    installed = entry is not None and entry.target is cls and entry.owner.installed
    # A derivative that nbdl made is in no module: it is made again from its function.
    functions = tuple(getattr(one, "derived_from", one) for one in cls.functions)
    return cls.kind, cls.__name__, () if installed else functions


def _class_reduced(cls: Any) -> Any:
    """How pickle finds a class that nbdl made; a subclass is in a module."""
    if "stands_for" in vars(cls):
        return metric_form, (cls.stands_for,)
    return (_class_of, _found_by(cls)) if "functions" in vars(cls) else cls.__qualname__


copyreg.pickle(Made, _class_reduced)


def _blank(kind: str, name: str, functions: tuple[Any, ...]) -> Unit:
    """A unit of functions without its attributes, which pickle sets."""
    cls = _class_of(kind, name, functions)
    return cls.__new__(cls)


def _class_of(kind: str, name: str, functions: tuple[Any, ...]) -> type[Unit]:
    """The registered class of that name, or that of these functions."""
    from nbdl.plugins.registry import registry

    if not functions:
        cls = registry.get(kind, name).target
    else:
        from nbdl.program.language.derivative import derivative

        functions = tuple(derivative(*one) if isinstance(one, tuple) else one for one in functions)
        cls = unregistered(kind, name, functions)
    return cast("type[Unit]", cls)
