"""The conformance suite's doors: what a plugin's author calls, and what they are told."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import distributions
import pytest
from planted import HEALTHY, named
from planted.activations import smooth, smooth_slope
from planted.defect import Registered, entry
from planted.layers import Dice, Plain, Unscaled

import nbdl.testing
from nbdl.hookspecs import KINDS
from nbdl.plugins import options
from nbdl.program.functions import add
from nbdl.testing import (
    Check,
    check_plugin,
    check_unit,
    checks,
    checks_for,
    expected_failure,
    parametrize_with_checks,
    results,
    select,
)
from nbdl.testing.packages import project_of
from nbdl.units.entry import Owner
from nbdl.units.registry import registry

# -- what is said -------------------------------------------------------------------------------------------


def test_check_unit_says_all_that_is_wrong_where_and_how_to_see_it_alone() -> None:
    planted = entry("layers", Dice, doc="Nothing.")
    with pytest.raises(AssertionError) as caught:
        check_unit(planted)
    text = str(caught.value)
    assert re.match(r"\d of \d+ checks failed:\n", text)
    assert "layers planted(): documented: the docstring has no line" in text
    assert "layers planted(): same each time: it draws from random" in text
    assert re.search(r"planted/layers\.py:\d+\)", text)
    alone = """    alone: python -c 'from nbdl.testing import check_unit; check_unit("layers/planted", "documented")'"""
    assert alone in text.splitlines()


def test_a_unit_can_be_named_and_its_checks_too() -> None:
    planted = entry("layers", Dice, name="planted_dice")
    with Registered(planted):
        check_unit("layer/planted_dice", "documented")
        with pytest.raises(AssertionError, match=r"^1 of 1 checks failed"):
            check_unit("layers/planted_dice", "same each time")
    with pytest.raises(KeyError, match=r"no check 'documentd'\. Did you mean 'documented'\?"):
        select("documentd")


def test_an_error_of_the_units_own_is_the_cause() -> None:
    class Failing(Plain):
        def forward(self, r: Any, x: Any) -> Any:
            raise ZeroDivisionError("mine")

    planted = entry("layers", Failing)
    with pytest.raises(AssertionError, match="ZeroDivisionError: mine") as caught:
        named(planted, "derivative")(planted)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_units_own_asserts_are_told_without_what_pytest_adds() -> None:
    def fails(subject: Any) -> None:
        raise AssertionError("it is so\nassert not True")

    with pytest.raises(AssertionError, match=r"mine: it is so( \(.*\))?$"):
        Check("mine", fails, KINDS)(HEALTHY["a layer"])


def test_a_check_is_skipped_only_where_it_looks_at_nothing() -> None:
    planted = entry("activations", smooth, smooth_slope)
    twice = replace(planted, options={"examples": ({},)})
    calls: list[str] = []

    def first_only(subject: Any) -> None:
        calls.append("")
        if len(calls) % 2:
            raise SkipTest("not here")

    one = Check("mine", first_only, KINDS)
    with pytest.raises(SkipTest, match="not here"):
        one(planted)
    calls.clear()
    one(twice)


# -- expected failures --------------------------------------------------------------------------------------


def test_expected_failures() -> None:
    failures = {"draws only from the stream": "on purpose", "documented": "lazy"}
    known = entry("layers", Unscaled, expected_failures=failures, doc="Drops.")
    check = named(known, "draws only from the stream")
    assert expected_failure(known, check) == "on purpose"
    check_unit(known)
    outcomes = {one.check.name: one.outcome for one in results([known])}
    assert {name for name, outcome in outcomes.items() if outcome == "expected failure"} == set(failures)
    mended = entry("activations", smooth, smooth_slope, expected_failures={"derivative": "was wrong"})
    with pytest.raises(AssertionError, match="passes, though an expected failure is registered"):
        check_unit(mended)
    marks = parametrize_with_checks([known]).args[1]
    assert {parameter.values[1].name for parameter in marks if parameter.marks} == set(failures)
    assert all(mark.kwargs["strict"] for parameter in marks for mark in parameter.marks)


def test_a_unit_that_needs_arguments_must_have_examples() -> None:
    class Needy(Plain):
        def __init__(self, size: int) -> None:
            self.size = size

    with pytest.raises(AssertionError, match="needs size: register it with examples"):
        check_unit(entry("layers", Needy))


# -- options ------------------------------------------------------------------------------------------------


def test_every_option_in_use_is_known() -> None:
    for unit in registry.entries():
        assert options.unknown_option(unit.kind, unit.options) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_option_is_told(kind: str) -> None:
    text = options.unknown_option(kind, ["expected_failure"])
    assert text == f"{kind} have no option 'expected_failure'. Did you mean 'expected_failures'?"


def test_options_that_are_for_tests_are_read_by_checks() -> None:
    folder = Path(nbdl.testing.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    for option in (one for one in options.OPTIONS if one.for_tests):
        assert re.search(rf"""options(\.get\(|\[)"{option.name}\"""", text), option.name


def test_checks_read_no_option_that_is_not_listed() -> None:
    folder = Path(nbdl.testing.__file__).parent
    pattern = re.compile(r"""options(?:\.get\(|\[)"(\w+)\"""")
    read = {name for path in folder.glob("*.py") for name in pattern.findall(path.read_text())}
    assert read - {"from_logits"} <= {option.name for option in options.OPTIONS}


# -- whole packages -----------------------------------------------------------------------------------------

CUBE = """
    from nbdl import hookimpl

    def f(x):
        '''A cube.

        Formula: y = x³.

        Source: nowhere.
        '''
        return x * x * x

    def df(x, y):
        return 3.0 * x * x

    @hookimpl
    def register_activations(register):
        register("planted_cube", f, df)
    """
TEST = """
def test_units(nbdl_check):
    nbdl_check()
"""


def project(folder: Path, module: str = CUBE, test: str = TEST, name: str = "nbdl-planted", more: str = "") -> Path:
    """A project and, beside it, its distribution as pip would install it."""
    distributions.written(folder / "site", name, {"nbdl_planted.py": module}, {"planted": "nbdl_planted"})
    place = folder / "project"
    (place / "tests").mkdir(parents=True)
    (place / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\n[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n{more}'
    )
    (place / "tests" / "test_units.py").write_text(test)
    return place


def run(place: Path, *arguments: str, site: Path | None = None, **environment: str) -> str:
    """What pytest prints there."""
    from importlib.metadata import entry_points

    plugin = [] if entry_points(group="pytest11", name="nbdl") else ["-p", "nbdl.pytest_plugin"]
    command = ["-m", "pytest", "-p", "no:cacheprovider", "-rs", *plugin, *arguments]
    done = distributions.run(site or place.parent / "site", *command, cwd=place, **environment)
    return done.stdout + done.stderr


def test_the_fixture_finds_the_package_and_runs_its_checks(tmp_path: Path) -> None:
    said = run(project(tmp_path), "-v", "-k", "derivative or found or documented or CUDA", NUMBA_ENABLE_CUDASIM="0")
    assert "test_units[activations/planted_cube: derivative] PASSED" in said
    assert "test_units[distributions/nbdl-planted: units are found] PASSED" in said
    assert "3 passed, 1 skipped" in said
    assert "no GPU, and no simulator of one, which NUMBA_ENABLE_CUDASIM=1 is for" in said


def test_a_failure_is_told_in_two_lines(tmp_path: Path) -> None:
    said = run(project(tmp_path, CUBE.replace("3.0", "2.0")), "-k", "derivative")
    assert "1 failed" in said
    assert re.search(r"^activations planted_cube\(\): derivative: dx at .*nbdl_planted\.py:\d+\)$", said, re.MULTILINE)
    alone = "    alone: python -m pytest 'tests/test_units.py::test_units[activations/planted_cube: derivative]'"
    assert alone in said.splitlines()
    assert "Traceback" not in said


def test_an_expected_failure_that_passes_has_failed(tmp_path: Path) -> None:
    module = CUBE.replace("f, df)", 'f, df, expected_failures={"derivative": "steep"})')
    said = run(project(tmp_path, module), "-k", "derivative")
    assert "[XPASS(strict)] steep" in said


MISTAKES = {
    "import missing_module\n": "nbdl_planted cannot be loaded: ModuleNotFoundError: No module named 'missing_module'",
    "raise SystemExit(3)\n": "nbdl_planted cannot be loaded: SystemExit: 3",
    "x = 1\n": "nbdl-planted registers nothing: are its register_... functions marked with @nbdl.hookimpl?",
}


@pytest.mark.parametrize("module", MISTAKES)
@pytest.mark.parametrize("strict", ["0", "1"])
def test_a_package_without_units_is_one_failure_with_the_reason(tmp_path: Path, module: str, strict: str) -> None:
    said = run(project(tmp_path, module), NBDL_STRICT_PLUGINS=strict)
    assert "1 failed in" in said
    assert MISTAKES[module].removeprefix("nbdl_planted cannot be loaded: ") in said
    assert strict == "1" or MISTAKES[module] in said


def test_a_package_that_is_not_installed_or_switched_off_is_one_failure(tmp_path: Path) -> None:
    place = project(tmp_path)
    said = run(place, NBDL_DISABLE_PLUGINS="planted")
    assert "nbdl-planted is switched off by NBDL_DISABLE_PLUGINS or NBDL_LOAD_PLUGINS; unset them" in said
    said = run(place, site=tmp_path)
    assert "1 failed in" in said
    assert "nbdl-planted is not installed in this environment: `pip install -e .` in its folder" in said


def test_the_distribution_can_be_named(tmp_path: Path) -> None:
    place = project(tmp_path)
    only = ("-k", "found", "-v")
    said = run(place, "-o", "nbdl_distribution=nbdl-other", *only)
    assert "test_units[distributions/nbdl-other: units are found] FAILED" in said
    marked = '\nimport pytest\n@pytest.mark.nbdl_distribution("Nbdl_Planted")' + TEST
    (place / "pyproject.toml").unlink()
    (place / "tests" / "test_units.py").write_text(marked)
    assert "test_units[distributions/Nbdl_Planted: units are found] PASSED" in run(place, *only)
    (place / "tests" / "test_units.py").write_text(TEST)
    said = run(place, *only)
    assert "1 failed" in said
    assert "no pyproject.toml with a [project] name lies above the test's file" in said


def test_the_decorator_and_check_plugin_find_the_package_too(tmp_path: Path) -> None:
    test = """
from nbdl.testing import check_plugin, parametrize_with_checks

@parametrize_with_checks()
def test_units(entry, check):
    check(entry)

def test_all():
    check_plugin()
"""
    said = run(project(tmp_path, test=test), "-k", "found or documented or test_all")
    assert "3 passed" in said


def test_tests_are_the_same_on_several_workers(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    said = run(project(tmp_path), "-n", "2", "-k", "derivative or found or documented")
    assert "3 passed" in said


def test_check_plugin_tells_why_there_is_nothing() -> None:
    with pytest.raises(AssertionError, match="nbdl-nobody is not installed in this environment"):
        check_plugin("nbdl-nobody")
    with pytest.raises(AssertionError, match="pytest has no entry point of the group nbdl"):
        check_plugin("pytest")


def test_the_nearest_project_counts(tmp_path: Path) -> None:
    assert project_of(Path(__file__)) == "nbdl"
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "pyproject.toml").write_text('[project]\nname = "outer"\n')
    assert project_of(inner / "test_it.py") == "outer"
    (inner / "pyproject.toml").write_text('[project]\nname = "inner"\n')
    assert project_of(inner / "test_it.py") == "inner"
    (inner / "pyproject.toml").write_text("[project\n")
    assert project_of(inner / "test_it.py") == ""


def test_the_pytest_plugin_imports_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("import sys\ndef test_it():\n    print('>', sorted(sys.modules))\n")
    said = run(tmp_path, "-s", site=tmp_path)
    loaded = next(line for line in said.splitlines() if ">" in line)
    assert "'nbdl.pytest_plugin'" in loaded
    for module in ("numpy", "numba", "pluggy._nothing", "nbdl.testing", "nbdl.units.registry", "rich"):
        assert f"'{module}'" not in loaded


# -- the suite as a whole -----------------------------------------------------------------------------------


def test_names_of_checks_of_a_kind_are_different() -> None:
    for kind in KINDS:
        names = [one.name for one in checks() if kind in one.kinds]
        assert len(names) == len(set(names))


def test_checks_that_do_not_apply_are_left_out() -> None:
    assert "pair is one formula" not in {one.name for one in checks_for(HEALTHY["a loss"])}
    assert sys.modules["nbdl.testing"].__all__ == sorted(nbdl.testing.__all__, key=lambda n: (n.islower(), n))


def test_no_check_passes_by_looking_away() -> None:
    """What a check cannot look at it skips, with a reason."""
    for one in checks():
        function = ast.parse(inspect.getsource(inspect.unwrap(one.function)).lstrip()).body[0]
        returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
        assert not [node for node in returns if node.value is None], one.name


def test_no_check_sees_what_else_is_installed() -> None:
    from nbdl.testing.conduct import host, registered_model

    class First(Plain):
        """A layer that would do, and comes first."""

        def __init__(self, units: int = 2, kernel_initializer: str = "zeros", activation: Any = None) -> None:
            raise AssertionError("of another distribution")

    stranger = replace(entry("layers", First, name="A", examples=({},)), owner=Owner("a", "nbdl-stranger", ""))
    with Registered(stranger):
        assert host("activations")[0].owner.distribution == "nbdl"
        registered_model()


def test_numbers_are_changed_one_at_a_time_and_all_at_once() -> None:
    from nbdl.testing.arguments import moved, off_their_defaults, others
    from nbdl.testing.subject import Subject

    assert others(True) == (False,)
    assert others(4) == (5, 3, 8)
    assert others(0.9)[0] == pytest.approx(0.63), "a share stays one"

    class Choosy(Plain):
        def __init__(self, rate: float = 0.5, size: int = 4, fixed: bool = True, name_of: str = "x") -> None:
            if size > 4 or not fixed:
                raise ValueError("no")
            self.rate, self.size, self.fixed, self.name_of = rate, size, fixed, name_of

    unit = Subject(entry("layers", Choosy))
    assert moved(unit, "size").arguments == {"size": 3}
    everything = off_their_defaults(unit)
    assert everything is not None
    assert everything.arguments == {"rate": pytest.approx(0.75), "size": 3}


def test_an_argument_that_matters_only_with_another_matters() -> None:
    class Pushed(Plain):
        def __init__(self, push: float = 0.0, doubled: bool = False) -> None:
            self.push, self.doubled = push, doubled

        def forward(self, r: Any, x: Any) -> Any:
            return r.map(add, x, self.push * (2.0 if self.doubled else 1.0)), None

    planted = entry("layers", Pushed)
    named(planted, "arguments matter")(planted)
