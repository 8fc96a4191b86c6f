"""Accuracies, row by row, a warp to a row. Metrics are means of them (`epoch.py`)."""

from ..declare import T, helper, kernel
from .grid import WARP, block_index, from_lane, int_from_lane, thread_index
from .reductions import BLOCK_THREADS, BLOCK_WARPS, warp_sum

A_WARP_A_ROW = [("N", BLOCK_WARPS)]


@helper
def row_of_warp():
    """The row that is this thread's warp's; there may be fewer."""
    return block_index() * BLOCK_WARPS + thread_index() // WARP


@helper
def is_hit(p, target, threshold):
    return T(1) if target == (T(1) if p > threshold else T(0)) else T(0)


@kernel(
    threads=BLOCK_THREADS,
    split=A_WARP_A_ROW,
    name="binary_accuracy",
    p="T[N, C]",
    target="T[N, C]",
    threshold="float",
    correct="out T[N]",
)
def accuracy_of_rows(p, target, threshold, correct):
    """correct[i] = mean over j of (target[i, j] == (p[i, j] > threshold))."""
    i, j, limit, hits = row_of_warp(), thread_index() % WARP, T(threshold), T(0)
    if i < correct.size:
        while j < p.shape[1]:
            hits += is_hit(p[i, j], target[i, j], limit)
            j += WARP
    hits = warp_sum(hits)
    if i < correct.size and thread_index() % WARP == 0:
        correct[i] = hits / T(p.shape[1])


@kernel(
    threads=BLOCK_THREADS,
    split=[("N", BLOCK_THREADS)],
    name="binary_accuracy_of_a_column",
    p="T[N]",
    target="T[N]",
    threshold="float",
    correct="out T[N]",
)
def accuracy_of_column(p, target, threshold, correct):
    """The same of rows of one element: a thread to each."""
    i = block_index() * BLOCK_THREADS + thread_index()
    if i < correct.size:
        correct[i] = is_hit(p[i], target[i], T(threshold))


@helper
def argmax(x, i):
    """The place of the largest element of row i, of equals the first; known to all lanes. NaN is
    passed over, but for the first element: nothing is larger. Every lane begins with that one."""
    j, place, largest = thread_index() % WARP, 0, T(0)
    if i < x.shape[0] and x.shape[1] > 0:
        largest = x[i, 0]
        while j < x.shape[1]:
            if x[i, j] > largest:
                place, largest = j, x[i, j]
            j += WARP
    distance = WARP // 2
    while distance > 0:
        other, other_place = from_lane(largest, distance), int_from_lane(place, distance)
        if other > largest or (other == largest and other_place < place):
            place, largest = other_place, other
        distance //= 2
    return place


@kernel(threads=BLOCK_THREADS, split=A_WARP_A_ROW, p="T[N, C]", labels="i8[N]", correct="out T[N]")
def sparse_categorical_accuracy(p, labels, correct):
    """correct[i] = (argmax(p[i]) == labels[i])."""
    i = row_of_warp()
    place = argmax(p, i)
    if i < correct.size and thread_index() % WARP == 0:
        correct[i] = T(1) if place == labels[i] else T(0)


@kernel(
    threads=BLOCK_THREADS, split=A_WARP_A_ROW, p="T[N, C]", target="T[N, C]", correct="out T[N]"
)
def categorical_accuracy(p, target, correct):
    """correct[i] = (argmax(p[i]) == argmax(target[i]))."""
    i = row_of_warp()
    same = argmax(p, i) == argmax(target, i)
    if i < correct.size and thread_index() % WARP == 0:
        correct[i] = T(1) if same else T(0)


# ---- launchers


def binary_accuracy(call, p, target, correct, *, threshold=0.5):
    if p.shape[1] == 1:
        call(accuracy_of_column, p.flat(), target.flat(), float(threshold), correct)
    else:
        call(accuracy_of_rows, p, target, float(threshold), correct)
