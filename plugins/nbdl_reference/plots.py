"""Plots of scalar functions as small SVG files, the same bytes on every machine.

Coordinates are whole tenths of a pixel, so differences in the last bits of a machine's `math` do not show. A jump is a
gap, found by bisection, not a line that the function does not have. Colours can be read on white and on black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from operator import le

from nbdl_reference.curves import Curve, Function, Plot

# In tenths of a pixel.
WIDTH, HEIGHT = 4000, 2400
LEFT, RIGHT, TOP, BOTTOM = 500, 3880, 320, 2020
FLAT = 1.5  # a point so near to the line between its neighbours is left out

INTERVALS = 400  # of the axis, in which a function is sampled
HALVINGS = 45
JUMP = 0.01  # a smaller one, as a share of the height, is not looked for
DOTS = 80  # of a schedule, at most
GREY, COLOURS = "#808080", ("#3b82d6", "#d9730d")

Point = tuple[float, float]
Pixel = tuple[int, int]


def svg(plot: Plot) -> str:
    """The plot as the text of an SVG file."""
    samples = {curve: sampled(curve.function, plot) for curve in plot.curves}
    bottom, top = limits(plot, samples)

    def pixel(x: float, y: float) -> Pixel:
        right, up = (x - plot.low) / (plot.high - plot.low), (y - bottom) / (top - bottom)
        return rounded(LEFT + right * (RIGHT - LEFT)), rounded(BOTTOM - up * (BOTTOM - TOP))

    drawn = []
    for curve, points in samples.items():
        runs = [points] if plot.steps else pieces(curve.function, points, bottom, top)
        drawn.append(path(curve, [[pixel(*point) for point in run] for run in runs], plot.steps))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH // 10}" '
            f'height="{HEIGHT // 10}" font-family="sans-serif" font-size="115" fill="{GREY}">',
            f"<title>{escape(plot.title)}</title>",
            *axes(plot, bottom, top, pixel),
            '<g fill="none" stroke-width="20" stroke-linecap="round" stroke-linejoin="round">',
            *drawn,
            "</g>",
            *legend(plot),
            "</svg>",
            "",
        ]
    )


# -- values -------------------------------------------------------------------------------------------------


def sampled(function: Function, plot: Plot) -> list[Point]:
    """Points of a function over the whole axis; of one that is defined in steps, at whole numbers."""
    if plot.steps:
        stride = math.ceil((plot.high - plot.low) / DOTS)
        positions: list[float] = [float(step) for step in range(int(plot.low), int(plot.high) + 1, stride)]
    else:
        width = plot.high - plot.low
        positions = [plot.low + width * number / INTERVALS for number in range(INTERVALS + 1)]
    return [(x, function(x)) for x in positions]


def limits(plot: Plot, samples: dict[Curve, list[Point]]) -> tuple[float, float]:
    """From where to where the values go that are shown: all, but for poles and what grows beyond measure.

    A derivative adds to the height at most once over.
    """

    def bounds(derivative: bool) -> tuple[float, float]:
        found = [y for curve, points in samples.items() if curve.derivative == derivative for _, y in points]
        values = sorted(min(max(y, -plot.limit), plot.limit) for y in found if math.isfinite(y))
        if not values:
            return 0.0, 0.0
        low, high = values[len(values) // 20], values[-1 - len(values) // 20]
        spread = high - low
        return max(values[0], low - spread), min(values[-1], high + spread)

    bottom, top = bounds(derivative=False)
    height = (top - bottom) or 1.0
    below, above = bounds(derivative=True)
    bottom, top = min(bottom, max(below, bottom - height)), max(top, min(above, top + height))
    if plot.steps:
        bottom = min(bottom, 0.0)
    margin = 0.04 * ((top - bottom) or 1.0)
    return bottom - margin, top + margin


def pieces(function: Function, points: list[Point], bottom: float, top: float) -> list[list[Point]]:
    """The points that are within the limits, up to where the function leaves them, cut where it jumps."""

    def shown(y: float) -> bool:
        return bottom <= y <= top

    def leaps(y: float, other: float) -> bool:
        return abs(y - other) > JUMP * (top - bottom)

    runs: list[list[Point]] = []
    previous: Point | None = None
    for point in points:
        here = shown(point[1])
        if previous is None:
            runs += [[point]] if here else []
        elif shown(previous[1]) != here:
            last, first = bisected(function, previous, point, shown)
            if here:
                runs.append([first, point])
            else:
                runs[-1].append(last)
        elif here:
            if leaps(previous[1], point[1]):
                last, first = bisected(function, previous, point, partial(le, (previous[1] + point[1]) / 2.0))
                if leaps(last[1], first[1]):
                    runs[-1].append(last)
                    runs.append([first])
            runs[-1].append(point)
        previous = point
    return runs


def bisected(function: Function, before: Point, after: Point, says: Callable[[float], bool]) -> tuple[Point, Point]:
    """The last point of a stretch, and the next, of whose value something else is said."""
    said = says(before[1])
    for _ in range(HALVINGS):
        x = (before[0] + after[0]) / 2.0
        middle = (x, function(x))
        if says(middle[1]) == said:
            before = middle
        else:
            after = middle
    return before, after


# -- drawing ------------------------------------------------------------------------------------------------


def rounded(coordinate: float) -> int:
    """The nearest whole number; what is exactly between two goes the same way on every machine."""
    return math.floor(coordinate + 0.5 + 1e-6)


def path(curve: Curve, runs: list[list[Pixel]], dots: bool) -> str:
    """A curve as one path: of lines, or of a dot for each point."""
    if dots:
        shape = "".join(f"M{x} {y}h1" for run in runs for x, y in run)
        return f'<path stroke="{COLOURS[curve.colour]}" stroke-width="35" d="{shape}"/>'
    shape = "".join(f"M{' '.join(f'{x} {y}' for x, y in simplified(run))}" for run in runs if len(set(run)) > 1)
    dashes = ' stroke-dasharray="60 45"' if curve.derivative else ""
    return f'<path stroke="{COLOURS[curve.colour]}"{dashes} d="{shape}"/>'


def simplified(points: list[Pixel]) -> list[Pixel]:
    """The points that a line needs to look the same (Ramer, Douglas and Peucker)."""
    kept, open_ = {0, len(points) - 1}, [(0, len(points) - 1)]
    while open_:
        first, last = open_.pop()
        distances = [(distance(points[at], points[first], points[last]), at) for at in range(first + 1, last)]
        farthest, at = max(distances, default=(0.0, 0))
        if farthest > FLAT:
            kept.add(at)
            open_ += [(first, at), (at, last)]
    return [points[at] for at in sorted(kept)]


def distance(point: Pixel, start: Pixel, end: Pixel) -> float:
    """How far a point is from the line through two others, exact up to one division."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    if not dx and not dy:
        return math.hypot(point[0] - start[0], point[1] - start[1])
    return abs(dx * (point[1] - start[1]) - dy * (point[0] - start[0])) / math.sqrt(dx * dx + dy * dy)


