"""`nbdl plugins list`, `info`, `check`, `doctor`; units in one file; units with arguments on the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import SkipTest

import pytest
from click.testing import CliRunner
from click.testing import Result as Invocation

from nbdl.cli import arch
from nbdl.cli.app import app
from nbdl.cli.plugin_check import Report, tried
from nbdl.errors import ConfigError, NbdlError
from nbdl.plugins import unit_text
from nbdl.testing import Check, Result
from nbdl.units.entry import Entry
from nbdl.units.registry import registry

UNITS = '''
"""Cube: x times itself, twice.

Formula: y = scale·x³.

Args:
    scale: of the result.

Source: any book.
"""

from nbdl import hookimpl


def f(x, scale=1.0):
    return scale * x * x * x


def df(x, y, scale=1.0):
    return 3.0 * scale * x * x


@hookimpl
def register_activations(register):
    register("filed_cube", f, df, aliases=("filed_third",))
'''
Process = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, where there is a file of units."""
    monkeypatch.chdir(tmp_path)
    Path("my_units.py").write_text(UNITS)
    return tmp_path


def run(*arguments: str, code: int = 0) -> Invocation:
    """Run a command in this process and expect an exit code."""
    result = CliRunner().invoke(app, list(arguments), prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


def process(*arguments: str, **variables: str) -> Process:
    """Run a command in a process of its own, so that what it registers does not stay."""
    command = [sys.executable, "-m", "nbdl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **variables})
    assert "Traceback" not in done.stderr
    return done


def answer(*arguments: str, code: int = 0, **variables: str) -> Any:
    """The JSON that a command prints."""
    done = process(*arguments, "--json", **variables)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


# -- list and the group ---------------------------------------------------------------------------------------


def test_list_takes_a_kind_in_either_number() -> None:
    plural = run("plugins", "list", "losses").stdout
    assert plural == run("plugins", "list", "loss").stdout == run("plugins", "list", "--kind", "losses").stdout
    line = next(one for one in plural.splitlines() if " huber " in one)
    assert line.startswith("losses ")
    assert "nbdl 0" in line
    assert "squares for small errors" in line
    assert "relu" not in plural
    assert "Did you mean 'losses'?" in run("plugins", "list", "lossess", code=2).stderr
    assert "once" in run("plugins", "list", "losses", "--kind", "layers", code=2).stderr


def test_list_as_json_has_every_unit() -> None:
    found = json.loads(run("plugins", "list", "--json").stdout)
    assert {(one["kind"], one["name"]) for one in found} == {(one.kind, one.name) for one in registry.entries()}
    assert all(one["summary"] and one["distribution"] and one["module"] for one in found)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("optimizers", "nbdl plugins list optimizers"),
        ("loss", "nbdl plugins list losses"),
        ("elu", "nbdl plugins info elu"),
        ("docter", "Did you mean 'doctor'?"),
        ("xyzzy", "`nbdl plugins --help`"),
    ],
)
def test_a_word_that_is_no_command_is_told_what_to_write(word: str, hint: str) -> None:
    assert hint in run("plugins", word, code=2).stderr


def test_json_belongs_behind_the_command() -> None:
    assert "nbdl plugins list --json" in run("plugins", "--json", "list", code=2).stderr


