"""Every example in a docstring of nbdl and its standard units, run as written."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

PACKAGES = ("nbdl", "nbdl_standard")


def modules() -> Iterator[str]:
    """The names of all modules."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield name
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not info.name.endswith("__main__"):
                yield info.name


FOUND = list(modules())
ran: dict[str, int] = {}


@pytest.mark.parametrize("name", FOUND)
def test_the_examples_hold(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbdl.network import seeds as seeding

    monkeypatch.setattr(seeding, "_state", {})  # an example may call set_random_seed
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").split(".")[0] in PACKAGES:
            raise
        pytest.skip(f"needs {error.name}")
    results = doctest.testmod(module)
    ran[name] = results.attempted
    assert results.failed == 0


def test_there_are_examples() -> None:
    assert "nbdl.model.sequential" in FOUND
    assert "nbdl_standard.layers.dense" in FOUND
    if len(ran) == len(FOUND):
        assert sum(ran.values()) > 20
