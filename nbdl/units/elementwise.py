"""How scalar functions become a unit, and how pickle finds classes that nbdl makes.

A unit of scalar functions is a class whose constructor takes the functions' own parameters.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
from abc import ABCMeta
from collections.abc import Mapping
from typing import Any, cast

from nbdl.errors import PluginError
from nbdl.units.activation import ElementwiseActivation
from nbdl.units.loss import ElementwiseLoss, Loss
from nbdl.units.metric import ElementwiseMetric, Metric
from nbdl.units.regularizer import ElementwiseConstraint, ElementwiseRegularizer
from nbdl.units.unit import Scalar, Unit

# What the scalar functions of a kind are called, and their arguments before a unit's own.
ELEMENTWISE: dict[str, tuple[type[Unit], tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "activations": (ElementwiseActivation, (("f", ("x",)), ("df", ("x", "y")))),
    "losses": (ElementwiseLoss, (("f", ("y", "p")), ("df", ("y", "p")))),
    "regularizers": (ElementwiseRegularizer, (("penalty", ("w",)), ("gradient", ("w",)))),
    "constraints": (ElementwiseConstraint, (("project", ("w",)),)),
    "metrics": (ElementwiseMetric, (("f", ("y", "p")),)),
}


def elementwise(kind: str, name: str, functions: tuple[Scalar, ...]) -> type[Unit]:
    """Make the class of a unit that is given as scalar functions.

    Raises:
        PluginError: their signatures do not fit.
    """
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
    """Make the class of a unit that is in no registry, or find the one made of these functions before.

    Raises:
        PluginError: as for `elementwise`.
    """
    before = [one for one in ELEMENTWISE[kind][0].__subclasses__() if one.__name__ == name]
    made: type[Unit] | None = next((one for one in before if getattr(one, "functions", ()) == functions), None)
    if made is None:
        made = elementwise(kind, name, functions)
        made.unit_name = name
    return made


def refuse_uncompilable(function: Any, name: str) -> None:
    """Refuse what no compiler can read, and arguments that compiled code cannot take.

    Raises:
        PluginError: it is no function written in Python, or has arguments by name only.
    """
    plain = getattr(function, "py_func", function)
    if not inspect.isfunction(plain) or inspect.iscoroutinefunction(plain):
        raise PluginError(f"{name!r}: {function!r} is no function written in Python, which could be compiled")
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(one.kind not in by_position for one in inspect.signature(plain).parameters.values()):
        raise PluginError(f"{name!r}: compiled functions have no arguments by name only, `*` or `**`: {function!r}")


def refuse_partial(function: Any, name: str) -> None:
    """Refuse objects that are called like functions: their code cannot be read.

    Raises:
        PluginError: it is no plain function.
    """
    if inspect.isfunction(getattr(function, "py_func", function)):
        return
    inner = getattr(function, "func", None)
    if inner is None:
        raise PluginError(f"{name!r}: {function!r} is no plain Python function (def or lambda)")
    called, values = getattr(inner, "__name__", "f"), getattr(function, "keywords", None) or {}
    defaults = "".join(f", {key}={value!r}" for key, value in values.items())
    raise PluginError(
        f"{name!r}: {called} is given as a functools.partial, whose values compiled code cannot see; write a function "
        f"with a default instead: def f(x{defaults}): return {called}(x{''.join(f', {key}={key}' for key in values)})"
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
    """Tell the kind of unit that scalar functions make from the names of their first arguments; "" if unclear."""
    named = [tuple(inspect.signature(function).parameters) for function in functions]
    for kind, (_, roles) in ELEMENTWISE.items():
        if len(roles) == len(named) and all(
            names[: len(leading)] == leading for names, (_, leading) in zip(named, roles, strict=True)
        ):
            return kind
    return ""


class Made(ABCMeta):
    """The type of classes that nbdl makes, which are in no module: pickle makes them again by their `made_by`."""


def _class_reduced(cls: Any) -> Any:
    """Tell pickle how to find a class that nbdl made; a subclass is in a module."""
    return vars(cls)["made_by"](cls) if "made_by" in vars(cls) else cls.__qualname__


copyreg.pickle(Made, _class_reduced)


@functools.cache
def metric_form(loss: type[Loss]) -> type[Loss]:
    """Make the loss that `nbdl.metrics` offers, with the order of arguments that metrics have: the name first."""
    own = [name for name in inspect.signature(loss).parameters if name not in (*Loss.last_positions, "axis")]
    lacking = ["axis"] if "axis" in inspect.signature(loss).parameters else []
    members = {
        "positions": (*Metric.last_positions, *own, *lacking), "stands_for": loss, "__reduce__": _as_loss,
        "made_by": lambda cls: (metric_form, (cls.stands_for,)),
        "__module__": loss.__module__, "__doc__": loss.__doc__,
    }  # fmt: skip
    return cast("type[Loss]", Made(loss.__name__, (loss,), members))


def _as_loss(unit: Loss) -> tuple[Any, ...]:
    """Pickle such a loss as the loss itself."""
    if "stands_for" not in vars(type(unit)):  # a subclass is in a module
        return copyreg.__newobj__, (type(unit),), vars(unit)  # type: ignore[attr-defined]
    made = object.__new__(vars(type(unit))["stands_for"])
    made.__dict__.update(vars(unit))
    return _itself, (made,)


def _itself(unit: Loss) -> Loss:
    return unit


def _defaults(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    return {name: one.default for name, one in parameters.items() if one.default is not one.empty}


def _own_parameters(function: Scalar, leading: int) -> dict[str, inspect.Parameter] | None:
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) < leading:
        return None
    return {parameter.name: parameter for parameter in parameters[leading:]}


def _members(functions: tuple[Scalar, ...], own: dict[str, inspect.Parameter]) -> dict[str, Any]:
    """Make the class body: a constructor with the functions' own parameters, which stay run-time scalars."""

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
        "made_by": lambda cls: (_class_of, _found_by(cls)),
        "functions": functions,
    }


def _reduced(unit: Unit) -> Any:
    """Tell pickle how to find the class of a unit of functions, which is in no module."""
    cls: Any = type(unit)
    if "functions" not in vars(cls):  # a subclass is in a module
        return copyreg.__newobj__, (cls,), vars(unit)  # type: ignore[attr-defined]
    return _blank, _found_by(cls), vars(unit)


def _found_by(cls: Any) -> tuple[str, str, tuple[Any, ...]]:
    """Return what `_class_of` finds a class of functions by: its name, or its functions."""
    from nbdl.units.registry import registry

    entry = registry.find(cls.kind, cls.unit_name) if cls.unit_name else None
    installed = entry is not None and entry.target is cls and entry.owner.installed
    # A derivative that nbdl made is in no module: it is made again from its function.
    functions = tuple(getattr(one, "derived_from", one) for one in cls.functions)
    return cls.kind, cls.__name__, () if installed else functions


def _blank(kind: str, name: str, functions: tuple[Any, ...]) -> Unit:
    """Make a unit of functions without its attributes, which pickle sets."""
    cls = _class_of(kind, name, functions)
    return cls.__new__(cls)


def _class_of(kind: str, name: str, functions: tuple[Any, ...]) -> type[Unit]:
    """Find the registered class of that name, or the one of these functions."""
    from nbdl.units.registry import registry

    if not functions:
        cls = registry.get(kind, name).target
    else:
        from nbdl.program.language.derivative import derivative

        functions = tuple(derivative(*one) if isinstance(one, tuple) else one for one in functions)
        cls = unregistered(kind, name, functions)
    return cast("type[Unit]", cls)
