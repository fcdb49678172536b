"""Two runs give the same bits: in one process, in two, and whether steps run one by one or many in a graph."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpu import library, nets, sections
from gpu.context import Context
from nbdl import Callback
from nbdl.engine.cuda import compiler, open_runtime

Run = Callable[[bool], str]


def repeatability(context: Context) -> None:
    """Compare fingerprints; a further process, which is told by its shard, only takes its own."""
    number, processes = context.options.shard
    every = runs(context)
    prints = {title: run(False) for title, run in every.items()}
    context.keep(prints=prints)
    if processes > 1:
        if number:
            compiled_nothing(context)
        return
    for title, run in every.items():
        _same(context, title, "again", run(False), prints[title])
        _same(context, title, "steps one by one", run(True), prints[title])
    first, second = (_elsewhere(context, process) for process in range(2))
    for title in every:
        _same(context, title, "in two processes", first.get(title), second.get(title))


def runs(context: Context) -> dict[str, Run]:
    """Both nets, with their own products and with cuBLAS's; each gives a fingerprint."""
    runtime, sizes = open_runtime(0), nets.of_many_steps(nets.TINY if context.options.tiny else nets.FULL)
    found: dict[str, Run] = {}
    for by_library in (False, True):
        if by_library and not library.there(runtime):
            context.leave_unchecked("cuBLAS was not found")
            continue
        for net, make in (("lecture net", nets.lecture), ("dropout net", nets.dropout)):

            def run(single: bool, make: Any = make, by_library: bool = by_library) -> str:
                with library.products_by(runtime, by_library):
                    return fingerprint(make(sizes, context.device), sizes, by_library, single)

            found[f"{net}, {'cuBLAS' if by_library else 'own products'}"] = run
    return found


def compiled_nothing(context: Context) -> None:
    """A second process finds all its kernels in the cache of PTX; the simulator compiles none."""
    compiled, loaded = compiler.statistics.compiled, compiler.statistics.loaded
    context.keep(kernels={"compiled": compiled, "from the cache": loaded})
    if compiled or not (loaded or open_runtime(0).simulated):
        context.fail(f"a second process compiled {compiled} kernels, and loaded {loaded} from the cache")


def _same(context: Context, title: str, how: str, found: str | None, wanted: str | None) -> None:
    same = found is not None and found == wanted
    context.keep(runs=[*context.result.get("runs", []), [title, how, same]])
    if not same:
        context.fail(f"{title}, {how}: other bits" if found and wanted else f"{title}, {how}: no result")


class EachBatch(Callback):
    """Wanting to know of each batch makes slices of one step."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Nothing to do."""


def fingerprint(model: Any, sizes: nets.Sizes, by_library: bool, single: bool) -> str:
    """A digest of what two epochs leave: weights, the optimizer's slots, every figure.

    Args:
        by_library: whether products must have been cuBLAS's, else none may.
        single: run steps one by one; else whole graphs must have been run.
    """
    x, y = nets.data(sizes)
    seen = library.Seen()
    called = [EachBatch()] if single else [seen]
    history = model.fit(x, y, batch_size=sizes.batch, epochs=2, verbose=0, callbacks=called).history
    if not single:
        seen.check(by_library)
    digest = hashlib.sha256(model.store.data.tobytes())
    digest.update(model.training_state.slots.tobytes())
    digest.update(repr(sorted(history.items())).encode())
    return digest.hexdigest()[:16]


def _elsewhere(context: Context, process: int) -> dict[str, str]:
    """The fingerprints that another process takes; what is wrong there is wrong here."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prints.json"
        told = replace(context.options, result=str(file), seconds=context.left(), shard=(process, 2))
        child = sections.start("repeatability", told.to_json(), os.environ, sys.stderr, leader=False)
        code = sections.wait(child, context.left() - 2.0)
        found = sections.read(file) or {}
    for failure in found.get("failures", []):
        context.fail(f"process {process + 1}: {failure}")
    if code != 0:
        context.fail(f"process {process + 1} {'took too long' if code is None else f'ended with status {code}'}")
    if "kernels" in found:
        context.keep(kernels=found["kernels"])
    return dict(found.get("prints", {}))
