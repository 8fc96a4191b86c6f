"""Gradients of some rows of a table, in the interpreter: the CPU's bits."""

import numpy as np
import pytest

from fastnn.kernels.cuda import embedding
from fastnn.ops.embedding import combine_rows, put_rows

from .both import QUICKLY, missed, on_both


@pytest.mark.parametrize("dtype", QUICKLY)
def test_rows_of_a_table(dtype):
    rng = np.random.default_rng(0)
    for met, columns, extent in [(0, 3, 2), (1, 1, 1), (40, 5, 7), (300, 1, 400), (9, 0, 3)]:
        index = rng.integers(-extent, extent, met)
        dy = rng.normal(size=(met, columns)).astype(dtype)
        places = np.full_like(dy, np.nan), np.zeros(met, np.int64)
        total, rows = on_both(combine_rows, index, dy, places=places, shift=1, extent=extent)
        assert sorted(rows[rows >= 0]) == sorted(set(index % extent))
        table = rng.normal(size=(extent, columns)).astype(dtype)
        (table,) = on_both(put_rows, rows, total, places=(table,), shift=1)
    assert not missed(embedding.first_met)  # of integers alone
    assert not missed(embedding.combine, np.dtype(dtype).str[1:])
