"""gpu_check.py: what can be said of it without a GPU. Its sections in the simulator: `--simulate`."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import gpu_check  # noqa: E402
from benchmarks import works  # noqa: E402
from gpu import (  # noqa: E402
    agreement,
    checkout,
    library,
    lost,
    nets,
    peers,
    repeatability,
    report,
    sanitizer,
    sections,
    steps,
    training,
    units,
    worker,
)
from gpu.context import Context, Options  # noqa: E402

# -- from a checkout, nothing installed ------------------------------------------------------------------------


UNITS = "from nbdl.units.registry import registry; print([(e.kind, e.name) for e in registry.entries()])"


def child(code, environment, folder):
    command = [sys.executable, "-c", code]  # within a checkout an egg-info could be found first
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("missing", [False, True], ids=["pluggy", "stand-in for pluggy"])
def test_the_checkout_offers_all_units(tmp_path, monkeypatch, missing):
    from nbdl.units.registry import registry

    monkeypatch.setattr(checkout, "stands_in", lambda: missing)
    folder = tmp_path / "metadata"
    checkout.write_metadata(folder)
    environment = checkout.environment(folder, {"PATH": "/usr/bin:/bin"}, simulate=False)
    where = "import importlib.metadata as m, pluggy; print(m.distribution('nbdl')._path, pluggy.__file__)"
    metadata, pluggy = child(where, environment, tmp_path).split()
    assert Path(metadata).parent == folder
    assert (Path(pluggy).parent == checkout.STAND_IN) == missing
    standard = [(e.kind, e.name) for e in registry.entries() if e.owner.distribution == "nbdl"]
    found = child(UNITS, environment | {"NBDL_LOAD_PLUGINS": ""}, tmp_path)
    assert found.strip() == str(standard)


def test_the_stand_in_calls_hooks_with_what_they_take_and_knows_misspelt_ones(monkeypatch):
    monkeypatch.syspath_prepend(str(checkout.STAND_IN))
    specification = importlib.util.spec_from_file_location("stand_in", checkout.STAND_IN / "pluggy.py")
    pluggy = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(pluggy)
    spec, impl = pluggy.HookspecMarker("toy"), pluggy.HookimplMarker("toy")
    called = []

    class Specs:
        @spec(historic=True)
        def register(self, value):
            """A hook."""

    class Plugin:
        @impl
        def register(self, value):
            called.append(value)

        @impl
        def regster(self):
            called.append("misspelt")

        def other(self):
            called.append("not a hook")

    manager, plugin = pluggy.PluginManager("toy"), Plugin()
    manager.add_hookspecs(Specs)
    manager.hook.register.call_historic(kwargs={"value": 1, "more": 2})
    manager.register(plugin)
    assert called == [1]
    assert {caller.name: caller.has_spec() for caller in manager.get_hookcallers(plugin)} == {
        "register": True, "regster": False,
    }  # fmt: skip
    manager.unregister(plugin)
    assert manager.get_hookcallers(plugin) is None


def test_the_simulator_is_off_unless_asked_for(tmp_path):
    given = {"NUMBA_ENABLE_CUDASIM": "1"}
    assert checkout.environment(tmp_path, given, simulate=False)["NUMBA_ENABLE_CUDASIM"] == "0"
    assert checkout.environment(tmp_path, given, simulate=True)["NUMBA_ENABLE_CUDASIM"] == "1"


# -- sections --------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path):
    checkout.write_metadata(tmp_path / "metadata")
    return checkout.environment(tmp_path / "metadata", {"PATH": "/usr/bin:/bin"}, simulate=True)


def test_a_section_that_hangs_or_breaks_is_told_apart(environment):
    options = Options("", simulate=True)
    assert sections.run("versions", options, environment, 0.05).state == "timed out"
    broken = sections.run("versions", options, {"PATH": "/usr/bin:/bin"}, 60.0)
    assert broken.state == "broken"
    assert "gpu" in broken.why
    passed = sections.run("versions", options, environment, 60.0)
    assert passed.state == "passed"
    assert passed.result["packages"]["numpy"] == np.__version__


def test_what_was_found_before_the_end_survives(tmp_path):
    context = Context(Options(str(tmp_path / "result.json")))
    context.keep(rows=[1])
    context.fail("wrong")
    assert json.loads((tmp_path / "result.json").read_text()) == {"failures": ["wrong"], "rows": [1]}


def test_status_is_that_of_the_sections_about_correctness():
    options = gpu_check.parser().parse_args(["--minutes", "1"])
    check = gpu_check.Check([], options, {})
    check.outcomes = {"units": sections.Outcome("passed", 1.0), "steps": sections.Outcome("broken", 1.0, "why")}
    assert check.status == 0
    for state in ("failed", "broken", "timed out", "not run"):
        check.outcomes["training"] = sections.Outcome(state, 1.0, "why")
        assert check.status == 1
    check.outcomes = {"sanitizer": sections.Outcome("not run", 1.0, "not found")}
    assert check.status == 1


def test_each_section_finds_its_share_of_the_time_whatever_those_before_it_took(monkeypatch):
    options = gpu_check.parser().parse_args(["--minutes", "9.5"])
    check = gpu_check.Check(list(sections.SECTIONS), options, {})
    clock, given = [check.began], {}
    monkeypatch.setattr(gpu_check.time, "monotonic", lambda: clock[0])

    def run(name, told, environment, seconds):
        given[name] = seconds
        clock[0] += seconds + 1.0  # it takes all, and to end it takes a little more
        return sections.Outcome("timed out", seconds, "it hung")

    monkeypatch.setattr(gpu_check, "run", run)
    for name in check.names:
        check._section(name, "")
    assert clock[0] - check.began < 600.0
    assert {name for name, seconds in given.items() if seconds < 0.9 * sections.SECTIONS[name].share} == set()
    assert given["steps"] >= 140.0
    options.minutes = 5.0  # shares shrink with the whole
    clock[0], given["versions"] = check.began, 0.0
    check._section("versions", "")
    assert 0.0 < given["versions"] < 10.0


def test_what_could_not_be_checked_is_said_though_the_section_passes(monkeypatch):
    class Gone:
        def wait(self, seconds=None):
            return 0

        pid = 0

    for result, state, why in (
        ({"unchecked": ["cuBLAS was not found"]}, "passed", "not checked: cuBLAS was not found"),
        ({"not_run": "no such program"}, "not run", "no such program"),
        ({"unchecked": ["one"], "failures": ["other"]}, "failed", "1 failed, the first: other"),
    ):
        monkeypatch.setattr(sections, "start", lambda *given: Gone())
        monkeypatch.setattr(sections, "end", lambda child: None)
        monkeypatch.setattr(sections, "read", lambda path, result=result: result)
        outcome = sections.run("training", Options(""), {}, 9.0)
        assert (outcome.state, outcome.why) == (state, why)


def test_no_section_begins_after_its_time(monkeypatch):
    options = gpu_check.parser().parse_args(["--minutes", "0.01"])
    check = gpu_check.Check(["units"], options, {})
    monkeypatch.setattr(sections, "run", lambda *given: pytest.fail("it began"))
    assert check._section("units", "").state == "not run"
    assert check._section("units", "no GPU").why == "no GPU"


def test_the_whole_script_in_the_simulator(tmp_path):
    command = [sys.executable, SCRIPTS / "gpu_check.py", "--simulate", "--only", "launches", "versions"]
    done = subprocess.run([*command, "--out", tmp_path / "out"], capture_output=True, text=True, check=True)
    content = json.loads((tmp_path / "out.json").read_text())
    assert list(content["sections"]) == ["versions", "launches"]
    # Each of 7 rounds and the one before it: 3 launches, 3 waited for, 3 replays of 1 and 3 of 4 kernels.
    assert content["sections"]["launches"]["result"]["kernels_run"] == 8 * (3 + 3 + 3 + 12)
    assert (tmp_path / "out.md").read_text() == done.stdout.removesuffix("\n") or "simulator" in done.stdout


# -- agreement -------------------------------------------------------------------------------------------------


class FakeProbe:
    """A program x → 2·x, which the GPU gets wrong by so much."""

    title, rows = "forward", 4

    def __init__(self, wrong):
        self.wrong = wrong
        self.sources = [np.linspace(1.0, 2.0, 12, dtype=np.float32).reshape(4, 3)]

    def executor(self, how):
        return how

    def run(self, how, sources, executor=None):
        from nbdl.testing.probe import Outcome

        with np.errstate(all="ignore"):
            y = sources[0] * (2.0 + self.wrong if how == "cuda" else 2.0)
        return Outcome(y, *(np.zeros(1) for _ in range(3)))


def test_programs_agree_within_rounding_only():
    figures = dict.fromkeys(("to CPU", "to float64", "CPU to float64"), 0.0)
    agreement.programs(FakeProbe(1e-6), figures)
    assert 0.0 < figures["to CPU"] < 1e-6
    with pytest.raises(AssertionError, match="output"):
        agreement.programs(FakeProbe(1e-3), figures)


def test_a_number_that_is_lost_shows():
    class Hides(FakeProbe):
        def run(self, how, sources, executor=None):
            found = super().run(how, sources)
            if how == "cuda":
                found.output = np.nan_to_num(found.output)
            return found

    with pytest.raises(AssertionError, match="NaN and infinity"):
        agreement.programs(Hides(0.0), dict.fromkeys(("to CPU", "to float64", "CPU to float64"), 0.0))


def test_weights_are_compared_by_how_far_they_moved():
    start, wanted = np.zeros(100), np.full(100, 1e-3)
    assert agreement.same_weights(start, wanted, wanted * 1.0005) == pytest.approx(5e-4)
    with pytest.raises(AssertionError, match="apart"):
        agreement.same_weights(start, wanted, start)
    with pytest.raises(AssertionError, match="apart"):
        agreement.same_weights(start, start, wanted)  # one moved, the other did not
    with pytest.raises(AssertionError, match="finite"):
        agreement.same_weights(start, wanted, wanted * np.nan)


def test_histories_are_compared_by_name_and_epoch():
    wanted = {"loss": [1.0, 0.5], "accuracy": [0.5, 0.501]}
    assert agreement.same_figures(wanted, {"loss": [1.00001, 0.5], "accuracy": [0.501, 0.5]}) < 1e-2
    for found in ({"loss": [1.0]}, {"loss": [1.0, 0.501], "accuracy": [0.5, 0.5]},
                  {"loss": [1.0, float("nan")], "accuracy": [0.5, 0.5]},
                  {"loss": [1.0, 0.5], "accuracy": [0.5, 0.6]}):  # fmt: skip
        with pytest.raises(AssertionError):
            agreement.same_figures(wanted, found)


# -- peers -----------------------------------------------------------------------------------------------------


WORK = peers.works(tiny=True)["lecture-5"]


@pytest.fixture(scope="module")
def wanted():
    return worker.Worker("nbdl-engine", "cpu").refer(WORK)


def test_the_referee_trains_no_epoch(monkeypatch):
    from gpu.peers import own

    monkeypatch.setattr(own.Engine, "epochs", lambda self, count: pytest.fail("an epoch was trained"))
    answer = worker.Worker("nbdl-engine", "cpu").answer({"do": "refer", "work": works.to_json(WORK)})
    assert len(answer["losses"]) == len(answer["untrained"]) == peers.STEPS_COMPARED


def test_transfers_are_counted_apart(monkeypatch):
    from nbdl.engine.cpu import executor as cpu

    monkeypatch.setattr(cpu.CpuExecutor, "pull", lambda self: time.sleep(0.05))
    runner = peers.PEERS["nbdl"].make(WORK, "cpu")
    runner.epochs(1)
    found = worker.measured(runner, 2)
    assert 0.05 <= 2 * found["transfers"] < 1.0  # at least one, and after that of no earlier fit
    assert found["seconds"] > 0.0
    assert cpu.CpuExecutor.pull.__name__ == "<lambda>"  # what counts is gone again


@pytest.mark.parametrize("name", [name for name, peer in peers.PEERS.items() if not peer.needs_gpu])
def test_peers_compute_what_nbdl_does(name, wanted, monkeypatch):
    pytest.importorskip(peers.PEERS[name].package)
    for variable, value in peers.PEERS[name].environment.items():
        monkeypatch.setenv(variable, value)
    answer = worker.Worker(name, "cpu").prepare(WORK)
    assert steps.refused(peers.PEERS[name], answer, wanted) == ""


@pytest.mark.parametrize("defect", ["learning rate", "no bias", "other rows"])
def test_a_peer_that_computes_something_else_is_refused(defect, wanted, monkeypatch):
    torch = pytest.importorskip("torch")
    runner = peers.PEERS["torch-graph"].make(WORK, "cpu")
    if defect == "learning rate":
        runner.optimizer.param_groups[0]["lr"] = 1.2e-3
    elif defect == "no bias":
        with torch.no_grad():
            runner.net[-1].bias.zero_()
    else:
        runner.x = runner.x.flip(0)
    answer = {"losses": runner.losses(peers.STEPS_COMPARED), "product_error": 0.0}
    assert "something else" in steps.refused(peers.PEERS["torch-graph"], answer, wanted)


def test_tf32_in_a_row_of_float32_is_refused():
    answer = {"losses": [2.0, 1.9], "product_error": 3e-4}
    referee = {"losses": [2.0, 1.9], "untrained": [2.0, 2.0]}
    assert "not float32" in steps.refused(peers.PEERS["torch"], answer, referee)
    assert steps.refused(peers.PEERS["torch-graph-tf32"], answer, referee) == ""
    assert "nothing to compare" in steps.refused(peers.PEERS["torch"], answer, {"error": "it ended"})


def test_the_works_that_targets_speak_of_come_first():
    assert list(peers.works()) == [
        "lecture-100", "lecture-8192", "wide-8192", "wide-100", "lecture-1024", "wide-1024",
    ]  # fmt: skip


# -- cuBLAS, which no product of these nets would reach --------------------------------------------------------


def bench():
    return training.Bench("cuda", nets.TINY, 2)


@pytest.mark.parametrize("by_library", [False, True])
def test_it_is_seen_which_products_ran_and_that_they_were_in_graphs(by_library):
    x, y = nets.data(nets.TINY)
    seen = library.Seen()
    with library.products_by(bench().runtime, by_library):
        model = nets.lecture(nets.TINY, "cuda")
        training.fit(model, x, y, bench(), callbacks=[seen])
    seen.check(by_library)
    with pytest.raises(AssertionError, match="products by cuBLAS"):
        seen.check(not by_library)
    seen.graph = 1, seen.graph[1]
    with pytest.raises(AssertionError, match="longest graph"):
        seen.check(by_library)


@pytest.mark.parametrize(("case", "factor"), [(training.cublas, 1.01), (training.tf32, 1.5)])
def test_wrong_products_of_the_library_are_found(case, factor, monkeypatch):
    from nbdl.engine.cuda import simulated

    assert "apart" in case(bench())
    right = simulated.product_of

    def wrong(product, memory):
        right(product, memory)
        memory[2][:] *= factor

    monkeypatch.setattr(simulated, "product_of", wrong)
    with pytest.raises(AssertionError):
        case(bench())


def test_without_cublas_its_cases_are_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "there", lambda runtime: False)
    monkeypatch.setattr(training, "CASES", {"one": training.cublas, "other": lambda bench: "fine"})
    context = Context(Options(str(tmp_path / "result.json"), simulate=True))
    training.training(context)
    assert context.result["cases"] == {"one": "not run: cuBLAS was not found", "other": "fine"}
    assert context.result["unchecked"] == ["one: cuBLAS was not found"]
    assert context.result["failures"] == []
    assert all("cuBLAS" not in title for title in repeatability.runs(context))


# -- processes -------------------------------------------------------------------------------------------------


def test_a_second_process_that_compiles_fails(tmp_path, monkeypatch):
    from nbdl.engine.cuda import compiler

    context = Context(Options(str(tmp_path / "result.json"), simulate=True, shard=(1, 2)))
    monkeypatch.setattr(compiler.statistics, "compiled", 0)
    monkeypatch.setattr(repeatability, "runs", lambda context: {})
    repeatability.repeatability(context)
    assert context.result["failures"] == []
    monkeypatch.setattr(compiler.statistics, "compiled", 3)
    repeatability.repeatability(context)
    assert "compiled 3 kernels" in context.result["failures"][0]


def test_what_fails_in_another_process_fails_here(tmp_path, monkeypatch):
    context = Context(Options(str(tmp_path / "result.json"), seconds=60.0, simulate=True))
    monkeypatch.setattr(repeatability, "runs", lambda context: {"a net": lambda single: "1"})
    monkeypatch.setattr(sections, "start", lambda *given, **more: None)
    monkeypatch.setattr(sections, "wait", lambda child, seconds: 0)
    answers = iter([{"prints": {"a net": "1"}}, {"prints": {"a net": "2"}, "failures": ["it compiled"]}])
    monkeypatch.setattr(sections, "read", lambda path: next(answers))
    repeatability.repeatability(context)
    assert context.result["failures"] == ["process 2: it compiled", "a net, in two processes: other bits"]


@pytest.fixture
def runtime(monkeypatch):
    monkeypatch.setattr(bench().runtime, "lost", "")  # and that it is found again afterwards
    return bench().runtime


@pytest.mark.usefixtures("runtime")
def test_a_lost_device_leaves_the_last_epoch(capsys):
    lost.main()
    assert "lost" in capsys.readouterr().out


def test_a_lost_device_that_spoils_the_weights_is_found(runtime, monkeypatch):
    from nbdl.engine.cuda import mirror

    whole = mirror.Mirror.pull

    def pull(self):
        if runtime.lost:
            self.host[:] = 0.0
        whole(self)

    monkeypatch.setattr(mirror.Mirror, "pull", pull)
    with pytest.raises(AssertionError, match="last finished epoch"):
        lost.main()


@pytest.mark.usefixtures("runtime")
def test_a_device_that_is_not_lost_is_noticed(monkeypatch):
    monkeypatch.setattr(lost, "lose", lambda runtime: None)
    with pytest.raises(AssertionError, match="no DeviceLostError"):
        lost.main()


def test_units_are_compared_with_the_cpu_before_the_suite_looks_at_any(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(units, "unit", lambda entry, context: (done.append(entry.name), ({}, []))[1])
    monkeypatch.setattr(units, "suite_checks", lambda entry: done.append("suite") or [])
    context = Context(Options(str(tmp_path / "result.json"), simulate=True))
    units.part(context, 0, 10)
    assert context.result["failures"] == []
    half = len(done) // 2
    assert set(done[half:]) == {"suite"}
    assert "suite" not in done[:half]


# -- compute-sanitizer, and the report -------------------------------------------------------------------------


CLEAN = f"{sanitizer.OVER}\n========= ERROR SUMMARY: 0 errors"


@pytest.mark.parametrize(("status", "output", "state", "said"), [
    (0, CLEAN, "clean", "0 errors"),
    (0, f"{sanitizer.OVER}\n========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", "clean", "0 haz"),
    (97, "========= Invalid __global__ read of size 4\n========= ERROR SUMMARY: 3 errors", "found", "Invalid"),
    (97, "========= Error: Race reported\n========= RACECHECK SUMMARY: 1 hazard displayed (1 error)", "found", "1 haz"),
    (1, "========= Device not supported\n========= ERROR SUMMARY: 1 error", "not finished", "cannot be used"),
    (1, "Traceback\nValueError: no", "not finished", "ValueError"),
    (0, "========= ERROR SUMMARY: 0 errors", "not finished", "status 0"),
    (0, sanitizer.OVER, "not finished", "status 0"),
    (0, f"{sanitizer.NO_CUBLAS}\n========= ERROR SUMMARY: 0 errors", "not finished", "cuBLAS"),
])  # fmt: skip
def test_what_a_sanitizer_says(status, output, state, said):
    verdict = sanitizer.judged(status, output)
    assert verdict.state == state
    assert said in verdict.said


def sanitized(tmp_path, monkeypatch, **states):
    """The section's result if the tools, "plain" too, end in these states; all others are clean."""

    def check(command, products, seconds):
        state = states.get(command[2] if command else "plain", "clean")
        return sanitizer.Verdict(state, f"said {state}")

    monkeypatch.setattr(sanitizer, "found", lambda: "compute-sanitizer")
    monkeypatch.setattr(sanitizer, "check", check)
    context = Context(Options(str(tmp_path / "result.json"), seconds=200.0))
    sanitizer.sanitizer(context)
    return context.result


