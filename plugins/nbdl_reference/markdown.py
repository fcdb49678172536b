"""Markdown from text that was not written as such."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

WIDTH = 100  # of code, so that a page need not be scrolled sideways
CODE = re.compile(r"(`+[^`]+`+)")
HARD = "\0"  # a space where no line may end


def prose(text: str) -> str:
    """Text of a docstring: what is between backticks stays code, nothing else means anything.

    >>> print(prose("2*x*y < `f(*x)`"))
    2\\*x\\*y < `f(*x)`
    """
    parts = CODE.split(text)
    parts[::2] = [_escaped(part) for part in parts[::2]]
    return "".join(parts)


def _escaped(text: str) -> str:
    text = re.sub(r"[\\*$]|~(?=\S)|\](?=[(\[:])", r"\\\g<0>", text)
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", re.sub(r"&(?=[#\w])", "&amp;", text))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)


def code(text: str) -> str:
    """Text as code within a line."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def block(text: str, language: str = "") -> str:
    """Text as lines of code."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def wrapped(text: str, kept: Iterable[str] = ()) -> str:
    """Text in lines of at most `WIDTH`, the later ones set in; what is `kept` stays on one line."""
    for one in kept:
        text = text.replace(one, one.replace(" ", HARD))
    lines = textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(HARD, " ")
