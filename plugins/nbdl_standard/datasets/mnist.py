"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, from files on disk or, when told to, downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.errors import DataError
from nbdl.storage import as_path
from nbdl_standard.readers import idx, npz

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Part = tuple[NDArray[np.uint8], NDArray[np.uint8]]

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
ARCHIVE = "mnist.npz"

RECIPE = {
    "arch": "784-128:relu-10:softmax",
    "epochs": 20,
    "batch_size": 128,
    "patience": 3,
    "scale": 255.0,
}


def load_data(folder: str | Path | None = None, *, download: bool = False) -> tuple[Part, Part]:
    """Return 60,000 images to train with and 10,000 to test with.

    The four idx files, compressed with gzip or not, or `mnist.npz`, are looked for in `folder`; without one
    in the folder that the environment variable NBDL_DATA names, then in the cache
    ($XDG_CACHE_HOME/nbdl/data/mnist, usually ~/.cache/nbdl/data/mnist). In each, a folder `mnist` will do.

    Args:
        folder: A folder with the files, or an .npz file. Default: see above.
        download: Whether to fetch files that are not there, 11 MB, into `folder` or the cache. Default: no.

    Returns:
        (x_train, y_train), (x_test, y_test): x is uint8 of shape (rows, 28, 28), 0 (white) to 255 (black);
        y is uint8 of shape (rows,), 0 to 9.

    Raises:
        DataError: The files are not there, or not whole; the message says which and where to put them.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, the MNIST database of handwritten digits.
    """
    places = [as_path(folder, "folder").expanduser()] if folder is not None else list(usual_folders())
    for place in places:
        for candidate in (place, place / "mnist"):
            found = load_from(candidate)
            if found is not None:
                return found
    if not download:
        raise DataError(missing(places))
    from nbdl_standard.datasets import mnist_download

    target = places[-1]
    mnist_download.fetch(target)
    found = load_from(target)
    assert found is not None
    return found


def usual_folders() -> Iterator[Path]:
    """Yield where to look when no folder is given."""
    if named := os.environ.get("NBDL_DATA"):
        yield Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    yield (Path(cache) if cache else Path.home() / ".cache") / "nbdl" / "data" / "mnist"


def load_from(place: Path) -> tuple[Part, Part] | None:
    """Return the data in a folder or an .npz file, or None where there is none."""
    archive = place if place.suffix == ".npz" else place / ARCHIVE
    paths = [locate(place, name) for name in FILES]
    whole = [path for path in paths if path is not None]
    if len(whole) == len(FILES):
        train_x, train_y, test_x, test_y = (idx.read_array(path) for path in whole)
        return checked(whole[0], train_x, train_y), checked(whole[2], test_x, test_y)
    if archive.is_file():
        data = npz.read(archive)
        return checked(archive, data.x, data.y), checked(archive, data.x_test, data.y_test)
    if whole:
        lacking = [name for name, path in zip(FILES, paths, strict=True) if path is None]
        raise DataError(f"{place}: {', '.join(lacking)} (or with .gz) must lie beside {whole[0].name}.")
    return None


def locate(folder: Path, name: str) -> Path | None:
    """Return the file of that name, compressed or not, or spelt `images.idx3` as unpackers may do."""
    for spelling in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelling, folder / f"{spelling}.gz"):
            if path.is_file():
                return path
    return None


def checked(path: Path, x: NDArray[Any] | None, y: NDArray[Any] | None) -> Part:
    """Return images and labels if they are bytes and belong together."""
    if x is None or y is None:
        raise DataError(f"{path}: needs x_train, y_train, x_test and y_test.")
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y) or x.dtype != "u1" or y.dtype != "u1":
        raise DataError(
            f"{path}: images {x.dtype}{list(x.shape)} and labels {y.dtype}{list(y.shape)} do not belong "
            "together; expected uint8 [rows, height, width] and uint8 [rows]."
        )
    return x, y


def missing(places: list[Path]) -> str:
    """Say that there is no MNIST, where it was looked for, and the two ways to get it."""
    return (
        f"no MNIST in {' or '.join(str(place) for place in places)}. Put {', '.join(FILES)} (or with .gz), "
        f"or {ARCHIVE}, there; or name another folder by folder=...; or add download=True, which fetches 11 MB."
    )


@hookimpl
def register_datasets(register: Callable[..., None]) -> None:
    """Offer the dataset."""
    register(
        "mnist",
        load_data,
        task="classification",
        classes=10,
        description="70,000 handwritten digits, 28 x 28 pixels; from your files, or downloaded on request",
        recipe=RECIPE,
    )
