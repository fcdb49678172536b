"""Unit: the base class of what plugins register. It remembers its arguments, so it has a config for free."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nbdl.errors import ConfigError
from nbdl.units.arguments import Range
from nbdl.units.constructor import defaults_of, inherited, lacking, parameters_of, remembering
from nbdl.units.keras_names import ALL_LACK, Missing, translate, unknown_attribute
from nbdl.units.overrides import refuse_uncalled

Scalar = Callable[..., Any]
NAMED = {"name": ("str | None", None)}  # the common arguments of kinds whose units have a name and nothing else

# The base class of each kind of unit that is a class, by kind; a base class enters itself by naming its kind.
BASES: dict[str, type[Unit]] = {}


class Unit:
    """Base of layers, activations, losses, optimizers, ...: remembers the arguments it was made with.

    Class attributes:
        unit_name: the name it is registered under; set by the registry.
        kind: "layers", "activations", ...: the hook it belongs to.
        renamed: older spellings of arguments, e.g. `{"output_dim": "units"}`. They are attributes too, unless the
            class has an attribute of that name that means something else.
        none_means_default: arguments for which None is another way to say the default, as Keras 2 has it of `epsilon`.
        ignored: arguments of Keras's that the constructor lacks, and the values of each that say what the unit does
            anyway, Keras's default first: `{"renorm": (False,)}`. These are passed over; `...` among them stands for
            any value. Those of base classes hold too.
        instead: what to do where such an argument has another value, or is asked for as an attribute:
            `{"renorm": "not there: ..."}`. Those of base classes hold too.
        ranges: what numbers an argument may be, e.g. `{"rho": Range(0.0, 1.0)}`; those of base classes hold too. It is
            checked after the constructor, of the attribute of that name if there is one.
        positions: the order of the arguments that may be given by position, where it is not the constructor's. It may
            name arguments of `ignored`, to keep the places of those that follow.
        last_positions: of a kind, the arguments that follow by position.
        common: of a kind, the arguments that every unit takes by keyword, each with its annotation and default; see
            `_set_common`.
    """

    unit_name: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    renamed: ClassVar[dict[str, str]] = {}
    positions: ClassVar[tuple[str, ...]]
    last_positions: ClassVar[tuple[str, ...]] = ()
    common: ClassVar[Mapping[str, tuple[str, Any]]] = {}
    none_means_default: ClassVar[tuple[str, ...]] = ()
    ignored: ClassVar[Mapping[str, tuple[Any, ...]]] = ALL_LACK.ignored
    instead: ClassVar[Mapping[str, str]] = ALL_LACK.instead
    _missing: ClassVar[Missing] = ALL_LACK  # `ignored` and `instead`, with those of base classes
    ranges: ClassVar[Mapping[str, Range]] = {}
    name: str
    _arguments: dict[str, Any]

    def _set_common(self, name: str | None = None) -> None:
        """Take the common arguments that the constructor does not take itself; it is done by then."""
        if name:
            self.name = str(name)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if len(cls.__bases__) > 1 or not cls.__dict__.keys().isdisjoint(("ignored", "instead", "ranges")):
            cls._missing = Missing(inherited(cls, "ignored"), inherited(cls, "instead"))
            cls.ranges = inherited(cls, "ranges")
        if cls.kind and Unit in cls.__bases__:
            BASES.setdefault(cls.kind, cls)
        elif cls.kind in BASES:
            refuse_uncalled(cls.kind, cls, BASES[cls.kind])
        if "__init__" in cls.__dict__ or "positions" in cls.__dict__:
            init = cls.__dict__.get("__init__") or inspect.getattr_static(cls.__init__, "__wrapped__")
            cls.__init__ = remembering(cls, init, BASES.get(cls.kind, cls).common)  # type: ignore[method-assign]

    if not TYPE_CHECKING:  # hidden from type checkers, which would accept any attribute

        def __getattr__(self, name: str) -> Any:
            if name in type(self).renamed:
                return getattr(self, type(self).renamed[name])
            if name == "name":
                return self.default_name()
            if "_arguments" in self.__dict__:  # what the constructor does not keep under the argument's own name
                known = {**defaults_of(type(self)), **self._arguments}
                if name in known:
                    return known[name]
                if name in lacking(type(self)):
                    return parameters_of(type(self))[name].default
            return unknown_attribute(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            renamed = type(self).renamed
            if inspect.isfunction(getattr(type(self), name, None)) and not callable(value):
                raise ConfigError(
                    f"{type(self).__name__}: {name!r} is a method, which self.{name} = {value!r} would hide; call the "
                    "attribute something else"
                )
            super().__setattr__(renamed[name] if name in renamed and not hasattr(type(self), name) else name, value)

    @classmethod
    def modern(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Translate older spellings of the constructor's keyword arguments."""
        return translate(cls.renamed, arguments, cls.__name__)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments given to the constructor, by name."""
        return dict(self.__dict__.get("_arguments", {}))

    def default_name(self) -> str:
        """Return what this unit is called where no name was given."""
        return self.unit_name or type(self).__name__

    def get_config(self) -> dict[str, Any]:
        """Return all arguments as plain data, with the defaults of those that were not given.

        Units within become `{"name": ..., "config": ...}`.
        """
        remembered = self.arguments
        config = {name: serialize(value) for name, value in remembered.items()}
        for name, value in defaults_of(type(self)).items():
            if name not in remembered and _is_plain(value):
                config[name] = self.name if name == "name" else serialize(value)
        return config

    def stored_config(self) -> dict[str, Any]:
        """Return the part of `get_config` that a file holds: without defaults, which follow the version."""
        defaults = defaults_of(type(self))
        if "name" not in vars(self):
            defaults["name"] = self.name
        return {
            name: value
            for name, value in self.get_config().items()
            if name in self.arguments or name not in defaults or value != serialize(defaults[name])
        }

    def changed_arguments(self) -> dict[str, Any]:
        """Return the arguments that were given and are not their defaults."""
        defaults, unknown = defaults_of(type(self)), object()
        same = {
            name for name, value in self.arguments.items() if _is_plain(value) and value == defaults.get(name, unknown)
        }
        return {name: value for name, value in self.arguments.items() if name not in same}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a unit from what `get_config` returned."""
        return cls(**config)

    def unwritten(self, method: str) -> NotImplementedError:
        """Make the error of a method that a subclass must write, with its signature and what it does."""
        function = getattr(type(self), method)
        who = f"{type(self).__name__} {self.__dict__.get('name', '')!r}".removesuffix(" ''")
        text = " ".join((inspect.getdoc(function) or "").split())
        return NotImplementedError(f"{who} has no `{method}`: write def {method}{_plain_signature(function)}: {text}")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__name__}({shown})"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool | tuple | list | dict)


def _plain_signature(function: Any) -> str:
    return str(inspect.signature(function)).replace("'", "")


def serialize(value: Any) -> Any:
    """Make a value plain, as a file's JSON holds it: units become `{"name": ..., "config": ...}`."""
    if isinstance(value, Unit):
        return {"name": value.unit_name or type(value).__name__, "config": value.stored_config()}
    if isinstance(value, type) and issubclass(value, Unit):
        return value.unit_name
    if isinstance(value, tuple | list):
        return [serialize(item) for item in value]
    if isinstance(value, dict):
        return {key: serialize(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ConfigError(
        f"{value!r} cannot be written into a model's config; use a registered unit's name, or register it as a plugin"
    )
