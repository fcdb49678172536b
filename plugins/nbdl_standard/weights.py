"""Weights whose initializer, regularizer and constraint are arguments of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl import Layer
    from nbdl.program import Shape, Tensor
    from nbdl.units import Builder

KINDS = ("initializer", "regularizer", "constraint")


def keep(layer: Layer, weight: str, initializer: Any, regularizer: Any, constraint: Any) -> None:
    """Set `{weight}_initializer`, `{weight}_regularizer` and `{weight}_constraint` of a layer, from names or units."""
    for kind, argument in zip(KINDS, (initializer, regularizer, constraint), strict=True):
        setattr(layer, f"{weight}_{kind}", layer.unit(f"{kind}s", argument))


def make(layer: Layer, b: Builder, weight: str, shape: Shape, suffix: str = "") -> Tensor:
    """Make a weight with what `keep` set; the suffix belongs to its name alone."""
    return b.weight(weight + suffix, shape, *(getattr(layer, f"{weight}_{kind}") for kind in KINDS))


def size_of_vector(layer: Layer, shape: Shape) -> int:
    """Return the size of a row, which is a vector.

    Raises:
        ConfigError: it has more than one axis.
    """
    if len(shape) == 1:
        return shape[0]
    raise ConfigError(
        f"{type(layer).__name__} {layer.name!r} takes vectors, its input has shape (None, "
        f"{', '.join(map(str, shape))}): add Flatten() before it"
    )
