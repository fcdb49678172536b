"""The cache of compiled kernels: Numba's files, each tied to the text that it was compiled from.

A kernel's file is named by a digest of its text, and Numba puts its own files beside it: an index (.nbi, a pickle) and
machine code (.nbc). Numba does not look at whether these belong to the text. So each kernel has a seal: the digests of
Numba's files and the byte-code of the text, under a proof that only this cache can make (`nbdl.storage.private`).
Before Numba reads anything the seal is checked; what does not fit is removed and compiled again.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import llvmlite
import numba

from nbdl.errors import ConfigError
from nbdl.storage.atomic import sweep, write_own
from nbdl.storage.private import (
    check_private,
    check_within,
    close_to_others,
    is_proved,
    make_private,
    proof,
    read_private,
)

WITHIN = "__pycache__"
ABANDONED_SECONDS = 3600.0
_versions = f"{numba.__version__} {llvmlite.__version__} {MAGIC_NUMBER.hex()} {getattr(sys, 'abiflags', '')}"


def kernel_name(text: str) -> str:
    """Return the module name of a kernel's text: a digest of it and of what compiles it."""
    digest = hashlib.sha256(f"{_versions}\n{text}".encode()).hexdigest()
    return f"nbdl_kernel_{digest[:32]}"


# -- the folder -------------------------------------------------------------------------------------------

_folder: list[Path | None] = []
_warned: set[str] = set()


def default_cache_folder() -> Path:
    """Return `$NBDL_CACHE`, else `$XDG_CACHE_HOME/nbdl`, else `~/.cache/nbdl`.

    A relative path names another folder wherever a program is started, so a warning shows the whole path.
    """
    if setting := os.environ.get("NBDL_CACHE"):
        folder = Path(setting).expanduser()
        if not folder.is_absolute():
            warn_once(
                f"NBDL_CACHE={setting} is a relative path: each folder that nbdl is started in gets a cache of its "
                f"own, here {folder.absolute()}. To share one give an absolute path, or one that begins with ~"
            )
        return folder.absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nbdl"


def cache_folder() -> Path | None:
    """Return the folder of kernel modules, or None where it cannot be trusted or written.

    It is made and tried at the first call, and checked at each: somebody who can write above it could replace it later.
    """
    if not _folder:
        _folder.append(_prepared())
    folder = _folder[0]
    if folder is not None:
        try:
            own = _numbas_own()
            for one in (folder, *own):
                make_private(one)  # once more where somebody has emptied the cache
            if not own:
                within = folder / WITHIN
                if not within.is_dir():
                    within.mkdir(mode=0o700, exist_ok=True)
                check_private(within, above=False)
            for one in _numba_places(folder) if own else ():
                check_within(one)
        except (OSError, ConfigError) as error:
            _unused(folder, error)
            return None
    return folder


def _prepared() -> Path | None:
    folder: Path | None = None
    try:
        folder = (default_cache_folder() / "kernels").absolute()
        if getattr(numba.config, "CACHE_LOCATOR_CLASSES", ""):
            raise ConfigError("NUMBA_CACHE_LOCATOR_CLASSES has Numba put its files where nbdl cannot check them")
        for one in (*_numbas_own(), folder, folder / WITHIN):
            make_private(one)
            with tempfile.NamedTemporaryFile(dir=one):
                pass
        sweep(folder)
        for one in _numba_places(folder):
            _sweep_numbas(one)
    except (OSError, RuntimeError, ConfigError) as error:
        _unused(folder, error)
        return None
    return folder


def _numbas_own() -> list[Path]:
    """Where `NUMBA_CACHE_DIR` has Numba put its files instead of beside the modules."""
    return [Path(numba.config.CACHE_DIR).absolute()] if numba.config.CACHE_DIR else []


def _numba_places(folder: Path) -> list[Path]:
    """The folders that Numba's files may lie in."""
    own = _numbas_own()
    if not own:
        return [folder / WITHIN]
    within = f"{folder.name}_"  # and a digest of its path, as Numba calls it
    return [Path(entry.path) for parent in own for entry in os.scandir(parent) if entry.name.startswith(within)]


