"""Notes in files of models and weights: what their writer wants to know when it finds them again.

A note is JSON in the comment of the zip file, where readers of npz and of models pass it over.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, TypeAlias

Note: TypeAlias = dict[str, Any]

MARK = b"nbdl note "


def noted(content: bytes, note: Note) -> bytes:
    """Return a zip file with a note in it."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = MARK + json.dumps(note).encode()
    return buffer.getvalue()


def read_note(path: Path) -> Note | None:
    """Return the note of a file; None where it has none, or is not there."""
    try:
        with zipfile.ZipFile(path) as archive:
            comment = archive.comment
        if not comment.startswith(MARK):
            return None
        note = json.loads(comment.removeprefix(MARK))
    except (OSError, ValueError, RecursionError, NotImplementedError, zipfile.BadZipFile):
        return None
    return note if isinstance(note, dict) else None
