"""Every check of the suite must catch a unit with the defect it is there for, and pass one without."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import DEFECTS, HEALTHY, Defect, named
from planted.defect import entry
from planted.training import unswapped, with_update

from nbdl.engine.cpu import memory
from nbdl.program.functions import add, times
from nbdl.testing import check_unit
from nbdl.testing.probe import Probe, forced
from nbdl.testing.suite import checks
from nbdl.testing.units import fixed, with_values
from nbdl.units.entry import Entry

ELSEWHERE = {"units are found"}  # of a whole package: tests/test_suite.py

# What a third party must be told, in words of its own.
ASKED_FOR = {
    "a wrong derivative, right on square shapes only": "derivative",
    "softplus's derivative as 1 - exp(-y)": "accurate in float32",
    "a derivative right for positive inputs only": "derivative",
    "a float64 constant": "float32 only",
    "a mutated input": "inputs are left alone",
    "an order-dependent sum": "rows in any order",
    "an unseeded random": "initial values",
    "a missing docstring": "documented",
    "a config that loses an argument": "config comes back",
}


@pytest.mark.parametrize("name", list(HEALTHY))
def test_units_without_defects_pass(name: str) -> None:
    check_unit(HEALTHY[name])


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.name}: {defect.check}")
def test_a_planted_defect_is_caught(defect: Defect) -> None:
    text = defect.caught_by(named(defect.entry, defect.check))
    assert text.startswith(f"{defect.entry.kind} {defect.entry.name}")
    assert f": {defect.check}: " in text


def test_every_check_has_a_planted_defect() -> None:
    caught = {named(defect.entry, defect.check).function for defect in DEFECTS}
    missing = [f"{one.name} of {one.kinds[0]}" for one in checks() if one.function not in caught]
    assert set(missing) == {f"{name} of distributions" for name in ELSEWHERE}


def test_every_kind_has_a_unit_without_defects() -> None:
    assert {defect.entry.kind for defect in DEFECTS} <= {healthy.kind for healthy in HEALTHY.values()}


def test_the_defects_that_were_asked_for_are_there() -> None:
    planted = {defect.name: defect.check for defect in DEFECTS}
    assert len(planted) == len(DEFECTS), "two defects have one name"
    assert {name: planted.get(name) for name in ASKED_FOR} == ASKED_FOR


def test_the_table_names_every_defect_and_check() -> None:
    text = (Path(__file__).parents[1] / "scripts" / "planted.md").read_text()
    for defect in DEFECTS:
        assert f"| {defect.name} |" in text
    for one in checks():
        assert f"| {one.name} |" in text or one.name in ELSEWHERE


def test_a_table_that_is_not_as_planted_is_refused(tmp_path: Path) -> None:
    scripts = Path(__file__).parents[1] / "scripts"
    command = [sys.executable, str(scripts / "planted.py"), "--kind", "schedules", "--check", "--file"]
    stale = tmp_path / "planted.md"
    stale.write_text("# Planted defects\n")
    refused = subprocess.run([*command, str(stale)], capture_output=True, text=True, env=dict(os.environ))
    assert refused.returncode == 1
    assert "--write" in refused.stderr
    accepted = subprocess.run([*command, str(scripts / "planted.md")], capture_output=True, text=True)
    assert accepted.returncode == 0, accepted.stderr


# -- what is not a unit's defect ----------------------------------------------------------------------------


def test_right_slots_are_not_caught() -> None:
    def update(w: float, g: float, m: float, v: float, rate: float) -> tuple[float, float, float]:
        m = 0.9 * m + 0.1 * g
        v = 0.99 * v + 0.01 * g * g
        return w - rate * m / (math.sqrt(v) + 1e-3), m, v

    right = entry("optimizers", with_update(update, "m", "v"), truth=unswapped)
    named(right, "is its formula")(right)


def test_writing_over_what_other_tiles_read_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(256, 96)).astype(np.float32)
    weight = fixed("w", np.ones((96, 96), np.float32))

    def record(r: Any, t: Any) -> Any:
        kept = r.map(times, t[0], -1.0)
        return r.map(times, r.map(add, kept, r.gemm(kept, weight.tensor)), 2.0)

    def right() -> bool:
        made = with_values(Probe("residual", record, [x], [weight]))
        with forced("tiles"):
            return np.array_equal(made.run("compiled").output, made.run("plain").output)

    assert right()
    monkeypatch.setattr(memory._Allocation, "_only_own_parts", lambda *_: True)
    assert not right()


def test_an_elementwise_unit_that_is_more_than_its_functions_has_no_truth() -> None:
    from planted.losses import squared, squared_slope

    from nbdl.testing.suite import checks_for

    plain = entry("losses", squared, squared_slope)
    prepared = type("Prepared", (plain.target,), {"prepare": lambda self, r, y, outputs: y})
    assert "is its formula" in [one.name for one in checks_for(plain)]
    assert "is its formula" not in [one.name for one in checks_for(Entry("losses", "p", prepared, plain.owner, ""))]
