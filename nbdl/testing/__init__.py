"""The conformance suite: what every unit must keep to, for plugins of anyone.

A plugin's whole test file may be

    def test_units(nbdl_check):
        nbdl_check()

with the fixture of nbdl's pytest plugin, or, without it,

    from nbdl.testing import parametrize_with_checks

    @parametrize_with_checks()
    def test_units(entry, check):
        check(entry)

Both find the package by the nearest pyproject.toml above the file. `check_plugin()` does all at once, without pytest;
`check_unit("activations/cube", "derivative")` one check of one unit.

Units tell the suite about themselves by options of their registration: arguments to try beside the defaults (examples),
places without a derivative (kinks), the same unit in NumPy (truth), what is known to fail and why (expected_failures).
`nbdl.options` has them all, by kind; `nbdl.testing.data` and `nbdl.testing.truths` say what the longer ones take.

>>> from nbdl.options import OPTIONS
>>> [option.name for option in OPTIONS if option.for_tests and "losses" in (option.kinds or ["losses"])]
['examples', 'targets', 'predictions', 'truth', 'expected_failures']
"""

from __future__ import annotations

from nbdl.testing.subject import Check
from nbdl.testing.suite import checks, checks_for, expected_failure, select
from nbdl.testing.user import Result, check_plugin, check_unit, parametrize_with_checks, results

__all__ = [
    "Check",
    "Result",
    "check_plugin",
    "check_unit",
    "checks",
    "checks_for",
    "expected_failure",
    "parametrize_with_checks",
    "results",
    "select",
]
