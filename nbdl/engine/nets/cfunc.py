"""Trained nets as C functions: what `model.as_cfunc()` returns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import register_jitable

from nbdl.engine.compiler import c_function
from nbdl.engine.cpu.intrinsics import word
from nbdl.engine.nets import plans
from nbdl.engine.nets.net import Net
from nbdl.engine.nets.numba_type import address_of
from nbdl.engine.nets.plans import STALE
from nbdl.errors import ConfigError

FORMS = {
    "float": types.void(types.CPointer(types.float32), types.CPointer(types.float32)),
    "double": types.void(types.CPointer(types.float64), types.CPointer(types.float64)),
    "quad": types.float64(types.intc, types.CPointer(types.float64)),
}


def as_cfunc(net: Net, form: str) -> Any:
    """A C function around a net; see `Sequential.as_cfunc`."""
    if form not in FORMS:
        raise ConfigError(f"as_cfunc: form is one of {', '.join(map(repr, FORMS))}, got {form!r}")
    if form == "quad" and net.outputs != 1:
        raise ConfigError(f"as_cfunc: a function for scipy.integrate gives one number, this net {net.outputs}")
    inputs, outputs = net.inputs, net.outputs

    def filled(x: Any, y: Any) -> None:
        row, result = np.empty(inputs, np.float32), np.empty(outputs, np.float32)
        for i in range(inputs):
            row[i] = x[i]
        if word(word(address_of(net), STALE), 0) != 0:
            result[:] = np.nan  # C knows no exceptions
        else:
            try:
                plans.predict_row(address_of(net), row, result)
            except Exception:
                result[:] = np.nan
        for i in range(outputs):
            y[i] = result[i]

    fill = register_jitable(filled)

    def double(x: Any, y: Any) -> None:
        fill(carray(x, inputs), carray(y, outputs))

    def quad(n: int, x: Any) -> float:
        result = np.full(1, np.nan)
        if n == inputs:
            fill(carray(x, inputs), result)
        return float(result[0])

    return c_function(FORMS[form], quad if form == "quad" else double)
