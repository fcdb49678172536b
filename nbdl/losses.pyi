# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.losses.binary_crossentropy import BinaryCrossentropy as BinaryCrossentropy
from nbdl_standard.losses.binary_focal_crossentropy import BinaryFocalCrossentropy as BinaryFocalCrossentropy
from nbdl_standard.losses.categorical_crossentropy import CategoricalCrossentropy as CategoricalCrossentropy
from nbdl_standard.losses.categorical_focal_crossentropy import (
    CategoricalFocalCrossentropy as CategoricalFocalCrossentropy,
)
from nbdl_standard.losses.categorical_generalized_cross_entropy import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from nbdl_standard.losses.categorical_hinge import CategoricalHinge as CategoricalHinge
from nbdl_standard.losses.cosine_similarity import CosineSimilarity as CosineSimilarity
from nbdl_standard.losses.kl_divergence import KLDivergence as KLDivergence
from nbdl_standard.losses.sparse_categorical_crossentropy import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)

from nbdl import Loss

binary_crossentropy = BinaryCrossentropy
bce = BinaryCrossentropy
binary_focal_crossentropy = BinaryFocalCrossentropy
categorical_crossentropy = CategoricalCrossentropy
categorical_focal_crossentropy = CategoricalFocalCrossentropy
categorical_generalized_cross_entropy = CategoricalGeneralizedCrossEntropy
categorical_hinge = CategoricalHinge
cosine_similarity = CosineSimilarity
cosine = CosineSimilarity
cosine_proximity = CosineSimilarity

class hinge(Loss):
    def __init__(self) -> None: ...

Hinge = hinge

class huber(Loss):
    def __init__(self, delta: float = 1.0) -> None: ...

huber_loss = huber
Huber = huber
kl_divergence = KLDivergence
kld = KLDivergence
kullback_leibler_divergence = KLDivergence
KlDivergence = KLDivergence

class log_cosh(Loss):
    def __init__(self) -> None: ...

LogCosh = log_cosh

class mean_absolute_error(Loss):
    def __init__(self) -> None: ...

mae = mean_absolute_error
MeanAbsoluteError = mean_absolute_error

class mean_absolute_percentage_error(Loss):
    def __init__(self) -> None: ...

mape = mean_absolute_percentage_error
MeanAbsolutePercentageError = mean_absolute_percentage_error

class mean_squared_error(Loss):
    def __init__(self) -> None: ...

mse = mean_squared_error
MeanSquaredError = mean_squared_error

class mean_squared_logarithmic_error(Loss):
    def __init__(self) -> None: ...

msle = mean_squared_logarithmic_error
MeanSquaredLogarithmicError = mean_squared_logarithmic_error

class poisson(Loss):
    def __init__(self) -> None: ...

Poisson = poisson
sparse_categorical_crossentropy = SparseCategoricalCrossentropy

class squared_hinge(Loss):
    def __init__(self) -> None: ...

SquaredHinge = squared_hinge

def get(given: Any, where: str = ...) -> Loss: ...
