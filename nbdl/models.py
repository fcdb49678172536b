"""Models, under Keras's path."""

from typing import TYPE_CHECKING, Any

from nbdl.copying import clone_model as clone_model
from nbdl.model import Sequential as Sequential
from nbdl.paths import missing
from nbdl.saving import load_model as load_model
from nbdl.saving import model_from_config as model_from_config
from nbdl.saving import model_from_json as model_from_json
from nbdl.saving import save_model as save_model

if not TYPE_CHECKING:
    __path__: list[str] = []  # so that `from nbdl.models import ...` explains what is missing

    def __getattr__(name: str) -> Any:
        raise missing(__name__, name)
