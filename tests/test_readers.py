"""The readers: every format's good files, and every bad file with the message it must give."""

import csv as standard_csv
import gzip
import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbdl_standard.readers import csv, idx, npy, npz

from nbdl.data.arrays import Arrays
from nbdl.data.source import read as read_source
from nbdl.data.table import Table, to_number
from nbdl.errors import DataError


def write(folder: Path, text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def stream(text: str) -> Table:
    return csv.read(io.StringIO(text))


# --- CSV: what it reads -----------------------------------------------------------------------------------


def test_numbers_and_text(tmp_path: Path) -> None:
    table = csv.read(write(tmp_path, "a,b,kind\n1,2.5,oak\n-3e2, 4 ,elm\n"))
    assert table.names == ("a", "b", "kind")
    assert table.columns["a"].dtype == np.float64
    np.testing.assert_array_equal(table.columns["a"], [1, -300])
    np.testing.assert_array_equal(table.columns["b"], [2.5, 4])
    assert table.columns["kind"] == ["oak", "elm"]
    assert list(table.lines) == [2, 3]
    assert table.source.endswith("data.csv")


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "a;b\n1;2\n", "a\tb\n1\t2\n", "\ufeffa,b\r\n1,2\r\n", "a,b\r1,2\r"])
def test_delimiters_line_ends_and_byte_order_mark(tmp_path: Path, text: str) -> None:
    table = csv.read(write(tmp_path, text))
    assert table.names == ("a", "b")
    assert [float(table.columns[name][0]) for name in "ab"] == [1, 2]


def test_decimal_commas_do_not_pass_for_delimiters() -> None:
    table = stream("a;b\n1,5;2,5\n")
    assert table.names == ("a", "b")
    with pytest.raises(DataError, match=r"line 2, column 'a': '1,5' is not a number: .* as in 1\.5"):
        table.numbers("a")


def test_tsv_is_parted_by_tabs_alone(tmp_path: Path) -> None:
    assert csv.read(write(tmp_path, "a,b\n1,2\n", "data.tsv")).names == ("a,b",)


def test_quotes_blank_lines_and_line_numbers() -> None:
    table = stream('\na,"b ""x"""\n\n1,"two\nlines, yes"\n   \n3,four\n')
    assert table.names == ("a", 'b "x"')
    assert table.columns['b "x"'] == ["two\nlines, yes", "four"]
    assert list(table.lines) == [4, 7]


def test_names_may_span_lines() -> None:
    table = stream('"a\nb",c\n1,2\n')
    assert table.names == ("a\nb", "c")
    assert list(table.lines) == [3]


def test_blank_lines_among_numbers_keep_line_numbers() -> None:
    assert list(stream("a,b\n1,2\n\n3,4\n").lines) == [2, 4]


@pytest.mark.parametrize("cell", ["1_000", "0x10", "٣", "1d3", "", "1 2", "one"])
def test_what_is_not_a_number_is_text(cell: str) -> None:
    assert to_number(cell) is None
    assert isinstance(stream(f"a,b\n{cell},1\n").columns["a"], list)


@pytest.mark.parametrize("text", ["a,b\n1,nan\n", 'a,b\n1,"nan"\n'])
def test_nan_is_a_number_until_it_is_used(text: str) -> None:
    table = stream(text)
    assert np.isnan(table.columns["b"][0])
    with pytest.raises(DataError, match=r"standard input, line 2, column 'b': nan is not a finite number"):
        table.numbers("b")


def test_without_header() -> None:
    table = csv.read(io.StringIO("1,2\n3,4\n"), header=False)
    assert table.names == ("1", "2")
    assert list(table.lines) == [1, 2]
    assert csv.read(io.StringIO("1,x\n3,y\n"), header=False).columns["2"] == ["x", "y"]


def test_numbers_as_names_if_asked_for() -> None:
    table = csv.read(io.StringIO("2019,2020\n3,4\n"), header=True)
    assert table.names == ("2019", "2020")
    assert len(table) == 1


