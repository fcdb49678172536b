"""How long a stranger takes to make a plugin: from an empty folder to a package that passes its tests and trains a net.

    python scripts/stopwatch.py                     # with nbdl from this checkout
    python scripts/stopwatch.py --nbdl dist/x.whl   # with a wheel; or a name, from the package index

Every command is run as it is printed, in a new environment and with an empty cache of kernels. The edit is what a user
would do: other formulas, and what the docstring says of them. The first step that fails ends it, with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "nbdl", "plugins")
PACKAGE = "nbdl-my-activation"
MODULE = "nbdl_my_activation.py"

EDIT = (  # what the template says, and what the user makes of it
    ("the square of what is positive", "a sigmoid through 0 without an exponential"),
    ("y = max(x, 0)²", "y = x/√(1 + x²)"),
    ("So et al. 2021, Primer: Searching for Efficient Transformers.", "Carlile et al. 2017, ISRU and ISRLU."),
    ("from typing import Any", "import math\nfrom typing import Any"),
    ("    r = max(x, 0.0)\n    return r * r\n", "    return x / math.sqrt(1.0 + x * x)\n"),
    ("    return 2.0 * max(x, 0.0)\n", "    r = 1.0 / math.sqrt(1.0 + x * x)\n    return r * r * r\n"),
)


class Failed(Exception):
    """A step failed; the text is what it printed."""


def edit(folder: Path) -> str:
    """Replace the template's formulas by others."""
    path = folder / PACKAGE / MODULE
    text = path.read_text(encoding="utf-8")
    for old, new in EDIT:
        if text.count(old) != 1:
            raise Failed(f"{MODULE} should hold once: {old!r}")
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return ""


def shell(command: str, within: str = "") -> Callable[[Path], str]:
    """A step that runs a command line as a user types it, in the user's folder or one within; gives the last line."""

    def run(folder: Path) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder / within,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(done.stdout + done.stderr)
        return done.stdout.rstrip().rpartition("\n")[2].strip()

    return run


def environment(folder: Path) -> dict[str, str]:
    """The user's: the new environment activated, and nothing of this one's settings for Python and nbdl."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NBDL_", "PYTHON", "NUMBA_"))}
    path = f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "VIRTUAL_ENV": str(folder / "venv"), "NBDL_CACHE": str(folder / "cache")}


def steps(nbdl: str) -> list[tuple[str, Callable[[Path], str]]]:
    """What is done, as it is printed, in order."""
    outside = (
        f"{sys.executable} -m venv venv",
        f"pip install -q {nbdl}",
        "nbdl plugins new my_activation --kind activation",
    )
    inside = (
        "pip install -q -e '.[test]'",
        "python -m pytest -q",
        "nbdl train digits --arch 64-32:my_activation-10:softmax",
        f"nbdl plugins check {PACKAGE}",
    )
    return [
        *((command, shell(command)) for command in outside),
        (f"two other formulas in {MODULE}", edit),
        *((command, shell(command, PACKAGE)) for command in inside),
    ]


def copied(folder: Path) -> Path:
    """A copy of what the package is built from: a build writes beside its sources."""
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder)
    return folder


def main() -> int:
    """Run all steps; print each with its seconds."""
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nbdl", metavar="WHAT", help="what pip is given for nbdl; by default this checkout")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nbdl-stopwatch-") as scratch:
        folder = Path(scratch, "work")
        folder.mkdir()
        nbdl = arguments.nbdl or str(copied(Path(scratch, "nbdl")))
        if nbdl.endswith(".whl"):
            nbdl = str(Path(nbdl).resolve())
        total = 0.0
        print("| command | seconds | its last line |\n|---|---:|---|")
        for title, step in steps(nbdl):
            began = time.perf_counter()
            try:
                said = step(folder)
            except Failed as error:
                print(f"| `{title}` | failed | |\n\n{error}", flush=True)
                return 1
            seconds = time.perf_counter() - began
            total += seconds
            shown = title.replace(scratch, "..").replace(sys.executable, "python3")
            print(f"| `{shown}` | {seconds:.1f} | {said.replace('|', ' ')} |", flush=True)
        print(f"| all | {total:.1f} | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
