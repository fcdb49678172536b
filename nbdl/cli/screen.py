"""Text on a terminal: broken between words, where a terminal breaks it anywhere; other programs get whole lines."""

from __future__ import annotations

import shutil
import sys
import textwrap

LEAST = 20  # columns


def width(err: bool = False) -> int | None:
    """Return the columns of the terminal that a stream goes to, or None where it goes elsewhere."""
    stream = sys.stderr if err else sys.stdout
    try:
        terminal = stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return None
    return max(shutil.get_terminal_size().columns, LEAST) if terminal else None


def flowed(text: str, err: bool = False, indent: str = "") -> str:
    """Break each line of a text between words where it goes to a terminal; a word longer than a line stays whole."""
    columns = width(err)
    if columns is None:
        return text
    lines = [
        textwrap.wrap(
            line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True,
        ) or [""]
        for line in text.split("\n")
    ]  # fmt: skip
    return "\n".join(line for part in lines for line in part)
