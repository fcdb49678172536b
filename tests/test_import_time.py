"""What importing costs: the heavy packages are imported by what needs them, when it is called."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numba", "llvmlite", "scipy", "rich")
BUILD = (
    "from nbdl.layers import Dense, Dropout, Flatten; "
    "layers = [Flatten(input_shape=(4, 4)), Dense(8, activation='relu'), Dropout(0.5), Dense(3, activation='softmax')]"
)
HELP = """
import sys
from nbdl.cli import main
sys.argv = ['nbdl', '--help']
try:
    main()
except SystemExit as error:
    assert error.code == 0
"""
PAGES = "nbdl_reference.pages"  # of a package that units do not need, found by the same look-up
CASES = {
    "import nbdl": ("import nbdl", (*HEAVY, "numpy", "click", "pandas", "threadpoolctl")),
    "import nbdl's names": ("from nbdl import *", HEAVY),
    "layers without weights": (BUILD, (*HEAVY, PAGES)),
    "a model without an input shape": (
        BUILD.replace("input_shape=(4, 4)", "") + "; import nbdl; nbdl.Sequential(layers)",
        HEAVY,
    ),
    "help": (HELP, (*HEAVY, PAGES)),
    "version": (HELP.replace("--help", "--version"), (*HEAVY, "numpy")),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_heavy_is_imported(case: str) -> None:
    code, unwanted = CASES[case]
    report = f"{code}\nimport sys\nprint('\\nloaded:', *(name for name in {unwanted!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


def test_the_check_would_notice() -> None:
    report = "import nbdl.engine.compiler, sys\nprint([name for name in ('numba',) if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['numba']"
