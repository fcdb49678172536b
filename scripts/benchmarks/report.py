"""The report: Markdown tables of an outcome, and what has to be said with them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.peers import PEERS, REFERENCE
from benchmarks.referee import Outcome, Result
from benchmarks.works import Training

WIDE = 0.3  # (max - min)/median from which a measurement is called noisy


def report(outcome: Outcome) -> Iterator[str]:
    """All tables that there is something to show in."""
    tables = Tables(outcome)
    yield from header(outcome.facts)
    yield from tables.left_out()
    yield from tables.works()
    yield from tables.roofline()
    yield from tables.busy()
    yield from tables.cores()
    yield from tables.slower()
    yield from tables.noisy()


# -- numbers -------------------------------------------------------------------------------------------------


def micros(seconds: float) -> str:
    """Microseconds with three digits, and none behind the point from 100 on."""
    micro = seconds * 1e6
    return f"{micro:,.0f}".replace(",", " ") if micro >= 99.95 else f"{micro:.3g}"


def counted(count: int, thing: str) -> str:
    """A number of things, in the singular or plural."""
    return f"{count} {thing}{'s' * (count != 1)}"


def span(samples: Sequence[float]) -> str:
    """min–max in microseconds."""
    return f"{micros(min(samples))}–{micros(max(samples))}"


def ratio(row: Result, base: Result) -> float:
    """How many times longer than another, as the median over the rounds."""
    return statistics.median(a / b for a, b in zip(row.samples, base.samples, strict=False))


def line(cells: Sequence[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(cells) + " |"


def heading(cells: Sequence[str]) -> Iterator[str]:
    """The first two lines of a table; all columns but the first are numbers."""
    yield line(cells)
    yield "|---|" + "---:|" * (len(cells) - 1)


# -- the machine ---------------------------------------------------------------------------------------------


def header(known: Mapping[str, Any]) -> Iterator[str]:
    """The facts as a Markdown list."""
    threads = " and ".join(map(str, known["threads"]))
    yield f"- {known['processor']}, {known['cores']} cores, threads of each: {threads}; {known['system']}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in known["versions"].items())
    before, after = known["load"]
    yield (
        f"- {known['rounds']} interleaved rounds of {known['seconds']:g} s each, {known['wall']:.0f} s in all; load "
        f"average before and after: {before:.2f}, {after:.2f}"
    )
    yield from _noise(known)
    waiting = [f"{name} {seconds:.2f} s" for name, seconds in known["waiting"].items() if seconds >= 0.05]
    yield f"- processor time used while waiting: {', '.join(waiting) or 'none'}"
    yield _core_type(known)
    kinds: dict[str, list[str]] = {}
    for peer, libraries in known["blas"].items():
        kinds.setdefault("; ".join(libraries) or "none that is known", []).append(peer)
    for libraries, peers in kinds.items():
        yield f"- BLAS in {', '.join(peers)}: {libraries}"


def _noise(known: Mapping[str, Any]) -> Iterator[str]:
    share = (known["others"] + known["stolen"]) / (known["wall"] * known["cores"])
    yield (
        f"- used by other processes meanwhile: {known['others']:.1f} s of processors, taken by the hypervisor "
        f"{known['stolen']:.1f} s: {share:.1%} of the machine"
    )
    if share > 0.02:
        yield "- **the machine was not quiet**: others ran beside this, which hurts whoever needs all cores at once"


def _core_type(known: Mapping[str, Any]) -> str:
    outside, chosen = known["coretype_outside"], [f"{name}={value}" for name, value in known["openblas"].items()]
    if not outside:
        chosen.append("OPENBLAS_CORETYPE is not set: native kernels")
    elif known["keep_blas"]:
        chosen.append("OPENBLAS_CORETYPE was left as it is, which slows NumPy and scikit-learn alone")
    else:
        chosen.append(f"OPENBLAS_CORETYPE={outside} was removed for this run: native kernels for everyone")
    return "- " + "; ".join(chosen)


# -- the tables ----------------------------------------------------------------------------------------------


class Tables:
    """Tables of one outcome; those of works and ratios are of the quiet machine and the most threads."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        most = max((result.threads for result in outcome.results), default=0)
        self.results: dict[str, dict[str, Result]] = {}
        for result in outcome.results:
            if result.threads == most and not result.busy:
                self.results.setdefault(result.work, {})[result.peer] = result

    def left_out(self) -> Iterator[str]:
        """Who did not take part, where and why."""
        why: dict[tuple[str, str], list[str]] = {}
        for work, peer, reason in self.outcome.left_out:
            why.setdefault((peer, reason), []).append(work)
        for (peer, reason), works in why.items():
            where = "" if works == [""] else f" of {', '.join(works)}"
            yield f"- **left out{where}**: {peer}, {reason}"

    def works(self) -> Iterator[str]:
        """A table for each work, or for each family of works."""
        families: dict[str, list[str]] = {}
        for name in self.results:
            work = self.outcome.works[name]
            families.setdefault(work.family or work.title, []).append(name)
        for title, names in families.items():
            yield f"\n### {title}\n"
            yield from self._family(names) if self.outcome.works[names[0]].family else self._one(names[0])

    def _one(self, name: str) -> Iterator[str]:
        """A line for each peer."""
        work, rows = self.outcome.works[name], self.results[name]
        base, trains = rows.get(REFERENCE), isinstance(work, Training)
        columns = ["", f"µs per {work.unit}", "min–max", "processor µs", "peer / nbdl"]
        yield from heading(columns + ["first loss"] * trains)
        for row in rows.values():
            if PEERS[row.peer].kind == "floor":
                continue
            times = "" if base is None or row is base else f"{ratio(row, base):.2f}"
            loss = "" if math.isnan(row.loss) else f"{row.loss:.4f}"
            cells = [self._title(row), micros(row.median), span(row.samples)]
            yield line([*cells, micros(statistics.median(row.cpu)), times, *([loss] * trains)])

    def _family(self, names: list[str]) -> Iterator[str]:
        """A line for each work, a column for each peer; in brackets the ratio to nbdl."""
        peers = [
            peer for peer in PEERS
            if PEERS[peer].kind != "floor" and any(peer in self.results[name] for name in names)
        ]  # fmt: skip
        first = self.outcome.works[names[0]]
        columns = [PEERS[peer].title(first) for peer in peers]
        yield from heading([f"µs per {first.unit}", *columns, "nbdl: min–max", "nbdl: processor µs"])
        for name in names:
            rows, cells = self.results[name], [self.outcome.works[name].title]
            base = rows.get(REFERENCE)
            for peer in peers:
                row = rows.get(peer)
                times = "" if row is None or base is None or row is base else f" ({ratio(row, base):.2f})"
                cells.append("" if row is None else f"{micros(row.median)}{times}")
            cells += [span(base.samples), micros(statistics.median(base.cpu))] if base else ["", ""]
            yield line(cells)

    def roofline(self) -> Iterator[str]:
        """Products and bytes alone, and which share of their sum nbdl reaches."""
        rows = list(self._roofline_rows())
        if not rows:
            return
        yield "\n### Roofline\n"
        yield (
            "µs. The same matrix products alone in BLAS (the faster of NumPy's and SciPy's) and the bytes of all other "
            "operations alone in a copy. One operation needs the one before it, so the roofline is their sum; kernels "
            "that beat BLAS can exceed it, so there is a share of the sum with the fastest products known too.\n"
        )
        yield from heading(
            ["", "unit", "products, BLAS", "products, nbdl's kernels", "bytes", "nbdl", "**share of BLAS + bytes**",
             "share of fastest + bytes", "share of BLAS alone", "nbdl GFLOP/s"]
        )  # fmt: skip
        yield from rows

    def _roofline_rows(self) -> Iterator[str]:
        for name, rows in self.results.items():
            work, base, moved = self.outcome.works[name], rows.get(REFERENCE), rows.get("bytes")
            products = [rows[peer].median for peer in ("products", "products-scipy") if peer in rows]
            if not isinstance(work, Training) or base is None or moved is None or not products:
                continue
            in_blas, own = min(products), rows.get("products-nbdl")
            fastest = min(in_blas, own.median) if own else in_blas
            flops = work.flops * (work.steps if work.unit == "epoch" else 1)
            shares = [(floor / base.median) for floor in (in_blas + moved.median, fastest + moved.median, in_blas)]
            yield line([
                name, work.unit, micros(in_blas), micros(own.median) if own else "", micros(moved.median),
                micros(base.median), f"**{shares[0]:.0%}**", f"{shares[1]:.0%}", f"{shares[2]:.0%}",
                f"{flops / base.median / 1e9:.0f}",
            ])  # fmt: skip

    def busy(self) -> Iterator[str]:
        """Quiet and busy, side by side."""
        pairs = list(self._pairs(lambda result: (result.threads, result.busy), lambda key: (key[0], True)))
        if not pairs:
            return
        yield f"\n### Beside other processes that burn a core each: {self.outcome.facts['busy']}\n"
        yield from heading(["", "threads", "quiet µs", "busy µs", "min–max", "factor", "processor µs, busy"])
        for quiet, busy in pairs:
            cpu = micros(statistics.median(busy.cpu))
            cells = [self._label(quiet), str(quiet.threads), micros(quiet.median), micros(busy.median)]
            yield line([*cells, span(busy.samples), f"{ratio(busy, quiet):.2f}", cpu])

    def cores(self) -> Iterator[str]:
        """The fewest threads and the most, side by side."""
        threads = sorted({result.threads for result in self.outcome.results})
        if len(threads) < 2:
            return
        yield "\n### Cores\n"
        yield from heading(
            ["", *(f"µs, {counted(count, 'thread')}" for count in threads), f"{threads[0]} / {threads[-1]}"]
        )
        quiet: dict[tuple[str, str], dict[int, Result]] = {}
        for result in self.outcome.results:
            if not result.busy:
                quiet.setdefault((result.work, result.peer), {})[result.threads] = result
        for by_threads in quiet.values():
            if len(by_threads) == len(threads):
                rows = [by_threads[count] for count in threads]
                cells = [micros(row.median) for row in rows]
                yield line([self._label(rows[0]), *cells, f"{ratio(rows[0], rows[-1]):.2f}"])

    def _pairs(self, key: Any, other: Any) -> Iterator[tuple[Result, Result]]:
        found = {(result.work, result.peer, key(result)): result for result in self.outcome.results}
        for (work, peer, state), result in found.items():
            partner = found.get((work, peer, other(state)))
            if partner is not None and partner is not result:
                yield result, partner

    def _label(self, result: Result) -> str:
        return f"{result.work}: {self._title(result)}"

    def _title(self, result: Result) -> str:
        """The peer, and the threads that were best for it where these are not all."""
        title = PEERS[result.peer].title(self.outcome.works[result.work])
        return title if result.best_threads == result.threads else f"{title}, {counted(result.best_threads, 'thread')}"

    def slower(self) -> Iterator[str]:
        """Every work and every way of nbdl's in which a peer is faster."""
        if not any(REFERENCE in rows for rows in self.results.values()):
            return
        yield "\n### Where nbdl is slower\n"
        lines = list(self._slower())
        yield from lines or ["Nowhere in this run."]

    def _slower(self) -> Iterator[str]:
        for rows in self.results.values():
            peers = [row for row in rows.values() if PEERS[row.peer].kind == "peer"]
            for own in (row for row in rows.values() if PEERS[row.peer].kind == "nbdl"):
                faster = [(ratio(peer, own), peer) for peer in peers if ratio(peer, own) < 1.0]
                if faster:
                    listed = ", ".join(
                        f"{self._title(peer)} {micros(peer.median)} ({times:.2f})"
                        for times, peer in sorted(faster, key=lambda pair: pair[0])
                    )
                    yield f"- {self._label(own)} {micros(own.median)} µs; {listed}"

    def noisy(self) -> Iterator[str]:
        """What varied widely from round to round."""
        rows = [row for row in self.outcome.results if len(row.samples) > 1 and row.spread > WIDE and not row.busy]
        if rows:
            yield f"\n### What varied by more than {WIDE:.0%} between rounds\n"
            for row in rows:
                where = f"{self._label(row)}, {counted(row.threads, 'thread')}"
                yield f"- {where}: {span(row.samples)} µs, median {micros(row.median)}"
