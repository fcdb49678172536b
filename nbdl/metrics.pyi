# Generated from the registry by scripts/docs.py; do not edit.

from collections.abc import Sequence
from typing import Any

from nbdl_standard.metrics.accuracy import Accuracy as _Accuracy
from nbdl_standard.metrics.auc import AUC as _AUC
from nbdl_standard.metrics.binary_accuracy import BinaryAccuracy as _BinaryAccuracy
from nbdl_standard.metrics.categorical_accuracy import CategoricalAccuracy as _CategoricalAccuracy
from nbdl_standard.metrics.cosine_similarity import CosineSimilarity as _CosineSimilarity
from nbdl_standard.metrics.f1_score import F1Score as _F1Score
from nbdl_standard.metrics.false_negatives import FalseNegatives as _FalseNegatives
from nbdl_standard.metrics.false_positives import FalsePositives as _FalsePositives
from nbdl_standard.metrics.fbeta_score import FBetaScore as _FBetaScore
from nbdl_standard.metrics.precision import Precision as _Precision
from nbdl_standard.metrics.precision_at_recall import PrecisionAtRecall as _PrecisionAtRecall
from nbdl_standard.metrics.r2_score import R2Score as _R2Score
from nbdl_standard.metrics.recall import Recall as _Recall
from nbdl_standard.metrics.recall_at_precision import RecallAtPrecision as _RecallAtPrecision
from nbdl_standard.metrics.root_mean_squared_error import RootMeanSquaredError as _RootMeanSquaredError
from nbdl_standard.metrics.sensitivity_at_specificity import SensitivityAtSpecificity as _SensitivityAtSpecificity
from nbdl_standard.metrics.sparse_categorical_accuracy import SparseCategoricalAccuracy as _SparseCategoricalAccuracy
from nbdl_standard.metrics.sparse_top_k_categorical_accuracy import (
    SparseTopKCategoricalAccuracy as _SparseTopKCategoricalAccuracy,
)
from nbdl_standard.metrics.specificity_at_sensitivity import SpecificityAtSensitivity as _SpecificityAtSensitivity
from nbdl_standard.metrics.top_k_categorical_accuracy import TopKCategoricalAccuracy as _TopKCategoricalAccuracy
from nbdl_standard.metrics.true_negatives import TrueNegatives as _TrueNegatives
from nbdl_standard.metrics.true_positives import TruePositives as _TruePositives

from nbdl import Metric as Metric
from nbdl.losses import binary_crossentropy as _binary_crossentropy
from nbdl.losses import binary_focal_crossentropy as _binary_focal_crossentropy
from nbdl.losses import categorical_crossentropy as _categorical_crossentropy
from nbdl.losses import categorical_focal_crossentropy as _categorical_focal_crossentropy
from nbdl.losses import categorical_generalized_cross_entropy as _categorical_generalized_cross_entropy
from nbdl.losses import categorical_hinge as _categorical_hinge
from nbdl.losses import cosine as _cosine
from nbdl.losses import hinge as _hinge
from nbdl.losses import huber as _huber
from nbdl.losses import kl_divergence as _kl_divergence
from nbdl.losses import log_cosh as _log_cosh
from nbdl.losses import mean_absolute_error as _mean_absolute_error
from nbdl.losses import mean_absolute_percentage_error as _mean_absolute_percentage_error
from nbdl.losses import mean_squared_error as _mean_squared_error
from nbdl.losses import mean_squared_logarithmic_error as _mean_squared_logarithmic_error
from nbdl.losses import poisson as _poisson
from nbdl.losses import sparse_categorical_crossentropy as _sparse_categorical_crossentropy
from nbdl.losses import squared_hinge as _squared_hinge

class accuracy(_Accuracy):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

acc = accuracy
Accuracy = accuracy

class auc(_AUC):
    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Any = None,
        multi_label: bool = False,
        num_labels: Any = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None: ...

AUC = auc
Auc = auc

class binary_accuracy(_BinaryAccuracy):
    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None: ...

BinaryAccuracy = binary_accuracy

class categorical_accuracy(_CategoricalAccuracy):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

CategoricalAccuracy = categorical_accuracy

class cosine_similarity(_CosineSimilarity):
    def __init__(self, name: str | None = None, dtype: Any = None, axis: int = -1) -> None: ...

CosineSimilarity = cosine_similarity

class f1_score(_F1Score):
    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

f1 = f1_score
F1Score = f1_score

class false_negatives(_FalseNegatives):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

FalseNegatives = false_negatives

