"""A stranger's packages: wheels of nbdl and of three third parties' plugins, in an empty environment, from end to end.

    python scripts/thirdparty.py                # a temporary folder; exit status 1 at the first step that fails
    python scripts/thirdparty.py --folder work  # an empty folder, which stays, to look around in

The packages are those of tests/thirdparty: an activation of one file, layers, and a loss with an optimizer and a
command. Their wheels and nbdl's are built and installed together; then each package's own tests run, a net with units
of all of them is trained on the command line and in Python, saved, loaded by another process, which must predict the
same bits, and one package is removed. Each command is printed, with its seconds.

pip fetches what nbdl stands on, and pytest; PIP_FIND_LINKS and the like work as usual.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "tests" / "thirdparty"
PACKAGES = {"nbdl-snake": "nbdl_snake", "nbdl-calibration": "nbdl_calibration", "nbdl-robust": "nbdl_robust"}
REMOVED = "nbdl-snake"
ROWS, OUTLIERS = 400, (17, 123, 311)

TRAIN = """
import csv, hashlib
import numpy as np
import nbdl
from nbdl import activations, layers, losses, optimizers

rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(open("table.csv")))[1:]], np.float32)
x, y = rows[:, :2], rows[:, 2:]
net = [
    layers.PiecewiseLinear([-3.0, -1.0, 1.0, 3.0], input_dim=2),
    layers.Dense(16, activation=activations.snake(a=0.5)),
    layers.FactorizationMachine(4),
]
model = nbdl.Sequential(net, seed=1)
model.compile(optimizers.Yogi(0.02), losses.general_robust(alpha=0.0, c=0.5))
history = model.fit(x, y, epochs=30, verbose=0).history["loss"]
assert history[-1] < 0.5 * history[0], (history[0], history[-1])
model.save("python.nbdl")
print(hashlib.sha256(model.predict(x).tobytes()).hexdigest())
"""
PREDICT = """
import csv, hashlib
import numpy as np
import nbdl

rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(open("table.csv")))[1:]], np.float32)
print(hashlib.sha256(nbdl.load_model("python.nbdl").predict(rows[:, :2]).tobytes()).hexdigest())
"""
REFUSED = """
import nbdl

try:
    nbdl.load_model("python.nbdl")
except nbdl.errors.ConfigError as error:
    print(error)
"""


class StepFailed(Exception):
    """A command did not do what it should."""


@dataclass
class Stranger:
    """An environment of its own, in a folder outside of the checkout.

    Attributes:
        folder: everything is in it.
        steps: what was done: its title and its seconds.
    """

    folder: Path
    steps: list[tuple[str, float]] = field(default_factory=list)

    @property
    def wheels(self) -> Path:
        """Where wheels are built to."""
        return self.folder / "wheels"

    def tool(self, name: str) -> str:
        """A program of the environment."""
        return str(self.folder / "environment" / "bin" / name)

    def run(
        self, title: str, *command: str | Path, cwd: Path | None = None, code: int = 0, says: tuple[str, ...] = ()
    ) -> str:
        """Run a command and print it.

        Args:
            title: for the report.
            cwd: the folder's "work" by default.
            code: the exit status that it must have; -1: any but 0 and 1, which is a crash's.
            says: texts that its output must hold.

        Returns:
            Its standard output.

        Raises:
            StepFailed: another exit status, or a text is missing.
        """
        shown = " ".join(self._shown(str(part)) for part in command)
        began = time.perf_counter()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("NBDL_", "PYTHON"))}
        environment["NBDL_CACHE"] = str(self.folder / "cache")
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd or self.folder / "work", env=environment, capture_output=True,
            text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        seconds = time.perf_counter() - began
        self.steps.append((title, seconds))
        print(f"{seconds:7.1f} s  {title}: {shown}", flush=True)
        said = done.stdout + done.stderr
        right = done.returncode not in (0, 1) if code == -1 else done.returncode == code
        missing = [text for text in says if text not in said]
        if not right or missing or ("Traceback" in said and code):
            why = f"exit status {done.returncode}" if not right else f"it does not say {missing}" if missing else ""
            raise StepFailed(f"{title}: {why or 'a traceback'}\n{said}")
        return done.stdout

    def _shown(self, part: str) -> str:
        """A part of a command, without the folder, and a program in one line."""
        return "'...'" if "\n" in part else part.replace(f"{self.folder}/", "").replace("environment/bin/", "")


def build(stranger: Stranger) -> None:
    """Wheels, from copies: a build writes beside its sources."""
    for name, source in {"nbdl": ROOT, **{name: SOURCES / name for name in PACKAGES}}.items():
        copy = stranger.folder / "sources" / name
        shutil.copytree(
            source, copy, ignore=shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "tests", "build")
        )
        stranger.run(
            f"build {name}", sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", stranger.wheels, copy
        )


def install(stranger: Stranger) -> None:
    """nbdl alone, which must do without any of them, then the packages."""
    stranger.run("an empty environment", sys.executable, "-m", "venv", stranger.folder / "environment")
    (own,) = stranger.wheels.glob("nbdl-[0-9]*.whl")
    stranger.run("install nbdl", stranger.tool("pip"), "install", "-q", own)
    stranger.run("train without plugins", stranger.tool("nbdl"), "train", "digits")
    stranger.run("list without plugins", stranger.tool("nbdl"), "plugins", says=("standard",))
    stranger.run("doctor", stranger.tool("nbdl"), "doctor")
    others = sorted(set(stranger.wheels.glob("*.whl")) - {own})
    stranger.run("install the packages", stranger.tool("pip"), "install", "-q", *others, "pytest>=8")
    stranger.run("list with plugins", stranger.tool("nbdl"), "plugins", says=tuple(PACKAGES))


def own_tests(stranger: Stranger) -> None:
    """Each package's tests, without its sources beside them, and the examples in its docstrings."""
    for name, module in PACKAGES.items():
        folder = stranger.folder / "tests" / name
        folder.mkdir(parents=True)
        for path in [SOURCES / name / "pyproject.toml", *(SOURCES / name).glob("test_*.py")]:
            shutil.copy(path, folder)
        stranger.run(f"tests of {name}", stranger.tool("python"), "-m", "pytest", "-q", "-p", "no:cacheprovider",
                     "--doctest-modules", ".", "--pyargs", module, cwd=folder, says=(" passed",))  # fmt: skip
        stranger.run(f"check {name}", stranger.tool("nbdl"), "plugins", "check", name)
    stranger.run("look for broken plugins", stranger.tool("nbdl"), "plugins", "doctor")


