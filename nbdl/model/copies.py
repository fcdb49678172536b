"""Copies of a model: deepcopy, pickle and Keras's clone_model. Class and attributes of a user's subclass stay."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

from nbdl.errors import ConfigError
from nbdl.model.model_file import model_bytes, model_from_bytes
from nbdl.model.owner import Owner, job_of
from nbdl.units.keras_names import explained

if TYPE_CHECKING:
    from nbdl.model.sequential import Sequential
    from nbdl.units.layer import Layer

M = TypeVar("M", bound=Owner)


def copied(model: M, memo: dict[int, Any]) -> M:
    """An independent copy with all attributes, for `__deepcopy__`; what refers to the model then refers to the copy."""
    copy = blank(model)
    memo[id(model)] = copy
    job, new = job_of(model), job_of(copy)
    network = new.network
    network.take_entries(deepcopy(job.network.input, memo), deepcopy(job.network.layers, memo))
    network.take_facts(job.network)
    network.encoding = deepcopy(job.network.encoding, memo)
    new.choice = job.choice
    vars(copy).update({name: deepcopy(value, memo) for name, value in vars(model).items() if name != "_job"})
    if network.layers and network.input_shape is not None:
        network.build()  # takes the values that the layers have brought
    new.setup = deepcopy(job.setup, memo)
    if new.setup is not None and job.state is not None:
        new.take_state(job.state)
    return copy


def blank(model: M) -> M:
    """A model without layers, of the same class, whose own constructor is not called."""
    made = type(model).__new__(type(model))
    Owner.__init__(made, model.name, model.seed)
    return made


# -- pickle -----------------------------------------------------------------------------------------------


def reduced(model: Owner) -> Any:
    """What `__reduce__` returns: a file's bytes, and for a subclass its class and the user's attributes."""
    from nbdl.model.sequential import Sequential

    content = model_bytes(model, unbuilt=True)
    own = {name: value for name, value in vars(model).items() if name not in vars(blank(model))}
    if type(model) is Sequential and not own:
        return model_from_bytes, (content,)
    file = io.BytesIO()
    _Pickler(file, model).dump(own)
    return unpickled, (type(model), content, file.getvalue())


def unpickled(kind: type[Sequential], content: bytes, attributes: bytes) -> Sequential:
    """A model of a subclass from what `reduced` gave."""
    model = model_from_bytes(content)
    model.__class__ = kind
    vars(model).update(_Unpickler(io.BytesIO(attributes), model).load())
    return model


def _parts(model: Owner) -> dict[str, Any]:
    """What attributes may refer to: the model, its layers and its optimizer."""
    parts: dict[str, Any] = {"model": model, "input": job_of(model).network.input}
    parts |= {f"layer {number}": layer for number, layer in enumerate(model.layers)}
    if model.compiled is not None:
        parts["optimizer"] = model.compiled.optimizer
    return parts


class _Pickler(pickle.Pickler):
    """Writes a reference in place of a part of the model."""

    def __init__(self, file: io.BytesIO, model: Owner) -> None:
        super().__init__(file)
        self.names = {id(part): name for name, part in _parts(model).items() if part is not None}

    def persistent_id(self, obj: Any) -> str | None:
        return self.names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    """Puts the parts of the model in place of references."""

    def __init__(self, file: io.BytesIO, model: Owner) -> None:
        super().__init__(file)
        self.parts = _parts(model)

    def persistent_load(self, pid: str) -> Any:
        return self.parts.get(pid)


# -- Keras's clone_model ----------------------------------------------------------------------------------


@explained
def clone_model(
    model: Owner, input_tensors: None = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Sequential:
    """A model of new layers with the same arguments: not compiled, with initial weights of a seed of its own.

    Args:
        model: stays as it is.
        input_tensors: not there: None.
        clone_function: what makes the new layer of each, from the old one; by default its config does.

    Raises:
        ConfigError: `input_tensors` is given, or a layer cannot be made again from its config.
    """
    if input_tensors is not None:
        raise ConfigError("clone_model: input_tensors is not there; the shape of the inputs stays that of the model")
    from nbdl.model.sequential import Sequential
    from nbdl.network.seeds import new_seed

    make = clone_function or _again
    clone = Sequential(name=model.name, seed=new_seed())
    clone.encoding = model.encoding
    made: dict[int, Layer] = {}
    for layer in job_of(model).network.entries:
        if id(layer) not in made:
            made[id(layer)] = _again(layer) if layer.declares_input else make(layer)
        clone.add(made[id(layer)])
    if model.layers and model.input_shape is not None and clone.input_shape is None:
        clone.build((None, *model.input_shape))
    return clone


def _again(layer: Layer) -> Layer:
    """A new layer with the same arguments."""
    return type(layer).from_config(layer.stored_config())
