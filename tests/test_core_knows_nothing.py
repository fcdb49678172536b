"""The core knows kinds, never a unit: no name of a unit, and no import of the standard units, in `nbdl/`."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbdl
from nbdl.registry import normalise, registry

CORE = Path(nbdl.__file__).parent
TOY = Path(__file__).parent / "thirdparty" / "nbdl-toy"
UNITS = {
    normalise(name): f"{entry.kind} {entry.name}"
    for entry in registry.entries()
    if entry.owner.distribution == "nbdl"
    for name in (entry.name, *entry.aliases)
}
PACKAGES = {entry.module.split(".")[0] for entry in registry.entries() if entry.owner.distribution == "nbdl"}

# Words that are units' names and mean something else here, as identifiers and as strings, with the reason.
MEANT_OTHERWISE = {
    "activation": "the singular of a kind, and the base class of its units",
    "constant": "of a syntax tree, of LLVM, and a run-time constant of a program",
    "input": "what a batch brings to a program",
    "add": "a scalar function, a method of models and sets",
    "c": "a name of variables, and numpy's word for an order of elements",
    "precision": "of a GPU's products",
    "reshape": "numpy's word",
    "uniform": "an operation of programs, and numpy's word",
    "normal": "numpy's word",
}
# The same, as identifiers only.
IDENTIFIERS = {
    "one": "a number, or the one that is meant",
    "ones": "numpy.ones",
    "zero": "a number",
    "zeros": "numpy.zeros",
    "flatten": "numpy's word",
    "csv": "the standard library's module",
    "npz": "numpy's file format, in which weights are stored",
    "tanh": "mathematics: numpy's, and nbdl's own for the scalar language",
}
# The same, in one file only.
IN_FILE = {
    ("engine/maths.py", "sigmoid"): "mathematics of the scalar language",
    ("engine/maths.py", "cosine"): "mathematics of the scalar language",
    ("initializing.py", "truncatednormal"): "what initializers draw from",
    ("cli/figures.py", "r2"): "what `nbdl evaluate` prints, in the data's own units",
    ("cli/figures.py", "rmse"): "what `nbdl evaluate` prints, in the data's own units",
    ("cli/recipe.py", "maxtime"): "an option of the command line, for recipes to understand",
    ("cli/train.py", "maxtime"): "an option of the command line, for recipes to understand",
    ("cli/train.py", "dropout"): "an option of the command line, for recipes to understand",
    ("cli/train.py", "l2"): "an option of the command line, for recipes to understand",
    ("engine/cuda/dialect.py", "tanh"): "one of the names of libdevice's functions",
}
COMPILER = "engine/kernel.py"


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def docstrings(tree: ast.Module) -> set[int]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


def words(tree: ast.Module) -> Iterator[tuple[str, int, bool]]:
    """Every word of a file, its line, and whether it is a string."""
    exempt = docstrings(tree)
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in exempt:
            yield node.value, line, True
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            word = getattr(node, field, None)
            if isinstance(word, str):
                yield word.rpartition(".")[2], line, False
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from ((name, line, False) for name in node.names)


def violations(path: str, text: str) -> list[str]:
    found = []
    for word, line, is_string in words(ast.parse(text)):
        name = normalise(word)
        allowed = name in MEANT_OTHERWISE or (path, name) in IN_FILE or (not is_string and name in IDENTIFIERS)
        if name in UNITS and not allowed:
            found.append(f"{path}:{line}: {word!r} is the unit {UNITS[name]}")
    return found


def test_the_core_names_no_unit() -> None:
    assert len(UNITS) > 30
    assert "nbdl_standard" in PACKAGES, "the standard units are not there to be looked for"
    found = [one for path in core_files() for one in violations(str(path.relative_to(CORE)), path.read_text())]
    assert not found, "\n".join(found)


def test_the_lists_of_exceptions_hold_nothing_that_is_not_needed() -> None:
    present = {
        (str(path.relative_to(CORE)), normalise(word))
        for path in core_files()
        for word, _, _ in words(ast.parse(path.read_text()))
    }
    everywhere = {word for _, word in present}
    assert all(key in present for key in IN_FILE)
    assert all(word in everywhere for word in (*MEANT_OTHERWISE, *IDENTIFIERS))


@pytest.mark.parametrize(
    "planted",
    [
        "if kind == 'Dense': pass",
        "optimizer = 'rms_prop'",
        "if loss.unit_name in ('categorical-crossentropy',): pass",
        "def relu(x): return x",
        "model.dropout = 1",
        "fit(softmax=True)",
        "from x import Adam",
        "from x import y as relu",
        "class SGD: pass",
        "weights = 'zeros'",
        "names = {'acc': 1}",
    ],
)
def test_a_planted_name_is_found(planted: str) -> None:
    assert violations("planted.py", planted)


def test_docstrings_are_exempt() -> None:
    assert not violations("planted.py", '"""Dense"""\ndef f():\n    "relu"\n')


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_core_imports_no_plugin_package() -> None:
    for path in core_files():
        tree = ast.parse(path.read_text())
        named = [*imports(tree), *(word for word, _, is_string in words(tree) if is_string)]
        assert not [name for name in named if name.split(".")[0] in PACKAGES], path


def test_only_one_module_calls_the_compiler() -> None:
    decorators = {
        "numba.njit",
        "numba.jit",
        "numba.cfunc",
        "numba.vectorize",
        "numba.guvectorize",
        "numba.stencil",
    }
    for path in core_files():
        tree = ast.parse(path.read_text())
        where = str(path.relative_to(CORE))
        attributes = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used = decorators & {*imports(tree), *attributes}
        assert not used or where == COMPILER, f"{where} uses {', '.join(sorted(used))}"
        assert where != COMPILER or used, "the check no longer sees what it looks for"


def test_nbdl_trains_without_the_standard_units(tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(TOY / "nbdl_toy", site / "nbdl_toy", ignore=shutil.ignore_patterns("__pycache__"))
    metadata = site / "nbdl_toy-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nbdl-toy\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text("[nbdl]\ntoy = nbdl_toy\n")
    code = """
import json, sys, numpy as np, nbdl
from nbdl.registry import registry
assert not registry.broken, registry.broken
from nbdl.layers import ToyScaledProduct
x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
y = (x[:, :1] > 0).astype("float32")
model = nbdl.Sequential([ToyScaledProduct(6, activation="toy_step", input_dim=4), ToyScaledProduct(1)], seed=1)
model.compile(loss="toy_loss", optimizer="toy_descent")
losses = model.fit(x, y, epochs=5, verbose=0, validation_split=0.2).history["loss"]
model.evaluate(x, y)
model.save("model.nbdl")
same = bool((nbdl.load_model("model.nbdl").predict(x) == model.predict(x)).all())
owners = sorted({entry.owner.distribution for entry in registry.entries()})
print(json.dumps([losses, same, owners, [name for name in sys.modules if name.startswith("nbdl_standard")]]))
"""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")])),
        "NBDL_DISABLE_PLUGINS": "standard",
        "NBDL_LOAD_PLUGINS": "toy",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses, same, owners, imported = json.loads(done.stdout)
    assert losses[-1] < losses[0]
    assert same
    assert owners == ["nbdl-toy"]
    assert imported == []
