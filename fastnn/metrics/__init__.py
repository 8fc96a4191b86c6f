"""Metrics: numbers about all batches of an epoch, or of whatever else they are given."""

from typing import TYPE_CHECKING

from fastnn.losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from fastnn.when_used import names_when_used

from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from .base import KIND, Metric
from .choice import for_targets
from .probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
)
from .reduction import Mean, MeanMetricWrapper, Sum
from .regression import (
    ConcordanceCorrelation,
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    PearsonCorrelation,
    R2Score,
    RootMeanSquaredError,
    concordance_correlation,
    pearson_correlation,
)

get, serialize, deserialize = KIND.get, KIND.serialize, KIND.deserialize

if TYPE_CHECKING:
    from .auc import *
    from .confusion import *
    from .f_score import *
    from .segmentation import *
else:
    __getattr__, __dir__, __all__ = names_when_used(
        globals(),
        {
            "auc": "AUC",
            "confusion": """
                FalseNegatives FalsePositives Precision PrecisionAtRecall Recall RecallAtPrecision
                SensitivityAtSpecificity SpecificityAtSensitivity TrueNegatives TruePositives
            """,
            "f_score": "F1Score FBetaScore",
            "segmentation": "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
        },
        KIND,
    )
