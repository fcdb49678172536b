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


# What takes long and rarely fails: `.ci/run` runs it, or a sample of it, by `-m long`.
LONG_FILES = ("test_cuda_training.py", "test_cuda_runtime.py")  # in the simulator of a GPU, thread by thread in Python
LONG_TESTS = (
    "test_wrong_products_of_the_library_are_found", "test_a_device_that_is_not_lost_is_noticed",
    "test_it_is_seen_which_products_ran_and_that_they_were_in_graphs", "test_the_sanitizers_run_in_the_simulator",
    "test_a_lost_device_leaves_the_last_epoch", "test_a_lost_device_that_spoils_the_weights_is_found",
    "test_a_packages_own_tests_pass", "test_the_packages_pass_their_own_tests_as_their_ci_runs_them",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to `-m long` what takes minutes together, units in the simulator of a GPU among it."""
    for item in items:
        simulated = item.name.startswith("test_unit[") and "CUDA is the CPU" in item.name
        if simulated or item.path.name in LONG_FILES or item.name.partition("[")[0] in LONG_TESTS:
            item.add_marker(pytest.mark.long)
