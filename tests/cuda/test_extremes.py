"""The largest and smallest element over any axes on CUDA, and where the largest stands."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels.cuda import extremes, reduce
from fastnn.kernels.scalar.arithmetic import maximum, minimum
from fastnn.ops.reduce import DRAWN

from .both import ALL, missed, on_both, same_numbers, sectors, slow, some
from .emulator import run
from .test_reduce import COLUMNS, GROUPS, SMALL, in_form

LARGEST, SMALLEST = (extremes.extreme_kernels(f) for f in (maximum, minimum))
FORMS = {"small": SMALL, "by_thread": COLUMNS, "by_warp": GROUPS, "by_block": GROUPS}


@pytest.mark.parametrize("dtype", ["float32", *map(slow, ALL[1:])])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_finds_the_extreme_and_its_first_place(form, dtype):
    rng = np.random.default_rng(0)
    for extents in FORMS[form]:
        if 0 in extents:
            continue
        x = some(rng, extents, dtype)
        several = np.sort(x.ravel())[::-3][: x.size // 3 + 1]  # equal ones
        x = rng.choice(several, extents)
        options = {"shift": 1, "schedule": "fuzz"}
        largest, smallest, places = x.max(1), x.min(1), x.argmax(1)
        for kernels, expected in ((LARGEST, largest), (SMALLEST, smallest)):
            found = in_form(getattr(kernels, form), x, **options)
            np.testing.assert_array_equal(found, expected)
        kernel = getattr(extremes.PLACES, form)
        found = in_form(kernel, x, largest.ravel(), dtype="i8", **options)
        np.testing.assert_array_equal(found, places)
    for kernels in (LARGEST, SMALLEST, extremes.PLACES):
        assert missed(getattr(kernels, form), np.dtype(dtype).str[1:]) == []


@pytest.mark.parametrize("dtype", ["float32", slow("float64")])
def test_extremes_over_any_axes(dtype):
    rng = np.random.default_rng(1)
    for drawn, axis in DRAWN:
        x = (drawn(rng) if callable(drawn) else rng.normal(size=drawn)).astype(dtype)
        for op in (ops.max, ops.min):
            on_both(op, x, axis=axis, shift=1, check=same_numbers)
        if not isinstance(axis, tuple):
            on_both(ops.argmax, x, axis=axis, shift=1)
            on_both(ops.argmin, x, axis=axis, shift=1)


def test_of_chunks_the_first_place_is_found(monkeypatch):
    limits = {"CHUNKED_MIN_ELEMENTS": 256, "CHUNK_MIN_ELEMENTS": 64, "ENOUGH_BLOCKS": 24}
    for name, limit in limits.items():
        monkeypatch.setattr(reduce, name, limit)
    reduce.rows_of_chunk.cache_clear()
    rng = np.random.default_rng(2)
    for shape, axis in [((3000,), 0), ((2, 700), 1), ((900, 3), 0), ((300, 40), 0)]:
        x = rng.integers(0, 20, shape).astype("f4")
        on_both(ops.argmax, x, axis=axis)
        on_both(ops.max, x, axis=axis)
        x[(shape[0] - 1,) if len(shape) == 1 else (shape[0] - 1, shape[1] - 1)] = np.nan
        on_both(ops.argmax, x, axis=axis)
        on_both(ops.min, x, axis=axis)
    reduce.rows_of_chunk.cache_clear()


@pytest.mark.parametrize(("shape", "axis"), [((64, 1000), 1), ((400, 128), 0), ((5000, 16), 1)])
def test_memory_is_moved_by_whole_sectors(shape, axis):
    x = np.zeros(shape, "f4")
    y = x.argmax(axis)
    _, emulator = run(ops.argmax, [x], [y], {"axis": axis}, shift=0)
    for stats in emulator.stats.values():
        assert sectors(stats) <= 1.1
        assert stats.bank_conflict_factor() <= 1.1
