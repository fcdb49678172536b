# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.metrics.accuracy import Accuracy as Accuracy
from nbdl_standard.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from nbdl_standard.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from nbdl_standard.metrics.accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy

from nbdl import Metric

accuracy = Accuracy
acc = Accuracy
binary_accuracy = BinaryAccuracy
categorical_accuracy = CategoricalAccuracy
sparse_categorical_accuracy = SparseCategoricalAccuracy

def get(given: Any, where: str = ...) -> Metric: ...
