"""Compare every constructor, and the methods of a model, with Keras 3's: order by position, names and defaults.

python scripts/constructors.py             # the table of differences, from the signatures that were recorded
python scripts/constructors.py --check     # exit 1 where a difference has no reason
python scripts/constructors.py --record    # with Keras: record its signatures again
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "parity" / "constructors.json"
KINDS = (
    "layers", "activations", "losses", "metrics", "optimizers", "schedules", "initializers", "regularizers",
    "constraints", "callbacks",
)  # fmt: skip
METHODS = ("__init__", "compile", "fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")
REQUIRED = "(required)"

# Why an argument is another than Keras's: by kind (or "*"), constructor (or "*") and argument.
REASONS: dict[tuple[str, str, str], str] = {
    ("*", "*", "name"): "None stands for the unit's own name, which Keras writes as the default",
    ("layers", "Input", "shape"): "required: Keras also takes a tensor in its place",
    ("activations", "hard_sigmoid", "slope"): "Keras has no such argument; 0.2 is the formula of Keras 1 and 2",
    ("layers", "InputLayer", "*"): "another name of Input, whose order it has",
    ("metrics", "BinaryCrossentropy", "axis"): "-1, which is what it does",
    ("callbacks", "LearningRateScheduler", "schedule"): "a default lets it be made by name, with a constant rate",
    ("callbacks", "ModelCheckpoint", "period"): "the older spelling of save_freq, of Keras 1 and 2",
    ("methods", "compile", "optimizer"): "None stands for the optimizer that plugins mark as the default: RMSprop",
    ("methods", "fit", "epochs"): "None stands for 1, so that nb_epoch of Keras 1 can be told from it",
    ("methods", "fit", "threads"): "nbdl's own, after Keras's",
    ("methods", "fit", "nb_epoch"): "the spelling of Keras 1, after Keras's",
    ("methods", "evaluate", "threads"): "nbdl's own, after Keras's",
    ("methods", "predict", "verbose"): "0: predict shows nothing, whatever verbose is",
    ("methods", "predict", "threads"): "nbdl's own, after Keras's",
    ("methods", "train_on_batch", "reset_metrics"): "of Keras 2, after Keras's",
    ("methods", "test_on_batch", "reset_metrics"): "of Keras 2, after Keras's",
    ("methods", "__init__", "seed"): "nbdl's own, after Keras's",
}


@dataclass(frozen=True)
class Difference:
    """One argument that is not Keras's."""

    kind: str
    name: str
    argument: str
    what: str

    @property
    def reason(self) -> str:
        """Why, or an empty string."""
        kinds, names, arguments = (self.kind, "*"), (self.name, "*"), (self.argument, "*")
        found = (REASONS.get((kind, name, one)) for kind in kinds for name in names for one in arguments)
        return next((reason for reason in found if reason), "")


def arguments(function: Any, skipped: int = 0) -> list[list[Any]]:
    """Names and defaults of the arguments that are given by position."""
    parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
    placed = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD][skipped:]
    return [[one.name, REQUIRED if one.default is one.empty else plain(one.default)] for one in placed]


def plain(default: Any) -> Any:
    """A default as JSON holds it."""
    return default if default is None or isinstance(default, bool | int | float | str) else repr(default)


def record() -> dict[str, dict[str, list[list[Any]]]]:
    """Keras's signatures, by kind and name."""
    import keras

    found: dict[str, dict[str, list[list[Any]]]] = {}
    for kind in KINDS:
        module = keras.optimizers.schedules if kind == "schedules" else getattr(keras, kind)
        functions = kind == "activations"
        found[kind] = {
            name: arguments(unit, int(functions))
            for name, unit in sorted(vars(module).items())
            if (inspect.isfunction(unit) if functions else inspect.isclass(unit)) or name == "Input"
            if name not in ("get", "serialize", "deserialize", "Layer", "Loss", "Metric", "Optimizer", "Callback")
        }
    found["methods"] = {name: arguments(getattr(keras.Sequential, name)) for name in METHODS}
    return found


def ours(kind: str, name: str) -> Any:
    """nbdl's constructor or method of that name; None if there is none."""
    import nbdl

    if kind == "methods":
        return getattr(nbdl.Sequential, name)
    try:
        return getattr(importlib.import_module(f"nbdl.{kind}"), name)
    except AttributeError:
        return None


def differences(recorded: dict[str, dict[str, list[list[Any]]]]) -> Iterator[Difference]:
    """Every argument by position that has another name or default than Keras's."""
    for kind, constructors in recorded.items():
        for name, wanted in constructors.items():
            unit = ours(kind, name)
            if unit is None or not callable(unit):
                continue
            found = arguments(unit)
            for place, (argument, default) in enumerate(wanted):
                if place >= len(found) or found[place][0] != argument:
                    there = found[place][0] if place < len(found) else "nothing"
                    yield Difference(kind, name, argument, f"argument {place + 1} is {there}")
                    break
                if not equal(found[place][1], default):
                    yield Difference(kind, name, argument, f"default {found[place][1]!r}, in Keras {default!r}")
            else:
                for argument, _ in found[len(wanted) :]:
                    yield Difference(kind, name, argument, "by position, after Keras's")


def equal(one: Any, other: Any) -> bool:
    """Whether two defaults are the same: numbers by value, names of units whatever their case."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write Keras's signatures, which needs Keras")
    parser.add_argument("--check", action="store_true", help="fail where a difference has no reason")
    options = parser.parse_args()
    if options.record:
        lines = (
            f"  {json.dumps(kind)}: {{\n"
            + ",\n".join(f"    {json.dumps(name)}: {json.dumps(made)}" for name, made in constructors.items())
            + "\n  }"
            for kind, constructors in record().items()
        )
        RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    recorded = json.loads(RECORDED.read_text("utf-8"))
    found = list(differences(recorded))
    compared = sum(ours(kind, name) is not None for kind, names in recorded.items() for name in names)
    print(f"{compared} constructors and methods compared with Keras's\n")
    print("| kind | name | argument | difference | reason |\n|---|---|---|---|---|")
    for one in found:
        print(f"| {one.kind} | {one.name} | {one.argument} | {one.what} | {one.reason or '**none**'} |")
    return int(options.check and any(not one.reason for one in found))


if __name__ == "__main__":
    raise SystemExit(main())
