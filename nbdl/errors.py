"""Errors that teach: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType


MOST_WORD, MOST_MESSAGE = 400, 4_000  # characters


# Control characters but line feeds and tabs, marks that change the direction of writing, breaks of lines and
# paragraphs, halves of characters, invisible tags.
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """Return a text in which nothing steers a terminal: such characters are written as their numbers.

    Names and cells come from files, and an escape character in one could move the cursor or rename the window. Line
    feeds and tabs stay.

    >>> printable("a" + chr(27) + "[2Jb")
    'a\\\\x1b[2Jb'
    """
    return _STEERING.sub(lambda found: _numbered(found[0]), text)


def _numbered(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shortened(text: str, most: int) -> str:
    """Return a text that is not longer than `most`: of a longer one the beginning and the end.

    >>> shortened("a" * 1000, 40)
    'aaaaaaaaaa... (980 characters) ...aaaaaaaaaa'
    """
    if len(text) <= most:
        return text
    part = max(1, (most - 20) // 2)
    return f"{text[:part]}... ({len(text) - 2 * part:,} characters) ...{text[-part:]}"


def safe(text: str) -> str:
    """Return a message as it may be shown: printable, and of a length that can be read."""
    text = shortened(text, 10 * MOST_MESSAGE)
    if len(text) > MOST_WORD:
        text = re.sub(r"\S+", lambda word: shortened(word[0], MOST_WORD), text)
    return shortened(printable(text), MOST_MESSAGE)


class NbdlError(Exception):
    """Any error that nbdl raises on purpose; its text is meant for the user, and safe to print."""

    def __str__(self) -> str:
        return safe(super().__str__())


class DataError(NbdlError, ValueError):
    """The data cannot be used as it is: wrong shape, missing values, labels out of range."""


class ConfigError(NbdlError, ValueError):
    """A model, an argument or a file asks for something that does not fit."""


class KernelError(ConfigError):
    """A scalar function or a hand-written body does what a kernel cannot.

    Attributes:
        kernel: the layer and the operation.
        function: the author's function.
        plugin: distribution and version of its package; "this session" where it is in none.
        file, line: the author's line.
    """

    def __init__(self, message: str, kernel: str, function: str, plugin: str, file: str, line: int) -> None:
        super().__init__(message)
        self.kernel, self.function, self.plugin, self.file, self.line = kernel, function, plugin, file, line

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, which names the author's line, and no frames of nbdl."""
        return [f"{type(self).__name__}: {self}"]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.kernel, self.function, self.plugin, self.file, self.line)


class UnknownNameError(ConfigError, AttributeError):
    """No unit of that kind is registered under that name."""


class MissingError(ConfigError, AttributeError):
    """An attribute that does not exist yet; `hasattr` and `getattr` with a default take it as missing."""


class EncodedRowsWarning(UserWarning):
    """Rows are taken as encoded already by a model that was trained on encoded rows, and may be plain ones."""


class PluginError(NbdlError):
    """A plugin breaks the contract of `nbdl.hookspecs`."""


class CannotLearnWarning(UserWarning):
    """A model is built so that its loss cannot fall as it should."""


class PluginWarning(UserWarning):
    """A plugin cannot be used; the rest goes on."""


class FileFormatError(NbdlError, ValueError):
    """A file is not a model that this version can read."""


class DeviceError(NbdlError, RuntimeError):
    """A device cannot do what is asked of it: it is not there, its memory is full, a kernel is refused."""


class DeviceLostError(DeviceError):
    """A device failed for good: this process cannot use it any more."""


class DivergenceError(NbdlError, ArithmeticError):
    """Training met a value that is not finite; the weights are those from before that step.

    Attributes:
        epoch: the epoch, counted from 1.
        step: the step within the epoch, counted from 1.
        layer: the layer whose operation first gave NaN or infinity, if the replay found it.
        loss: that step's loss where it was not finite, else NaN.
    """

    def __init__(
        self, message: str, epoch: int = 0, step: int = 0, layer: str = "", loss: float = float("nan")
    ) -> None:
        super().__init__(message)
        self.epoch, self.step, self.layer, self.loss = epoch, step, layer, loss


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number of things, in the singular where there is one.

    >>> counted(1, "row"), counted(1234, "row"), counted(2, "class", "classes")
    ('1 row', '1,234 rows', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"


def warn(message: str, category: type[Warning] = UserWarning, package: str = "nbdl") -> None:
    """Warn at the line that called nbdl: the first one outside of it.

    Args:
        package: another package whose lines are not the caller's, of a plugin.
    """
    frame: FrameType | None = sys._getframe()
    level = 1
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("nbdl", package):
        frame, level = frame.f_back, level + 1
    warnings.warn(safe(message), category, stacklevel=level)


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint for a misspelt name: " Did you mean 'relu'?", or an empty string.

    >>> did_you_mean("sigmod", ["relu", "sigmoid"])
    " Did you mean 'sigmoid'?"
    """
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""
