"""The loops over formulas, as `kernels/cpu/loops.py` has them: four neighbours to a thread, loaded
and stored at once where every array begins at a multiple of 16 bytes.

    y = f(x, ..., numbers)     `elementwise`: n inputs that broadcast, m results
    dx = df(y, dy), sum of dx over its rows     `gradient_and_sums`

The kernel of x y is, written down as one would by hand,

    def multiply(x, y, out):
        i = first_of_four(THREADS)
        if i + FOUR <= out.size and is_aligned(x) and is_aligned(y) and is_aligned(out):
            x_0, x_1, x_2, x_3 = load_four(x, i)
            y_0, y_1, y_2, y_3 = load_four(y, i)
            out_0 = function(x_0, y_0)
            ...
            store_four(out, i, (out_0, out_1, out_2, out_3))
            return
        end = min(i + FOUR, out.size)
        while i < end:
            out[i] = function(x[i], y[i])
            i += 1
"""

from functools import cache, lru_cache

from ..declare import T, kernel
from ..formula_loops import broadcast_rows, each, results_of, written
from . import reduce
from .grid import (
    FOUR,
    block_index,
    block_index_y,
    first_of_four,
    is_aligned,
    load_four,
    shared_array,
    store_four,
    thread_index,
)
from .reductions import COLUMN_PARTIAL, COLUMN_THREADS, COLUMNS, LINES, column_sum

THREADS = 256
FLAT = [("n", THREADS * FOUR)]

NAMES = {
    "FOUR": FOUR,
    "THREADS": THREADS,
    "first_of_four": first_of_four,
    "is_aligned": is_aligned,
    "load_four": load_four,
    "store_four": store_four,
}


@cache
def flat_kernel(formula):
    """out[i], ... = f(x[i], ..., numbers): of arrays of one shape."""
    names, numbers, results = formula.names, formula.attributes, results_of(formula)
    # Arrays of other types than T are gone through element by element.
    fours = [x for x, t in zip(names, formula.inputs, strict=True) if t == "T"]
    fours_out = [y for y, t in zip(results, formula.results, strict=True) if t == "T"]

    def one(n):
        given = [
            f"{x}_{n}" if x in fours else x if x in numbers else f"{x}[i + {n}]"
            for x in (*names, *numbers)
        ]
        found = [f"{y}_{n}" if y in fours_out else f"{y}[i + {n}]" for y in results]
        return f"    {', '.join(found)} = function({', '.join(given)})"

    def four_of(x):
        return ", ".join(f"{x}_{n}" for n in range(FOUR))

    aligned = " and ".join(f"is_aligned({a})" for a in (*fours, *fours_out))
    at_once = [
        f"if i + FOUR <= {results[0]}.size and {aligned or 'True'}:",
        *[f"    {four_of(x)} = load_four({x}, i)" for x in fours],
        *[one(n) for n in range(FOUR)],
        *[f"    store_four({y}, i, ({four_of(y)}))" for y in fours_out],
        "    return",
    ]
    return kernel(
        split=FLAT,
        threads=THREADS,
        dtypes=formula.dtypes,
        **{x: f"{t}[n]" for x, t in zip(names, formula.inputs, strict=True)},
        **dict.fromkeys(numbers, "float"),
        **{y: f"out {t}[n]" for y, t in zip(results, formula.results, strict=True)},
    )(
        written(
            globals(),
            formula.function,
            formula.name,
            (*names, *numbers, *results),
            "i = first_of_four(THREADS)",
            *at_once,
            f"end = min(i + FOUR, {results[0]}.size)",
            "while i < end:",
            f"    {each(results, 'i')} = function({each((*names, *numbers), 'i', numbers)})",
            "    i += 1",
            **NAMES,
        )
    )


# Of arrays that broadcast the results are seen as rows of `columns`, in each of which an input
# either runs along (step 1) or stands still (step 0); `outer` as in kernels/cpu/loops.py.


