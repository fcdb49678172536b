"""Threads and processes: many that predict, one that fits, children that were forked, and Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl.engine.compiler import load
from nbdl.engine.cpu import driver
from nbdl.engine.cpu import executor as cpu
from nbdl.engine.cpu.threads import Tuner, usable_threads
from nbdl.engine.emit import function_text
from nbdl.errors import ConfigError
from nbdl.layers import Dense

FORKS = hasattr(os, "fork")


def data(rows: int, features: int) -> tuple[Any, Any]:
    x = np.random.default_rng(0).normal(size=(rows, features)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(int)


def wide(seed: int = 1, units: int = 320) -> nbdl.Sequential:
    """Large enough for the parallel driver with 128 rows."""
    model = nbdl.Sequential([Dense(units, activation="relu", input_dim=300), Dense(2, activation="softmax")], seed=seed)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    return model


def small(seed: int = 1) -> nbdl.Sequential:
    model = nbdl.Sequential([Dense(8, activation="relu", input_dim=4), Dense(2, activation="softmax")], seed=seed)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    return model


def weights(model: nbdl.Sequential) -> bytes:
    return b"".join(weight.tobytes() for weight in model.get_weights())


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """The results of all, run in a thread each, begun together; an exception is a result too."""
    barrier, results = threading.Barrier(len(actions)), [None] * len(actions)

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = actions[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


# -- predicting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("make", [small, wide])
def test_many_threads_predict_with_one_model(make: Any, count: int) -> None:
    model = make()
    x, y = data(600, model.input_shape[0])
    model.fit(x, y, verbose=0)
    parts = [x[number::count].copy() for number in range(count)]
    alone = [model.predict(part) for part in parts]
    figures = model.evaluate(x, y)

    def work(number: int) -> bool:
        right = [np.array_equal(model.predict(parts[number]), alone[number]) for _ in range(20)]
        return all(right) and model.evaluate(x, y) == figures

    assert at_once(*(lambda number=number: work(number) for number in range(count))) == [True] * count


def test_the_first_prediction_of_a_model_may_be_made_by_many_threads() -> None:
    x, _ = data(50, 4)
    alone = small().predict(x)
    model = small()
    assert all(np.array_equal(found, alone) for found in at_once(*[lambda: model.predict(x)] * 8))


# -- fitting ------------------------------------------------------------------------------------------------


class Waits(nbdl.Callback):
    """Stops in the middle of a fit until it is let go."""

    def __init__(self) -> None:
        self.arrived, self.go = threading.Event(), threading.Event()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.arrived.set()
        assert self.go.wait(60)


def test_two_fits_on_one_model_at_once_are_refused() -> None:
    model, (x, y), waits = small(), data(60, 4), Waits()
    undisturbed = small()
    undisturbed.fit(x, y, verbose=0, epochs=2)
    first = threading.Thread(target=lambda: model.fit(x, y, verbose=0, epochs=2, callbacks=[waits]))
    first.start()
    assert waits.arrived.wait(60)
    try:
        with pytest.raises(ConfigError, match="in a fit already"):
            model.fit(x, y, verbose=0)
        model.predict(x)  # this is allowed
    finally:
        waits.go.set()
        first.join(60)
    assert weights(model) == weights(undisturbed)
    model.fit(x, y, verbose=0)


def test_a_fit_that_failed_does_not_block_the_next() -> None:
    model, (x, y) = small(), data(60, 4)
    with pytest.raises(ValueError, match="rows"):
        model.fit(x, y[:3], verbose=0)
    model.fit(x, y, verbose=0)


@pytest.mark.parametrize("make", [small, wide])
def test_two_models_are_fitted_at_once(make: Any) -> None:
    x, y = data(500, make().input_shape[0])

    def trained(model: nbdl.Sequential) -> bytes:
        model.fit(x, y, verbose=0, epochs=4, batch_size=128)
        return weights(model)

    alone = [trained(make(seed)) for seed in (1, 2)]
    assert alone[0] != alone[1]
    assert at_once(*(lambda seed=seed: trained(make(seed)) for seed in (1, 2))) == alone


@pytest.mark.parametrize("make", [small, wide])
@pytest.mark.parametrize("threads", [0, -1, 2.5, True, "2"])
def test_an_odd_number_of_threads_is_refused_whatever_the_size(make: Any, threads: Any) -> None:
    model = make()
    x, y = data(20, model.input_shape[0])
    for call in (model.fit, model.evaluate):
        with pytest.raises(ConfigError, match="threads is an integer"):
            call(x, y, verbose=0, threads=threads)
    with pytest.raises(ConfigError, match="threads is an integer"):
        model.predict(x, threads=threads)


def test_more_threads_than_there_are_do_no_harm() -> None:
    model = wide()
    x, y = data(256, 300)
    model.fit(x, y, verbose=0, batch_size=128, threads=999)


def test_pools_are_left_as_they_were() -> None:
    import numba

    def sizes() -> dict[str, int]:
        return {"numba": numba.get_num_threads()}

    x, y = data(500, 300)
    before = sizes()
    model = wide()
    for threads in (None, 1, 2):
        model.fit(x, y, verbose=0, batch_size=128, threads=threads)
    at_once(*(lambda seed=seed: wide(seed).fit(x, y, verbose=0, epochs=2, batch_size=128) for seed in (1, 2, 3)))
    model.predict(x, threads=1)
    with pytest.raises(RuntimeError, match="on purpose"):
        model.fit(x, y, verbose=0, batch_size=128, callbacks=[Fails()])
    after = sizes()
    assert {name: after[name] for name in before} == before


class Fails(nbdl.Callback):
    """Fails between two slices."""

    def on_progress(self, step: int, steps: int, logs: Any) -> None:
        raise RuntimeError("on purpose")


@pytest.mark.parametrize("given", ["two", "-1", "0", "1.5"])
def test_an_odd_number_of_threads_in_the_environment_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBDL_THREADS", given)
    with pytest.raises(ConfigError, match=f"NBDL_THREADS must be an integer of at least 1, got '{given}'"):
        usable_threads()
    assert usable_threads(1) == 1


@pytest.mark.parametrize("name", ["NBDL_THREADS", "NUMBA_NUM_THREADS"])
@pytest.mark.parametrize("given", ["abc", "0", "-3"])
def test_it_is_refused_by_the_smallest_net_too(name: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, given)
    message = f"the environment variable {name} must be an integer of at least 1, got '{given}'"
    model = nbdl.Sequential([nbdl.layers.Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    x = np.ones((2, 2), np.float32)
    for use in (lambda: model.predict(x), lambda: model.fit(x, x[:, 0], verbose=0), lambda: model(x), model.as_njit):
        with pytest.raises(ConfigError, match=message):
            use()


@pytest.mark.parametrize(("given", "wanted"), [("1", 1), ("", None), ("2", 2)])
def test_the_environment_says_how_many_threads(given: str, wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = usable_threads()
    monkeypatch.setenv("NBDL_THREADS", given)
    assert usable_threads() == (undisturbed if wanted is None else usable_threads(wanted))


# -- fewer threads than asked for ---------------------------------------------------------------------------

LAYERS = """
    import json, sys
    sys.path.insert(0, TESTS)
    from test_threads import data, weights, wide

    x, y = data(500, 300)
    model = wide()
    model.fit(x, y, verbose=0, batch_size=128, threads=int(sys.argv[1]))
    import numba
    try:
        layer = numba.threading_layer()
    except ValueError:  # no parallel region was entered
        layer = None
    print(json.dumps([layer, weights(model).hex()]))
