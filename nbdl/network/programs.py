"""The programs of a model, and the executors that run them, each made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from nbdl.engine import select as executors
from nbdl.engine.cpu.threads import check_environment
from nbdl.engine.store import Floats
from nbdl.errors import ConfigError
from nbdl.network.recording import (
    Objective,
    derivative_program,
    evaluation_program,
    prediction_program,
    training_program,
)
from nbdl.network.setup import TrainingState
from nbdl.network.update import new_slots
from nbdl.program.recorder import Program

if TYPE_CHECKING:
    from nbdl.engine.nets.net import Net
    from nbdl.model.sequential import Sequential

EXECUTORS = 16  # that a model keeps
WORK_FLOATS = 1 << 21  # evaluation and prediction take as many rows at once as keep the work area near this
GPU_WORK_FLOATS = 1 << 26  # a GPU has no such cache, and is idle with few rows


def record(model: Sequential, what: str) -> Program:
    """The program of a model: "predict", "derivative", "evaluate" or "train"."""
    model.build()
    return _refuse_foreign(_record(model, what), model)


def _record(model: Sequential, what: str) -> Program:
    shape = model._known_input_shape()
    if what == "predict":
        return prediction_program(model.layers, shape, model._shapes)
    if what == "derivative":
        return derivative_program(model.layers, shape, model.output_shape)
    compiled = model._compiled()
    objective = Objective(compiled.loss, compiled.metrics)
    target_shape = compiled.loss.target_shape(model.output_shape)
    if what == "evaluate":
        return evaluation_program(model.layers, shape, target_shape, objective, model.store)
    if what == "train":
        layers, optimizer = model.layers, compiled.optimizer
        return training_program(layers, shape, target_shape, objective, optimizer, model.store, model._shapes)
    raise ConfigError(f"program: 'predict', 'derivative', 'evaluate' or 'train', got {what!r}")


def _refuse_foreign(program: Program, model: Sequential) -> Program:
    """A layer knows the weights of one model, the one that was built last: their places are in that one's store."""
    own = {id(weight.tensor) for weight in model.weights}
    for operation in program.operations:
        for tensor in (*operation.inputs, *operation.outputs):
            if tensor.space == "weight" and operation.phase != "update" and id(tensor.storage) not in own:
                raise ConfigError(
                    f"layer {operation.layer!r} was put into another model after {model.name!r}, and its weights went "
                    "with it: give each model layers of its own; set_weights copies values"
                )
    return program


def executor(
    model: Sequential,
    what: str,
    rows: int,
    gathered: Sequence[str | None],
    slots: Floats | None = None,
    device: str | None = None,
) -> executors.Executor:
    """The executor of a model's program, made once for each kind of batch on each device (by default the model's)."""
    checked, on = executors.checked(), (model.device if device is None else device, model.precision)
    place = 0 if slots is None else slots.ctypes.data
    key = (what, rows, tuple(gathered), executors.device(), *on, checked, _rule(model, what), place)
    found: executors.Executor | None = model._executors.get(key)
    if found is None:
        check_environment()
        make = executors.make_checked if checked else executors.make
        _forget_older(model)
        found = model._executors[key] = make(recorded(model, what), model.store, rows, gathered, slots, *on)
    return found


def _forget_older(model: Sequential) -> None:
    """Keep the last few executors: each has memory for its rows, and there may be batches of any number of them."""
    kept = [key for key in model._executors if key[0] in ("train", "evaluate", "predict", "derivative")]
    for key in kept[: 1 - EXECUTORS]:
        del model._executors[key]


def net(model: Sequential, derivatives: bool = False) -> Net:
    """The model for compiled code, made once."""
    model.build()
    key = ("net", derivatives)
    if key not in model._executors:
        model._executors[key] = _make_net(model, derivatives)
    return cast("Net", model._executors[key])


def quick_net(model: Sequential) -> Net | None:
    """The net that predicts a few rows; None where it cannot, or where every result is to be looked at."""
    plain = executors.device() != "cpu" or executors.checked() or recorded(model, "predict").draws is not None
    return None if plain else net(model)


def net_of_rows(model: Sequential) -> Net | Literal[False]:
    """The quick net where a row of inputs and one of outputs are vectors, found once."""
    model.build()
    vectors = len(model.input_shape or ()) == len(model.output_shape) == 1
    found: Net | Literal[False] = (quick_net(model) if vectors else None) or False
    model._executors["net of rows"] = found
    return found


def _make_net(model: Sequential, derivatives: bool) -> Any:
    layer = recorded(model, "predict").draws
    if layer is not None:
        raise ConfigError(f"layer {layer!r} draws random numbers when it predicts, which compiled code cannot")
    if executors.device() == "reference":
        from nbdl.engine.nets.plain import PlainNet

        return PlainNet(model, derivatives)
    check_environment()
    import nbdl.engine.nets.numba_type  # noqa: F401 - tells Numba of the type
    from nbdl.engine.nets.net import Net
    from nbdl.engine.nets.plans import Plans

    backward = recorded(model, "derivative") if derivatives else None
    return Net(Plans(model.store, recorded(model, "predict"), backward))


def recorded(model: Sequential, what: str) -> Program:
    """The program of a model, recorded once; all its executors share it."""
    key = ("program", what, _rule(model, what))
    found = model._executors.get(key)
    if found is None:
        found = model._executors[key] = record(model, what)
    assert isinstance(found, Program)
    return found


def _rule(model: Sequential, what: str) -> Any:
    """What a program depends on that may change without a new `compile`: the optimizer's rule, the frozen layers."""
    if what not in ("train", "evaluate"):
        return None
    frozen = tuple(number for number, layer in enumerate(model.layers) if not layer.trainable)
    return frozen, model.optimizer.rule() if what == "train" else None


def rows_at_once(program: Program, rows: int, device: str = "cpu") -> int:
    """Rows per step of evaluation and prediction: a power of two that suits the device, not above what is needed."""
    floats, limit = (WORK_FLOATS, 1 << 12) if device == "cpu" else (GPU_WORK_FLOATS, 1 << 15)
    most = max(32, min(limit, floats // max(1, program.row_floats)))
    most = 1 << (most.bit_length() - 1)
    return min(most, max(1, 1 << max(0, rows - 1).bit_length()))


def training_state(model: Sequential) -> TrainingState:
    """The optimizer's slots and counters, made at the first fit.

    Raises:
        ConfigError: the optimizer was changed and needs other slots than it was compiled with.
    """
    names, state = model.optimizer.all_slots(), model.training_state
    if state is None:
        state = TrainingState(new_slots(model.optimizer, names, model.store.trainable_size), names)
        model.training_state = state
    if state.slot_names != names:
        raise ConfigError(
            f"the optimizer now keeps {', '.join(names) or 'nothing'} for each weight, and when the model was compiled "
            f"it was {', '.join(state.slot_names) or 'nothing'}: compile the model again"
        )
    return state
