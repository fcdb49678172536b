"""What the command line says: options in place of Python's arguments, singulars, and what does nothing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from nbdl.cli.app import app
from nbdl.cli.spoken import in_options
from nbdl.cli.train import train
from nbdl.model.requirements import remedy
from nbdl.storage.atomic import write_atomically
from nbdl.units.entry import SESSION


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBDL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def run(*arguments: str, code: int = 0) -> Result:
    """Run a command in this process and expect an exit code."""
    result = CliRunner().invoke(app, list(arguments), prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("read it with header=False, which", "read it with --no-header, which"),
        ("read it with header=True.", "read it with --header."),
        ("or download=True, which", "or --download, which"),
        ("name another by folder=... first", "name another by --data DIR first"),
        ("give task='classification'.", "give --task classification."),
        ('as in format="csv"', "as in --format csv"),
        ("if '|' parts the cells, give delimiter='|'.", "if '|' parts the cells, give --delimiter '|'."),
        ("precision='tf32' needs cuBLAS", "--precision tf32 needs cuBLAS"),
        ("f, a file: call nbdl.register(Path('a b.py')) before loading", "f, a file: add --plugin-file 'a b.py'"),
        ("Dense(4, task='x') and f(header=False) stay", "Dense(4, task='x') and f(header=False) stay"),
        ("'adam(lr=0.1, seed=3)': axis='a' is no option", "'adam(lr=0.1, seed=3)': axis='a' is no option"),
        ("seed=None, download=False: no option says so", "seed=None, download=False: no option says so"),
    ],
)
def test_arguments_become_options(said: str, expected: str) -> None:
    assert in_options(said, train) == expected


def test_a_command_without_the_option_keeps_the_argument() -> None:
    assert in_options("read it with header=False", click.Command("other")) == "read it with header=False"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train numbers.csv --target 1", "or read it with --no-header, which calls"),
        ("train rows.data --target y", "Give its format, as in --format csv."),
        ("train mnist", "or name another folder by --data DIR; or add --download"),
        ("train pipe.csv --target y", "if '|' parts the cells, give --delimiter '|'"),
        ("train pipe.csv --target y --delimiter ||", "--delimiter '||': it must be one character"),
        ("train x.npz --delimiter ;", "its reader does not take --delimiter ';'"),
        ("train x.npz --no-header", "its reader does not take --no-header"),
        ("train names.csv --target y", "give --task classification"),
    ],
)
def test_errors_of_the_library_name_options(arguments: str, message: str) -> None:
    Path("numbers.csv").write_text("1,2\n3,4\n")
    Path("rows.data").write_text("x,y\n3,4\n")
    Path("pipe.csv").write_text("x|y\n3|4\n")
    Path("names.csv").write_text("x,y\n" + "".join(f"{n},{n}.5\n" for n in range(60)) + "3,unknown\n")
    np.savez("x.npz", x=np.ones((3, 2)), y=np.ones(3))
    assert message in run(*arguments.split(), code=3).stderr


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [("my units.py", ", a file: add --plugin-file 'my units.py'"), (SESSION.distribution, "add --plugin-file with")],
)
def test_units_of_a_file_are_given_by_an_option(distribution: str, expected: str) -> None:
    said = remedy({"distribution": distribution, "version": "", "units": []})
    assert "nbdl.register(" in said
    assert expected in in_options(said, train)
    assert "nbdl.register(" not in in_options(said, train)


def test_a_dataset_for_another_task_takes_the_recipe_s_net() -> None:
    text = run("train", "digits", "--task", "regression", "--dry-run").stdout
    assert "64-64:relu-64:relu-1:linear" in text
    assert "64 inputs, 1 value to predict" in text


def test_what_the_machine_leaves_without_effect_is_said() -> None:
    fast = ("train", "digits", "--epochs", "1", "--progress", "none", "-q")
    assert run(*fast).stderr == ""
    assert run(*fast, "--threads", "1").stderr == ""
    assert (
        "--precision tf32 has no effect on the CPU, which computes in float32"
        in run(*fast, "--precision", "tf32").stderr
    )
    assert "--threads 100000: " in run(*fast, "--threads", "100000").stderr


def test_one_is_singular() -> None:
    Path("one.csv").write_text("x,y\n" + "".join(f"{n / 7},{n / 3}\n" for n in range(5)))
    arguments = ("--target", "y", "--epochs", "1", "--validation-split", "0", "--arch", "1-1")
    text = run("train", "one.csv", *arguments, "--progress", "none").stdout
    assert "1 row to validate" not in text
    assert "1 input, 1 value to predict" in text
    assert ", 1 epoch, seed" in text
    assert "1 of 1 epoch in" in text
    assert "(1 row)" in text
    assert "Takes: x" in run("summary", "one.nbdl").stdout
    Path("row.csv").write_text("x,y\n1,2\n")
    assert "(1 row)" in run("evaluate", "one.nbdl", "row.csv").stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_names_what_could_not_be_written() -> None:
    run("train", "digits", "--epochs", "1", "-q", "--progress", "none")
    with Path("/dev/full").open("w") as full:
        for arguments in (("predict", "digits.nbdl", "digits"), ("plugins", "list"), ("doctor", "--json")):
            done = subprocess.run(
                [sys.executable, "-m", "nbdl", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
            )
            assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")
    error = run("predict", "digits.nbdl", "digits", "-o", "/dev/full", code=1).stderr
    assert error == "Error: /dev/full: No space left on device\n"


def test_a_file_that_cannot_be_written_whole_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*answers\.csv'"):
        write_atomically(Path("answers.csv"), b"1")
    assert not list(Path().iterdir())