def test_memcheck_and_racecheck_must_finish(tmp_path, monkeypatch):
    assert sanitized(tmp_path, monkeypatch)["failures"] == []
    for tool in ("memcheck", "racecheck"):
        found = sanitized(tmp_path, monkeypatch, **{tool: "not finished"})
        assert found["failures"] == [f"{tool}, own products: said not finished"]
    found = sanitized(tmp_path, monkeypatch, initcheck="not finished")
    assert (found["failures"], found["unchecked"]) == ([], ["initcheck, own products: said not finished"])
    assert sanitized(tmp_path, monkeypatch, synccheck="found")["failures"] == ["synccheck, own products: said found"]


def test_a_run_that_fails_by_itself_fails_the_section(tmp_path, monkeypatch):
    found = sanitized(tmp_path, monkeypatch, plain="found")
    assert found["failures"] == ["without a tool, own products: said found"]
    assert len(found["tools"]) == 1


def test_without_the_tool_the_section_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sanitizer, "found", lambda: "")
    context = Context(Options(str(tmp_path / "result.json")))
    sanitizer.sanitizer(context)
    assert "not on the PATH" in context.result["not_run"]


def test_the_sanitizers_run_in_the_simulator(environment):
    code = "from gpu import sanitizer; print(sanitizer.check([], sanitizer.CUBLAS, 300.0).state)"
    assert child(code, environment, SCRIPTS).splitlines()[-1] == "clean"


