"""Import paths for authors: what plugins/README.md promises can be imported, and authors import nothing else."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WHOLE = (  # modules all of whose names are promised
    "nbdl.errors", "nbdl.hookspecs", "nbdl.kernels", "nbdl.testing", "nbdl.activations", "nbdl.callbacks",
    "nbdl.constraints", "nbdl.datasets", "nbdl.initializers", "nbdl.layers", "nbdl.losses", "nbdl.metrics",
    "nbdl.optimizers", "nbdl.regularizers", "nbdl.schedules", "nbdl.utils", "nbdl.models",
)  # fmt: skip
FACES = (
    "nbdl.program", "nbdl.units", "nbdl.data", "nbdl.storage", "nbdl.model", "nbdl.training", "nbdl.plugins",
    "nbdl.engine.c", "nbdl.cli",
)  # fmt: skip
AUTHORS = sorted(
    path
    for folder in ("plugins", "tests/thirdparty")
    for path in (ROOT / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)


def promised() -> dict[str, set[str]]:
    """The table of plugins/README.md: names by path."""
    text = (ROOT / "plugins" / "README.md").read_text()
    rows = re.findall(r"^\| `(nbdl[\w.]*)` \| ((?:`\w+`(?:, )?)+) \| [^|]+ \|$", text, re.MULTILINE)
    return {path: set(re.findall(r"\w+", names)) for path, names in rows}


PROMISED = promised()


def private_imports(text: str) -> Iterator[str]:
    """What a text imports from nbdl beside what is promised."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("nbdl."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nbdl":
            module = str(node.module)
            for alias in node.names:
                name = f"{module}.{alias.name}"
                if not (module in WHOLE or name in WHOLE or alias.name in PROMISED.get(module, ()) or name in PROMISED):
                    yield name


def test_the_table_is_read() -> None:
    assert {"nbdl", *FACES} <= PROMISED.keys()
    assert {"Recorder", "Builder"} <= PROMISED["nbdl"]


@pytest.mark.parametrize("path", PROMISED)
def test_what_is_promised_can_be_imported(path: str) -> None:
    module = importlib.import_module(path)
    for name in PROMISED[path]:
        assert getattr(module, name) is not None, name


@pytest.mark.parametrize("path", FACES)
def test_what_a_room_publishes_is_promised(path: str) -> None:
    assert set(importlib.import_module(path).__all__) == PROMISED[path]


@pytest.mark.parametrize("path", FACES)
def test_types_are_those_of_the_names_that_are_published(path: str) -> None:
    file = ROOT / path.replace(".", "/") / "__init__.py"
    typed = {
        (str(node.module), alias.name)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    assert {name for _, name in typed} == PROMISED[path]
    for module, name in typed:
        assert getattr(importlib.import_module(path), name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", AUTHORS, ids=lambda path: str(path.relative_to(ROOT)))
def test_authors_import_what_is_promised(path: Path) -> None:
    assert not list(private_imports(path.read_text()))


@pytest.mark.parametrize(
    "planted",
    [
        "from nbdl.program.recorder import Recorder",
        "def late():\n    from nbdl.units import registry2",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nbdl.engine.store import Weight",
        "import nbdl.engine.compiler",
        "from nbdl.network import job",
    ],
)
def test_a_private_import_is_found(planted: str) -> None:
    assert list(private_imports(planted))


def test_publishing_imports_nothing() -> None:
    code = f"import sys, {', '.join(FACES)}; print(*sorted({{'numpy', 'numba', 'pluggy', 'click'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("older", "name", "newer"),
    [
        ("nbdl.exporting", "fingerprint", "nbdl.model"),
        ("nbdl.initializing", "fans", "nbdl.units"),
        ("nbdl.initializing", "Stream", "nbdl.units.RandomStream"),
        ("nbdl.scaffold", "Request", "nbdl.plugins"),
        ("nbdl.registry", "registry", "nbdl.units.registry"),
    ],
)
def test_paths_that_were_promised_before_still_work(older: str, name: str, newer: str) -> None:
    sys.modules.pop(older, None)
    with pytest.warns(DeprecationWarning, match=re.escape(newer)):
        found = getattr(importlib.import_module(older), name)
    path, _, renamed = newer.rpartition(".")
    wanted = getattr(importlib.import_module(newer), name, None) if renamed != "RandomStream" else None
    assert found is (wanted or importlib.import_module(path).RandomStream)


def test_files_of_numbas_cache_find_the_type_of_nets() -> None:
    """Numba pickles the type by its module, which has moved: users' caches of earlier versions name the older one."""
    from nbdl.engine.nets.numba_type import NetType

    sys.modules.pop("nbdl.nets.numba_type", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert importlib.import_module("nbdl.nets.numba_type").NetType is NetType
