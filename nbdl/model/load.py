"""Models from files, bytes, JSON and configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbdl.errors import ConfigError, FileFormatError
from nbdl.model.base import Model
from nbdl.model.configs import from_config
from nbdl.model.file_format import CONFIG
from nbdl.model.owner import around
from nbdl.model.read import read_model
from nbdl.model.sequential import Sequential
from nbdl.network.chain import Chain
from nbdl.network.network import Network
from nbdl.storage.archive import json_value
from nbdl.storage.outputs import as_path
from nbdl.units.keras_names import FUNCTIONS_LACK, explained


def face(network: Network) -> Model:
    """A Sequential around a chain, else a Model."""
    return around(Sequential if isinstance(network, Chain) else Model, network)


@explained
def load_model(path: str | Path, custom_objects: Any = None, compile: bool = True, *, device: str = "cpu") -> Model:
    """A model from a file that `save` wrote, ready to predict or to go on training with the same bits.

    Args:
        custom_objects: not needed: call nbdl.register(...) with your units before loading.
        compile: whether to take the optimizer, the loss and the metrics from the file, too.
        device: where it is to run, see `Sequential.device`; the file does not depend on where it was trained.

    Raises:
        FileFormatError: not such a file, damaged, or from a newer version.
        ConfigError: a plugin that it needs is not installed, the message says which; or there is no such device, or
            it cannot run a layer.
        DeviceError: CUDA cannot be used; the message says what is missing and how to get it.
    """
    if custom_objects:
        raise ConfigError(f"load_model: custom_objects is {FUNCTIONS_LACK.instead['custom_objects']}")
    source = as_path(path, "path")
    if not source.exists():
        raise FileFormatError(f"there is no file {source}")
    if source.is_dir():
        raise FileFormatError(f"{source} is a folder, not a model file")
    with source.open("rb") as file:
        model = read_model(file, str(source), face)
    if not compile:
        model.compiled = model.training_state = None
    model.device = device
    return model


def model_from_config(config: dict[str, Any]) -> Model:
    """A model with initial weights."""
    return from_config(config, face)


@explained
def model_from_json(text: str) -> Model:
    """A model with initial weights from what `to_json` returned."""
    return model_from_config(json_value(text.encode(errors="surrogatepass"), "the text", CONFIG))
