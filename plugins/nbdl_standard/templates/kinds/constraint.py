"""my_unit: weights are kept between -limit and limit.

Formula: min(max(w, -limit), limit).

Args:
    limit: the largest size of a weight. Default 1.

Source: Arjovsky, Chintala and Bottou 2017, Wasserstein GAN.
"""

from __future__ import annotations

from typing import Any

from nbdl import hookimpl


# Your formula, of a weight; arguments after it, with defaults, are the constraint's own.
def project(w: float, limit: float = 1.0) -> float:
    return min(max(w, -limit), limit)


@hookimpl
def register_constraints(register: Any) -> None:
    register("my_unit", project, examples=({"limit": 0.1},))
