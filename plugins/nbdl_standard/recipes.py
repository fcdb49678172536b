"""Recipes: the nets that `nbdl train` builds when it is told nothing, and how it reads what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbdl import hookimpl

if TYPE_CHECKING:
    from nbdl.recipe import Plan, Request, Stage

HIDDEN = (64, 64)
SQUARES = "mean_squared_error"
TABLE = {"epochs": 200, "batch_size": 32, "patience": 20, "validation_split": 0.2, "test_split": 0.2}


def classifier(request: Request) -> Plan:
    """A net of Dense layers for classes: relu, then softmax with one output per class.

    Args:
        request: the data's sizes, and what the user asked for.
    """
    stages = completed(request, "softmax")
    return planned(request, stages, request.settings.loss or class_loss(stages[-1]), ["accuracy"])


def regressor(request: Request) -> Plan:
    """A net of Dense layers for values: relu, then outputs without activation and the mean squared error.

    Args:
        request: the data's sizes, and what the user asked for.
    """
    from nbdl.plugins import unit_text

    stages = completed(request, "linear")
    loss = request.settings.loss or SQUARES
    return planned(request, stages, loss, [] if unit_text.entry("losses", loss).name == SQUARES else [SQUARES])


def completed(request: Request, last: str) -> tuple[Stage, ...]:
    """The layers asked for, or this recipe's, with the activations that were left open filled in."""
    from nbdl.recipe import Stage

    stages = request.stages or tuple(Stage(units) for units in (*HIDDEN, request.outputs))
    if last == "softmax" and stages[-1].units == 1:
        last = "sigmoid"
    return (
        *(Stage(stage.units, stage.activation or "relu") for stage in stages[:-1]),
        Stage(stages[-1].units, stages[-1].activation or last),
    )


def class_loss(last: Stage) -> str:
    """The loss that fits the last activation."""
    name = last.unit().unit_name
    if name == "softmax":
        return "sparse_categorical_crossentropy"
    return "binary_crossentropy" if name == "sigmoid" else "mean_squared_error"


def planned(request: Request, stages: tuple[Stage, ...], loss: str, metrics: list[str]) -> Plan:
    """The plan for layers that are settled."""
    from nbdl.plugins import unit_text
    from nbdl.recipe import Plan

    settings = request.settings
    return Plan(
        title="-".join(str(part) for part in (request.inputs, *stages)),
        layers=layers(request.inputs, stages, settings.dropped or 0.0, settings.penalty or 0.0),
        loss=unit_text.unit("losses", loss),
        optimizer=unit_text.unit("optimizers", settings.optimizer or "adam", learning_rate=settings.lr),
        metrics=metrics,
        callbacks=[*early_stopping(request), *clock(request)],
    )


def layers(inputs: int, stages: tuple[Stage, ...], dropout: float, l2: float) -> list[Any]:
    """Dense layers, with dropout after each hidden one."""
    from nbdl.units.registry import registry
    from nbdl_standard.layers.dense import Dense
    from nbdl_standard.layers.dropout import Dropout
    from nbdl_standard.layers.input import Input

    made: list[Any] = [Input(shape=(inputs,))]
    for number, stage in enumerate(stages, 1):
        penalty = registry.get("regularizers", "l2").target(l2=l2) if l2 else None
        made.append(Dense(stage.units, activation=stage.unit(), kernel_regularizer=penalty))
        if dropout and number < len(stages):
            made.append(Dropout(dropout))
    return made


def early_stopping(request: Request) -> list[Any]:
    """Stop when the validation loss no longer falls, and go back to the best weights."""
    from nbdl.units.registry import registry

    if not (request.validated and request.settings.patience):
        return []
    stop = registry.get("callbacks", "EarlyStopping").target
    return [stop(monitor="val_loss", patience=request.settings.patience, restore_best_weights=True)]


def clock(request: Request) -> list[Any]:
    """Stop when the time is up."""
    from nbdl.units.registry import registry

    limit = request.settings.max_time
    return [] if limit is None else [registry.get("callbacks", "MaxTime").target(limit)]


@hookimpl
def register_recipes(register: Any) -> None:
    register("dense_classifier", classifier, default_for="classification", **TABLE)
    register("dense_regressor", regressor, default_for="regression", **TABLE)
