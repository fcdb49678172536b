"""The cache of compiled kernels: never stale, never in the way.

Everything runs in processes of its own with a cache folder of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import nbdl
from nbdl.engine import cache as kernel_cache
from nbdl.engine import compiler as kernel
from nbdl.engine.nets import plans
from nbdl.units.elementwise import elementwise

A = """
import b
from nbdl import hookimpl

def f(x):
    return b.helper(x)

def df(x, y):
    return 1.0

@hookimpl
def register_activations(register):
    register("reaching", f, df)
"""
B = """
import c

def helper(x):
    return c.FACTOR * c.deep(x)
"""
C = """
import math

FACTOR = 2.0

def deep(x):
    return math.tanh(x) + 1.0
"""
ANOTHER = """
from nbdl.engine.compiler import kernel
@kernel
def run(frame, op, r0, r1, c0, c1, chunk, first):
    return 7
"""
KERNELS = 3  # of PREDICT: the unit's map, what runs a plan, and what Python calls
PREDICT = """
import json, os, numpy as np, nbdl, a
nbdl.register(a)
from nbdl.layers import Activation, Input
model = nbdl.Sequential([Input((3,)), Activation("reaching")], seed=0)
y = model.predict(np.array([[0.5, 1.0, 2.0]], np.float32))
from nbdl.engine.compiler import statistics
print(json.dumps([y[0].tolist(), statistics.compiled, statistics.loaded]))
"""
TRAIN = """
import json, numpy as np, nbdl
from nbdl.layers import Dense, Dropout
x = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
model = nbdl.Sequential([Dense(8, activation="relu", input_dim=6), Dropout(0.5), Dense(1)], seed=1)
model.compile(loss="mse", optimizer="sgd")
model.fit(x, x[:, :1], epochs=2, verbose=0, validation_split=0.2)
from nbdl.engine.compiler import statistics
print(json.dumps([model.predict(x)[:3, 0].tolist(), statistics.compiled, statistics.loaded]))
"""
# What root may do to files whatever their mode; without it, root is an ordinary owner.
DROP_PRIVILEGES = """
import ctypes, os
if hasattr(os, "getuid") and os.getuid() == 0:
    assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
