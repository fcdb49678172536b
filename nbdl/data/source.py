"""Reading a source: a file or a stream, by the reader that its name asks for."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from nbdl.data.arrays import Arrays
from nbdl.data.table import Table, listed
from nbdl.errors import DataError, did_you_mean
from nbdl.storage.archive import refusing

Reader: TypeAlias = Callable[..., Table | Arrays]


def read(
    source: str | Path | TextIO,
    readers: Mapping[str, Reader],
    *,
    format: str | None = None,
    **options: Any,
) -> Table | Arrays:
    """Read a file or stream with the reader for its suffix.

    Args:
        source: A path, "-" for standard input, or an open text stream.
        readers: File-name suffix (".abc", or any ending) to reader; the longest that fits is taken. The entry
            "-", if there is one, reads streams whose format is not given.
        format: A suffix, with or without its point, that replaces the one of the file name. Default: none.
        **options: Passed to the reader; an option that is None is left out.

    Returns:
        A table, or arrays where the format has no column names.

    Raises:
        DataError: No such file, no reader for it, an option that its reader does not take, or bad data.
    """
    stream: TextIO | None = None if isinstance(source, str | Path) else source
    if source == "-":
        stream = sys.stdin
    name = "-" if stream is not None else Path(str(source)).name
    reader = find(name, readers, format)
    chosen = {key: value for key, value in options.items() if value is not None}
    check_options(reader, chosen, "standard input" if name == "-" else name)
    if stream is not None:
        with refusing("standard input cannot be read", DataError):
            return reader(stream, **chosen)
    path = Path(str(source)).expanduser()
    check_file(path)
    try:
        with refusing(f"{path}: cannot be read", DataError):
            return reader(path, **chosen)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def find(name: str, readers: Mapping[str, Reader], format: str | None) -> Reader:
    """Return the reader whose suffix is the longest that ends `name`, or the one of `format`."""
    if format is not None:
        for suffix in (format, f".{format}"):
            if suffix in readers:
                return readers[suffix]
        raise DataError(f"no reader for the format {format!r}. {known_formats(readers)}")
    suffixes = [suffix for suffix in readers if name.lower().endswith(suffix.lower()) and suffix != "-"]
    if name == "-" and name in readers:
        return readers[name]
    if suffixes:
        return readers[max(suffixes, key=len)]
    problem = "a stream has no suffix" if name == "-" else f"{name}: no reader for this kind of file"
    raise DataError(f"{problem}. Give its format, as in format='csv'. {known_formats(readers)}")


def known_formats(readers: Mapping[str, Reader]) -> str:
    """List the suffixes that can be read."""
    return f"Known: {listed(sorted(suffix for suffix in readers if suffix != '-'))}."


def check_options(reader: Reader, options: Mapping[str, Any], name: str) -> None:
    """Refuse options that the reader does not take, and list those that it does."""
    known = parameters(reader)
    for option, value in options.items():
        if known is not None and option not in known:
            raise DataError(
                f"{name}: its reader does not take {option}={value!r}.{did_you_mean(option, known)} "
                f"It takes: {listed(known) or 'no options'}."
            )


def parameters(reader: Reader) -> list[str] | None:
    """Return the names of the options that a reader takes, or None where it takes any."""
    found = list(inspect.signature(reader).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in found):
        return None
    return [parameter.name for parameter in found]


def check_file(path: Path) -> None:
    """Refuse a path that is no file, and suggest a neighbour of similar name."""
    if path.is_file():
        return
    if path.is_dir():
        raise DataError(f"{path}: is a folder; give a file in it.")
    neighbours = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(f"{path}: no such file.{did_you_mean(path.name, neighbours)}")


def path_only(source: Path | TextIO, kind: str) -> Path:
    """Return the path of a source that must be a file, because `kind` of file is not text.

    Raises:
        DataError: It is a stream.
    """
    if isinstance(source, Path):
        return source
    raise DataError(f"{kind} cannot be read from standard input; give the name of a file.")
