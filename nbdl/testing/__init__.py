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

Units tell the suite about themselves by options of their registration:

    option              is for                      says
    examples            kinds that are classes      arguments to try beside the defaults: ({"rate": 0.5},); instead of
                                                    them where some are required
    kinks               activations, layers,        places without a derivative, which differences keep away from:
                        regularizers                (0.0,)
    input_shape         layers                      the shape of one row, where (3,) and (4, 3) do not do: (6,)
    self_normalizing    layers                      True for noise that keeps mean 0 and variance 1
    targets             losses, metrics             what y looks like, see `nbdl.testing.data`: "labels"
    predictions         losses, metrics             what p looks like: "probabilities"
    truth               kinds that record           the same unit in NumPy, a function or (value, gradient), see
                        operations, initializers    `nbdl.testing.truths`; units of scalar functions need none
    sample              readers                     a small file that is read: its text, its bytes, or write(path)
    expected_failures   all                         {"name of a check": "reason"}; passing one is a failure, too

`nbdl.options` has these beside the options that say what a unit is, by kind.
"""

from __future__ import annotations

from nbdl.testing.suite import Check, checks, checks_for, expected_failure, select
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
