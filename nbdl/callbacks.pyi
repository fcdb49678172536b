# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.callbacks.backup_and_restore import BackupAndRestore as BackupAndRestore
from nbdl_standard.callbacks.csv_logger import CSVLogger as CSVLogger
from nbdl_standard.callbacks.early_stopping import EarlyStopping as EarlyStopping
from nbdl_standard.callbacks.lambda_callback import LambdaCallback as LambdaCallback
from nbdl_standard.callbacks.learning_rate_scheduler import LearningRateScheduler as LearningRateScheduler
from nbdl_standard.callbacks.max_time import MaxTime as MaxTime
from nbdl_standard.callbacks.model_checkpoint import ModelCheckpoint as ModelCheckpoint
from nbdl_standard.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau as _ReduceLROnPlateau
from nbdl_standard.callbacks.tensor_board import TensorBoard as TensorBoard
from nbdl_standard.callbacks.terminate_on_nan import TerminateOnNaN as TerminateOnNaN

from nbdl import Callback as Callback
from nbdl import History as History

max_time = MaxTime

class ReduceLROnPlateau(_ReduceLROnPlateau):
    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool | int = 0,
        mode: str = "auto",
        min_delta: float = 0.0001,
        cooldown: int = 0,
        min_lr: float = 0.0,
        *,
        epsilon: float = ...,
    ) -> None: ...

def get(given: Any, where: str = ...) -> Callback: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Callback: ...
