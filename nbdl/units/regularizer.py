"""Regularizer and Constraint: penalties on weights, and projections of weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from nbdl.units.unit import Scalar, Unit

if TYPE_CHECKING:
    from nbdl.program.recorder import Recorder
    from nbdl.program.tensor import Tensor


class Regularizer(Unit):
    """A penalty on a weight, added to the loss: elementwise, from scalar penalty(w, ...), gradient(w, ...)."""

    kind = "regularizers"

    def penalty(self, r: Recorder, w: Tensor) -> Tensor:
        """Record the penalty: one scalar."""
        raise self.unwritten("penalty")

    def gradient(self, r: Recorder, w: Tensor, g: Tensor) -> Tensor:
        """Record g + the derivative of the penalty."""
        raise self.unwritten("gradient")


class Constraint(Unit):
    """A projection of a weight after each update."""

    kind = "constraints"

    def project(self, r: Recorder, w: Tensor) -> Tensor:
        """Record the projected weight."""
        raise self.unwritten("project")


class ElementwiseRegularizer(Regularizer):
    """A regularizer from scalar penalty(w, ...) and gradient(w, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def penalty(self, r: Recorder, w: Tensor) -> Tensor:
        return r.total(self.functions[0], w, *self.parameters.values())

    def gradient(self, r: Recorder, w: Tensor, g: Tensor) -> Tensor:
        return r.add_to(g, self.functions[1], w, *self.parameters.values())


class ElementwiseConstraint(Constraint):
    """A constraint from scalar project(w, ...)."""

    functions: ClassVar[tuple[Scalar, ...]] = ()
    parameters: dict[str, float]

    def project(self, r: Recorder, w: Tensor) -> Tensor:
        return r.map(self.functions[0], w, *self.parameters.values())
