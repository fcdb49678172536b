"""The README's table of units, between two marks."""

from __future__ import annotations

from collections.abc import Sequence

from nbdl.units.entry import Entry

START, END = "<!-- vocabulary: written by scripts/docs.py -->", "<!-- end of the vocabulary -->"
# The kinds in their order, and what is to be said of each beside its units' names.
KINDS = {
    "layers": "",
    "activations": "",
    "losses": "",
    "optimizers": "; all with weight decay, clipping, averaged weights, accumulated gradients",
    "schedules": ", or any function of the step",
    "initializers": "",
    "regularizers": "; of weights, and of any layer's outputs by `activity_regularizer=`",
    "constraints": "",
    "metrics": ", and every loss; over all rows of an epoch, never means of batches",
    "callbacks": "",
}


def with_vocabulary(readme: str, entries: Sequence[Entry]) -> str:
    """The README with the table of these units.

    Raises:
        SystemExit: the marks are not there.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise SystemExit(f"README.md: the lines {START!r} and {END!r}, around the table of units, are not there")
    return f"{before}{START}\n\n{table(entries)}\n\n{END}{after}"


def table(entries: Sequence[Entry]) -> str:
    """A row for each kind of unit that models are made of."""
    rows = ["| | |", "|---|---|"]
    for kind, note in KINDS.items():
        names = sorted((entry.name for entry in entries if entry.kind == kind), key=str.lower)
        shown = ", ".join(f"`{name}`" for name in names)
        rows.append(f"| [{kind}](scripts/docs/reference/{kind}.md) | {shown}{note} |")
    return "\n".join(rows)
