"""Order along a dimension, by the real part."""

import numpy as np


def sort(x, axis=-1):
    if not x.ndim:
        return x
    return np.take_along_axis(x, np.argsort(np.real(x), axis, "stable"), axis)


def top_k(x, k, sorted=True):
    key = -np.real(x).astype(float)
    place = np.lexsort((key, ~np.isnan(key)))[..., :k]
    return np.take_along_axis(x, place, -1), place


def in_top_k(targets, predictions, k):
    at_target = np.take_along_axis(predictions, targets[..., None], -1)
    return (predictions > at_target).sum(-1) < k


def quantile(x, q, axis=None, keepdims=False, method="linear"):
    axes = tuple(range(x.ndim)) if axis is None else axis
    axes = tuple(a % x.ndim for a in (axes if isinstance(axes, tuple) else (axes,)))
    rest = [d for d in range(x.ndim) if d not in axes]
    row = sort(x.transpose(*rest, *axes).reshape(*[x.shape[d] for d in rest], -1))
    place = np.asarray(q, float) * (row.shape[-1] - 1)
    low, high = row[..., np.floor(place).astype(int)], row[..., np.ceil(place).astype(int)]
    part = {
        "linear": place % 1,
        "lower": 0,
        "higher": 1,
        "midpoint": 0.5,
        "nearest": np.rint(place) - np.floor(place),
    }[method]
    found = np.moveaxis(low + (high - low) * part, range(len(rest)), range(-len(rest), 0))
    kept = [1 if d in axes else e for d, e in enumerate(x.shape)]
    return found.reshape(*place.shape, *kept) if keepdims else found
