"""Generated files: which differ from those in a folder, and how they get there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from nbdl.storage import write_atomically

WRITTEN = ("*.md", "plots/*/*.svg")  # where pages and plots lie


def stale(folder: Path, files: Mapping[str, str]) -> list[str]:
    """The names of the files that are missing in a folder, or other than generated."""
    return [name for name, text in files.items() if _text(folder / name) != text]


def left_over(folder: Path, names: Iterable[str], mark: str) -> list[str]:
    """The names of files in a folder that were generated once, as their mark says, and are not any more."""
    known = {folder / name for name in names}
    found = [path for pattern in WRITTEN for path in folder.glob(pattern) if path not in known]
    return sorted(path.relative_to(folder).as_posix() for path in found if mark in _text(path)[:1000])


def foreign(folder: Path, names: Iterable[str], mark: str) -> list[str]:
    """The names of files that are there, and do not bear the mark: somebody else's."""
    return [name for name in names if (folder / name).exists() and mark not in _text(folder / name)[:1000]]


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, each whole or not at all, with the folders that they are in."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.encode())


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files, and the folders that they leave empty."""
    for name in names:
        path = folder / name
        path.unlink()
        for parent in list(path.relative_to(folder).parents)[:-1]:
            if not any((folder / parent).iterdir()):
                (folder / parent).rmdir()


def _text(path: Path) -> str:
    """What a file says; nothing if it is not there, a folder, or no text."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
