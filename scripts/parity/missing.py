"""What of Keras 3's `Model` and `Layer` nbdl lacks, and what it says instead.

    PYTHONPATH=scripts python -m parity.missing            # prints the table
    PYTHONPATH=scripts python -m parity.missing --write    # rewrites missing.md
    PYTHONPATH=scripts python -m parity.missing --check    # exits with 1 if it is another, or something has no reason

The names are Keras's own, read from a model and a layer of it. The reasons are those of the errors that users see.
Keras and JAX are needed: `pip install keras jax`.
"""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

TABLE = Path(__file__).parent / "missing.md"
HEAD = """# What of Keras 3's Model and Layer is missing

Written by `python -m parity.missing --write`, with Keras {version}. The reasons are those that nbdl's errors give.
"""

JAX_ONLY = {"train_step(state=)": "of Keras on JAX: a step takes (x, y), or (x, y, weights)"}


def pairs() -> list[tuple[str, Any, Any]]:
    """Return a model and a layer of each side."""
    import keras

    import nbdl

    found = []
    for package in (keras, nbdl):
        x = package.layers.Input(shape=(4,))
        dense = package.layers.Dense(3)
        model = package.Model(x, dense(x))
        model.compile("adam", "mse")
        found.append((model, dense))
    (model, layer), (own_model, own_layer) = found
    return [("Model", model, own_model), ("Layer", layer, own_layer)]


def attributes(theirs: Any, own: Any) -> dict[str, str]:
    """Return the public names that only Keras has, with the reason; "" where none is given."""
    found = {}
    for name in dir(theirs):
        if not name.startswith("_"):
            try:
                getattr(own, name)
            except AttributeError as error:
                found[name] = str(error).partition("; ")[2].removeprefix(f"{name} is ")
    return found


def arguments(theirs: Any, own: Any) -> dict[str, str]:
    """Return the arguments that only Keras's methods have, with the reason."""
    found = {}
    for name in dir(theirs):
        method, other = getattr(theirs, name, None), getattr(own, name, None)
        if name.startswith("_") or not inspect.ismethod(method) or not inspect.ismethod(other):
            continue
        known = inspect.signature(other).parameters
        for argument in inspect.signature(method).parameters:
            if argument not in (*known, "args", "kwargs"):
                try:
                    other(**{argument: object()})
                except Exception as error:
                    reason = str(error).partition(f"{argument}= is ")[2]
                    if f"unexpected keyword argument {argument!r}" in str(error) or reason:
                        title = f"{name}({argument}=)"
                        found[title] = JAX_ONLY.get(title, reason)
    return found


def table() -> tuple[str, list[str]]:
    """Return the page, and the names without a reason."""
    import keras

    lines, bare = [HEAD.format(version=keras.__version__)], []
    for title, theirs, own in pairs():
        lines += [f"## {title}", "", "| Keras | nbdl says |", "|---|---|"]
        by_reason: dict[str, list[str]] = {}
        for name, reason in {**attributes(theirs, own), **arguments(theirs, own)}.items():
            by_reason.setdefault(reason, []).append(name)
            bare += [] if reason else [f"{title}.{name}"]
        for reason, names in sorted(by_reason.items(), key=lambda item: item[1]):
            lines.append(f"| {', '.join(f'`{name}`' for name in names)} | {reason} |")
        lines.append("")
    return "\n".join(lines), bare


def main() -> int:
    """Print, write or check the table."""
    page, bare = table()
    if "--write" in sys.argv:
        TABLE.write_text(page, encoding="utf-8")
    elif "--check" not in sys.argv:
        print(page)
    for name in bare:
        print(f"{name} has no reason")
    return int(bool(bare) or ("--check" in sys.argv and TABLE.read_text(encoding="utf-8") != page))


if __name__ == "__main__":
    sys.exit(main())
