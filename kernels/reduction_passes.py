"""A reduction over any axes as a few passes over (outer, reduced, inner), for every device."""

from functools import lru_cache
from math import nan, prod
from operator import index


@lru_cache(maxsize=1024)
def passes(shape, axes):
    """The passes that reduce `axes`, the innermost first: extents (outer, reduced, inner) of each.
    Neighbouring dimensions that are reduced, or are not, are one."""
    groups = []  # [extent, is reduced]
    for d, extent in enumerate(shape):
        if groups and groups[-1][1] == (d in axes):
            groups[-1][0] *= extent
        else:
            groups.append([extent, d in axes])
    found, inner = [], 1
    for i in range(len(groups) - 1, -1, -1):
        extent, is_reduced = groups[i]
        if is_reduced:
            found.append((prod(g[0] for g in groups[:i]), extent, inner))
        else:
            inner *= extent
    return tuple(found or [(prod(shape), 1, 1)])


def axes_of(shape, axis):
    """The dimensions that `axis`, an integer, several or None for all, names."""
    if axis is None:
        return tuple(range(len(shape)))
    return tuple(
        index(a) % len(shape) for a in (axis if isinstance(axis, tuple | list) else (axis,))
    )


def one_over_count(shape, axes):
    """What makes a mean of a sum over `axes`: NaN of none."""
    count = prod(shape[d] for d in axes)
    return 1 / count if count else nan
