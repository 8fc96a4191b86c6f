"""How the threads of a kernel divide its work, how rows are unrolled, and when stores are
streaming: the grain sizes and cache-size rules of all kernels of rows and elements."""

from ..declare import helper, machine

# Threads get whole multiples of these. Elements of a flat array: whole vectors and whole cache
# lines. Rows: as products divide them, so that a thread finds the rows it has written in its own
# caches.
ELEMENT_GRAIN = 64
ROW_GRAIN = 4
HALF_L2_ELEMENTS = machine(lambda _target, item_bytes: (1 << 19) // item_bytes)  # 512 kB

# Rows are unrolled to reuse per-column operands while the array is resident in L2. Out of L2, two
# rows side by side take up to twice as long as one by one (Zen 4, 128 to 768 columns): the hardware
# prefetcher follows a single row best. Short rows are contiguous anyway; the per-column operands of
# long ones do not stay in L1.
L2_RESIDENT_MAX_ELEMENTS = machine(lambda target, _item_bytes: 4 * target.kc_rows**2)
SHORT_ROW_COLUMNS, LONG_ROW_COLUMNS = (
    machine(lambda target, _item_bytes: target.kc_rows // 4),
    machine(lambda target, _item_bytes: 2 * target.kc_rows),
)

# An ordinary store first fetches its cache line. A result of more elements than this is in no cache
# when it is read again, so it is computed a tile at a time in L1 and copied to memory by streaming
# stores of whole lines: 0.55 to 0.85 of the time with 128 to 1024 columns (Zen 4, L3 of 32 MB;
# tiles of half and twice the size took longer). Rows that straddle cache lines took twice the time
# and more, for then parts of lines are stored both ways.
STREAMING_STORE_MIN_ELEMENTS = machine(lambda target, _item_bytes: 12 * target.kc_rows**2)
STREAMING_TILE_ELEMENTS = 256
CACHE_LINE_ELEMENTS = 16  # of float32


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
def unrolled_end(x, start, stop, rows):
    """Where the loop over the rows of x (N, C) from start, unrolled by `rows`, ends; the remainder
    loop goes on from there to stop."""
    one_by_one = (
        x.size > L2_RESIDENT_MAX_ELEMENTS and SHORT_ROW_COLUMNS <= x.shape[1] <= LONG_ROW_COLUMNS
    )
    return start if one_by_one else stop - (stop - start) % rows


@helper
def streams_rows(y):
    """Whether the rows of y (N, C) are written by streaming stores."""
    return (
        y.size > STREAMING_STORE_MIN_ELEMENTS
        and y.shape[1] >= SHORT_ROW_COLUMNS
        and y.shape[1] % CACHE_LINE_ELEMENTS == 0
    )


@helper
def streams_rows_of_columns(y):
    """The same of a kernel that reads per-column operands: those of long rows do not stay in L1,
    and it took up to 1.3 times as long."""
    return streams_rows(y) and y.shape[1] <= LONG_ROW_COLUMNS
