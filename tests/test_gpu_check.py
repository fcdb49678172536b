"""gpu_check.py: what can be said of it without a GPU. Its sections in the simulator: `--simulate`."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

import gpu_check  # noqa: E402
from gpu import agreement, checkout, peers, report, sanitizer, sections, steps, worker  # noqa: E402
from gpu.context import Context, Options  # noqa: E402

# -- from a checkout, nothing installed ------------------------------------------------------------------------


UNITS = "from nbdl.registry import registry; print([(e.kind, e.name) for e in registry.entries()])"


def child(code, environment, folder):
    command = [sys.executable, "-c", code]  # within a checkout an egg-info could be found first
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("missing", [False, True], ids=["pluggy", "stand-in for pluggy"])
def test_the_checkout_offers_all_units(tmp_path, monkeypatch, missing):
    from nbdl.registry import registry

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
    check.outcomes = {"sanitizer": sections.Outcome("skipped", 1.0, "not found")}
    assert check.status == 0


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
    return worker.Worker("nbdl-engine", "cpu").prepare(WORK)


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
    assert steps.ordered(peers.works()) == [
        "lecture-100", "wide-100", "lecture-8192", "wide-8192", "lecture-1024", "wide-1024",
    ]  # fmt: skip


# -- compute-sanitizer, and the report -------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "output", "wrong", "said"), [
    (0, "the run is over\n========= ERROR SUMMARY: 0 errors", False, "0 errors"),
    (97, "========= Invalid __global__ read of size 4\n========= ERROR SUMMARY: 3 errors", True, "Invalid"),
    (97, "========= Error: Race reported\n========= RACECHECK SUMMARY: 1 hazard displayed (1 error)", True, "1 hazard"),
    (1, "========= Device not supported\n========= ERROR SUMMARY: 1 error", False, "cannot be used"),
    (1, "Traceback\nValueError: no", True, "ValueError"),
    (0, "========= ERROR SUMMARY: 0 errors", True, "status 0"),
])  # fmt: skip
def test_what_a_sanitizer_says(status, output, wrong, said):
    found, text = sanitizer.judged(status, output)
    assert found == wrong
    assert said in text


def made_up():
    samples = {"nbdl": [10e-6, 30e-6, 20e-6], "torch": [40e-6, 120e-6, 90e-6], "torch-graph": [5e-6, 15e-6, 20e-6]}
    work = {"title": "a net", "batch": 100, "steps": 2, "flops": 400_000_000, "samples": samples, "losses": {},
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
    assert "left out** of lecture-100: JAX, scanned epoch, it computes \\| something else" in text


def test_the_report_says_what_failed_and_what_stood_in():
    text = report.report(made_up())
    assert cells(text, "Every unit, GPU against CPU")[1] == "**failed**: 1 failed"
    assert "- relu: other numbers" in text
    assert cells(text, "Products")[1] == "**broken**: status 1"
    assert "stand-in" in text
    assert "simulator" not in text