"""


def trained_with(threads: int, **environment: str) -> tuple[Any, str]:
    code = textwrap.dedent(LAYERS.replace("TESTS", repr(str(Path(__file__).parent))))
    done = subprocess.run(
        [sys.executable, "-c", code, str(threads)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | {"NUMBA_NUM_THREADS": "2"} | environment,
    )
    assert done.returncode == 0, done.stderr
    layer, digits = json.loads(done.stdout)
    return layer, digits


def test_fewer_threads_than_asked_for_give_the_same_bits() -> None:
    model, (x, y) = wide(), data(500, 300)
    model.fit(x, y, verbose=0, batch_size=128, threads=1)
    wanted = weights(model).hex()
    assert trained_with(2, OMP_THREAD_LIMIT="1")[1] == wanted
    assert trained_with(2, NUMBA_NUM_THREADS="1") == (None, wanted)
    for threads in (1, 2):
        layer, found = trained_with(threads, NUMBA_THREADING_LAYER="workqueue")
        assert found == wanted
        assert layer == (None if threads == 1 else "workqueue")


def follows_first(
    stages: Any, tasks: Any, ops: Any, frame: Any, steps: Any, scalars: Any, log: Any, report: Any
) -> int:
    words = np.zeros(driver.SHARED_WORDS + 8, np.int64)
    shared = (words.ctypes.data + 63) // 64 * 64
    driver.follow(tasks, ops, frame, shared)
    driver.lead(stages, tasks, ops, frame, steps, scalars, log, report, shared)
    return int(report[driver.REPORT_STATUS] + 0 * words[0])


def test_a_follower_that_comes_before_its_leader_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, _) = wide(), data(500, 300)
    wanted = model.predict(x, threads=1)
    compiled = load(function_text(follows_first, "driver"))
    monkeypatch.setattr(cpu, "usable_threads", lambda _: 2)
    monkeypatch.setattr(cpu, "parallel_driver", lambda: compiled)
    np.testing.assert_array_equal(model.predict(x), wanted)


# -- forked children ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not FORKS, reason="this system has no fork")
def test_a_forked_child_trains_and_predicts_after_the_parent_used_the_parallel_driver(tmp_path: Path) -> None:
    code = """
        import json, multiprocessing, os, sys
        from concurrent.futures import ProcessPoolExecutor
        import numpy as np
        sys.path.insert(0, TESTS)
        from test_threads import data, weights, wide
        from nbdl.engine.cpu import executor as cpu

        x, y = data(500, 300)

        def train(_=None):
            model = wide()
            model.fit(x, y, verbose=0, batch_size=128)
            return weights(model).hex()

        called = []
        driver = cpu.parallel_driver
        cpu.parallel_driver = lambda: (called.append(os.getpid()), driver())[1]
        model = wide()
        model.fit(x, y, verbose=0, batch_size=128, threads=2)
        parent, answer = weights(model).hex(), model.predict(x).tobytes().hex()
        if os.cpu_count() > 1:
            assert called, "the parent did not use the parallel driver"
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
            children = list(pool.map(train, range(2)))
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            called.clear()
            same = train() == parent and model.predict(x).tobytes().hex() == answer and not called
            os.write(write, b"1" if same else b"0")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        model.fit(x, y, verbose=0, batch_size=128, threads=2)
        print(json.dumps([status, os.read(read, 1).decode(), [one == parent for one in children]]))
    """.replace("TESTS", repr(str(Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [0, "1", [True, True]]


@pytest.mark.skipif(not FORKS, reason="this system has no fork")
def test_a_child_that_is_forked_while_a_kernel_is_loaded_can_load_one(tmp_path: Path) -> None:
    code = """
        import os, signal, threading, time
        from nbdl.engine import compiler as kernel
        from nbdl.engine.cpu import threads

        head = "from nbdl.engine.compiler import kernel\\n@kernel\\n"
        text = head + "def run(a, b, c, d, e, f, g, h):\\n    return NUMBER\\n"
        inside, imported = threading.Event(), kernel._imported

        def slowly(text):
            inside.set()
            time.sleep(0.3)
            return imported(text)

        kernel._imported = slowly
        threads._workqueue.acquire()
        loading = threading.Thread(target=kernel.load, args=(text.replace("NUMBER", "1"),))
        loading.start()
        inside.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # rather than hang
            kernel.load(text.replace("NUMBER", "2"))
            with threads.parallel_region(1):
                os._exit(0)
        _, status = os.waitpid(child, 0)
        loading.join()
        kernel.load(text.replace("NUMBER", "3"))
        raise SystemExit(status)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


