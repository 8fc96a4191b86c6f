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
    block_index_y,
    first_of_four,
    flat,
    is_aligned,
    load_four,
    shared_array,
    store_four,
)
from .reductions import COLUMN_PARTIAL, COLUMN_THREADS, column_sum
from .strips import (
    STRIPS_OF_CHUNKS,
    chunks_of,
    column_of_thread,
    line_of_thread,
    places_of_thread,
)

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
    four = [
        *[one(n) for n in range(FOUR)],
        *[f"    store_four({y}, i, ({four_of(y)}))" for y in fours_out],
        "    return",
    ]
    single = f"{each(results, 'i')} = function({each((*names, *numbers), 'i', numbers)})"
    last, scope = [f"    {single}"], NAMES
    if formula.far is not None:  # one of four: then all are computed one by one
        scope = {**NAMES, **formula.far._asdict(), "far": formula.far.function}
        x = names[0]
        are_near = [f"not is_far(size({x}_{n}))" for n in range(FOUR)]
        four = [f"    if {' and '.join(are_near)}:", *[f"    {line}" for line in four]]
        last = [
            f"    if is_far(size({x}[i])):",
            f"        {single.replace('function', 'far')}",
            "    else:",
            f"        {single}",
        ]
    at_once = [
        f"if i + FOUR <= {results[0]}.size and {aligned or 'True'}:",
        *[f"    {four_of(x)} = load_four({x}, i)" for x in fours],
        *four,
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
            *last,
            "    i += 1",
            **scope,
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


@cache
def gradient_and_chunk_sums(derivative):
    """dx = derivative(y, dy), and the sums of the columns of each `chunk` rows of it, or sums +=
    them."""

    @kernel(
        split=STRIPS_OF_CHUNKS,
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
        (rows, columns), p, total = y.shape, block_index_y(), T(0)
        partial = shared_array(T(0), COLUMN_PARTIAL)
        column, is_there = column_of_thread(columns)
        start, stop = p * chunk, min((p + 1) * chunk, rows)
        i, stop, step = places_of_thread(columns, column, start, stop)
        y, dy, dx = flat(y), flat(dy), flat(dx)
        while is_there and i + 3 * step < stop:  # the loads of four rows go on at the same time
            j, k, m = i + step, i + 2 * step, i + 3 * step
            a, b = derivative(y[i], dy[i]), derivative(y[j], dy[j])
            c, d = derivative(y[k], dy[k]), derivative(y[m], dy[m])
            dx[i], dx[j], dx[k], dx[m] = a, b, c, d
            total += (a + b) + (c + d)
            i += 4 * step
        while is_there and i < stop:
            value = derivative(y[i], dy[i])
            dx[i] = value
            total += value
            i += step
        total = column_sum(total, partial)
        if is_there and line_of_thread() == 0:
            sums[p, column] = sums[p, column] + total if accumulate != 0 else total

    return gradient_and_sums


@cache
def gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, dy), (N, C), and of the sums of its columns, (C,)."""
    of_chunks = gradient_and_chunk_sums(derivative)

    def launch(call, y, dy, dx, sums, *, accumulate=False):
        shape, chunk = chunks_of(dx)
        if shape[0] == 1:
            call(of_chunks, y, dy, chunk, int(accumulate), dx, sums.view(shape))
            return
        partial = call.scratch(shape, dx.dtype)
        call(of_chunks, y, dy, chunk, 0, dx, partial)
        reduce.sum(call, partial, sums, axis=0, accumulate=accumulate)

    return launch
