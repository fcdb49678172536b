"""The conformance suite: what every unit must keep to, for plugins of anyone.

A plugin's whole test file may be:

    from nbdl.testing import parametrize_with_checks

    @parametrize_with_checks("my-distribution")
    def test_units(entry, check):
        check(entry)

Units come from the registry and tell the suite about themselves by options of their registration:

    examples=({"rate": 0.5},)       arguments to try beside the defaults (instead of them where some are required)
    kinks=(0.0,)                    places without a derivative, which differences keep away from
    targets=..., predictions=...    what a loss or metric takes: see `nbdl.testing.data`
    input_shape=(6,)                the shape of one row that a layer wants, where (3,) and (4, 3) do not do
    expected_failures={"name": "reason"}    checks that the unit is known to fail; passing one is a failure too
"""

from __future__ import annotations

from nbdl.testing.suite import Check, checks_for, expected_failure, select
from nbdl.testing.user import check_plugin, check_unit, parametrize_with_checks

__all__ = [
    "Check",
    "check_plugin",
    "check_unit",
    "checks_for",
    "expected_failure",
    "parametrize_with_checks",
    "select",
]