def made_up():
    samples = {"nbdl": [10e-6, 30e-6, 20e-6], "torch": [40e-6, 120e-6, 90e-6], "torch-graph": [5e-6, 15e-6, 20e-6]}
    work = {"title": "a net", "batch": 100, "steps": 2, "flops": 400_000_000, "samples": samples, "losses": {},
            "transfers": {"nbdl": [3e-6, 1e-6, 2e-6], "torch": [0.0, 0.0, 0.0]},
            "memory": {"nbdl": 3_000_000, "torch": 0}, "product_error": {}}  # fmt: skip
    labels = {name: peer.label for name, peer in peers.PEERS.items()}
    found = {"failures": [], "works": {"lecture-100": work}, "labels": labels, "own": ["nbdl"], "tf32": [],
             "left_out": [["lecture-100", "jax-scan", "it computes | something else"]]}  # fmt: skip
    facts = {"date": "2026-01-01", "seconds": 9.0, "arguments": [], "simulated": False, "peers_on": "cuda",
             "pluggy_stands_in": True}  # fmt: skip
    failed = {"failures": ["relu: other numbers"], "units": {}}
    outcome = {"state": "passed", "seconds": 1.0, "why": "", "output": ""}
    return {"facts": facts, "sections": {
        "units": {**outcome, "state": "failed", "why": "1 failed", "result": failed},
        "steps": {**outcome, "result": found},
        "products": {**outcome, "state": "broken", "why": "status 1", "result": None},
    }}  # fmt: skip


