"""What authors subclass: layers, losses, metrics, optimizers, callbacks and the other kinds of unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbdl.lazy import published

if TYPE_CHECKING:
    from nbdl.engine.store import Weight as Weight
    from nbdl.units.activation import ElementwiseActivation as ElementwiseActivation
    from nbdl.units.arguments import Factor as Factor
    from nbdl.units.arguments import Range as Range
    from nbdl.units.arguments import is_number as is_number
    from nbdl.units.builder import Builder as Builder
    from nbdl.units.callback import BATCH_HOOKS as BATCH_HOOKS
    from nbdl.units.callback import Logs as Logs
    from nbdl.units.durations import seconds_of as seconds_of
    from nbdl.units.layer import without_rows as without_rows
    from nbdl.units.loss import ElementwiseLoss as ElementwiseLoss
    from nbdl.units.loss import probability as probability
    from nbdl.units.metric import in_order as in_order
    from nbdl.units.moments import deviations as deviations
    from nbdl.units.moments import moved as moved
    from nbdl.units.random import RandomStream as RandomStream
    from nbdl.units.random import fans as fans
    from nbdl.units.unit import Scalar as Scalar

__getattr__, __all__ = published(
    __name__,
    {
        "nbdl.engine.store": "Weight",
        "nbdl.units.activation": "ElementwiseActivation",
        "nbdl.units.arguments": "Factor Range is_number",
        "nbdl.units.builder": "Builder",
        "nbdl.units.callback": "BATCH_HOOKS Logs",
        "nbdl.units.durations": "seconds_of",
        "nbdl.units.layer": "without_rows",
        "nbdl.units.loss": "ElementwiseLoss probability",
        "nbdl.units.metric": "in_order",
        "nbdl.units.moments": "deviations moved",
        "nbdl.units.random": "RandomStream fans",
        "nbdl.units.unit": "Scalar",
    },
)
