"""Files are there whole or not at all, with the right mode, and leave nothing beside them."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbdl.errors import ConfigError
from nbdl.storage import atomic as files
from nbdl.storage.atomic import sweep, write_atomically, write_own

POSIX = pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has access lists in the place of modes")
KILLED = """
import os, signal, sys
from pathlib import Path
from nbdl.storage import atomic as files
os.fsync = lambda handle: print("writing", flush=True) or signal.pause()
files.write_atomically(Path(sys.argv[1]), b"new" * 1000)
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@POSIX
def test_a_new_file_has_the_mode_of_the_umask_and_a_replaced_one_its_own(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"1")
        (tmp_path / "old").write_text("")
        (tmp_path / "old").chmod(0o604)
        write_atomically(tmp_path / "old", b"2")
        write_own(tmp_path / "own", b"3")
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("new", "old", "own")] == [0o640, 0o604, 0o600]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old", "own"]


def test_a_link_of_the_users_stays_and_one_in_place_of_nbdls_own_file_goes(tmp_path: Path) -> None:
    for name, write in (("user", write_atomically), ("own", write_own)):
        (tmp_path / f"{name}-target").write_text("before")
        (tmp_path / name).symlink_to(tmp_path / f"{name}-target")
        write(tmp_path / name, b"after")
        assert (tmp_path / name).read_text() == "after"
    assert (tmp_path / "user").is_symlink()
    assert (tmp_path / "user-target").read_text() == "after"
    assert not (tmp_path / "own").is_symlink()
    assert (tmp_path / "own-target").read_text() == "before"


@POSIX
def test_what_replaces_a_private_file_is_private_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_text("before")
    path.chmod(0o600)
    modes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: modes.append(stat.S_IMODE(os.fstat(handle).st_mode)))
    write_atomically(path, b"after")
    assert modes == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_text("before")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(tmp_path / "model", b"after")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model").read_text() == "before"
    with pytest.raises(ConfigError, match="not an ordinary file"):
        write_atomically(tmp_path, b"")


@POSIX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM] if hasattr(signal, "SIGKILL") else [])
def test_what_a_killed_process_left_goes_with_the_next_save(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.nbdl"
    model.write_bytes(b"old")
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(model)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    monkeypatch.setattr(files, "LOCKED_SECONDS", 0.0)
    time.sleep(0.05)
    sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # it is alive, so its file stays
    writer.send_signal(number)
    writer.wait(60)
    writer.stdout.close()
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".other.nbdl.01234567.tmp").write_text("of another file's name")
    (tmp_path / ".model.nbdl.settings").write_text("the user's own")
    write_atomically(model, b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".model.nbdl.settings", ".other.nbdl.01234567.tmp", "model.nbdl",
    ]  # fmt: skip
    assert model.read_bytes() == b"new"
