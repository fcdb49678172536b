"""Keras's backend, as far as it means anything here: settings that nbdl does not have are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.plugins.keras_paths import missing

if TYPE_CHECKING:
    import numpy as np
else:
    __path__: list[str] = []  # so that `from nbdl.backend import ...` explains what is missing

    def __getattr__(name: str) -> Any:
        raise missing(__name__, name)


def backend() -> str:
    """The name of what computes."""
    return "nbdl"


def clear_session(free_memory: bool = True) -> None:
    """Do nothing: nbdl keeps no models, and a model's memory goes with it."""


def epsilon() -> float:
    """What keeps logarithms and quotients finite: 1e-7."""
    return 1e-7


def set_epsilon(value: float) -> None:
    """Refuse any other epsilon."""
    _refuse_other("epsilon", value, epsilon())


def floatx() -> str:
    """The type of all numbers: "float32"."""
    return "float32"


def set_floatx(value: str) -> None:
    """Refuse any other type."""
    _refuse_other("floatx", value, floatx())


def cast_to_floatx(x: Any) -> np.ndarray:
    """Numbers as float32."""
    import numpy as np

    return np.asarray(x, np.float32)


def image_data_format() -> str:
    """Where the channels of images are: "channels_last"."""
    return "channels_last"


def set_image_data_format(data_format: str) -> None:
    """Refuse any other place."""
    _refuse_other("image_data_format", data_format, image_data_format())


def image_dim_ordering() -> str:
    """The same in Keras 1's words: "tf"."""
    return "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Refuse any other place."""
    _refuse_other("image_dim_ordering", dim_ordering, image_dim_ordering())


def get_value(x: Any) -> Any:
    """The value of a weight as an array; a number, such as an optimizer's learning rate, as it is."""
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x: Any, value: Any) -> None:
    """Set a weight.

    Raises:
        ConfigError: x is a number, which cannot be changed in place.
    """
    if not hasattr(x, "assign"):
        raise ConfigError(
            f"set_value changes weights, got {x!r}; for an optimizer's rate write model.optimizer.learning_rate = "
            f"{value!r}"
        )
    x.assign(value)


def _refuse_other(name: str, value: Any, only: Any) -> None:
    if value != only:
        raise ConfigError(f"{name} is {only!r} in nbdl and cannot be changed, got {value!r}")
