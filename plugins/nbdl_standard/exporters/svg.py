"""The exporter to SVG: a drawing of the layers and of what each is connected to."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.model import fingerprint, refuse_overwriting
from nbdl.storage import write_atomically

if TYPE_CHECKING:
    from nbdl import Model

WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 190, 46, 26, 34, 20  # of a box, the gaps between boxes, and the border
ASIDE = 40  # for lines that pass boxes
STYLE = (
    "text { font: 13px sans-serif; fill: #1b1f24; text-anchor: middle } "
    ".shape { font-size: 11px; fill: #57606a } "
    "rect { fill: #f6f8fa; stroke: #57606a } .end { fill: #ddf4ff } "
    "path { fill: none; stroke: #57606a; marker-end: url(#tip) }"
)


def drawn(model: Model, path: Path) -> None:
    """Write a drawing of a model: a box for each layer, from the inputs at the top to the outputs at the bottom.

    Args:
        model: a model whose input shape is known.
        path: the file. One that an export wrote is replaced, any other is not.

    Raises:
        ConfigError: the shape of the inputs is not known yet, or a file that is no export must not be replaced.
    """
    refuse_overwriting(path)
    write_atomically(path, picture(model).encode())


def picture(model: Model) -> str:
    """The drawing of a model, as text."""
    calls = ordered(model)
    levels: dict[int, list[Any]] = {}
    depth: dict[int, int] = {}
    for call in calls:
        depth[id(call)] = 1 + max((depth[id(one.call)] for one in call.inputs if id(one.call) in depth), default=-1)
        levels.setdefault(depth[id(call)], []).append(call)
    widest = max(map(len, levels.values()))
    width = 2 * MARGIN + widest * (WIDTH + ACROSS) - ACROSS + 2 * ASIDE
    height = 2 * MARGIN + len(levels) * (HEIGHT + DOWN) - DOWN
    places: dict[int, tuple[float, float]] = {}
    for level, several in levels.items():
        left = (width - len(several) * (WIDTH + ACROSS) + ACROSS) / 2
        for number, call in enumerate(several):
            places[id(call)] = left + number * (WIDTH + ACROSS), MARGIN + level * (HEIGHT + DOWN)
    ends = {id(symbol.call) for symbol in [*model.inputs, *model.outputs]}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<!-- {fingerprint(model)} -->",
        f"<title>{escape(model.name)}</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill: #57606a; stroke: none; marker-end: none"/></marker></defs>',
    ]
    for call in calls:
        lines += [arrow(places[id(one.call)], places[id(call)]) for one in call.inputs if id(one.call) in places]
    for call in calls:
        lines += box(call, *places[id(call)], id(call) in ends)
    return "\n".join([*lines, "</svg>", ""])


def ordered(model: Model) -> list[Any]:
    """The calls between inputs and outputs, each after those that it reads."""
    found = {id(symbol.call): symbol.call for symbol in model.inputs}
    named = {id(symbol) for symbol in model.inputs}
    wanted = list(model.outputs)
    while wanted:
        symbol = wanted.pop()
        if id(symbol) not in named and id(symbol.call) not in found:
            found[id(symbol.call)] = symbol.call
            wanted += symbol.call.inputs
    return sorted(found.values(), key=lambda call: call.number)


def box(call: Any, x: float, y: float, end: bool) -> list[str]:
    """A layer: its name and type, below it the shape of a row of its outputs."""
    name = getattr(call.layer, "name", "") or "input"
    kind = "" if call.layer is None else f": {type(call.layer).__name__}"
    shapes = ", ".join(" × ".join(map(str, symbol.row_shape)) for symbol in call.outputs)
    middle, style = x + WIDTH / 2, ' class="end"' if end else ""
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6"{style}/>',
        f'<text x="{middle:g}" y="{y + 19:g}">{escape(shortened(name + kind))}</text>',
        f'<text class="shape" x="{middle:g}" y="{y + 36:g}">{escape(shapes)}</text>',
    ]


def shortened(text: str, most: int = 27) -> str:
    """A text that fits into a box."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def arrow(above: tuple[float, float], below: tuple[float, float]) -> str:
    """A line from one box to another; past other boxes it goes on the outer side."""
    x0, y0, x1, y1 = above[0] + WIDTH / 2, above[1] + HEIGHT, below[0] + WIDTH / 2, below[1] - 2
    bend = max(DOWN / 2, (y1 - y0) / 2)
    aside = 0.0 if y1 - y0 < HEIGHT + DOWN else math.copysign(0.8 * WIDTH, x0 - x1)
    ends = (
        f"{x0 + aside:g} {y0 + bend / 2:g} {x1 + aside:g} {y1 - bend / 2:g}"
        if aside
        else (f"{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g}")
    )
    return f'<path d="M{x0:g} {y0:g}C{ends} {x1:g} {y1:g}"/>'


@hookimpl
def register_exporters(register: Any) -> None:
    """Register the exporter."""
    register("svg", drawn, suffixes=(".svg",))
