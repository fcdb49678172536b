"""fit, evaluate and predict: inputs, batches, steps, callbacks and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.training.inputs import acting as acting
    from nbdl.units.spellings import spelling as spelling

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.training.inputs": "acting",
        "nbdl.units.spellings": "spelling",
    },
)
