"""Write the table of planted defects and the checks of the conformance suite that catch them, by running them.

python scripts/planted.py --write            # scripts/planted.md
python scripts/planted.py --check            # write nothing; exit with 1 if the table is stale
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")  # before Numba is imported
sys.path.insert(0, str(ROOT / "tests"))

HEAD = """# Planted defects

Units with a defect each, and the checks of the conformance suite that catch them: ● the check that is there for it, ○
another one that notices, which may depend on what memory holds, or on chance. Rows in *italics* are units without a
defect, which pass everything. `tests/planted` holds them; `python scripts/planted.py --write` runs them all and writes
this page.
"""
MEANT, NOTICED = "●", "○"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write the table")
    what.add_argument("--check", action="store_true", help="write nothing; fail if the table is stale")
    parser.add_argument("--kind", help="with --check, only this kind: activations, losses, ...")
    parser.add_argument("--file", type=Path, default=ROOT / "scripts" / "planted.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from planted import DEFECTS

    kinds = list(dict.fromkeys(defect.entry.kind for defect in DEFECTS))
    if options.write:
        options.file.write_text("\n".join([HEAD, *map(table, kinds)]), "utf-8")
        return 0
    text = steady(options.file.read_text("utf-8"))
    stale = [kind for kind in kinds if options.kind in (None, kind) and steady(table(kind)) not in text]
    for kind in stale:
        print(f"{options.file.name}: {kind} are stale; run python scripts/planted.py --write", file=sys.stderr)
    return int(bool(stale))


def steady(text: str) -> str:
    """A table without what may differ from run to run: who else notices a defect."""
    return text.replace(NOTICED, "")


def table(kind: str) -> str:
    """One kind's defects × checks."""
    from planted import DEFECTS, HEALTHY, named

    from nbdl.testing import checks

    names = [check.name for check in checks() if kind in check.kinds]
    healthy = [(f"*{name}*", dict(caught(entry))) for name, entry in HEALTHY.items() if entry.kind == kind]
    defects = []
    for defect in (one for one in DEFECTS if one.entry.kind == kind):
        with defect.around():
            marks = dict(caught(defect.entry)) | {defect.check: ""}
        marks[defect.check] = MEANT if defect.caught_by(named(defect.entry, defect.check)) else "missed"
        defects.append((defect.name, marks))
    rows = [["defect", *names], ["---"] + [":-:"] * len(names)]
    rows += [[title, *(marks.get(name, "") for name in names)] for title, marks in defects + healthy]
    return "\n".join([f"## {kind}", "", *(f"| {' | '.join(row)} |" for row in rows), ""])


def caught(entry: object) -> Iterator[tuple[str, str]]:
    """The checks that a unit fails, with their marks."""
    from nbdl.testing import results

    return ((one.check.name, NOTICED) for one in results([entry]) if one.outcome == "failed")


if __name__ == "__main__":
    raise SystemExit(main())
