"""Units as they are written on the command line: a name, or a name with arguments, as in name(rate=0.5)."""

from __future__ import annotations

import ast
import inspect
import re
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, NbdlError

if TYPE_CHECKING:
    from nbdl.units.entry import Entry

# What Python's parser raises of text that is no literal, or is nested too deeply.
UNREADABLE = (ValueError, TypeError, SyntaxError, MemoryError, RecursionError)
WRITTEN = re.compile(r"\s*(?P<name>[^()]*?)\s*(?:\((?P<arguments>.*)\))?\s*", re.DOTALL)


def entry(kind: str, text: str) -> Entry:
    """Return the registered unit of what the user wrote.

    Raises:
        ConfigError: It is not a name, or a name with arguments.
        UnknownNameError: There is no unit of that name.
    """
    from nbdl.units.registry import registry

    return registry.get(kind, _parted(text)[0])


def unit(kind: str, text: str, **more: Any) -> Any:
    """Return a new unit of what the user wrote; nothing in the text is evaluated but literals.

    Args:
        kind: "activations", "losses", ...
        text: A name, or a name with arguments: numbers, texts in quotes, True, None, lists of these.
        more: Further arguments, which the text must not give too; those that are None are left out.

    Raises:
        ConfigError: The text is not that, or the unit does not take these arguments.
        UnknownNameError: There is no unit of that name.
    """
    found = entry(kind, text)
    positional, named = _arguments(text)
    more = {name: value for name, value in more.items() if value is not None}
    try:
        bound = {*inspect.signature(found.target).bind_partial(*positional).arguments, *named}
        for name in more:
            if name in bound:
                raise ConfigError(f"{text!r}: {name} is given twice, in the brackets and by itself: give it once")
        return found.target(*positional, **named, **more)
    except NbdlError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{text!r}: {error}") from error


def _parted(text: str) -> tuple[str, str]:
    match = WRITTEN.fullmatch(text)
    if match is None or not match["name"]:
        raise ConfigError(f"{text!r}: write a name, or a name with arguments, as in name(rate=0.5)")
    return match["name"], match["arguments"] or ""


def _arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments by position and by name.

    >>> _arguments("name(0.5, mode='slow')")
    ([0.5], {'mode': 'slow'})
    """
    source = f"_({_parted(text)[1]})"
    try:
        call = ast.parse(source, mode="eval").body
    except UNREADABLE as error:
        reason = getattr(error, "msg", str(error)) or "they are nested too deeply"
        raise ConfigError(f"{text!r}: the arguments cannot be read: {reason}") from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ConfigError(f"{text!r}: the brackets do not match")
    if any(keyword.arg is None for keyword in call.keywords):
        raise ConfigError(f"{text!r}: arguments are given one by one, without **")

    def literal(node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except UNREADABLE:
            written = ast.get_source_segment(source, node)
            raise ConfigError(
                f"{text!r}: {written} is no number, text in quotes, True, False, None, or list of such"
            ) from None

    named = {str(one.arg): literal(one.value) for one in call.keywords}
    if len(named) < len(call.keywords):
        raise ConfigError(f"{text!r}: an argument is given twice")
    return [literal(node) for node in call.args], named
