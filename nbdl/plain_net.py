"""A net without compiled code: what `model.as_njit()` returns where Numba's JIT is off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nbdl.engine.store import Floats
from nbdl.inference import run_rows

if TYPE_CHECKING:
    from nbdl.model import Sequential


class PlainNet:
    """The same methods as `nbdl.net.Net`, run as plain Python."""

    def __init__(self, model: Sequential) -> None:
        self._model, self._store = model, model.store
        program = model.program("predict")
        assert program.output is not None
        self.inputs, self.outputs = program.inputs[0].features, program.output.features

    def _run(self, what: str, width: int, *arrays: Any, out: Floats | None) -> Floats:
        if self._store.stale[0]:
            raise RuntimeError("the model has other layers now than when as_njit() was called: call it again")
        given = [np.asarray(array, np.float32) for array in arrays]
        rows = [np.ascontiguousarray(array.reshape(1, -1) if array.ndim == 1 else array) for array in given]
        for array, features in zip(rows, (self.inputs, self.outputs), strict=False):
            if array.shape[1] != features:
                raise ValueError(f"a row has {array.shape[1]} features, the net takes {features}")
        result = run_rows(self._model, what, rows, width)
        return _given(result[0] if given[0].ndim == 1 else result, out)

    def __call__(self, x: Any, out: Floats | None = None) -> Floats:
        """The predictions of a row or of rows."""
        return self._run("predict", self.outputs, x, out=out)

    def vjp(self, x: Any, dy: Any, out: Floats | None = None) -> Floats:
        """f'(x)ᵀ·dy."""
        return self._run("derivative", self.inputs, x, dy, out=out)

    def jacobian(self, x: Any, out: Floats | None = None) -> Floats:
        """f'(x)."""
        rows = np.asarray(x, np.float32)
        if rows.ndim > 1:
            return _given(np.stack([self.jacobian(row) for row in rows]), out)
        return self.vjp(np.tile(rows, (self.outputs, 1)), np.eye(self.outputs, dtype=np.float32), out)


def _given(result: Floats, out: Floats | None) -> Floats:
    if out is None:
        return result
    np.copyto(out, result)
    return out
