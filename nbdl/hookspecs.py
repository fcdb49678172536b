"""The whole plugin contract, on one page.

A plugin is a module (or a package, every module of which is read, except `__main__`, `conftest`,
`tests` and `test_*`) named by an entry point of the group `nbdl`. It implements any of these hooks;
each receives `register`, a function that takes a name and what is registered under it, checks it at
once, and refuses a name that is taken:

    from nbdl import hookimpl

    @hookimpl
    def register_activations(register):
        register("softplus", f, df)

Everywhere `aliases=("mse", ...)` adds further names; the other options are in `nbdl.options`. Names
are compared without case and underscores: "mean_squared_error" is also found as "MeanSquaredError".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

Register = Callable[..., None]

VERSION = "1.2"  # of this page: its first number grows when a plugin must change, its second when something is added

hookimpl = pluggy.HookimplMarker("nbdl")


def hookspec(since: str, deprecated: str = "") -> Callable[[Register], Register]:
    """A specification of this page.

    Args:
        since: the page's version that brought it.
        deprecated: what to use instead; whoever implements it is warned.
    """

    def specified(function: Register) -> Register:
        function.since = since  # type: ignore[attr-defined]
        text = f"the hook {function.__name__} is deprecated: {deprecated}"
        warning = DeprecationWarning(text) if deprecated else None
        return pluggy.HookspecMarker("nbdl")(function, historic=True, warn_on_impl=warning)

    return specified


@hookspec(since="1.0")
def register_layers(register: Register) -> None:
    """`register("Dense", Dense)`: a subclass of `nbdl.Layer`."""


@hookspec(since="1.0")
def register_activations(register: Register) -> None:
    """`register("relu", f, df)`: scalar `f(x, ...)` and `df(x, y, ...)`; or a subclass of `Activation`."""


@hookspec(since="1.0")
def register_losses(register: Register) -> None:
    """`register("mse", f, df)`: scalar `f(y, p, ...)` and `df(y, p, ...)`; or a subclass of `Loss`.

    `pairs={"sigmoid": Pair}` declares the formula that replaces loss and last activation;
    `targets="probabilities"` refuses targets outside 0..1, "signs" outside -1..1, "positive" below 0."""


@hookspec(since="1.0")
def register_optimizers(register: Register) -> None:
    """`register("Adam", Adam)`: a subclass of `Optimizer`; `default=True` for what `compile()` takes."""


@hookspec(since="1.0")
def register_regularizers(register: Register) -> None:
    """`register("l2", penalty, gradient)`: scalar `penalty(w, ...)` and `gradient(w, ...)`."""


@hookspec(since="1.0")
def register_initializers(register: Register) -> None:
    """`register("glorot_uniform", GlorotUniform)`: a subclass of `Initializer`."""


@hookspec(since="1.0")
def register_constraints(register: Register) -> None:
    """`register("non_neg", project)`: scalar `project(w, ...)`; or a subclass of `Constraint`."""


@hookspec(since="1.0")
def register_metrics(register: Register) -> None:
    """`register("accuracy", Accuracy)`: a subclass of `Metric`; or scalar `f(y, p, ...)`, for its mean."""


@hookspec(since="1.0")
def register_callbacks(register: Register) -> None:
    """`register("EarlyStopping", EarlyStopping)`: a subclass of `nbdl.Callback`."""


@hookspec(since="1.0")
def register_schedules(register: Register) -> None:
    """`register("ExponentialDecay", ExponentialDecay)`: a subclass of `Schedule`: learning rate by step."""


@hookspec(since="1.0")
def register_datasets(register: Register) -> None:
    """`register("digits", load, task=..., classes=..., description=..., recipe=...)`.

    `load()` returns `(x_train, y_train), (x_test, y_test)`. It may take `folder=None`, where its files are, and
    `download=False`: the command line offers them then. `recipe` holds the command line's defaults for it."""


@hookspec(since="1.0")
def register_readers(register: Register) -> None:
    """`register("csv", read, suffixes=(".csv",))`: `read(source, **options)` returns a `Table` or `Arrays`."""


@hookspec(since="1.0")
def register_exporters(register: Register) -> None:
    """`register("c", export, suffixes=(".c",))`: `export(model, path, **options)` writes a file.

    It may return a line for the shell that tries the file, which `nbdl export` prints."""


@hookspec(since="1.0")
def register_recipes(register: Register) -> None:
    """`register("dense_classifier", recipe, default_for="classification", epochs=200, ...)`: what
    `nbdl train` does where the user leaves the choice.

    `recipe(request)` turns a `nbdl.recipe.Request` into a `Plan`; the options are default settings."""


@hookspec(since="1.0")
def register_templates(register: Register) -> None:
    """`register("activation", write, description="...")`: a package for `nbdl plugins new --kind activation`.

    `write(request)` takes a `nbdl.plugins.scaffold.Request` and returns the texts of files by their relative names."""


@hookspec(since="1.0")
def register_commands(register: Register) -> None:
    """`register("name", "module:object", help="...")`: a click command, imported when it is called.

    `register("plugins name", ...)` adds it to the group `nbdl plugins`."""


KINDS: tuple[str, ...] = tuple(
    name.removeprefix("register_") for name in list(globals()) if name.startswith("register_")
)


def specifications() -> dict[str, Any]:
    """Every hook by name, in the order of this page."""
    return {f"register_{kind}": globals()[f"register_{kind}"] for kind in KINDS}
