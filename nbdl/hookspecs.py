"""The whole plugin contract, on one page.

A plugin is a module (or a package, every module of which is read, except `__main__`, `conftest`,
`tests` and `test_*`) named by an entry point of the group `nbdl`. It implements any of these hooks;
each receives `register`, a function that takes a name and what is registered under it, checks it at
once, and refuses a name that is taken:

    from nbdl import hookimpl

    @hookimpl
    def register_activations(register):
        register("softplus", f, df)

Everywhere `aliases=("mse", ...)` adds further names. Names are compared without case and
underscores, so "mean_squared_error" is also found as "MeanSquaredError".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

Register = Callable[..., None]

hookspec = pluggy.HookspecMarker("nbdl")
hookimpl = pluggy.HookimplMarker("nbdl")


@hookspec(historic=True)
def register_layers(register: Register) -> None:
    """`register("Dense", Dense)`: a subclass of `nbdl.Layer`."""


@hookspec(historic=True)
def register_activations(register: Register) -> None:
    """`register("relu", f, df)`: scalar `f(x, ...)` and `df(x, y, ...)`; or a subclass of `Activation`."""


@hookspec(historic=True)
def register_losses(register: Register) -> None:
    """`register("mse", f, df)`: scalar `f(y, p, ...)` and `df(y, p, ...)`; or a subclass of `Loss`.

    `pairs={"sigmoid": Pair}` declares the formula that replaces loss and last activation;
    `targets="probabilities"` refuses targets outside 0..1, "signs" outside -1..1, "positive" below 0."""


@hookspec(historic=True)
def register_optimizers(register: Register) -> None:
    """`register("Adam", Adam)`: a subclass of `Optimizer`; `default=True` for what `compile()` takes."""


@hookspec(historic=True)
def register_regularizers(register: Register) -> None:
    """`register("l2", penalty, gradient)`: scalar `penalty(w, ...)` and `gradient(w, ...)`."""


@hookspec(historic=True)
def register_initializers(register: Register) -> None:
    """`register("glorot_uniform", GlorotUniform)`: a subclass of `Initializer`."""


@hookspec(historic=True)
def register_constraints(register: Register) -> None:
    """`register("non_neg", project)`: scalar `project(w, ...)`; or a subclass of `Constraint`."""


@hookspec(historic=True)
def register_metrics(register: Register) -> None:
    """`register("accuracy", Accuracy)`: a subclass of `Metric`; or scalar `f(y, p, ...)`, for its mean."""


@hookspec(historic=True)
def register_callbacks(register: Register) -> None:
    """`register("EarlyStopping", EarlyStopping)`: a subclass of `nbdl.Callback`."""


@hookspec(historic=True)
def register_schedules(register: Register) -> None:
    """`register("ExponentialDecay", ExponentialDecay)`: a subclass of `Schedule`: learning rate by step."""


@hookspec(historic=True)
def register_datasets(register: Register) -> None:
    """`register("digits", load, task=..., classes=..., description=..., recipe=...)`.

    `load(folder=None)` returns `(x_train, y_train), (x_test, y_test)`; `recipe` holds the command
    line's defaults for it."""


@hookspec(historic=True)
def register_readers(register: Register) -> None:
    """`register("csv", read, suffixes=(".csv",))`: `read(source, **options)` returns a `Table` or `Arrays`."""


@hookspec(historic=True)
def register_exporters(register: Register) -> None:
    """`register("c", export, suffixes=(".c",))`: `export(model, path, **options)` writes a file."""


@hookspec(historic=True)
def register_recipes(register: Register) -> None:
    """`register("dense_classifier", recipe, default_for="classification", epochs=200, ...)`: what
    `nbdl train` does where the user leaves the choice.

    `recipe(request)` turns a `nbdl.cli.recipe.Request` into a `Plan`; the options are default settings."""


@hookspec(historic=True)
def register_commands(register: Register) -> None:
    """`register("name", "module:object", help="...")`: a click command, imported when it is called."""


KINDS: tuple[str, ...] = tuple(
    name.removeprefix("register_") for name in list(globals()) if name.startswith("register_")
)


def specifications() -> dict[str, Any]:
    """Every hook by name, in the order of this page."""
    return {f"register_{kind}": globals()[f"register_{kind}"] for kind in KINDS}
