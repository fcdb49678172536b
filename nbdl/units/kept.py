"""Units that are arguments of layers: a file holds their names and configs, and `Layer.unit` makes them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, NbdlError
from nbdl.units.unit import BASES, Unit

if TYPE_CHECKING:
    from nbdl.units.layer import Layer


class KeptError(ConfigError):
    """A layer keeps the config of a unit where it needs the unit: its code is at fault, not the file."""


def check_remade(layer: Layer) -> None:
    """Refuse a layer that could not be made again from its config, before a file is written.

    Raises:
        KeptError: it keeps a unit as it was given, or its constructor fails.
    """
    if not any(_holds(value, _is_unit) for value in layer.arguments.values()):
        return
    config = json.loads(json.dumps(layer.get_config()))
    try:
        made = type(layer).from_config(config)
    except NbdlError:
        raise
    except Exception as error:
        raise KeptError(
            f"layer {layer.name!r} ({type(layer).__name__}) could not be loaded. Made from its config, as a load does, "
            f"it raises {type(error).__name__}: {error}. A config holds a unit as its name and config; "
            f"{remedy('inner')} makes a unit of it"
        ) from error
    refuse_kept(made, config)


def refuse_kept(layer: Any, config: dict[str, Any]) -> None:
    """Refuse a layer that keeps the config of a unit where it needs the unit.

    Args:
        config: what the layer was made from.

    Raises:
        KeptError: it does; the message says what to write in its constructor.
    """
    configs = {name: value for name, value in config.items() if _holds(value, _is_config)}
    for name, value in configs.items():
        for attribute, kept in vars(layer).items():
            if attribute != "_arguments" and (kept is value or (_holds(kept, _is_config) and kept == value)):
                several = isinstance(value, list)
                raise KeptError(
                    f"layer {config.get('name', '')!r} ({type(layer).__name__}) keeps its argument {name!r} as it is "
                    "given, and a file holds the name and config of a unit: its __init__ needs "
                    f"{remedy(name, attribute, _kind(value), several)}"
                )


def remedy(name: str, attribute: str = "", kind: str = "layers", several: bool = False) -> str:
    """Say what to write in a layer's constructor."""
    made = f'[self.unit("{kind}", one) for one in {name}]' if several else f'self.unit("{kind}", {name})'
    return f"`self.{attribute or 'inner'} = {made}`"


def _is_unit(value: Any) -> bool:
    return isinstance(value, Unit)


def _is_config(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"name", "config"}


def _holds(value: Any, wanted: Any) -> bool:
    return bool(wanted(value)) or (isinstance(value, list | tuple) and any(wanted(one) for one in value))


def _kind(value: Any) -> str:
    """Tell the kind of a unit from its config."""
    from nbdl.units.registry import registry

    first = next(one for one in value if _is_config(one)) if isinstance(value, list) else value
    kinds = ["layers", *(kind for kind in BASES if kind != "layers")]
    return next((kind for kind in kinds if registry.find(kind, str(first["name"])) is not None), "layers")
