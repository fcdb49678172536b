"""Merge: what the layers that merge several inputs element by element have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nbdl import Layer
from nbdl.errors import ConfigError
from nbdl.program import same

if TYPE_CHECKING:
    from nbdl.program import Recorder, Shape, Tensor
    from nbdl.units import Builder


class Merge(Layer):
    """A layer of two inputs or more, element by element; one of one feature goes with all features of the others.

    A subclass records `merged(r, *xs)` and `gradients(r, xs, y, dy)`, a gradient for each input.
    """

    takes_several = True
    most: ClassVar[int | None] = None  # of the inputs

    def build(self, b: Builder, *shapes: Shape) -> Shape:
        most = self.most or len(shapes)
        if not 2 <= len(shapes) <= most:
            wanted = "two inputs" if self.most == 2 else "two inputs or more"
            raise ConfigError(f"{type(self).__name__} {self.name!r} merges {wanted}, got {len(shapes)}")
        found = max(shapes, key=lambda shape: (_size(shape), len(shape)))
        wrong = [shape for shape in shapes if shape != found and _size(shape) != 1]
        if wrong:
            raise ConfigError(
                f"{type(self).__name__} {self.name!r} merges rows of one shape, or of one feature: got "
                f"{', '.join(map(str, shapes))}"
            )
        return found

    def forward(self, r: Recorder, *xs: Tensor) -> tuple[Tensor, Any]:
        return self.merged(r, *xs), None

    def backward(self, r: Recorder, xs: Any, y: Tensor, dy: Tensor, saved: Any) -> Any:
        found = self.gradients(r, xs, y, dy)
        return tuple(
            r.sum(same, gradient, over="features") if x.features < gradient.features else gradient
            for x, gradient in zip(xs, found, strict=True)
        )

    def merged(self, r: Recorder, *xs: Tensor) -> Tensor:
        """Record y."""
        raise self.unwritten("merged")

    def gradients(self, r: Recorder, xs: tuple[Tensor, ...], y: Tensor, dy: Tensor) -> list[Tensor]:
        """Record the gradient of each input, as wide as y."""
        raise self.unwritten("gradients")


def _size(shape: Shape) -> int:
    size = 1
    for one in shape:
        size *= one
    return size
