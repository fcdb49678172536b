"""The reference pages: complete, true, and readable on a code host; `--check` notices what is not."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import math
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from nbdl_reference import contract
from nbdl_reference.curves import Curve, Plot, plot_of
from nbdl_reference.folder import write
from nbdl_reference.markdown import prose, table
from nbdl_reference.pages import COMPUTING, gaps, mark, pages
from nbdl_reference.plots import COLOURS, GREY, svg

from nbdl import hookspecs
from nbdl.cli.app import COMMANDS, app
from nbdl.plugins import options
from nbdl.plugins.commands import PluginCommand, imported
from nbdl.plugins.description import describe
from nbdl.plugins.options import OPTIONS, Option
from nbdl.units.entry import Entry, singular
from nbdl.units.registry import registry

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "scripts" / "docs" / "reference"
OWN = [entry for entry in registry.entries() if entry.owner.distribution == "nbdl" and entry.kind != "commands"]
PAGES = {path.name: path.read_text() for path in REFERENCE.glob("*.md")}
PLOTS = sorted(REFERENCE.rglob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


def identity(entry: Entry) -> str:
    return f"{entry.kind}-{entry.name}"


each_unit = pytest.mark.parametrize("entry", OWN, ids=identity)


def section(page: str, name: str) -> str:
    """What a page says under a heading."""
    found = re.findall(rf"^## `?{re.escape(name)}`?\n\n(.*?)(?=^## |\Z)", PAGES[page], re.DOTALL | re.MULTILINE)
    assert len(found) == 1, f"{page}: {len(found)} sections about {name}"
    return str(found[0])


def blocks(text: str, language: str) -> list[str]:
    """The code of a language in Markdown, in one line each."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [" ".join(one.content.split()) for one in tokens if one.type == "fence" and one.info == language]


