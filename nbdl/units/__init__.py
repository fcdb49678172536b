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
    from nbdl.units.entry import Entry as Entry
    from nbdl.units.entry import singular as singular
    from nbdl.units.layer import without_rows as without_rows
    from nbdl.units.loss import ElementwiseLoss as ElementwiseLoss
    from nbdl.units.loss import probability as probability
    from nbdl.units.metric import ElementwiseMetric as ElementwiseMetric
    from nbdl.units.metric import in_order as in_order
    from nbdl.units.moments import deviations as deviations
    from nbdl.units.moments import moved as moved
    from nbdl.units.random import RandomStream as RandomStream
    from nbdl.units.random import fans as fans
    from nbdl.units.regularizer import ElementwiseConstraint as ElementwiseConstraint
    from nbdl.units.regularizer import ElementwiseRegularizer as ElementwiseRegularizer
    from nbdl.units.unit import BASES as BASES
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
        "nbdl.units.entry": "Entry singular",
        "nbdl.units.layer": "without_rows",
        "nbdl.units.loss": "ElementwiseLoss probability",
        "nbdl.units.metric": "ElementwiseMetric in_order",
        "nbdl.units.moments": "deviations moved",
        "nbdl.units.random": "RandomStream fans",
        "nbdl.units.regularizer": "ElementwiseConstraint ElementwiseRegularizer",
        "nbdl.units.unit": "BASES Scalar",
    },
)