@pytest.mark.parametrize(
    "arguments", ["plugins", "plugins list", "plugins info elu", "plugins doctor", "plugins list -h"]
)
def test_describing_imports_nothing_heavy(arguments: str) -> None:
    code = (
        "import sys, nbdl.cli\n"
        f"sys.argv = ['nbdl', *{arguments.split()!r}]\n"
        "try:\n    nbdl.cli.main()\n"
        "finally:\n    print('HEAVY', sorted({'numba', 'numpy', 'scipy', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr


# -- info -----------------------------------------------------------------------------------------------------


def test_info_shows_formula_arguments_functions_and_place() -> None:
    text = run("plugins", "info", "activation/elu").stdout
    module = sys.modules["nbdl_standard.activations.elu"]
    for part in (
        "activations/elu  (nbdl ",
        "y = x for x > 0, alpha·(eˣ - 1) below.",
        "elu(alpha: float = 1.0)",
        "minus the value that y tends to for small x.",
        "df(x: float, y: float, alpha: float = 1.0) -> float",
        f"{module.__file__}:{module.f.__code__.co_firstlineno}\n",
        "plugin 'standard'",
    ):
        assert part in text
    assert "layers/ELU" not in text
    assert max(map(len, text.splitlines())) <= 110  # but for paths


def test_info_shows_all_kinds_of_a_name_the_shortest_first() -> None:
    for longer in (False, True):
        short, long = "A paragraph.\n\n" * 9, "A paragraph.\n\n" * 30
        cube = UNITS.replace("scale=1.0):\n", f"scale=1.0):\n    '''Cube.\n\n{short}'''\n", 1)
        note = long if longer else "One.\n\n"
        metric = f"def error(y, p):\n    '''Short.\n\n{note}'''\n    return abs(y - p)\n\n\n"
        hook = "@hookimpl\ndef register_metrics(register):\n    register('filed_cube', error)\n"
        Path("my_units.py").write_text(cube + metric + hook)
        text = process("plugins", "info", "filed_cube", "--plugin-file", "my_units.py").stdout
        activation_first = text.index("activations/filed_cube") < text.index("metrics/filed_cube")
        assert activation_first is longer
    text = run("plugins", "info", "elu").stdout
    one, other = text.split("\n\nlayers/ELU")
    assert len(one.splitlines()) <= len(other.splitlines())
    assert run("plugins", "info", "elu", "--kind", "layers").stdout.rstrip() == "layers/ELU" + other.rstrip()


def test_info_tells_common_arguments_from_a_units_own() -> None:
    [adam] = json.loads(run("plugins", "info", "adam", "--json").stdout)
    common = {one["name"] for one in adam["arguments"] if one["common"]}
    assert "clipnorm" in common
    assert not common & {"learning_rate", "beta_1"}
    assert {one["name"]: one["default"] for one in adam["arguments"]}["beta_2"] == "0.999"
    assert all(one["text"] for one in adam["arguments"])
    assert adam["owner"]["distribution"] == "nbdl"
    text = run("plugins", "info", "adam").stdout
    assert text.index("  beta_1: float = 0.9\n") < text.index("All of the kind also take")


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        ("softmx", "no unit is called 'softmx'. Did you mean 'softmax'?"),
        ("loss/huber_los", "no loss is called 'huber_los'. Did you mean 'huber_loss'?"),
        ("loss/Dense", "There is layer/Dense."),
        ("los/huber", "no kind 'los'. Did you mean 'loss'?"),
        ("xyzzy", "`nbdl plugins list` lists all."),
    ],
)
def test_info_of_what_is_unknown(unit: str, message: str) -> None:
    assert message in run("plugins", "info", unit, code=2).stderr


# -- a file of units ------------------------------------------------------------------------------------------


def test_a_file_of_units_trains_and_is_needed_to_load() -> None:
    with_file = ("--plugin-file", "my_units.py")
    net = ("--arch", "64-16:filed_cube(scale=0.1)-10:softmax", "--epochs", "2", "--progress", "none", "-o", "cube.nbdl")
    done = process("train", "digits", *net, *with_file)
    assert done.returncode == 0, done.stderr
    assert "64-16:filed_cube(scale=0.1)-10:softmax" in done.stdout
    for arguments in (
        ("evaluate", "cube.nbdl", "digits"),
        ("predict", "cube.nbdl", "digits"),
        ("summary", "cube.nbdl"),
        ("explain", "cube.nbdl"),
        ("export", "cube.nbdl", "-o", "cube.c"),
    ):
        assert process(*arguments, *with_file).returncode == 0
    without = process("evaluate", "cube.nbdl", "digits")
    assert without.returncode == 2
    assert "filed_cube" in without.stderr
    assert "my_units.py" in without.stderr


