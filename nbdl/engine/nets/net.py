"""Trained nets that compiled code calls: what `model.as_njit()` returns."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy import empty, ndarray

from nbdl.data.checks import net_rows
from nbdl.engine.nets import plans
from nbdl.engine.nets.plans import INPUTS, OUTPUTS, Plans, from_python
from nbdl.engine.store import Floats

FLOAT32 = np.dtype(np.float32)


class Net:
    """A model's predictions and their derivatives, for compiled code and for Python.

    `net(x)` takes a row (one dimension) or rows × features, in any `@njit` function too, also in `prange`. It sees the
    model's weights as they are: training goes on, and so does the net. With other layers it is refused.

    Numba loses exceptions within `prange`: try the shapes once outside, and pass the net as an argument, so that one
    whose model has other layers is refused before the loop begins. Results are float32: in `x = x + h * net(x)` let x
    be float64, or h a `np.float32`, or Numba finds two types for x.

    It does not look at what it is given: infinity and NaN go through, an integer that an Embedding has no row for gives
    NaN, and a number that is not whole stands for the nearest. `model.predict` refuses all of these.

    Attributes:
        inputs, outputs: features of a row.

    >>> import numpy as np, nbdl
    >>> from numba import njit
    >>> model = nbdl.Sequential([nbdl.layers.Dense(2, input_dim=3, activation="tanh")], seed=1)
    >>> net = model.as_njit(derivatives=True)
    >>> @njit
    ... def twice(net, x):
    ...     return net(x) + net(-x)
    >>> bool(np.allclose(twice(net, np.ones(3, np.float32)), 0.0))
    True
    >>> net.jacobian(np.ones(3)).shape
    (2, 3)
    """

    def __init__(self, plans: Plans) -> None:
        self._plans, self._address = plans, plans.address
        self.names: tuple[str, ...] | None = None  # of the model's columns, where it has some
        self.inputs, self.outputs = int(plans.words[INPUTS]), int(plans.words[OUTPUTS])

    @property
    def address(self) -> int:
        """Where its words lie, for the compiler.

        Raises:
            RuntimeError: the model has other layers now."""
        self._plans.store.refuse_if_stale()
        return self._address

    @functools.cached_property
    def _row(self) -> Callable[..., None]:
        compiled: Callable[..., None] = from_python(plans.predict_row)
        return compiled

    @functools.cached_property
    def _rows(self) -> Callable[..., None]:
        compiled: Callable[..., None] = from_python(plans.predict_rows)
        return compiled

    def __call__(self, x: Any, out: Floats | None = None) -> Floats:
        """The predictions.

        Args:
            x: a row of `inputs` numbers, or rows; float32 that lies row by row is taken as it is, else copied.
            out: where they go, an array of their shape; by default a new float32 one.

        Raises:
            ValueError: a row has another number of features.
            RuntimeError: the model has other layers than when the net was made.
        """
        if out is None and type(x) is ndarray and x.dtype is FLOAT32:
            try:
                if x.ndim == 1:
                    result = empty(self.outputs, "f")  # a type as text is found twice as fast
                    self._row(self._address, x, result)
                else:
                    result = empty((len(x), self.outputs), "f")
                    self._rows(self._address, x, result)
                return result
            except TypeError:
                pass  # not contiguous, read-only, or of other dimensions
        rows = net_rows(x, "x", self.names)
        function = plans.predict_row if rows.ndim == 1 else plans.predict_rows
        return self._run(function, (*rows.shape[:-1], self.outputs), rows, out=out)

    def vjp(self, x: Any, dy: Any, out: Floats | None = None) -> Floats:
        """dx = f'(x)ᵀ·dy, the gradient by the inputs of what has the gradient dy by the outputs; row by row."""
        rows, gradients = net_rows(x, "x", self.names), net_rows(dy, "dy")
        if rows.ndim != gradients.ndim:
            raise ValueError(f"x has {rows.ndim} dimensions and dy {gradients.ndim}: one row each, or as many rows")
        function = plans.vjp_row if rows.ndim == 1 else plans.vjp_rows
        return self._run(function, rows.shape, rows, gradients, out=out)

    def jacobian(self, x: Any, out: Floats | None = None) -> Floats:
        """f'(x): outputs × inputs, of rows rows × outputs × inputs; as many vjp's at once as there are outputs."""
        rows = net_rows(x, "x", self.names)
        function = plans.jacobian_row if rows.ndim == 1 else plans.jacobian_rows
        return self._run(function, (*rows.shape[:-1], self.outputs, self.inputs), rows, out=out)

    def _run(self, function: Any, shape: tuple[int, ...], *arrays: Floats, out: Floats | None) -> Floats:
        result = np.empty(shape, np.float32)
        from_python(function)(self._address, *arrays, result)
        if out is None:
            return result
        if not isinstance(out, np.ndarray):
            raise TypeError(f"out is an array, got {type(out).__name__}")
        if out.shape != shape:
            raise ValueError(f"out has the shape {out.shape}, the result {shape}")
        out[...] = result
        return out

    def __repr__(self) -> str:
        return f"Net({self.inputs} → {self.outputs})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a net holds addresses of this process: pickle or save the model, and call as_njit() there")
