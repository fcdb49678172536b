"""Which executor runs a program: compiled kernels, or plain Python where Numba's JIT is off."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from nbdl.engine.batches import Batches
from nbdl.engine.program import Program
from nbdl.engine.store import Floats, Store

__all__ = ["Batches", "checked", "device", "make", "make_checked"]


def device() -> str:
    """ "reference" under `NUMBA_DISABLE_JIT=1`, else "cpu"."""
    return "reference" if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0") else "cpu"


def checked() -> bool:
    """Whether `NBDL_CHECK=1` asks that every operation's results be looked at."""
    return os.environ.get("NBDL_CHECK") == "1"


def make(program: Program, store: Store, rows: int, gathered: Sequence[str | None], slots: Floats | None = None) -> Any:
    """An executor for up to `rows` rows a step."""
    if device() == "reference":
        from nbdl.engine.reference import ReferenceExecutor

        return ReferenceExecutor(program, store, rows, gathered, slots)
    from nbdl.engine.cpu import Executor

    return Executor(program, store, rows, gathered, slots)


def make_checked(
    program: Program, store: Store, rows: int, gathered: Sequence[str | None], slots: Floats | None = None
) -> Any:
    """An executor that runs one operation at a time and looks at what each wrote."""
    if device() == "reference":
        from nbdl.engine.reference import ReferenceExecutor

        return ReferenceExecutor(program, store, rows, gathered, slots, check=True)
    from nbdl.engine.checked import CheckedExecutor

    return CheckedExecutor(program, store, rows, gathered, slots)