def test_profile_and_warmup_take_a_file() -> None:
    for command in ("profile", "warmup", "plugins"):
        assert "--plugin-file FILE" in run(command, "--help").stdout


def test_a_file_is_listed_and_described() -> None:
    [found] = answer("plugins", "info", "filed_third", "--plugin-file", "my_units.py")
    assert found["name"] == "filed_cube"
    assert found["formula"] == "y = scale·x³."
    assert found["owner"]["distribution"] == "my_units.py"
    assert (Path(found["file"]).name, found["line"]) == ("my_units.py", 15)
    assert [one["signature"] for one in found["functions"]] == ["f(x, scale=1.0)", "df(x, y, scale=1.0)"]
    listed = answer("plugins", "list", "activation", "--plugin-file", "my_units.py")
    assert "filed_cube" in {one["name"] for one in listed}


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (None, 2, "there is no file my_units.py"),
        ("\ndef f(:\n", 4, "my_units.py:2: invalid syntax"),
        ("x = 1\n", 4, "my_units.py registers nothing"),
        ("def g():\n    1 / 0\n\n\ng()\n", 4, "my_units.py:2: ZeroDivisionError"),
        ("raise SystemExit\n", 4, "my_units.py:1: SystemExit"),
        (UNITS.replace("filed_cube", "tanh"), 4, "'tanh' is already registered by nbdl"),
        (UNITS.replace("register_activations", "register_activation"), 4, "Did you mean 'register_activations'?"),
    ],
)
@pytest.mark.parametrize("command", [("train", "digits", "--dry-run"), ("plugins", "list"), ()])
def test_a_file_that_cannot_be_used_is_told_in_one_line(
    command: tuple[str, ...], text: str | None, code: int, message: str
) -> None:
    Path("my_units.py").unlink() if text is None else Path("my_units.py").write_text(text)
    done = process(*command, "--plugin-file", "my_units.py")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1


GREETING = """
import click


@click.command()
@click.option("--name", default="you")
def greet(name):
    click.echo(f"hello {name}")


@hookimpl
def register_commands(register):
    register("greet-me", f"{__name__}:greet", help="Say hello.")
"""


def test_a_file_before_the_command_brings_commands_and_units() -> None:
    Path("my_units.py").write_text(UNITS + GREETING)
    before = ("--plugin-file", "my_units.py")
    done = process(*before, "greet-me", "--name", "Ada")
    assert (done.returncode, done.stdout) == (0, "hello Ada\n"), done.stderr
    assert re.search("^  greet-me +Say hello.$", process(*before, "--help").stdout, re.MULTILINE)
    assert process(*before, "plugins", "info", "filed_cube").returncode == 0
    assert process(*before, "train", "digits", *before, "--arch", "64-8:filed_cube-10", "--dry-run").returncode == 0
    without = process("greet-me")
    assert without.returncode == 2
    assert "no such command 'greet-me'" in without.stderr


def test_a_command_joins_the_group_of_plugins() -> None:
    Path("my_units.py").write_text("from nbdl import hookimpl\n" + GREETING.replace('"greet-me"', '"plugins greet-me"'))
    before = ("--plugin-file", "my_units.py")
    done = process(*before, "plugins", "greet-me", "--name", "Ada")
    assert (done.returncode, done.stdout) == (0, "hello Ada\n"), done.stderr
    assert re.search("^  greet-me +Say hello.$", process(*before, "plugins", "--help").stdout, re.MULTILINE)
    assert "greet-me" not in process(*before, "--help").stdout
    assert "Did you mean 'greet-me'?" in process(*before, "plugins", "greetme").stderr


