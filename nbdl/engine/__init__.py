"""The engine: programs of four operations, scheduled onto compiled kernels.

A program (`nbdl.program`) is scheduled and lowered (`cpu`, `cuda`), run by an executor, and becomes a net for compiled
code (`nets`) or C (`c`). `compiler` wraps Numba, `emit` turns plain Python functions into the text of kernels,
`reference` runs a program line by line in plain Python. No module here knows a unit.
"""

from typing import TYPE_CHECKING, Any

from nbdl import loader

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Keras 1 and 2 have layers and models here."""
        return loader.find_keras_name(__name__, name)
