"""What `nbdl plugins new` writes: a package of one unit, of each kind.

In `package` lies what all of them have; in `kinds` of each kind the module, how it is used, and a test where the
conformance suite has little to say. All are written for a unit called my_unit, and work as they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbdl import hookimpl
from nbdl.errors import ConfigError

if TYPE_CHECKING:
    from nbdl.plugins import Request

KINDS = {
    "activation": "y = f(x), element by element: two formulas",
    "loss": "what is minimised: two formulas of target and prediction",
    "optimizer": "how weights are changed: a formula, and its scalars of each step",
    "regularizer": "a penalty on weights: two formulas",
    "constraint": "where weights must lie: a formula",
    "initializer": "first values of weights",
    "layer": "weights, and operations on rows: map, sum, gemm, kernel",
    "metric": "a figure to look at: a formula of target and prediction",
    "callback": "what is done during training",
    "schedule": "a learning rate for each step",
    "dataset": "data by name, for `nbdl train NAME`",
    "reader": "a file format to train from",
    "exporter": "a file format to write models as",
    "recipe": "the net that `nbdl train` builds when told nothing",
    "command": "a command of `nbdl`",
    "template": "a kind of package for `nbdl plugins new`",
}
SHARED = {  # files of a package by name: those in `package`
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore",
    ".github/workflows/test.yml": "test.yml",
    "tests/test_my_unit.py": "test_units.py",
}


def template(kind: str) -> Callable[[Request], dict[str, str]]:
    """Return what writes the packages of a kind."""

    def write(request: Request) -> dict[str, str]:
        """Return the files of a package by name.

        Args:
            request: what the package is called.

        Raises:
            ConfigError: The class would be called as something that the module uses.
        """
        files = {}
        for name, text in texts(kind).items():
            if "class MyUnit" in text and re.search(rf"\b{request.class_name}\b", text):
                raise ConfigError(f"{request.class_name} is something else in that module; choose another name")
            files[request.filled(name)] = request.filled(text)
        return files

    return write


def texts(kind: str) -> dict[str, str]:
    """Return the files of a kind's package, for my_unit."""
    from importlib import resources

    here = resources.files(__package__)
    own = here / "kinds"
    sources = {"nbdl_my_unit.py": own / f"{kind}.py"}
    sources |= {name: here / "package" / source for name, source in SHARED.items()}
    if (own / f"{kind}_test.py").is_file():
        sources["tests/test_my_unit.py"] = own / f"{kind}_test.py"
    use = (own / f"{kind}.md").read_text(encoding="utf-8")
    return {name: source.read_text(encoding="utf-8").replace("<!-- use -->\n", use) for name, source in sources.items()}


@hookimpl
def register_templates(register: Any) -> None:
    for kind, description in KINDS.items():
        register(kind, template(kind), description=description)
