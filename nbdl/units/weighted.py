"""Weighted: what models and layers have in common, their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from nbdl.engine.store import Weight


class Weighted:
    """The weights of a model or a layer, under Keras's names."""

    dtype = compute_dtype = variable_dtype = "float32"

    @property
    def weights(self) -> list[Weight]:
        """All weights and states, layer by layer, in the order in which they were made; empty until they exist."""
        raise NotImplementedError

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that steps change: no states, and none of a frozen layer."""
        return [weight for weight in self.weights if weight.trained]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The states, and the weights of frozen layers."""
        return [weight for weight in self.weights if not weight.trained]

    @property
    def variables(self) -> list[Weight]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Weight]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Weight]:
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    def existing_weights(self) -> list[Weight]:
        """Return the weights.

        Raises:
            ConfigError: they do not exist yet.
        """
        raise NotImplementedError

    def count_params(self) -> int:
        """Count the weights.

        Raises:
            ConfigError: they do not exist yet.
        """
        return sum(weight.tensor.features for weight in self.existing_weights())

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights, in the order of `weights`; empty until they exist."""
        return [weight.value.copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights, in the order of `get_weights`; all or none.

        Raises:
            ConfigError: the weights do not exist yet, or the number of arrays or a shape differs.
        """
        own = self.existing_weights()
        values = list(weights)
        if len(values) != len(own):
            raise ConfigError(f"{self._shown()} has {len(own)} weights, {len(values)} were given")
        arrays = [weight.checked(array) for weight, array in zip(own, values, strict=True)]
        for weight, array in zip(own, arrays, strict=True):
            weight.value[...] = array

    def _shown(self) -> str:
        """Return what error messages call this."""
        raise NotImplementedError