@cache
def broadcast_kernel(formula):
    """out[r, j], ... = f(x[place of r + j x_step], ..., numbers). The last inputs of a gradient,
    which have the results' shape, are read as they are."""
    names, numbers, results = formula.names, formula.attributes, results_of(formula)
    moving, whole = names[: len(names) - formula.whole], names[len(names) - formula.whole :]
    places = [
        "place = r",
        f"{', '.join(f'{x}_place' for x in moving)} = {', '.join('0' for _ in moving)}",
        "d = outer.shape[0] - 1",
        "while d >= 0:",
        "    index = place % outer[d, 0]",
        "    place //= outer[d, 0]",
        *[f"    {x}_place += index * outer[d, {n}]" for n, x in enumerate(moving, 1)],
        "    d -= 1",
    ]
    given = [
        f"{x}[{x}_place + j * {x}_step]" if x in moving else x if x in numbers else f"{x}[i]"
        for x in (*names, *numbers)
    ]
    types = dict(zip(names, formula.inputs, strict=True))
    steps = [f"{x}_step" for x in moving]
    return kernel(
        split=FLAT,
        threads=THREADS,
        dtypes=formula.dtypes,
        **{x: f"{types[x]}[{x.upper()}]" for x in moving},
        columns="int",
        outer="i8[D, E]",
        **dict.fromkeys(steps, "int"),
        **{x: f"{types[x]}[n]" for x in whole},
        **dict.fromkeys(numbers, "float"),
        **{y: f"out {t}[n]" for y, t in zip(results, formula.results, strict=True)},
    )(
        written(
            globals(),
            formula.function,
            f"{formula.name}_broadcast",
            (*moving, "columns", "outer", *steps, *whole, *numbers, *results),
            "i = first_of_four(THREADS)",
            f"end = min(i + FOUR, {results[0]}.size)",
            "while i < end:",
            "    r = i // columns",
            "    j = i - r * columns",
            *[f"    {line}" for line in places],
            "    stop = min(end, i + columns - j)",
            "    while i < stop:",
            f"        {each(results, 'i')} = function({', '.join(given)})",
            "        i += 1",
            "        j += 1",
            **NAMES,
        )
    )


@lru_cache(maxsize=1024)
def broadcast_plan(constant, *shapes):
    """How shapes broadcast: what the kernel takes after the inputs that do."""
    (_, columns), table, steps = broadcast_rows(*shapes)
    return (columns, constant(table), *steps)


def elementwise(formula):
    """The launcher of a formula."""
    names, defaults = formula.attributes, formula.defaults
    n, moving = len(formula.names), len(formula.names) - formula.whole
    flat_form = flat_kernel(formula)
    broadcast = broadcast_kernel(formula) if moving > 1 else None

    def launch(call, *tensors, **given):
        numbers = [float(given.get(name, defaults[name])) for name in names]
        shape = tensors[n].shape
        arrays = [t.flat() for t in tensors]
        if broadcast is None or all([x.shape == shape for x in tensors[:moving]]):
            call(flat_form, *arrays[:n], *numbers, *arrays[n:])
            return
        layout = broadcast_plan(call.constant, *[x.shape for x in tensors[:moving]])
        call(broadcast, *arrays[:moving], *layout, *arrays[moving:n], *numbers, *arrays[n:])

    return launch


# ---- gradients with the sums of their columns

# Blocks that keep a GPU's processors busy, and the fewest rows that one of them sums. Rows are cut
# by the shape alone, so the order of the sums is the same on every GPU.
SUM_BLOCKS, SUM_MIN_ROWS = 512, 128


@cache
def gradient_and_chunk_sums(derivative):
    """dx = derivative(y, dy), and the sums of the columns of each `chunk` rows of it, or sums +=
    them."""

    @kernel(
        split=[("C", COLUMNS), ("P", 1)],
        threads=COLUMN_THREADS,
        name=f"{derivative.name}_and_sums",
        y="T[N, C]",
        dy="T[N, C]",
        chunk="int",
        accumulate="int",
        dx="out T[N, C]",
        sums="inout T[P, C]",
    )
    def gradient_and_sums(y, dy, chunk, accumulate, dx, sums):
        partial, total = shared_array(T(0), COLUMN_PARTIAL), T(0)
        p, j = block_index_y(), block_index() * COLUMNS + thread_index() % COLUMNS
        i, stop = p * chunk + thread_index() // COLUMNS, min((p + 1) * chunk, y.shape[0])
        while i < stop and j < y.shape[1]:
            value = derivative(y[i, j], dy[i, j])
            dx[i, j] = value
            total += value
            i += LINES
        total = column_sum(total, partial)
        if thread_index() < COLUMNS and j < y.shape[1]:
            sums[p, j] = sums[p, j] + total if accumulate != 0 else total

    return gradient_and_sums


@cache
def gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, dy), (N, C), and of the sums of its columns, (C,)."""
    of_chunks = gradient_and_chunk_sums(derivative)

    def launch(call, y, dy, dx, sums, *, accumulate=False):
        rows, columns = dx.shape
        blocks = max(1, -(-columns // COLUMNS))
        chunks = max(1, min(rows // SUM_MIN_ROWS, SUM_BLOCKS // blocks))
        chunk = -(-rows // chunks)
        if chunks == 1:
            call(of_chunks, y, dy, chunk, int(accumulate), dx, sums.view((1, columns)))
            return
        partial = call.scratch((chunks, columns), dx.dtype)
        call(of_chunks, y, dy, chunk, 0, dx, partial)
        reduce.sum(call, partial, sums, axis=0, accumulate=accumulate)

    return launch
