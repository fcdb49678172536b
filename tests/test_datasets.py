"""The datasets: digits as shipped; MNIST from small files, from a local server, and the real one."""

import gzip
import hashlib
import io
import os
import struct
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from nbdl_standard.datasets import digits, mnist, mnist_download

from nbdl.errors import DataError


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


def idx_file(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


SMALL = {
    name: np.random.default_rng(index)
    .integers(0, 10, (7 - index // 2, 28, 28)[: 1 if "labels" in name else 3])
    .astype(np.uint8)
    for index, name in enumerate(mnist.FILES)
}


def write_mnist(folder: Path, compressed: bool = True, spelling: str = "-idx") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in SMALL.items():
        content = idx_file(array)
        path = folder / (name.replace("-idx", spelling) + (".gz" if compressed else ""))
        path.write_bytes(gzip.compress(content) if compressed else content)
    return folder


def assert_small(data: tuple[tuple[np.ndarray, ...], ...]) -> None:
    for found, name in zip((array for part in data for array in part), mnist.FILES, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, SMALL[name])


@pytest.fixture(autouse=True)
def empty_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NBDL_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# --- Digits -----------------------------------------------------------------------------------------------


def test_digits_shapes_and_range() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1437, 64)
    assert x_test.shape == (360, 64)
    assert x_train.dtype == x_test.dtype == np.float32
    assert y_train.dtype == y_test.dtype == np.uint8
    for x in (x_train, x_test):
        assert x.min() == 0.0
        assert x.max() == 1.0
        np.testing.assert_array_equal(x * 16, np.round(x * 16))


def test_digits_are_the_1797_of_the_test_set_in_equal_shares() -> None:
    (_, y_train), (_, y_test) = digits.load_data()
    counts = np.bincount(y_train) + np.bincount(y_test)
    np.testing.assert_array_equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert np.abs(np.bincount(y_test) - counts / 5).max() < 1


def test_digits_split_never_changes() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    digest = hashlib.sha256(b"".join(array.tobytes() for array in (x_train, y_train, x_test, y_test)))
    assert digest.hexdigest() == "6aebfd5d3f77a10d41152ec39277253de35b745f325097e7397e4d37639f23fb"


def test_digits_can_be_told_apart() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    distance = (x_test**2).sum(1)[:, None] - 2 * x_test @ x_train.T + (x_train**2).sum(1)
    nearest = y_train[distance.argmin(axis=1)]
    assert (nearest == y_test).mean() > 0.97


# --- MNIST from files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("spelling", ["-idx", ".idx"])
def test_mnist_from_folder(tmp_path: Path, compressed: bool, spelling: str) -> None:
    assert_small(mnist.load_data(write_mnist(tmp_path / "d", compressed, spelling)))
    assert_small(mnist.load_data(str(tmp_path / "d")))


@pytest.mark.parametrize("place", ["data", "data/mnist"])
def test_mnist_from_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    write_mnist(tmp_path / place)
    monkeypatch.setenv("NBDL_DATA", str(tmp_path / "data"))
    assert_small(mnist.load_data())


def test_mnist_from_cache_where_the_environment_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "cache" / "nbdl" / "data" / "mnist")
    monkeypatch.setenv("NBDL_DATA", str(tmp_path / "elsewhere"))
    assert_small(mnist.load_data())


def test_a_given_folder_is_the_only_place(tmp_path: Path) -> None:
    write_mnist(tmp_path / "cache" / "nbdl" / "data" / "mnist")
    with pytest.raises(DataError, match=r"no MNIST in .*/empty"):
        mnist.load_data(tmp_path / "empty")


def test_mnist_npz(tmp_path: Path) -> None:
    arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), SMALL.values(), strict=True))
    np.savez_compressed(tmp_path / "mnist.npz", **arrays)
    assert_small(mnist.load_data(tmp_path))
    assert_small(mnist.load_data(tmp_path / "mnist.npz"))
    del arrays["y_test"]
    np.savez_compressed(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(DataError, match=r"mnist\.npz: needs x_train, y_train, x_test and y_test"):
        mnist.load_data(tmp_path)


def test_missing_mnist_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        mnist.load_data()
    for part in ("cache/nbdl/data/mnist", *mnist.FILES, "mnist.npz", "download=True"):
        assert part in str(caught.value)


def test_one_file_missing(tmp_path: Path) -> None:
    folder = write_mnist(tmp_path)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte .* must lie beside train-images-idx3-ubyte.gz"):
        mnist.load_data(folder)


@pytest.mark.parametrize("wrong", [np.zeros(3, np.uint8), np.zeros((7, 1), np.uint8)])
def test_labels_that_do_not_belong(tmp_path: Path, wrong: np.ndarray) -> None:
    folder = write_mnist(tmp_path)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_file(wrong)))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz: .* do not belong together"):
        mnist.load_data(folder)


