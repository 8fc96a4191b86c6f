"""Scaling: every column to the same range, or to mean 0 and deviation 1."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import checks

from .base import Columns, Step


class Scaling(Step):
    """y = (x - shift) scale + offset, each learnt of a column. Missing values stay so."""

    def apply(self, columns: Columns) -> np.ndarray:
        shift, scale, offset = self._numbers()
        return (columns.values - shift) * scale + offset

    def inverse_transform(self, y: Any) -> np.ndarray:
        """x = (y - offset) / scale + shift: numbers on the scale of the data, float64. y: (N, ...)
        as `transform` gives it, predictions of such targets for example."""
        shift, scale, offset = self._numbers()
        y = np.asarray(y.numpy() if hasattr(y, "numpy") else y, np.float64)
        return (y - offset) / scale + shift

    def _numbers(self):
        learnt = self.fitted()
        return [np.asarray(learnt[name]) for name in ("shift", "scale", "offset")]


def _reduced(values, axis, function):
    """By column, or over all; missing values do not count."""
    finite = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(finite).all(axis=axis).any():
        empty = "all columns" if axis is None else f"columns {_empty(finite)}"
        raise ValueError(f"scaling: {empty} have no finite value to learn from")
    return function(finite, axis=axis)


def _empty(values):
    return np.flatnonzero(np.isnan(values).all(axis=0)).tolist()


class MinMax(Scaling):
    """(x - min) / (max - min) (high - low) + low, with each column's min and max in the training
    rows: these lie in feature_range = (low, high), others may lie beyond, unless clip. A column of
    one value becomes low. per_column: False takes one min and max of all columns, as for images.
    Defaults are scikit-learn's.

    >>> from fastnn.preprocessing import MinMax
    >>> MinMax().fit([[0.0], [10.0]]).transform([[5.0], [20.0]]).ravel()
    array([0.5, 2. ], dtype=float32)
    """

    def __init__(
        self,
        feature_range: Sequence[float] = (0.0, 1.0),
        clip: bool = False,
        per_column: bool = True,
    ):
        super().__init__()
        if not isinstance(feature_range, Sequence | np.ndarray) or len(feature_range) != 2:
            raise ValueError(f"MinMax: feature_range must be (low, high); got {feature_range!r}")
        low, high = (checks.real("MinMax: feature_range", v) for v in feature_range)
        if not low < high:
            raise ValueError(f"MinMax: feature_range must be (low, high); got {feature_range!r}")
        self.feature_range, self.clip, self.per_column = (low, high), bool(clip), bool(per_column)

    def learn(self, columns: Columns) -> dict[str, Any]:
        axis, (low, high) = 0 if self.per_column else None, self.feature_range
        least = _reduced(columns.values, axis, np.nanmin)
        extent = np.asarray(_reduced(columns.values, axis, np.nanmax) - least)
        scale = (high - low) / np.where(extent == 0, high - low, extent)
        return {"shift": np.asarray(least).tolist(), "scale": scale.tolist(), "offset": low}

    def apply(self, columns: Columns) -> np.ndarray:
        y = super().apply(columns)
        return np.clip(y, *self.feature_range) if self.clip else y


class Standardize(Scaling):
    """(x - mean) / std, with each column's mean and deviation (divided by N) in the training rows.
    A column of one value becomes 0. per_column: False takes one of all columns.

    >>> from fastnn.preprocessing import Standardize
    >>> Standardize().fit_transform([[1.0], [3.0]]).ravel()
    array([-1.,  1.], dtype=float32)
    """

    def __init__(self, per_column: bool = True):
        super().__init__()
        self.per_column = bool(per_column)

    def learn(self, columns: Columns) -> dict[str, Any]:
        axis = 0 if self.per_column else None
        mean = np.asarray(_reduced(columns.values, axis, np.nanmean))
        std = np.asarray(_reduced(columns.values - mean, axis, np.nanstd))
        # what rounding leaves of a column of one value is no deviation
        tiny = 4 * np.finfo(np.float64).eps * np.abs(mean)
        scale = 1 / np.where(std <= tiny, 1.0, std)
        return {"shift": mean.tolist(), "scale": scale.tolist(), "offset": 0.0}
