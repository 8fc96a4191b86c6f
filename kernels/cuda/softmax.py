"""Softmax and its logarithm, of rows of x (N, C), by the formulas of kernels/cpu/softmax.py.

e^(x - row_max) is computed twice, for the sum and for the result: to keep it would cost the memory
more than it costs a thread.
"""

import math

from ..declare import T, helper
from ..intrinsics import fma
from ..places import by_rows
from ..scalar.elementary import exp_of_negative, log
from ..scalar.normalize import log_softmax_gradient as log_formula
from ..scalar.normalize import softmax_gradient as gradient
from .grid import shared_array, thread_index
from .movement import transpose
from .reductions import BLOCK_WARPS, larger
from .row_loops import row_kernel, row_loop, row_max, row_of_thread, row_sum


@helper
def larger_of(x, top):
    return larger(top, x)


@helper
def add_exp(x, top, total):
    return total + exp_of_negative(x - top)


@helper
def scaled_exp(x, top, scale):
    return exp_of_negative(x - top) * scale


@helper
def add_product(y, dy, total):
    return fma(y, dy, total)


@helper
def shifted(x, top, log_sum):
    return (x - top) - log_sum


@helper
def add(dy, total):
    return total + dy


@helper
def log_gradient(y, dy, total):
    return log_formula(exp_of_negative(y), dy, total)


largest_of_row = row_loop(larger_of, x="N, C", top="sum")
exp_sum_of_row = row_loop(add_exp, x="N, C", top="number", total="sum")
scaled_exp_of_row = row_loop(scaled_exp, x="N, C", top="number", scale="number", y="out N, C")
shifted_row = row_loop(shifted, x="N, C", top="number", log_sum="number", y="out N, C")
sum_of_row = row_loop(add, dy="N, C", total="sum")
log_gradient_of_row = row_loop(log_gradient, y="N, C", dy="N, C", total="number", dx="out N, C")
dot_of_row = row_loop(add_product, y="N, C", dy="N, C", total="sum")
gradient_of_row = row_loop(gradient, y="N, C", dy="N, C", inner="number", dx="out N, C")


@helper
def softmax_of_row(x, y, threads, partial):
    """y of this thread's row, in which it is thread t; the row's number, row_max and exp_sum."""
    i, t = row_of_thread(threads), thread_index() % threads
    row = min(i, x.shape[0] - 1)
    top = row_max(largest_of_row(x, T(-math.inf), row, t, threads), threads, partial)
    total = row_sum(exp_sum_of_row(x, top, T(0), row, t, threads), threads, partial)
    if i < x.shape[0]:
        scaled_exp_of_row(x, top, T(1) / total, y, i, t, threads)
    return i, t, top, total


@row_kernel(
    x="T[N, C]",
    y="out T[N, C]",
    row_max="out T[N]",
    exp_sum="out T[N]",
)
def softmax_kernel(threads):
    def softmax(x, y, row_max, exp_sum):
        """y = e^(x - row_max) / exp_sum. A loss of y reads row_max and exp_sum."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t, top, total = softmax_of_row(x, y, threads, partial)
        if i < x.shape[0] and t == 0:
            row_max[i], exp_sum[i] = top, total

    return softmax


@row_kernel(
    y="T[N, C]",
    dy="T[N, C]",
    dx="out T[N, C]",
)
def softmax_gradient_kernel(threads):
    def softmax_gradient(y, dy, dx):
        """dx = y (dy - sum of dy y)."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row = min(i, y.shape[0] - 1)
        inner = row_sum(dot_of_row(y, dy, T(0), row, t, threads), threads, partial)
        if i < y.shape[0]:
            gradient_of_row(y, dy, inner, dx, i, t, threads)

    return softmax_gradient


@row_kernel(
    x="T[N, C]",
    y="out T[N, C]",
)
def log_softmax_kernel(threads):
    def log_softmax(x, y):
        """y = (x - row_max) - log(exp_sum)."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row = min(i, x.shape[0] - 1)
        top = row_max(largest_of_row(x, T(-math.inf), row, t, threads), threads, partial)
        total = row_sum(exp_sum_of_row(x, top, T(0), row, t, threads), threads, partial)
        if i < x.shape[0]:
            shifted_row(x, top, log(total), y, i, t, threads)

    return log_softmax


@row_kernel(
    y="T[N, C]",
    dy="T[N, C]",
    dx="out T[N, C]",
)
def log_softmax_gradient_kernel(threads):
    def log_softmax_gradient(y, dy, dx):
        """dx = dy - e^y sum of dy."""
        partial = shared_array(T(0), BLOCK_WARPS)
        i, t = row_of_thread(threads), thread_index() % threads
        row = min(i, y.shape[0] - 1)
        total = row_sum(sum_of_row(dy, T(0), row, t, threads), threads, partial)
        if i < y.shape[0]:
            log_gradient_of_row(y, dy, total, dx, i, t, threads)

    return log_softmax_gradient


# ---- launchers, of rows along any axes


def softmax_along(call, x, y, row_max, exp_sum, *, axis=-1):
    def of_rows(x, y):
        call(softmax_kernel(x.shape[1]), x, y, row_max, exp_sum)

    by_rows(call, transpose, axis, of_rows, x, y)


def softmax_gradient_along(call, y, dy, dx, *, axis=-1):
    def of_rows(y, dy, dx):
        call(softmax_gradient_kernel(y.shape[1]), y, dy, dx)

    by_rows(call, transpose, axis, of_rows, y, dy, dx)


def log_softmax_along(call, x, y, *, axis=-1):
    def of_rows(x, y):
        call(log_softmax_kernel(x.shape[1]), x, y)

    by_rows(call, transpose, axis, of_rows, x, y)


def log_softmax_gradient_along(call, y, dy, dx, *, axis=-1):
    def of_rows(y, dy, dx):
        call(log_softmax_gradient_kernel(y.shape[1]), y, dy, dx)

    by_rows(call, transpose, axis, of_rows, y, dy, dx)
