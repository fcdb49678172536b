"""Keras's clone_model: new layers with the same arguments."""

from __future__ import annotations

from collections.abc import Callable

from nbdl.errors import ConfigError
from nbdl.model.base import Model
from nbdl.model.load import face
from nbdl.model.owner import job_of
from nbdl.network.seeds import new_seed
from nbdl.units.keras_names import explained
from nbdl.units.layer import Layer


@explained
def clone_model(
    model: Model, input_tensors: None = None, clone_function: Callable[[Layer], Layer] | None = None
) -> Model:
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
    make = clone_function or _again
    made: dict[int, Layer] = {}

    def once(layer: Layer) -> Layer:
        if id(layer) not in made:
            made[id(layer)] = _again(layer) if layer.declares_input else make(layer)
        return made[id(layer)]

    network = job_of(model).network.remade(once, new_seed())
    network.encoding = model.encoding
    return face(network)


def _again(layer: Layer) -> Layer:
    """A new layer with the same arguments."""
    return type(layer).from_config(layer.stored_config())
