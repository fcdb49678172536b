"""The text of `--arch`: inputs, then layers of units with an activation, as in 784-500:sigmoid-10:softmax.

An activation may have arguments: 64-32:name(slope=0.1)-10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nbdl.errors import ConfigError, UnknownNameError, did_you_mean
from nbdl.plugins import unit_text
from nbdl.plugins.recipe import Stage

EXAMPLE = "inputs-units[:activation]-units[:activation], such as 64-32:tanh-10"
PART = re.compile(r"(?P<units>[0-9]*)(?P<activation>:[^:(]*(?:\(.*)?)?")


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
    for part in _parts(text):
        stages.append(_stage(text, start, part))
        start += len(part) + 1
    if stages[0].activation is not None:
        raise _error(text, text.index(":"), "the first number is the inputs, which have no activation")
    if len(stages) < 2:
        raise _error(text, len(text), f"no layer follows the inputs; write {EXAMPLE}")
    return Net(stages[0].units, tuple(stages[1:]))


def _parts(text: str) -> Iterator[str]:
    """The text, cut at each "-" that is not within brackets.

    >>> list(_parts("2-3:name(rate=-1)-4"))
    ['2', '3:name(rate=-1)', '4']
    """
    start = depth = 0
    for at, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character == "-" and depth <= 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


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


def _activation(text: str, start: int, written: str) -> str:
    """The activation with its registered name; it can be made."""
    from nbdl.units.registry import registry

    try:
        found = unit_text.entry("activations", written)
        unit_text.unit("activations", written)
    except UnknownNameError:
        name, known = written.partition("(")[0], registry.names("activations")
        raise _error(
            text, start, f"unknown activation {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}"
        ) from None
    except ConfigError as error:
        raise _error(text, start, str(error)) from None
    return found.name + "".join(written.partition("(")[1:])


def _error(text: str, start: int, message: str) -> ConfigError:
    return ConfigError(f"--arch {text!r}, character {start + 1}: {message}")
