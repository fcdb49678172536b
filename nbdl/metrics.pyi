# Generated from the registry by scripts/docs.py; do not edit.

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
from nbdl.losses import BinaryCrossentropy as BinaryCrossentropy
from nbdl.losses import BinaryFocalCrossentropy as BinaryFocalCrossentropy
from nbdl.losses import CategoricalCrossentropy as CategoricalCrossentropy
from nbdl.losses import CategoricalFocalCrossentropy as CategoricalFocalCrossentropy
from nbdl.losses import CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy
from nbdl.losses import CategoricalHinge as CategoricalHinge
from nbdl.losses import Hinge as Hinge
from nbdl.losses import Huber as Huber
from nbdl.losses import KLDivergence as KLDivergence
from nbdl.losses import KlDivergence as KlDivergence
from nbdl.losses import LogCosh as LogCosh
from nbdl.losses import MeanAbsoluteError as MeanAbsoluteError
from nbdl.losses import MeanAbsolutePercentageError as MeanAbsolutePercentageError
from nbdl.losses import MeanSquaredError as MeanSquaredError
from nbdl.losses import MeanSquaredLogarithmicError as MeanSquaredLogarithmicError
from nbdl.losses import Poisson as Poisson
from nbdl.losses import SparseCategoricalCrossentropy as SparseCategoricalCrossentropy
from nbdl.losses import SquaredHinge as SquaredHinge
from nbdl.losses import bce as bce
from nbdl.losses import binary_crossentropy as binary_crossentropy
from nbdl.losses import binary_focal_crossentropy as binary_focal_crossentropy
from nbdl.losses import categorical_crossentropy as categorical_crossentropy
from nbdl.losses import categorical_focal_crossentropy as categorical_focal_crossentropy
from nbdl.losses import categorical_generalized_cross_entropy as categorical_generalized_cross_entropy
from nbdl.losses import categorical_hinge as categorical_hinge
from nbdl.losses import cosine as cosine
from nbdl.losses import cosine_proximity as cosine_proximity
from nbdl.losses import hinge as hinge
from nbdl.losses import huber as huber
from nbdl.losses import huber_loss as huber_loss
from nbdl.losses import kl_divergence as kl_divergence
from nbdl.losses import kld as kld
from nbdl.losses import kullback_leibler_divergence as kullback_leibler_divergence
from nbdl.losses import log_cosh as log_cosh
from nbdl.losses import log_cosh_error as log_cosh_error
from nbdl.losses import mae as mae
from nbdl.losses import mape as mape
from nbdl.losses import mean_absolute_error as mean_absolute_error
from nbdl.losses import mean_absolute_percentage_error as mean_absolute_percentage_error
from nbdl.losses import mean_squared_error as mean_squared_error
from nbdl.losses import mean_squared_logarithmic_error as mean_squared_logarithmic_error
from nbdl.losses import mse as mse
from nbdl.losses import msle as msle
from nbdl.losses import poisson as poisson
from nbdl.losses import sparse_categorical_crossentropy as sparse_categorical_crossentropy
from nbdl.losses import squared_hinge as squared_hinge

class accuracy(_Accuracy):
    def __init__(self, *, name: str | None = None) -> None: ...

acc = accuracy
Accuracy = accuracy

class auc(_AUC):
    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        from_logits: bool = False,
        *,
        name: str | None = None,
    ) -> None: ...

AUC = auc
Auc = auc

class binary_accuracy(_BinaryAccuracy):
    def __init__(self, threshold: float = 0.5, *, name: str | None = None) -> None: ...

BinaryAccuracy = binary_accuracy

class categorical_accuracy(_CategoricalAccuracy):
    def __init__(self, *, name: str | None = None) -> None: ...

CategoricalAccuracy = categorical_accuracy

class cosine_similarity(_CosineSimilarity):
    def __init__(self, *, name: str | None = None) -> None: ...

CosineSimilarity = cosine_similarity

class f1_score(_F1Score):
    def __init__(self, average: str = "macro", threshold: float | None = None, *, name: str | None = None) -> None: ...

f1 = f1_score
F1Score = f1_score

class false_negatives(_FalseNegatives):
    def __init__(self, thresholds: float | None = None, *, name: str | None = None) -> None: ...

FalseNegatives = false_negatives

class false_positives(_FalsePositives):
    def __init__(self, thresholds: float | None = None, *, name: str | None = None) -> None: ...

FalsePositives = false_positives

class fbeta_score(_FBetaScore):
    def __init__(
        self,
        average: str = "macro",
        beta: float = 1.0,
        threshold: float | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

FBetaScore = fbeta_score
FbetaScore = fbeta_score

class precision(_Precision):
    def __init__(
        self,
        thresholds: float | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

Precision = precision

class precision_at_recall(_PrecisionAtRecall):
    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

PrecisionAtRecall = precision_at_recall

class r2_score(_R2Score):
    def __init__(
        self,
        class_aggregation: str = "uniform_average",
        num_regressors: int = 0,
        *,
        name: str | None = None,
    ) -> None: ...

r2 = r2_score
R2Score = r2_score

class recall(_Recall):
    def __init__(
        self,
        thresholds: float | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

Recall = recall

class recall_at_precision(_RecallAtPrecision):
    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

RecallAtPrecision = recall_at_precision

class root_mean_squared_error(_RootMeanSquaredError):
    def __init__(self, *, name: str | None = None) -> None: ...

rmse = root_mean_squared_error
RootMeanSquaredError = root_mean_squared_error

class sensitivity_at_specificity(_SensitivityAtSpecificity):
    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

SensitivityAtSpecificity = sensitivity_at_specificity

class sparse_categorical_accuracy(_SparseCategoricalAccuracy):
    def __init__(self, *, name: str | None = None) -> None: ...

SparseCategoricalAccuracy = sparse_categorical_accuracy

class sparse_top_k_categorical_accuracy(_SparseTopKCategoricalAccuracy):
    def __init__(self, k: int = 5, *, name: str | None = None) -> None: ...

SparseTopKCategoricalAccuracy = sparse_top_k_categorical_accuracy

class specificity_at_sensitivity(_SpecificityAtSensitivity):
    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        *,
        name: str | None = None,
    ) -> None: ...

SpecificityAtSensitivity = specificity_at_sensitivity

class top_k_categorical_accuracy(_TopKCategoricalAccuracy):
    def __init__(self, k: int = 5, *, name: str | None = None) -> None: ...

TopKCategoricalAccuracy = top_k_categorical_accuracy

class true_negatives(_TrueNegatives):
    def __init__(self, thresholds: float | None = None, *, name: str | None = None) -> None: ...

TrueNegatives = true_negatives

class true_positives(_TruePositives):
    def __init__(self, thresholds: float | None = None, *, name: str | None = None) -> None: ...

TruePositives = true_positives

def get(given: Any, where: str = ...) -> Metric: ...
def serialize(given: Any) -> Any: ...
def deserialize(config: Any, custom_objects: None = ...) -> Metric: ...
