"""Files made to do harm: refused with one clear error before memory is taken; nothing in them steers a terminal."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import re
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nbdl
from nbdl import load_model
from nbdl.cli.output import Answers
from nbdl.cli.source import Reading, load
from nbdl.errors import DataError, FileFormatError, NbdlError, printable, warn

MOST_PEAK = 30_000_000  # bytes; each of these files asks for hundreds of millions
SCRIPT = Path(__file__).parents[1] / "scripts" / "fuzz.py"
X = np.arange(36, dtype=np.float32).reshape(12, 3) / 36


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def parts(fuzz: ModuleType) -> dict[str, bytes]:
    """The parts of a sound model's file."""
    with zipfile.ZipFile(io.BytesIO(fuzz.saved(fuzz.trained(), "save"))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def written(path: Path, parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def with_json(parts: dict[str, bytes], part: str, **changes: Any) -> dict[str, bytes]:
    return {**parts, part: json.dumps({**json.loads(parts[part]), **changes}).encode()}


def peak(action: Callable[[], object], error: type[NbdlError], match: str) -> int:
    """Memory that an action took at most before it was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=match):
            action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- sizes ------------------------------------------------------------------------------------------------


def test_a_compressed_part_is_not_unpacked(parts: dict[str, bytes], tmp_path: Path) -> None:
    large = {**parts, "encoding.json": b"[" + b"1," * 100_000_000 + b"1]"}
    path = written(tmp_path / "m.nbdl", large, zipfile.ZIP_DEFLATED)
    del large
    assert path.stat().st_size < 1_000_000
    assert (
        peak(lambda: load_model(path), FileFormatError, r"m\.nbdl .*is compressed, which nbdl does not do") < MOST_PEAK
    )


def test_slots_that_the_optimizer_has_not_take_no_memory(parts: dict[str, bytes], tmp_path: Path) -> None:
    for slots, match in (
        (["momentum"] * 100_000, "slots: expected up to 100 entries, got a list of 100000"),
        (["velocity", "momentum"], "slots: expected momentum, velocity, .* in this order, got velocity, momentum"),
        (["momentum", "momentum"], "slots: expected momentum, velocity, .* in this order, got momentum, momentum"),
        (["momentum", "more"], "slots: expected momentum, velocity, .* in this order, got momentum, more"),
    ):
        path = written(tmp_path / "m.nbdl", with_json(parts, "training.json", slots=slots))
        assert peak(lambda path=path: load_model(path), FileFormatError, match) < MOST_PEAK


def test_weights_that_the_file_has_not_take_no_memory(parts: dict[str, bytes], tmp_path: Path) -> None:
    config = json.loads(parts["config.json"])
    config["layers"][0]["config"]["units"] = 20_000_000
    path = written(tmp_path / "m.nbdl", {**parts, "config.json": json.dumps(config).encode()})
    match = r"m\.nbdl: dense_1/kernel has shape \(3, 4\), the model's has \(3, 20000000\)"
    assert peak(lambda: load_model(path), FileFormatError, match) < MOST_PEAK
    config["layers"].insert(1, {"name": "Dense", "config": {"units": 20_000_000, "name": "more"}})
    config["layers"][0]["config"]["units"] = 4
    path = written(tmp_path / "m.nbdl", {**parts, "config.json": json.dumps(config).encode()})
    assert peak(lambda: load_model(path), FileFormatError, "missing more/kernel") < MOST_PEAK


def claiming(shape: str, descr: str = "<f4") -> bytes:
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(12)


@pytest.mark.parametrize("content", [claiming("(1000000000,)"), claiming("(3,)", "V300000000"), claiming("(2**40,)")])
def test_an_array_is_as_large_as_its_file(content: bytes, parts: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    assert peak(lambda: load(str(tmp_path / "x.npy"), Reading()), DataError, r"x\.npy: is not a whole") < MOST_PEAK
    path = written(tmp_path / "x.npz", {"x.npy": content})
    assert peak(lambda: load(str(path), Reading()), DataError, r"x\.npz: is not a whole") < MOST_PEAK
    model = nbdl.Sequential([nbdl.layers.Dense(1, input_dim=3)])
    assert peak(lambda: model.load_weights(path), FileFormatError, r"x\.npz is damaged") < MOST_PEAK
    inner = {**parts, "weights.npz": path.read_bytes()}
    path = written(tmp_path / "m.nbdl", inner)
    assert peak(lambda: load_model(path), FileFormatError, r"m\.nbdl: weights\.npz is damaged") < MOST_PEAK


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_is_as_large_as_its_header_says(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    images = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (60_000, 100, 100))
    (tmp_path / "a-ubyte").write_bytes(pack(images + bytes(12)))
    assert peak(lambda: load(str(tmp_path / "a-ubyte"), Reading()), DataError, r"a-ubyte: is truncated") < MOST_PEAK


def test_more_than_the_header_says_is_not_unpacked(tmp_path: Path) -> None:
    small = b"\0\0\x08\x02" + b"".join(size.to_bytes(4, "big") for size in (2, 3)) + bytes(6)
    (tmp_path / "a-ubyte.gz").write_bytes(gzip.compress(small + bytes(200_000_000)))
    assert peak(lambda: load(str(tmp_path / "a-ubyte.gz"), Reading()), DataError, "goes on after its end") < MOST_PEAK


def test_parts_that_share_their_bytes_are_refused(parts: dict[str, bytes], tmp_path: Path) -> None:
    path = written(tmp_path / "m.nbdl", {**parts, **{f"{number}": bytes(100_000) for number in range(2)}})
    with zipfile.ZipFile(path) as archive:
        first, second = archive.getinfo("0").header_offset, archive.getinfo("1").header_offset
    content = path.read_bytes()
    at = content.rindex(second.to_bytes(4, "little"))
    content = content[:at] + first.to_bytes(4, "little") + content[at + 4 :]
    path.write_bytes(content[:first] + content[first + 100_100 :])
    with pytest.raises(FileFormatError, match=r"m\.nbdl is not an nbdl model, or it is damaged"):
        load_model(path)


# -- values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "changes", "match"),
    [
        ("nbdl.json", {"format": True}, r"nbdl\.json is damaged: format: expected a whole number from 1 .*, got true"),
        ("nbdl.json", {"format": -3}, "format: expected a whole number from 1 .*, got -3"),
        ("nbdl.json", {"format": 2, "versions": 3}, "has format 2, written by nbdl 'a newer version'"),
        ("nbdl.json", {"versions": 3}, "versions: expected a mapping, got 3"),
        ("training.json", {"iterations": 2**63}, r"json is damaged: iterations: .* 9007199254740992, got 922"),
        ("training.json", {"iterations": -5}, "iterations: expected a whole number from 0 .*, got -5"),
        ("training.json", {"epochs": 1.5}, "epochs: expected a whole number from 0 .*, got 1.5"),
        ("training.json", {"metrics": [{"as": ["x"], "name": "accuracy"}]}, r"metrics\[0\].as: expected a printable"),
        ("training.json", {"optimizer": 3}, "optimizer: expected a name, or a mapping of name and config, got 3"),
        ("encoding.json", {"target": {"a": 1}}, r"json is damaged: target: expected text, got a mapping of 1"),
        ("encoding.json", {"classes": [1, None]}, r"classes\[0\]: expected text, got 1"),
        ("encoding.json", {"features": [1, 2, 3]}, r"features\[0\]: expected text, got 1"),
        ("encoding.json", {"mean": [float("nan")]}, r"mean\[0\]: expected a finite number, got nan"),
        ("encoding.json", {"mean": [10**400]}, r"mean\[0\]: expected a finite number, got a number beyond"),
        ("config.json", {"name": "\ud800"}, "name: expected a printable name"),
        ("config.json", {"name": "a\x1b[2Jb"}, r"name: expected a printable name .*, got 'a\\x1b\[2Jb'"),
        ("config.json", {"seed": -1}, "seed: expected a whole number from 0"),
        ("config.json", {"order": [0, 7]}, "order: expected places among 3 layers"),
        ("config.json", {"layers": [None]}, r"layers\[0\]: expected a name"),
        ("config.json", {"layers": ["Dense"]}, "m.nbdl is damaged"),
    ],
)  # fmt: skip
def test_values_of_another_type_or_range(
    part: str, changes: dict[str, Any], match: str, parts: dict[str, bytes], tmp_path: Path
) -> None:
    path = written(tmp_path / "m.nbdl", with_json(parts, part, **changes))
    with pytest.raises(FileFormatError, match=rf"m\.nbdl.*{match}" if match[0] != "m" else match):
        load_model(path)


@pytest.mark.parametrize("part", ["nbdl.json", "config.json", "training.json", "encoding.json"])
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"format":1,"a":' + b"[" * 60 + b"]" * 60 + b"}", b"", b"\xff", b"1" * 5000]
)
def test_json_that_is_none_or_too_deep(part: str, content: bytes, parts: dict[str, bytes], tmp_path: Path) -> None:
    path = written(tmp_path / "m.nbdl", {**parts, part: content})
    with pytest.raises(FileFormatError, match=rf"m\.nbdl: {part} is damaged"):
        load_model(path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    model = nbdl.Sequential([nbdl.layers.Dense(1, input_dim=3)])
    model.name = "half a character \ud800"
    with pytest.raises(nbdl.errors.ConfigError, match="cannot be saved: config: name: expected a printable name"):
        model.save(tmp_path / "m.nbdl")
    assert not list(tmp_path.iterdir())


def test_weights_of_text_are_refused(tmp_path: Path) -> None:
    model = nbdl.Sequential([nbdl.layers.Dense(1, input_dim=3)])
    before = [array.copy() for array in model.get_weights()]
    for content, match in (
        ({"dense_1/kernel.npy": b"text", "dense_1/bias.npy": b"text"}, "damaged or not made of plain arrays"),
        ({"dense_1/kernel": b"text"}, "dense_1/kernel is no array"),
    ):
        with pytest.raises(FileFormatError, match=rf"w\.npz.*{match}"):
            model.load_weights(written(tmp_path / "w.npz", content))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_cell_beyond_what_csv_takes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f'a,b\n"{"x" * 200_000}",1\n')
    with pytest.raises(DataError, match=r"t\.csv, line 2: a cell is longer than"):
        load(str(tmp_path / "t.csv"), Reading())


# -- anything ---------------------------------------------------------------------------------------------

KINDS = ("model", "weights", "npz", "npy", "csv", "idx", "idx.gz")


@pytest.fixture(scope="module")
def targets(fuzz: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = fuzz.targets()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_read_or_refused(
    kind: str, fuzz: ModuleType, targets: dict[str, Any], tmp_path: Path
) -> None:
    assert set(targets) == set(KINDS)
    cases = {number: fuzz.case(targets[kind], kind, 0, number, tmp_path) for number in range(60)}
    assert {number: why for number, (end, why) in cases.items() if end == "failed"} == {}
    assert {end for end, _ in cases.values()} == {"read", "refused"} or kind == "weights"


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_thousands_of_damaged_files(kind: str, fuzz: ModuleType, targets: dict[str, Any], tmp_path: Path) -> None:
    cases = {number: fuzz.case(targets[kind], kind, 1, number, tmp_path) for number in range(3000)}
    assert {number: why for number, (end, why) in cases.items() if end == "failed"} == {}


def test_a_raw_error_is_a_failed_case(fuzz: ModuleType, targets: dict[str, Any], tmp_path: Path) -> None:
    def raw(path: Path) -> None:
        raise MemoryError

    def unnamed(path: Path) -> None:
        raise DataError("something is wrong")

    for use, expected in ((raw, "MemoryError"), (unnamed, "does not name the file")):
        target = fuzz.Target(".x", b"content", (fuzz.any_bytes,), use)
        end, why = fuzz.case(target, "x", 0, 0, tmp_path)
        assert end == "failed"
        assert expected in why


# -- terminals --------------------------------------------------------------------------------------------

STEERING = "\x1b[2J\x1b]0;title\x07"


def shown(*arguments: str, code: int = 0) -> str:
    """Standard output and error of a command, as they go to files."""
    done = subprocess.run([sys.executable, "-m", "nbdl", *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_reports_and_errors_steer_no_terminal(parts: dict[str, bytes], tmp_path: Path) -> None:
    model = written(
        tmp_path / "m.nbdl", with_json(parts, "encoding.json", classes=[f"a{STEERING}", "b\u202e", "c\u009b2J"])
    )
    report = shown("summary", str(model))
    assert printable(report) == report
    assert r"'a\x1b[2J\x1b]0;title\x07', 'b\u202e', 'c\x9b2J'" in report
    head = json.loads(parts["nbdl.json"])
    head.update(format=9, versions={"nbdl": STEERING})
    newer = written(tmp_path / "n.nbdl", {**parts, "nbdl.json": json.dumps(head).encode()})
    strange = written(tmp_path / "e.nbdl", with_json(parts, "encoding.json", **{STEERING: 1, "x" * 900: 2}))
    table = tmp_path / "t.csv"
    table.write_text(f"a{STEERING},a{STEERING}\n1,2\n")
    missing = str(tmp_path / f"no{STEERING}.nbdl")
    for code, *arguments in (
        (3, "summary", str(newer)),
        (3, "summary", str(strange)),
        (3, "train", str(table), "--target", "y"),
        (2, "summary", missing),
        (2, STEERING),
    ):
        text = shown(*arguments, code=code)  # type: ignore[arg-type]
        assert "rror" in text
        assert printable(text) == text


def test_answers_are_data_in_a_file_and_escaped_on_a_terminal(
    parts: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = written(tmp_path / "m.nbdl", with_json(parts, "encoding.json", classes=[STEERING] * 3))
    np.save(tmp_path / "x.npy", X)
    assert shown("predict", str(model), str(tmp_path / "x.npy")).splitlines()[1] == STEERING
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    Answers(terminal).write(f"{STEERING},1\n")
    assert terminal.getvalue() == f"{printable(STEERING)},1\n"


def test_errors_and_warnings_are_printable_and_of_a_sane_length() -> None:
    model = nbdl.Sequential([nbdl.layers.Dense(1, input_dim=3)])
    model.compile("sgd", "mse")
    name = f"{STEERING}{'x' * 30_000}"
    with pytest.raises(NbdlError) as caught:
        model.fit({name: X}, X[:, :1], verbose=0)
    for error in (caught.value, DataError(name), DataError(" ".join(name)), DataError(f"{DataError(name)}")):
        assert len(str(error)) < 5_000
        assert printable(str(error)) == str(error)
    with pytest.warns(UserWarning, match=r"a\\x1b\[2J") as warned:
        warn(f"a{STEERING} {'b' * 30_000}")
    assert len(str(warned[0].message)) < 5_000
    with pytest.raises(nbdl.errors.ConfigError, match=r"a layer's name is printable text .*, got 'a\\x1b\[2J"):
        nbdl.Sequential([nbdl.layers.Dense(1, input_dim=3, name=f"a{STEERING}")])


def test_what_a_file_suggests_is_marked_as_its_claim(parts: dict[str, bytes], tmp_path: Path) -> None:
    needs = [{"distribution": "typosquat", "version": "1.0", "units": ["layers/Evil"]}]
    path = written(tmp_path / "m.nbdl", with_json(parts, "nbdl.json", plugins=needs))
    with pytest.raises(nbdl.errors.ConfigError, match=r"m\.nbdl says that it needs .*typosquat.*Only the file says so"):
        load_model(path)


def test_every_module_of_the_command_line_prints_in_one_place() -> None:
    folder = Path(nbdl.__file__).parent / "cli"
    printing = re.compile(r"click\.(secho|echo)\b|(?<![\w.])print\(|std(out|err)\.write\(")
    found = {path.name for path in folder.glob("*.py") if printing.search(path.read_text("utf-8"))}
    assert found == {"output.py"}
