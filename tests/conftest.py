"""All tests of a user share one folder of compiled kernels; kept between runs, so that a second run is quick."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path

if not os.environ.get("NBDL_CACHE"):
    os.environ["NBDL_CACHE"] = str(Path(tempfile.gettempdir()) / f"nbdl-tests-{getpass.getuser()}")

sys.path.insert(0, str(Path(__file__).parent))  # tests/naive.py
