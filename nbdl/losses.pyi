# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.losses.binary_crossentropy import BinaryCrossentropy as _BinaryCrossentropy
from nbdl_standard.losses.binary_focal_crossentropy import BinaryFocalCrossentropy as _BinaryFocalCrossentropy
from nbdl_standard.losses.categorical_crossentropy import CategoricalCrossentropy as _CategoricalCrossentropy
from nbdl_standard.losses.categorical_focal_crossentropy import (
    CategoricalFocalCrossentropy as _CategoricalFocalCrossentropy,
)
from nbdl_standard.losses.categorical_generalized_cross_entropy import (
    CategoricalGeneralizedCrossEntropy as _CategoricalGeneralizedCrossEntropy,
)
from nbdl_standard.losses.categorical_hinge import CategoricalHinge as _CategoricalHinge
from nbdl_standard.losses.cosine_similarity import CosineSimilarity as _CosineSimilarity
from nbdl_standard.losses.kl_divergence import KLDivergence as _KLDivergence
from nbdl_standard.losses.sparse_categorical_crossentropy import (
    SparseCategoricalCrossentropy as _SparseCategoricalCrossentropy,
)

from nbdl import Loss as Loss

class binary_crossentropy(_BinaryCrossentropy):
    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

bce = binary_crossentropy
BinaryCrossentropy = binary_crossentropy

class binary_focal_crossentropy(_BinaryFocalCrossentropy):
    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

BinaryFocalCrossentropy = binary_focal_crossentropy

class categorical_crossentropy(_CategoricalCrossentropy):
    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

CategoricalCrossentropy = categorical_crossentropy

class categorical_focal_crossentropy(_CategoricalFocalCrossentropy):
    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

CategoricalFocalCrossentropy = categorical_focal_crossentropy

class categorical_generalized_cross_entropy(_CategoricalGeneralizedCrossEntropy):
    def __init__(
        self,
        q: float = 0.5,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

CategoricalGeneralizedCrossEntropy = categorical_generalized_cross_entropy

class categorical_hinge(_CategoricalHinge):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

CategoricalHinge = categorical_hinge

class cosine_similarity(_CosineSimilarity):
    def __init__(
        self,
        axis: int = -1,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

cosine = cosine_similarity
cosine_proximity = cosine_similarity
CosineSimilarity = cosine_similarity

class hinge(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

Hinge = hinge

class huber(Loss):
    def __init__(
        self,
        delta: float = 1.0,
        reduction: str = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

huber_loss = huber
Huber = huber

class kl_divergence(_KLDivergence):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

kld = kl_divergence
kullback_leibler_divergence = kl_divergence
KLDivergence = kl_divergence
KlDivergence = kl_divergence

class log_cosh(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

log_cosh_error = log_cosh
LogCosh = log_cosh

class mean_absolute_error(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

mae = mean_absolute_error
MeanAbsoluteError = mean_absolute_error

class mean_absolute_percentage_error(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

mape = mean_absolute_percentage_error
MeanAbsolutePercentageError = mean_absolute_percentage_error

class mean_squared_error(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

mse = mean_squared_error
MeanSquaredError = mean_squared_error

class mean_squared_logarithmic_error(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

msle = mean_squared_logarithmic_error
MeanSquaredLogarithmicError = mean_squared_logarithmic_error

class poisson(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

Poisson = poisson

class sparse_categorical_crossentropy(_SparseCategoricalCrossentropy):
    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

SparseCategoricalCrossentropy = sparse_categorical_crossentropy

class squared_hinge(Loss):
    def __init__(self, reduction: str = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None: ...

SquaredHinge = squared_hinge

def get(given: Any, where: str = ...) -> Loss: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Loss: ...