@pytest.mark.parametrize("name", ["train greet", "plugins greet me", "plugins ", " greet"])
def test_a_command_joins_no_other_group(name: str) -> None:
    Path("my_units.py").write_text("from nbdl import hookimpl\n" + GREETING.replace('"greet-me"', repr(name)))
    done = process("--plugin-file", "my_units.py", "plugins")
    assert done.returncode == 4
    assert 'a command may begin with "plugins "' in " ".join(done.stderr.split())


def test_a_file_before_the_command_may_be_told_where_it_fails() -> None:
    Path("my_units.py").write_text("1 / 0\n")
    command = [sys.executable, "-m", "nbdl", "--debug", "--plugin-file", "my_units.py", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Traceback" in done.stderr


# -- check ----------------------------------------------------------------------------------------------------


def test_check_finds_a_wrong_derivative_in_a_file() -> None:
    asked = ("--check", "derivative", "--check", "CUDA is the CPU")
    good = answer("plugins", "check", "my_units.py", *asked, NUMBA_ENABLE_CUDASIM="1")
    assert {one["check"]: one["outcome"] for one in good} == {"derivative": "passed", "CUDA is the CPU": "passed"}
    Path("my_units.py").write_text(UNITS.replace("3.0 * scale", "2.0 * scale"))
    bad = answer("plugins", "check", "my_units.py", *asked, code=4)
    assert {one["check"]: one["outcome"] for one in bad}["derivative"] == "failed"
    done = process("plugins", "check", "my_units.py", *asked)
    assert done.returncode == 4
    assert "FAILED    derivative\n" in done.stdout
    assert "FAILED: activations/filed_cube: derivative\n" in done.stdout
    assert done.stdout.endswith("activations/filed_cube: 1 ok, 1 FAILED\n")


def test_check_runs_cuda_kernels_where_there_is_no_gpu() -> None:
    without = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-m", "nbdl", "plugins", "check", "my_units.py", "--check", "CUDA is the CPU"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=without)
    assert done.returncode == 0, done.stderr
    assert "ok        CUDA is the CPU" in done.stdout


def test_check_of_several_units_is_a_table() -> None:
    units = ("elu", "huber", "digits")
    text = run("plugins", "check", "nbdl", *(f"--unit={one}" for one in units), "--check", "documented").stdout
    legend, head, *rows = text.splitlines()[:6]
    assert legend == "  1  documented"
    assert rows[0].split() == ["1"]
    assert text.endswith(" ok\n")
    table = {row.split()[0]: row.split()[1:] for row in text.splitlines()[3:7]}
    assert table["losses/huber"] == table["layers/ELU"] == table["activations/elu"] == ["ok"]
    assert head == ""


def test_what_a_unit_does_meanwhile_is_no_part_of_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    class Stub:
        """A check that does what it is told."""

        name = "stub"

        def __init__(self, error: BaseException | None) -> None:
            self.error = error

        def __call__(self, entry: Entry) -> None:
            print("noise")
            warnings.warn("noise", stacklevel=1)
            if self.error is not None:
                raise self.error

    def outcome(error: BaseException | None, **options: Any) -> tuple[str, str]:
        known = registry.get("activations", "elu")
        entry = Entry(known.kind, known.name, known.target, known.owner, known.module, (), options)
        found = tried(entry, Stub(error))  # type: ignore[arg-type]
        return found.outcome, found.text

    expected = {"expected_failures": {"stub": "a reason"}}
    assert outcome(None) == ("passed", "")
    assert outcome(AssertionError("wrong")) == ("failed", "wrong")
    assert outcome(ValueError("odd")) == ("failed", "ValueError: odd")
    assert outcome(SystemExit(3)) == ("failed", "SystemExit: 3")
    assert outcome(SkipTest("not here")) == ("skipped", "not here")
    assert outcome(AssertionError("wrong"), **expected) == ("expected failure", "a reason")
    assert outcome(None, **expected)[0] == "failed"
    assert capsys.readouterr().out == ""
    with pytest.raises(KeyboardInterrupt):
        outcome(KeyboardInterrupt())


def test_the_report_of_several_units_has_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"activations": ["one", "two"], "losses": ["two", "three"]}
    wanted = [
        (registry.entries(kind)[0], [Check(name, lambda subject: None, ()) for name in its])
        for kind, its in names.items()
    ]
    report = Report(wanted)
    outcomes = iter(["passed", "failed", "expected failure", "skipped"])
    for entry, its in wanted:
        for one in its:
            outcome = next(outcomes)
            report.add(Result(entry, one, outcome, "" if outcome == "passed" else f"because of {one.name}"))
    report.end()
    text = capsys.readouterr().out
    first, second = (f"{entry.kind}/{entry.name}" for entry, _ in wanted)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows[first] == ["ok", "F", "-"]
    assert rows[second] == ["-", "x", "s"]
    assert f"FAILED: {first}: two\n  because of two\n" in text
    assert f"expected: {second}: two\n" in text
    assert f"skipped: {second}: three\n" in text
    assert text.endswith("\n2 units: 1 ok, 1 FAILED, 1 expected, 1 skipped\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("missing.py", 2, "there is no file missing.py"),
        ("nbdx", 2, "Did you mean 'nbdl'?"),
        ("pluggy", 4, "no entry point of the group nbdl"),
        ("nbdl --unit xyzzy", 2, "no unit is called 'xyzzy'"),
        ("digits --unit elu", 2, "digits has digits"),
        ("elu --check derivativ", 2, "no check 'derivativ'. Did you mean 'derivative'?"),
    ],
)
def test_check_of_what_is_not_there(arguments: str, code: int, message: str) -> None:
    assert message in run("plugins", "check", *arguments.split(), code=code).stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pty is of POSIX")
