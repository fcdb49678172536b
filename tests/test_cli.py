"""The command line: from a user's words to files, figures, messages and exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

import nbdl
from nbdl import Sequential
from nbdl.cli import arch, warmup
from nbdl.cli.app import COMMANDS as BUILT_IN
from nbdl.cli.app import App, app
from nbdl.cli.figures import indices
from nbdl.cli.parameters import Command
from nbdl.cli.plugins import SUBCOMMANDS, Plugins
from nbdl.cli.source import hold_out
from nbdl.data.arrays import Arrays
from nbdl.data.table import Table
from nbdl.errors import ConfigError
from nbdl.layers import Dense
from nbdl.plugins.commands import imported
from nbdl.plugins.recipe import settle
from nbdl.training.signals import ENDING

COMMAND = (sys.executable, "-m", "nbdl")
FAST = ("--epochs", "3", "--progress", "none")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def run(*arguments: str, code: int = 0, input: str | None = None) -> Result:
    """Run a command in this process and expect an exit code."""
    result = CliRunner().invoke(app, list(arguments), input=input, prog_name="nbdl")
    assert result.exit_code == code, (result.output, result.exception)
    return result


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, **options)


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def write_rows(name: str, rows: list[list[Any]]) -> list[list[Any]]:
    with open(name, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return rows


def flowers(rows: int = 90) -> list[list[Any]]:
    """Three classes that two columns tell apart; sorted by class, as such files are."""
    random = np.random.default_rng(1)
    table: list[list[Any]] = [["a", "b", "kind"]]
    for name, (a, b) in {"fern": (0, 0), "moss": (4, 0), "reed": (0, 4)}.items():
        table += [[round(a + x, 3), round(b + y, 3), name] for x, y in random.normal(size=(rows // 3, 2)) * 0.5]
    return table


def houses(rows: int = 200) -> list[list[Any]]:
    """A price that depends on two columns, in a unit far from 1."""
    random = np.random.default_rng(2)
    area, age = random.uniform(30, 200, rows), random.uniform(0, 80, rows)
    price = 1000 * area - 500 * age + random.normal(size=rows) * 2000 + 50000
    return [["area", "age", "price"], *np.stack([area, age, price], axis=1).round(2).tolist()]


# --- Start-up -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["plugins"], ["no-such"]])
def test_what_needs_no_numbers_imports_none(arguments: list[str]) -> None:
    code = (
        "import sys, nbdl.cli\n"
        f"sys.argv = ['nbdl', *{arguments!r}]\n"
        "try:\n    nbdl.cli.main()\n"
        "finally:\n"
        "    heavy = {'numba', 'numpy', 'scipy', 'rich'} & set(sys.modules)\n"
        "    print('HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr


def test_help_lists_commands_exit_codes_and_defaults() -> None:
    text = run("--help").output
    commands = "train evaluate predict summary explain profile export plugins doctor warmup"
    for command in commands.split():
        assert f"\n  {command} " in text
    assert "130" in text
    text = run("train", "--help").output
    assert "64-64:relu-10:softmax" in text  # a dataset's defaults
    assert "dense_regressor" in text
    assert "[default: 0;" in text  # the seed's


def test_version() -> None:
    assert run("--version").output == run("-V").output == f"nbdl {nbdl.__version__}\n"


def test_help_is_a_word_too() -> None:
    assert run("help").output == run("--help").output
    assert run("help", "train").output == run("train", "--help").output
    assert run("help", "plugins", "info").output == run("plugins", "info", "--help").output
    assert "Did you mean 'train'?" in run("help", "trian", code=2).output


def test_every_command_checks_how_it_is_called() -> None:
    commands = [*BUILT_IN.values(), *SUBCOMMANDS.values()]
    loose = [name for name in commands if not isinstance(imported(name), Command | click.Group)]
    assert not loose


@pytest.mark.parametrize("group", [App, Plugins])
def test_help_says_of_each_command_what_the_command_says_itself(group: type[App] | type[Plugins]) -> None:
    assert group.summaries == {
        name: imported(target).get_short_help_str(200) for name, target in group.built_in.items()
    }


# --- Training -----------------------------------------------------------------------------------------------


def test_train_on_a_dataset_reports_and_saves(folder: Path) -> None:
    result = run("train", "digits", "--epochs", "12")
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "data", "task", "net", "training", "trained", "test", "saved", "next",
    ]  # fmt: skip
    assert "1,294 rows to train on, 143 to validate, 360 to test; 64 inputs, 10 classes" in result.stdout
    assert "64-64:relu-10:softmax, 4,810 weights" in result.stdout
    assert sum(line.startswith("epoch") for line in result.stderr.splitlines()) == 12
    figures = json.loads(run("evaluate", "digits.nbdl", "digits", "--json").stdout)
    assert figures["rows"] == 360
    assert figures["accuracy"] > 0.9
    assert f"accuracy {figures['accuracy']:.4f}" in result.stdout


def test_the_same_seed_gives_the_same_file(folder: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run("train", "digits", *FAST, "--seed", seed, "-o", f"{name}.nbdl")
    a, b, c = (nbdl.load_model(f"{name}.nbdl").get_weights()[0] for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_early_stopping_keeps_the_best_weights(folder: Path) -> None:
    rows = flowers()
    for row in rows[1::4]:
        row[2] = "fern"  # wrong answers, which a net can only learn by heart
    write_rows("noisy.csv", rows)
    options = ["--epochs", "400", "--patience", "4", "--progress", "json", "--lr", "0.02"]
    result = run("train", "noisy.csv", "--target", "kind", *options)
    epochs = [json.loads(line) for line in result.stdout.splitlines()]
    assert "test" in epochs.pop()
    assert len(epochs) < 400
    best = min(epochs, key=lambda row: row["val_loss"])["epoch"]
    assert best == len(epochs) - 4
    assert f"best weights: epoch {best} " in result.stderr


def test_the_clock_ends_training(folder: Path) -> None:
    result = run("train", "digits", "--epochs", "100000", "--patience", "0", "--progress", "none", "--max-time", "0.2s")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("trained")]
    assert 0 < int(line.split()[1]) < 100000
    assert "max_time is a number of seconds" in run("train", "digits", "--max-time", "soon", code=2).stderr


def test_options_reach_the_model(folder: Path) -> None:
    arguments = [
        "--arch",
        "64-20:tanh-10:sigmoid",
        "--optimizer",
        "sgd",
        "--lr",
        "0.5",
        "--loss",
        "mse",
        "--dropout",
        "0.2",
        "--l2",
        "0.001",
    ]
    result = run("train", "digits", *FAST, *arguments, "--batch-size", "100", "--seed", "7", "--patience", "0")
    assert "64-20:tanh-10:sigmoid" in result.stdout
    assert "SGD at 0.5, mean_squared_error, dropout 0.2, l2 0.001, batches of 100, 3 epochs, seed 7" in result.stdout
    model = nbdl.load_model("digits.nbdl")
    assert model.optimizer.learning_rate == 0.5
    assert model.seed == 7
    layers = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    assert [name for name, _ in layers] == ["Dense", "Dropout", "Dense"]
    assert layers[0][1]["kernel_regularizer"]["config"] == {"l2": 0.001}
    assert layers[1][1]["rate"] == 0.2


def test_left_out_activations_are_the_recipes(folder: Path) -> None:
    assert "64-9:relu-10:softmax" in run("train", "digits", "--arch", "64-9-10", "--dry-run").stdout
    write_rows("houses.csv", houses())
    text = run("train", "houses.csv", "--target", "price", "--arch", "2-9-1", "--dry-run").stdout
    assert "2-9:relu-1:linear" in text
    assert not Path("houses.nbdl").exists()


def test_mnist_from_a_folder(folder: Path) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", 60), ("t10k", 20)):
        for kind, shape in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            array = random.integers(0, 256, shape) if len(shape) > 1 else np.arange(count) % 10
            array = array.astype(np.uint8)
            content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            Path(f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    text = run(
        "train", "mnist", "--data", ".", "--arch", "784-20:sigmoid-10:softmax", "--batch-size", "100", *FAST
    ).stdout
    assert "784-20:sigmoid-10:softmax" in text
    assert "20 to test" in text
    encoding = nbdl.load_model("mnist.nbdl").encoding
    assert encoding.shape == (784,)
    assert encoding.deviation == (255.0,)


# --- Tables -------------------------------------------------------------------------------------------------


def test_classes_of_a_table_round_trip(folder: Path) -> None:
    rows = write_rows("flowers.csv", flowers())
    result = run("train", "flowers.csv", "--target", "kind", "--epochs", "40", "--progress", "none")
    assert "target 'kind' is text with 3 classes (--task overrides)" in result.stdout
    answers = rows_of(run("predict", "flowers.nbdl", "flowers.csv").stdout)
    assert answers[0] == ["prediction"]
    right = np.mean([answer[0] == row[2] for answer, row in zip(answers[1:], rows[1:], strict=True)])
    assert right > 0.9
    figures = json.loads(run("evaluate", "flowers.nbdl", "flowers.csv", "--json").stdout)
    assert figures["accuracy"] == pytest.approx(right)


def test_values_of_a_table_come_back_in_their_own_unit(folder: Path) -> None:
    rows = write_rows("houses.csv", houses())
    result = run("train", "houses.csv", "--target", "price", "--epochs", "60", "--progress", "none")
    assert "regression: target 'price' holds numbers that are not whole" in result.stdout
    answers = np.array(rows_of(run("predict", "houses.nbdl", "houses.csv").stdout)[1:], float)[:, 0]
    price = np.array([row[2] for row in rows[1:]])
    figures = json.loads(run("evaluate", "houses.nbdl", "houses.csv", "--json").stdout)
    assert figures["RMSE"] == pytest.approx(np.sqrt(np.mean((answers - price) ** 2)), rel=1e-4)
    assert figures["R2"] == pytest.approx(1 - np.mean((answers - price) ** 2) / price.var(), rel=1e-4)
    assert figures["R2"] > 0.9


def test_a_regression_worse_than_the_mean_says_so(folder: Path) -> None:
    random = np.random.default_rng(0)
    x, noise = random.normal(size=(200, 3)), random.normal(size=200)
    for name, y in {"noise": noise, "skewed": np.exp(3 * noise)}.items():
        write_rows(f"{name}.csv", [["a", "b", "c", "y"], *np.c_[x, y].round(4).tolist()])
    text = run("train", "noise.csv", "--target", "y", "--patience", "0", "--progress", "none").stdout
    assert re.search(r"^test .* R2 -", text, re.MULTILINE)
    assert "note      R2 is below 0: the mean of these rows would be a better prediction" in text
    assert "More rows, a smaller net" in text
    run("train", "skewed.csv", "--target", "y", *FAST, "--no-standardize", "--lr", "1e-9")
    told = run("evaluate", "skewed.nbdl", "skewed.csv")
    assert "R2 -" in told.stdout
    assert "learn their logarithm" in told.stderr
    write_rows("houses.csv", houses())
    assert "note" not in run("train", "houses.csv", "--target", "price", "--epochs", "60", "--progress", "none").stdout


@pytest.mark.parametrize("arch", ["2-8-2", "2-8-1"])
def test_imbalance_is_told_beside_the_accuracy(folder: Path, arch: str) -> None:
    random = np.random.default_rng(0)
    rows = [[*row, "rare" if n % 20 == 0 else "usual"] for n, row in enumerate(random.normal(size=(200, 2)).tolist())]
    write_rows("rare.csv", [["a", "b", "kind"], *rows])
    text = run("train", "rare.csv", "--target", "kind", "--arch", arch, "--epochs", "5", "--progress", "none").stdout
    assert "note      always answering 'usual', the most frequent class, is right for 95.0% of these rows" in text
    assert re.search(r", the model for [0-9.]+%", text)
    told = run("evaluate", "rare.nbdl", "rare.csv", "--json")
    assert told.stderr == ""
    assert json.loads(told.stdout)["rows"] == 200
    write_rows("flowers.csv", flowers())
    assert "note" not in run("train", "flowers.csv", "--target", "kind", "--epochs", "40", "--progress", "none").stdout


def test_two_classes_with_one_output(folder: Path) -> None:
    write_rows("two.csv", [row for row in flowers() if row[2] != "reed"])
    text = run(
        "train", "two.csv", "--target", "kind", "--arch", "2-8:tanh-1", "--epochs", "60", "--progress", "none"
    ).stdout
    assert "2-8:tanh-1:sigmoid" in text
    assert "binary_crossentropy" in text
    head, *answers = rows_of(run("predict", "two.nbdl", "two.csv", "--proba").stdout)
    assert head == ["prediction", "probability_fern", "probability_moss"]
    for name, fern, moss in answers:
        assert float(fern) + float(moss) == pytest.approx(1, abs=1e-5)
        assert name == ("fern" if float(fern) >= 0.5 else "moss")
    assert {row[0] for row in answers} == {"fern", "moss"}


def test_task_ignore_test_and_splits(folder: Path) -> None:
    rows = [["id", *houses()[0], "rooms"], *([n, *row, n % 3] for n, row in enumerate(houses()[1:]))]
    write_rows("all.csv", rows[:151])
    write_rows("rest.csv", [rows[0], *rows[151:]])
    common = ("train", "all.csv", "--target", "rooms", "--ignore", "id", "--dry-run")
    text = run(*common, "--test", "rest.csv", "--validation-split", "0").stdout
    assert "150 rows to train on, 50 to test; 3 inputs, 3 classes" in text
    text = run(*common, "--task", "regression", "--test-split", "0").stdout
    assert "120 rows to train on, 30 to validate; 3 inputs, 1 value to predict" in text
    assert "regression: as told by --task" in text


def test_a_table_on_standard_input_without_header(folder: Path) -> None:
    text = "\n".join(";".join(map(str, row)) for row in flowers()[1:])
    arguments = ("--target", "3", "--no-header", "--delimiter", ";")
    assert "3 classes" in run("train", "-", *arguments, *FAST, input=text).stdout
    answers = run("predict", "model.nbdl", "--no-header", input=text).stdout
    assert len(answers.splitlines()) == 91


def test_arrays_from_a_file(folder: Path) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3)) * 50
    np.savez("data.npz", x=x, y=np.stack([x[:, 0], -x[:, 1]], axis=1))
    text = run("train", "data.npz", "--epochs", "40", "--progress", "none").stdout
    assert "3 inputs, 2 values to predict" in text
    head, *answers = rows_of(run("predict", "data.nbdl", "data.npz").stdout)
    assert head == ["prediction_1", "prediction_2"]
    assert np.corrcoef(np.array(answers, float)[:, 1], -x[:, 1])[0, 1] > 0.9


def table_of(kinds: list[str]) -> Table:
    return Table("t", {"n": np.arange(len(kinds), dtype=float), "kind": kinds}, range(2, 2 + len(kinds)))


def test_hold_out_takes_equal_shares_and_never_the_only_row_of_a_class() -> None:
    kinds = ["a"] * 40 + ["b"] * 20 + ["rare"]
    rest, held = hold_out(table_of(kinds), "kind", "classification", 0.5, seed=3)
    assert isinstance(rest, Table)
    assert isinstance(held, Table)
    names = list(held.columns["kind"])
    assert (names.count("a"), names.count("b"), names.count("rare")) == (20, 9, 0)
    both = sorted([*rest.columns["n"], *held.columns["n"]])
    assert both == list(range(61))
    assert [held.lines[0], kinds[int(held.columns["n"][0])]] == [int(held.columns["n"][0]) + 2, names[0]]
    other = hold_out(table_of(kinds), "kind", "classification", 0.5, seed=4)[1]
    assert isinstance(other, Table)
    assert list(other.columns["n"]) != list(held.columns["n"])


def test_hold_out_covers_the_range_of_a_regression() -> None:
    x = np.arange(100.0)[:, None]
    _, held = hold_out(Arrays("a", x, x[:, 0]), None, "regression", 0.2, seed=0)
    assert isinstance(held, Arrays)
    np.testing.assert_array_equal(np.sort(held.x[:, 0]) // 5, np.arange(20))


# --- Pipes, terminals, interruption ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A model of flowers, trained once."""
    here, place = os.getcwd(), tmp_path_factory.mktemp("model")
    os.chdir(place)
    write_rows("flowers.csv", flowers())
    run("train", "flowers.csv", "--target", "kind", "--epochs", "30", "--progress", "none")
    yield place / "flowers.nbdl"
    os.chdir(here)


