"""Units as they are written on the command line: a name, or a name with arguments, as in name(rate=0.5)."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError, NbdlError

if TYPE_CHECKING:
    from nbdl.registry import Entry

WRITTEN = re.compile(r"\s*(?P<name>[^()]*?)\s*(?:\((?P<arguments>.*)\))?\s*", re.DOTALL)


def entry(kind: str, text: str) -> Entry:
    """Return the registered unit of what the user wrote.

    Raises:
        ConfigError: It is not a name, or a name with arguments.
        UnknownNameError: There is no unit of that name.
    """
    from nbdl.registry import registry

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
    for name, value in more.items():
        if value is not None and name in named:
            raise ConfigError(f"{text!r}: {name} is given twice, here and by an option of its own")
    named |= {name: value for name, value in more.items() if value is not None}
    try:
        return found.target(*positional, **named)
    except NbdlError:
        raise
    except (TypeError, ValueError) as error:
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
    try:
        call = ast.parse(f"_({_parted(text)[1]})", mode="eval").body
    except SyntaxError as error:
        raise ConfigError(f"{text!r}: the arguments cannot be read: {error.msg}") from error
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ConfigError(f"{text!r}: the brackets do not match")
    if any(keyword.arg is None for keyword in call.keywords):
        raise ConfigError(f"{text!r}: arguments are given one by one, without **")
    positional = [_literal(text, node) for node in call.args]
    return positional, {str(keyword.arg): _literal(text, keyword.value) for keyword in call.keywords}


def _literal(text: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ConfigError(
            f"{text!r}: {ast.unparse(node)} is no number, text in quotes, True, False, None, or list of such"
        ) from None
