"""All tests of a user share one folder of compiled kernels, kept between runs; CUDA kernels run in the simulator."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path

if not os.environ.get("NBDL_CACHE"):
    os.environ["NBDL_CACHE"] = str(Path(tempfile.gettempdir()) / f"nbdl-tests-{getpass.getuser()}")

# Before Numba is imported: device="cuda" is then Numba's simulator of a GPU. The CPU's kernels do not notice.
os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")

sys.path.insert(0, str(Path(__file__).parent))  # tests/naive