def axes(plot: Plot, bottom: float, top: float, point: Callable[[float, float], Pixel]) -> Iterator[str]:
    """The grid, its numbers, and what is to the right."""
    across, up = ticks(plot.low, plot.high, 10), ticks(bottom, top, 6)
    columns, rows = [point(x, bottom)[0] for x in across], [point(plot.low, y)[1] for y in up]
    grid = "".join(f"M{x} {TOP}V{BOTTOM}" for x in columns) + "".join(f"M{LEFT} {y}H{RIGHT}" for y in rows)
    yield f'<path stroke="{GREY}" stroke-width="6" opacity=".3" d="{grid}"/>'
    zero = "".join(f"M{LEFT} {y}H{RIGHT}" for y, value in zip(rows, up, strict=True) if not value)
    zero += "".join(f"M{x} {TOP}V{BOTTOM}" for x, value in zip(columns, across, strict=True) if not value)
    if zero:
        yield f'<path stroke="{GREY}" stroke-width="10" opacity=".8" d="{zero}"/>'
    yield '<g text-anchor="middle">'
    yield from (f'<text x="{x}" y="{BOTTOM + 150}">{number(v)}</text>' for x, v in zip(columns, across, strict=True))
    yield f'<text x="{(LEFT + RIGHT) // 2}" y="{HEIGHT - 70}">{escape(plot.axis)}</text>'
    yield '</g><g text-anchor="end">'
    yield from (f'<text x="{LEFT - 50}" y="{y + 40}">{number(v)}</text>' for y, v in zip(rows, up, strict=True))
    yield "</g>"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers from low to high, at most so many and one."""
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    stride = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= most)
    numbers = range(math.ceil(low / stride - 1e-9), math.floor(high / stride + 1e-9) + 1)
    return [float(f"{stride * one:.9g}") for one in numbers]


def number(value: float) -> str:
    """A number with a minus sign as wide as a plus sign."""
    return f"{value:g}".replace("-", "−")


def legend(plot: Plot) -> Iterator[str]:
    """What each curve is, in a line above the plot."""
    x = LEFT
    for curve in plot.curves:
        dashes = ' stroke-dasharray="60 45"' if curve.derivative else ""
        yield f'<path stroke="{COLOURS[curve.colour]}" stroke-width="20"{dashes} d="M{x} 160h220"/>'
        yield f'<text x="{x + 270}" y="200">{escape(curve.label.replace("-", "−"))}</text>'
        x += 400 + 56 * len(curve.label)
