"""Outputs: the one check of every place that nbdl writes to, made before the work whose result goes there.

A file that is there is replaced only where nbdl wrote one of the same kind. Each writer says how it knows its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbdl.errors import ConfigError, FileFormatError
from nbdl.storage.archive import Archive
from nbdl.storage.atomic import check_writable

Known = Callable[[Path], bool]


def as_path(value: Any, argument: str) -> Path:
    """Return a path that was given as text or as a path.

    Args:
        value: what was given.
        argument: what to call it in an error, "CSVLogger: filename".

    Raises:
        ConfigError: it is None, empty, a number or another thing that names no file.

    >>> as_path("log.csv", "filename").name
    'log.csv'
    """
    if not isinstance(value, str | bytes | os.PathLike):
        raise ConfigError(f"{argument} is a path, a text such as 'folder/name', got {value!r}")
    text = os.fsdecode(value)
    if not text.strip():
        noun = "folder" if "FOLDER" in argument or "folder" in argument else "file"
        raise ConfigError(f"{argument} is empty: give the name of a {noun}, a text such as 'folder/name'")
    if "\0" in text:
        raise ConfigError(f"{argument} is a path, a text such as 'folder/name', got {text!r}")
    return Path(text)


def check_file(path: Path, description: str, known: Known, make_folders: bool = False) -> bool:
    """Return whether a file to write replaces an earlier one; refuse a place that it cannot or should not go to.

    Args:
        path: the file.
        description: what is written, "a saved model".
        known: whether a file that is there is such a one. An empty file has nothing to lose.
        make_folders: whether the writer makes missing folders.

    Raises:
        ConfigError: a folder, a file of another kind or one that is write-protected is there; the folder is missing or
            cannot be written to.
    """
    try:
        file = path.resolve()  # a link stays, and what it names is replaced
        if file.is_dir():
            raise ConfigError(f"{path} is a folder; give the name of a file in it")
        if file.exists():
            _check_earlier(path, description, known)
        if file.parent.is_dir():
            check_writable(file)
        else:
            check_folder(path.parent, make_folders)
        return file.is_file() and file.stat().st_size > 0
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before Python 3.13
        raise _unwritable(path, error) from None


def check_folder(folder: Path, make: bool = True) -> None:
    """Refuse a folder that is not there and cannot be made, or is a file.

    Args:
        folder: where files will be written.
        make: whether the writer makes a missing folder.

    Raises:
        ConfigError: it is such a folder, or cannot be written to.
    """
    try:
        whole = folder.resolve()
        there = next(one for one in (whole, *whole.parents) if one.exists())
        if not there.is_dir():
            raise ConfigError(f"{there} is a file, not a folder; give another name")
        if there != whole and not make:
            raise ConfigError(f"the folder {folder} does not exist; create it first")
        check_writable(there / "nbdl")
    except (OSError, RuntimeError) as error:
        raise _unwritable(folder, error) from None


def is_model(path: Path) -> bool:
    """Return whether a file is a saved model."""
    return "nbdl.json" in zip_names(path)


def zip_names(path: Path) -> list[str]:
    """Return the names of the parts of a zip file; none if it is not a zip file."""
    try:
        with path.open("rb") as file:
            return Archive(file, str(path), compressed=True).names
    except FileFormatError:
        return []


def _check_earlier(path: Path, description: str, known: Known) -> None:
    if not path.is_file():
        raise ConfigError(f"{path} is not an ordinary file, and would be replaced by one; give another name")
    if path.stat().st_size and not known(path):
        raise ConfigError(
            f"{path} is there already and is not {description}, so it is not overwritten; "
            "give another name, or remove it"
        )
    if not os.access(path, os.W_OK):
        raise ConfigError(f"{path} is write-protected, so it is not overwritten; give another name, or remove it")


def _unwritable(path: Path, error: Exception) -> ConfigError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ConfigError(f"{path} cannot be written: {reason}. Give another name, or change what prevents it")
