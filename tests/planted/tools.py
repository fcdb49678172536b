"""Callbacks, recipes, templates and commands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import numpy as np

from nbdl import Callback
from planted.defect import DOC, Defect, entry

# -- callbacks --------------------------------------------------------------------------------------------


class Watching(Callback):
    """Keeps the figures."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.seen: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(logs)


class Misspelt(Watching):
    def on_epoch_ends(self, epoch: int, logs: Any = None) -> None: ...


class Narrow(Watching):
    def on_epoch_begin(self, epoch: int) -> None: ...


class Counting(Callback):
    """Stops after two epochs, and never counts from 0 again."""

    def __init__(self) -> None:
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs += 1
        self.model.stop_training = self.epochs >= 2


class Shaking(Callback):
    """Moves the weights at random, from no seed."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.model.set_weights([w + np.random.default_rng().normal(size=w.shape) for w in self.model.get_weights()])


# -- recipes ----------------------------------------------------------------------------------------------


def planned(request: Any, units: int | None = None, rate: float = 0.05, sizes: tuple[int, ...] | None = None) -> Any:
    from nbdl.recipe import Plan
    from nbdl.testing.own import Product
    from nbdl.units.registry import registry

    wanted = [stage.units for stage in request.stages] or [8, units or request.outputs]
    layers = [Product(size) for size in sizes or wanted]
    layers[0].set_input_shape((request.inputs,))
    optimizer = registry.get("optimizers", "sgd").target(rate)
    return Plan("a net", layers, registry.get("losses", "mse").target(), optimizer, [], [])


def recipe(request: Any) -> Any:
    """A net for values."""
    return planned(request)


def of_one_output(request: Any) -> Any:
    return planned(request, 1)


def stubborn(request: Any) -> Any:
    return planned(request, sizes=(9, request.outputs))


def standing_still(request: Any) -> Any:
    return planned(request, rate=0.0)


# -- templates --------------------------------------------------------------------------------------------

PROJECT = '[project]\nname = "nbdl-a-trial"\nversion = "0.1"\n[project.entry-points.nbdl]\na = "nbdl_a"\n'
PACKAGE = {
    "pyproject.toml": PROJECT,
    "README.md": "A trial.\n",
    "src/nbdl_a.py": "a = 1\n",
    "tests/test_a.py": "import nbdl_a\n",
}


def template(changed: dict[str, str | None] | None = None, doc: str | None = DOC) -> Any:
    """A template of those files, some of them changed or left out."""
    files = {name: text for name, text in {**PACKAGE, **(changed or {})}.items() if text is not None}

    def write(request: Any) -> dict[str, str]:
        return dict(files)

    return entry("templates", write, doc=doc)


# -- commands ---------------------------------------------------------------------------------------------


@click.command()
@click.option("--loud", is_flag=True, help="Print more.")
def good(loud: bool) -> None:
    """Print something."""


@click.command()
@click.option("--loud", is_flag=True)
def wordless(loud: bool) -> None:
    """Print something."""


@click.command(add_help_option=False)
def helpless() -> None:
    """Print something."""


def command(target: str, name: str = "planted", help: str = "Print something.") -> Any:
    return entry("commands", f"planted.tools:{target}", name=name, help=help)


RECIPE = entry("recipes", recipe, default_for="regression")

HEALTHY = {
    "a callback": entry("callbacks", Watching),
    "a recipe": RECIPE,
    "a template": template(),
    "a command": command("good"),
}

DEFECTS = [
    Defect("a misspelt hook", "hooks exist", entry("callbacks", Misspelt)),
    Defect("a hook that takes too little", "hooks exist", entry("callbacks", Narrow)),
    Defect("a count that goes on", "accompanies training", entry("callbacks", Counting)),
    Defect("an unseeded random in a callback", "accompanies training", entry("callbacks", Shaking)),
    Defect("another number of outputs", "plans a net that trains", entry("recipes", of_one_output)),
    Defect("layers that were not asked for", "plans a net that trains", entry("recipes", stubborn)),
    Defect("a net that does not learn", "plans a net that trains", entry("recipes", standing_still)),
    Defect("a setting that is none", "plans a net that trains", replace(RECIPE, options={"epoch": 3})),
    Defect("no test", "writes a package", template({"tests/test_a.py": None})),
    Defect("no entry point", "writes a package", template({"pyproject.toml": '[project]\nname = "a"\n'})),
    Defect("an entry point without its module", "writes a package", template({"src/nbdl_a.py": None})),
    Defect("Python that cannot be parsed", "writes a package", template({"src/nbdl_a.py": "a = = 1\n"})),
    Defect("a name left to fill in", "writes a package", template({"src/nbdl_a.py": "my_unit = 1\n"})),
    Defect("a file outside of the package", "writes a package", template({"../b.py": "b = 1\n"})),
    Defect("a module that is not there", "is a command", command("missing")),
    Defect("a function that is no command", "is a command", command("template")),
    Defect("a built-in command's name", "is a command", command("good", name="train")),
    Defect("no --help", "is a command", command("helpless")),
    Defect("a command without a line of help", "documented", command("good", help="")),
    Defect("an option without help", "documented", command("wordless")),
    Defect("a template without a docstring", "documented", template(doc=None)),
]
