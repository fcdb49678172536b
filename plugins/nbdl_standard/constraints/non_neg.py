"""Weights are kept from becoming negative.

Formula: max(w, 0).

Source: Keras 3, constraints/constraints.py.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


def project(w: float) -> float:
    return max(w, 0.0)


@hookimpl
def register_constraints(register: Any) -> None:
    register("non_neg", project)
