# Generated from the registry by scripts/docs.py; do not edit.

from typing import Any

from nbdl_standard.metrics.accuracy import Accuracy as Accuracy
from nbdl_standard.metrics.auc import AUC as AUC
from nbdl_standard.metrics.binary_accuracy import BinaryAccuracy as BinaryAccuracy
from nbdl_standard.metrics.categorical_accuracy import CategoricalAccuracy as CategoricalAccuracy
from nbdl_standard.metrics.cosine_similarity import CosineSimilarity as CosineSimilarity
from nbdl_standard.metrics.f1_score import F1Score as F1Score
from nbdl_standard.metrics.false_negatives import FalseNegatives as FalseNegatives
from nbdl_standard.metrics.false_positives import FalsePositives as FalsePositives
from nbdl_standard.metrics.fbeta_score import FBetaScore as FBetaScore
from nbdl_standard.metrics.precision import Precision as Precision
from nbdl_standard.metrics.precision_at_recall import PrecisionAtRecall as PrecisionAtRecall
from nbdl_standard.metrics.r2_score import R2Score as R2Score
from nbdl_standard.metrics.recall import Recall as Recall
from nbdl_standard.metrics.recall_at_precision import RecallAtPrecision as RecallAtPrecision
from nbdl_standard.metrics.root_mean_squared_error import RootMeanSquaredError as RootMeanSquaredError
from nbdl_standard.metrics.sensitivity_at_specificity import SensitivityAtSpecificity as SensitivityAtSpecificity
from nbdl_standard.metrics.sparse_categorical_accuracy import SparseCategoricalAccuracy as SparseCategoricalAccuracy
from nbdl_standard.metrics.sparse_top_k_categorical_accuracy import (
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
)
from nbdl_standard.metrics.specificity_at_sensitivity import SpecificityAtSensitivity as SpecificityAtSensitivity
from nbdl_standard.metrics.top_k_categorical_accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from nbdl_standard.metrics.true_negatives import TrueNegatives as TrueNegatives
from nbdl_standard.metrics.true_positives import TruePositives as TruePositives

from nbdl import Metric
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

accuracy = Accuracy
acc = Accuracy
auc = AUC
Auc = AUC
binary_accuracy = BinaryAccuracy
categorical_accuracy = CategoricalAccuracy
cosine_similarity = CosineSimilarity
f1_score = F1Score
f1 = F1Score
false_negatives = FalseNegatives
false_positives = FalsePositives
fbeta_score = FBetaScore
FbetaScore = FBetaScore
precision = Precision
precision_at_recall = PrecisionAtRecall
r2_score = R2Score
r2 = R2Score
recall = Recall
recall_at_precision = RecallAtPrecision
root_mean_squared_error = RootMeanSquaredError
rmse = RootMeanSquaredError
sensitivity_at_specificity = SensitivityAtSpecificity
sparse_categorical_accuracy = SparseCategoricalAccuracy
sparse_top_k_categorical_accuracy = SparseTopKCategoricalAccuracy
specificity_at_sensitivity = SpecificityAtSensitivity
top_k_categorical_accuracy = TopKCategoricalAccuracy
true_negatives = TrueNegatives
true_positives = TruePositives

def get(given: Any, where: str = ...) -> Metric: ...
