"""RandomStream: the random numbers that initializers draw from, which follow from seed and site alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nbdl.engine.store import Weight


class RandomStream:
    """The random numbers of one weight: the same seed and site give the same bits on any machine.

    Args:
        seed: the model's seed.
        site: the number of the weight in the order of creation.
    """

    def __init__(self, seed: int, site: int) -> None:
        self.seed = seed
        self.site = site

    def uniform(self, shape: tuple[int, ...], low: float, high: float) -> NDArray[np.float32]:
        """Draw uniform numbers in [low, high)."""
        from nbdl.engine.random import uniform_array

        return uniform_array(shape, low, high, self.seed, self.site)

    def normal(self, shape: tuple[int, ...], mean: float, deviation: float) -> NDArray[np.float32]:
        """Draw normal numbers with that mean and standard deviation."""
        from nbdl.engine.random import normal_array

        return normal_array(shape, mean, deviation, self.seed, self.site)

    def truncated_normal(self, shape: tuple[int, ...], mean: float, deviation: float) -> NDArray[np.float32]:
        """Draw normal numbers within two deviations of the mean; `deviation` is that before the cut."""
        from nbdl.engine.random import truncated_normal_array

        return truncated_normal_array(shape, mean, deviation, self.seed, self.site)


def first_values(weight: Weight, random: RandomStream) -> Any:
    """Draw the first values of a weight from its initializer.

    Raises:
        ConfigError: the initializer returns something else than numbers of the weight's shape.
    """
    import numpy as np

    shape = weight.tensor.shape
    values = np.asarray(weight.initializer(shape, random))
    if values.shape != shape or not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
        name = getattr(weight.initializer, "unit_name", "") or type(weight.initializer).__name__
        raise ConfigError(
            f"initializer {name!r} of {weight.name}: it returns numbers of shape {shape}, and returned "
            f"{values.dtype} of shape {values.shape}"
        )
    return values


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Compute fan in and fan out of a weight: of a matrix its sizes, of a vector its length twice.

    Axes before the last two count with both.

    >>> fans((784, 500))
    (784, 500)
    """
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field