def plain(text: str) -> str:
    """What a reader sees of Markdown, without spaces and backticks."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    children = [child for one in tokens for child in one.children or [one]]
    seen = "".join(one.content for one in children if one.type in ("text", "code_inline", "fence"))
    return "".join(seen.replace("`", "").split())


def docstring(entry: Entry) -> str:
    """What an author wrote about a unit, on one line."""
    return " ".join((inspect.getdoc(entry.target) or "").split())


# -- units --------------------------------------------------------------------------------------------------


@each_unit
def test_a_unit_has_its_exact_signature(entry: Entry) -> None:
    stated = blocks(section(f"{entry.kind}.md", entry.name), "python")[0]
    function = ast.parse(f"def {stated}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    arguments, parameters = function.args, inspect.signature(entry.target).parameters.values()
    assert [one.arg for one in arguments.args] == [
        one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD
    ]
    assert [one.arg for one in arguments.kwonlyargs] == [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    defaults = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
    expected = [one.default for one in parameters if one.default is not one.empty]
    named = [one.id if isinstance(one, ast.Name) else ast.literal_eval(one) for one in defaults]
    assert named == [one.__name__ if inspect.isfunction(one) else one for one in expected]


@each_unit
def test_a_unit_has_all_that_its_docstring_says(entry: Entry) -> None:
    unit, text = describe(entry), section(f"{entry.kind}.md", entry.name)
    seen = plain(text)
    for part in (unit.summary, unit.formula, unit.source, *unit.notes, *unit.examples):
        assert "".join(part.replace("`", "").split()) in seen, part
    for alias in entry.aliases:
        assert f"`{alias}`" in text
    for name, when in unit.raises:
        assert "".join(f"Raises{name}:{when}".replace("`", "").split()) in seen
    if unit.formula:
        assert blocks(text, "text")[0] == unit.formula


@each_unit
def test_a_unit_has_its_arguments(entry: Entry) -> None:
    text = section(f"{entry.kind}.md", entry.name)
    every = f"Every {singular(entry.kind)}"
    common = section(f"{entry.kind}.md", every) if f"## {every}" in PAGES[f"{entry.kind}.md"] else ""
    for one in describe(entry).arguments:
        row = f"| `{one.name}` | {f'`{one.default}`' if one.default else 'required'} |".replace("`None`|", "`None` |")
        assert row in (common if one.common else text)
        assert one.common or "".join(one.text.replace("`", "").split()) in plain(text)
        assert one.text, f"nothing is said of {one.name}"


@each_unit
def test_a_unit_of_scalar_functions_has_a_plot(entry: Entry) -> None:
    text, plot = section(f"{entry.kind}.md", entry.name), plot_of(entry)
    path = f"plots/{entry.kind}/{entry.name}.svg"
    assert (f"]({path})" in text) == (plot is not None) == (REFERENCE / path).is_file()
    assert (f"Drawn for `{entry.name}(" in text) == (plot is not None and plot.unit != entry.name)
    functions = getattr(entry.target, "functions", ())
    scalar = any(one.__name__.startswith("Elementwise") for one in getattr(entry.target, "__mro__", ()))
    assert (plot is not None) == (bool(functions and scalar) or entry.kind == "schedules")


@pytest.mark.parametrize("kind", [kind for kind in hookspecs.KINDS if kind != "commands" and registry.entries(kind)])
def test_a_kind_has_its_page_a_table_and_a_row_of_the_index(kind: str) -> None:
    names = [entry.name for entry in OWN if entry.kind == kind]
    assert [name for name in names if f"[`{name}`](#{name.lower()})" not in PAGES[f"{kind}.md"]] == []
    assert [name for name in names if f"[`{name}`]({kind}.md#{name.lower()})" not in PAGES["README.md"]] == []


def test_there_is_no_unit_without_docstring_or_formula() -> None:
    assert gaps(OWN) == []


# -- hooks and commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", hookspecs.specifications())
def test_a_hook_has_signature_version_text_and_options(name: str) -> None:
    hook, text = hookspecs.specifications()[name], section("hooks.md", name)
    assert f"{name}{inspect.signature(hook)}".replace("'", "") in blocks(text, "python")
    assert f"Since {hook.since}." in text
    assert "".join((inspect.getdoc(hook) or "").replace("`", "").split()) in plain(text)
    kind = name.removeprefix("register_")
    for option in OPTIONS:
        row = re.search(
            rf"^\| `{re.escape(f'{option.name}={option.takes}')}` \|.*\| {option.since} \|$", text, re.MULTILINE
        )
        assert (row is not None) == (not option.kinds or kind in option.kinds), option.name


def test_a_deprecated_option_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Option("knots", "(0.0, ...)", "the same", ("layers",), since="1.2", deprecated="write kinks")
    for module in (contract, options):
        monkeypatch.setattr(module, "OPTIONS", (*OPTIONS, old))
    [row] = [line for line in contract.hook_page().splitlines() if "knots" in line]
    assert row == "| `knots=(0.0, ...)` | Deprecated: write kinks. the same | 1.2 |"
    said = options.deprecated_option("layers", ["kinks", "knots"])
    assert said == "the option 'knots' of layers is deprecated: write kinks"
    assert options.unknown_option("layers", ["knots"]) == options.deprecated_option("layers", ["kinks"]) == ""


def all_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for within in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), within)
            assert found is not None
            found = found.command() if isinstance(found, PluginCommand) else found
            yield from all_commands(found, f"{name} {within}")


@pytest.mark.parametrize("top", COMMANDS)
def test_a_command_has_its_usage_and_options(top: str) -> None:
    for name, command in all_commands(imported(COMMANDS[top]), f"nbdl {top}"):
        text, seen = section("commands.md", name), plain(section("commands.md", name))
        usage = command.get_usage(click.Context(command, info_name=name)).removeprefix("Usage: ")
        assert blocks(text, "text")[0] == " ".join(usage.split())
        assert "".join((command.help or "").replace("\b", "").replace("`", "").split()) in seen
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert ", ".join([*parameter.opts, *parameter.secondary_opts]) in text
                assert "".join((parameter.help or "").replace("`", "").split()) in seen


# -- links and Markdown ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]*)\)", PAGES[page])
    assert links or page in ("recorder.md", "builder.md")  # methods are described, not their lines
    for link in links:
        file, _, place = link.partition("#")
        target = REFERENCE / file if file else REFERENCE / page
        assert target.is_file(), link
        if target.suffix == ".md":
            headings = re.findall(r"^## `?([^`\n]+)`?$", target.read_text(), re.MULTILINE)
            assert not place or place in [one.lower().replace(" ", "-") for one in headings], link
        else:
            line = target.read_text().splitlines()[int(place.removeprefix("L")) - 1]
            assert re.match(r"\s*(@|(async )?def |class )", line), f"{link}: {line}"


@pytest.mark.parametrize("page", PAGES)
def test_tables_have_as_many_cells_in_each_row(page: str) -> None:
    rows = [line for line in PAGES[page].splitlines() if line.startswith("|")]
    tokens = MarkdownIt("commonmark").enable("table").parse(PAGES[page])
    assert rows
    assert len(rows) - sum(one.type == "table_open" for one in tokens) == sum(one.type == "tr_open" for one in tokens)
    for line in rows:
        table_of_it = PAGES[page][: PAGES[page].index(line)].rpartition("\n\n")[2].split("\n")[0] or line
        assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", table_of_it)), line


def test_pages_say_nothing_of_this_machine_or_version() -> None:
    for name, text in PAGES.items():
        assert text.startswith(f"{mark('nbdl')}\n"), name
        for word in (str(ROOT), "site-packages", str(Path.home()) + "/", sys.prefix):
            assert word not in text, name


@pytest.mark.parametrize(
    "text",
    ["a*b*c", "_x_ and x_y_z", "|x| < |y|", "<b>", "x[i](j)", "~~gone~~", "&amp;", r"a \ b", "`f(*x)` of *x*", "$x$"],
)
def test_text_of_docstrings_means_nothing_to_markdown(text: str) -> None:
    assert plain(prose(text)) == "".join(text.replace("`", "").split())
    assert plain(table(["", ""], [["x", prose(text)]])).removeprefix("x") == "".join(text.replace("`", "").split())


# -- plots --------------------------------------------------------------------------------------------------


Run = list[tuple[float, float]]


@dataclass
class Drawn:
    """A plot as its file says: runs of points by curve, read by the numbers at the axes; the size of a tenth of a
    pixel to the right and upwards; from where to where the axes go."""

    curves: list[list[Run]]
    right: float
    up: float
    x: tuple[float, float]
    y: tuple[float, float]


def drawn(text: str) -> Drawn:
    root = ElementTree.fromstring(text)
    across, up = (group.findall(f"{SVG}text") for group in root.findall(f"{SVG}g") if group.get("text-anchor"))

    def scale(ticks: list[ElementTree.Element], axis: str, offset: float) -> tuple[float, float]:
        places = [float(one.get(axis, "")) - offset for one in (ticks[0], ticks[-1])]
        low, high = (float((one.text or "").replace("−", "-")) for one in (ticks[0], ticks[-1]))
        size = (high - low) / (places[1] - places[0])
        return low - size * places[0], size

    (x0, dx), (y0, dy) = scale(across[:-1], "x", 0.0), scale(up, "y", 40.0)  # the last is the axis's name
    paths = [(one.get("d", ""), one.get("stroke")) for one in root.iter(f"{SVG}path")]
    grid = re.findall(r"M\d+ (\d+)V(\d+)", paths[0][0]), re.findall(r"M(\d+) \d+H(\d+)", paths[0][0])
    (top, bottom), (left, right) = (map(float, lines[0]) for lines in grid)
    curves = []
    for shape, colour in paths:
        if colour in COLOURS and "h220" not in shape:  # which is the legend's
            numbers = [list(map(float, run.replace("h1", "").split())) for run in shape.split("M")[1:]]
            runs = [[(x0 + dx * x, y0 + dy * y) for x, y in zip(run[::2], run[1::2], strict=True)] for run in numbers]
            curves.append(runs)
    return Drawn(curves, dx, -dy, (x0 + dx * left, x0 + dx * right), (y0 + dy * bottom, y0 + dy * top))


def differs(plot: Drawn, runs: list[Run], function: Callable[[float], float]) -> bool:
    """Whether a curve is anywhere half a pixel away from a function, or is not drawn where the function is."""
    for run in runs:
        for (x, y), (next_x, next_y) in itertools.pairwise(run):
            for share in (0.0, 0.25, 0.5, 0.75, 1.0):
                at, there = x + share * (next_x - x), y + share * (next_y - y)
                near = [function(at + plot.right * step) for step in (-5, -2, -1, 0, 1, 2, 5)]
                near = [one for one in near if math.isfinite(one)]
                if not min(near) - 5.0 * plot.up <= there <= max(near) + 5.0 * plot.up:
                    return True
    for step in range(1, 200):
        x = plot.x[0] + (plot.x[1] - plot.x[0]) * step / 200.0
        shown = any(run[0][0] - 3.0 * plot.right <= x <= run[-1][0] + 3.0 * plot.right for run in runs)
        if not shown and plot.y[0] <= function(x) <= plot.y[1]:
            return True
    return False


def hand_made() -> dict[str, tuple[Callable[[float], float], ...]]:
    """Some units by heart: what is drawn of them, curve by curve."""
    return {
        "activations/sigmoid": (lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
        "activations/relu": (lambda x: max(x, 0.0), lambda x: float(x > 0)),
        "activations/tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
        "activations/hard_shrink": (lambda x: x if abs(x) > 0.5 else 0.0, lambda x: float(abs(x) > 0.5)),
        "losses/mean_squared_error": (lambda p: p * p, lambda p: 2 * p),
        "losses/mean_absolute_error": (abs, lambda p: math.copysign(1.0, p)),
        "losses/binary_crossentropy": (
            lambda p: -math.log(1 - min(max(p, 1e-7), 1 - 1e-7)),
            lambda p: 1 / (1 - p) if 1e-7 < p < 1 - 1e-7 else 0.0,
            lambda p: -math.log(min(max(p, 1e-7), 1 - 1e-7)),
            lambda p: -1 / p if 1e-7 < p < 1 - 1e-7 else 0.0,
        ),
        "regularizers/l2": (lambda w: 0.01 * w * w, lambda w: 0.02 * w),
        "constraints/non_neg": (lambda w: max(w, 0.0),),
    }


@pytest.mark.parametrize("name", hand_made())
def test_curves_are_those_of_the_formula(name: str) -> None:
    plot, functions = drawn((REFERENCE / "plots" / f"{name}.svg").read_text()), hand_made()[name]
    assert len(plot.curves) == len(functions)
    for runs, function in zip(plot.curves, functions, strict=True):
        assert not differs(plot, runs, function)
        assert differs(plot, runs, lambda x, f=function: f(x) + 0.03 * (plot.y[1] - plot.y[0]))  # type: ignore[misc]
        assert differs(plot, runs[1:], function), "a piece that is not drawn"


@pytest.mark.parametrize("path", PLOTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_plot_is_small_valid_and_true(path: Path) -> None:
    text = path.read_text()
    assert len(text.encode()) <= 4096
    assert ElementTree.fromstring(text).findtext(f"{SVG}title")
    entry = registry.get(path.parent.name, path.stem)
    expected, plot = plot_of(entry), drawn(text)
    assert expected is not None
    assert plot.x == pytest.approx((expected.low, expected.high), abs=2 * plot.right)
    assert len(plot.curves) == len(expected.curves)
    for runs, curve in zip(plot.curves, expected.curves, strict=True):
        points = [point for run in runs for point in run]
        assert all(plot.x[0] - 2 * plot.right <= x <= plot.x[1] + 2 * plot.right for x, _ in points)
        assert all(plot.y[0] - 2 * plot.up <= y <= plot.y[1] + 2 * plot.up for _, y in points)
        if expected.steps:
            schedule = entry.target(**entry.options["examples"][0])
            assert all(abs(y - schedule(round(x))) <= plot.up for x, y in points)
            assert [round(x) for x, _ in points] == list(range(int(expected.low), int(expected.high) + 1))
        else:
            assert not differs(plot, runs, curve.function)


def line_of(function: Callable[[float], float]) -> list[Run]:
    """The runs of a curve that is drawn alone."""
    return drawn(svg(Plot("planted", "y", "x", -5.0, 5.0, (Curve("y", function),), limit=5.0))).curves[0]


def test_a_jump_is_a_gap_wherever_it_is() -> None:
    place = 1.0 + 1.0 / 7.0
    before, after = line_of(lambda x: -1.0 if x < place else 1.0)
    assert before[-1][0] == pytest.approx(place, abs=0.005)
    assert after[0][0] == pytest.approx(place, abs=0.005)
    assert {round(y, 2) for _, y in before} == {-1.0}
    assert {round(y, 2) for _, y in after} == {1.0}


def test_a_steep_slope_is_no_jump() -> None:
    assert len(line_of(lambda x: math.tanh(200.0 * x))) == 1


def test_poles_and_what_has_no_value_are_left_out() -> None:
    left, right = line_of(lambda x: 1.0 / x if x else math.nan)
    assert left[-1][1] == pytest.approx(-5.2, abs=0.3)
    assert right[0][1] == pytest.approx(5.2, abs=0.3)
    (only,) = line_of(lambda x: math.sqrt(x) if x >= 1.0 / 3.0 else math.nan)
    assert only[0][0] == pytest.approx(1.0 / 3.0, abs=0.005)


def test_a_curve_is_the_same_for_the_last_bits_of_another_machine() -> None:
    def plotted(nudge: float) -> str:
        curves = Curve("y", lambda x: math.tanh(x) * nudge), Curve("d", lambda x: x * x * nudge, derivative=True)
        return svg(Plot("planted", "y", "x", -5.0, 5.0, curves, limit=5.0))

    assert plotted(1.0) == plotted(1.0 + 2.0**-52) == plotted(1.0 - 2.0**-53)
    assert plotted(1.0) != plotted(1.01)


@pytest.mark.parametrize("ground", ["#ffffff", "#0d1117"])
def test_colours_are_seen_on_light_and_dark(ground: str) -> None:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for colour in (GREY, *COLOURS):
        light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3.0, colour  # WCAG 2.1, for graphics and large text


# -- what --check notices -------------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """`scripts/docs.py` on a fresh copy of what it writes; returns the exit code."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    module = importlib.import_module("docs")
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())

    def run(*arguments: str, more: tuple[Entry, ...] = ()) -> int:
        own = importlib.import_module("documents.own")
        monkeypatch.setattr(module, "own_entries", lambda: [*own.own_entries(), *more])
        monkeypatch.setattr(sys, "argv", ["docs.py", "--folder", str(tmp_path), *arguments])
        return int(module.main())

    assert run() == 0
    assert run("--check") == 0
    return run


