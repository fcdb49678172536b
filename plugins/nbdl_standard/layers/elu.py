"""ELU: exponential below 0, as a layer."""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl
from nbdl_standard.layers.activation import Activation


class ELU(Activation):
    """Exponential below 0, the identity above: `Activation` of elu with this argument.

    Formula: y = x for x > 0, alpha·(eˣ - 1) below.

    Args:
        alpha: minus the value that y tends to for small x.

    Source: Clevert et al. 2016; Keras 3, layers/activations/elu.py.

    >>> ELU(0.5).activation
    elu(alpha=0.5)
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__({"name": "elu", "config": {"alpha": alpha}})


@hookimpl
def register_layers(register: Any) -> None:
    register("ELU", ELU, kinks=(0.0,), examples=({"alpha": 0.5},))
