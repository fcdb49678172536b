"""The report: what was found, as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.report import heading, line, micros, span

from gpu.sections import SECTIONS

Content = Mapping[str, Any]


def report(content: Content) -> str:
    """The whole report of a check, also of one that is not over."""
    return "\n".join([*_head(content), *_sections(content)]) + "\n"


def _head(content: Content) -> Iterator[str]:
    facts = content["facts"]
    yield "# nbdl on a GPU\n"
    yield f"- {facts['date']}, {facts['seconds']:.0f} s in all: `gpu_check.py {' '.join(facts['arguments'])}`".rstrip()
    if facts["simulated"]:
        yield "- **Numba's simulator, tiny sizes: nothing here was run on a GPU, and no time means anything**"
    if facts["peers_on"] == "cpu":
        yield "- **Step times on a CPU, tiny sizes: they only show that the peers compute the same**"
    if facts["pluggy_stands_in"]:
        yield "- pluggy is not installed: a minimal stand-in of it was used"
    yield ""
    yield from heading(["section", "result", "seconds"])
    for name, outcome in content["sections"].items():
        state = outcome["state"] if outcome["state"] == "passed" else f"**{outcome['state']}**"
        why = f": {_cell(outcome['why'])}" if outcome["why"] else ""
        yield line([SECTIONS[name].title, state + why, f"{outcome['seconds']:.0f}"])


def _sections(content: Content) -> Iterator[str]:
    for name, outcome in content["sections"].items():
        found = outcome["result"]
        lines = list(TABLES[name](found)) if found else []
        failures = (found or {}).get("failures", [])
        if not (lines or failures):
            continue
        yield f"\n## {SECTIONS[name].title}\n"
        yield from lines
        if failures:
            yield f"\nWhat failed ({len(failures)}):\n"
            yield from (f"- {_cell(text)}" for text in failures[:50])


def _cell(text: str) -> str:
    """A text on one line, without what would end a table's cell."""
    return " ".join(str(text).split()).replace("|", "\\|")[:500]


# -- versions, correctness -----------------------------------------------------------------------------------


def _versions(found: Content) -> Iterator[str]:
    card, packages = found.get("card", {}), found.get("packages", {})
    if card:
        yield "- " + ", ".join(f"{name} {value}" for name, value in card.items())
    yield f"- {found.get('system', '')}"
    yield "- " + ", ".join(f"{name} {version or 'missing'}" for name, version in packages.items())
    for name, value in found.get("libraries", {}).items():
        yield f"- {name}: {_cell(value)}"
    for how, said in found.get("compiles", {}).items():
        yield f"- a kernel by numba-cuda alone, {'with' if how == 'shim' else 'without'} the NumPy shim: {_cell(said)}"


def _units(found: Content) -> Iterator[str]:
    names = ("to CPU", "to float64", "CPU to float64")
    yield (
        "The largest difference relative to the largest element, over all programs of a unit; of a small net that was "
        "trained on both, how far apart the weights are, relative to how far they moved.\n"
    )
    yield from heading(["unit", "programs", "GPU to CPU", "GPU to float64", "CPU to float64", "net"])
    for unit, row in sorted(found.get("units", {}).items()):
        if row["programs"] or row["net"]:
            yield line([unit, str(row["programs"]), *(f"{row[name]:.1e}" for name in names), f"{row['net']:.1e}"])


def _training(found: Content) -> Iterator[str]:
    yield from _texts(found.get("cases", {}), "run")


def _sanitizer(found: Content) -> Iterator[str]:
    yield (
        "Over a small training run with whole graphs of steps, which without a tool gives the CPU's weights. memcheck "
        "and racecheck must finish. racecheck sees races in shared memory only: that two blocks do not write the same "
        "global memory is for the repeatability of bits to show.\n"
    )
    yield from _texts(found.get("tools", {}), "tool")


def _texts(rows: Mapping[str, str], what: str) -> Iterator[str]:
    if rows:
        yield line([what, "found"])
        yield "|---|---|"
        yield from (line([name, _cell(said)]) for name, said in rows.items())


def _repeatability(found: Content) -> Iterator[str]:
    yield from _texts({f"{net}, {how}": "same bits" if same else "**other bits**"
                       for net, how, same in found.get("runs", [])}, "two runs")  # fmt: skip
    if kernels := found.get("kernels"):
        yield "\n- kernels of a second process: " + ", ".join(f"{count} {how}" for how, count in kernels.items())


# -- times ---------------------------------------------------------------------------------------------------


def _launches(found: Content) -> Iterator[str]:
    yield from heading(["", "µs", "min–max"])
    for name, row in found.get("micros", {}).items():
        yield line([name, f"{row['median']:.3g}", f"{row['min']:.3g}–{row['max']:.3g}"])


def ratio(samples: list[float], base: list[float]) -> float:
    """How many times longer than another, as the median over the rounds."""
    return statistics.median(a / b for a, b in zip(samples, base, strict=False))


def _steps(found: Content) -> Iterator[str]:
    yield (
        "µs per step, medians of interleaved rounds. In the time are the gathering of shuffled batches, the order of "
        "each epoch and the reading of its loss; rows of their own have the data that go to the device as a `fit` "
        "begins, and the weights that come back after its epochs. float32 without TF32, unless it says so. Ratios are "
        "a row's time by that of nbdl's `fit` at the same precision, the median over the rounds.\n"
    )
    for work in found.get("works", {}).values():
        yield from _work(work, found)
    yield from _best(found)
    yield from _by_peer(found, "Peak device memory, MB", "memory", lambda size: f"{size / 1e6:,.0f}" if size else "")
    yield from _by_peer(found, "Error of a 512×512 product", "product_error", lambda error: f"{error:.1e}")
    for work, peer, why in found.get("left_out", []):
        yield f"- **left out**{f' of {work}' if work else ''}: {found['labels'].get(peer, peer)}, {_cell(why)}"


