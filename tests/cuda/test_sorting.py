"""Order on CUDA is the CPU's, of equal elements and of NaN too."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels.cuda import sorting
from fastnn.kernels.status import INDEX_OUT_OF_RANGE
from fastnn.ops.sorting import _put, in_order

from .both import ALL, FLOATS, missed, on_both, slow, some
from .emulator import Emulator, Failed

THREADS = sorting.THREADS


@pytest.mark.parametrize("dtype", ["float32", *map(slow, ALL[1:-1]), "bool"])
def test_rows_in_order_and_places_among_them(dtype):
    rng = np.random.default_rng(0)
    for shape in [(1, 1), (0, 3), (3, 0), (7, 40), (2, THREADS + 1)]:
        x = rng.choice(some(rng, 9, dtype), shape)
        on_both(in_order, x, shift=1)
        for k in {0, min(3, shape[1]), shape[1]}:
            on_both(ops.top_k, x, k=k, shift=1)
    row, values = np.sort(some(rng, 40, dtype)), some(rng, (3, THREADS), dtype)
    for side in ("left", "right"):
        on_both(ops.searchsorted, row, values, side=side, shift=1)
    assert missed(sorting.search_elements, np.dtype(dtype).str[1:]) == []


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_go_back_to_where_elements_stood(dtype):
    rng = np.random.default_rng(0)
    index = np.argsort(rng.normal(size=(9, 40)))[:, :30]
    on_both(_put, index, some(rng, index.shape, dtype), extent=40, shift=1)


def test_an_index_out_of_range_is_reported():
    emulator = Emulator()
    given = [emulator.place(a) for a in (np.array([0, 3, 7]), np.ones(3, "f4"))]
    with pytest.raises(Failed) as failed:
        emulator(sorting.put_elements, *given, 1, emulator.place(np.zeros((3, 5), "f4")))
    assert (failed.value.code, failed.value.place) == (INDEX_OUT_OF_RANGE, 2)


def test_long_rows_are_the_cpus():
    x = np.zeros((1, sorting.MAX_COLUMNS + 1), "f4")
    with pytest.raises(NotImplementedError, match=r"65537\. Sort on the CPU"):
        on_both(in_order, x)
