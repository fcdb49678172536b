"""The parity harness: its arithmetic, its coverage, and planted defects that it must report.

What compares with Keras is skipped where Keras or JAX is not installed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from nbdl import Optimizer
from nbdl.plugins.registrar import registrar
from nbdl.units.entry import Entry, Owner
from nbdl.units.registry import registry

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from parity import compare, coverage, numpy_side, table, tasks  # noqa: E402
from parity.cases import AFTER_ONE, BATCH, DRAWS, STEPS, Task, Training, Truth, descent, squares  # noqa: E402
from parity.compare import Measure, Result, Trajectory  # noqa: E402
from parity.families import cases  # noqa: E402

needs_keras = pytest.mark.skipif(
    not (importlib.util.find_spec("keras") and importlib.util.find_spec("jax")), reason="needs Keras and JAX"
)


@pytest.fixture(scope="module")
def script():
    """parity.py: the package beside it has its name."""
    spec = importlib.util.spec_from_file_location("parity_script", SCRIPTS / "parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trajectory(losses, first, last, predictions=(1.0,)):
    each = [[np.array(one, np.float64)] for one in (first, last)]
    return Trajectory(np.array(losses), [], *each, np.array(predictions), ["w"])


# -- arithmetic -------------------------------------------------------------------------------------------


def test_distance_is_relative_to_the_truth():
    assert compare.distance(np.array([3.0, 4.0]), np.array([0.0, 4.0])) == 0.75
    assert compare.distance(np.zeros(2), np.zeros(2)) == 0.0
    assert compare.distance(np.ones(1), np.zeros(1)) == 1.0


def test_worst_tensor_and_nan_before_all():
    truth = [np.ones(2), np.ones(3)]
    assert compare.worst([np.ones(2), 2 * np.ones(3)], truth) == (1.0, 1)
    value, at = compare.worst([np.array([1.0, math.nan]), 9 * np.ones(3)], truth)
    assert math.isnan(value)
    assert at == 0


def test_losses_of_the_first_and_of_all_steps():
    found = compare.distances(trajectory([1.0, 2.2, 3.0], [1.0], [1.1]), trajectory([1.0, 2.0, 3.0], [2.0], [1.0]))
    assert found["loss, 1 step"] == 0.0
    assert found["loss, 50 steps"] == pytest.approx(0.1)
    assert found["weights, 1 step"] == 0.5
    assert found["weights, 50 steps"] == pytest.approx(0.1)


def test_trainings_of_different_length_are_refused():
    with pytest.raises(ValueError, match="2 steps beside 3"):
        compare.distances(trajectory([1.0, 2.0], [1.0], [1.0]), trajectory([1.0, 2.0, 3.0], [1.0], [1.0]))


@pytest.mark.parametrize(
    ("measure", "explained", "verdict"),
    [
        (Measure(1e-6, 1e-7, 1e-5), "", "ok"),
        (Measure(1e-4, 1e-7, 1e-5), "", "MISS"),
        (Measure(1e-4, 1e-7, 1e-5), "because", "explained"),
        (Measure(1e-4, 2e-5, 1e-5), "", "floor"),
        (Measure(1e-3, 2e-5, 1e-5), "", "MISS"),  # far above a floor that misses the goal too
        (Measure(math.nan, 1e-7, 1e-5), "", "MISS"),
        (Measure(math.nan, math.nan, 1e-5), "", "MISS"),
    ],
)
def test_verdict(measure, explained, verdict):
    result = Result("case", "losses", {"loss": measure}, explained=explained)
    assert result.verdict == verdict
    assert result.failed == (verdict == "MISS")


def test_weights_that_hardly_move_say_nothing():
    measures = {"weights, 50 steps": Measure(1e-7, 1e-7, 1e-3)}
    result = Result("case", "optimizers", measures, moved=0.002)
    assert result.verdict == "WEAK"
    assert result.failed
    assert "weights move by 2e-03 only" in "\n".join(table.misses([result]))
    assert Result("case", "optimizers", measures, moved=math.nan).failed
    assert Result("case", "optimizers", measures, moved=0.02).verdict == "ok"


def test_an_error_is_never_explained():
    assert Result("case", "losses", explained="because", error="TypeError").failed


@pytest.mark.parametrize("change", ["none", "mean", "variance", "bounds", "rank"])
def test_two_samples(change):
    rng, truth = np.random.default_rng(1), np.random.default_rng(2).uniform(-1, 1, DRAWS)
    ours = rng.uniform(-1, 1, DRAWS)
    ours = {
        "none": ours,
        "mean": ours + 0.02,
        "variance": ours * 1.02,
        "bounds": np.clip(ours, -0.98, 0.98),
        "rank": np.repeat(ours[:, :1], DRAWS[1], axis=1),
    }[change]
    missed = {name for name, measure in compare.drawn(ours, truth).items() if not measure.met}
    assert bool(missed) == (change != "none"), missed


def test_plain_normals_are_told_from_truncated_ones():
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=4 * DRAWS[0] * DRAWS[1])
    truncated = numbers[np.abs(numbers) < 2][: DRAWS[0] * DRAWS[1]].reshape(DRAWS)
    plain = truncated.std() * rng.normal(size=DRAWS)
    assert not compare.drawn(plain, truncated)["bounds"].met


def test_constants_are_compared_exactly():
    ones = np.ones(DRAWS)
    assert all(measure.met for measure in compare.drawn(ones, ones).values())
    assert not all(measure.met for measure in compare.drawn(1.001 * ones, ones).values())


def test_permuted_batches_hold_the_same_rows():
    rows = np.arange(STEPS * BATCH, dtype=np.float32)[:, None]
    task = Task(rows, 2 * rows, sample_weight=3 * rows[:, 0])
    other = task.permuted()
    assert not (other.x == task.x).all()
    assert (np.sort(other.x.reshape(-1, BATCH)) == rows.reshape(-1, BATCH)).all()
    assert (other.y == 2 * other.x).all()
    assert (other.sample_weight == 3 * other.x[:, 0]).all()
    assert (other.probe == task.x[:BATCH]).all()


def test_each_step_has_its_own_loss():
    from parity.nbdl_side import Watch

    from nbdl import Sequential
    from nbdl.layers import Dense

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    model = Sequential([Dense(2, input_dim=3)], seed=1)
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.0
    watch = Watch(model.weights)
    model.fit(x, y, batch_size=4, steps_per_epoch=1, epochs=3, shuffle=False, verbose=0, callbacks=[watch])
    wanted = [model.evaluate(x[start : start + 4], y[start : start + 4]) for start in (0, 4, 8)]
    assert watch.losses == pytest.approx(wanted, rel=1e-6)
    assert len(watch.first) == 2


def test_differences_are_the_derivative():
    def forward(weights, x):
        return np.tanh(x @ weights[0])

    rng = np.random.default_rng(1)
    w, x, y = rng.normal(size=(3, 2)), rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    p = forward([w], x)
    exact = x.T @ ((p - y) * (1 - p**2)) / len(x)  # of the mean over rows and two columns of (p - y)²
    found = numpy_side.gradient(Truth(forward, squares, lambda step: 0.0), [w], x, y)[0]
    assert np.allclose(found, exact, rtol=1e-7, atol=1e-9)


def test_class_weights_are_balanced_as_in_scikit_learn():
    assert tasks.balanced(np.array([0, 0, 0, 1.0])) == {0: 4 / 6, 1: 2.0}


# -- coverage ---------------------------------------------------------------------------------------------


def test_every_unit_has_a_case_and_every_case_a_unit():
    assert coverage.problems(cases()) == []


def test_a_planted_unit_without_a_case_is_reported(monkeypatch):
    planted = Entry("losses", "planted", object, Owner("standard", "nbdl", ""), "")
    entries = registry.entries
    monkeypatch.setattr(registry, "entries", lambda kind=None: entries(kind) + [planted] * (kind == "losses"))
    assert "no case covers losses/planted" in coverage.problems(cases())


class TakenBack(Exception):
    """Leaves the registry as it was."""


@pytest.fixture
def new_activation():
    """An activation that somebody adds to nbdl, which Keras has not: nobody lists it anywhere."""

    def f(x, a=1.0):
        return x + a * x * abs(x)

    def df(x, y, a=1.0):
        return 1.0 + 2.0 * a * abs(x)

    with contextlib.suppress(TakenBack), registrar.owned(Owner("standard", "nbdl", ""), ""):
        yield registrar.add("activations", "newcomer", f, df, examples=({"a": 0.1},))
        raise TakenBack


def test_a_new_activation_gets_its_cases_by_itself(new_activation):
    assert coverage.problems(cases()) == []
    assert [case.title for case in cases() if "activations/newcomer" in case.units] == ["newcomer", "newcomer(a=0.1)"]


@needs_keras
def test_a_new_activation_stands_beside_its_own_functions(new_activation):
    from parity.run import beside

    case = next(case for case in cases() if case.title == "newcomer(a=0.1)")
    by_title = {case.title: case for case in cases()}
    assert [beside(by_title[title]) for title in ("softsign", "elu(alpha=0.5)")] == [None, None]
    assert beside(by_title["hard_sigmoid(slope=0.2)"]) is not None  # Keras's takes no slope
    assert beside(case) is case.otherwise.truth
    result = outcome(case)
    assert (result.verdict, result.against) == ("ok", "NumPy")
    new_activation.target.functions = (new_activation.target.functions[0], lambda x, y, a=1.0: 1.0 + 2.1 * a * abs(x))
    wrong = outcome(case)
    assert wrong.verdict == "MISS"
    assert wrong.measures["loss, 1 step"].met


def test_a_unit_loses_its_cover_with_its_cases():
    left = [case for case in cases() if not any("Huber" in unit for unit in case.units)]
    assert "no case covers losses/huber" in coverage.problems(left)


def test_a_case_of_a_unit_that_is_not_there_is_reported():
    lines = coverage.problems([*cases(), Training("planted", ("losses/absent",))])
    assert "losses/absent has cases and is not registered" in lines


def test_titles_are_unique():
    assert len({case.title for case in cases()}) == len(cases())


# -- the script -------------------------------------------------------------------------------------------


def test_without_keras_the_script_says_what_to_install(script, monkeypatch, capsys):
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["parity.py"])
    assert script.main() == 2
    assert "pip install keras jax" in capsys.readouterr().out


def test_cases_are_chosen_by_title_and_by_unit(script):
    assert [case.title for case in script.chosen(["tanh"])] == ["tanh"]
    assert {case.units[0] for case in script.chosen(["schedules/Cosine*"])} == {
        "schedules/CosineDecay", "schedules/CosineDecayRestarts"}  # fmt: skip
    assert len(script.chosen(None)) == len(cases())


@pytest.mark.parametrize(("value", "code"), [(1e-7, 0), (1e-2, 1)])
def test_check_refuses_a_miss(script, monkeypatch, capsys, value, code):
    measures = {"weights, 1 step": Measure(value, 1e-8, AFTER_ONE)}
    monkeypatch.setattr(script, "results", lambda titles, jobs: [Result(titles[0], "activations", measures)])
    monkeypatch.setattr(script, "problems", lambda found: [])
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(table, "version", lambda name: "1")
    monkeypatch.setattr(sys, "argv", ["parity.py", "--only", "tanh", "--check"])
    assert script.main() == code
    shown = capsys.readouterr().out
    assert ("- tanh: weights, 1 step **1.0e-02** (1e-08): **not explained**" in shown) == bool(code)


def test_check_refuses_a_unit_without_a_case(script, monkeypatch):
    monkeypatch.setattr(script, "results", lambda titles, jobs: [])
    monkeypatch.setattr(script, "problems", lambda found: ["no case covers losses/planted"])
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda name: True)
    monkeypatch.setattr(table, "version", lambda name: "1")
    monkeypatch.setattr(sys, "argv", ["parity.py", "--only", "tanh", "--check"])
    assert script.main() == 1


# -- planted defects --------------------------------------------------------------------------------------


def outcome(case):
    from parity.run import run

    result = run(case)
    assert not result.error, result.error
    return result


def test_beside_numpy_a_wrong_rate_is_a_miss():
    case = next(case for case in cases() if case.title == "InverseSquareRootDecay(0.1)")
    assert outcome(case).verdict == "ok"
    wrong = dataclasses.replace(case.truth, rate=lambda step: 0.1 / np.sqrt(step + 2))
    result = outcome(dataclasses.replace(case, truth=wrong))
    assert result.verdict == "MISS"
    assert not result.measures["weights, 1 step"].met
    assert result.measures["loss, 1 step"].met


class EpsilonInside(Optimizer):
    """Adam with ε under the root."""

    slots = ("m", "v")

    def __init__(self, learning_rate=0.01, epsilon=0.01):
        self.learning_rate, self.epsilon = learning_rate, epsilon

    def per_step(self, step):
        return {"alpha": self.rate(step) * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step), "epsilon": self.epsilon}

    @staticmethod
    def update(w, g, m, v, alpha, epsilon):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        return w - alpha * m / math.sqrt(v + epsilon * epsilon), m, v


class DecayAfter(Optimizer):
    """Descent whose weights decay after the update rather than before."""

    def __init__(self, learning_rate=0.01, share=0.5):
        self.learning_rate, self.share = learning_rate, share

    def per_step(self, step):
        return {"rate": self.rate(step), "keep": 1.0 - self.share * self.rate(step)}

    @staticmethod
    def update(w, g, rate, keep):
        return (w - rate * g) * keep


def twice(y, p):
    return 2.0 * (y - p) ** 2


def twice_slope(y, p):
    return 4.0 * (p - y)


def halves(optimizer):
    """A case with an optimizer of our own on nbdl's side and Keras's on the other."""
    name, settings, ours = optimizer
    return Training(
        "planted", ("optimizers/SGD",),
        optimizer=lambda side: ours() if side.name == "nbdl" else getattr(side.optimizers, name)(**settings),
    )  # fmt: skip


@needs_keras
@pytest.mark.parametrize(
    ("optimizer", "missed"),
    [
        (("Adam", {"learning_rate": 0.01, "epsilon": 0.01}, EpsilonInside), "weights, 1 step"),
        (("SGD", {"learning_rate": 0.01, "weight_decay": 0.5}, DecayAfter), "weights, 1 step"),
    ],
    ids=["epsilon under the root", "decay after the update"],
)
def test_a_wrong_update_is_a_miss(optimizer, missed):
    result = outcome(halves(optimizer))
    assert result.verdict == "MISS"
    assert not result.measures[missed].met
    assert result.measures["loss, 1 step"].met


@needs_keras
def test_a_loss_with_a_factor_is_a_miss():
    case = Training(
        "planted",
        ("losses/mse",),
        loss=lambda side: (twice, twice_slope) if side.name == "nbdl" else "mean_squared_error",
    )
    result = outcome(case)
    assert result.verdict == "MISS"
    assert result.measures["loss, 1 step"].value == pytest.approx(1.0, rel=1e-4)
    assert not result.measures["weights, 1 step"].met


@needs_keras
def test_the_same_cases_without_a_defect_are_within_the_goals():
    for title in ("Adam(learning_rate=0.01, epsilon=0.01)", "SGD(learning_rate=0.01, weight_decay=0.5)"):
        assert outcome(next(case for case in cases() if case.title == title)).verdict == "ok"


@needs_keras
def test_layers_with_other_shapes_are_an_error():
    from parity.run import run

    case = Training("planted", ("layers/Dense",), lambda side: [side.layers.Dense(3 if side.name == "nbdl" else 4)],
                    optimizer=descent())  # fmt: skip
    assert "weights differ in shape" in run(case).error
