"""AdamW: Adam with weight decay that does not pass through its moments."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl.errors import ConfigError
from nbdl_standard.optimizers.adam import Adam


class AdamW(Adam):
    """Adam with decoupled weight decay.

    Formula: w ← w - λ·η·w, then Adam's step.

    Args:
        learning_rate: η, a number or a schedule. Default 0.001.
        weight_decay: λ. Default 0.004 (PyTorch 0.01, Optax 0.0001).
        beta_1: β₁. Default 0.9.
        beta_2: β₂. Default 0.999.
        epsilon: ε, see `Adam`. Default 1e-7.
        amsgrad: whether steps are divided by the largest v so far. Default False.

    Raises:
        ConfigError: `weight_decay` is None.

    Source: Loshchilov & Hutter 2019; Keras 3, optimizers/adamw.py.

    >>> AdamW().weight_decay
    0.004
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad)
        if weight_decay is None:
            raise ConfigError("AdamW: weight_decay is a number, not None; without decay it is Adam")
        self.weight_decay = float(weight_decay)


@hookimpl
def register_optimizers(register: Any) -> None:
    register("AdamW", AdamW, examples=({"learning_rate": 0.05, "weight_decay": 0.3},))
