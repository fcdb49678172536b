"""Figures and rates: metrics over any batches, schedules at any step."""

from __future__ import annotations

import numpy as np

from nbdl.testing.data import metric_data
from nbdl.testing.probe import assert_close
from nbdl.testing.subject import Subject, check
from nbdl.testing.units import generator, known_probes


@check("any batches, one figure", "metrics")
def any_batches_one_figure(subject: Subject) -> None:
    """The figure over all rows does not depend on the batches that they came in, a short last one included."""
    unit = subject.make()
    (probe,) = known_probes(subject)
    rows = 23
    sources = list(metric_data(subject.options, rows, 3, generator()))
    figures = []
    for parts in ([rows], [10, 10, 3], [7, 7, 7, 2], [1] * rows):
        log = probe.log_named(probe.run("compiled", sources, parts=parts).log, "sums").astype(np.float64)
        figures.append(unit.figure(log, np.array(parts, np.float64)))
    assert np.isfinite(figures).all(), f"the figure is not finite: {figures[0]}"
    assert_close(np.array(figures), np.array([figures[0]] * len(figures)), "the figure, by batches", 1e-5)


@check("a rate for each step", "schedules")
def a_rate_for_each_step(subject: Subject) -> None:
    """Steps from 0 on get a finite rate that is not negative, the same each time, and in an array the same."""
    unit = subject.make()
    rates = {step: float(unit(step)) for step in (1000, 7, 0, 1, 2)}
    try:
        at_once = np.broadcast_to(np.asarray(unit(np.array(list(rates), np.float64)), np.float64), len(rates))
    except (TypeError, ValueError):
        at_once = np.array(list(rates.values()))  # training calls it step by step
    assert np.allclose(at_once, list(rates.values()), rtol=1e-9, atol=0.0), (
        f"a schedule must be a pure function of the step: {at_once} for an array of steps, {rates} one by one"
    )
    for step in (0, 1, 2, 10, 1000, 100_000):
        rate = float(unit(step))
        assert np.isfinite(rate), f"the rate of step {step} is {rate}"
        assert rate >= 0.0, f"the rate of step {step} is {rate}"
        assert float(unit(step)) == rate, f"step {step} gets another rate the second time"