# -- Ctrl-C -------------------------------------------------------------------------------------------------

INTERRUPTED = """
    import json, os, signal, sys, threading, time
    import numpy as np, nbdl
    from nbdl.layers import Dense

    signal.signal(signal.SIGINT, signal.default_int_handler)  # it is ignored where tests run in the background
    what, size = sys.argv[1], sys.argv[2]
    features, units, batch = (16, 16, 4) if size == "small" else (400, 1000, 512)
    x = np.random.default_rng(0).normal(size=(60_000, features)).astype("float32")
    y = x[:, :1]
    layers = [Dense(units, activation="relu", input_dim=features), Dense(units, activation="relu"), Dense(1)]
    model = nbdl.Sequential(layers, seed=1)
    model.compile(loss="mse", optimizer="adam")
    model.fit(x[:batch], y[:batch], verbose=0, batch_size=batch, validation_split=0.1)   # all kernels are there now
    model.predict(x)
    seen = {"ended": 0, "best": None, "loss": np.inf}

    def weights():
        return [weight.tobytes().hex() for weight in model.get_weights()]

    class Watch(nbdl.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if logs["loss"] < seen["loss"]:
                seen["loss"], seen["best"] = logs["loss"], weights()
            if epoch == 0 and what == "fit":
                later.start()
        def on_test_begin(self, logs=None):
            if what == "validation":
                later.start()
        def on_train_end(self, logs=None):
            seen["ended"] += 1

    def interrupt():
        seen["at"] = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    later = threading.Timer(0.2, interrupt)
    big = np.tile(x, (40 if size == "small" else 2, 1))
    try:
        if what == "fit":
            stop = nbdl.callbacks.EarlyStopping(monitor="loss", patience=10**6, restore_best_weights=True)
            model.fit(x, -y, verbose=0, batch_size=batch, epochs=10**6, callbacks=[stop, Watch()])
        elif what == "validation":
            more = {"validation_data": (big, big[:, :1]), "epochs": 50, "callbacks": [Watch()]}
            model.fit(x, y, verbose=0, batch_size=batch, **more)
        else:
            later.start()
            for _ in range(1000):
                model.predict(big)
        print("ended by itself")
    except KeyboardInterrupt:
        delay = time.perf_counter() - seen["at"]
        after = weights()
        finite = bool(all(np.isfinite(w).all() for w in model.get_weights()) and np.isfinite(model.predict(x)).all())
        finite = finite and np.float32(1e-39) * np.float32(0.5) > 0  # denormals count again, for the caller
        loss = model.fit(x[:1000], y[:1000], verbose=0, batch_size=batch).history["loss"][0]
        print(json.dumps([delay, bool(finite), bool(np.isfinite(loss)), seen["ended"], after == seen["best"]]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill ends the process there")
@pytest.mark.parametrize(
    ("what", "size"),
    [("fit", "small"), ("fit", "large"), ("validation", "large"), ("predict", "small"), ("predict", "large")],
)
def test_ctrl_c_is_heard_and_leaves_a_usable_model(what: str, size: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED), what, size],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    delay, finite, goes_on, ended, best = json.loads(done.stdout)
    assert delay < 1.5
    assert finite
    assert goes_on
    assert ended == (0 if what == "predict" else 1)
    assert best or what != "fit"


def test_the_driver_that_these_tests_mean_is_the_parallel_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("there is one processor")
    called: list[int] = []
    driver = cpu.parallel_driver
    monkeypatch.setattr(cpu, "parallel_driver", lambda: (called.append(1), driver())[1])
    x, y = data(256, 300)
    wide().fit(x, y, verbose=0, batch_size=128, threads=2)
    assert called


def choices(costs: dict[int, float], tuner: Tuner, slices: int, hiccups: tuple[int, ...] = ()) -> list[int]:
    """The threads that a tuner chooses where a step costs so much with each."""
    chosen = []
    for number in range(slices):
        threads = tuner.next()
        tuner.took(10.0 if number in hiccups else costs[threads], 1)
        chosen.append(threads)
    return chosen


def test_the_tuner_keeps_what_is_faster() -> None:
    assert choices({4: 1.0, 1: 2.0}, Tuner(4), 400).count(4) > 380
    assert choices({4: 3.0, 1: 2.0}, Tuner(4), 400).count(1) > 380


def test_the_tuner_follows_the_machine_and_not_a_hiccup() -> None:
    tuner = Tuner(4)
    assert choices({4: 1.0, 1: 2.0}, tuner, 50, hiccups=(20, 35)).count(4) > 44
    assert choices({4: 9.0, 1: 2.0}, tuner, 50)[-40:].count(1) > 35, "the machine has become busy"
    assert choices({4: 1.0, 1: 2.0}, tuner, 400)[-100:].count(4) > 90, "and free again"


def test_short_slices_are_timed_together() -> None:
    tuner = Tuner(4)
    for _ in range(int(tuner.LEAST_SECONDS / 1e-4) - 1):
        assert tuner.next() == 4
        tuner.took(1e-4, 1)


def test_one_thread_is_not_tried_again_while_all_are_as_fast_as_ever() -> None:
    assert choices({4: 1.0, 1: 2.0}, Tuner(4), 400).count(1) == 1
