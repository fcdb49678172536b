"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

from nbdl.errors import ConfigError

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.tmp")
LOCKED_SECONDS = 2.0  # a process that is alive has locked its temporary file by then
UNLOCKED_SECONDS = 24 * 3600.0  # where files cannot be locked, age alone tells


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file of the user's: to a temporary file beside, flush, rename.

    The mode is that of any new file, or the old one's. A link stays, and what it names is replaced. Temporary files
    that a killed process left beside are removed.

    Raises:
        ConfigError: what is there is no ordinary file.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is not an ordinary file, and would be replaced by one; give another name")
    sweep(path.parent, path.name)
    _replace(path, content, new_mode=0o666, mode=path.stat().st_mode & 0o777 if path.exists() else None, flush=True)


def write_own(path: Path, content: bytes, *, flush: bool = False) -> None:
    """Write a file that nbdl alone reads: for the user only, and in the place of a link rather than through it.

    Args:
        flush: flush it to the disk. What is in a cache need not be: who reads it finds out whether it is whole.
    """
    _replace(path, content, new_mode=0o600, mode=None, flush=flush)


def check_writable(path: Path) -> None:
    """Make and remove the temporary file that writing there begins with.

    Raises:
        OSError: it cannot be made.
    """
    handle, temporary = _temporary(path, 0o600)
    os.close(handle)
    os.unlink(temporary)


def sweep(folder: Path, name: str = "") -> None:
    """Remove temporary files that processes left here when they were killed: of one file's name, or all."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            match = TEMPORARY.fullmatch(entry.name)
            if match and name in ("", match["name"]) and entry.is_file(follow_symlinks=False):
                _remove_abandoned(Path(entry.path))


def _replace(path: Path, content: bytes, *, new_mode: int, mode: int | None, flush: bool) -> None:
    """Write a new file beside a path and rename it; it is locked meanwhile, so that nobody takes it for abandoned.

    A new file is made with its final mode, so the umask counts without being looked at: that would be possible only by
    changing it, for all threads. One that replaces a file is for the user alone until it has that file's mode.
    """
    handle, temporary = _temporary(path, new_mode if mode is None else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            if fcntl is not None:
                with suppress(OSError):
                    fcntl.flock(handle, fcntl.LOCK_EX)
            file.write(content)
            file.flush()
            if flush:
                os.fsync(handle)
            if mode is not None:
                os.chmod(temporary, mode)
            if fcntl is not None:
                os.replace(temporary, path)
        if fcntl is None:  # on Windows an open file cannot be renamed
            os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise named(error, path) from None
        raise


def named(error: OSError, path: Path) -> OSError:
    """Return an error that names the file that the user knows, not a temporary file beside it."""
    return OSError(error.errno, error.strerror, str(path))


def _temporary(path: Path, mode: int) -> tuple[int, Path]:
    """Make a temporary file beside a path; an error names the path itself."""
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        return os.open(temporary, flags, mode), temporary
    except OSError as error:
        raise named(error, path) from None


def _remove_abandoned(temporary: Path) -> None:
    """Remove a temporary file whose process is gone: nobody holds its lock."""
    wait = UNLOCKED_SECONDS
    if fcntl is not None:
        with suppress(OSError):
            handle = os.open(temporary, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                wait = LOCKED_SECONDS
            except BlockingIOError:
                return
            finally:
                os.close(handle)
    with suppress(OSError):
        if time.time() - temporary.lstat().st_mtime > wait:
            temporary.unlink()
