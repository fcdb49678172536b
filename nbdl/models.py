"""Models, under Keras's path."""

from typing import TYPE_CHECKING, Any

from nbdl.model.base import Model as Model
from nbdl.model.clone import clone_model as clone_model
from nbdl.model.load import load_model as load_model
from nbdl.model.load import model_from_config as model_from_config
from nbdl.model.load import model_from_json as model_from_json
from nbdl.model.sequential import Sequential as Sequential
from nbdl.model.write import save_model as save_model
from nbdl.plugins.keras_paths import missing

if not TYPE_CHECKING:
    __path__: list[str] = []  # so that `from nbdl.models import ...` explains what is missing

    def __getattr__(name: str) -> Any:
        raise missing(__name__, name)
