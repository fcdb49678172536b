"""profile: each operation once, its time its own, the model untouched; the command, its errors and its JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nbdl
from nbdl import Sequential
from nbdl.cli.app import app
from nbdl.engine.cpu.profiled import ProfiledExecutor, Timing
from nbdl.engine.store import Store
from nbdl.errors import ConfigError, DataError, NbdlError
from nbdl.inspection import measure as profiling
from nbdl.inspection.profile import OperationProfile, Profile
from nbdl.inspection.roofline import Roofline, measure
from nbdl.layers import Dense, Dropout
from nbdl.model.owner import job_of

SHORT = 0.01


def net(*widths: int, loss: str = "categorical_crossentropy", **options: Any) -> Sequential:
    layers: list[Any] = [Dense(widths[1], input_dim=widths[0], activation="sigmoid", kernel_regularizer="l2")]
    layers += [Dropout(0.5), *(Dense(width, activation="softmax") for width in widths[2:])]
    model = Sequential(layers, seed=1)
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"], **options)
    return model


def data(rows: int, inputs: int, outputs: int) -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    x = random.normal(size=(rows, inputs)).astype(np.float32)
    return x, np.eye(outputs, dtype=np.float32)[random.integers(0, outputs, rows)]


def names(operations: Any) -> list[tuple[str, str, str]]:
    return [(one.layer or "batch", one.phase, one.title) for one in operations]


# --- What is measured ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["train", "evaluate", "predict"])
def test_every_operation_of_the_program_is_there_once_in_its_order(what: str) -> None:
    model = net(12, 9, 3)
    found = model.profile(batch_size=7, what=what, seconds=SHORT)
    wanted = model.program(what).operations
    if what != "train":  # float32 in order: batches are read where they lie
        wanted = [one for one in wanted if one.kind != "gather"]
    assert names(found.operations) == names(wanted)
    assert all(one.calls == 1 for one in found.operations)
    assert (found.what, found.rows) == (what, 7)


def test_blocks_of_rows_are_calls_and_their_parts_are_added_up_after_them() -> None:
    model = Sequential([Dense(24, input_dim=8, activation="tanh"), Dense(2)], seed=1)
    model.compile(loss="mean_squared_error", optimizer="sgd")
    x = np.ones((6000, 8), np.float32)
    found = model.profile(x, x[:, :2], batch_size=6000, seconds=SHORT)
    combined = [one for one in found.operations if one.title == "combine"]
    others = [one for one in found.operations if one.title != "combine"]
    assert names(others) == names(one for one in model.program("train").operations if one.kind != "gather")
    assert combined
    assert min(one.calls for one in others if one.phase == "backward") > 1
    for number, one in enumerate(found.operations):
        if one.title == "combine":
            assert found.operations[number - 1].layer == one.layer
            assert found.operations[number - 1].phase == one.phase


def test_operations_and_bytes_are_counted() -> None:
    model = Sequential([Dense(7, input_dim=5)], seed=1)
    model.compile(loss="mean_squared_error", optimizer="sgd")
    found = model.profile(batch_size=3, seconds=SHORT)
    forward = next(one for one in found.operations if one.title == "gemm" and one.phase == "forward")
    backward = next(one for one in found.operations if one.title == "gemm" and one.phase == "backward")
    assert forward.flops == backward.flops == 2 * 3 * 5 * 7
    assert forward.bytes == 4 * (3 * 5 + 5 * 7 + 7 + 3 * 7)
    assert (forward.shape, backward.shape) == ("3×5 · 5×7", "(3×5)ᵀ · 3×7")
    gather = found.operations[0]
    assert (gather.layer, gather.title, gather.bytes) == ("batch", "gather", 2 * 4 * 3 * 5)
    update = next(one for one in found.operations if one.phase == "update")
    assert update.bytes == 4 * (3 * update.flops + 1)  # weights read and written, gradients read, the learning rate
    assert forward.gflops == pytest.approx(forward.flops / forward.us / 1e3)
    assert forward.gbytes == pytest.approx(forward.bytes / forward.us / 1e3)


def test_the_parts_make_up_the_step() -> None:
    found = net(64, 200, 10).profile(batch_size=50, seconds=0.2)
    assert 0.3 < found.operations_us / found.step_us < 3.0
    assert sum(one.share for one in found.operations) == pytest.approx(1.0)
    for by in ("layer", "phase"):
        groups = found.groups(by)
        assert sum(len(parts) for parts in groups.values()) == len(found.operations)


def test_all_threads_are_measured_where_the_schedule_has_work_for_them() -> None:
    large, small = net(300, 300, 10), net(8, 4, 2)
    found = large.profile(batch_size=100, seconds=SHORT)
    assert (found.threads_us is not None) == (found.threads > 1)
    assert large.profile(batch_size=100, seconds=SHORT, threads=1).threads_us is None
    assert small.profile(batch_size=8, seconds=SHORT).threads_us is None


def busy(x: Any, y: Any) -> None:
    for i in range(x.shape[0]):
        total = x[i, 0]
        for _ in range(3000):
            total = total * np.float32(0.5) + np.float32(1.0)
        y[i, 0] = total


class Busy(nbdl.Layer):
    """A layer that takes its time."""

    def forward(self, r: Any, x: Any) -> tuple[Any, Any]:
        return r.kernel(busy, x, shapes=[(1,)]), None

    def build(self, b: Any, shape: Any) -> Any:
        return (1,)


def slowest() -> OperationProfile:
    model = Sequential([Dense(4, input_dim=4, activation="tanh"), Busy(name="busy"), Dense(4)], seed=1)
    found = model.profile(batch_size=16, what="predict", seconds=SHORT)
    assert len(found.operations) == 4
    return max(found.operations, key=lambda one: one.us)


def test_a_slow_operation_comes_out_on_top() -> None:
    assert slowest().layer == "busy"
    assert slowest().share > 0.5


def test_time_given_to_the_wrong_operation_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = ProfiledExecutor.timed

    def next_one(self: Any, batches: Any) -> Any:
        timing = measured(self, batches)
        return Timing(timing.seconds, timing.tick, np.roll(timing.ticks, 1), timing.calls)

    monkeypatch.setattr(ProfiledExecutor, "timed", next_one)
    assert slowest().layer != "busy"


def test_the_clock_is_taken_off_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    assert net(12, 9, 3).profile(seconds=SHORT).timer_ns > 0
    monkeypatch.setattr(profiling, "timer_ticks", lambda: 1e12)
    assert {one.us for one in net(12, 9, 3).profile(seconds=SHORT).operations} == {0.0}


def test_what_the_machine_ran_in_between_does_not_count() -> None:
    disturbed = [5.0, 1.0, 9.0, 1.2, 7.0, 6.0, 8.0, 30.0]
    assert profiling._quickest(disturbed) == [1, 3]
    assert profiling._typical(disturbed) == pytest.approx(1.1)
    assert profiling._typical([3.0]) == 3.0


def test_a_timed_run_computes_what_an_ordinary_one_does() -> None:
    x, y = data(40, 12, 3)
    model = net(12, 9, 3)
    run = profiling.Measurement(job_of(model), [x, y, np.ones(40, np.float32)], 8, "train", 1)
    results = []
    for runner in (run.executor.timed, run.executor.run):
        run._reset()
        batches = run._tables(20)
        runner(batches)
        results.append((run.store.data.copy(), run.slots.copy(), batches.log.copy()))
    for one, other in zip(*results, strict=True):
        assert one.any()
        assert np.array_equal(one, other)


def test_a_trained_model_is_measured_as_it_is() -> None:
    x, y = data(40, 12, 3)
    model = net(12, 9, 3)
    model.fit(x, y, epochs=3, batch_size=8, verbose=0)
    run = profiling.Measurement(job_of(model), [x, y, np.ones(40, np.float32)], 8, "train", 1)
    assert run.slots.any()
    assert np.array_equal(run.slots, model.training_state.slots)
    assert run._tables(2).steps[:, 2].tolist() == [16, 17]


# --- The model is not changed -------------------------------------------------------------------------------


def state(model: Sequential) -> tuple[Any, ...]:
    training = model.training_state
    if training is None:
        return ([w.tobytes() for w in model.get_weights()], None)
    counters = (training.iterations, training.epochs, training.slots.tobytes())
    return ([w.tobytes() for w in model.get_weights()], counters)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("what", ["train", "evaluate", "predict"])
def test_the_model_is_the_same_afterwards(trained: bool, what: str) -> None:
    x, y = data(60, 12, 3)
    model = net(12, 9, 3)
    if trained:
        model.fit(x, y, epochs=2, verbose=0)
    before = state(model)
    model.profile(x, y, what=what, seconds=SHORT)
    assert state(model) == before


def test_training_goes_on_as_if_nothing_had_been_measured() -> None:
    x, y = data(60, 12, 3)
    profiled_model, other = net(12, 9, 3), net(12, 9, 3)
    for model in (profiled_model, other):
        model.fit(x, y, epochs=1, verbose=0)
    profiled_model.profile(x, y, seconds=SHORT)
    for model in (profiled_model, other):
        model.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    assert state(profiled_model) == state(other)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_model_is_the_same_after_an_interruption(error: type, monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(12, 9, 3)
    model.fit(*data(60, 12, 3), epochs=1, verbose=0)
    before, measured, calls = state(model), ProfiledExecutor.timed, []

    def interrupted(self: Any, batches: Any) -> Any:
        calls.append(measured(self, batches))
        if len(calls) == 2:
            raise error
        return calls[-1]

    monkeypatch.setattr(ProfiledExecutor, "timed", interrupted)
    with pytest.raises(error):
        model.profile(seconds=SHORT)
    assert len(calls) == 2
    assert state(model) == before


def test_a_run_on_the_model_itself_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "copied", lambda store: store)
    monkeypatch.setattr(profiling, "_copied", lambda values: values)
    model = net(12, 9, 3)
    before = state(model)
    model.profile(seconds=SHORT)
    assert state(model) != before


def test_a_model_that_is_not_compiled_can_predict() -> None:
    model = Sequential([Dense(4, input_dim=3)], seed=1)
    found = model.profile(what="predict", seconds=SHORT)
    assert [one.title for one in found.operations][:1] == ["gemm"]
    with pytest.raises(ConfigError, match="what='predict'"):
        model.profile()


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mean_squared_error", "binary_crossentropy"])
def test_random_targets_suit_the_loss(loss: str) -> None:
    assert net(6, 5, 4, loss=loss).profile(seconds=SHORT).operations


def test_random_rows_fill_batches_and_a_bounded_memory() -> None:
    model = net(12, 9, 3)
    x, y = profiling.random_data(job_of(model), "train", 10)
    assert (x.shape, x.dtype, y.shape) == ((640, 12), np.float32, (640, 3))
    assert len(profiling.random_data(job_of(model), "train", 100_000)[0]) == 600_000
    assert len(profiling.random_data(job_of(model), "train", 10, rows=25)[0]) == 25


# --- Wrong use ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"what": "fit"}, "'train', 'evaluate' or 'predict', got 'fit'"),
        ({"seconds": 0}, "seconds is a number above 0"),
        ({"seconds": "long"}, "seconds is a number above 0"),
        ({"batch_size": 0}, "batch_size is an integer of at least 1"),
        ({"threads": 0}, "threads is an integer of at least 1"),
        ({"y": [[1.0]]}, "y without x"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        net(12, 9, 3).profile(**arguments)


def test_data_that_does_not_fit() -> None:
    x, y = data(10, 12, 3)
    model = net(12, 9, 3)
    with pytest.raises(DataError, match=r"takes x of shape \(rows, 12\), got"):
        model.profile(x[:, :5], y)
    with pytest.raises(DataError, match="y is missing"):
        model.profile(x)
    with pytest.raises(DataError, match="no rows"):
        model.profile(x[:0], y[:0])
    with pytest.raises(ConfigError, match="shape of the inputs is not known"):
        Sequential([Dense(3)]).profile(what="predict")
    with pytest.raises(ConfigError, match="by 'operation', 'layer' or 'phase', got 'kind'"):
        list(model.profile(x, y, seconds=SHORT).lines("kind"))


@pytest.mark.parametrize(("variable", "message"), [("NUMBA_DISABLE_JIT", "plain Python"), ("NBDL_CHECK", "unset it")])
def test_only_compiled_runs_are_profiled(variable: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"{variable}.*{message}"):
        net(12, 9, 3).profile()


def test_a_net_that_diverges_says_so() -> None:
    model = Sequential([Dense(4, input_dim=3), Dense(4)], seed=1)
    model.compile(loss="mean_squared_error", optimizer=nbdl.optimizers.SGD(learning_rate=1e9))
    with pytest.raises(NbdlError, match=r"(?s)profile: .*learning rate"):
        model.profile(seconds=SHORT)


# --- The roofline -------------------------------------------------------------------------------------------


def test_the_limits_follow_from_peak_and_copies() -> None:
    roofline = Roofline(100.0, ((1000, 50.0), (100_000, 10.0)))
    assert roofline.limits(1_000_000, 5_000, 1000) == (pytest.approx(10.0), pytest.approx(0.1))
    assert roofline.gbytes(1) == roofline.gbytes(1000) == 50.0
    assert roofline.gbytes(10_000) == pytest.approx(30.0)  # halfway on a logarithmic scale
    assert roofline.gbytes(1e9) == 10.0


def operation(us: float, compute: float, memory: float, **options: Any) -> OperationProfile:
    fields: dict[str, Any] = {"layer": "dense", "phase": "forward", "title": "map f", "shape": "3×4", "calls": 2.0}
    return OperationProfile(**fields | options, us=us, share=0.5, flops=4000, bytes=8000,
                            compute_us=compute, memory_us=memory)  # fmt: skip


def test_the_bound_is_the_longer_time() -> None:
    assert (operation(10, 5, 2).bound, operation(10, 5, 2).roofline) == ("compute", 0.5)
    assert (operation(10, 1, 2).bound, operation(10, 1, 2).roofline) == ("memory", 0.2)
    assert (operation(2, 1, 1).gflops, operation(2, 1, 1).gbytes) == (2.0, 4.0)
    assert operation(0, 1, 1).gflops == operation(0, 1, 1).roofline == 0.0


def test_this_machine_is_measured_as_far_as_is_asked() -> None:
    roofline = measure(20_000)
    assert [size for size, _ in roofline.copies] == [4096, 16384, 65536]
    assert roofline.gflops > 0.1
    assert all(speed > 0.1 for _, speed in roofline.copies)


# --- The table ----------------------------------------------------------------------------------------------


def made_up(*operations: OperationProfile) -> Profile:
    return Profile("train", 32, operations, 21.0, 22.0, 2, 14.0, 12.0, Roofline(250.0, ((4096, 500.0),)))


def test_the_table() -> None:
    found = made_up(operation(10, 5, 2, title="gemm"), operation(10, 1, 2, layer="other", phase="backward"))
    lines = str(found).split("\n")
    assert lines[0] == "train, 32 rows a step; operations on one thread"
    assert lines[3].split() == ["forward", "2", "10.0", "50.0%", "0.400", "0.800", "compute", "50%"]
    assert lines[4].split() == ["dense", "gemm", "3×4", "2", "10.0", "50.0%", "0.400", "0.800", "compute", "50%"]
    assert any(line.split()[:4] == ["all", "operations", "4", "20.0"] for line in lines)
    assert "(+1.00 beside the operations); 14.0 µs on 2 threads, 1.50 times as fast" in " ".join(str(found).split())
    by_layer = list(found.lines("layer"))
    assert [line.split()[0] for line in by_layer[2:6]] == ["layer", "dense", "other", "all"]


def test_the_table_fits_a_terminal() -> None:
    found = made_up(operation(10, 5, 2, title="map " + "long." * 20, shape="1×2×3" * 20))
    assert max(map(len, found.lines())) > 150
    for width in (80, 100):
        lines = list(found.lines(width=width))
        assert max(map(len, lines)) <= width
        assert any("…" in line for line in lines)


# --- The command --------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["profile", *arguments], prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


QUICK = ("--seconds", str(SHORT))


def test_the_command_profiles_a_saved_model_and_leaves_it_alone(folder: Path) -> None:
    net(12, 9, 3).save("model.nbdl")
    before = (folder / "model.nbdl").read_bytes()
    text = run("model.nbdl", "--batch-size", "16", *QUICK).stdout
    assert text.startswith("train, 16 rows a step")
    assert "gemm" in text
    assert "16×12 · 12×9" in text
    assert (folder / "model.nbdl").read_bytes() == before


def test_the_command_makes_a_net() -> None:
    result = run("--arch", "6-5:tanh-2", "--task", "regression", "--optimizer", "sgd", "--loss", "mean_squared_error",
                 "--by", "layer", *QUICK)  # fmt: skip
    assert "dense_1" in result.stdout
    assert "gemm" not in result.stdout
    several, single = (
        run("--arch", "6-5-3", "--rows", rows, "--batch-size", "64", *QUICK).stdout for rows in ("128", "64")
    )
    assert "softmax" in several
    assert several.count("gather") == single.count("gather") + 2  # x and row weights are read where they lie


def test_the_command_prints_json() -> None:
    found = json.loads(run("--arch", "6-5-3", "--what", "predict", "--json", *QUICK).stdout)
    assert (found["what"], found["rows"]) == ("predict", 32)
    assert {"layer", "phase", "title", "shape", "us", "gflops", "gbytes", "bound", "roofline", "share", "calls"} <= set(
        found["operations"][0]
    )
    assert found["peak_gflops"] > 0
    assert found["copies"][0]["bytes"] == 4096
    assert sum(one["us"] for one in found["operations"]) == pytest.approx(found["operations_us"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a saved MODEL, or a net with --arch"),
        (("model.nbdl", "--arch", "4-2"), "not both"),
        (("model.nbdl", "--loss", "mean_squared_error"), "--loss is for a net of --arch"),
        (("--arch", "4-"), "character 3"),
        (("--arch", "4-2", "--optimizer", "adm"), "Did you mean 'Adam'"),
        (("--arch", "4-2", "--rows", "8"), "--rows 8 is less than a step's --batch-size 32"),
        (("nothing.nbdl",), "there is no file nothing.nbdl"),
    ],
)
def test_wrong_use_of_the_command(arguments: tuple[str, ...], message: str) -> None:
    net(4, 3, 2).save("model.nbdl")
    assert message in " ".join(run(*arguments, code=2).output.split())


def test_without_the_compiler_the_command_says_why() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nbdl", "profile", "--arch", "4-2"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("Error: profile: NUMBA_DISABLE_JIT is set")