def test_check_shows_progress_on_a_terminal_and_ends_on_ctrl_c() -> None:
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "nbdl", "plugins", "check", "nbdl"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as running:
        os.close(slave)
        seen, end = b"", time.monotonic() + 100
        while b"\r3/" not in seen and time.monotonic() < end:
            seen += os.read(master, 1000)
        running.send_signal(signal.SIGINT)
        while time.monotonic() < end:
            try:
                seen += os.read(master, 1000)
            except OSError:  # the other side is closed
                break
        code = running.wait(timeout=100)
    os.close(master)
    assert b"\r3/" in seen
    assert code == 130, seen
    assert b"Interrupted." in seen
    assert b"Traceback" not in seen


# -- doctor ---------------------------------------------------------------------------------------------------

COMMANDS = """
from nbdl import hookimpl


@hookimpl
def register_commands(register):
    register("greet", "nowhere:greet", help="Say hello.")
    register("train", "nowhere:train")
"""


@pytest.fixture
def packages(folder: Path) -> Callable[..., Process]:
    """Commands that run where several packages are installed, some of them broken."""

    def package(name: str, plugin: str, text: str, needs: str = "") -> None:
        module = name.replace("-", "_")
        Path(f"{module}.py").write_text(text)
        info = Path(f"{module}-1.5.dist-info")
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n{needs}")
        (info / "entry_points.txt").write_text(f"[nbdl]\n{plugin} = {module}\n")

    package("good-plugin", "good", COMMANDS)
    package("bad-plugin", "bad", "raise SystemExit('not today')\n")
    package("new-plugin", "new", "x = 1\n", "Requires-Dist: nbdl>=99\n")
    package("twin-a", "twin", "x = 1\n")
    package("twin-b", "twin", UNITS)
    package("loud", "loud", "1 / 0\n")
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return lambda *arguments, **variables: process(*arguments, PYTHONPATH=path, **variables)


