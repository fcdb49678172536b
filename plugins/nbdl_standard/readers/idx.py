"""IDX: the format of MNIST, one array of numbers behind a header of a few bytes, often compressed.

Bytes 0 and 1 are zero, byte 2 is the type, byte 3 the number of dimensions; then one big-endian 32-bit length
for each dimension; then the numbers, big-endian, the last dimension changing fastest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from nbdl import hookimpl
from nbdl.data.arrays import Arrays
from nbdl.data.source import path_only
from nbdl.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

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
    import zlib

    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is damaged or not whole. Fetch it again.") from error
    return parse(content, str(path))


def parse(content: bytes, name: str) -> NDArray[Any]:
    """Return the array that the bytes of an idx file hold.

    Args:
        content: The whole file, not compressed.
        name: What error messages call it.

    Raises:
        DataError: Wrong magic number, no dimensions, or a length that does not match the header.
    """
    import numpy as np

    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES or not content[3]:
        raise DataError(f"{name}: is not an idx file: it starts with {content[:4].hex(' ') or 'nothing'}.")
    start = 4 + 4 * content[3]
    lengths = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    kind = np.dtype(TYPES[content[2]])
    size = start + kind.itemsize * math.prod(lengths)
    if len(content) != size:
        what = "is truncated" if len(content) < size else "goes on after its end"
        raise DataError(f"{name}: {what}: shape {tuple(lengths)} needs {size} bytes, there are {len(content)}.")
    values = np.frombuffer(content, kind, offset=start).reshape(lengths)
    return values.astype(kind.newbyteorder("="))


@hookimpl
def register_readers(register: Callable[..., None]) -> None:
    """Offer the reader."""
    register("idx", read, suffixes=(".idx", ".idx.gz", "-ubyte", "-ubyte.gz"), sample=SAMPLE)