def planted(documented: str | None) -> Entry:
    """A unit of nbdl that is not there."""
    known = registry.get("activations", "tanh")

    class Planted(known.target.__base__):  # type: ignore[misc]
        __doc__ = documented
        functions = known.target.functions

        def __init__(self, gain: float = 1.0) -> None:
            self.parameters = {}

    return Entry("activations", "planted", Planted, known.owner, known.module)


FORMULA = "Planted.\n\nFormula: y = tanh x."


@pytest.mark.parametrize(("text", "lacks"), [(None, "docstring"), ("Planted.", "formula")])
def test_an_undocumented_unit_is_named(
    script: Callable[..., int], capsys: pytest.CaptureFixture[str], text: str | None, lacks: str
) -> None:
    assert script(more=(planted(text),)) == 0
    capsys.readouterr()
    assert script("--check", more=(planted(text),)) == 1
    out = capsys.readouterr().out
    assert "activation 'planted'" in out
    assert f"has no {lacks}" in out
    assert re.search(r"tanh\.py:\d+", out)


def test_a_new_unit_makes_its_pages_and_the_readme_stale(
    script: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert script("--check", more=(planted(FORMULA),)) == 1
    named = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    assert named >= {"scripts/docs/reference/activations.md", "scripts/docs/reference/README.md", "README.md"}
    assert "scripts/docs/reference/plots/activations/planted.svg" in named
    assert script(more=(planted(FORMULA),)) == 0
    assert script("--check", more=(planted(FORMULA),)) == 0
    capsys.readouterr()
    assert script("--check") == 1, "a unit that went"
    out = capsys.readouterr().out
    assert "scripts/docs/reference/plots/activations/planted.svg is of something that is not there" in out


def test_a_changed_page_is_named_and_left(
    script: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    page = tmp_path / "scripts" / "docs" / "reference" / "losses.md"
    page.write_text(page.read_text().replace("delta", "gamma"))
    (tmp_path / "scripts" / "docs" / "reference" / "notes.md").write_text(
        "# By hand\n"
    )  # not generated, so nobody's business
    assert script("--check") == 1
    assert capsys.readouterr().out.splitlines()[-1:] == [
        "scripts/docs/reference/losses.md is stale; run python scripts/docs.py"
    ]
    assert "gamma" in page.read_text()
    assert script() == 0
    assert (tmp_path / "scripts" / "docs" / "reference" / "notes.md").exists()


# -- a third party's pages --------------------------------------------------------------------------------------


MY_UNITS = '''"""Quartic: x to the fourth.

Formula: y = a·x⁴ for |x| ≤ 1, else a.

Args:
    a: what it tends to; a * or a | do no harm.

Source: nobody.
"""

from nbdl import hookimpl


def f(x, a=0.5):
    return a * min(x * x * x * x, 1.0)


def df(x, y, a=0.5):
    return 4.0 * a * x * x * x if abs(x) < 1.0 else 0.0 * x


@hookimpl
def register_activations(register):
    register("docs_quartic", f, df, kinks=(-1.0, 1.0))
'''


def plugins_docs(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `nbdl plugins docs` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "nbdl", "plugins", "docs", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_third_party_builds_the_same_pages(tmp_path: Path) -> None:
    source, page = tmp_path / "my_units.py", tmp_path / "pages" / "activations.md"
    source.write_text(MY_UNITS)
    arguments = "my_units.py", "-o", "pages"
    done = plugins_docs(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    for part in (
        "docs_quartic(a=0.5)",
        "y = a·x⁴ for |x| ≤ 1, else a.",
        "nobody",
        "`my_units.py:14`",
        "| `a` | `0.5` |",
    ):
        assert part in text, part
    assert {path.relative_to(tmp_path / "pages").as_posix() for path in (tmp_path / "pages").rglob("*.*")} == {
        "README.md", "activations.md", "plots/activations/docs_quartic.svg",
    }  # fmt: skip
    assert plugins_docs(tmp_path, *arguments, "--check").returncode == 0

    source.write_text(MY_UNITS.replace("a=0.5", "a=0.25"))
    done = plugins_docs(tmp_path, *arguments, "--check")
    assert done.returncode == 4
    assert "pages/activations.md is stale" in done.stdout
    assert "pages/plots/activations/docs_quartic.svg is stale" in done.stdout
    assert "a=0.5" in page.read_text()

    source.write_text(MY_UNITS.replace("Formula: ", "").replace("docs_quartic", "docs_fourth"))
    done = plugins_docs(tmp_path, *arguments, "--check")
    assert done.returncode == 4
    assert "pages/plots/activations/docs_quartic.svg is of a unit that is not there" in done.stdout
    assert "activation 'docs_fourth' (my_units.py:14) has no formula" in done.stdout
    done = plugins_docs(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "removed pages/plots/activations/docs_quartic.svg" in done.stdout
    assert [path.stem for path in (tmp_path / "pages" / "plots").rglob("*.svg")] == ["docs_fourth"]
    done = plugins_docs(tmp_path, *arguments, "--check")
    assert done.returncode == 4, "there is still no formula"
    assert "stale" not in done.stdout


@pytest.mark.parametrize("name", ["README.md", "activations.md", "plots/activations/docs_quartic.svg"])
def test_what_somebody_else_wrote_is_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / "my_units.py").write_text(MY_UNITS)
    theirs = tmp_path / name
    theirs.parent.mkdir(parents=True, exist_ok=True)
    for text in ("# By hand\n", f"{mark('another')}\n", f"{mark('my_units.pyx')}\n"):
        theirs.write_text(text)
        for more in ([], ["--check"]):
            done = plugins_docs(tmp_path, "my_units.py", "-o", ".", *more)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"Error: {name} was not written by this command for my_units.py")
            assert done.stderr.count("\n") == 1
        assert theirs.read_text() == text
    assert len([path for path in tmp_path.rglob("*.*") if path.is_file()]) == 2, "some was written all the same"


def test_pages_of_another_package_or_place_stay(tmp_path: Path) -> None:
    (tmp_path / "my_units.py").write_text(MY_UNITS)
    kept = {"losses.md": mark("another"), "notes.md": "# By hand", "deeper/layers.md": mark("my_units.py")}
    kept |= {"plots/losses/old.svg": f"<svg>\n{mark('another')}\n</svg>"}
    for name, text in (kept | {"layers.md": mark("my_units.py")}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = plugins_docs(tmp_path, "my_units.py", "-o", ".")
    assert done.returncode == 0, done.stderr
    assert {line for line in done.stdout.splitlines() if line.startswith("removed")} == {"removed layers.md"}
    assert {name: (tmp_path / name).read_text() for name in kept} == kept


def test_pages_are_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path, {"page.md": "after"})
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]
    assert page.read_text() == "before"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nbdl-nonesuch"], "no plugin package or file is called 'nbdl-nonesuch'"),
        (["none.py"], "there is no file none.py"),
        ([], "there is no pyproject.toml"),
    ],
)
def test_what_cannot_be_documented_is_said_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["plugins", "docs", *arguments])
    assert done.exit_code in (2, 3, 4)
    assert said in done.output
    assert done.output.count("\n") == 1
    assert not (tmp_path / "reference").exists()


