"""How the threads of a kernel divide its work, and how many rows they take at a time."""

from ..declare import helper, machine

# Rows are taken together so that what belongs to columns is loaded once for them. But those of an
# array of more than FAR elements come from beyond the second cache, and two side by side take up to
# twice as long as one by one (measured on Zen 4, with 128 to 768 columns): what fetches ahead
# follows a single row best. SHORT rows lie side by side in memory anyway; of LONG ones what belongs
# to columns leaves the nearest cache.
FAR = machine(lambda target, _item_bytes: 4 * target.kc_rows**2)
SHORT, LONG = (
    machine(lambda target, _item_bytes: target.kc_rows // 4),
    machine(lambda target, _item_bytes: 2 * target.kc_rows),
)
# A cache line is fetched before a part of it is written. What is written of an array of more than
# LARGE elements is in no cache when it is read again; it is computed a TILE at a time and goes from
# there to memory in whole lines, which need not be fetched. With 128 to 1024 columns that took 0.55
# to 0.85 of the time (Zen 4, 32 MB of third cache), tiles of half and twice the size more; but
# twice the time and more where rows do not begin with a line, for then parts of lines are written
# in both ways.
LARGE = machine(lambda target, _item_bytes: 12 * target.kc_rows**2)
TILE = 256
LINE = 16  # elements of float32 in a cache line
# elements of a flat array: every share but the last is whole vectors and whole cache lines
FLAT = 64
# Rows are shared out in multiples of this, by products so that micro-tiles are whole but for the
# last ones.
ROW_GRAIN = 4
HALF_L2_ELEMENTS = machine(lambda _target, item_bytes: (1 << 19) // item_bytes)  # 512 kB


@helper
def ceil_div(a, b):
    """a / b, rounded up."""
    return -(-a // b)


@helper
def thread_range(size, grain, thread, n_threads):
    """The start and stop of a thread's part of `size` elements, cut at multiples of `grain`. Which
    elements are computed together depends on size and grain only, so results do not depend on the
    number of threads. A single thread takes everything, without the two divisions, which take as
    long as the rest of a short call. Entry points compute the same
    (fastnn/compile/entry_point.py)."""
    if n_threads == 1:
        return 0, size
    grains = (size + grain - 1) // grain
    start, stop = grains * thread // n_threads * grain, grains * (thread + 1) // n_threads * grain
    return min(start, size), min(stop, size)


@helper
def together(x, first, last, rows):
    """Of the rows of x (N, C) from first to last, where those end that are taken `rows` at a time;
    the rest is taken singly."""
    one_by_one = x.size > FAR and SHORT <= x.shape[1] <= LONG
    return first if one_by_one else last - (last - first) % rows


@helper
def past_caches(y):
    """Whether the rows of y (N, C) are written past the caches: see LARGE."""
    return y.size > LARGE and y.shape[1] >= SHORT and y.shape[1] % LINE == 0


@helper
def columns_past_caches(y):
    """The same of a kernel that reads rows of its own for the columns: for LONG ones these leave
    the nearest cache, and it took up to 1.3 times as long."""
    return past_caches(y) and y.shape[1] <= LONG
