"""The largest and smallest element over any axes, and where they stand: reductions of the same
forms as sums (`reduce.py`).

    extreme             out[a, b] = the extreme over r of x[a, r, b]
    place_of_extreme    the first r at which x[a, r, b] is the extreme, or NaN

An extreme is NaN if an element is: it is made by `maximum` or `minimum` of kernels/scalar/. The
gradient is made of other ops.
"""

from functools import cache

import numpy as np

from ..declare import ANY, helper, kernel
from ..intrinsics import flat
from ..reduction_passes import axes_of, passes
from ..scalar.arithmetic import minimum
from .grid import WARP, block_index, natural, shared_array, thread_index
from .reduce import (
    A_THREAD_A_RESULT,
    Reduction,
    element,
    in_chunks,
    in_passes,
    one_launch,
    one_pass,
    rows_of_chunk,
)
from .reduction_forms import (
    COLUMNS,
    STAGED,
    THREADS,
    Combination,
    of_group,
    of_small,
    of_thread,
)


@helper
def from_element(x, found, place, q):
    first = x[natural(place)]
    return first, first


@cache
def extreme_kernels(function):
    """The reduction by maximum(x, y) or minimum(x, y)."""
    return kernels_of(Combination(from_element, element, function), function.name, ANY)


def kernels_of(combination, name, dtypes):
    """The reduction by a Combination that needs no numbers."""
    of_column, of_few = of_thread(combination), of_small(combination)

    @kernel(
        threads=THREADS,
        split=A_THREAD_A_RESULT,
        dtypes=dtypes,
        name=f"{name}_small",
        x="T[A, R, B]",
        out="out T[n]",
    )
    def small(x, out):
        q = block_index() * THREADS + thread_index()
        found = of_few(x, x, out.size, shared_array(flat(x)[0], STAGED))
        if q < out.size:
            out[q] = found

    @kernel(
        threads=THREADS,
        split=A_THREAD_A_RESULT,
        dtypes=dtypes,
        name=f"{name}_by_thread",
        x="T[A, R, B]",
        out="out T[n]",
    )
    def by_thread(x, out):
        q = block_index() * THREADS + thread_index()
        if q < out.size:
            out[q] = of_column(x, x, q)

    def by(group, threads):
        """The kernel by which a group of `threads` makes each result, or that of a chunk."""
        of_a_group = of_group(threads, combination)

        @kernel(
            threads=THREADS,
            split=[("Q", THREADS // threads), ("B", COLUMNS)],
            dtypes=dtypes,
            name=f"{name}_by_{group}",
            x="T[A, R, B]",
            chunk="int",
            out="out T[Q, B]",
        )
        def by_group(x, chunk, out):
            partial = shared_array(flat(x)[0], THREADS)
            q, b, is_mine, found = of_a_group(x, x, chunk, out.shape[0], partial)
            if is_mine:
                out[q, b] = found

        return by_group

    return Reduction(small, by_thread, by("warp", WARP), by("block", THREADS))


# ---- where the extreme stands: of the rows in which it does, the smallest

NOWHERE = 1 << 62


@helper
def from_nowhere(x, extreme, place, q):
    return NOWHERE, extreme[natural(q)]


@helper
def row_if_extreme(x, place, r, extreme):
    """If there is a NaN, the extreme is NaN and equal to nothing."""
    here = x[natural(place)]
    return r if here == extreme or here != here else NOWHERE


FIRST = Combination(from_nowhere, row_if_extreme, minimum)
first_of_thread, first_of_small = of_thread(FIRST), of_small(FIRST)


@kernel(
    threads=THREADS,
    split=A_THREAD_A_RESULT,
    dtypes=ANY,
    x="T[A, R, B]",
    extreme="T[n]",
    out="out i8[n]",
)
def place_small(x, extreme, out):
    q = block_index() * THREADS + thread_index()
    found = first_of_small(x, extreme, out.size, shared_array(flat(x)[0], STAGED))
    if q < out.size:
        out[q] = found


@kernel(
    threads=THREADS,
    split=A_THREAD_A_RESULT,
    dtypes=ANY,
    x="T[A, R, B]",
    extreme="T[n]",
    out="out i8[n]",
)
def place_by_thread(x, extreme, out):
    q = block_index() * THREADS + thread_index()
    if q < out.size:
        out[q] = first_of_thread(x, extreme, q)


def place_by(group, threads):
    """The kernel by which a group of `threads` finds each place, or that of a chunk."""
    first_of_group = of_group(threads, FIRST)

    @kernel(
        threads=THREADS,
        split=[("Q", THREADS // threads), ("B", COLUMNS)],
        dtypes=ANY,
        name=f"place_by_{group}",
        x="T[A, R, B]",
        extreme="T[n]",
        chunk="int",
        out="out i8[Q, B]",
    )
    def by_group(x, extreme, chunk, out):
        partial = shared_array(NOWHERE, THREADS)
        q, b, is_mine, found = first_of_group(x, extreme, chunk, out.shape[0], partial)
        if is_mine:
            out[q, b] = found

    return by_group


PLACES = Reduction(place_small, place_by_thread, place_by("warp", WARP), place_by("block", THREADS))


# ---- launchers


def extreme(function):
    """The launcher of the largest or smallest element: by maximum or minimum."""
    kernels = extreme_kernels(function)

    def launch(call, x, out, *, axis=None, keepdims=False):
        in_passes(call, kernels, x, out, axes_of(x.shape, axis))

    return launch


def place_of_extreme(function):
    """The launcher of where the extreme by `function` stands: of chunks the first places are found,
    and then the first of those."""
    kernels = extreme_kernels(function)

    def launch(call, x, out, *, axis=None, keepdims=False):
        (extents,) = passes(x.shape, axes_of(x.shape, axis))
        found = call.scratch((extents[0] * extents[2],), x.dtype)
        one_pass(call, kernels, x, extents, (), (), found)
        if chunk := rows_of_chunk(*extents):
            places, extents = in_chunks(call, PLACES, x, extents, chunk, (found,), np.dtype("i8"))
            one_pass(call, extreme_kernels(minimum), places, extents, (), (), out)
        else:
            one_launch(call, PLACES, x, extents, (found,), out)

    return launch