def test_commands_of_a_third_party_are_on_a_page() -> None:
    @click.group()
    def tools() -> None:
        """Some tools."""

    @tools.command()
    @click.option("--deep/--flat", help="How far | to go.")
    @click.argument("what")
    def dig(what: str, deep: bool) -> None:
        """Dig for WHAT.

        \b
        nbdl tools dig gold
        """

    owner = OWN[0].owner
    made = pages("mine", [Entry("commands", "tools", tools, owner, __name__)])
    assert set(made) == {"commands.md", "README.md"}
    assert "nbdl tools dig [OPTIONS] WHAT" in made["commands.md"]
    assert "| `--deep, --flat` |" in made["commands.md"]
    assert "```text\nnbdl tools dig gold\n```" in made["commands.md"]
    assert "[`nbdl tools dig`](commands.md#nbdl-tools-dig)" in made["README.md"]


def test_all_that_computes_must_have_a_formula() -> None:
    assert set(COMPUTING) >= {"layers", "activations", "losses", "optimizers", "metrics", "schedules"}


def test_examples_on_the_pages_are_the_docstrings(tmp_path: Path) -> None:
    shown = "\n".join(PAGES.values())
    for entry in OWN:
        for example in describe(entry).examples:
            assert textwrap.dedent(example) in shown
            assert " ".join(example.split()) in docstring(entry) or entry.kind == "templates"