def test_a_metric_of_several_figures_is_shown(model: Path, folder: Path) -> None:
    net = nbdl.load_model(model)
    net.compile("adam", net.loss, metrics=["f1_score"])
    net.save(folder / "several.nbdl")
    rows = str(model.with_name("flowers.csv"))
    assert re.match(r"f1_score \[\S+ \S+ \S+\], loss", run("evaluate", "several.nbdl", rows).stdout)
    assert len(json.loads(run("evaluate", "several.nbdl", rows, "--json").stdout)["f1_score"]) == 3


def test_classes_of_logits_are_cut_at_zero() -> None:
    logits = np.array([[-1.0], [0.2], [3.0]])
    assert indices(logits, 0.0).tolist() == [0, 1, 1]
    assert indices(logits).tolist() == [0, 0, 1]


def test_predict_through_pipes_whatever_the_order_of_columns(model: Path) -> None:
    rows = flowers()
    given = "".join(f"{row[1]},extra,{row[0]}\n" for row in rows)
    done = process("predict", str(model), "-", "--proba", input=given)
    assert (done.returncode, done.stderr) == (0, "")
    head, *answers = rows_of(done.stdout)
    assert head == ["prediction", "probability_fern", "probability_moss", "probability_reed"]
    chances = np.array([row[1:] for row in answers], float)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert [row[0] for row in answers] == [["fern", "moss", "reed"][best] for best in chances.argmax(axis=1)]
    assert np.mean([answer[0] == row[2] for answer, row in zip(answers, rows[1:], strict=True)]) > 0.9


