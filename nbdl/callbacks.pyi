# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.callbacks.early_stopping import EarlyStopping as EarlyStopping

from nbdl import Callback as Callback
from nbdl import History as History

def get(given: Any, where: str = ...) -> Callback: ...
