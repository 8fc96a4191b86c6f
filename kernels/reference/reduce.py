"""The largest and smallest element, over any axes."""

from functools import partial

import numpy as np


def extreme(x, choose, axis=None, keepdims=False):
    """The largest or smallest element. Beside the real axis that of several equal ones is their
    mean: they share the gradient."""
    found = choose(np.real(x), axis=axis, keepdims=keepdims)
    if np.isrealobj(x):
        return found
    is_found = np.real(x) == choose(np.real(x), axis=axis, keepdims=True)
    total = (np.imag(x) * is_found).sum(axis=axis, keepdims=keepdims)
    return found + 1j * (total / is_found.sum(axis=axis, keepdims=keepdims))


largest, smallest = partial(extreme, choose=np.max), partial(extreme, choose=np.min)