# --- MNIST from a server ----------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    write_mnist(tmp_path / "served" / "good")
    monkeypatch.setenv("NO_PROXY", "*")
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setattr(mnist_download, "MIRRORS", (f"{address}/nothing/", f"{address}/good/"))
        monkeypatch.setattr(
            mnist_download,
            "SHA256",
            {name: hashlib.sha256(idx_file(array)).hexdigest() for name, array in SMALL.items()},
        )
        yield address
        http.shutdown()
        thread.join()


def test_download_from_the_second_mirror(server: str, tmp_path: Path) -> None:
    pytest.importorskip("pooch")
    assert_small(mnist.load_data(tmp_path / "new", download=True))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(f"{f}.gz" for f in mnist.FILES)
    assert_small(mnist.load_data(tmp_path / "new"))


def test_download_into_the_cache(server: str, tmp_path: Path) -> None:
    pytest.importorskip("pooch")
    mnist.load_data(download=True)
    assert_small(mnist.load_data())
    assert (tmp_path / "cache" / "nbdl" / "data" / "mnist").is_dir()


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"something else"), b"<html>", gzip.compress(b"x" * 60)[:-4]],
    ids=["other contents", "a page", "cut short"],
)
def test_wrong_contents_are_not_kept(server: str, tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("pooch")
    (tmp_path / "served" / "good" / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"good/: not the right contents") as caught:
        mnist.load_data(tmp_path / "new", download=True)
    assert "404" in str(caught.value)
    assert f"into {tmp_path / 'new'} by hand" in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [f"{f}.gz" for f in sorted(mnist.FILES[:2])]


def test_contents_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(1001)))
    assert mnist_download.digest(path) == hashlib.sha256(bytes(1001)).hexdigest()
    monkeypatch.setattr(mnist_download, "MOST_BYTES", 1000)
    assert mnist_download.digest(path) == ""


def test_no_network_says_which_files_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pooch")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(mnist_download, "MIRRORS", ("http://127.0.0.1:9/",))
    with pytest.raises(DataError) as caught:
        mnist.load_data(tmp_path, download=True)
    for part in ("ConnectionError", str(tmp_path), *(f"{name}.gz" for name in mnist.FILES)):
        assert part in str(caught.value)


def test_without_pooch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=r'pip install "nbdl\[download\]"'):
        mnist.load_data(tmp_path, download=True)


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist_download, "fetch", lambda folder: pytest.fail("downloaded without being told to"))
    with pytest.raises(DataError, match=r"no MNIST"):
        mnist.load_data()


# --- The real one -----------------------------------------------------------------------------------------

REAL = os.environ.get("NBDL_DATA")


@pytest.mark.skipif(not REAL, reason="set NBDL_DATA to a folder with MNIST to test with the real files")
def test_real_mnist() -> None:
    (x_train, y_train), (x_test, y_test) = mnist.load_data(REAL)
    assert x_train.shape == (60000, 28, 28)
    assert x_test.shape == (10000, 28, 28)
    np.testing.assert_array_equal(np.bincount(y_train), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    np.testing.assert_array_equal(np.bincount(y_test), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    for name, array in zip(mnist.FILES, (x_train, y_train, x_test, y_test), strict=True):
        assert hashlib.sha256(idx_file(array)).hexdigest() == mnist_download.SHA256[name]


# --- Registration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "features"), [(digits, 64), (mnist, 784)])
def test_registers_a_recipe_that_fits(module: object, features: int) -> None:
    seen = {}
    module.register_datasets(lambda name, load, **options: seen.update({name: (load, options)}))
    ((load, options),) = seen.values()
    assert load is module.load_data
    assert options["task"] == "classification"
    assert options["classes"] == 10
    assert options["recipe"]["arch"].startswith(f"{features}-")
    assert options["recipe"]["arch"].endswith("-10:softmax")
    assert options["description"]


def test_licence_lies_beside_the_data() -> None:
    folder = Path(digits.__file__).parent
    assert "CC BY 4.0" in (folder / "digits.txt").read_text()
    assert np.load(io.BytesIO((folder / "digits.npz").read_bytes()), allow_pickle=False)["x"].dtype == np.uint8
