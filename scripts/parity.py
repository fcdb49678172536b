"""Parity: every unit of nbdl beside Keras 3 on its JAX backend, from the same weights, over the same batches.

    python scripts/parity.py                         # everything: some minutes on two cores
    python scripts/parity.py --only 'optimizers/*' 'Dense*'
    python scripts/parity.py --check                 # exit 1 if a case misses its goal and nothing explains it
    python scripts/parity.py --write --json all.json # rewrite scripts/parity/results.md

For each case both sides train 50 steps; what is compared: weights (the worst tensor's ‖Δw‖/‖w‖) after 1 and 50 steps,
the losses of the first and of all steps, predictions. Beside it stands the floor: Keras against itself with the rows of
each batch in another order, which float32's rounding alone tells apart. scripts/parity/README.md says more.

Keras and JAX are needed: `pip install keras jax`. A registered unit that no case covers is an error.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fnmatch
import importlib.util
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from parity.cases import Case
from parity.compare import Result
from parity.coverage import problems, runnable
from parity.families import cases
from parity.table import report

RESULTS = Path(__file__).with_name("parity") / "results.md"
NEEDED = ("keras", "jax")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="PATTERN", help="titles or units, such as 'Adam*' 'losses/*'")
    parser.add_argument("--list", action="store_true", help="the cases' titles and units, and nothing else")
    parser.add_argument("--check", action="store_true", help="exit 1 if a case or the coverage fails")
    parser.add_argument("--write", action="store_true", help=f"rewrite {RESULTS.name}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measures to a file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default one per core)")
    return parser


def chosen(patterns: Sequence[str] | None) -> list[Case]:
    """The cases whose title or one of whose units matches."""
    found = cases()
    if not patterns:
        return found
    return [
        case for case in found
        if any(fnmatch.fnmatchcase(text, one) or text == one for one in patterns for text in (case.title, *case.units))
    ]  # fmt: skip


def one(title: str) -> Result:
    """Run a case by its title: builders cannot be sent to another process, titles can."""
    from parity.run import run

    return run(next(case for case in cases() if case.title == title))


def results(titles: Sequence[str], jobs: int) -> Iterator[Result]:
    """The results, in the order of the titles."""
    if jobs == 1 or len(titles) == 1:
        yield from map(one, titles)
        return
    context = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        yield from pool.map(one, titles, chunksize=4)


def main() -> int:
    """Compare and report."""
    options = parser().parse_args()
    selected = chosen(options.only)
    if options.list:
        print("\n".join(f"{case.title}  [{', '.join(case.units)}]" for case in selected))
        return 0
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"parity compares with Keras on JAX; not installed: {', '.join(missing)}: pip install {' '.join(missing)}"
        )
        return 2
    os.environ["KERAS_BACKEND"] = "jax"
    lines = problems(cases())
    found: list[Result] = []
    titles = [case.title for case in selected if runnable(case)]
    for number, result in enumerate(results(titles, options.jobs), 1):
        found.append(result)
        print(f"{number}/{len(titles)} {result.title}: {result.verdict}", file=sys.stderr, flush=True)
    text = report(found, lines)
    print(text)
    if options.write:
        RESULTS.write_text(text)
    if options.json:
        options.json.write_text(json.dumps([result.to_json() for result in found], indent=1))
    failed = any(result.failed for result in found) or bool(lines)
    return 1 if options.check and failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
