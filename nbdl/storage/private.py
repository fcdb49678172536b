"""Files and folders that nbdl alone writes: who may change them, and content that is proved to be nbdl's.

What lies in the cache is run, so it is checked as ssh checks its own files: a file is an ordinary one, belongs to the
user (or to root), and nobody else can write to it; the same holds for its folder and for all folders above, which may
be open to others where they are sticky, as /tmp is. Nothing is read or written through a link.

On Windows these checks fall away: `os.stat` does not show who may write there, and a user's profile, where the cache
is by default, is private by its access lists.
"""

from __future__ import annotations

import functools
import hmac
import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path

from nbdl.errors import ConfigError

MOST_BYTES = 1 << 28
"""No file of the cache is larger; what is larger is not read."""
KEY_BYTES = 32
KEY_NAME = ".key"
OPEN_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
HAS_OWNERS = hasattr(os, "getuid")
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


# -- folders ----------------------------------------------------------------------------------------------


def make_private(folder: Path) -> None:
    """Make a folder that only the user can enter, if it is not there, and check it; missing ones above are made so too.

    Raises:
        OSError: it cannot be made.
        ConfigError: it is a link, or others can change it or a folder above.
    """
    if not os.path.isdir(folder):
        for one in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
            one.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(exist_ok=True)  # which raises where something else is there
    check_private(folder)


def check_private(folder: Path, above: bool = True) -> None:
    """Refuse a folder that others can change, itself or by way of a folder above it.

    Args:
        above: whether to look at the folders above, too.

    Raises:
        OSError: it is not there.
        ConfigError: it is a link, or others own it, can write to it, or can put another one in its place.
    """
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a link; remove it, and nbdl makes a folder of its own")
    if not HAS_OWNERS:
        return
    status = folder.stat()
    if not _mine(status) or status.st_mode & OTHERS_WRITE:
        raise ConfigError(f"others own {folder} or can write to it (chmod 700 makes it private)")
    for one in _above(folder) if above else ():
        _check_above(one, folder)


@functools.lru_cache(maxsize=16)
def _above(folder: Path) -> tuple[Path, ...]:
    """The folders above: of the path as it is written, where others could change a link, and of where links lead."""
    return tuple(dict.fromkeys((*folder.absolute().parents, *Path(os.path.realpath(folder)).parents)))


def check_within(folder: Path) -> None:
    """Refuse a folder that others can change, in a checked one; of what they cannot reach the mode does not matter.

    Raises:
        OSError: it is not there.
        ConfigError: it is a link, or others can change it.
    """
    if folder.is_symlink() or not HAS_OWNERS or folder.parent.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH):
        check_private(folder)
    elif not _mine(folder.stat()):
        raise ConfigError(f"others own {folder}")


def _check_above(above: Path, folder: Path) -> None:
    status = above.stat()
    if not _mine(status):
        raise ConfigError(f"{above}, which holds {folder}, belongs to another user, who could replace it")
    if status.st_mode & stat.S_ISVTX:
        return
    if status.st_mode & stat.S_IWOTH or (status.st_mode & stat.S_IWGRP and not _own_group(status.st_gid)):
        raise ConfigError(f"others can write to {above} and replace {folder} (chmod go-w {above} prevents it)")


def _mine(status: os.stat_result) -> bool:
    """Whether the user or root owns it; root can change everything anyway."""
    return status.st_uid in (os.getuid(), 0)


def _own_group(group: int) -> bool:
    """Whether a group is that of this user alone: many systems give each user one, and let it write."""
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return user.pw_uid != 0 and entry.gr_name == user.pw_name and not set(entry.gr_mem) - {user.pw_name}


# -- files ------------------------------------------------------------------------------------------------


def read_private(path: Path, *, secret: bool = False) -> bytes | None:
    """Return what a file of nbdl holds, or None if there is none or others could have written it.

    Args:
        secret: others must not be able to read it either, nor may it have a second name.
    """
    if not hasattr(os, "O_NOFOLLOW") and path.is_symlink():
        return None
    try:
        handle = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            return None
        if HAS_OWNERS and not (_mine(status) and not status.st_mode & OTHERS_WRITE):
            return None
        if HAS_OWNERS and secret and (status.st_mode & 0o077 or status.st_nlink != 1):
            return None
        return file.read(status.st_size + 1)


def close_to_others(path: Path) -> None:
    """Let nobody else write to a file that this user made: what other programs write has the mode of the umask."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY | OPEN_FLAGS)
        try:
            status = os.fstat(handle)
            if HAS_OWNERS and status.st_uid == os.getuid() and stat.S_ISREG(status.st_mode):
                os.fchmod(handle, 0o600)
        finally:
            os.close(handle)


# -- proofs -----------------------------------------------------------------------------------------------


def proof(folder: Path, name: str, content: bytes) -> str:
    """Return what only this cache can say of a file: a keyed digest of its name and content.

    The key lies in the folder and is readable by the user alone, so a file that somebody else made has no such proof,
    nor has one that was copied from another name.
    """
    return hmac.new(_key(folder), f"{name}\0".encode() + content, "sha256").hexdigest()


def is_proved(folder: Path, name: str, content: bytes, seal: str) -> bool:
    """Return whether a proof is of this name and content."""
    return hmac.compare_digest(proof(folder, name, content).encode(), seal.encode(errors="replace"))


def _key(folder: Path) -> bytes:
    """The folder's key, made at the first use."""
    path = folder / KEY_NAME
    for _ in range(50):
        key = read_private(path, secret=True)
        if key is not None and len(key) == KEY_BYTES:
            return key
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
            continue
        time.sleep(0.01)  # another process may be writing it
    path.unlink()
    raise ConfigError(f"{path} was not a key of nbdl's, and is removed")
