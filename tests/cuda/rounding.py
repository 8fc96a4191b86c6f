"""Ops with sums, whose order on CUDA is not the CPU's: within rounding of the CPU's, and of the
same bits however they are run."""

import numpy as np

from fastnn.compile.ptx_entry import COMMITS
from fastnn.kernels.cuda.reductions import BLOCK_THREADS
from fastnn.kernels.cuda.row_loops import SHORT_ROW_COLUMNS, WARP_ROW_COLUMNS
from tests.oracle import difference

from .both import missed
from .emulator import mirrored

UNITS = 64  # in the last place of an array's largest number (of 1, if that is less)
# Rows of every number of threads, element by element and by fours; blocks with and without rows
# beyond the last.
ROWS = [
    (1, 1),
    (33, 3),
    (31, 12),
    (32, SHORT_ROW_COLUMNS),
    (9, SHORT_ROW_COLUMNS + 1),
    (7, 100),
    (3, WARP_ROW_COLUMNS),
    (2, WARP_ROW_COLUMNS + 1),
    (1, 4 * BLOCK_THREADS + 4),
    (0, 5),
]


def close(op, _attributes, expected, found):
    for a, b in zip(expected, found, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if a.dtype.kind != "f":
            np.testing.assert_array_equal(a, b)
            continue
        scale = np.abs(a[np.isfinite(a)]).max(initial=1.0)
        error = difference(b, a)
        assert (error <= UNITS * np.finfo(a.dtype).eps * scale).all(), (op.name, error.max())


def hold_to_cpu(work, *given, check=close, **options):
    """Run `work(*given, **options)` on both devices, twice on CUDA: with arrays off alignment by an
    element; and aligned, with warps in another order, as launches that commit. What CUDA made in
    it, op after op."""
    runs = []
    for shift, number in ((1, 0), (0, COMMITS)):
        made = []

        def compare(op, attributes, expected, found, made=made):
            check(op, attributes, expected, found)
            made.extend(found)

        with mirrored(compare, shift=shift, schedule="fuzz", seed=shift, number=number):
            work(*given, **options)
        runs.append(made)
    for a, b in zip(*runs, strict=True):
        a[np.isnan(a)] = b[np.isnan(b)] = np.nan  # which has no sign
        assert a.tobytes() == b.tobytes()
    return runs[0]


def not_covered(kernel, dtype):
    return missed(kernel, "f4" if dtype == "float32" else "f8")
