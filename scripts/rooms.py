"""Print the lines of `nbdl/` per room: all lines of `.py` files, and those of generated `.pyi` files apart.

python scripts/rooms.py                 # of this checkout
python scripts/rooms.py --at 908a611    # of a commit beside it
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOT_FILES, STUBS = "(root)", "(stubs, generated)"


def room_of(path: str) -> str:
    """Return the room of a file: `nbdl/cli/app.py` lies in `cli`."""
    parts = path.split("/")
    return STUBS if path.endswith(".pyi") else parts[1] if len(parts) > 2 else ROOT_FILES


def lines_per_room(files: Iterable[tuple[str, str]]) -> Counter[str]:
    """Add up the lines of texts, given with their paths."""
    counts: Counter[str] = Counter()
    for path, text in files:
        counts[room_of(path)] += len(text.splitlines())
    return counts


def here() -> list[tuple[str, str]]:
    """Return the files of this checkout."""
    paths = sorted(path for ending in ("py", "pyi") for path in (ROOT / "nbdl").rglob(f"*.{ending}"))
    return [(str(path.relative_to(ROOT).as_posix()), path.read_text()) for path in paths]


def at(commit: str) -> list[tuple[str, str]]:
    """Return the files of a commit."""
    listed = _git("ls-tree", "-r", "--name-only", commit, "nbdl").splitlines()
    return [(path, _git("show", f"{commit}:{path}")) for path in listed if path.endswith((".py", ".pyi"))]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Print a line per room, and the sum without stubs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--at", metavar="COMMIT", help="show this commit's lines too")
    options = parser.parse_args()
    columns = [("now", lines_per_room(here()))]
    if options.at:
        columns.insert(0, (options.at, lines_per_room(at(options.at))))
    rooms = sorted({room for _, counts in columns for room in counts} - {STUBS})
    print(f"{'room':20}", *(f"{name:>10}" for name, _ in columns))
    for room in (*rooms, STUBS):
        print(f"{room:20}", *(f"{counts[room]:10,}" for _, counts in columns))
    print(f"{'all but stubs':20}", *(f"{counts.total() - counts[STUBS]:10,}" for _, counts in columns))


if __name__ == "__main__":
    main()
