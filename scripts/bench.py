"""The referee: nbdl beside its peers on the same nets, data and batches, in one interleaved run.

    python scripts/bench.py                                   # everything that is installed: half an hour
    python scripts/bench.py --only train onerow --peers nbdl jax-scan
    python scripts/bench.py --busy 1 --threads 1 2 --json result.json --markdown result.md
    python scripts/bench.py --growth growth.svg
    python scripts/bench.py --scaling                         # what more cores would give, on paper
    python scripts/bench.py --shares                          # what each optimizer, loss, normalisation, metric costs
    python scripts/bench.py --plugins                         # the same units as nbdl's own and as a third party's
    python scripts/bench.py --denormals                       # what denormals cost, kept and as zero
    python scripts/bench.py --quick                           # whether all of it runs

How it measures:

- Every peer lives in a process of its own, so that thread pools do not mix; it is asked for one timed measurement at
  a time and waits on a pipe in between. Rounds go A B C A B C ..., every other round backwards. A worker that used
  the processor while it should have waited is reported.
- A repetition is the same work for everyone: so many epochs over the same float32 arrays in batches of the same
  size, in a new random order each epoch, with the mean loss as a Python float at its end. Each measurement repeats
  it until `--seconds` have passed. Compiling and first calls are not measured (see startup.py).
- nbdl is measured as it is used: `model.fit(..., verbose=0)`, with all that fit does around the steps. "nbdl engine"
  is the same without fit's loop.
- Peers run at the best setting found for each; their modules in benchmarks/peers say which. Losses after the same
  number of epochs are shown, so that everyone is seen to train. "Processor µs" is the time of all threads together.
- The roofline (benchmarks/roofline.py) is measured in the same rounds.
- OPENBLAS_CORETYPE is taken from the workers' environment, since a pinned one slows the peers, unless `--keep-blas`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks import denormals, machine, plugins, scaling, shares
from benchmarks.growth import GROWTH_PEERS, growth_works, plot
from benchmarks.peers import PEERS
from benchmarks.referee import Settings, run
from benchmarks.report import report
from benchmarks.works import GROUPS, QUICK, WORKS, Work, chosen


def say(text: str) -> None:
    """Progress goes to stderr, the report to stdout."""
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [*GROUPS, *WORKS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="WORK", help=f"of {', '.join(names)}")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="PEER", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (default 7)")
    parser.add_argument("--seconds", type=float, default=0.3, help="least length of a measurement (default 0.3)")
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[machine.cores()],
        help="threads and cores for everyone (default all); several are compared with one another",
    )  # fmt: skip
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="also beside N processes that burn a core")
    parser.add_argument("--keep-blas", action="store_true", help="leave OPENBLAS_CORETYPE to the workers")
    parser.add_argument("--torch-compile", action="store_true", help="torch.compile too; takes minutes")
    parser.add_argument("--growth", type=Path, metavar="PLOT", help="growth instead: an .svg or .png is drawn")
    parser.add_argument("--startup", action="store_true", help="run startup.py too")
    parser.add_argument("--scaling", action="store_true", help="what more cores would give, on paper, and nothing else")
    parser.add_argument("--shares", action="store_true", help="each unit's share of a step, and nothing else")
    parser.add_argument("--plugins", action="store_true", help="what a third party's units cost, and nothing else")
    parser.add_argument("--denormals", action="store_true", help="what denormal numbers cost, and nothing else")
    parser.add_argument(
        "--checkout", type=Path, metavar="FOLDER", help="with --denormals: another nbdl to compare with"
    )
    parser.add_argument("--quick", action="store_true", help="few works, one short round: only shows that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report to a file too")
    return parser


def works_and_peers(options: argparse.Namespace) -> tuple[dict[str, Work], list[str]]:
    """What the options ask for."""
    peers = [name for name, peer in PEERS.items() if not peer.only_if_asked or options.torch_compile]
    if options.growth:
        return growth_works(), options.peers or list(GROWTH_PEERS)
    return chosen(options.only or (QUICK if options.quick else ())), options.peers or peers


def startup(quick: bool) -> str:
    """The tables of startup.py, which is a program of its own."""
    script = Path(__file__).with_name("startup.py")
    done = subprocess.run([sys.executable, script, "--runs", "1" if quick else "5"], stdout=subprocess.PIPE, text=True)
    return f"\n### Start-up\n\n{done.stdout if done.returncode == 0 else 'startup.py failed'}"


def say_and_keep(text: str, path: Path | None) -> int:
    """Print a report, and write it to a file if one is given."""
    print(text)
    if path is not None:
        path.write_text(text + "\n")
    return 0


def main() -> int:
    """Measure and report."""
    options = parser().parse_args()
    if options.scaling:
        print("\n".join(scaling.report(seconds=0.1 if options.quick else 2.0)))
        return 0
    if options.shares:
        return say_and_keep("\n".join(shares.report(seconds=0.05 if options.quick else 0.5)), options.markdown)
    rounds, seconds = (1, 0.02) if options.quick else (options.rounds, options.seconds)
    if options.plugins:
        return say_and_keep("\n".join(plugins.report(seconds, rounds)), options.markdown)
    if options.denormals:
        return say_and_keep("\n".join(denormals.report(rounds, options.checkout)), options.markdown)
    settings = Settings(rounds, seconds, tuple(sorted(set(options.threads))), options.busy, options.keep_blas)
    works, peers = works_and_peers(options)
    outcome = run(works, peers, settings, say)
    if not (options.peers or options.torch_compile or options.growth):
        outcome.left_out.append(("", "torch-compile", "which takes minutes, is measured with --torch-compile only"))
    text = "\n".join(report(outcome))
    if options.growth:
        drawn = plot(outcome, options.growth)
        text += f"\n\n![growth]({options.growth.name})" if drawn else "\n\nNo plot: matplotlib is not installed."
    if options.startup:
        text += "\n" + startup(options.quick)
    if options.json:
        options.json.write_text(json.dumps(outcome.to_json(), indent=1))
    return say_and_keep(text, options.markdown)


if __name__ == "__main__":
    raise SystemExit(main())
