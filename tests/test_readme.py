"""The README's programs run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbdl
from nbdl.testing.subject import CLASS_KINDS
from nbdl.units.registry import registry

README = (Path(__file__).parent.parent / "README.md").read_text()
PROGRAM, VOCABULARY, GRAPH, COMPILED, ENCODED, PLUGIN = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_graph() -> None:
    scope: dict[str, Any] = {}
    exec(compile(GRAPH, "README.md", "exec"), scope)
    assert set(scope["history"]) == {"loss", "digit_loss", "size_loss"}
    assert scope["digit"].shape == (256, 10)
    assert scope["size"].shape == (256, 1)
    assert np.isfinite(scope["loss"])


def test_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    nbdl.set_random_seed(1)
    scope: dict[str, object] = {}
    exec(compile(PROGRAM, "README.md", "exec"), scope)
    out = capsys.readouterr().out
    assert float(out.rsplit("Accuracy of Testing Set:", 1)[1]) > 0.85
    assert nbdl.load_model(tmp_path / "digits.nbdl").count_params() == 288_010


def test_the_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "vocabulary.py").write_text(VOCABULARY)
    subprocess.run([sys.executable, "vocabulary.py"], cwd=tmp_path, check=True, timeout=120)
    assert nbdl.load_model(tmp_path / "best.nbdl").metrics_names == ["loss", "auc", "f1_score"]


def rows() -> dict[str, set[str]]:
    """The table of units: kind, and the names in its row."""
    found = re.findall(r"^\| \[(\w+)\]\(scripts/docs/reference/\w+\.md\) \| (`.*) \|$", README, re.MULTILINE)
    return {kind: set(re.findall(r"`(\w+)`", text)) for kind, text in found}


@pytest.mark.parametrize("kind", list(rows()))
def test_the_table_names_every_unit(kind: str) -> None:
    named = {entry.name for entry in registry.entries(kind) if entry.owner.distribution == "nbdl"}
    assert named == rows()[kind]


def test_the_table_has_every_kind_that_models_are_made_of() -> None:
    assert set(rows()) >= {kind for kind in CLASS_KINDS if registry.entries(kind)}


def test_the_compiled_code(tmp_path: Path) -> None:
    (tmp_path / "simulation.py").write_text(COMPILED)
    outputs = {subprocess.check_output([sys.executable, "simulation.py"], cwd=tmp_path, timeout=120) for _ in range(2)}
    assert len(outputs) == 1
    assert list(tmp_path.glob("__pycache__/simulation.simulate*.nbc")), "Numba did not cache the user's function"


def test_a_model_of_the_command_line_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = pd.DataFrame(np.random.default_rng(0).normal(50, 9, (200, 2)), columns=["area", "age"])
    rows["price"] = 3 * rows.area - rows.age + 0.5
    rows.to_csv("table.csv", index=False)
    command = [sys.executable, "-m", "nbdl"]
    training = ["train", "table.csv", "--target", "price", "-o", "price.nbdl", "-q"]
    subprocess.run([*command, *training], check=True, timeout=120)
    printed = subprocess.check_output([*command, "predict", "price.nbdl", "table.csv"], text=True, timeout=120)
    for given in (rows[["price", "age", "area"]], dict(rows), rows[["area", "age"]].to_numpy()):
        scope: dict[str, Any] = {"nbdl": nbdl, "rows": given}
        exec(compile(ENCODED, "README.md", "exec"), scope)
        np.testing.assert_allclose(scope["answers"], [float(line) for line in printed.split()[1:]], rtol=1e-6)
        assert np.corrcoef(scope["answers"], rows.price)[0, 1] > 0.9


USE_PLUGIN = """
import numpy as np
import nbdl, readme_plugin
from nbdl.layers import Dense

nbdl.register(readme_plugin)
model = nbdl.Sequential([Dense(3, activation="my_softplus", input_dim=2)], seed=1)
x = np.linspace(-3, 3, 8, dtype=np.float32).reshape(4, 2)
kernel, bias = model.get_weights()
np.testing.assert_allclose(model.predict(x), np.log1p(np.exp(x @ kernel + bias)), rtol=1e-5)
"""


def test_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "readme_plugin.py").write_text(PLUGIN)
    subprocess.run([sys.executable, "-c", USE_PLUGIN], cwd=tmp_path, check=True, timeout=120)


def test_the_two_commands_are_there_for_ci() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("nbdl train digits")
    assert commands[1].endswith("-m pytest")
