"""Models, under Keras's path."""

from nbdl.model import Sequential as Sequential
from nbdl.saving import load_model as load_model
from nbdl.saving import model_from_json as model_from_json
