"""The generated type stubs: up to date, and understood by a type checker as a user's editor would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbdl.units.registry import registry

ROOT = Path(__file__).resolve().parent.parent

GOOD = """
from nbdl import Sequential
from nbdl.activations import relu
from nbdl.callbacks import EarlyStopping
from nbdl.datasets import digits, mnist
from nbdl.layers import Activation, Dense, Dropout, Flatten
from nbdl.layers.core import Dense as CoreDense
from nbdl.losses import MeanSquaredError, mse
from nbdl.optimizers import SGD, Adam
from nbdl.regularizers import l2

model = Sequential([Flatten(input_shape=(28, 28)), Dense(500, activation="relu")])
model.add(CoreDense(input_dim=28 * 28, output_dim=500, init="glorot_uniform"))
model.add(Activation("sigmoid"))
model.add(Dropout(p=0.5))
model.add(Dense(10, kernel_regularizer=l2(0.1), name="last"))
model.compile(loss=mse(), optimizer=Adam(lr=0.1), metrics=["accuracy"])
units = (SGD(0.1, momentum=0.9), MeanSquaredError(), relu(negative_slope=0.1), EarlyStopping(patience=2))
(x, y), test = digits.load_data()
mnist.load_data(download=False)
width: int = Dense(1).units
loss: float = model.fit(x, y).history["loss"][0]
"""

# Each line, and a part of what the checker must say about it.
BAD = [
    ("import nbdl.layers", ""),
    ("from nbdl.layers import Dense, Dropout", ""),
    ("from nbdl.layers import Nope", 'no attribute "Nope"'),
    ("from nbdl.optimizers import Adamm", 'no attribute "Adamm"'),
    ("nbdl.layers.Nope", 'no attribute "Nope"'),
    ("Dense(unitz=3)", 'keyword argument "unitz"'),
    ("Dense()", "Dense"),
    ('Dense("500")', "Dense"),
    ("Dense(3, output_dim=3)", "Dense"),
    ("Dropout(rate=0.1, p=0.2)", "Dropout"),
    ("Dense(500).unitz", 'no attribute "unitz"'),
]


def docs(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run scripts/docs.py."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "docs.py"), *arguments], capture_output=True, text=True, timeout=120
    )


def test_what_is_generated_is_up_to_date() -> None:
    done = docs("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_check_names_a_stale_file_and_leaves_it(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    assert docs("--folder", str(tmp_path)).returncode == 0
    assert docs("--folder", str(tmp_path), "--check").returncode == 0
    stale = tmp_path / "nbdl" / "layers" / "core.pyi"
    stale.write_text("# of another time\n")
    done = docs("--folder", str(tmp_path), "--check")
    assert done.returncode == 1
    assert done.stdout.count("stale") == 1
    assert "nbdl/layers/core.pyi" in done.stdout
    assert stale.read_text() == "# of another time\n"


def test_every_stub_says_what_made_it() -> None:
    found = sorted((ROOT / "nbdl").rglob("*.pyi"))
    assert len(found) >= 12
    for path in found:
        assert "scripts/docs.py" in path.read_text().splitlines()[0], path


@pytest.mark.parametrize("kind", ["layers", "activations", "losses", "optimizers", "metrics", "datasets"])
def test_every_own_unit_has_a_stub(kind: str) -> None:
    path = ROOT / "nbdl" / ("layers/__init__.pyi" if kind == "layers" else f"{kind}.pyi")
    text = path.read_text()
    for entry in registry.entries(kind):
        if entry.owner.distribution == "nbdl":
            for name in (entry.name, *entry.aliases):
                assert any(form in text for form in (f"class {name}(", f"{name} = ", f" as {name}\n", f"{name}: ")), (
                    name
                )


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, list[str]]]:
    """What mypy says about the two files, by file and line."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("user")
    (folder / "good.py").write_text(GOOD)
    (folder / "bad.py").write_text("\n".join(line for line, _ in BAD) + "\n")
    cache = Path(os.environ.get("NBDL_CACHE", str(folder))) / "mypy"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent", "--no-error-summary",
         f"--cache-dir={cache}", "good.py", "bad.py"],
        cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")])},
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    said: dict[str, dict[int, list[str]]] = {"good.py": {}, "bad.py": {}}
    for line in done.stdout.splitlines():
        name, number, rest = line.split(":", 2)
        said[name].setdefault(int(number), []).append(rest)
    return said


def test_a_good_program_is_understood(checked: dict[str, dict[int, list[str]]]) -> None:
    assert checked["good.py"] == {}


@pytest.mark.parametrize("number", range(1, len(BAD) + 1))
def test_mistakes_are_found(checked: dict[str, dict[int, list[str]]], number: int) -> None:
    line, expected = BAD[number - 1]
    said = " ".join(checked["bad.py"].get(number, []))
    if expected:
        assert expected in said, line
    else:
        assert not said, line
