"""What a run goes through, and what it reports: the same for every executor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nbdl.engine.store import Floats
from nbdl.program.operation import Operation

Words = NDArray[np.int64]

# Columns of a table of steps: the first row, how many rows, the step's number from 1, the address of the rows' indices.
FIRST_ROW, ROW_COUNT, STEP_NUMBER, INDICES = range(4)
STEP_WORDS = 4


@dataclass
class RunTables:
    """What one run goes through.

    Attributes:
        steps: one row a step: first row, number of rows, step counter, address of the step's indices (or 0).
        scalars: one row a step, in the order of the program's scalars.
        log: one row a step; written by the run.
        sources: the data arrays, in the order of the program's inputs.
        output: where predictions go, or None.
        seed: 64 bits.
    """

    steps: Words
    scalars: Floats
    log: Floats
    sources: Sequence[NDArray[Any]]
    output: Floats | None = None
    seed: int = 0


@dataclass
class RunReport:
    """How far a run came: steps done, and the operation that stopped it, or None."""

    steps: int
    stopped_by: Operation | None = None


@dataclass
class Finding:
    """What a checked run found: the first operation whose result is not finite, and "NaN" or "infinity"."""

    operation: Operation
    value: str