"""
NO_HOME = """
import os, pwd
for name in ("HOME", "NBDL_CACHE", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
def nobody(uid): raise KeyError(uid)
pwd.getpwuid = nobody
"""


def expected(factor: float = 2.0, summand: float = 1.0) -> Any:
    import math

    return pytest.approx([factor * (math.tanh(x) + summand) for x in (0.5, 1.0, 2.0)], rel=1e-6)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    for name, text in (("a", A), ("b", B), ("c", C)):
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def filled(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that holds all that PREDICT needs."""
    cache = tmp_path_factory.mktemp("cache") / "nbdl"
    assert answer(PREDICT, sources, cache)[1] > 0
    return cache


@pytest.fixture
def cache(filled: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt; times are kept, they are part of Numba's index."""
    return shutil.copytree(filled, tmp_path / "cache")


@pytest.fixture
def edited(sources: Path, tmp_path: Path) -> Path:
    """A copy of the sources, to be edited."""
    return shutil.copytree(sources, tmp_path / "sources", ignore=shutil.ignore_patterns("__pycache__"))


def start(code: str, cwd: Path, cache: Path, path: str = "") -> subprocess.Popen[str]:
    environment = os.environ | {
        "NBDL_CACHE": str(cache),
        "PYTHONDONTWRITEBYTECODE": "1",  # Python's own cache of modules does not notice edits within a second
        "PYTHONPATH": os.pathsep.join(filter(None, [str(cwd), path, os.environ.get("PYTHONPATH", "")])),
    }
    return subprocess.Popen(
        [sys.executable, "-W", "always::UserWarning", "-c", textwrap.dedent(code)],
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str]) -> tuple[Any, str]:
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return json.loads(out.splitlines()[-1]), error


def answer(code: str, cwd: Path, cache: Path, path: str = "") -> Any:
    found, error = finish(start(code, cwd, cache, path))
    assert "Warning" not in error, error
    return found


# -- what is there is used ----------------------------------------------------------------------------------


def test_the_second_process_compiles_nothing(tmp_path: Path) -> None:
    first, compiled, _ = answer(TRAIN, tmp_path, tmp_path / "cache")
    again, nothing, loaded = answer(TRAIN, tmp_path, tmp_path / "cache")
    assert (nothing, loaded) == (0, compiled)
    assert compiled > 10
    assert again == first


def test_the_folder_is_private(filled: Path) -> None:
    assert (filled / "kernels").stat().st_mode & 0o077 == 0


# -- what is edited is noticed ------------------------------------------------------------------------------


def test_nothing_edited_nothing_compiled(edited: Path, cache: Path) -> None:
    (edited / "b.py").write_text(B + "\nUNUSED = 3.0\n\ndef unused(x):\n    return x\n")
    assert answer(PREDICT, edited, cache) == [expected(), 0, KERNELS]


@pytest.mark.parametrize(
    ("name", "before", "after", "factor", "summand"),
    [
        ("c", "FACTOR = 2.0", "FACTOR = 3.0", 3.0, 1.0),
        ("c", "+ 1.0", "+ 5.0", 2.0, 5.0),
        ("b", "c.FACTOR *", "2.0 * c.FACTOR *", 4.0, 1.0),
        ("b", "import c", "import c\nfrom c import *\nc.FACTOR = 7.0", 7.0, 1.0),
        ("a", "b.helper(x)", "0.5 * b.helper(x)", 1.0, 1.0),
    ],
)
def test_an_edit_anywhere_in_reach_is_noticed(
    name: str, before: str, after: str, factor: float, summand: float, edited: Path, cache: Path
) -> None:
    file = edited / f"{name}.py"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    y, compiled, _ = answer(PREDICT, edited, cache)
    assert y == expected(factor, summand)
    assert compiled == 1


def test_an_edit_of_nbdl_itself_is_noticed(sources: Path, cache: Path, tmp_path: Path) -> None:
    root = Path(nbdl.__file__).parent
    plugins = Path(importlib.import_module("nbdl_standard").__file__ or "").parent
    for source in (root, plugins):
        shutil.copytree(source, tmp_path / "own" / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    house, path = tmp_path / "own" / "nbdl", str(tmp_path / "own")
    language = house / "program" / "language"
    assert answer(PREDICT, sources, cache, path) == [expected(), 0, KERNELS]

    maths = (language / "maths.py").read_text()
    assert "def tanh(x: float) -> float:" in maths
    start = maths.index("def tanh(x: float) -> float:")
    (language / "maths.py").write_text(maths[:start] + maths[start:].replace("return ", "return 10.0 + ", 1))
    y, compiled, _ = answer(PREDICT, sources, cache, path)
    assert y == expected(summand=11.0)
    assert compiled == 1
    (language / "maths.py").write_text(maths)

    # What emitted text imports by name is covered whole, so even a comment counts.
    digest = "import json; from nbdl.engine.emit import runtime_digest; print(json.dumps(runtime_digest()))"
    digests = [answer(digest, sources, cache, path)]
    for file in (language / "bits.py", house / "engine" / "cpu" / "intrinsics.py", house / "engine" / "compiler.py"):
        file.write_text(file.read_text() + f"\n# an edit of {file.name}\n")
        digests.append(answer(digest, sources, cache, path))
    assert len(set(digests)) == 4
    assert answer(PREDICT, sources, cache, path) == [expected(), KERNELS, 0]


# -- folders that cannot be used ----------------------------------------------------------------------------


def survives(code: str, cwd: Path, cache: Path) -> str:
    """Right results, nothing from the cache, one warning, which is returned."""
    (y, compiled, loaded), error = finish(start(code, cwd, cache))
    assert y == expected()
    assert (compiled, loaded) == (KERNELS, 0)
    assert error.count("Warning:") == 1, error
    assert "compiled again in each process" in error
    return error


def test_a_read_only_folder_is_survived(sources: Path, cache: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "kernels").mkdir(parents=True)
    (empty / "kernels").chmod(0o500)
    try:
        assert str(empty) in survives(DROP_PRIVILEGES + PREDICT, sources, empty)
    finally:
        (empty / "kernels").chmod(0o700)


def test_a_folder_that_cannot_be_made_is_survived(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in survives(PREDICT, sources, tmp_path / "file" / "cache")


def test_a_missing_home_is_survived(sources: Path, tmp_path: Path) -> None:
    survives(NO_HOME + PREDICT, sources, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_folder_that_others_can_write_to_is_refused(mode: int, sources: Path, cache: Path) -> None:
    (cache / "kernels").chmod(mode)
    before = sorted(cache.rglob("*"))
    assert "chmod 700" in survives(PREDICT, sources, cache)
    assert sorted(cache.rglob("*")) == before


def answer_elsewhere(sources: Path, cache: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(elsewhere))
    return finish(start(PREDICT, sources, cache))


def test_numbas_own_folder_is_used_if_it_is_private(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "numba"
    for counts in ([KERNELS, 0], [0, KERNELS]):
        (y, *found), error = answer_elsewhere(sources, tmp_path / "cache", elsewhere, monkeypatch)
        assert (y, found) == (expected(), counts)
        assert "Warning" not in error
    assert elsewhere.stat().st_mode & 0o077 == 0
    assert list(elsewhere.rglob("*.nbi"))
    damaged = [path for path in elsewhere.rglob("*.nbi") if path.write_bytes(b"nonsense")]
    (y, compiled, _), error = answer_elsewhere(sources, tmp_path / "cache", elsewhere, monkeypatch)
    assert (y, compiled) == (expected(), len(damaged))
    assert "Warning" not in error


@pytest.mark.parametrize("within", [False, True])
def test_numbas_own_folder_is_refused_if_others_can_write_to_it(
    within: bool, sources: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "numba"
    (elsewhere / "kernels_of_nbdl").mkdir(parents=True)
    elsewhere.chmod(0o755 if within else 0o777)
    (elsewhere / "kernels_of_nbdl").chmod(0o777 if within else 0o700)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(elsewhere))
    assert str(elsewhere) in survives(PREDICT, sources, cache)
    assert len(list(elsewhere.rglob("*"))) == 1


# -- files that are damaged ---------------------------------------------------------------------------------


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b""


def garbled(content: bytes) -> bytes:
    return bytes(range(256)) * (len(content) // 256 + 1)


class Process:
    """What a new process finds, without the seconds that one takes to start: nothing in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch, self.folder = monkeypatch, folder

    def predict(self) -> tuple[Any, int, int]:
        """y, kernels compiled, kernels loaded; warnings are errors."""
        self.monkeypatch.setattr(kernel, "_modules", {})
        self.monkeypatch.setattr(kernel_cache, "_folder", [self.folder])
        self.monkeypatch.setattr(kernel, "statistics", kernel.Statistics())
        for name in [name for name in sys.modules if name.startswith("nbdl_kernel_")]:
            self.monkeypatch.delitem(sys.modules, name)
        unit = elementwise("activations", "damaged", (doubled, always_two))
        model = nbdl.Sequential([nbdl.layers.Input((3,)), nbdl.layers.Activation(unit())], seed=0)
        y = model.predict(np.array([[1.0, 2.0, 3.0]], np.float32))
        return y[0].tolist(), kernel.statistics.compiled, kernel.statistics.loaded


def doubled(x: float) -> float:
    return 2.0 * x


def always_two(x: float, y: float) -> float:
    return 2.0


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "kernels").mkdir(mode=0o700)
    started = Process(monkeypatch, tmp_path / "kernels")
    plans.runner(), plans.from_python(plans.predict_rows)
    assert started.predict() == ([2.0, 4.0, 6.0], 1, 0)
    assert started.predict() == ([2.0, 4.0, 6.0], 0, 1)
    return started


@pytest.mark.parametrize("damage", [halved, emptied, garbled])
@pytest.mark.parametrize("suffix", [".py", ".nbi", ".nbc", ".seal"])
def test_a_damaged_file_is_survived_and_mended(suffix: str, damage: Any, process: Process) -> None:
    files = [path for path in process.folder.rglob("*") if path.suffix == suffix]
    [path] = files
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(damage(content))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    y, compiled, _ = process.predict()
    assert y == [2.0, 4.0, 6.0]
    assert compiled == 1 or suffix == ".py"  # written again, a source fits its machine code
    assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


def test_numbas_files_of_another_kernel_are_not_run(process: Process) -> None:
    kernel.load(ANOTHER)
    other = kernel_cache.kernel_name(ANOTHER)
    sources = {path.name.removeprefix(other): path for path in process.folder.rglob(f"{other}.*")}
    [own] = [path.stem for path in process.folder.glob("*.py") if path.stem != other]
    assert len([suffix for suffix in sources if suffix.endswith((".nbi", ".nbc", ".seal"))]) == 3
    for whole in (False, True):  # Numba's files alone, and with their seal
        targets = [path for path in process.folder.rglob(f"{own}.*") if path.suffix in (".nbi", ".nbc", ".seal")]
        for path in targets:
            same = (
                sources[".seal"]
                if path.suffix == ".seal"
                else next(found for found in sources.values() if found.suffix == path.suffix)
            )
            if whole or path.suffix != ".seal":
                path.write_bytes(same.read_bytes())
        assert process.predict() == ([2.0, 4.0, 6.0], 1, 0)
        assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


class Trap:
    """Runs code when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("seal", ["kept", "removed", "of nobody"])
def test_a_foreign_index_is_not_unpickled(seal: str, process: Process, tmp_path: Path) -> None:
    [index] = process.folder.rglob("*.nbi")
    [sealed] = process.folder.glob("*.seal")
    index.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    if seal == "removed":
        sealed.unlink()
    elif seal == "of nobody":  # one that fits, made without the key
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in process.folder.rglob("*.nb?")}
        payload = json.dumps(digests, sort_keys=True).encode() + b"\n" + sealed.read_bytes().split(b"\n", 2)[2]
        sealed.write_bytes(hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload)
    assert process.predict() == ([2.0, 4.0, 6.0], 1, 0)
    assert not (tmp_path / "sprung").exists()
    assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


@pytest.mark.parametrize("suffix", [".py", ".nbi", ".nbc", ".seal", ".key"])
def test_a_link_is_neither_read_nor_written_through(suffix: str, process: Process, tmp_path: Path) -> None:
    [path] = [path for path in process.folder.rglob("*") if suffix in (path.suffix, path.name)]
    kept = tmp_path / "kept"
    for content in (b"precious", path.read_bytes()):  # one that does not fit, and one that does
        kept.write_bytes(content)
        path.unlink()
        path.symlink_to(kept)
        assert process.predict()[0] == [2.0, 4.0, 6.0]
        assert kept.read_bytes() == content
        assert not path.is_symlink()
        assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
@pytest.mark.parametrize("suffix", [".py", ".nbi", ".seal"])
def test_a_pipe_is_not_waited_for(suffix: str, process: Process) -> None:
    [path] = [path for path in process.folder.rglob("*") if suffix == path.suffix]
    path.unlink()
    os.mkfifo(path)
    assert process.predict()[0] == [2.0, 4.0, 6.0]
    assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has access lists in the place of modes")
@pytest.mark.parametrize("suffix", [".py", ".nbi", ".nbc", ".seal"])
def test_a_file_that_others_can_write_to_is_not_used(suffix: str, process: Process) -> None:
    [path] = [path for path in process.folder.rglob("*") if path.suffix == suffix]
    for spoil in (lambda: path.chmod(0o666), lambda: os.chown(path, os.getuid() + 1, -1)):
        try:
            spoil()
        except PermissionError:  # only root can give files away
            continue
        assert process.predict() == ([2.0, 4.0, 6.0], int(suffix != ".py"), int(suffix == ".py"))
        assert path.stat().st_mode & 0o077 == 0
        assert path.stat().st_uid == os.getuid()
        assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has access lists in the place of modes")
def test_folders_are_checked_at_every_kernel(process: Process, tmp_path: Path) -> None:
    within, above = process.folder / "__pycache__", tmp_path
    for folder, mode in ((within, 0o770), (above, 0o777), (above, 0o733)):
        before = folder.stat().st_mode
        folder.chmod(mode)
        process.monkeypatch.setattr(kernel_cache, "_warned", set())
        with pytest.warns(UserWarning, match=rf"compiled again in each process: .*others .*{re.escape(str(folder))}"):
            assert process.predict() == ([2.0, 4.0, 6.0], 1, 0)
        folder.chmod(before)
        assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)
    above.chmod(0o1777)  # as /tmp: others cannot rename what is the user's
    assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has access lists in the place of modes")
def test_folders_and_files_are_private_whatever_the_umask(sources: Path, tmp_path: Path) -> None:
    """Many systems let the group write by default; nbdl's own folders would then be refused by its own check."""
    cache = tmp_path / "new" / "cache"
    generous = "import os\nos.umask(0o002)\n" + PREDICT
    assert answer(generous, sources, cache)[1:] == [KERNELS, 0]
    assert answer(generous, sources, cache)[1:] == [0, KERNELS]
    assert [
        str(path) for path in [tmp_path / "new", *(tmp_path / "new").rglob("*")] if path.stat().st_mode & 0o022
    ] == []


def test_a_folder_that_is_a_link_is_not_used(process: Process, tmp_path: Path) -> None:
    within, elsewhere = process.folder / "__pycache__", tmp_path / "elsewhere"
    within.rename(elsewhere)
    within.symlink_to(elsewhere)
    before = sorted(elsewhere.iterdir())
    with pytest.warns(UserWarning, match="is a link"):
        assert process.predict() == ([2.0, 4.0, 6.0], 1, 0)
    assert sorted(elsewhere.iterdir()) == before


def test_a_cache_that_is_emptied_is_filled_again(process: Process) -> None:
    shutil.rmtree(process.folder)
    assert process.predict() == ([2.0, 4.0, 6.0], 1, 0)
    assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


def test_a_cache_that_is_moved_keeps_its_kernels(process: Process, tmp_path: Path) -> None:
    process.folder.rename(tmp_path / "moved")
    process.folder = tmp_path / "moved"
    assert process.predict() == ([2.0, 4.0, 6.0], 0, 1)


def test_files_that_killed_processes_left_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kernels"
    within = folder / "__pycache__"
    within.mkdir(parents=True, mode=0o700)
    folder.chmod(0o700)
    monkeypatch.setenv("NBDL_CACHE", str(tmp_path))
    monkeypatch.setattr(kernel_cache, "_folder", [])
    for path in (
        folder / ".nbdl_kernel_0.py.0123abcd.tmp",
        within / "nbdl_kernel_0.run-1.py311.nbi.tmp.0123456789abcdef",
    ):
        path.write_text("half")
        os.utime(path, (0, 0))
    assert kernel_cache.cache_folder() == folder
    assert [path.name for path in folder.rglob("*") if ".tmp" in path.name] == []


def test_another_kernel_under_this_ones_name_is_noticed(process: Process) -> None:
    [path] = process.folder.glob("*.py")
    text = path.read_text()
    assert "float32(2.0)" in text
    path.write_text(text.replace("float32(2.0)", "float32(5.0)"))
    assert process.predict()[0] == [2.0, 4.0, 6.0]
    assert path.read_text() == text


def test_a_formula_that_cannot_be_compiled_is_not_blamed_on_the_folder(process: Process) -> None:
    arguments = "frame, op, r0, r1, c0, c1, chunk, first"
    text = f"from nbdl.engine.compiler import kernel\n@kernel\ndef run({arguments}):\n    return frame.nonsense\n"
    with pytest.raises(numba.core.errors.NumbaError):
        kernel.load(text)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("from numpy import nonsense", ImportError),
        ("nonsense", NameError),
        ("a b", SyntaxError),
        ("1 / 0", ZeroDivisionError),
    ],
)
def test_a_text_that_fails_is_not_blamed_on_the_folder(line: str, error: type[Exception], process: Process) -> None:
    with pytest.raises(error):
        kernel.load(f"{line}\n")


def test_two_processes_that_compile_at_once(sources: Path, tmp_path: Path) -> None:
    processes = [start(PREDICT, sources, tmp_path / "cache") for _ in range(2)]
    for process in processes:
        found, error = finish(process)
        assert found[0] == expected()
        assert "Warning" not in error
    # One may have replaced the other's source after it was read, which costs one more compilation and no more.
    assert answer(PREDICT, sources, tmp_path / "cache")[0] == expected()
    assert answer(PREDICT, sources, tmp_path / "cache") == [expected(), 0, KERNELS]


STRENGTH = 2.0


def strong(x: float) -> float:
    return STRENGTH * x


def d_strong(x: float, y: float) -> float:
    return STRENGTH


def test_a_constant_that_changes_while_the_process_lives_counts_forward_and_backward(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for strength in (2.0, 5.0):
        monkeypatch.setattr(sys.modules[__name__], "STRENGTH", strength)
        unit = elementwise("activations", "strong", (strong, d_strong))
        model = nbdl.Sequential([nbdl.layers.Dense(1, activation=unit(), input_dim=3)], seed=0)
        model.compile(loss="mse", optimizer=nbdl.optimizers.SGD(0.01))
        w = model.get_weights()[0].astype(np.float64)
        model.fit(x, x[:, :1], batch_size=20, verbose=0)
        gradient = x.T @ (2.0 * (strength * (x @ w) - x[:, :1]) * strength) / len(x)
        np.testing.assert_allclose(model.get_weights()[0], w - 0.01 * gradient, rtol=1e-4)


def test_a_relative_cache_folder_is_told_and_a_home_folder_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("NBDL_CACHE", "~/x")
    assert kernel_cache.default_cache_folder() == tmp_path / "home" / "x"
    monkeypatch.setenv("NBDL_CACHE", "relative/dir")
    with pytest.warns(UserWarning, match=r"NBDL_CACHE=relative/dir is a relative path: .*give an absolute path"):
        assert kernel_cache.default_cache_folder() == tmp_path / "relative" / "dir"
    assert not list(tmp_path.iterdir())
