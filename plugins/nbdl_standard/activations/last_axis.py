"""What activations that go over the features of a row share."""

from __future__ import annotations

from nbdl import Activation
from nbdl.errors import ConfigError

Shape = tuple[int, ...]


class LastAxis(Activation):
    """An activation over all features of a row at once.

    Args:
        axis: -1, or 1, which is the same: rows are vectors here.

    Raises:
        ConfigError: another axis; or, where a model is built, rows are not vectors.
    """

    def __init__(self, axis: int = -1) -> None:
        if axis not in (-1, 1):
            raise ConfigError(f"{self.unit_name}: it goes over the last axis of vectors, axis=-1, got axis={axis!r}")

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise ConfigError(
                f"{self.unit_name} takes vectors, its input has shape (None, {', '.join(map(str, shape))}): add "
                "Flatten() before it, and Reshape(...) after it if the shape is needed"
            )
        return shape