def test_predict_survives_a_reader_that_leaves(model: Path, folder: Path) -> None:
    write_rows("many.csv", [["a", "b"], *[[0.5, 0.25]] * 30000])
    with subprocess.Popen(
        [*COMMAND, "predict", str(model), "many.csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline() == "prediction\n"
        done.stdout.close()
        assert done.stderr.read() == ""
        assert done.wait(60) == 141


def test_predict_to_a_file_is_what_it_prints(model: Path, folder: Path) -> None:
    write_rows("new.csv", flowers()[:20])
    printed = run("predict", str(model), "new.csv").stdout
    assert run("predict", str(model), "new.csv", "-o", "out.csv").stdout == ""
    assert Path("out.csv").read_text() == printed
    assert len(printed.splitlines()) == 20


def test_a_log_has_no_escape_codes(folder: Path) -> None:
    done = process("train", "digits", "--epochs", "3", "--progress", "bar", env={**os.environ, "FORCE_COLOR": "1"})
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert done.stderr.startswith("epoch 1/3 ")


def on_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, *arguments], {**os.environ, "TERM": "xterm", **environment})
    read = b""
    try:
        while block := os.read(terminal, 65536):
            read += block
    except OSError:  # Linux says so when the other side is closed
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), read.decode()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a terminal of its own")
def test_a_terminal_gets_a_bar_and_no_color_is_honoured(folder: Path) -> None:
    arguments = ("train", "digits", "--epochs", "5")
    code, text = on_a_terminal(*arguments)
    assert code == 0, text
    assert "━" in text
    assert "\x1b[3" in text  # a colour
    assert "epoch 5/5" in text
    code, text = on_a_terminal(*arguments, NO_COLOR="1", COLUMNS="70")
    assert code == 0, text
    assert "━" in text
    assert "\x1b[3" not in text
    drawn = [line for line in text.replace("\r", "\n").split("\n") if "━" in line]
    assert max(len(line.replace("\x1b[2K", "")) for line in drawn) <= 70


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a terminal of its own")
@pytest.mark.parametrize(("columns", "shown"), [(40, 1), (70, 3), (80, 4)])
def test_a_terminal_shows_what_one_waits_for(folder: Path, columns: int, shown: int) -> None:
    code, text = on_a_terminal("train", "digits", "--epochs", "30", NO_COLOR="1", COLUMNS=str(columns))
    assert code == 0, text
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text))
    drawn = [line for line in lines if re.match(r"epoch +[0-9]+/30", line)]
    assert max(len(line) for line in drawn) <= columns
    # What stays when the bar has gone.
    left = [line for line in drawn if re.match(r"epoch [ 0-9][0-9]/30  val_", line)]
    assert [int(line.split("/")[0].split()[1]) for line in left] == [1, 2, 5, 10, 20, 30]
    figures = ["val_accuracy", "accuracy", "val_loss", "loss"][:shown]
    for line in [*left, [line for line in drawn if line not in left and "val_" in line][-1]]:
        assert re.findall(r"[a-z_]+ [0-9.]+(?=  |$)", line.rstrip())[0].startswith("val_accuracy 0."), line
    assert all(re.findall(r"[a-z_]+(?= [0-9.]+(?:  |$))", line) == figures for line in left)
    report = [line.rstrip() for line in lines if re.match(r"(data|task|net|trained|test|saved|         ) ", line)]
    assert max(len(line) for line in report if "crossentropy" not in line) <= columns
    assert "sparse_categorical_crossentropy," in text  # no word is broken


SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


def until(words: str, name: str, *arguments: str, ignored: str = "") -> tuple[int, str, str]:
    """Train until a line of progress begins with these words, then send a signal; return code, output, errors."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if ignored:
            signal.signal(getattr(signal, ignored), signal.SIG_IGN)

    arguments = ("train", *arguments, "--patience", "1000000", "--progress", "line")
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare
    ) as training:
        stream = training.stderr if words.startswith("epoch") else training.stdout
        assert stream is not None
        for line in stream:
            if " ".join(line.split()).startswith(words):
                break
        training.send_signal(getattr(signal, name))
        out, err = training.communicate(timeout=60)
    assert "Traceback" not in err
    return training.returncode, out, err


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(("name", "ignored"), [*((name, "") for name in SIGNALS), ("SIGTERM", "SIGINT")])
def test_interrupted_training_saves_the_best_weights(name: str, ignored: str, folder: Path) -> None:
    code, out, err = until("epoch 20/", name, "digits", "--epochs", "1000000", ignored=ignored)
    assert code == SIGNALS[name], err
    assert "stopped" in out
    assert "best weights: epoch" in out
    assert json.loads(run("evaluate", "digits.nbdl", "digits", "--json").stdout)["accuracy"] > 0.8


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_that_is_ignored_stays_so(folder: Path) -> None:
    """So that nohup goes on keeping a training alive."""
    code, out, err = until("epoch 2/", "SIGHUP", "digits", "--epochs", "10", ignored="SIGHUP")
    assert (code, "trained" in out) == (0, True), err


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", SIGNALS)
def test_before_the_first_epoch_is_over_no_earlier_model_is_replaced(name: str, folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60000, 40)).astype(np.float32)
    np.savez("large.npz", x=rows, y=rows[:, :1])
    Sequential([Dense(1, input_dim=2)]).save("large.nbdl")
    before = Path("large.nbdl").read_bytes()
    code, out, err = until("training", name, "large.npz", "--batch-size", "1", "--epochs", "3")
    assert code in (SIGNALS[name], -getattr(signal, name)), err  # before fit nothing is there to save
    assert "saved     " not in out
    assert Path("large.nbdl").read_bytes() == before


def test_signals_have_their_former_handlers_after_training(folder: Path) -> None:
    before = [signal.getsignal(number) for number in ENDING]
    run("train", "digits", *FAST)
    assert [signal.getsignal(number) for number in ENDING] == before


def test_a_training_in_another_thread_handles_no_signals(folder: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(run, "train", "digits", *FAST).result()
    assert Path("digits.nbdl").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2\n", "has no targets (column 'kind')"),
        ("a,b,kind\n1,x,fern\n", "line 2, column 'b'"),
        ("a,b,kind\n1,,fern\n", "the cell is empty"),
        ("a,b,kind\n1,2,fern\n1,2,oak\n", "line 3, column 'kind': class 'oak' not seen in training"),
        ("a,kind\n1,fern\n", "missing column 'b'"),
        ("a,b,kind\n1,2,\n", "the target is empty"),
        ("a,b,kind\n1,inf,fern\n", "line 2, column 'b'"),
    ],
)
def test_rows_to_test_on_are_looked_at_before_training(content: str, said: str, folder: Path) -> None:
    write_rows("flowers.csv", flowers())
    Path("t.csv").write_text(content)
    result = run("train", "flowers.csv", "--target", "kind", "--test", "t.csv", *FAST, code=3)
    assert said in result.stderr
    assert "training" not in result.stdout
    assert not Path("flowers.nbdl").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder where nobody can write")
def test_a_folder_that_cannot_be_written_is_noticed_before_training(folder: Path) -> None:
    result = run("train", "digits", "-o", "/proc/m.nbdl", *FAST, code=2)
    assert "/proc/m.nbdl cannot be written" in result.stderr
    assert ".tmp" not in result.stderr
    assert result.stdout == ""


def test_what_fails_after_training_leaves_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("broken metric")

    monkeypatch.setattr("nbdl.cli.fit.figures_of", fails)
    result = run("train", "digits", *FAST, code=1)
    assert "broken metric" in result.stderr
    assert "saved     digits.nbdl" in result.stdout
    assert nbdl.load_model("digits.nbdl").output_shape == (10,)


def test_an_error_in_training_leaves_the_model_of_the_epochs_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Any, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            raise BrokenPipeError

    monkeypatch.setattr("nbdl.cli.progress.Rows.on_epoch_end", fails)
    run("train", "digits", "--epochs", "3", "--progress", "json", code=141)
    state = nbdl.load_model("digits.nbdl").training_state
    assert state is not None
    assert state.epochs == 2


def test_an_error_before_the_first_epoch_is_over_leaves_no_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Any, epoch: int, logs: Any = None) -> None:
        raise RuntimeError("broken callback")

    monkeypatch.setattr("nbdl.callbacks.EarlyStopping.on_epoch_begin", fails)
    result = run("train", "digits", *FAST, code=1)
    assert "broken callback" in result.stderr
    assert not Path("digits.nbdl").exists()


def test_a_model_that_cannot_be_written_in_the_end_is_written_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)

    def takes_the_place(*arguments: Any) -> str:
        Path("digits.nbdl").write_text("notes of another program")
        return ""

    monkeypatch.setattr("nbdl.cli.run.report.training_line", takes_the_place)
    result = run("train", "digits", *FAST, code=1)
    assert "is not a saved model, so it is not overwritten" in result.stderr
    place = Path(result.stderr.split("The model is saved as ")[1].split(" instead")[0])
    assert nbdl.load_model(place).output_shape == (10,)
    assert Path("digits.nbdl").read_text() == "notes of another program"


def test_quiet_and_json(folder: Path) -> None:
    assert run("train", "digits", "--epochs", "2", "--quiet").output == ""
    result = run("train", "digits", "--epochs", "2", "--progress", "json")
    first, second, test = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "seconds"} <= set(first)
    assert test["rows"] == 360
    assert "saved" in result.stderr
    assert "replaced an earlier model" in result.stderr


# --- Looking in -----------------------------------------------------------------------------------------------


def test_summary_and_explain(model: Path) -> None:
    text = run("summary", str(model)).stdout
    assert "Total params: 4,547" in text
    assert "Takes: a, b" in text
    assert "classification of 'kind': fern, moss, reed" in text
    text = run("explain", str(model)).stdout
    assert "gemm" in text
    assert text != run("explain", str(model), "--schedule").stdout


def test_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    report = json.loads(run("doctor", "--json").stdout)
    assert report["versions"]["numpy"] == np.__version__
    assert report["threads"]["used"] >= 1
    assert "the loss fell from" in report["self-test"]["learning"]
    assert "self-test\n" in run("doctor").stdout
    monkeypatch.setattr("nbdl.cli.doctor.trained", lambda threads: ({"loss": [1.0, 1.0]}, []))
    assert "the loss does not fall" in run("doctor", code=1).stdout


def test_warmup(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = list(warmup.all_trials())
    assert len(trials) > 20
    broken = warmup.Trial("a broken unit", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    monkeypatch.setattr(warmup, "all_trials", lambda: iter([trials[0], broken]))
    result = run("warmup", "--verbose")
    assert f"{trials[0].title}\n" in result.stdout
    assert "a broken unit: failed, ZeroDivisionError: division by zero" in result.stdout
    assert re.search("kernels? compiled", result.stdout)
    unfit = next(trial for trial in trials if trial.title == "layers Embedding")
    monkeypatch.setattr(warmup, "all_trials", lambda: iter([trials[0], broken, unfit]))
    result = run("warmup")
    assert "1 of 3 trials need another net than warmup's small one" in result.stdout
    assert result.stderr == "a broken unit: failed, ZeroDivisionError: division by zero\n"


# --- Plugins --------------------------------------------------------------------------------------------------

GOOD = """
import click
from nbdl import hookimpl

