"""Files that come from elsewhere: zips, JSON and arrays, whose sizes are compared before memory is taken for them."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from nbdl.errors import DataError, FileFormatError, NbdlError, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nbdl.storage.schema import Schema

Refusal = type[FileFormatError] | type[DataError]

MOST_JSON = 1 << 26
MOST_HEADER = 10_000  # of an array; NumPy's own limit
DEFLATE_RATIO = 1032  # nothing is compressed further by deflate
ENCRYPTED = 1


@contextmanager
def refusing(problem: str, error: Refusal = FileFormatError) -> Iterator[None]:
    """Turn whatever reading a bad file raises into one error; the one place where that is done.

    Parsers raise what they like (TokenError, MemoryError, RecursionError, zlib.error, ...), so nothing is listed here.
    What the system says of a path or a disk passes: the file's content is not at fault.

    Args:
        problem: The file, and what is wrong if anything is raised, as in "x.npy: is not a whole .npy file".
        error: The class of error to raise.
    """
    try:
        yield
    except NbdlError:
        raise
    except Exception as raised:
        if isinstance(raised, OSError) and raised.errno not in (None, errno.EINVAL):
            raise
        reason = str(raised).split(". ")[0] or type(raised).__name__  # without NumPy's advice to load it all the same
        raise error(f"{problem} ({shortened(' '.join(reason.split()), 200)})") from raised


def json_value(content: bytes, where: str, schema: Schema) -> Any:
    """Return what JSON says, if it fits a schema.

    Raises:
        FileFormatError: it is no JSON, or does not fit.
    """
    with refusing(f"{where} is damaged: it is not JSON"):
        value = json.loads(content.decode())
        problem = schema(value, "")
    if problem:
        raise FileFormatError(f"{where} is damaged: {problem}")
    return value


class Archive:
    """An opened zip whose parts are as large as they say.

    Args:
        file: The opened file.
        where: What messages call it.
        problem: As of `refusing`; default: that it is damaged.
        error: The class of errors.
        compressed: Whether parts may be compressed by deflate; nbdl itself compresses none.

    Raises:
        FileFormatError, DataError: no zip, or one whose parts overlap, come twice, or are compressed.
    """

    def __init__(
        self,
        file: BinaryIO,
        where: str,
        problem: str = "",
        error: Refusal = FileFormatError,
        compressed: bool = False,
    ) -> None:
        self.where, self.problem, self.error = where, problem or f"{where} is damaged", error
        with refusing(self.problem, error):
            size = file.seek(0, os.SEEK_END)
            self._zip = zipfile.ZipFile(file)
            parts = self._zip.infolist()
        self._parts = {part.filename: part for part in parts}
        if len(self._parts) < len(parts):
            raise error(f"{self.problem} (two parts have the same name)")
        for part in parts:
            self._check(part, compressed)
        if sum(part.compress_size for part in parts) > size:
            raise error(f"{self.problem} (its parts are larger than the file)")

    def _check(self, part: zipfile.ZipInfo, compressed: bool) -> None:
        reason = ""
        if part.flag_bits & ENCRYPTED:
            reason = "is encrypted"
        elif part.compress_type == zipfile.ZIP_STORED:
            if part.file_size != part.compress_size:
                reason = f"says it has {part.file_size:,} bytes, and holds {part.compress_size:,}"
        elif not compressed:
            reason = "is compressed, which nbdl does not do"
        elif part.compress_type != zipfile.ZIP_DEFLATED:
            reason = "is compressed in a way that NumPy does not use"
        elif part.file_size > DEFLATE_RATIO * part.compress_size + 1024:
            reason = f"says it has {part.file_size:,} bytes, more than {part.compress_size:,} compressed ones can hold"
        if reason:
            raise self.error(f"{self.problem} ({part.filename} {reason})")

    @property
    def names(self) -> list[str]:
        """The parts, in order."""
        return list(self._parts)

    @property
    def comment(self) -> bytes:
        """What stands at the end of the file."""
        return self._zip.comment

    def read(self, name: str) -> bytes:
        """Return a part."""
        if name not in self._parts:
            raise self.error(f"{self.where}: {name} is missing")
        with refusing(f"{self.where}: {name} is damaged", self.error):
            return self._zip.read(self._parts[name])

    def json(self, name: str, schema: Schema) -> Any:
        """Return what a JSON part says, if it fits a schema."""
        if name in self._parts and self._parts[name].file_size > MOST_JSON:
            raise self.error(f"{self.where}: {name} is damaged: expected up to {MOST_JSON:,} bytes")
        return json_value(self.read(name), f"{self.where}: {name}", schema)


class Npz:
    """The arrays of an npz file, by name; each is read when it is asked for.

    Args:
        archive: The opened zip.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self.names = [name.removesuffix(".npy") for name in archive.names]
        self.shapes: dict[str, tuple[int, ...]] = {}
        for part, name in zip(archive.names, self.names, strict=True):
            if not part.endswith(".npy"):
                raise archive.error(f"{archive.problem} ({part} is no array)")
            with refusing(archive.problem, archive.error), archive._zip.open(part) as opened:
                self.shapes[name] = header(opened, archive._parts[part].file_size, archive.where, archive.error)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array."""
        archive = self._archive
        with refusing(archive.problem, archive.error), archive._zip.open(f"{name}.npy") as opened:
            return array(opened)


def npz(content: bytes, where: str) -> Npz:
    """Return the arrays of a file that nbdl wrote.

    Raises:
        FileFormatError: the file is not of this format.
    """
    return Npz(Archive(io.BytesIO(content), where, f"{where} is damaged or not made of plain arrays"))


def header(file: Any, size: int, where: str, error: Refusal) -> tuple[int, ...]:
    """Return the shape of the array in a .npy file, if the file is as large as that and its type say.

    Raises:
        FileFormatError, DataError: it holds Python objects, whose reading could run code.
        ValueError, or another error of NumPy's: the file is not of this format, or has another size.
    """
    from numpy.lib import format as arrays

    version = arrays.read_magic(file)
    read = {(1, 0): arrays.read_array_header_1_0, (2, 0): arrays.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    shape, _, kind = read(file, max_header_size=MOST_HEADER)
    if kind.hasobject:
        raise error(f"{where}: holds Python objects. Save numbers: x.astype(float).")
    expected = file.tell() + math.prod(shape) * kind.itemsize
    if expected != size or any(length < 0 for length in shape):
        raise ValueError(f"shape {shape} of {kind} needs {expected:,} bytes, there are {size:,}")
    return tuple(shape)


def array(file: Any) -> NDArray[Any]:
    """Return the array of a .npy file whose header was checked."""
    from numpy.lib import format as arrays

    return arrays.read_array(file, allow_pickle=False)