def _work(work: Content, found: Content) -> Iterator[str]:
    yield f"\n### {work['title']}\n"
    yield from heading(["", "µs per step", "min–max", "time / nbdl `fit`", "TFLOP/s"])
    for peer, samples in work["samples"].items():
        base = work["samples"].get(reference(peer, found), [])
        times = f"{ratio(samples, base):.2f}" if base and base is not samples else ""
        median = statistics.median(samples)
        flops = f"{work['flops'] / median / 1e12:.2f}"
        yield line([found["labels"][peer], micros(median), span(samples), times, flops])
        if any(moving := work["transfers"].get(peer, [])):
            yield line([f"{found['labels'][peer]}: transfers", micros(statistics.median(moving)), span(moving), "", ""])


def reference(peer: str, found: Content) -> str:
    """nbdl's `fit` at the precision of a peer."""
    return "nbdl-tf32" if peer in found["tf32"] else "nbdl"


def _best(found: Content) -> Iterator[str]:
    """nbdl beside the best peer of each work, and beside the two that targets are of."""
    works = {name: work for name, work in found.get("works", {}).items() if "nbdl" in work["samples"]}
    if not works:
        return
    yield "\n### nbdl beside its peers\n"
    yield from heading(["work", "best peer", "best peer / nbdl", "PyTorch eager / nbdl", "PyTorch graph / nbdl"])
    for name, work in works.items():
        samples, own = work["samples"], work["samples"]["nbdl"]
        peers = [peer for peer in samples if peer not in found["own"] and peer not in found["tf32"]]
        best = min(peers, key=lambda peer: statistics.median(samples[peer]), default="")
        cells = [f"{ratio(samples[peer], own):.2f}" if peer in samples else ""
                 for peer in (best, "torch", "torch-graph")]  # fmt: skip
        yield line([name, found["labels"].get(best, ""), *cells])


def _by_peer(found: Content, title: str, key: str, show: Callable[[Any], str]) -> Iterator[str]:
    """A column for each work, a line for each peer."""
    works = found.get("works", {})
    peers = [peer for peer in found.get("labels", {}) if any(work[key].get(peer) for work in works.values())]
    if not peers:
        return
    yield f"\n### {title}\n"
    yield from heading(["", *works])
    for peer in peers:
        cells = [show(work[key][peer]) if peer in work[key] else "" for work in works.values()]
        yield line([found["labels"][peer], *cells])
    yield ""


def _products(found: Content) -> Iterator[str]:
    yield f"cuBLAS: {found.get('cublas') or 'not found'}. The share is cuBLAS's time by that of the own kernel.\n"
    yield from heading(["product", "own µs", "min–max", "own TFLOP/s", "cuBLAS µs", "cuBLAS TFLOP/s", "share", "error"])
    for row in found.get("products", []):
        own, library = (statistics.median(row[name]) if row.get(name) else None for name in ("own", "cublas"))
        yield line([
            row["title"], micros(own) if own else "", span(row["own"]) if own else "",
            f"{row['flops'] / own / 1e12:.2f}" if own else "", micros(library) if library else "",
            f"{row['flops'] / library / 1e12:.2f}" if library else "",
            f"{library / own:.0%}" if own and library else "", f"{row['error']:.1e}" if "error" in row else "",
        ])  # fmt: skip
    yield from _advice(found.get("products", []))


def _advice(rows: list[Any]) -> Iterator[str]:
    """From which size on products are better off with cuBLAS."""
    medians = [(row["flops"] // 2, *(statistics.median(row[name]) for name in ("own", "cublas")))
               for row in rows if row.get("own") and row.get("cublas")]  # fmt: skip
    if not medians:
        return
    best = threshold(medians)
    wrong = sum((size >= best) != (library < own) for size, own, library in medians)
    where = "cuBLAS overtakes nowhere" if best == math.inf else f"cuBLAS overtakes from {best:,} multiplications on"
    where = "cuBLAS overtakes nowhere"
    if best != math.inf:
        where = f"cuBLAS overtakes from {best:,} multiplications on (2^{math.log2(best):.1f})"
    yield (
        f"\n- `Sizes.library`: {where}; {wrong} of {len(medians)} products are on the wrong side of that. What the own "
        "kernel does along with a product (bias, activation, gathering) is not counted in its favour here."
    )


def threshold(medians: list[tuple[int, float, float]]) -> float:
    """The multiplications from which on cuBLAS should be used: where the times' geometric mean is least.

    Args:
        medians: multiplications, own seconds, cuBLAS's seconds of each product.
    """

    def cost(least: float) -> float:
        return sum(math.log(library if size >= least else own) for size, own, library in medians)

    return min([math.inf, *(size for size, _, _ in medians)], key=cost)


TABLES: dict[str, Callable[[Content], Iterator[str]]] = {
    "versions": _versions,
    "units": _units,
    "training": _training,
    "repeatability": _repeatability,
    "sanitizer": _sanitizer,
    "launches": _launches,
    "steps": _steps,
    "products": _products,
}
