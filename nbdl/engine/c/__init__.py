"""Programs as C source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.engine.c.program import CProgram as CProgram
    from nbdl.engine.c.scalar import comment_text as comment_text
    from nbdl.engine.c.scalar import identifier as identifier
    from nbdl.engine.c.scalar import literal as literal
    from nbdl.engine.random import uniform as uniform
    from nbdl.engine.trial import rehearse as rehearse

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.engine.c.program": "CProgram",
        "nbdl.engine.c.scalar": "comment_text identifier literal",
        "nbdl.engine.random": "uniform",
        "nbdl.engine.trial": "rehearse",
    },
)
