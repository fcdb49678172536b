"""The engine: programs of four operations, scheduled onto compiled kernels.

program (what) → schedule (how) → cpu (run). `kernel` wraps the compiler, `scalar` turns plain Python functions
into float32 source, `reference` runs a program line by line in plain Python. No module here knows a unit.
"""

from typing import TYPE_CHECKING, Any

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Keras 1 and 2 have layers and models here."""
        from nbdl.plugins.keras_paths import elsewhere, missing

        if name.islower():  # a module of the engine, for which `from nbdl.engine import` asks before it imports it
            raise missing(__name__, name)
        return elsewhere(__name__, name, ("models", "layers"))
