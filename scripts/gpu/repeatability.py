"""Two runs give the same bits: in one process, in two, and whether steps run one by one or many in a graph."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu import nets, sections
from gpu.context import Context


def repeatability(context: Context) -> None:
    """Compare fingerprints; a second process, which is told by its shard, only takes its own."""
    sizes = nets.TINY if context.options.tiny else nets.FULL
    found = {title: fingerprint(make(sizes, context.device), sizes) for title, make in _nets()}
    context.keep(prints=found)
    if context.options.shard[1] > 1:
        return
    for title, make in _nets():
        _same(context, title, "again", fingerprint(make(sizes, context.device), sizes), found[title])
        single = fingerprint(make(sizes, context.device), sizes, one_by_one=True)
        _same(context, title, "steps one by one", single, found[title])
    for cublas in ("1", "0"):
        first, second = _elsewhere(context, cublas), _elsewhere(context, cublas)
        how = "in two processes" + ("" if cublas == "1" else ", without cuBLAS")
        for title, _ in _nets():
            _same(context, title, how, first.get(title), second.get(title))


def _nets() -> list[tuple[str, Any]]:
    return [("lecture net", nets.lecture), ("dropout net", nets.dropout)]


def _same(context: Context, title: str, how: str, found: str | None, wanted: str | None) -> None:
    same = found is not None and found == wanted
    context.keep(runs=[*context.result.get("runs", []), [title, how, same]])
    if not same:
        context.fail(f"{title}, {how}: other bits" if found and wanted else f"{title}, {how}: no result")


def fingerprint(model: Any, sizes: nets.Sizes, one_by_one: bool = False) -> str:
    """A digest of what two epochs leave: weights, the optimizer's slots, every figure."""
    from nbdl import Callback

    class EachBatch(Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            """Wanting to know of each batch makes slices of one step."""

    x, y = nets.data(sizes)
    called = [EachBatch()] if one_by_one else []
    history = model.fit(x, y, batch_size=sizes.batch, epochs=2, verbose=0, callbacks=called).history
    digest = hashlib.sha256(model.store.data.tobytes())
    digest.update(model.training_state.slots.tobytes())
    digest.update(repr(sorted(history.items())).encode())
    return digest.hexdigest()[:16]


def _elsewhere(context: Context, cublas: str) -> dict[str, str]:
    """The fingerprints that another process takes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prints.json"
        told = replace(context.options, result=str(file), seconds=context.left(), shard=(0, 2))
        environment = {**os.environ, "NBDL_CUBLAS": cublas}
        child = sections.start("repeatability", told.to_json(), environment, sys.stderr, leader=False)
        sections.wait(child, context.left() - 2.0)
        return dict((sections.read(file) or {}).get("prints", {}))
