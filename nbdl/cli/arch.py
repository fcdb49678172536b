"""The text of `--arch`: inputs, then layers of units with an activation, as in 784-500:sigmoid-10:softmax."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbdl.errors import ConfigError, did_you_mean

EXAMPLE = "inputs-units[:activation]-units[:activation], such as 64-32:tanh-10"
PART = re.compile(r"(?P<units>[0-9]*)(?P<activation>:[^:]*)?")


@dataclass(frozen=True)
class Stage:
    """One layer: its units, and its activation, or None where the text leaves that to the recipe."""

    units: int
    activation: str | None = None

    def __str__(self) -> str:
        return f"{self.units}:{self.activation}" if self.activation else str(self.units)


@dataclass(frozen=True)
class Net:
    """Inputs, then the layers in order; the last one's units are the outputs."""

    inputs: int
    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        return "-".join(str(part) for part in (self.inputs, *self.stages))


def parse(text: str) -> Net:
    """Read a net.

    Raises:
        ConfigError: The text does not follow the grammar, or names no registered activation; the message
            says at which character.

    >>> parse("64-32-10").stages
    (Stage(units=32, activation=None), Stage(units=10, activation=None))
    """
    start, stages = 0, []
    for part in text.split("-"):
        stages.append(_stage(text, start, part))
        start += len(part) + 1
    if stages[0].activation is not None:
        raise _error(text, text.index(":"), "the first number is the inputs, which have no activation")
    if len(stages) < 2:
        raise _error(text, len(text), f"no layer follows the inputs; write {EXAMPLE}")
    return Net(stages[0].units, tuple(stages[1:]))


def _stage(text: str, start: int, part: str) -> Stage:
    match = PART.fullmatch(part)
    if not part:
        raise _error(text, start, f"a number of units is missing; write {EXAMPLE}")
    if match is None or not match["units"]:
        raise _error(text, start, f"{part!r} is not a number of units; write {EXAMPLE}")
    units = int(match["units"])
    if units < 1:
        raise _error(text, start, "a layer has at least 1 unit")
    if match["activation"] is None:
        return Stage(units)
    return Stage(units, _activation(text, start + match.start("activation") + 1, match["activation"][1:]))


def _activation(text: str, start: int, name: str) -> str:
    from nbdl.registry import registry

    found = registry.find("activations", name)
    if found is None:
        known = registry.names("activations")
        raise _error(text, start, f"unknown activation {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}")
    try:
        found.target()
    except TypeError as error:
        raise _error(text, start, f"{found.name} cannot be named alone here: {error}") from None
    return found.name


def _error(text: str, start: int, message: str) -> ConfigError:
    return ConfigError(f"--arch {text!r}, character {start + 1}: {message}")
