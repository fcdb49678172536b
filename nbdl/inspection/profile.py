"""What a profile holds, and how it is shown: a line per operation, layer or phase."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nbdl.errors import ConfigError
from nbdl.inspection.explain import size_text

if TYPE_CHECKING:
    from nbdl.inspection.roofline import Roofline

WIDE, NARROW = 120, 100  # characters of a line by default; from where on columns stand two spaces apart
LEAST_TEXT = 8  # characters that a column of text keeps, however narrow the terminal
FIGURES = ("calls", "µs", "share", "GFLOP/s", "GB/s", "bound", "roofline")


@dataclass(frozen=True)
class OperationProfile:
    """One operation of a step, on one thread.

    Attributes:
        layer, phase, title: as `explain` shows them; what brings a batch is of the layer "batch".
        shape: of the operands of a product; of anything else, of the loop over its operands.
        calls: of its kernel in a step: one for each tile or block of rows.
        us: µs a step, without the timer's own.
        share: of the time of all operations, 0 to 1.
        flops: a step's: of a product its multiplications and additions, of anything else one per element.
        bytes: that it reads and that it writes in a step, each operand once.
        compute_us, memory_us: the least that so many flops and so many bytes take one core, see `Roofline`.
    """

    layer: str
    phase: str
    title: str
    shape: str
    calls: float
    us: float
    share: float
    flops: int
    bytes: int
    compute_us: float
    memory_us: float

    @property
    def gflops(self) -> float:
        """10⁹ floating-point operations a second."""
        return _per(self.flops / 1e3, self.us)

    @property
    def gbytes(self) -> float:
        """10⁹ bytes a second."""
        return _per(self.bytes / 1e3, self.us)

    @property
    def roofline_us(self) -> float:
        """The least µs that it could take."""
        return max(self.compute_us, self.memory_us)

    @property
    def bound(self) -> str:
        """What limits it: "compute" or "memory"."""
        return "compute" if self.compute_us > self.memory_us else "memory"

    @property
    def roofline(self) -> float:
        """The share of the roofline that it reaches: the least that it could take by what it takes."""
        return _per(self.roofline_us, self.us)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        derived = {name: getattr(self, name) for name in ("gflops", "gbytes", "bound", "roofline")}
        return {**asdict(self), **derived}


@dataclass(frozen=True)
class Profile:
    """Where a step goes. `print(profile)` shows it as a table.

    Times are means over the quickest quarter of many short runs, so that other work on the machine shows least.

    Attributes:
        what: "train", "evaluate" or "predict".
        rows: rows of a step.
        operations: in the order of the program.
        step_us: µs of a step in an ordinary run on one thread.
        timed_us: the same with a clock around each kernel.
        threads: how many an ordinary run may use.
        threads_us: µs of a step on so many, or None where its schedule is for one thread or only one may be used.
        timer_ns: what the clock adds to each call of a kernel; it was taken off.
        roofline: what one core can do.
    """

    what: str
    rows: int
    operations: tuple[OperationProfile, ...]
    step_us: float
    timed_us: float
    threads: int
    threads_us: float | None
    timer_ns: float
    roofline: Roofline

    @property
    def operations_us(self) -> float:
        """µs of all operations; what `step_us` has beyond them is the driver's, between them."""
        return sum(one.us for one in self.operations)

    def groups(self, by: str) -> dict[str, list[OperationProfile]]:
        """The operations of each "layer" or "phase", in the order of the program."""
        found: dict[str, list[OperationProfile]] = {}
        for one in self.operations:
            found.setdefault(getattr(one, by), []).append(one)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        names = ("what", "rows", "step_us", "timed_us", "operations_us", "threads", "threads_us", "timer_ns")
        return {
            **{name: getattr(self, name) for name in names},
            "peak_gflops": self.roofline.gflops,
            "copies": [{"bytes": size, "gbytes": speed} for size, speed in self.roofline.copies],
            "operations": [one.to_dict() for one in self.operations],
        }

    def lines(self, by: str = "operation", width: int | None = None) -> Iterator[str]:
        """The table.

        Args:
            by: a line for each "operation" (and below them each layer), "layer" or "phase".
            width: characters to fit into by cutting text short; by default all is shown.

        Raises:
            ConfigError: another `by`.
        """
        if by not in ("operation", "layer", "phase"):
            raise ConfigError(f"profile: by 'operation', 'layer' or 'phase', got {by!r}")
        yield f"{self.what}, {self.rows:,} rows a step; operations on one thread"
        yield ""
        if by == "operation":
            yield from _operations(self, width)
            yield ""
        yield from _groups(self, "layer" if by == "operation" else by, width)
        yield ""
        for name, text in _foot(self):
            yield from textwrap.wrap(f"{name:<10}{text}", max(width or WIDE, 40), subsequent_indent=" " * 10)

    def __str__(self) -> str:
        return "\n".join(self.lines(width=WIDE))


