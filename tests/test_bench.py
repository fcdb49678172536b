"""The referee: its tables' arithmetic, who is left out, and one small run."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmarks import peers, plugins, referee, report, works  # noqa: E402


def result(peer, samples, work="tiny", threads=2, busy=False):
    micros = [sample * 1e-6 for sample in samples]
    return referee.Result(work, peer, threads, busy, math.nan, threads, micros, micros)


def tables(*results):
    outcome = referee.Outcome({result.work: works.WORKS[result.work] for result in results}, list(results))
    outcome.facts["busy"] = 1
    return report.Tables(outcome)


def cells(lines, first):
    """The cells of the line that starts so."""
    line = next(line for line in lines if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratio_is_the_median_over_the_rounds_not_a_ratio_of_medians():
    assert report.ratio(result("torch", [10, 90, 30]), result("nbdl", [1, 3, 10])) == pytest.approx(10.0)


@pytest.mark.parametrize(("seconds", "text"), [(0.217e-6, "0.217"), (8.456e-6, "8.46"), (99.96e-6, "100"),
                                               (1234.5e-6, "1 234")])  # fmt: skip
def test_micros(seconds, text):
    assert report.micros(seconds) == text


def test_table_of_a_work():
    lines = list(tables(result("nbdl", [2, 4, 3]), result("jax-scan", [8, 8, 6])).works())
    assert cells(lines, "**nbdl** `fit`")[1:5] == ["3", "2–4", "3", ""]
    assert cells(lines, "JAX, scanned epoch")[1:5] == ["8", "6–8", "8", "2.00"]


def test_roofline_takes_the_faster_blas_and_adds_the_bytes():
    lines = list(
        tables(
            result("nbdl", [10]), result("products", [6]), result("products-scipy", [5]),
            result("products-nbdl", [3]), result("bytes", [1]),
        ).roofline()
    )  # fmt: skip
    assert cells(lines, "tiny")[2:9] == ["5", "3", "1", "10", "**60%**", "40%", "50%"]


def test_slower_names_every_faster_peer_and_no_part_of_the_roofline():
    shown = "\n".join(tables(result("nbdl", [10]), result("torch", [9]), result("products", [1])).slower())
    assert "PyTorch eager, fused optimizer 9 (0.90)" in shown
    assert "BLAS" not in shown
    assert "Nowhere" in "\n".join(tables(result("nbdl", [10]), result("torch", [11])).slower())


def test_busy_and_cores_stand_side_by_side():
    shown = tables(result("nbdl", [10]), result("nbdl", [25], busy=True), result("nbdl", [18], threads=1))
    assert cells(shown.busy(), "tiny: **nbdl** `fit`")[1:6] == ["2", "10", "25", "25–25", "2.50"]
    assert cells(shown.cores(), "tiny: **nbdl** `fit`")[1:] == ["18", "10", "1.80"]
    assert cells(shown.works(), "**nbdl** `fit`")[1] == "10"  # quiet, with most threads


def test_who_is_not_installed_is_left_out_visibly(monkeypatch):
    absent = peers.Peer("Absent", "peers.absent", "no_such_package", "fit")
    monkeypatch.setitem(peers.PEERS, "absent", absent)
    outcome, said = referee.Outcome(works.chosen(["tiny"])), []
    assert referee.participants(["nbdl", "absent"], outcome, said.append) == ["nbdl"]
    assert said == ["absent is left out: no_such_package is not installed"]
    assert "- **left out**: absent, no_such_package is not installed" in list(report.Tables(outcome).left_out())


def test_names_of_works_and_groups():
    assert set(works.chosen(["train"])) == set(works.TRAIN)
    assert list(works.chosen(["onerow", "small"])) == ["small", "onerow"]
    assert works.chosen([]) == works.WORKS
    with pytest.raises(KeyError, match="nothing"):
        works.chosen(["nothing"])


@pytest.mark.parametrize("name", ["mnist_mlp", "onerow"])
def test_a_work_survives_the_pipe(name):
    work = works.WORKS[name]
    assert works.from_json(json.loads(json.dumps(works.to_json(work)))) == work


def test_flops_are_those_of_the_program():
    from benchmarks.peers.nbdl import model_of

    for work in (works.WORKS["tiny"], works.WORKS["matexp"]):
        program = model_of(work).program("train")
        assert work.flops == sum(o.flops(work.batch) for o in program.operations if o.kind == "gemm")


def test_a_small_run_writes_the_report_and_the_samples(tmp_path):
    file = tmp_path / "result.json"
    command = [sys.executable, SCRIPTS / "bench.py", "--only", "tiny", "--peers", "nbdl", "--threads", "1",
               "--rounds", "2", "--seconds", "0.001", "--json", file]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    content = json.loads(file.read_text())
    (measured,) = content["results"]
    assert measured["peer"] == "nbdl"
    assert len(measured["samples"]) == len(measured["cpu"]) == 2
    assert 0.0 < measured["loss"] < 0.7  # it trained: chance would be ln 2
    assert "| **nbdl** `fit` |" in done.stdout
    assert content["left_out"] == []


# -- a third party's units ----------------------------------------------------------------------------------


def test_copies_of_units_are_a_third_partys(tmp_path):
    site = plugins.packages(tmp_path / "site", 2)
    code = """
        import json
        from nbdl.units.registry import registry
        registry.load()
        assert not registry.broken, registry.broken
        print(json.dumps([[e.kind, e.name] for e in registry.entries() if e.owner.distribution != "nbdl"]))
    """
    found = json.loads(plugins.child(site, textwrap.dedent(code)))
    wanted = [[kind, plugins.theirs(name, number)] for kind, name in plugins.UNITS.items() for number in range(2)]
    assert sorted(found) == sorted(wanted)


def test_copies_train_to_the_same_bits_and_a_changed_one_does_not(tmp_path):
    site = plugins.packages(tmp_path / "site", 1)
    code = """
        from benchmarks import plugins
        plugins.NETS = {"tiny": ((8, 6, 2), 4, 16)}
        plugins.measure(1e-6, 3)
    """
    found = json.loads(plugins.child(site, textwrap.dedent(code)))
    assert (found["same"], len(found["own"]), len(found["theirs"])) == (True, 3, 3)
    copy = site / "nbdl_theirs_0" / "activations.py"
    text = copy.read_text()
    assert text.count("math.expm1(x)") == 1
    copy.write_text(text.replace("math.expm1(x)", "math.expm1(1.001 * x)"))
    assert not json.loads(plugins.child(site, textwrap.dedent(code)))["same"]