@hookimpl
def register_commands(register):
    register("greet", "good_commands:greet", help="Say hello.")
    register("sulk", "no_such_module:sulk", help="Cannot be imported.")

def load(folder=None):
    import numpy as np
    x = np.linspace(-1, 1, 60).reshape(30, 2)
    return (x, x[:, :1].ravel() > 0), (x, x[:, :1].ravel() > 0)

@hookimpl
def register_datasets(register):
    register("toy", load, task="classification", recipe={"epochs": 2, "batch_size": 10})
    register("typo", load, task="classification", recipe={"epoch": 2})
"""
COMMANDS = '''
import click

@click.command()
@click.argument("name")
def greet(name):
    """Say hello."""
    click.echo(f"hello {name}")
'''


@pytest.fixture
def installed(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Commands that run where two more packages are installed, one of them broken."""
    for package, content in (("good", GOOD), ("bad", "raise SystemExit('not today')\n")):
        Path(f"{package}_plugin.py").write_text(content)
        info = Path(f"{package}_plugin-1.5.dist-info")
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}-plugin\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[nbdl]\n{package} = {package}_plugin\n")
    Path("good_commands.py").write_text(COMMANDS)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return lambda *arguments: process(*arguments, env={**os.environ, "PYTHONPATH": path})


def test_a_broken_plugin_is_told_and_takes_nothing_down(installed: Any) -> None:
    done = installed("--help")
    assert done.returncode == 0
    assert "greet" in done.stdout
    assert "Say hello." in done.stdout
    assert "Warning: plugin 'bad' of bad-plugin 1.5" in done.stderr
    assert "Traceback" not in done.stderr
    done = installed("plugins")
    assert (done.returncode, done.stderr) == (0, "")
    assert "good  (good-plugin 1.5)" in done.stdout
    assert "bad  (bad-plugin 1.5), module bad_plugin\n  SystemExit: not today\n" in done.stdout
    assert "NBDL_DISABLE_PLUGINS=bad" in done.stdout
    report = json.loads(installed("plugins", "--json").stdout)
    assert [broken["distribution"] for broken in report["broken"]] == ["bad-plugin"]


