"""How a table was read is kept in the model: the "next" line works as it is printed, for every kind of training."""

from __future__ import annotations

import csv
import gzip
import json
import shlex
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nbdl
from nbdl.cli.app import app
from nbdl.data.encoding import Encoding
from nbdl.errors import DataError

FAST = ("--epochs", "2", "--progress", "none")
UNITS = """
from nbdl import hookimpl


def f(x):
    return x * x * x


def df(x, y):
    return 3.0 * x * x


@hookimpl
def register_activations(register):
    register("cube_of_a_file", f, df)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0, input: str | None = None) -> Result:
    """Run a command in this process and expect an exit code."""
    result = CliRunner().invoke(app, list(arguments), input=input, prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "nbdl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def table(name: str, delimiter: str = ",", header: bool = True) -> None:
    """Write 60 rows of two columns and their difference."""
    with Path(name).open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(["a", "b", "y"])
        writer.writerows([a := 0.37 * n % 1 - 0.4, b := 0.73 * n % 1 + 0.1, a - b] for n in range(60))


def images(place: str) -> None:
    """Write a small MNIST."""
    Path(place).mkdir()
    for part, count in (("train", 40), ("t10k", 20)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            array = np.resize(np.arange(10, dtype=np.uint8), shape)
            content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            Path(place, f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))


def units() -> None:
    Path("my units.py").write_text(UNITS)
    table("t.csv")


TABLE = ("--target", "y")
KINDS: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "plain": (lambda: table("t.csv"), ("t.csv", *TABLE)),
    "--data": (lambda: images("the data"), ("mnist", "--data", "the data", "--arch", "784-3-10")),
    "--no-header": (lambda: table("t.csv", header=False), ("t.csv", "--target", "3", "--no-header")),
    "--format csv": (lambda: table("x.data"), ("x.data", *TABLE, "--format", "csv")),
    "--format, no suffix": (lambda: table("rows"), ("./rows", *TABLE, "--format", "csv")),
    "--format tsv": (lambda: table("x.txt", "\t"), ("x.txt", *TABLE, "--format", "tsv")),
    "--delimiter": (lambda: table("t.csv", "|"), ("t.csv", *TABLE, "--delimiter", "|")),
    "--delimiter tab": (lambda: table("t.csv", "\t"), ("t.csv", *TABLE, "--delimiter", "\\t")),
    "--plugin-file": (units, ("t.csv", *TABLE, "--plugin-file", "my units.py", "--arch", "2-3:cube_of_a_file-1")),
    "blanks": (lambda: table("t.csv"), ("t.csv", *TABLE, "-o", "it's m x.nbdl")),
    "a dash": (lambda: table("t.csv"), ("t.csv", *TABLE, "-o", "./-m.nbdl")),
    "all": (
        lambda: table("t.data", "|", header=False),
        ("t.data", "--target", "3", "--format", "csv", "--no-header", "--delimiter", "|", "-o", "m x.nbdl"),
    ),
}  # fmt: skip


def next_words(text: str) -> list[str]:
    """Return the line that `train` prints last, as the shell takes it apart."""
    label, *words = shlex.split(text.splitlines()[-1])
    assert label == "next"
    return words


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_line_works_as_it_is_printed(kind: str) -> None:
    prepare, arguments = KINDS[kind]
    prepare()
    start = process if "--plugin-file" in arguments else run  # a file's units stay registered in a process
    name, *words = next_words(start("train", *arguments, *FAST).stdout)
    assert name == "nbdl"
    new = next((word for word in words if word.startswith("new")), None)
    if new is not None:
        Path(new).write_bytes(Path(arguments[0]).read_bytes())
    printed = start(*words).stdout
    answers = printed if new is None else Path("answers.csv").read_text()
    assert len(answers.splitlines()) == (21 if new is None else 61)


def test_a_table_on_standard_input_is_read_as_in_training() -> None:
    table("t.csv", "|", header=False)
    text = Path("t.csv").read_text()
    run("train", "-", "--target", "3", "--no-header", "--delimiter", "|", *FAST, input=text)
    assert len(run("predict", "model.nbdl", input=text).stdout.splitlines()) == 61
    assert json.loads(run("evaluate", "model.nbdl", "-", "--json", input=text).stdout)["rows"] == 60
    assert "Reads: --delimiter '|' --no-header" in run("summary", "model.nbdl").stdout


def test_what_is_given_comes_before_what_is_kept() -> None:
    table("t.csv", "|", header=False)
    run("train", "t.csv", "--target", "3", "--no-header", "--delimiter", "|", *FAST)
    Path("named.csv").write_text("1;2\n0.5;0.5\n")
    answers = run("predict", "t.nbdl", "named.csv", "--delimiter", ";", "--header").stdout
    assert len(answers.splitlines()) == 2
    error = run("predict", "t.nbdl", "named.csv", "--header", code=3).stderr
    assert "read with the options of the training, --delimiter '|': if it is written otherwise, give others" in error


def test_a_kept_format_leaves_known_suffixes_alone() -> None:
    table("x.data", "|")
    run("train", "x.data", "--target", "y", "--format", "csv", "--delimiter", "|", *FAST)
    np.savez("new.npz", x=np.ones((4, 2)))
    assert "features in each row" not in run("predict", "x.nbdl", "new.npz", code=0).output


def test_a_file_without_it_loads_as_before() -> None:
    table("t.csv")
    run("train", "t.csv", "--target", "y", *FAST)
    with zipfile.ZipFile("t.nbdl") as archive:  # nothing is kept where nothing was given
        assert "reading" not in json.loads(archive.read("encoding.json"))
    assert nbdl.load_model("t.nbdl").encoding.reading == {}


@pytest.mark.parametrize("reading", [None, [], "csv", {"header": None}, {"delimiter": 3}, {"format": ["csv"]}])
def test_what_is_kept_is_checked(reading: Any) -> None:
    table("t.csv", "|")
    run("train", "t.csv", "--target", "y", "--delimiter", "|", *FAST)
    config = nbdl.load_model("t.nbdl").encoding.to_config()
    assert Encoding.from_config(config).reading == {"delimiter": "|"}
    with pytest.raises(DataError, match="not an encoding"):
        Encoding.from_config({**config, "reading": reading})


def test_an_error_about_a_column_of_two_lines_is_one_line(tmp_path: Path) -> None:
    Path("two.csv").write_text('a,"y\nz"\n1,2\n3,4\n')
    said = run("train", "two.csv", "--target", "q", code=3).stderr
    assert said.strip() == r"Error: two.csv: no column 'q'. Columns: a, 'y\nz'."


def test_one_row_of_one_class_is_too_few(tmp_path: Path) -> None:
    Path("one.csv").write_text("a,y\n1,2\n")
    said = run("train", "one.csv", "--target", "y", code=3).stderr
    assert "the only class keeps a row, and 1 row is too few to hold out 0.2 of them" in " ".join(said.split())
