"""Copies of a model: deepcopy and pickle. Class and attributes of a user's subclass stay."""

from __future__ import annotations

import functools
import io
import pickle
from copy import deepcopy
from typing import Any, TypeVar

from nbdl.model.owner import Owner, around, job_of
from nbdl.model.read import read_model
from nbdl.model.write import model_bytes

JOB = "_job"  # the attribute that copies make themselves
M = TypeVar("M", bound=Owner)


def copied(model: M, memo: dict[int, Any]) -> M:
    """An independent copy with all attributes, for `__deepcopy__`; what refers to the model then refers to the copy."""
    job, copy = job_of(model), type(model).__new__(type(model))
    memo[id(model)] = copy
    network = job.network.copied(memo)
    Owner.__init__(copy, network)
    new = job_of(copy)
    network.encoding = deepcopy(job.network.encoding, memo)
    new.choice = job.choice
    vars(copy).update({name: deepcopy(value, memo) for name, value in vars(model).items() if name != JOB})
    if network.steps and network.input_shapes is not None:
        network.build()  # takes the values that the layers have brought
    new.setup = deepcopy(job.setup, memo)
    if new.setup is not None and job.state is not None:
        new.take_state(job.state)
    return copy


# -- pickle -----------------------------------------------------------------------------------------------


def reduced(model: Owner) -> Any:
    """What `__reduce__` returns: the model's class, a file's bytes, and the attributes that the user has set."""
    content = model_bytes(model, unbuilt=True)
    own = {name: value for name, value in vars(model).items() if name != JOB}
    if not own:
        return unpickled, (type(model), content)
    file = io.BytesIO()
    _Pickler(file, model).dump(own)
    return unpickled, (type(model), content, file.getvalue())


def unpickled(kind: type[M], content: bytes, attributes: bytes = b"") -> M:
    """A model from what `reduced` gave."""
    model = read_model(io.BytesIO(content), "the model", functools.partial(around, kind))
    if attributes:
        vars(model).update(_Unpickler(io.BytesIO(attributes), model).load())
    return model


def _parts(model: Owner) -> dict[str, Any]:
    """What attributes may refer to: the model, its layers and its optimizer."""
    parts: dict[str, Any] = {"model": model}
    parts |= {f"layer {number}": layer for number, layer in enumerate(job_of(model).network.entries)}
    if model.compiled is not None:
        parts["optimizer"] = model.compiled.optimizer
    return parts


class _Pickler(pickle.Pickler):
    """Writes a reference instead of a part of the model."""

    def __init__(self, file: io.BytesIO, model: Owner) -> None:
        super().__init__(file)
        self.names = {id(part): name for name, part in _parts(model).items() if part is not None}

    def persistent_id(self, obj: Any) -> str | None:
        return self.names.get(id(obj))


class _Unpickler(pickle.Unpickler):
    """Puts the parts of the model where references were."""

    def __init__(self, file: io.BytesIO, model: Owner) -> None:
        super().__init__(file)
        self.parts = _parts(model)

    def persistent_load(self, pid: str) -> Any:
        return self.parts.get(pid)
