"""The download of MNIST: mirror after mirror, every file checked before it gets its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbdl.errors import DataError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

# Of the contents, not of the .gz: the same contents are in circulation compressed in different ways.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# The largest file unpacked is 47 MB; a mirror that sends more is not sending MNIST.
MOST_BYTES = 50_000_000
TIMEOUT_SECONDS = 30


def fetch(folder: Path) -> None:
    """Download the files that are not in `folder` yet.

    Args:
        folder: Made if it is not there.

    Raises:
        DataError: pooch is not installed, the folder cannot be written, or no mirror gave the right file; the
            message says how to get it by hand.
    """
    downloader = make_downloader()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in SHA256:
            if not (folder / f"{name}.gz").is_file():
                fetch_one(folder, name, downloader)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror or error}.") from error


def make_downloader() -> Any:
    """Return what downloads a file; pooch is only needed, and only imported, here."""
    try:
        import pooch
    except ImportError as error:
        raise DataError('downloading needs pooch. Install it: pip install "nbdl[download]".') from error
    return pooch.HTTPDownloader(progressbar=False, timeout=TIMEOUT_SECONDS)


def fetch_one(folder: Path, name: str, downloader: Any) -> None:
    """Download one file from the first mirror that has it, check it, and only then give it its name."""
    import tempfile

    reasons = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
        part = Path(temporary) / f"{name}.gz"
        for mirror in MIRRORS:
            try:
                downloader(f"{mirror}{name}.gz", str(part), None)
            except Exception as error:  # what goes wrong on a network has no common type
                reasons.append(f"{mirror}: {short(error)}")
                continue
            if digest(part) == SHA256[name]:
                part.replace(folder / f"{name}.gz")
                return
            reasons.append(f"{mirror}: not the right contents")
    raise DataError(
        f"{name}.gz could not be downloaded ({'; '.join(reasons)}). "
        f"Put {', '.join(f'{name}.gz' for name in SHA256)} into {folder} by hand."
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of the unpacked contents, or "" where they are damaged or too large."""
    import gzip
    import hashlib

    try:
        with gzip.open(path) as file:
            contents = file.read(MOST_BYTES + 1)
    except Exception:  # what unpacking raises has no common type either
        return ""
    return hashlib.sha256(contents).hexdigest() if len(contents) <= MOST_BYTES else ""


def short(error: Exception) -> str:
    """Return an error's kind and the start of its text: those of networks run over many lines."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:100]}{'...' if len(text) > 100 else ''}"
