"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nbdl.errors import ConfigError


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file beside, flush, rename; the mode is that of any new file, or the old one's.

    A link stays, and what it names is replaced.

    Raises:
        ConfigError: what is there is no ordinary file.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise ConfigError(f"{path} is not an ordinary file, and would be replaced by one; give another name")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
