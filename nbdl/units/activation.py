"""Activation: y = f(x), applied to the outputs of a layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from nbdl.units.unit import Scalar, Unit

if TYPE_CHECKING:
    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor

# Where activations are tried, to see what they give.
SAMPLES = (0.0, 1e-3, 0.1, 0.3, 0.5, 0.7, 1.0, 1.3, 2.0, 3.0, 5.0, 10.0, 20.0, 100.0, 1e4)


class Activation(Unit):
    """y = f(x), applied to the outputs of a layer.

    Attributes:
        output_range: the least and the largest y, None where that is not known; of scalar functions it is found out.
        adds_up: whether the y of a row add up to 1.
    """

    kind = "activations"
    adds_up: ClassVar[bool] = False

    @property
    def output_range(self) -> tuple[float, float] | None:
        return (0.0, 1.0) if self.adds_up else None

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        """Record y = f(x); return y and what `backward` needs."""
        raise self.unwritten("forward")

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        """Record dx = dy·f'(x)."""
        raise self.unwritten("backward")

    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one row of y, given that of one row of x. For nearly all it is the same.

        Raises:
            ConfigError: x cannot have that shape.
        """
        return shape


class ElementwiseActivation(Activation):
    """An activation from scalar f(x, ...) and df(x, y, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    @property
    def output_range(self) -> tuple[float, float] | None:
        found = []
        for x in (*SAMPLES, *(-x for x in SAMPLES)):
            try:
                found.append(float(self.functions[0](x, *self.parameters.values())))
            except (ArithmeticError, ValueError, TypeError):  # outside the domain: Python raises, or gives a complex
                continue
            except Exception:  # the compiler says what is wrong with the function, and where
                return None
        found = [y for y in found if not math.isnan(y)]
        return (min(found), max(found)) if found else None

    def forward(self, r: Recorder, x: Tensor) -> tuple[Tensor, Any]:
        return r.map(self.functions[0], x, *self.parameters.values()), None

    def backward(self, r: Recorder, x: Tensor, y: Tensor, dy: Tensor, saved: Any) -> Tensor:
        return r.chain_rule(self.functions[1], dy, x, y, *self.parameters.values())
