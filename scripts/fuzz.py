"""Damage valid files in thousands of ways: each is read, or refused with one clear error that names the file.

    python scripts/fuzz.py                     # 200 cases of each kind of file
    python scripts/fuzz.py --cases 5000 --seed 7 --kinds model csv

What a case does depends on kind, seed and number alone, so `--seed 7 --first 123 --cases 1` shows one again. A case
fails if anything but an error of nbdl's is raised, if the message does not name the file or could steer a terminal, or
if it takes long. At the end the peak of the memory is compared with what the valid files took.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nbdl
from nbdl.cli.source import Reading, load
from nbdl.data.arrays import Arrays
from nbdl.data.encoding import Encoding
from nbdl.errors import DataError, NbdlError, printable

SECONDS = 10.0
NAME = "fuzzed"
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**53 + 1, 2**63, -(2**70), 10**400, 0.5, 1e308, float("nan"), float("inf"),
    "", "x", "\x1b[2Jx", "\ud800", "a" * 5000, "relu", "softmax", [], {}, [[]], [1, None], [0, 0], [1] * 200, {"a": 1},
    {"name": "Dense"}, {"name": "Dense", "config": 3}, {"name": ["x"]},
)  # fmt: skip

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Target:
    """A kind of file: valid content, how it is damaged, and what is done with it."""

    suffix: str
    content: bytes
    mutations: tuple[Mutate, ...]
    use: Callable[[Path], None]


# -- damage -----------------------------------------------------------------------------------------------


def any_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change, remove, repeat or add some bytes anywhere."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 1, 2, 4, 50, 1000))
        part = data[at : at + length]
        what = rng.randrange(5)
        if what == 0:
            data[at : at + length] = bytes(rng.randrange(256) for _ in part)
        elif what == 1:
            del data[at : at + length]
        elif what == 2:
            data[at:at] = part * rng.choice((1, 3, 50))
        elif what == 3:
            data[at:at] = rng.choice((b"(", b"[", b'"', b"\0", b"\xff", b"9", b"\x1b", b",", b"\n")) * length
        else:
            data[at : at + len(part)] = bytes(byte ^ (1 << rng.randrange(8)) for byte in part)
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.1 else data)


def any_value(content: bytes, rng: random.Random) -> bytes:
    """Put a value of another type or size somewhere into JSON."""
    if rng.random() < 0.05:
        return rng.choice((b"[", b'{"a":')) * rng.choice((60, 5000, 200_000))
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 3))):
        value = changed(value, rng)
    return json.dumps(value, allow_nan=True).encode()


def changed(value: Any, rng: random.Random) -> Any:
    if not value or not isinstance(value, dict | list) or rng.random() < 0.1:
        return rng.choice(STRANGE)
    copy = dict(value) if isinstance(value, dict) else list(value)
    keys = list(copy) if isinstance(copy, dict) else list(range(len(copy)))
    key: Any = rng.choice(keys)
    what = rng.randrange(8)
    if what == 0:
        del copy[key]
    elif what == 1 and isinstance(copy, list):
        copy *= rng.choice((2, 1000))
    elif what == 1:
        copy[str(rng.choice(STRANGE))] = copy[key]
    elif what == 2 and isinstance(copy, list):
        rng.shuffle(copy)
    else:
        copy[key] = changed(copy[key], rng)
    return copy


def any_array(content: bytes, rng: random.Random) -> bytes:
    """Write another header, or another array."""
    what = rng.randrange(4)
    if what == 0:
        end = content.index(b"\n") + 1
        header = rng.choice((
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000,), }", "(" * 200, "{" * 9000,
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "{'descr': '<f4', 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }", "{'descr': [('a', '<f4')]}",
            "{'descr': 'V1000000', 'fortran_order': False, 'shape': (99999,), }", "0" * 3000, "\x1b[2J",
            "{'descr': '<f4', 'fortran_order': 1, 'shape': [2], }", "__import__('os').system('true')",
        )).encode() + b"\n"  # fmt: skip
        return content[:8] + len(header).to_bytes(2, "little") + header + content[end:]
    if what == 1:
        return any_bytes(content, rng)
    kinds = ("f8", "f2", ">f4", "i8", "u1", "?", "c8", "S3", "U2", "M8[s]", [("a", "f4")])
    array = np.load(io.BytesIO(content))
    shape = rng.choice((array.shape, array.shape[::-1], (*array.shape, 1), (0,), (), (1, 0, 3), array.shape[1:]))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(shape, np.dtype(rng.choice(kinds))))
    return buffer.getvalue()


def any_part(content: bytes, rng: random.Random) -> bytes:
    """Damage a part of a zip, or how it is stored."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    at, what = rng.randrange(len(parts)), rng.randrange(12)
    name, part = parts[at]
    compression = zipfile.ZIP_STORED
    if what == 0:
        del parts[at]
    elif what == 1:
        parts.append((rng.choice((name, f"../{name}", "/etc/x", "a\x1b[2J", "x.npy", "x" * 5000)), part))
    elif what == 2:
        compression = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        parts[at] = (name, part + bytes(rng.choice((0, 10_000_000))))
    elif what == 3:
        parts[at] = (name, rng.choice(parts)[1])
    else:
        mutate = any_value if name.endswith(".json") else any_part if name.endswith(".npz") else any_array
        parts[at] = (name, mutate(part, rng))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, part in parts:
            archive.writestr(name, part)
    return buffer.getvalue()