def write_table(path: Path) -> None:
    """y of two numbers, a few of which are far off."""
    rng = random.Random(1)
    lines = ["u,v,y"]
    for row in range(1, ROWS + 1):
        u, v = rng.uniform(-3.0, 3.0), rng.uniform(-3.0, 3.0)
        y = math.sin(2.0 * u) + 0.3 * v + rng.gauss(0.0, 0.05) + (25.0 if row in OUTLIERS else 0.0)
        lines.append(f"{u:.5f},{v:.5f},{y:.5f}")
    path.write_text("\n".join(lines) + "\n")


def train(stranger: Stranger) -> None:
    """On the command line and in Python; another process predicts the same bits."""
    write_table(stranger.folder / "work" / "table.csv")
    nbdl, python = stranger.tool("nbdl"), stranger.tool("python")
    stranger.run("train on the command line", nbdl, "train", "table.csv", "--target", "y", "--arch", "2-16:snake-1",
                 "--loss", "general_robust", "--optimizer", "Yogi", "--epochs", "60", "-o", "cli.nbdl")  # fmt: skip
    answers = [stranger.run("predict", nbdl, "predict", "cli.nbdl", "table.csv") for _ in range(2)]
    require(answers[0] == answers[1] and answers[0].count("\n") == ROWS + 1, "two processes predict differently")
    text = stranger.run("a plugin's command", nbdl, "outliers", "cli.nbdl", "table.csv", "--top", "3", "--json")
    found = {row["row"] for row in json.loads(text)}
    require(found == set(OUTLIERS), f"the outliers are rows {sorted(OUTLIERS)}, found: {sorted(found)}")
    digest = stranger.run("train in Python", python, "-W", "error", "-c", TRAIN)
    again = stranger.run("load in another process", python, "-W", "error", "-c", PREDICT)
    require(digest == again, "the loaded model predicts other bits")


def remove_one(stranger: Stranger) -> None:
    """Models that need the removed package say what to install; all else goes on."""
    stranger.run("remove a package", stranger.tool("pip"), "uninstall", "-q", "-y", REMOVED)
    needed = (f"pip install {REMOVED}==",)
    nbdl = stranger.tool("nbdl")
    stranger.run("predict without it", nbdl, "predict", "cli.nbdl", "table.csv", code=-1, says=needed)
    said = stranger.run("load without it", stranger.tool("python"), "-c", REFUSED, says=needed)
    print(f"           it says: {said.strip()}")
    stranger.run("train something else", nbdl, "train", "table.csv", "--target", "y", "--loss", "general_robust")


def require(right: bool, otherwise: str) -> None:
    """Raise StepFailed unless that is so."""
    if not right:
        raise StepFailed(otherwise)


PARTS: tuple[Callable[[Stranger], None], ...] = (build, install, own_tests, train, remove_one)


def main() -> int:
    """All parts; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which stays")
    given = parser.parse_args().folder
    if given is not None and given.exists() and any(given.iterdir()):
        parser.error(f"{given} is not empty")
    folder = (given or Path(tempfile.mkdtemp(prefix="nbdl-stranger-"))).resolve()
    (folder / "work").mkdir(parents=True)
    stranger = Stranger(folder)
    try:
        for part in PARTS:
            part(stranger)
    except StepFailed as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)
    total = sum(seconds for _, seconds in stranger.steps)
    print(f"{len(stranger.steps)} commands in {total:.0f} s, all as they should be")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
