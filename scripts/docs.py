"""Write what follows from the registry: type stubs, reference pages with plots, and the README's table of units.

python scripts/docs.py              # write what is stale
python scripts/docs.py --check      # write nothing; name what is stale or undocumented, and exit with 1
"""

from __future__ import annotations

import argparse
from pathlib import Path

from documents.own import REFERENCE, ROOT, in_repository, own_commands, own_entries
from documents.stubs import stubs
from documents.vocabulary import with_vocabulary
from nbdl_reference.folder import left_over, remove, stale, write
from nbdl_reference.pages import GENERATED, gaps, pages

from nbdl.cli.app import app

README = "README.md"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    parser.add_argument("--folder", type=Path, default=ROOT, help="the repository, or a folder with its README.md")
    options = parser.parse_args()
    entries = [*own_commands(), *own_entries()]
    reference = pages("nbdl", entries, in_repository, contract=True, top=app)
    files = {f"nbdl/{name}": text for name, text in stubs().items()}
    files |= {f"{REFERENCE}/{name}": text for name, text in reference.items()}
    files[README] = with_vocabulary((options.folder / README).read_text("utf-8"), entries)
    changed = stale(options.folder, files)
    superfluous = left_over(options.folder / REFERENCE, reference, GENERATED)
    missing = gaps(entries)
    if not options.check:
        write(options.folder, {name: files[name] for name in changed})
        remove(options.folder / REFERENCE, superfluous)
    for name in changed:
        print(f"{name} is stale; run python scripts/docs.py" if options.check else f"wrote {name}")
    for name in superfluous:
        what = "is of something that is not there; run python scripts/docs.py" if options.check else "was removed"
        print(f"{REFERENCE}/{name} {what}")
    for line in missing:
        print(line)
    return int(options.check and bool(changed or superfluous or missing))


if __name__ == "__main__":
    raise SystemExit(main())