@pytest.mark.parametrize("late", [1, csv.BLOCK_ROWS - 1, csv.BLOCK_ROWS, 2 * csv.BLOCK_ROWS + 1])
def test_text_that_shows_late_keeps_the_text_before_it(late: int) -> None:
    cells = [f"0{row}" for row in range(2 * csv.BLOCK_ROWS + 2)]
    cells[late] = "text"
    table = stream("a,b\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells)))
    assert table.columns["a"] == cells
    np.testing.assert_array_equal(table.columns["b"], np.arange(len(cells)))


floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8).map(str.strip)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(floats, floats), min_size=1), delimiter=st.sampled_from(",;\t"))
def test_numbers_survive_both_ways_of_reading(rows: list[tuple[float, float]], delimiter: str) -> None:
    lines = [f"{a!r}{delimiter}{b!r}\n" for a, b in rows]
    fast, slow = (
        csv.read(io.StringIO("".join([head, *lines])), delimiter=delimiter)
        for head in (f"a{delimiter}b\n", f'"a"{delimiter}b\n')
    )
    for index, name in enumerate("ab"):
        np.testing.assert_array_equal(fast.columns[name], [row[index] for row in rows])
        np.testing.assert_array_equal(slow.columns[name], fast.columns[name])
    assert list(fast.lines) == list(slow.lines)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(texts, texts), min_size=1))
def test_text_survives(rows: list[tuple[str, str]]) -> None:
    file = io.StringIO(newline="")
    writer = standard_csv.writer(file, quoting=standard_csv.QUOTE_ALL)
    writer.writerows([("first", "second"), *rows, ("end", "end")])
    table = stream(file.getvalue())
    assert table.columns["first"] == [*(row[0] for row in rows), "end"]
    assert table.columns["second"] == [*(row[1] for row in rows), "end"]


@settings(max_examples=100, deadline=None)
@given(cell=st.one_of(st.text(st.sampled_from("0123456789.eE+-_ nainf"), max_size=8), floats.map(repr)))
def test_both_ways_agree_on_what_a_number_is(cell: str) -> None:
    values = [stream(f"{head},b\n{cell},1\n").columns["a"] for head in ("a", '"a"')]
    assert type(values[0]) is type(values[1])
    np.testing.assert_array_equal(values[0], values[1])
    assert isinstance(values[0], list) == (to_number(cell) is None)


# --- CSV: what it refuses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b\n", "no rows below"),
        ('"a",b\n', "no rows below"),
        ("1,2\n3,4\n", "line 1: all numbers, so there are no column names.*header=False"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ("a,b,a\n1,2,3\n", "line 1: two columns are called 'a'"),
        ("a,b\n1,2\n\n3\n", "line 4: 1 cell, but there are 2 column names"),
        ("# of 2024\na,b\n1,2\n", "line 2: 2 cells, but there is a single column name"),
        ("a,b\n1," + 200_000 * "x" + "\n", "line 2: a cell is longer than 131,072 characters"),
        ("a,b\n1,2\nx,y,z\n", "line 3: 3 cells, but there are 2 column names"),
        ('a,b\n1,"2\n3,4\n', "line 2: a quoted cell does not end"),
        ('a,b\n1,"2"3\n', "line 2: a quoted cell does not end"),
    ],
)
def test_bad_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=f"bad.csv.*{message}"):
        csv.read(write(tmp_path, text, "bad.csv"))


@pytest.mark.parametrize(("encoding", "line"), [("latin-1", 3), ("utf-16", 1)])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str, line: int) -> None:
    with pytest.raises(DataError, match=f"line {line}: not UTF-8"):
        csv.read(write(tmp_path, "a,b\n1,2\n3,Grün\n", encoding=encoding))


def test_bad_delimiter() -> None:
    with pytest.raises(DataError, match=r"one character"):
        csv.read(io.StringIO("a,b\n1,2\n"), delimiter=", ")


# --- NPZ and NPY ------------------------------------------------------------------------------------------

X, Y = np.arange(6.0).reshape(3, 2), np.array([0, 1, 0])


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("X", "Y"), ("data", "target"), ("x", "labels"), ("X", "y")])
def test_npz_names(tmp_path: Path, x: str, y: str) -> None:
    np.savez(tmp_path / "d.npz", **{x: X, y: Y})
    data = npz.read(tmp_path / "d.npz")
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)
    assert data.test is None


