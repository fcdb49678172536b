# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.schedules.cosine_decay import CosineDecay as CosineDecay
from nbdl_standard.schedules.cosine_decay_restarts import CosineDecayRestarts as CosineDecayRestarts
from nbdl_standard.schedules.exponential_decay import ExponentialDecay as ExponentialDecay
from nbdl_standard.schedules.inverse_square_root_decay import InverseSquareRootDecay as InverseSquareRootDecay
from nbdl_standard.schedules.inverse_time_decay import InverseTimeDecay as InverseTimeDecay
from nbdl_standard.schedules.piecewise_constant_decay import PiecewiseConstantDecay as PiecewiseConstantDecay
from nbdl_standard.schedules.polynomial_decay import PolynomialDecay as PolynomialDecay

from nbdl import Schedule

def get(given: Any, where: str = ...) -> Schedule: ...
