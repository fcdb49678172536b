"""Every output is checked before it is written: what is there is replaced only if nbdl wrote one of the same kind."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nbdl
from nbdl import Sequential
from nbdl.cli.app import app
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.plugins.session import register_file
from nbdl.storage.outputs import as_path

X = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
posix_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
not_root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write everywhere")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, code: int = 0, **options: Any) -> Result:
    result = CliRunner().invoke(app, list(arguments), prog_name="nbdl", **options)
    assert result.exit_code == code, (result.output, result.exception)
    return result


def net(outputs: int = 1, seed: int = 1) -> Sequential:
    model = Sequential([Dense(outputs, input_dim=2)], seed=seed)
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def table(folder: Path) -> Path:
    """A table and the model p.nbdl of it."""
    rows = np.column_stack([X, X.sum(axis=1)])
    path = folder / "data.csv"
    path.write_text("a,b,y\n" + "".join(f"{a:.4f},{b:.4f},{y:.4f}\n" for a, b, y in rows))
    run("train", "data.csv", "--target", "y", "-o", "p.nbdl", "--epochs", "1", "-q")
    return path


# -- predict -o -------------------------------------------------------------------------------------------


def hard_link(name: str) -> str:
    os.link("data.csv", name)
    return name


def symbolic_link(name: str) -> str:
    os.symlink("data.csv", name)
    return name


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (lambda: "data.csv", "is SOURCE itself"),
        (lambda: os.path.join("..", Path.cwd().name, "data.csv"), "is SOURCE itself"),
        pytest.param(lambda: symbolic_link("soft.csv"), "is SOURCE itself", marks=posix_links),
        (lambda: hard_link("hard.csv"), "is SOURCE itself"),
        (lambda: "p.nbdl", "is MODEL itself"),
        (lambda: "notes.txt", "is not a file of answers, so it is not overwritten"),
        (lambda: "other.csv", "is not a file of answers"),
        (lambda: "zip.npz", "is not a file of answers"),
        (lambda: "sub", "is a folder"),
        (lambda: "no/answers.csv", "the folder no does not exist"),
        (lambda: "notes.txt/answers.csv", "is a file, not a folder"),
        (lambda: "x" * 300, "cannot be written"),
        (lambda: "", "is empty"),
    ],
)
def test_answers_replace_nothing_but_answers(output: Callable[[], str], said: str, table: Path, folder: Path) -> None:
    (folder / "notes.txt").write_text("prediction of the weather\n")
    (folder / "other.csv").write_text("prediction,id\n1,2\n")
    (folder / "sub").mkdir()
    np.savez("zip.npz", x=X)
    name = output()
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    result = run("predict", "p.nbdl", "data.csv", "-o", name, code=2)
    assert said in result.stderr
    assert "Error: " in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_earlier_answers_are_replaced_and_it_is_said(table: Path, folder: Path) -> None:
    assert run("predict", "p.nbdl", "data.csv", "-o", "out.csv").stderr == ""
    whole = Path("out.csv").read_text()
    assert "out.csv: replaced earlier answers" in run("predict", "p.nbdl", "data.csv", "-o", "out.csv").stderr
    assert Path("out.csv").read_text() == whole
    Path("empty.csv").touch()
    run("predict", "p.nbdl", "data.csv", "-o", "empty.csv")
    assert Path("empty.csv").read_text() == whole
    assert sorted(path.name for path in folder.iterdir()) == ["data.csv", "empty.csv", "out.csv", "p.nbdl"]


def test_answers_that_are_the_source_are_not_replaced(table: Path) -> None:
    """A table with the very columns of answers is one that could be replaced, were it not read from."""
    rows = "".join(f"{value:.3f}\n" for value in X[:, 0])
    Path("prediction.csv").write_text("prediction\n" + rows)
    Path("t.csv").write_text("prediction,y\n" + "".join(f"{a:.3f},{a:.3f}\n" for a in X[:, 0]))
    run("train", "t.csv", "--target", "y", "-o", "t.nbdl", "--epochs", "1", "-q")
    assert "is SOURCE itself" in run("predict", "t.nbdl", "prediction.csv", "-o", "prediction.csv", code=2).stderr
    assert Path("prediction.csv").read_text() == "prediction\n" + rows


def test_a_table_that_is_read_from_standard_input_is_not_replaced(table: Path) -> None:
    import subprocess

    Path("in.csv").write_text("prediction\n" + "1\n" * 3)  # looks like answers
    with Path("in.csv").open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "nbdl", "predict", "p.nbdl", "-", "-o", "in.csv"],
            stdin=file, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert (done.returncode, "is SOURCE itself" in done.stderr) == (2, True)
    assert Path("in.csv").read_text() == "prediction\n" + "1\n" * 3


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="there is no such device")
def test_devices_are_written_to(table: Path) -> None:
    assert run("predict", "p.nbdl", "data.csv", "-o", "/dev/null").output == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no such device")
def test_a_full_device_is_named(table: Path) -> None:
    assert (
        "/dev/full: No space left on device" in run("predict", "p.nbdl", "data.csv", "-o", "/dev/full", code=1).stderr
    )


# -- models and weights -----------------------------------------------------------------------------------


def test_a_model_replaces_nothing_but_models(folder: Path) -> None:
    model = net()
    np.savez("data.npz", x=X)
    Path("notes.nbdl").write_text("mine")
    model.save_weights("weights.npz")
    for name in ("data.npz", "notes.nbdl", "weights.npz"):
        before = Path(name).read_bytes()
        with pytest.raises(ConfigError, match="is not a saved model, so it is not overwritten"):
            model.save(name)
        assert Path(name).read_bytes() == before
    model.save("m.nbdl")
    net(3).save("m.nbdl")
    assert nbdl.load_model("m.nbdl").output_shape == (3,)


def test_weights_replace_nothing_but_weights(folder: Path) -> None:
    model = net()
    np.savez("data.npz", x=X)
    np.savez("parts.npz", **{"train/x": X, "test/x": X})
    model.save("m.nbdl")
    for name in ("data.npz", "parts.npz", "m.nbdl"):
        before = Path(name).read_bytes()
        with pytest.raises(ConfigError, match="is not a file of weights alone"):
            model.save_weights(name)
        assert Path(name).read_bytes() == before
    model.save_weights("w.npz")
    other = net(3)
    other.save_weights("w.npz")
    other.load_weights("w.npz")
    with np.load("w.npz") as arrays:
        assert sorted(arrays.files) == ["dense_1/bias", "dense_1/kernel"]
    np.savez("old.npz", **{weight.name: weight.value for weight in model.weights})  # as version 0.1.0 wrote them
    model.save_weights("old.npz")


def test_an_archive_that_is_no_model_is_not_trained_over(table: Path) -> None:
    with Path("data.nbdl").open("wb") as file:
        np.savez(file, x=X)
    before = Path("data.nbdl").read_bytes()
    result = run("train", "data.csv", "--target", "y", "--epochs", "1", code=2)
    assert "data.nbdl is there already and is not a saved model" in result.stderr
    assert Path("data.nbdl").read_bytes() == before


@not_root
def test_what_is_write_protected_is_not_replaced(folder: Path) -> None:
    net().save("m.nbdl")
    Path("m.nbdl").chmod(0o444)
    with pytest.raises(ConfigError, match="is write-protected"):
        net(3).save("m.nbdl")


def test_an_error_of_writing_names_the_file_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any, *rest: Any) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("nbdl.storage.atomic.os.open", refuse)
    with pytest.raises(ConfigError, match=r"^m\.nbdl cannot be written: Permission denied"):
        net().save("m.nbdl")
    with pytest.raises(PermissionError) as caught:
        nbdl.storage.atomic.write_atomically(folder / "other", b"")
    assert caught.value.filename == str(folder / "other")


@pytest.mark.parametrize("what", ["fsync", "replace"])
def test_an_error_in_the_middle_names_the_file_itself(what: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", *map(str, arguments[:1]))

    monkeypatch.setattr(f"nbdl.storage.atomic.os.{what}", fails)
    with pytest.raises(OSError, match="No space") as caught:
        net().save("m.nbdl")
    assert caught.value.filename == str(folder / "m.nbdl")
    assert list(folder.iterdir()) == []


# -- exports and pages ------------------------------------------------------------------------------------


def test_a_header_is_no_second_file_of_the_same_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"net\.h would be the header too"):
        net().export("net.h", format="c", header=True)
    assert not Path("net.h").exists()
    net().save("m.nbdl")
    run("export", "m.nbdl", "-o", "net.c", "--header")
    Path("net.c").unlink()
    assert "replaced an earlier export" in run("export", "m.nbdl", "-o", "net.c", "--header").output
    before = Path("m.nbdl").read_bytes()
    assert "is not an export" in run("export", "m.nbdl", "--to", "c", "-o", "m.nbdl", code=2).stderr
    assert Path("m.nbdl").read_bytes() == before


def test_pages_replace_nothing_but_pages(folder: Path) -> None:
    Path("units.py").write_text(
        'import nbdl\n\n\ndef swell(x):\n    """Square.\n\n    Formula: x²\n    """\n    return x * x\n\n\n'
        "def swell_derivative(x, y):\n    return 2.0 * x\n\n\nnbdl.register(swell, swell_derivative)\n"
    )  # fmt: skip
    page = Path("reference", "activations.md")
    page.mkdir(parents=True)
    said = "so it is not overwritten"
    assert said in run("plugins", "docs", "units.py", code=2).stderr
    page.rmdir()
    for content in (b"mine", b"\xff\xfe"):
        page.write_bytes(content)
        assert said in run("plugins", "docs", "units.py", code=2).stderr
        assert page.read_bytes() == content


# -- paths ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, "", "  ", 3, b"", "a\0b", ["m.nbdl"], True])
def test_what_is_no_path_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"name is (a path|empty)"):
        as_path(value, "name")
    model = net()
    calls: list[Callable[[Any], Any]] = [
        model.save, model.save_weights, model.load_weights, model.export, nbdl.load_model, register_file
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(ConfigError, match=r"path is (a path|empty)"):
            call(value)


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", ""),
        ("train", "digits", "-o", ""),
        ("train", "data.csv", "--target", "y", "--test", "", "--dry-run"),
        ("train", "digits", "--plugin-file", ""),
        ("predict", "p.nbdl", ""),
        ("evaluate", "p.nbdl", ""),
        ("export", "p.nbdl", "--to", "c", "-o", ""),
        ("plugins", "docs", "nbdl", "-o", ""),
        ("plugins", "new", "t_new", "--kind", "activation", "-o", ""),
    ],
)
def test_empty_paths_of_commands_are_refused(arguments: tuple[str, ...], table: Path, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    assert "a text such as" in run(*arguments, code=2).stderr
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder where nobody can write")
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "data.csv", "--target", "y", "-o", "/proc/m.nbdl"),
        ("predict", "p.nbdl", "data.csv", "-o", "/proc/answers.csv"),
        ("export", "p.nbdl", "-o", "/proc/net.c"),
        ("plugins", "docs", "nbdl", "-o", "/proc/pages"),
        ("plugins", "new", "t_new", "--kind", "activation", "-o", "/proc/package"),
    ],
)
def test_an_unwritable_place_is_named_as_it_was_given(arguments: tuple[str, ...], table: Path) -> None:
    error = run(*arguments, code=2).stderr
    assert error.startswith("Error: /proc")
    assert "cannot be written: " in error
    assert not any(sign in error for sign in (".tmp", ".new-", "/proc/."))
