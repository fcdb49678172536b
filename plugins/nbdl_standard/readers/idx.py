"""IDX: the format of MNIST, one array of numbers behind a header of a few bytes, often compressed.

Bytes 0 and 1 are zero, byte 2 is the type, byte 3 the number of dimensions; then one big-endian 32-bit length
for each dimension; then the numbers, big-endian, the last dimension changing fastest.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from nbdl import hookimpl
from nbdl.data import Arrays, path_only
from nbdl.errors import DataError
from nbdl.storage import DEFLATE_RATIO, refusing

if TYPE_CHECKING:
    from gzip import GzipFile

    from numpy.typing import NDArray

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

BLOCK_BYTES = 1 << 20

SAMPLE = b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03abcdef"  # two rows of three bytes


def read(source: Path | TextIO, *, labels: str | None = None) -> Arrays:
    """Read images from one file and, if it is given, their labels from another.

    Args:
        source: A path; compressed with gzip or not.
        labels: Path of the file of labels. Default: none.

    Returns:
        The arrays.

    Raises:
        DataError: Not such a file, a truncated one, or shapes that cannot be used.
    """
    path = path_only(source, "An idx file")
    x = read_array(path)
    if x.ndim == 1:
        raise DataError(f"{path}: holds labels. Give the file of images, and this one as its labels.")
    return Arrays(str(path), x, None if labels is None else read_array(Path(labels)))


def read_array(path: Path) -> NDArray[Any]:
    """Return the array in a file, compressed with gzip or not.

    Raises:
        DataError: The file is missing, or is no whole idx file.
    """
    import gzip

    if not path.exists():
        raise DataError(f"{path}: no such file.")
    with path.open("rb") as file:
        size, packed = os.fstat(file.fileno()).st_size, file.peek(2)[:2] == b"\x1f\x8b"
        what = "the compressed file is damaged or not whole. Fetch it again." if packed else "is not an idx file."
        with refusing(f"{path}: {what}", DataError):
            if packed:
                return parse(gzip.GzipFile(fileobj=file), DEFLATE_RATIO * size, str(path))
            return parse(file, size, str(path))


def parse(file: BinaryIO | GzipFile, most: int, name: str) -> NDArray[Any]:
    """Return the array that an opened idx file holds.

    Args:
        file: The file, unpacked while it is read.
        most: Bytes that it can hold, which no header may exceed.
        name: What error messages call it.

    Raises:
        DataError: Wrong magic number, no dimensions, or a length that does not match the header.
    """
    import numpy as np

    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not head[3]:
        raise DataError(f"{name}: is not an idx file: it starts with {head.hex(' ') or 'nothing'}.")
    start = 4 + 4 * head[3]
    sizes = file.read(start - 4)
    lengths = tuple(int.from_bytes(sizes[at : at + 4], "big") for at in range(0, start - 4, 4))
    kind = np.dtype(TYPES[head[2]])
    needed = start + kind.itemsize * math.prod(lengths)
    if needed > most:
        raise DataError(f"{name}: is truncated: shape {lengths} needs {needed} bytes, there are {most} at most.")
    values = np.empty(math.prod(lengths), kind)
    room, done = memoryview(values.view(np.uint8).data), 0
    while part := file.read(min(BLOCK_BYTES, len(room) - done)):
        room[done : done + len(part)] = part
        done += len(part)
    if done < len(room):
        raise DataError(f"{name}: is truncated: shape {lengths} needs {needed} bytes, there are {start + done}.")
    if file.read(1):
        raise DataError(f"{name}: goes on after its end: shape {lengths} needs {needed} bytes, and there are more.")
    return values.reshape(lengths).astype(kind.newbyteorder("="), copy=False)


@hookimpl
def register_readers(register: Callable[..., None]) -> None:
    """Offer the reader."""
    register("idx", read, suffixes=(".idx", ".idx.gz", "-ubyte", "-ubyte.gz"), sample=SAMPLE)
