"""The examples run as they stand, and find what they are there to find; how fast they are is not looked at."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "scripts" / "examples"
EXAMPLES = {
    "neural_ode": lambda found: found["error"] < 0.1 and found["mode error"] < 0.1,
    "cart_pole": lambda found: found["balanced"] > 0.9,
    "tree_search": lambda found: (
        found["win"] == 1 and found["block"] == 1 and found["two threats"] == 1 and found["wins"] >= 0.9
    ),
}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(FOLDER)
    return FOLDER


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In-process; where PyTorch is installed, `main` also compares both results and raises if they differ."""
    found = importlib.import_module(name).main(["--quick"])
    assert EXAMPLES[name](found), found
    text = capsys.readouterr().out
    assert "PyTorch" in text
    assert text.count("\n") >= 3 or "not installed" in text


def test_every_example_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*EXAMPLES, "beside_torch"}


def test_without_pytorch(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import beside_torch  # type: ignore[import-not-found]

    monkeypatch.setattr(beside_torch, "INSTALLED", False)
    importlib.import_module("neural_ode").main(["--quick"])
    assert "PyTorch is not installed" in capsys.readouterr().out


def test_from_the_command_line() -> None:
    """As its first lines say, and from another folder."""
    command = [sys.executable, str(FOLDER / "cart_pole.py"), "--quick"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=os.sep)
    assert made.returncode == 0, made.stderr
    assert "stay up for 20 s" in made.stdout
    assert not made.stderr


def forgotten(plain: Callable[..., Any]) -> Callable[..., Any]:
    """An example that does not learn."""

    def learn(quick: bool) -> Any:
        model = plain(quick)
        model.set_weights([0.0 * weight for weight in model.get_weights()])
        return model

    return learn


@pytest.mark.parametrize("name", ["neural_ode", "cart_pole"])
def test_a_net_that_learned_nothing_is_caught(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example, compare = importlib.import_module(name), importlib.import_module("beside_torch")
    monkeypatch.setattr(compare, "INSTALLED", False)
    monkeypatch.setattr(example, "learn", forgotten(example.learn))
    assert not EXAMPLES[name](example.main(["--quick"]))


GRAPHS = {
    "residual": lambda found: found > 0.93,
    "two_towers": lambda found: found > 0.85,
    "variational": lambda found: found < 0.05,
    "gan": lambda found: found < 0.2,
    "siamese": lambda found: found > 0.85,
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER / "graphs")
    assert GRAPHS[name](importlib.import_module(name).main())


def test_every_graph_is_here() -> None:
    assert {path.stem for path in (FOLDER / "graphs").glob("*.py")} == {*GRAPHS}