def test_doctor_tells_what_is_found_broken_switched_off_and_odd(packages: Any) -> None:
    done = packages("plugins", "doctor", "--json", NBDL_DISABLE_PLUGINS="loud,nosuch", NBDL_STRICT_PLUGINS="1")
    assert (done.returncode, done.stderr) == (4, "")
    report = json.loads(done.stdout)
    assert {"nbdl", "hooks", "python"} <= set(report["versions"])
    found = {one["distribution"]: one for one in report["plugins"]}
    assert set(found) == {"nbdl", "good-plugin", "bad-plugin", "new-plugin", "twin-a", "twin-b"}
    assert found["nbdl"]["module"] == "nbdl_standard"
    assert found["nbdl"]["units"]["losses"] > 10
    assert found["nbdl"]["seconds"] > 0.0
    assert found["twin-b"]["units"] == {"activations": 1}
    reasons = {one["distribution"]: one["reason"] for one in report["broken"]}
    assert reasons["bad-plugin"] == "SystemExit: not today"
    assert "it needs nbdl>=99" in reasons["new-plugin"]
    assert len(reasons) == 2
    assert all(one["remedy"] for one in report["broken"])
    [off] = report["switched_off"]
    assert (off["distribution"], off["variable"]) == ("loud", "NBDL_DISABLE_PLUGINS")
    notes = "\n".join(report["notes"])
    for part in (
        "NBDL_DISABLE_PLUGINS names 'nosuch'",
        "twin-a 1.5 and twin-b 1.5 call their plugin 'twin'",
        "twin-a 1.5 registers nothing",
        "the command 'train' of good-plugin 1.5 is hidden",
        "NBDL_STRICT_PLUGINS=1",
    ):
        assert part in notes
    assert "good-plugin 1.5 registers" not in notes
    assert len(report["notes"]) == 5


def test_doctor_as_text(packages: Any) -> None:
    done = packages("plugins", "doctor", NBDL_LOAD_PLUGINS="bad,twin-b,other")
    assert (done.returncode, done.stderr) == (4, "")
    text = done.stdout
    assert "bad  (bad-plugin 1.5), module bad_plugin\n  SystemExit: not today\n" in text
    assert "twin  (twin-b 1.5)\n  twin_b: 1 activation; loaded in " in text
    assert "good  (good-plugin 1.5), by NBDL_LOAD_PLUGINS\n" in text
    assert "NBDL_LOAD_PLUGINS names 'other'" in text


def test_doctor_is_content_where_nothing_is_broken() -> None:
    report = answer("plugins", "doctor", NBDL_LOAD_PLUGINS="")
    assert (report["broken"], report["notes"]) == ([], [])


def test_broken_packages_are_named_by_the_other_commands(packages: Any) -> None:
    done = packages("plugins", "info", "greet")
    assert done.returncode == 4
    assert "the command 'greet' of good-plugin 1.5 cannot be loaded" in done.stderr
    assert "`nbdl plugins doctor`" in packages("plugins", "info", "xyzzy").stderr
    done = packages("plugins", "check", "bad-plugin")
    assert (done.returncode, done.stdout) == (4, "")
    assert "SystemExit: not today" in done.stderr
    assert "registers nothing" in packages("plugins", "check", "twin-a").stderr
    assert "is switched off" in packages("plugins", "check", "loud", NBDL_DISABLE_PLUGINS="loud").stderr
    assert packages("plugins", "check", "twin-b", "--check", "documented").returncode == 0


# -- units with arguments -------------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was opened meanwhile, by a text that is evaluated."""
    calls: list[Any] = []
    registry.load()  # which opens files
    monkeypatch.setattr("builtins.open", lambda *given, **options: calls.append(given))
    yield calls
    monkeypatch.undo()


