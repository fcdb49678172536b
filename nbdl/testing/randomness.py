"""Randomness: a function of seed, place and step alone."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import SkipTest

import numpy as np

from nbdl.errors import ConfigError
from nbdl.plugins.options import RECORDING
from nbdl.testing.agreement import same_bits
from nbdl.testing.probe import SEED, Array, Probe
from nbdl.testing.subject import Subject, check, known_subjects
from nbdl.testing.units import built, generator, known_probes, layer_forward, probes, reals, with_values
from nbdl.units.entry import Entry
from nbdl.units.random import RandomStream


@check("same each time", *RECORDING)
def same_each_time(subject: Subject) -> None:
    """Made, recorded and run again with the same seed and step, the unit gives the same bits.

    It draws nothing from Python's `random` or NumPy's `numpy.random`, which follow from no seed of a model.
    """
    with only_the_models_stream():
        made = [probes(subject) for _ in range(2)]
        for probe, again in zip(*made, strict=True):
            first = probe.run("compiled")
            same_bits(probe.run("compiled"), first, f"{probe.title}, run twice")
            same_bits(again.run("compiled"), first, f"{probe.title}, made twice")


@contextmanager
def only_the_models_stream() -> Iterator[None]:
    """Assert that nothing is drawn within from the generators that whole programs share."""
    before = _shared_streams()
    try:
        yield
    finally:  # this says more than that two runs differ
        for name, state in _shared_streams().items():
            assert state == before[name], f"it draws from {name}: take random numbers from the stream that it is given"


def _shared_streams() -> dict[str, object]:
    _, keys, position, more, normal = np.random.get_state()
    return {"random": random.getstate(), "numpy.random": (np.asarray(keys).tobytes(), position, more, normal)}


def draws(entry: Entry) -> bool:
    """Whether a layer draws random numbers in training; so, too, where that cannot be seen."""
    try:
        return any(known_probes(subject)[1].program.draws is not None for subject in known_subjects(entry))
    except Exception:  # which the check tells
        return True


@check("draws only from the stream", "layers", applies=draws)
def draws_from_the_stream(subject: Subject) -> None:
    """What is drawn in training differs by seed and by step, is the same for the same, and keeps the mean.

    A layer that is registered as `self_normalizing=True` gets inputs with mean 0 and variance 1, and keeps both.
    """
    _, forward, _ = known_probes(subject)
    if forward.program.draws is None:
        raise SkipTest("it draws nothing with these arguments")
    layer, shape, _, weights = built(subject, 3)
    rows = 4000
    normalizing = subject.options.get("self_normalizing", False)
    x = [reals(generator(), rows, *shape) / 1.5 if normalizing else np.ones((rows, *shape), np.float32)]
    training, inference = (
        with_values(Probe("", layer_forward(layer), x, weights, training=one)) for one in (True, False)
    )
    first = training.run("compiled")
    same_bits(training.run("compiled", threads=2), first, "the same seed and step")
    for title, other in (("seed", training.run(seed=SEED + 1)), ("step", training.run(first_step=2))):
        assert not np.array_equal(other.output, first.output), f"another {title} draws the same numbers"
    wanted = inference.run("compiled").output.astype(np.float64)
    drawn = first.output.astype(np.float64)
    agree_on_average(drawn, wanted, "mean")
    if normalizing:
        agree_on_average((drawn - drawn.mean()) ** 2, (wanted - wanted.mean()) ** 2, "variance")


def agree_on_average(drawn: Array, wanted: Array, title: str) -> None:
    """Assert that the mean of random numbers is what it should be, within five of its standard deviations."""
    error = 5.0 * float(drawn.std()) / math.sqrt(drawn.size)
    assert abs(drawn.mean() - wanted.mean()) <= error, (
        f"the {title} in training is {drawn.mean():.4f}, after it {wanted.mean():.4f}; they should agree to {error:.4f}"
    )


@check("initial values", "initializers")
def initial_values(subject: Subject) -> None:
    """Float32 of the asked shape, finite, and a function of seed and place: on shapes that are not square.

    A shape that is no matrix may be refused, by a ConfigError.
    """
    unit = subject.make()
    for shape in ((7,), (6, 11), (11, 6), (3, 2, 5, 4)):
        try:
            with only_the_models_stream():
                values = np.asarray(unit(shape, RandomStream(1, 2)))
        except ConfigError:
            assert len(shape) != 2, f"a matrix, of shape {shape}, is refused"
            continue
        assert values.shape == shape, f"asked for {shape}, got {values.shape}"
        assert values.dtype == np.float32, f"{values.dtype} rather than float32"
        assert np.isfinite(values).all(), "not all values are finite"
        for other in (unit, subject.make()):
            assert np.array_equal(other(shape, RandomStream(1, 2)), values), "the same seed and place give other values"
    values = np.asarray(unit((16, 15), RandomStream(1, 2)))
    seed, site = (np.asarray(unit((16, 15), stream)) for stream in (RandomStream(2, 2), RandomStream(1, 3)))
    if np.unique(values).size > 16:  # random, not one number or a pattern
        assert not np.array_equal(values, seed), "another seed gives the same values"
        assert not np.array_equal(values, site), "another weight of the model gets the same values"
