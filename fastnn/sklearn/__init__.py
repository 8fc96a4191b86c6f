"""Estimators of scikit-learn's, trained by fastnn. Needs scikit-learn: pip install
'fastnn-numba[sklearn]'."""

try:
    import sklearn
except ImportError:
    raise ImportError(
        "fastnn.sklearn needs scikit-learn: pip install 'fastnn-numba[sklearn]'"
    ) from None

from .estimators import FastNNClassifier, FastNNRegressor

__all__ = ["FastNNClassifier", "FastNNRegressor"]
