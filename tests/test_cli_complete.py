"""Completion in a shell: every argument with a known vocabulary, quickly, and never with a word beside the answer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from nbdl.cli.app import COMMANDS
from nbdl.cli.plugins import SUBCOMMANDS
from nbdl.plugins.commands import imported

CODE = """
import sys
from nbdl.cli import main
try:
    main()
finally:  # Numba takes half a second to import
    print(*sorted({"numba", "rich"} & set(sys.modules)), end="", file=sys.__stderr__)
"""
FREE = {  # names, numbers and texts of the user's own
    "train": {"arch", "lr", "dropped", "penalty", "epochs", "batch_size", "patience", "max_time", "seed", "threads"}
    | {"validation_split", "test_split", "delimiter"},
    "evaluate": {"threads", "delimiter"},
    "predict": {"threads", "delimiter"},
    "export": {"name"},
    "profile": {"arch", "batch_size", "rows", "seconds", "threads"},
    "explain": {"batch_size"},
    "new": {"name", "author"},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a few files."""
    monkeypatch.chdir(tmp_path)
    Path("digest.csv").write_text("my col,b,y\n1,2,3\n")
    Path("pipe.data").write_text("a|b|y\n1|2|3\n" * 200 + "this line is torn")
    Path("numbers.csv").write_text("7,8\n1,2\n")
    Path("notes.txt").write_text("nothing")
    return tmp_path


def completed(*words: str, **environment: str) -> list[str]:
    """Return what is offered for the last word, and require that nothing else is printed."""
    variables = {
        "_NBDL_COMPLETE": "bash_complete",
        "COMP_WORDS": "\n".join(["nbdl", *(f"'{word}'" if word in ("", "|") else word for word in words)]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables, **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train dig", ["plain,digits", "plain,digest.csv"]),
        ("train num", ["file,num"]),
        ("train digits --optimizer adam", ["plain,Adam", "plain,AdamW", "plain,Adamax"]),
        ("train digits --loss mean_sq", ["plain,mean_squared_error", "plain,mean_squared_logarithmic_error"]),
        ("train digits --recipe dense_c", ["plain,dense_classifier"]),
        ("train digits --format np", ["plain,npy", "plain,npz"]),
        ("train digits --data ./x", ["dir,./x"]),
        ("train digits --task re", ["plain,regression"]),
        ("train digest.csv --target ?", ["plain,'my col'", "plain,b", "plain,y"]),
        ("train digest.csv --target y --ignore ?", ["plain,'my col'", "plain,b"]),
        ("train pipe.data --format csv --delimiter | --target ?", ["plain,a", "plain,b", "plain,y"]),
        ("train numbers.csv --no-header --target ?", ["plain,1", "plain,2"]),
        ("train notes.txt --target ?", []),
        ("train nothing.csv --target ?", []),
        ("train digits --target ?", []),
        ("predict m.nbdl mn", ["plain,mnist"]),
        ("evaluate dig", ["file,dig"]),
        ("export m.nbdl --to ?", ["plain,c", "plain,svg"]),
        ("warmup --device cu", ["plain,cuda"]),
        ("plugins info gel", ["plain,gelu"]),
        ("plugins info loss/hin", ["plain,loss/hinge"]),
        ("plugins list opt", ["plain,optimizers"]),
        ("plugins new x --kind opt", ["plain,optimizer"]),
        ("plugins check my_u", ["file,my_u"]),
        ("plugins check nbdl --check units", ["plain,'units are found'"]),
        ("tra", ["plain,train"]),
    ],
)
def test_completions(words: str, expected: list[str]) -> None:
    assert completed(*(word.replace("?", "") for word in words.split())) == expected


def test_what_is_broken_makes_no_noise() -> None:
    Path("broken_plugin.py").write_text("raise RuntimeError('loud')")
    strict = {"NBDL_STRICT_PLUGINS": "1", "PYTHONPATH": ".", "NBDL_PLUGINS": "broken_plugin"}
    assert completed("train", "dig", **strict)
    assert completed("train", "digits", "--plugin-file", "broken_plugin.py", "--optimizer", "adamw") == ["plain,AdamW"]


@pytest.mark.parametrize(("name", "target"), [*COMMANDS.items(), *SUBCOMMANDS.items()])
def test_every_argument_with_a_vocabulary_is_completed(name: str, target: str) -> None:
    command = imported(target)
    loose = {
        str(one.name)
        for one in command.params
        if not getattr(one, "is_flag", False)
        and one._custom_shell_complete is None
        and type(one.type).shell_complete in (click.ParamType.shell_complete,)
    }
    assert loose <= FREE.get(name, set())


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_takes_the_answer(folder: Path) -> None:
    command = folder / "nbdl"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nbdl "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(_NBDL_COMPLETE=bash_source nbdl)"
        complete -p nbdl
        COMP_WORDS=(nbdl train digest.csv --target "''") COMP_CWORD=4
        _nbdl_completion nbdl
        printf '%s\n' "${COMPREPLY[@]}"
    """
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": path}
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["complete -o nosort -F _nbdl_completion nbdl", "'my col'", "b", "y"]
