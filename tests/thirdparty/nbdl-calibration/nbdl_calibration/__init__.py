"""Layers for tables of numbers: each column through a curve of its own, and columns multiplied pair by pair."""

from nbdl_calibration.factorization_machine import FactorizationMachine
from nbdl_calibration.piecewise_linear import PiecewiseLinear

__all__ = ["FactorizationMachine", "PiecewiseLinear"]
