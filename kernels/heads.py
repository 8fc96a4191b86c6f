"""What attention of every device has in common: heads as columns of rows, masks that broadcast."""

from functools import cache, lru_cache
from math import sqrt

import numpy as np

MAX_DEPTH = 512  # of a head's queries, keys or values


def rows_of(x):
    """(B, T, N, H) as (B T, N H)."""
    batch, length, heads, depth = x.shape
    return x.view((batch * length, heads * depth))


def scale_or_default(scale, query):
    """1 / sqrt(H) for None."""
    return 1 / sqrt(max(query.shape[3], 1)) if scale is None else float(scale)


@cache
def absent(constant):
    """The arguments for a mask and a generator that are not there."""
    return constant(np.zeros(0, bool)), constant(np.zeros(2, np.int64))


@lru_cache(maxsize=1024)
def distances(shape):
    """Of a mask that broadcasts to (B, N, T, S), from sequence to sequence, head to head, and so
    on: 0 along what it broadcasts."""
    found, distance = [], 1
    for extent in shape[::-1]:
        found.append(distance if extent > 1 else 0)
        distance *= extent
    return (0,) * (4 - len(shape)) + tuple(found[::-1])


def mask_and_distances(call, mask):
    if mask is None:
        return absent(call.constant)[0], 0, 0, 0, 0
    return mask.flat(), *distances(mask.shape)