def test_npz_with_test_part(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[1:])
    test = npz.read(tmp_path / "d.npz").test
    assert test is not None
    np.testing.assert_array_equal(test.x, X[:2])
    np.testing.assert_array_equal(test.y, Y[1:])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": Y}, "no array x. Arrays: y"),
        ({"x": X, "X": X}, "x and X could be the same"),
        ({"x": X, "y": Y[:2]}, "y has 2 rows, its inputs have 3"),
        ({"x": X[0]}, r"x has shape \(2,\).*x\[None, :\]"),
        ({"x": X[:0]}, "x is empty"),
        ({"x": X.astype(complex)}, "x holds complex128"),
        ({"x": X, "y": X[None]}, r"y has shape \(1, 3, 2\)"),
        ({"x": X, "y_test": Y}, "y_test without x_test"),
        ({"x": X, "x_test": X[:, :1]}, "x_test has rows of shape"),
        ({"x": X, "y": Y.astype(object)}, "holds Python objects"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=f"d.npz.*{message}"):
        npz.read(tmp_path / "d.npz")


@pytest.mark.parametrize("content", [b"", b"PK nonsense", b"text", b"\x80\x04N."])
def test_not_npz_or_npy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not a whole \.npz"):
        npz.read(path)
    with pytest.raises(DataError, match=r"not a whole \.npy"):
        npy.read(path)


def test_truncated_npz_and_npy(tmp_path: Path) -> None:
    for name, save, read in (("d.npz", np.savez_compressed, npz.read), ("d.npy", np.save, npy.read)):
        path = tmp_path / name
        save(path, np.random.default_rng(0).normal(size=(50, 4)))
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataError, match=r"not a whole"):
            read(path)


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", X)
    assert npy.read(tmp_path / "d.npy").y is None
    data = npy.read(tmp_path / "d.npy", last_is_target=True)
    np.testing.assert_array_equal(data.x, X[:, :1])
    np.testing.assert_array_equal(data.y, X[:, 1])
    np.save(tmp_path / "d.npy", X[:, :1])
    with pytest.raises(DataError, match=r"two columns"):
        npy.read(tmp_path / "d.npy", last_is_target=True)
    np.save(tmp_path / "d.npy", X.astype(object), allow_pickle=True)
    with pytest.raises(DataError, match=r"holds Python objects"):
        npy.read(tmp_path / "d.npy")


# --- IDX --------------------------------------------------------------------------------------------------


def idx_bytes(array: np.ndarray, code: int) -> bytes:
    big = array.astype(array.dtype.newbyteorder(">"))
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + big.tobytes()


@pytest.mark.parametrize(("code", "kind"), [(8, "u1"), (9, "i1"), (11, "i2"), (12, "i4"), (13, "f4"), (14, "f8")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_types(tmp_path: Path, code: int, kind: str, pack: object) -> None:
    array = np.arange(-3, 9).astype(kind).reshape(3, 2, 2)
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(pack(idx_bytes(array, code)))
    data = idx.read(path)
    assert data.x.dtype == np.dtype(kind)
    assert data.x.dtype.isnative
    np.testing.assert_array_equal(data.x, array)


def test_idx_labels(tmp_path: Path) -> None:
    images, labels = tmp_path / "i", tmp_path / "l"
    images.write_bytes(idx_bytes(np.zeros((3, 2, 2), np.uint8), 8))
    labels.write_bytes(idx_bytes(Y.astype(np.uint8), 8))
    data = idx.read(images, labels=str(labels))
    np.testing.assert_array_equal(data.y, Y)
    with pytest.raises(DataError, match=r"holds labels"):
        idx.read(labels)
    with pytest.raises(DataError, match=r"nowhere: no such file"):
        idx.read(images, labels="nowhere")


GOOD = idx_bytes(np.zeros((3, 2), np.uint8), 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file: it starts with nothing"),
        (b"\0\1" + GOOD[2:], "not an idx file: it starts with 00 01 08 02"),
        (b"\0\0\7" + GOOD[3:], "not an idx file"),
        (b"\0\0\10\0", "not an idx file"),
        (GOOD[:9], "is truncated"),
        (GOOD[:-1], r"is truncated: shape \(3, 2\) needs 18 bytes, there are 17"),
        (GOOD + b"\0", "goes on after its end"),
        (b"\0\0\10\3" + b"\xff" * 12, "is truncated"),
        (gzip.compress(GOOD, mtime=0)[:-3], "damaged or not whole"),
        (b"\x1f\x8b" + b"nonsense" * 3, "damaged or not whole"),
    ],
)
def test_bad_idx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"bad-ubyte: .*{message}"):
        idx.read(path)