def _unused(folder: Path | None, reason: object) -> None:
    warn_once(f"kernels are compiled again in each process: the cache folder {folder or ''} is not used: {reason}")


def warn_once(message: str) -> None:
    """Warn, once in a process."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, stacklevel=3)


# -- a kernel in it ---------------------------------------------------------------------------------------


class Entry:
    """One kernel in the cache folder.

    Args:
        folder: The cache folder.
        name: The kernel's module name.
        text: Its text.
    """

    def __init__(self, folder: Path, name: str, text: str) -> None:
        self.folder, self.name, self.text = folder, name, text
        self.source, self.seal = folder / f"{name}.py", folder / f"{name}.seal"

    def module(self) -> Any:
        """Run the text as a module whose functions Numba may take from its files, all of which fit the text.

        Raises:
            OSError: the folder cannot be used.
        """
        if read_private(self.source) != self.text.encode():
            write_own(self.source, self.text.encode())
        self.code = self._sealed_code()
        if self.code is None:
            self.discard()
            self.code = compile(self.text, str(self.source), "exec")
        module = ModuleType(self.name)
        module.__file__ = str(self.source)
        sys.modules[self.name] = module  # before it runs: Numba looks the module up when it loads from the cache
        exec(self.code, module.__dict__)
        return module

    def discard(self) -> None:
        """Remove all that is kept of this kernel but its text."""
        for path in (*self._files(), self.seal):
            with suppress(FileNotFoundError):
                path.unlink()

    def write_seal(self) -> None:
        """Tie Numba's files to the text.

        Where another process compiled the same kernel at the same time, the last seal is written with its files seen
        once more, so that one of both remains whole.
        """
        code = marshal.dumps(self.code)
        for _ in range(3):
            for path in self._files():
                close_to_others(path)
            digests = self._digests()
            if not digests:
                return
            payload = json.dumps(digests, sort_keys=True).encode() + b"\n" + code
            write_own(self.seal, proof(self.folder, self.name, payload).encode() + b"\n" + payload)
            if self._digests() == digests:
                return

    def _sealed_code(self) -> CodeType | None:
        """The byte-code in the seal, if Numba's files are the ones that were sealed."""
        proof, _, payload = (read_private(self.seal) or b"").partition(b"\n")
        if not proof or not is_proved(self.folder, self.name, payload, proof.decode(errors="replace")):
            return None
        digests, _, code = payload.partition(b"\n")
        if json.loads(digests) != self._digests():
            return None
        return _placed(marshal.loads(code), str(self.source))

    def _digests(self) -> dict[str, str]:
        """SHA-256 of each of Numba's files by name; of one that cannot be trusted, nothing that could fit."""
        found = {}
        for path in self._files():
            content = read_private(path)
            found[path.name] = "" if content is None else hashlib.sha256(content).hexdigest()
        return found if all(found.values()) else {"": ""}

    def _files(self) -> list[Path]:
        """What lies in Numba's folders under this kernel's name, without what is being written."""
        found = []
        for one in _numba_places(self.folder):
            with suppress(FileNotFoundError):
                found += [
                    Path(entry.path)
                    for entry in os.scandir(one)
                    if entry.name.startswith(f"{self.name}.") and ".tmp." not in entry.name
                ]
        return found


def _sweep_numbas(within: Path) -> None:
    """Remove files that Numba was about to rename when its process was killed."""
    for entry in os.scandir(within):
        if entry.name.startswith("nbdl_kernel_") and ".tmp." in entry.name:
            with suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_SECONDS:
                    os.unlink(entry.path)


def _placed(code: CodeType, file: str) -> CodeType:
    """Byte-code under the name of the file that holds its text now: Numba looks for its own files beside it."""
    if code.co_filename == file:
        return code
    inner = tuple(_placed(one, file) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_filename=file, co_consts=inner)
