"""nbdl's pytest plugin: the fixture `nbdl_check`, which goes through a package's units and the checks that apply.

    def test_units(nbdl_check):
        nbdl_check()

is a plugin's whole test file. The package is the project that the file belongs to, by the nearest pyproject.toml;
`nbdl_distribution = "nbdl-mine"` in pytest's configuration, or `@pytest.mark.nbdl_distribution("nbdl-mine")` at a test,
says otherwise. Nothing of nbdl is imported unless a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nbdl.testing import Check
    from nbdl.units.entry import Entry

FIXTURE, OPTION = "nbdl_check", "nbdl_distribution"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(OPTION, f"the distribution whose units {FIXTURE} goes through", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line("markers", f"{OPTION}(name): the distribution whose units {FIXTURE} goes through")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each check of each unit."""
    if FIXTURE not in metafunc.fixturenames:
        return
    from nbdl.testing.packages import project_of
    from nbdl.testing.user import cases, chosen

    marker = metafunc.definition.get_closest_marker(OPTION)
    named = str(marker.args[0]) if marker is not None and marker.args else str(metafunc.config.getini(OPTION))
    pairs = cases(chosen(named or project_of(metafunc.definition.path)))
    metafunc.parametrize(FIXTURE, [pytest.param(p.values, marks=p.marks, id=p.id) for p in pairs], indirect=True)


@pytest.fixture
def nbdl_check(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """One check of one unit of the package under test: call it.

    What a check says is all that is shown of a failure; of an error in the unit's own code there is a traceback.
    """
    entry: Entry
    check: Check
    entry, check = request.param
    called = False

    def run() -> None:
        __tracebackhide__ = True
        nonlocal called
        called = True
        try:
            return check(entry)
        except AssertionError as error:
            if error.__cause__ is not None:
                raise
            text = str(error)
        pytest.fail(f"{text}\n    alone: python -m pytest '{request.node.nodeid}'", pytrace=False)

    yield run
    if not called:
        pytest.fail("nothing was checked: the test must call it, nbdl_check()", pytrace=False)