def test_commands_and_datasets_of_plugins(installed: Any) -> None:
    done = installed("greet", "you")
    assert (done.returncode, done.stdout) == (0, "hello you\n")
    assert "Usage: nbdl greet [OPTIONS] NAME" in installed("greet", "--help").stdout
    done = installed("sulk")
    assert done.returncode == 4
    assert "the command 'sulk' of good-plugin 1.5 cannot be loaded: ModuleNotFoundError" in done.stderr
    done = installed("train", "toy")
    assert done.returncode == 0, done.stderr
    assert "batches of 10, at most 2 epochs" in done.stdout
    done = installed("train", "typo")
    assert done.returncode == 4
    assert "unknown setting 'epoch'. Did you mean 'epochs'?" in done.stderr


def test_plugins_list() -> None:
    text = run("plugins", "list", "--kind", "datasets").stdout
    assert "digits" in text
    assert "layers" not in text
    assert "Did you mean 'layers'?" in run("plugins", "list", "--kind", "layrs", code=2).stderr
    names = {unit["name"] for unit in json.loads(run("plugins", "list", "--json").stdout)}
    assert {"Dense", "relu", "digits"} <= names


# --- Errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("trian", 2, "no such command 'trian'. Did you mean 'train'?"),
        ("train digits --arch 64-50:sigmod-10", 2, "character 7: unknown activation 'sigmod'. Did you mean 'sigmoid'?"),
        ("train digits --arch 784-10", 2, "begins with 784 inputs; the data has 64: write --arch 64-10"),
        ("train digits --arch 64-5", 2, "has 5 outputs; the data has 10 classes"),
        ("train digits --optimizer adm", 2, "unknown optimizer 'adm'. Did you mean 'Adam'?"),
        ("train digits --loss crossentrop", 2, "unknown loss 'crossentrop'"),
        ("train digits --recipe cake", 2, "unknown recipe 'cake'"),
        ("train digits --lr 0", 2, "0.0 is not in the range x>0"),
        ("train digits --target y", 2, "digits has no columns with names"),
        ("train digits -o m.h5", 2, "models are saved as .nbdl files only; write -o m.nbdl"),
        ("train digits -o no/m.nbdl", 2, "the folder no does not exist"),
        ("train digits -o notes.nbdl", 2, "is not a saved model, so it is not overwritten"),
        ("train digist", 3, "Did you mean 'digits'?"),
        ("train digits --no-header", 3, "are for files"),
        ("train digits --download", 3, "there is nothing to download"),
        ("train mnist --data .", 3, "--download"),
        ("train flowers.cvs --target kind", 3, "no such file. Did you mean 'flowers.csv'?"),
        ("train flowers.csv", 3, "say which column to predict: --target COLUMN. Columns: a, b, kind."),
        ("train flowers.csv --target knd", 3, "no column 'knd'. Did you mean 'kind'?"),
        ("train flowers.csv --target kind --task regression", 3, "line 2, column 'kind': 'fern' is not a number"),
        ("train flowers.csv --target kind --ignore c", 3, "no column 'c'"),
        ("train short.csv --target kind", 3, "too few to hold out"),
        ("predict notes.nbdl flowers.csv", 3, "notes.nbdl"),
        ("predict none.nbdl flowers.csv", 2, "there is no file none.nbdl. Did you mean 'notes.nbdl'?"),
        ("predict notes flowers.csv", 2, "Did you mean 'notes.nbdl'?"),
        ("predict note.nbdl flowers.csv", 2, "Did you mean 'notes.nbdl'?"),
        ("predict quiet.nbdl flowers.csv", 2, "there is no file quiet.nbdl. Models here: notes.nbdl."),
        ("train digits --test-split 0.5", 2, "digits has rows to test on of its own; leave --test-split out"),
        ("train flowers.csv --target kind --test flowers.csv --test-split 0.3", 2, "leave one of them out"),
        ("train flowers.csv --target kind --validation-split 0 --patience 3", 2, "leaves no rows to validate on"),
        ("train flowers.csv --target kind --arch 2-3 --dropout 0.5", 2, "this net has none"),
        ("train flowers.csv --target kind --ignore kind", 2, "--ignore kind: it is the --target"),
        ("train digits --data .", 3, "digits: its data come with it, it takes no folder; leave --data out"),
        ("train flowers.csv --target kind --data .", 3, "flowers.csv is no dataset: --data and --download are for"),
        ("train digits -q -v", 2, "leave one of them out"),
        ("export m.nbdl --check flowers.csv --name x", 2, "leave --to, --output, --name and --header out"),
        ("profile --arch 2-3 --json --by layer", 2, "--by groups the lines of the table"),
        ("train digits -o .", 2, "is a folder; write -o digits.nbdl"),
        ("train digits -o m", 2, "write -o m.nbdl"),
        ("train digits --arch 64-9-3", 2, "3 outputs; the data has 10 classes: the last layer needs 10 units"),
        ("train digits --arch 1-10", 2, "begins with 1 input; the data has 64: write --arch 64-10"),
        ("train flowers.csv --target a --ignore kind --arch 1-2", 2, "has 2 outputs; the data has 1 value to predict"),
        ("train digits --epochs abc", 2, "'abc' is not a valid whole number"),
        ("train digits --lr nan", 2, "'nan' is not a finite number"),
        ("train flowers.csv --target a --target kind", 2, "--target is given twice: give it once"),
        ("train digits --seed 1 --seed 2 --seed 3", 2, "--seed is given 3 times"),
        ("train digits --standardize --no-standardize", 2, "--standardize/--no-standardize is given twice"),
        ("predict notes.nbdl flowers.csv -o a.csv --output b.csv", 2, "--output is given twice"),
        ("profile --arch 2-3 --what train --what predict", 2, "--what is given twice"),
        ("plugins info adam --kind layer --kind optimizer", 2, "--kind is given twice"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(arguments: str, code: int, message: str) -> None:
    write_rows("flowers.csv", flowers())
    write_rows("short.csv", flowers()[:2])
    Path("notes.nbdl").write_text("do not overwrite")
    if "m.nbdl" in arguments:
        Sequential([Dense(1, input_dim=2)]).save("m.nbdl")
    result = run(*arguments.split(), code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert Path("notes.nbdl").read_text() == "do not overwrite"


def test_a_model_refuses_data_that_lacks_columns_or_answers(model: Path, folder: Path) -> None:
    write_rows("half.csv", [["a", "c"], [1, 2]])
    assert "missing column 'b'" in run("predict", str(model), "half.csv", code=3).stderr
    write_rows("new.csv", [["a", "b"], [1, 2]])
    assert "no targets (column 'kind')" in run("evaluate", str(model), "new.csv", code=3).stderr
    write_rows("houses.csv", houses())
    run("train", "houses.csv", "--target", "price", *FAST)
    assert "--proba is for classes" in run("predict", "houses.nbdl", "houses.csv", "--proba", code=2).stderr


def test_a_diverging_training_saves_nothing(folder: Path) -> None:
    write_rows("houses.csv", houses())
    arguments = ("train", "houses.csv", "--target", "price", "--optimizer", "sgd", "--lr", "1e9", *FAST)
    error = run(*arguments, code=5).stderr
    assert "diverged in epoch 1" in error
    assert "it was --lr 1e+09" in error
    assert not Path("houses.nbdl").exists()


def test_debug_shows_where(folder: Path) -> None:
    done = process("train", "nothing.csv", "--target", "y", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "DataError" in done.stderr


def test_an_error_that_nobody_raised_on_purpose_is_one_line(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> None:
        raise RuntimeError("out of\ncheese")

    monkeypatch.setattr("nbdl.cli.inspect.load_model", fail)
    assert run("summary", str(model), code=1).stderr == (
        "Error: RuntimeError: out of cheese (a bug in nbdl or in a plugin; --debug shows where)\n"
    )


# --- Parts ----------------------------------------------------------------------------------------------------


def test_a_net_as_text() -> None:
    net = arch.parse("784-500:Sigmoid-10")
    assert net.inputs == 784
    assert net.stages == (arch.Stage(500, "sigmoid"), arch.Stage(10, None))
    assert str(net) == "784-500:sigmoid-10"


@pytest.mark.parametrize(
    ("text", "character"),
    [("", 1), ("64", 3), ("64-", 4), ("64--10", 4), ("64-x", 4), ("64:relu-10", 3), ("64-0", 4), ("64-1:nothing", 6),
     ("64-1:relu:relu", 4), ("-64-10", 1), ("64-1 0", 4)],
)  # fmt: skip
def test_a_wrong_net_is_refused_where_it_is_wrong(text: str, character: int) -> None:
    with pytest.raises(ConfigError, match=f"character {character}: "):
        arch.parse(text)


def test_settings_are_the_users_then_the_datasets_then_general() -> None:
    settings = settle({"epochs": 3, "lr": None, "dropped": 0.0}, {"epochs": 9, "lr": 0.1, "dropped": 0.5})
    assert (settings.epochs, settings.lr, settings.dropped, settings.batch_size) == (3, 0.1, 0.0, 32)
