"""A net without compiled code: what `model.as_njit()` returns where Numba's JIT is off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nbdl.data.checks import net_rows
from nbdl.data.columns import check_names
from nbdl.engine.store import Floats, Store
from nbdl.program.operation import Program

Runner = Callable[[str, list[Any], int], Floats]  # mode, arrays of rows, and the width of a result: rows × width


class PlainNet:
    """The same methods as `nbdl.engine.nets.net.Net`, run as plain Python."""

    def __init__(self, program: Program, store: Store, run: Runner, derivatives: bool) -> None:
        self._store = store
        self._run_rows = run
        self._derivatives = derivatives
        self.names: tuple[str, ...] | None = None
        assert program.output is not None
        self.inputs, self.outputs = program.inputs[0].features, program.output.features

    def _run(self, mode: str, width: int, *arrays: Any, out: Floats | None) -> Floats:
        self._store.refuse_if_stale()
        if mode == "derivative" and not self._derivatives:
            raise ValueError("the net was made without derivatives: use model.as_njit(derivatives=True)")
        check_names(self.names, arrays[0])
        passed = [net_rows(array, name) for array, name in zip(arrays, ("x", "dy"), strict=False)]
        rows = [np.atleast_2d(array) for array in passed]
        for array, features in zip(rows, (self.inputs, self.outputs), strict=False):
            if array.shape[1] != features:
                raise ValueError(f"a row has {array.shape[1]} features, the net takes {features}")
        result = self._run_rows(mode, rows, width)
        return _given(result[0] if passed[0].ndim == 1 else result, out)

    def __call__(self, x: Any, out: Floats | None = None) -> Floats:
        """The predictions of a row or of rows."""
        return self._run("predict", self.outputs, x, out=out)

    def vjp(self, x: Any, dy: Any, out: Floats | None = None) -> Floats:
        """f'(x)ᵀ·dy."""
        return self._run("derivative", self.inputs, x, dy, out=out)

    def jacobian(self, x: Any, out: Floats | None = None) -> Floats:
        """f'(x)."""
        check_names(self.names, x)
        rows = np.asarray(x, np.float32)
        if rows.ndim > 1:
            rows = net_rows(x, "x")
            each = [self.jacobian(row) for row in rows]
            return _given(np.array(each, np.float32).reshape(len(rows), self.outputs, self.inputs), out)
        return self.vjp(np.tile(rows, (self.outputs, 1)), np.eye(self.outputs, dtype=np.float32), out)


def _given(result: Floats, out: Floats | None) -> Floats:
    if out is None:
        return result
    np.copyto(out, result)
    return out