def packed(content: bytes, rng: random.Random) -> bytes:
    """Damage what is within gzip."""
    return gzip.compress(any_bytes(gzip.decompress(content), rng), mtime=0)


# -- files and what is done with them ---------------------------------------------------------------------

ROWS = 12


def saved(model: nbdl.Sequential, method: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        getattr(model, method)(Path(folder) / "saved")
        return (Path(folder) / "saved").read_bytes()


def trained() -> nbdl.Sequential:
    """A small model with optimizer, metrics and encoding."""
    random_numbers = np.random.default_rng(0)
    x, y = random_numbers.normal(size=(ROWS, 3)).astype(np.float32), np.arange(ROWS) % 3
    model = net()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=1, batch_size=4, verbose=0)
    encoding = Encoding.fit(Arrays("arrays", x, y), task="classification", standardize=True)
    config = {**encoding.to_config(), "classes": ["red", "green", "blue"]}
    model.encoding = Encoding.from_config(config)
    return model


def net() -> nbdl.Sequential:
    layers = nbdl.layers
    return nbdl.Sequential(
        [layers.Dense(4, "relu", input_dim=3), layers.Dropout(0.1), layers.Dense(3, "softmax")], seed=0
    )


def use_model(path: Path) -> None:
    """Load, show, predict and save again."""
    model = nbdl.load_model(path)
    model.summary(print_fn=lambda line: None)
    model.save(path.with_name("again.nbdl"))
    shape = model.input_shape
    if shape is not None and model.layers and np.prod(shape) < 1000:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = model.predict(np.zeros((2, *shape), np.float32))
        if model.encoding is not None:
            with suppress(DataError):  # of another number of outputs, or not finite: predictions are no file
                model.encoding.decode(answers)


def use_data(path: Path) -> None:
    load(str(path), Reading())


def targets() -> dict[str, Target]:
    """Every kind of file that nbdl reads."""
    model = trained()
    receiver = net()
    one, several = io.BytesIO(), io.BytesIO()
    x = np.arange(ROWS * 3, dtype=np.float64).reshape(ROWS, 3)
    np.save(one, x)
    np.savez(several, x=x, y=np.arange(ROWS) % 3, x_test=x[:2], y_test=np.arange(2))
    images = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in (2, 3, 3)) + bytes(18)
    table = b'a,b,"c d",y\n1,2,x,0.5\n' * 1 + b"".join(b'%d,%d.5,"a, b",1e%d\n' % (i, i, i) for i in range(30))
    return {
        "model": Target(".nbdl", saved(model, "save"), (any_bytes, any_part, any_part, any_part), use_model),
        "weights": Target(".npz", saved(model, "save_weights"), (any_bytes, any_part), receiver.load_weights),
        "npz": Target(".npz", several.getvalue(), (any_bytes, any_part), use_data),
        "npy": Target(".npy", one.getvalue(), (any_bytes, any_array), use_data),
        "csv": Target(".csv", table, (any_bytes,), use_data),
        "idx": Target("-ubyte", images, (any_bytes,), use_data),
        "idx.gz": Target("-ubyte.gz", gzip.compress(images, mtime=0), (any_bytes, packed), use_data),
    }


# -- cases ------------------------------------------------------------------------------------------------


def case(target: Target, kind: str, seed: int, number: int, folder: Path) -> tuple[str, str]:
    """Return what became of one damaged file ("read", "refused" or "failed"), and why."""
    rng = random.Random(f"{kind} {seed} {number}")
    path = folder / f"{NAME}{target.suffix}"
    path.write_bytes(rng.choice(target.mutations)(target.content, rng))
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.use(path)
    except NbdlError as error:
        text = str(error)
        if NAME not in text and "cannot be saved" not in text:
            return "failed", f"does not name the file: {text[:200]}"
        if printable(text) != text or len(text) > 5000:
            return "failed", f"could steer a terminal or is too long: {text[:200]!r}"
        outcome = "refused", type(error).__name__
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return "failed", f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {str(error)[:120]!r}"
    else:
        outcome = "read", ""
    seconds = time.perf_counter() - began
    return ("failed", f"took {seconds:.1f} s") if seconds > SECONDS else outcome


def run(kinds: list[str], seed: int, first: int, cases: int) -> list[str]:
    """Return a line for each case that failed; print how the others ended."""
    failures = []
    known = targets()
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds or known:
            ends: Counter[str] = Counter()
            for number in range(first, first + cases):
                end, why = case(known[kind], kind, seed, number, Path(folder))
                ends[end] += 1
                if end == "failed":
                    failures.append(f"{kind} {seed} {number}: {why}")
            print(f"{kind:<8} {', '.join(f'{count} {end}' for end, count in sorted(ends.items()))}", flush=True)
    return failures


def megabytes() -> float:
    """Return the peak of resident memory, 0 where it is not known."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=200)
    options = parser.parse_args()
    targets()
    before = megabytes()
    failures = run(options.kinds, options.seed, options.first, options.cases)
    print(f"peak memory: {before:.0f} MB with valid files, {megabytes():.0f} MB after all")
    print("\n".join(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    os.environ.setdefault("NBDL_THREADS", "1")
    main()