# --- Choosing a reader ------------------------------------------------------------------------------------

READERS = {".csv": csv.read, ".npy": npy.read, "-ubyte": idx.read, "-ubyte.gz": idx.read}


def test_reader_by_suffix(tmp_path: Path) -> None:
    assert isinstance(read_source(write(tmp_path, "a,b\n1,2\n", "D.CSV"), READERS), Table)
    np.save(tmp_path / "d.npy", X)
    data = read_source(str(tmp_path / "d.npy"), READERS, last_is_target=True, delimiter=None)
    assert isinstance(data, Arrays)
    assert data.y is not None
    path = tmp_path / "t10k-ubyte.gz"
    path.write_bytes(gzip.compress(GOOD))
    assert read_source(path, READERS).x.shape == (3, 2)


def test_the_longest_suffix_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n", "data.table.csv")
    for order in (1, -1):
        readers = dict([(".csv", npy.read), (".table.csv", csv.read)][::order])
        assert read_source(path, readers).names == ("a", "b")


def test_format_replaces_suffix(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n", "data.txt")
    assert read_source(path, READERS, format="csv").names == ("a", "b")
    with pytest.raises(DataError, match=r"no reader for the format 'arff'\. Known: .*\.csv"):
        read_source(path, READERS, format="arff")


def test_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a,b\n1,2\n"))
    assert read_source("-", READERS, format="csv").source == "standard input"
    assert read_source(io.StringIO("a,b\n1,2\n"), {**READERS, "-": csv.read}).names == ("a", "b")
    with pytest.raises(DataError, match=r"Give its format, as in format="):
        read_source("-", READERS)
    with pytest.raises(DataError, match=r"\.npy file cannot be read from standard input"):
        read_source("-", READERS, format="npy")


def test_reader_of_streams_takes_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no reader for this kind of file"):
        read_source(write(tmp_path, "a,b\n1,2\n", "odd-"), {"-": csv.read})


def test_refusals_of_sources(tmp_path: Path) -> None:
    write(tmp_path, "a,b\n1,2\n", "train.csv")
    with pytest.raises(DataError, match=r"trian\.csv: no such file\. Did you mean 'train\.csv'\?"):
        read_source(tmp_path / "trian.csv", READERS)
    with pytest.raises(DataError, match=r"x\.parquet: no reader for this kind of file.*Known: -ubyte"):
        read_source("x.parquet", READERS)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"is a folder"):
        read_source(tmp_path / "folder.csv", READERS)
    with pytest.raises(DataError, match=r"does not take delimeter=';'\. Did you mean 'delimiter'\?"):
        read_source(tmp_path / "train.csv", READERS, delimeter=";")


def test_unreadable_file_is_a_data_error(tmp_path: Path) -> None:
    def fails(source: Path) -> Table:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(DataError, match=r"train\.csv: cannot be read: Permission denied"):
        read_source(write(tmp_path, "", "train.csv"), {".csv": fails})


# --- All of them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "name", "suffix"),
    [(csv, "csv", ".tsv"), (npz, "npz", ".npz"), (npy, "npy", ".npy"), (idx, "idx", "-ubyte")],
)
def test_registers(module: object, name: str, suffix: str) -> None:
    seen = {}
    module.register_readers(lambda name, read, suffixes, **options: seen.update({name: (read, suffixes)}))
    assert list(seen) == [name]
    assert seen[name][0] is module.read
    assert suffix in seen[name][1]


def test_importing_plugins_and_data_imports_nothing_heavy() -> None:
    modules = [f"nbdl_standard.readers.{name}" for name in ("csv", "npz", "npy", "idx")]
    modules += [f"nbdl_standard.datasets.{name}" for name in ("digits", "mnist", "mnist_download")]
    modules += [f"nbdl.data.{name}" for name in ("table", "arrays", "target", "encoding", "source")]
    code = f"import sys, {', '.join(modules)}\n"
    code += "print({'numpy', 'scipy', 'pandas', 'pooch', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
