"""Everything about nbdl on a GPU that needs one, in one command of less than ten minutes.

    python scripts/gpu_check.py --out gpu_check               # writes gpu_check.json and gpu_check.md
    python scripts/gpu_check.py --only units training         # some sections
    python scripts/gpu_check.py --simulate                    # Numba's simulator, tiny sizes: whether all of it runs
    python scripts/gpu_check.py --peers-on cpu                # the step times' code on a CPU: whether peers agree

It runs from a checkout, nbdl need not be installed; nothing is fetched. Needed are NumPy, numba, numba-cuda and
cuda-core; step times are taken beside PyTorch and JAX as far as these are installed. Each section runs in a process of
its own with a limit of time, so that a crash or a hang loses only that one, and results are written after each. The
exit status is 1 if a section about correctness failed or could not be run to its end.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu import checkout
from gpu.context import Options
from gpu.report import report
from gpu.sections import LEAST_SECONDS, SECTIONS, Outcome, run


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--out", type=Path, default=Path("gpu_check"), help="of the .json and .md (default gpu_check)")
    parser.add_argument(
        "--minutes", type=float, help="for all sections together (default 9.5; with --simulate 60, for that is slow)"
    )
    parser.add_argument("--simulate", action="store_true", help="Numba's simulator rather than a GPU, tiny sizes")
    parser.add_argument("--peers-on", choices=["cuda", "cpu"], default="cuda", help="cpu: only `steps`, tiny sizes")
    return parser


def chosen(options: argparse.Namespace) -> list[str]:
    """The sections to run, the most important first."""
    names = [name for name in SECTIONS if not options.only or name in options.only]
    if options.peers_on == "cpu":
        return [name for name in names if name == "steps"]
    return [name for name in names if SECTIONS[name].simulated or not options.simulate]


def problem() -> str:
    """Why there is nothing to test, or ""; asked in this process, since it compiles nothing."""
    from nbdl.engine.cuda.availability import problem

    return str(problem())


class Check:
    """A run of the script: sections one after another, each with what the limit of time leaves to it."""

    def __init__(self, names: list[str], options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self.names, self.options, self.environment = names, options, environment
        self.began = time.monotonic()
        self.outcomes: dict[str, Outcome] = {}
        self.facts: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "arguments": sys.argv[1:],
            "python": platform.python_version(),
            "pluggy_stands_in": checkout.stands_in(),
            "simulated": options.simulate,
            "peers_on": options.peers_on,
        }

    def left(self) -> float:
        """Seconds until all must be over."""
        return float(self.options.minutes) * 60.0 - (time.monotonic() - self.began)

    def run(self) -> None:
        """All sections; what is known is written after each."""
        missing = "" if self.options.peers_on == "cpu" else problem()
        for name in self.names:
            outcome = self.outcomes[name] = self._section(name, missing)
            if missing and outcome.why == missing:
                missing = "for the same reason"
            print(f"{name}: {outcome.state} in {outcome.seconds:.0f} s. {outcome.why}".strip(), file=sys.stderr)
            self.write()

    def _section(self, name: str, missing: str) -> Outcome:
        section, seconds = SECTIONS[name], self.left()
        if not self.options.simulate:
            seconds = min(section.seconds, seconds - self.kept_for_later(name))
        if missing and not section.alone:
            return Outcome("not run", 0.0, missing)
        if seconds < LEAST_SECONDS:
            return Outcome("not run", 0.0, f"the {self.options.minutes:g} minutes were over")
        told = Options("", seconds, self.options.simulate, self.options.peers_on)
        return run(name, told, self.environment, seconds)

    def kept_for_later(self, name: str) -> float:
        """Seconds that a section must leave to those after it; less where there are few minutes for all."""
        shares = [SECTIONS[one].share for one in self.names]
        scale = min(1.0, 60.0 * float(self.options.minutes) / sum(shares))
        return scale * sum(shares[self.names.index(name) + 1 :], 0.0)

    @property
    def status(self) -> int:
        """1 if a section about correctness did not pass."""
        return int(any(SECTIONS[name].correctness and one.state != "passed" for name, one in self.outcomes.items()))

    def content(self) -> dict[str, Any]:
        """All that is known, as plain data."""
        sections = {name: dataclasses.asdict(outcome) for name, outcome in self.outcomes.items()}
        return {"facts": {**self.facts, "seconds": time.monotonic() - self.began}, "sections": sections}

    def write(self) -> None:
        """The JSON and the Markdown, whole or not at all."""
        from nbdl.storage.atomic import write_atomically

        content = self.content()
        self.options.out.parent.mkdir(parents=True, exist_ok=True)
        for suffix, text in ((".json", json.dumps(content, indent=1)), (".md", report(content))):
            write_atomically(self.options.out.with_name(self.options.out.name + suffix), text.encode())


def main() -> int:
    """Check and report."""
    options = parser().parse_args()
    options.minutes = options.minutes or (60.0 if options.simulate else 9.5)
    with tempfile.TemporaryDirectory() as folder:
        checkout.use(Path(folder))
        os.environ.update(checkout.environment(Path(folder), os.environ, options.simulate))
        check = Check(chosen(options), options, os.environ)
        check.run()
        print(report(check.content()))
    return check.status


if __name__ == "__main__":
    raise SystemExit(main())