def _per(amount: float, us: float) -> float:
    """An amount by a time, of which nothing may be left once the timer's own is taken off."""
    return amount / us if us > 0 else 0.0


# -- the table --------------------------------------------------------------------------------------------


def _operations(profile: Profile, width: int | None) -> Iterator[str]:
    """A line per operation, below a line for its phase."""
    rows = [["layer", "operation", "shape", *FIGURES]]
    for phase, parts in _runs(profile.operations):
        rows.append([phase, "", "", *_figures(parts)])
        for one in parts:
            *figures, _, share = _figures([one])
            rows.append([f"  {one.layer}", one.title, one.shape, *figures, one.bound, share])
    yield from _aligned(rows, 3, width)


def _runs(operations: Sequence[OperationProfile]) -> Iterator[tuple[str, list[OperationProfile]]]:
    """Operations that follow one another in one phase."""
    return ((phase, list(parts)) for phase, parts in itertools.groupby(operations, lambda one: one.phase))


def _groups(profile: Profile, by: str, width: int | None) -> Iterator[str]:
    rows = [[by, *FIGURES]]
    rows += [[name, *_figures(parts)] for name, parts in profile.groups(by).items()]
    rows.append(["all operations", *_figures(profile.operations)])
    yield from _aligned(rows, 1, width)


def _figures(parts: Sequence[OperationProfile]) -> list[str]:
    """The figures of some operations together; of what bounds them, the share of the roofline's time."""
    us, least = sum(one.us for one in parts), sum(one.roofline_us for one in parts)
    compute = sum(one.roofline_us for one in parts if one.bound == "compute")
    return [
        f"{sum(one.calls for one in parts):g}",
        _three(us),
        f"{sum(one.share for one in parts):.1%}",
        _three(_per(sum(one.flops for one in parts) / 1e3, us)),
        _three(_per(sum(one.bytes for one in parts) / 1e3, us)),
        "compute" if compute > least / 2 else "memory",
        f"{_per(least, us):.0%}",
    ]


def _three(value: float) -> str:
    """Three digits, at most three of them decimals.

    >>> _three(0.0123), _three(8.456), _three(12.34), _three(12345.6)
    ('0.012', '8.46', '12.3', '12346')
    """
    decimals = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{decimals}f}"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{_three(abs(value))}"


def _aligned(rows: list[list[str]], texts: int, width: int | None) -> Iterator[str]:
    """Columns: the first `texts` to the left, cut where need be; figures to the right."""
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = " " if width is not None and width < NARROW else "  "
    while width is not None and sum(sizes) + len(gap) * (len(sizes) - 1) > width and max(sizes[:texts]) > LEAST_TEXT:
        sizes[sizes.index(max(sizes[:texts]))] -= 1
    for row in rows:
        cells = [
            _cut(cell, size).ljust(size) if number < texts else cell.rjust(size)
            for number, (cell, size) in enumerate(zip(row, sizes, strict=True))
        ]
        yield gap.join(cells).rstrip()


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size - 1]}…"


def _foot(profile: Profile) -> Iterator[tuple[str, str]]:
    """What each figure is."""
    calls = sum(one.calls for one in profile.operations)
    between = profile.step_us - profile.operations_us
    step = f"{_three(profile.step_us)} µs in an ordinary run on one thread ({_signed(between)} beside the operations)"
    if profile.threads_us is not None:
        gain = _per(profile.step_us, profile.threads_us)
        step += f"; {_three(profile.threads_us)} µs on {profile.threads} threads, {gain:.2f} times as fast"
    yield "step", step
    yield (
        "clock",
        f"{profile.timer_ns:.1f} ns were taken off each of {calls:g} calls; a step with clocks took "
        f"{_three(profile.timed_us)} µs",
    )
    yield (
        "GFLOP/s",
        f"multiplications and additions of products; one operation per element elsewhere. At most "
        f"{_three(profile.roofline.gflops)} on this core: fused multiply-adds in registers",
    )
    speeds = ", ".join(f"{size_text(size, 'B')} {_three(speed)}" for size, speed in profile.roofline.copies)
    yield "GB/s", f"each operand read once and each result written once. Copies on this core reach: {speeds}"
    yield (
        "roofline",
        "the share that is reached: the longer of the time for the arithmetic at that peak and the time for the bytes "
        "as a copy within as much memory as a call touches, by the time taken. What reads more than it writes may "
        "exceed a copy",
    )
