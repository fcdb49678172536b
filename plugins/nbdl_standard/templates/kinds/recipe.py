"""my_unit: one wide layer with dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl

if TYPE_CHECKING:
    from nbdl.recipe import Plan, Request


# Your net. What the user asked for comes first; what is None or empty there is yours to choose.
def recipe(request: Request) -> Plan:
    """Return the layers, and what `compile` and `fit` are given.

    Args:
        request: the task, the sizes of the data, and what the user asked for.
    """
    from nbdl.callbacks import EarlyStopping
    from nbdl.layers import Dense, Dropout, Input
    from nbdl.recipe import Plan, Stage
    from nbdl.units.registry import registry

    settings, classes = request.settings, request.task == "classification"
    *hidden, last = request.stages or (Stage(max(64, 4 * request.outputs)), Stage(request.outputs))
    layers: list[Any] = [Input(shape=(request.inputs,))]
    for stage in hidden:
        layers += [Dense(stage.units, activation=stage.activation or "relu"), Dropout(settings.dropped or 0.2)]
    layers.append(Dense(last.units, activation=last.activation or ("softmax" if classes else "linear")))
    patience = settings.patience if request.validated else None
    return Plan(
        title="-".join(str(part) for part in (request.inputs, *hidden, last)),
        layers=layers,
        loss=settings.loss or ("sparse_categorical_crossentropy" if classes else "mean_squared_error"),
        optimizer=registry.get("optimizers", settings.optimizer or "adam").target(learning_rate=settings.lr or 0.002),
        metrics=["accuracy"] if classes else [],
        callbacks=[EarlyStopping("val_loss", patience=patience)] if patience else [],
    )


@hookimpl
def register_recipes(register: Any) -> None:
    # Settings for what is not given on the command line; default_for="classification" makes it the task's default.
    register("my_unit", recipe, epochs=30, batch_size=64)
