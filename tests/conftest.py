"""All tests of a user share one folder of compiled kernels, kept between runs; CUDA kernels run in the simulator."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path

import pytest

if not os.environ.get("NBDL_CACHE"):
    os.environ["NBDL_CACHE"] = str(Path(tempfile.gettempdir()) / f"nbdl-tests-{getpass.getuser()}")

# Before Numba is imported: device="cuda" is then Numba's simulator of a GPU. The CPU's kernels do not notice.
os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")

sys.path.insert(0, str(Path(__file__).parent))  # tests/naive


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave units in the simulator of a GPU, thread by thread in Python, to `-m long`: they take minutes together."""
    for item in items:
        if item.name.startswith("test_unit[") and "CUDA is the CPU" in item.name:
            item.add_marker(pytest.mark.long)
