"""The house: rooms with one purpose each, imports that only go downward, and a root that holds nothing else."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "nbdl"

# From the ground up. A room may import from the rooms before it and from the ground, nothing else of nbdl.
ROOMS = (
    "storage", "data", "program", "engine", "units", "plugins", "network", "training", "inspection", "model",
    "testing", "cli",
)  # fmt: skip
GROUND = ("errors", "hookspecs", "kernels", "lazy", "loader")  # import nothing of nbdl
FACES = (
    "activations", "backend", "callbacks", "constraints", "datasets", "initializers", "layers", "losses", "metrics",
    "models", "optimizers", "options", "pytest_plugin", "recipe", "regularizers", "schedules", "utils",
)  # fmt: skip
BELOW_FACES = ROOMS[: ROOMS.index("testing")]
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md", "LICENSE", "README.md", "nbdl", "plugins",
    "pyproject.toml", "scripts", "tests",
}  # fmt: skip


def modules(house: Path = HOUSE) -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for path in sorted(house.rglob("*.py")):
        parts = path.relative_to(house.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(text: str, known: set[str]) -> Iterator[tuple[str, int]]:
    """The modules of nbdl that a text imports, with lines: at its top, within functions, or for types alone."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.partition(".")[0] == "nbdl")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports within nbdl are absolute"
            if (node.module or "").partition(".")[0] == "nbdl":
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    yield (name if name in known else str(node.module)), node.lineno


def room_of(module: str) -> str:
    """The room, ground module or face that a module belongs to; "" for `nbdl` itself."""
    return [*module.split("."), ""][1]


def allowed(importer: str, target: str) -> bool:
    """Whether a module may import another."""
    here, there = room_of(importer), room_of(target)
    if here in GROUND:
        return False
    if there in GROUND or here == there:
        return True
    if here in ("", "__main__"):
        return True
    if here in FACES:
        return there in (*BELOW_FACES, *FACES, "") or here == "pytest_plugin"
    if there in ROOMS:
        return ROOMS.index(there) < ROOMS.index(here)
    return here not in BELOW_FACES


def upward(importer: str, text: str, known: set[str]) -> list[str]:
    """The imports of a module that lead upward."""
    return [
        f"{importer}:{line} imports {target}" for target, line in imported(text, known) if not allowed(importer, target)
    ]


def import_graph(found: dict[str, Path]) -> dict[str, set[str]]:
    """What each module imports, anywhere in it; `nbdl` itself imports its parts lazily and is left out."""
    inside = set(found) - {"nbdl"}
    return {
        name: {target for target, _ in imported(found[name].read_text(), set(found))} & inside - {name}
        for name in inside
    }


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that import each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_imports_lead_downward() -> None:
    found = modules()
    wrong = [one for name, path in found.items() for one in upward(name, path.read_text(), set(found))]
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other() -> None:
    assert not circles(import_graph(modules()))


@pytest.mark.parametrize(
    "planted",
    [
        "from nbdl.model.sequential import Sequential\n",
        "def late():\n    from nbdl.model import sequential\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nbdl.cli.app\n",
        "import nbdl\n",
        "from nbdl.layers import Dense\n",
    ],
    ids=["at the top", "within a function", "for types alone", "of nbdl itself", "of a face"],
)
def test_an_upward_import_is_found(planted: str) -> None:
    path = HOUSE / "engine" / "select.py"
    assert upward("nbdl.engine.select", path.read_text() + planted, set(modules()))


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_the_root_holds_rooms_and_faces_alone() -> None:
    there = {path.stem for path in HOUSE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there == {"__init__", "__main__", *ROOMS, *GROUND, *FACES}
    assert len(ROOMS) <= 12


def test_every_room_says_its_purpose() -> None:
    for room in ROOMS:
        assert ast.get_docstring(ast.parse((HOUSE / room / "__init__.py").read_text())), room


def test_the_top_level_is_as_the_user_asked() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout, whose other files are unknown")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.partition("/")[0] for line in listed.splitlines()} <= TOP_LEVEL


def test_the_architecture_names_files_that_are_there() -> None:
    text = (ROOT / "scripts" / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:nbdl|plugins|scripts|tests)/[\w/]+\.\w+)`", text)
    assert len(named) > 12
    assert not [path for path in named if not (ROOT / path).is_file()]
    rooms = re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", text, re.MULTILINE)
    assert [room for room, _ in rooms] == [*reversed(ROOMS)]
    assert not [
        one for room, files in rooms for one in re.findall(r"`(\w+\.py)`", files) if not (HOUSE / room / one).is_file()
    ]


def test_lines_per_room_add_up() -> None:
    said = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "rooms.py")], capture_output=True, text=True, check=True
    ).stdout
    *_, last = said.splitlines()
    assert int(last.split()[-1].replace(",", "")) == sum(
        len(path.read_text().splitlines()) for path in modules().values()
    )
    assert all(f"\n{room} " in said for room in ROOMS)


if __name__ == "__main__":
    everything = modules()
    for name, path in everything.items():
        for one in upward(name, path.read_text(), set(everything)):
            print(one)
    for group in circles(import_graph(everything)):
        print(len(group), "modules in a circle:", *group)