class false_positives(_FalsePositives):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

FalsePositives = false_positives

class fbeta_score(_FBetaScore):
    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

FBetaScore = fbeta_score
FbetaScore = fbeta_score

class precision(_Precision):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

Precision = precision

class precision_at_recall(_PrecisionAtRecall):
    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

PrecisionAtRecall = precision_at_recall

class r2_score(_R2Score):
    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

r2 = r2_score
R2Score = r2_score

class recall(_Recall):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

Recall = recall

class recall_at_precision(_RecallAtPrecision):
    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

RecallAtPrecision = recall_at_precision

class root_mean_squared_error(_RootMeanSquaredError):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

rmse = root_mean_squared_error
RootMeanSquaredError = root_mean_squared_error

class sensitivity_at_specificity(_SensitivityAtSpecificity):
    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

SensitivityAtSpecificity = sensitivity_at_specificity

class sparse_categorical_accuracy(_SparseCategoricalAccuracy):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

SparseCategoricalAccuracy = sparse_categorical_accuracy

class sparse_top_k_categorical_accuracy(_SparseTopKCategoricalAccuracy):
    def __init__(
        self,
        k: int = 5,
        name: str | None = None,
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None: ...

SparseTopKCategoricalAccuracy = sparse_top_k_categorical_accuracy

class specificity_at_sensitivity(_SpecificityAtSensitivity):
    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

SpecificityAtSensitivity = specificity_at_sensitivity

class top_k_categorical_accuracy(_TopKCategoricalAccuracy):
    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None) -> None: ...

TopKCategoricalAccuracy = top_k_categorical_accuracy

class true_negatives(_TrueNegatives):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

TrueNegatives = true_negatives

class true_positives(_TruePositives):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None: ...

TruePositives = true_positives

class binary_crossentropy(_binary_crossentropy):
    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None: ...

bce = binary_crossentropy
BinaryCrossentropy = binary_crossentropy

class binary_focal_crossentropy(_binary_focal_crossentropy):
    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None: ...

BinaryFocalCrossentropy = binary_focal_crossentropy

class categorical_crossentropy(_categorical_crossentropy):
    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None: ...

CategoricalCrossentropy = categorical_crossentropy

class categorical_focal_crossentropy(_categorical_focal_crossentropy):
    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None: ...

CategoricalFocalCrossentropy = categorical_focal_crossentropy

class categorical_generalized_cross_entropy(_categorical_generalized_cross_entropy):
    def __init__(self, name: str | None = None, dtype: Any = None, q: float = 0.5) -> None: ...

CategoricalGeneralizedCrossEntropy = categorical_generalized_cross_entropy

class categorical_hinge(_categorical_hinge):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

CategoricalHinge = categorical_hinge

class cosine(_cosine):
    def __init__(self, name: str | None = None, dtype: Any = None, axis: int = -1) -> None: ...

cosine_proximity = cosine

class hinge(_hinge):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

Hinge = hinge

class huber(_huber):
    def __init__(self, name: str | None = None, dtype: Any = None, delta: float = 1.0) -> None: ...

huber_loss = huber
Huber = huber

class kl_divergence(_kl_divergence):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

kld = kl_divergence
kullback_leibler_divergence = kl_divergence
KLDivergence = kl_divergence
KlDivergence = kl_divergence

class log_cosh(_log_cosh):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

log_cosh_error = log_cosh
LogCosh = log_cosh

class mean_absolute_error(_mean_absolute_error):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

mae = mean_absolute_error
MeanAbsoluteError = mean_absolute_error

class mean_absolute_percentage_error(_mean_absolute_percentage_error):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

mape = mean_absolute_percentage_error
MeanAbsolutePercentageError = mean_absolute_percentage_error

class mean_squared_error(_mean_squared_error):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

mse = mean_squared_error
MeanSquaredError = mean_squared_error

class mean_squared_logarithmic_error(_mean_squared_logarithmic_error):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

msle = mean_squared_logarithmic_error
MeanSquaredLogarithmicError = mean_squared_logarithmic_error

class poisson(_poisson):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

Poisson = poisson

class sparse_categorical_crossentropy(_sparse_categorical_crossentropy):
    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None: ...

SparseCategoricalCrossentropy = sparse_categorical_crossentropy

class squared_hinge(_squared_hinge):
    def __init__(self, name: str | None = None, dtype: Any = None) -> None: ...

SquaredHinge = squared_hinge

def get(given: Any, where: str = ...) -> Metric: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Metric: ...
