# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.losses.categorical_crossentropy import CategoricalCrossentropy as CategoricalCrossentropy
from nbdl_standard.losses.sparse_categorical_crossentropy import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)

from nbdl import Loss

class binary_crossentropy(Loss):
    def __init__(self) -> None: ...

bce = binary_crossentropy
BinaryCrossentropy = binary_crossentropy
categorical_crossentropy = CategoricalCrossentropy

class mean_squared_error(Loss):
    def __init__(self) -> None: ...

mse = mean_squared_error
MeanSquaredError = mean_squared_error
sparse_categorical_crossentropy = SparseCategoricalCrossentropy

def get(given: Any, where: str = ...) -> Loss: ...
