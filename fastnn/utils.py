"""Odds and ends of Keras's surface."""

import numpy as np

from fastnn import random


def set_random_seed(seed: int) -> None:
    """Seed fastnn's generator, Python's and NumPy's, as Keras does: from here on the same program
    gives the same bits.

    Models draw initial weights and the order of rows from it. Without it a fresh seed is used;
    `history.seed` tells which.

    >>> import fastnn
    >>> fastnn.utils.set_random_seed(0)
    """
    import random as python_random  # here, for the time it takes

    random.default.reset(seed)
    python_random.seed(seed)
    np.random.seed(seed % (1 << 32))
