"""How units are made: constructors that check their arguments and remember them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from nbdl.errors import PluginError, did_you_mean
from nbdl.loader import own_packages
from nbdl.units import arguments
from nbdl.units.keras_names import placed_signature

Init = Callable[..., None]
Common = Mapping[str, tuple[str, Any]]  # annotation and default of each argument


def remembering(cls: Any, init: Init, common: Common) -> Init:
    """Wrap a unit's constructor: translate older spellings, name unknown arguments, check and remember the rest.

    Args:
        common: the arguments that every unit of the kind takes by keyword.
    """
    constructor = Constructor(cls, init, common)

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if "_arguments" in self.__dict__:  # called by a subclass's constructor
            shared = {name: kwargs.pop(name) for name in constructor.common if name in kwargs}
            init(self, *args, **kwargs)
            if shared:
                self._set_common(**shared)
        else:
            constructor.make(self, args, kwargs)

    shown = constructor.shown
    wrapper.__signature__ = shown  # type: ignore[attr-defined]
    wrapper.parameters = dict([*shown.parameters.items()][1:])  # type: ignore[attr-defined]
    absent = [name for name in shown.parameters if name not in constructor.signature.parameters]
    wrapper.lacking = {name: cls._missing.instead.get(name, "not there") for name in absent}  # type: ignore[attr-defined]
    return wrapper


class Constructor:
    """A unit's constructor and what its signature says, which is read once.

    Attributes:
        init: the constructor that the class has.
        signature: its signature, with the common arguments that it lacks.
        shown: the same with arguments by position in the order of `positions`, those that the unit lacks too.
        known: its parameters by name, without the unit.
        common: the defaults of the common arguments that it lacks.
        plain: whether it takes all arguments by name: no *args, **kwargs or arguments by position alone.
    """

    def __init__(self, cls: Any, init: Init, common: Common) -> None:
        missing = cls._missing
        self.init = init
        self._takes_common = bool(common)
        self.signature, self.common = _with_common(inspect.signature(init), common)
        parameters = self.signature.parameters
        self.known = dict([*parameters.items()][1:])
        self.plain = all(one.kind in (arguments.ANYWHERE, arguments.KEYWORD) for one in parameters.values())
        order = arguments.own_positions(self.signature, True)
        self.positions = cls.__dict__.get("positions")
        if self.positions is None:
            after = (name for name in cls.last_positions if name in parameters or name in missing.ignored)
            self.positions = tuple(dict.fromkeys((*order, *after)))
        self.shown = self.signature
        if self.plain and [*self.positions] != order:
            self.shown = placed_signature(self.signature, self.positions, True, missing)
        self._required = {name for name, one in self.known.items() if one.default is one.empty}
        # **options may be meant to take what is ignored whatever its value.
        self._passed_on = {*self.known}
        if not self.plain:
            self._passed_on |= {name for name, values in missing.ignored.items() if ... in values}
        self._checks = arguments.checks_of(self.known)
        self._package = init.__module__.partition(".")[0]

    def make(self, unit: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        """Make a unit, which is still without attributes.

        Raises:
            TypeError: an argument is unknown, missing, or given twice.
            ConfigError: an argument is of another type, or out of its range.
        """
        bound, own = self._bound(unit, args, self._translated(unit, args, kwargs))
        bound = arguments.checked(type(unit).__name__, self._checks, bound, self._package in own_packages)
        remembered = unit.__dict__["_arguments"] = bound if self.plain else _flat(bound, self.known)
        bound = {name: value for name, value in bound.items() if name not in self.common}
        if own is None:
            self.init(unit, **bound)
        else:
            own.arguments = {next(iter(self.signature.parameters)): unit, **bound}
            self.init(*own.args, **own.kwargs)
        if self._takes_common:
            # What a constructor hands to that of its base class is set by now.
            unit._set_common(
                **{
                    name: remembered.get(name, default)
                    for name, default in self.common.items()
                    if name in remembered or name not in unit.__dict__
                }
            )
        for name, one in type(unit).ranges.items():
            value = unit.__dict__.get(name, remembered.get(name, one.low))
            if not one.holds(value):
                raise one.error(type(unit).__name__, name, remembered.get(name, value))

    def _translated(self, unit: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Translate older names of arguments, and leave out what is ignored."""
        cls = type(unit)
        if self.plain:
            kwargs = arguments.by_name(cls.__name__, self.positions, args, kwargs)
        kwargs = cls.modern(kwargs)
        if not kwargs.keys() <= self.known.keys():
            kwargs = cls._missing.without(kwargs, self._passed_on, cls.__name__)
        for name in cls.none_means_default:
            if name in kwargs and kwargs[name] is None:
                del kwargs[name]
        return kwargs

    def _bound(
        self, unit: Any, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[dict[str, Any], inspect.BoundArguments | None]:
        """Put the arguments into the order of the signature; where it is not plain, also bind them."""
        if self.plain and self._required <= kwargs.keys() <= self.known.keys():
            return {name: kwargs[name] for name in self.known if name in kwargs}, None
        try:
            bound = self.signature.bind(unit, *(() if self.plain else args), **kwargs)
        except TypeError as error:
            unknown = next((name for name in kwargs if name not in self.known), "")
            instead = type(unit)._missing.hint(unknown)
            hint = f" {unknown}= is {instead}." if instead else did_you_mean(unknown, self.known)
            takes = ", ".join(self.known) or "none"
            raise TypeError(f"{type(unit).__name__}: {error}.{hint} Its arguments are: {takes}") from None
        return dict([*bound.arguments.items()][1:]), bound


def _with_common(own: inspect.Signature, common: Common) -> tuple[inspect.Signature, dict[str, Any]]:
    """Add the common arguments that a signature lacks; return it with their defaults."""
    added = {
        name: inspect.Parameter(name, arguments.KEYWORD, default=default, annotation=annotation)
        for name, (annotation, default) in common.items()
        if name not in own.parameters
    }
    if not added:
        return own, {}
    variable = [one for one in own.parameters.values() if one.kind is inspect.Parameter.VAR_KEYWORD]
    fixed = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    signature = own.replace(parameters=[*fixed, *added.values(), *variable])
    return signature, {name: one.default for name, one in added.items()}


def _flat(bound: Mapping[str, Any], known: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """Merge **options into the other arguments."""
    flat: dict[str, Any] = {}
    for name, value in bound.items():
        flat.update(value if known[name].kind is inspect.Parameter.VAR_KEYWORD else {name: value})
    return flat


def inherited(cls: type, declaration: str) -> dict[str, Any]:
    """Merge what a class and its bases declare under a name.

    Raises:
        PluginError: it is no mapping of arguments.
    """
    found: dict[str, Any] = {}
    for one in reversed(cls.__mro__):
        own = vars(one).get(declaration, {})
        if not isinstance(own, Mapping):
            raise PluginError(f"{one.__name__}.{declaration} maps names of arguments (see nbdl.Unit), got {own!r}")
        found.update(own)
    return found


def parameters_of(unit: type) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a unit's constructor, with those that every unit of its kind has."""
    found = getattr(inspect.getattr_static(unit, "__init__"), "parameters", None)
    return inspect.signature(unit).parameters if found is None else cast("Mapping[str, inspect.Parameter]", found)


def lacking(unit: Any) -> Mapping[str, str]:
    """Return the Keras arguments that a unit lacks and names for their places, with what to do instead."""
    return getattr(inspect.getattr_static(unit, "__init__"), "lacking", {})


def defaults_of(unit: type) -> dict[str, Any]:
    """Return the defaults of the constructor's arguments, by name."""
    absent = lacking(unit)
    return {
        name: one.default
        for name, one in parameters_of(unit).items()
        if one.default is not one.empty and name not in absent
    }