def cells(text, first):
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_report_of_step_times():
    text = report.report(made_up())
    assert cells(text, "PyTorch eager, fused Adam")[1:] == ["90", "40–120", "4.00", "4.44"]
    assert cells(text, "lecture-100")[1:] == ["PyTorch, whole step as a CUDA graph", "0.50", "4.00", "0.50"]
    assert cells(text, "**nbdl** `fit`")[1:4] == ["20", "10–30", ""]
    assert cells(text, "**nbdl** `fit`: transfers")[1:3] == ["2", "1–3"]
    assert "fused Adam: transfers" not in text
    assert "left out** of lecture-100: JAX, scanned epoch, it computes \\| something else" in text


def test_the_report_says_what_failed_and_what_stood_in():
    text = report.report(made_up())
    assert cells(text, "Every unit, GPU against CPU")[1] == "**failed**: 1 failed"
    assert "- relu: other numbers" in text
    assert cells(text, "Products")[1] == "**broken**: status 1"
    assert "stand-in" in text
    assert "simulator" not in text


def test_the_report_advises_from_where_cublas_should_take_over():
    def row(size, own, cublas):
        return {"title": f"{size}", "flops": 2 * size, "own": [own], "cublas": [cublas]}

    rows = [row(1 << 20, 1.0, 2.0), row(1 << 24, 1.0, 1.5), row(1 << 28, 2.0, 1.0), row(1 << 30, 3.0, 1.0)]
    text = "\n".join(report.TABLES["products"]({"cublas": "13", "products": rows}))
    assert "from 268,435,456 multiplications on (2^28.0); 0 of 4 products" in text
    odd = [*rows, row(1 << 29, 1.0, 1.1)]
    assert report.threshold([(r["flops"] // 2, r["own"][0], r["cublas"][0]) for r in odd]) == 1 << 28
    never = "\n".join(report.TABLES["products"]({"cublas": "13", "products": rows[:2]}))
    assert "overtakes nowhere; 0 of 2" in never
    assert "Sizes.library" not in "\n".join(report.TABLES["products"]({"cublas": "", "products": []}))