def test_a_unit_with_arguments_is_made() -> None:
    adam = unit_text.unit("optimizers", "adam(learning_rate=0.01, beta_1=0.8)")
    assert (adam.learning_rate, adam.beta_1) == (0.01, 0.8)
    assert unit_text.unit("optimizers", " adam ").learning_rate == 0.001
    assert unit_text.unit("losses", "huber(0.5)").parameters == {"delta": 0.5}
    assert unit_text.unit("optimizers", "sgd(momentum=0.5)", learning_rate=0.3).learning_rate == 0.3
    assert unit_text.unit("optimizers", "muon(exclude_layers=['a-b', 'c(1)'])").exclude_layers == ["a-b", "c(1)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adam(learning_rate=0.01", "write a name, or a name with arguments"),
        ("adam(learning_rate=open('x'))", r"open\('x'\) is no number"),
        ("adam(open('x'))", "is no number"),
        ("adam(**{'beta_1': 0.5})", r"without \*\*"),
        ("adam(*[0.5])", "is no number"),
        ("adam(learning_rate=)", "cannot be read"),
        ("adam(1)(2)", "write a name|do not match"),
        ("adam)(", "write a name"),
        ("", "write a name"),
        ("adam(rate=0.5)", "unexpected keyword argument 'rate'"),
        ("adam(beta_1=3)", "beta_1 lies between 0 and 1"),
        ("adm(beta_1=3)", "Did you mean 'Adam'?"),
        ("adam({[]: 1})", r"\{\[\]: 1\} is no number"),
        ("adam('\0')", "cannot be read"),
        (f"adam({'-' * 100_000}1)", "cannot be read"),
        (f"adam({'(' * 1000}1{')' * 1000})", "cannot be read"),
        (f"adam({'9' * 400})", "too large"),
        ("adam(beta_1=0.5, beta_1=0.6)", "an argument is given twice"),
        (f"sgd({', '.join(['0.1'] * 40)})", "too many positional arguments"),
    ],
)
def test_arguments_that_cannot_be_read_are_refused_unevaluated(text: str, message: str, opened: list[Any]) -> None:
    with pytest.raises(NbdlError, match=message):
        unit_text.unit("optimizers", text)
    assert not opened


def test_an_argument_is_given_once() -> None:
    for text in ("adam(learning_rate=0.01)", "adam(0.01)", "adam(lr=0.01)"):
        with pytest.raises(ConfigError, match=r"learning_rate is given twice, in the brackets and by itself|only one"):
            unit_text.unit("optimizers", text, learning_rate=0.1)
    assert unit_text.unit("optimizers", "adam(0.01)", learning_rate=None).learning_rate == 0.01


def test_activations_of_a_net_have_arguments() -> None:
    net = arch.parse("8-4:leaky_relu(negative_slope=-0.25)-3:elu(0.5)-2")
    assert [stage.units for stage in net.stages] == [4, 3, 2]
    assert net.stages[0].unit().parameters == {"negative_slope": -0.25}
    assert net.stages[1].unit().parameters == {"alpha": 0.5}
    assert net.stages[2].unit() is None
    assert arch.parse(str(net)) == net
    for text, message in (
        ("8-4:leaky_relu(slope=1)-2", "character 5.*unexpected keyword argument 'slope'"),
        ("8-4:leaky_relu(0.1-2", "character 5.*write a name"),
        ("8-4:leaky_rel(0.1)-2", "character 5: unknown activation 'leaky_rel'. Did you mean 'leaky_relu'"),
    ):
        with pytest.raises(ConfigError, match=message):
            arch.parse(text)


def test_train_takes_units_with_arguments() -> None:
    text = run(
        "train", "digits", "--dry-run", "--optimizer", "sgd(learning_rate=0.25)", "--loss", "hinge(name='h')"
    ).stdout
    assert "SGD at 0.25, hinge" in text
    text = run("train", "digits", "--dry-run", "--arch", "64-8:elu(0.5)-10:softmax(axis=-1)").stdout
    assert "sparse_categorical_crossentropy" in text
    done = run("train", "digits", "--optimizer", "adam(lr=0.1)", "--lr", "0.2", code=2)
    assert "only one" in done.stderr
