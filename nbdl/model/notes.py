"""Notes in files of models and weights: what their writer wants to know when it finds them again.

A note is JSON in the comment of the zip file, where readers of npz and of models pass it over.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

from nbdl.errors import FileFormatError
from nbdl.storage import schema
from nbdl.storage.archive import Archive, json_value
from nbdl.storage.schema import Schema

Note: TypeAlias = dict[str, Any]

MARK = b"nbdl note "
ANY = schema.record({})


def noted(content: bytes, note: Note) -> bytes:
    """Return a zip file with a note in it."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = MARK + json.dumps(note).encode()
    return buffer.getvalue()


def read_note(path: Path, form: Schema = ANY) -> Note | None:
    """Return the note of a file; None where it has none, one of another form, or is not there.

    Args:
        form: what the note must look like.
    """
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            comment = Archive(file, str(path), compressed=True).comment
        note: Note = json_value(comment.removeprefix(MARK), str(path), form)
    except (OSError, FileFormatError):
        return None
    return note if comment.startswith(MARK) else None
