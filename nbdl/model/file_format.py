"""What a model's file consists of: a zip with JSON for settings and npz for numbers. Loading runs no code.

    nbdl.json        format number, versions, plugins needed
    config.json      layers, seed, names of columns
    training.json    optimizer, loss, metrics, steps and epochs done (if compiled)
    encoding.json    how data became inputs, class names (if the model has any)
    weights.npz      by name, "dense_1/kernel"
    optimizer.npz    the optimizer's slots, by slot and weight (if trained)

A file is written beside its place, flushed, then renamed: it is there whole or not at all.
"""

from __future__ import annotations

import json
from typing import Any

from nbdl.data.encoding import ENCODING
from nbdl.errors import ConfigError
from nbdl.model.requirements import NEED
from nbdl.storage import schema
from nbdl.storage.archive import MOST_JSON

FORMAT = 1
MOST_NESTED = 20
HEAD_PART = "nbdl.json"
ANY_HEAD = schema.record({"format": schema.whole(1, 1 << 31)})  # of a later version as well
SIZES = schema.items(schema.whole(1), 100)
_PLACE = schema.items(schema.whole(), 2)
_CALL = schema.record(
    {},
    {
        "layer": schema.maybe(schema.whole()),
        "inputs": schema.items(_PLACE, 1000),
        "shapes": schema.items(SIZES, 1000),
    },
)


def _entry(value: Any, location: str) -> str | None:
    """A layer, or a model that serves as one."""
    if isinstance(value, dict) and ("model" in value or "same" in value):
        return (_MODEL_ENTRY if "model" in value else _SAME)(value, location)
    return schema.unit(value, location)


def _nested(value: Any, location: str) -> str | None:
    """The configuration of a model within another."""
    if location.count(".model") > MOST_NESTED:
        return f"{location}: expected up to {MOST_NESTED} models within one another, got more"
    return CONFIG(value, location)


_SAME = schema.record({"same": schema.whole()}, {})
_MODEL_ENTRY = schema.record({"name": schema.name, "model": _nested}, {})
CONFIG = schema.record(
    {"layers": schema.items(_entry)},
    {
        "calls": schema.items(_CALL),
        "inputs": schema.items(_PLACE, 1000),
        "outputs": schema.items(_PLACE, 1000),
        "losses": schema.items(_PLACE, 1000),
        "name": schema.name,
        "seed": schema.maybe(schema.whole(0, (1 << 64) - 1)),
        "order": schema.items(schema.whole()),
        "input_shape": schema.maybe(SIZES),
        "feature_names": schema.maybe(schema.items(schema.text)),
        "target_names": schema.maybe(schema.items(schema.text)),
    },
)
_METRIC = schema.record({"as": schema.name, "name": schema.name}, {"config": schema.plain, "weighted": schema.flag})
_LOSS = schema.record({"as": schema.name, "loss": schema.unit}, {"weighted": schema.flag})


def _metric(value: Any, location: str) -> str | None:
    """A metric, or a loss that is reported as one."""
    return (_LOSS if isinstance(value, dict) and "loss" in value else _METRIC)(value, location)


_GOAL = schema.record(
    {
        "loss": schema.unit,
        "metrics": schema.items(_metric),
        "output": schema.whole(),
        "name": schema.name,
        "weight": schema.number,
    }
)

SCHEMAS = {
    HEAD_PART: schema.record(
        {"format": schema.whole(1, FORMAT)},
        {"versions": schema.entries(schema.text), "plugins": schema.items(NEED)},
    ),
    "config.json": CONFIG,
    "training.json": schema.record(
        {"optimizer": schema.unit, "loss": schema.unit, "metrics": schema.items(_metric)},
        {
            "iterations": schema.whole(),
            "epochs": schema.whole(),
            "slots": schema.items(schema.name, 100),
            "weight": schema.number,
            "outputs": schema.items(_GOAL, 1000),
            "learning_rate": schema.maybe(schema.either("a number or a schedule", schema.number, schema.unit)),
        },
    ),
    "encoding.json": ENCODING,
}
# A fixed time in the zip: the same model gives the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def json_part(part: str, value: Any) -> bytes:
    """A part as JSON, if it is what loading will take."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    problem = SCHEMAS[part](json.loads(text), "") or (f"{len(text):,} characters" if len(text) > MOST_JSON // 4 else "")
    if problem:
        raise ConfigError(f"the model cannot be saved: {part.removesuffix('.json')}: {problem}")
    return text.encode()
