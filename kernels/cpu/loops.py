"""The loops over formulas: each loop is written once, each formula once (`kernels/scalar/`).

    y = f(x, ..., numbers)     `elementwise`: n inputs that broadcast, m results
    dx = df(y, dy), sum of dx over its rows     `gradient_and_sums`

The text of an elementwise kernel depends on how many inputs, numbers and results its formula has,
so `flat_kernel` and `broadcast_kernel` write it down as one would by hand. That of x y is

    def multiply(x, y, out, start, stop):
        x, y, out = x[start:stop], y[start:stop], out[start:stop]
        for i in range(out.size):
            out[i] = function(x[i], y[i])

Loops run from 0 over slices: a loop from a run-time start keeps the test for a negative index in
its body, does not vectorise and was measured five to ten times slower. No fast-math flag is set:
`contract` merges one operation's multiply with the next one's add, and a fusion group of kernels
would then give other bits than the same formulas in one loop.
"""

from functools import cache, lru_cache
from itertools import product

from ..declare import ANY, T, helper, kernel
from ..formula_loops import broadcast_rows, each, results_of, written
from ..intrinsics import flat, stack_array
from .reduce import add_rows, chunks_of, rows_of_chunk, sum_of_chunks
from .simd.rows import clear, streaming_row_copy
from .threads import ELEMENT_GRAIN, STREAMING_TILE_ELEMENTS, streams_rows_of_columns, unrolled_end

# ---- elementwise


FAR_TILE = 256  # elements that are looked through again if one of them is far


@cache
def flat_kernel(formula):
    """out[i], ... = f(x[i], ..., numbers): of arrays of one shape. Those that are far (`Far`) are
    computed a second time, by themselves: a formula with a branch would not be vectorised."""
    names, numbers, results = formula.names, formula.attributes, results_of(formula)
    arrays = ", ".join((*names, *results))
    parts = ", ".join(f"{a}[start:stop]" for a in (*names, *results))
    one = f"{each(results, 'i')} = function({each((*names, *numbers), 'i', numbers)})"
    body, scope = [f"for i in range({results[0]}.size):", f"    {one}"], {}
    if formula.far is not None:
        scope = {"T": T, "TILE": FAR_TILE, **formula.far._asdict(), "far": formula.far.function}
        x = names[0]
        whole = [f"{a}_whole" for a in (*names, *results)]
        body = [
            f"{', '.join(whole)} = {arrays}",
            f"for begin in range(0, {whole[0]}.size, TILE):",
            f"    {arrays} = {', '.join(f'{a}[begin : begin + TILE]' for a in whole)}",
            "    largest = size(T(0))",
            *[f"    {line}" for line in body],
            f"        largest = max(largest, size({x}[i]))",
            "    if is_far(largest):",
            f"        for i in range({x}.size):",
            f"            if is_far(size({x}[i])):",
            f"                {one.replace('function', 'far')}",
        ]
    return kernel(
        split=[("n", ELEMENT_GRAIN)],
        dtypes=formula.dtypes,
        **{x: f"{t}[n]" for x, t in zip(names, formula.inputs, strict=True)},
        **dict.fromkeys(numbers, "float"),
        **{y: f"out {t}[n]" for y, t in zip(results, formula.results, strict=True)},
    )(
        written(
            globals(),
            formula.function,
            formula.name,
            (*names, *numbers, *results, "start", "stop"),
            f"{arrays} = {parts}",
            *body,
            **scope,
        )
    )


# Of arrays that broadcast the results are seen as rows, in each of which an input either runs along
# (step 1) or stands still (step 0). `outer` says where its rows begin: of each outer dimension the
# extent, and the step of each input.

ROWS_OR_COLUMNS = [("R", 1), ("C", ELEMENT_GRAIN)]


@cache
def broadcast_kernel(formula):
    """out[r, j], ... = f(x[place of r + j x_step], ..., numbers). The last inputs of a gradient,
    which have the results' shape, are rows as they are."""
    names, numbers, results = formula.names, formula.attributes, results_of(formula)
    moving, whole = names[: len(names) - formula.whole], names[len(names) - formula.whole :]
    body = [
        "for i in range(row_stop - row_start):",
        "    r = row_start + i",
        "    place = r",
        f"    {', '.join(f'{x}_place' for x in moving)} = {', '.join('0' for _ in moving)}",
        "    for d in range(outer.shape[0] - 1, -1, -1):",
        "        index = place % outer[d, 0]",
        "        place //= outer[d, 0]",
        *[f"        {x}_place += index * outer[d, {n}]" for n, x in enumerate(moving, 1)],
        *[f"    {a}_row = {a}[r, col_start:col_stop]" for a in (*whole, *results)],
    ]
    # one loop for each choice of inputs that stand still, those with most of them first
    choices = sorted(product((0, 1), repeat=len(moving)), key=sum)[1:]
    for steps in choices:
        still = [x for x, step in zip(moving, steps, strict=True) if step == 0]
        tests = " and ".join(f"{x}_step == 0" for x in still)
        first = "if" if steps == choices[0] else "elif"
        body.append(f"    {first} {tests}:" if still else "    else:")
        for x in moving:
            at = f"{x}_place + col_start : {x}_place + col_stop"
            body.append(
                f"        {x}_value = {x}[{x}_place]"
                if x in still
                else f"        {x}_row = {x}[{at}]"
            )
        given = [*[f"{x}_value" for x in still], *numbers]
        taken = [f"{x}_value" if x in still else f"{x}_row" for x in names]
        rows = [f"{y}_row" for y in results]
        body += [
            f"        for j in range({rows[0]}.size):",
            f"            {each(rows, 'j')} = function({each((*taken, *numbers), 'j', given)})",
        ]
    types = dict(zip(names, formula.inputs, strict=True))
    ranges = ("row_start", "row_stop", "col_start", "col_stop")
    steps = [f"{x}_step" for x in moving]
    return kernel(
        split=ROWS_OR_COLUMNS,
        dtypes=formula.dtypes,
        **{x: f"{types[x]}[{x.upper()}]" for x in moving},
        outer="i8[D, E]",
        **dict.fromkeys(steps, "int"),
        **{x: f"{types[x]}[R, C]" for x in whole},
        **dict.fromkeys(numbers, "float"),
        **{y: f"out {t}[R, C]" for y, t in zip(results, formula.results, strict=True)},
    )(
        written(
            globals(),
            formula.function,
            f"{formula.name}_broadcast",
            (*moving, "outer", *steps, *whole, *numbers, *results, *ranges),
            *body,
        )
    )


@lru_cache(maxsize=1024)
def broadcast_plan(kernel, constant, *shapes):
    """How shapes broadcast (`broadcast_rows`), the table made by `constant`; first the kernel to
    call, made of the `broadcast_kernel`."""
    rows, table, steps = broadcast_rows(*shapes)
    this = in_one_row(kernel, steps) if rows[0] == 1 else kernel
    return this, rows, (constant(table), *steps)


@cache
def in_one_row(broadcast, steps):
    """The kernel for results of one row: inputs that run along with it are touched by a thread's
    own range only, so there is no barrier between it and a flat kernel."""
    arrays = [p for p in broadcast.parameters if p.letters][: len(steps)]
    along = {p.name: f"{p.dtype}[C]" for p, step in zip(arrays, steps, strict=True) if step == 1}
    return broadcast.declared(broadcast.name, **along)


def elementwise(formula):
    """The launcher of a formula."""
    names, defaults = formula.attributes, formula.defaults
    n, moving = len(formula.names), len(formula.names) - formula.whole
    flat_form = flat_kernel(formula)
    broadcast = broadcast_kernel(formula) if moving > 1 else None

    def launch(call, *tensors, **given):
        numbers = [float(given.get(name, defaults[name])) for name in names] if names else ()
        shape = tensors[n].shape
        if broadcast is None or all([x.shape == shape for x in tensors[:moving]]):
            arrays = [t.flat() for t in tensors]
            call(flat_form, *arrays[:n], *numbers, *arrays[n:])
            return
        shapes = [x.shape for x in tensors[:moving]]
        this, rows, layout = broadcast_plan(broadcast, call.constant, *shapes)
        arrays = [t.flat() if i < moving else t.view(rows) for i, t in enumerate(tensors)]
        call(this, *arrays[:moving], *layout, *arrays[moving:n], *numbers, *arrays[n:])

    # The same where it is simple. Slices of lists, joined again, took 1.5 us where pairs broadcast.
    def launch_alike(call, *tensors):
        call(flat_form, *[t.flat() for t in tensors])

    def launch_pair(call, x, y, out):
        if x.shape == y.shape:
            call(flat_form, x.flat(), y.flat(), out.flat())
        else:
            this, rows, layout = broadcast_plan(broadcast, call.constant, x.shape, y.shape)
            call(this, x.flat(), y.flat(), *layout, out.view(rows))

    if names == () and broadcast is None:
        return launch_alike
    is_pair = (n, moving, len(formula.results), names) == (2, 2, 1, ())
    return launch_pair if is_pair else launch


# ---- casts


@cache
def cast_from(letter):
    """y = x, of another element type."""

    @kernel(
        split=[("n", ELEMENT_GRAIN)],
        dtypes=tuple(other for other in ANY if other != letter),
        name=f"cast_from_{letter}",
        x=f"{letter}[n]",
        y="out T[n]",
    )
    def pointwise(x, y, start, stop):
        x, y = x[start:stop], y[start:stop]
        for i in range(x.size):
            y[i] = x[i]

    return pointwise


# ---- gradients with the sums of their columns

# Fewer elements are summed sooner by columns than in chunks of rows.
COLUMN_SUMS_MIN_ELEMENTS = 1 << 13


@cache
def gradient_and_column_sums(derivative):
    """dx = derivative(y, dy), (N, C), and the sums of its columns, or sums += them: what a layer
    needs of its activation, y, and the gradient of its bias. Of few elements, which stay in L1."""

    @helper
    def strip(y, dy, dx, sums):
        """ELEMENT_GRAIN columns, their sums in registers: a third of the time of two passes, if
        rows are short. Of longer ones each strip would lie on other pages."""
        total = stack_array(T(0), ELEMENT_GRAIN)
        for j in range(ELEMENT_GRAIN):
            total[j] = sums[j]
        for i in range(y.shape[0]):
            y_row, dy_row, dx_row = (
                y[i, :ELEMENT_GRAIN],
                dy[i, :ELEMENT_GRAIN],
                dx[i, :ELEMENT_GRAIN],
            )
            for j in range(ELEMENT_GRAIN):
                value = derivative(y_row[j], dy_row[j])
                dx_row[j] = value
                total[j] += value
        for j in range(ELEMENT_GRAIN):
            sums[j] = total[j]

    @helper
    def row(y, dy, dx):
        for j in range(dx.size):
            dx[j] = derivative(y[j], dy[j])

    @kernel(
        split=[("C", ELEMENT_GRAIN)],
        name=f"{derivative.name}_and_sums",
        y="T[N, C]",
        dy="T[N, C]",
        accumulate="int",
        dx="out T[N, C]",
        sums="inout T[C]",
    )
    def gradient_and_sums(y, dy, accumulate, dx, sums, start, stop):
        rows, columns = y.shape
        own = sums[start:stop]
        if accumulate == 0:
            clear(own)
        if columns == ELEMENT_GRAIN and stop == ELEMENT_GRAIN:
            strip(y, dy, dx, sums)
            return
        if stop - start == columns:  # whole rows are one
            row(flat(y), flat(dy), flat(dx))
        else:
            for i in range(rows):
                row(y[i, start:stop], dy[i, start:stop], dx[i, start:stop])
        add_rows(dx[:, start:stop], own)

    return gradient_and_sums


@cache
def gradient_and_chunk_sums(derivative):
    """The same of many elements, with the sums of each `chunk` rows: threads divide rows, as the
    products around it do. Its own
    loops: made by `row_loop` they took 1.03 to 1.06 times as long."""

    @helper
    def row(y, dy, dx, sums):
        for j in range(dx.size):
            value = derivative(y[j], dy[j])
            dx[j] = value
            sums[j] += value

    @helper
    def stream_rows(y, dy, dx, sums):
        """The rows of dx by streaming stores."""
        tile = stack_array(T(0), STREAMING_TILE_ELEMENTS)
        for i in range(y.shape[0]):
            for col_start in range(0, sums.size, STREAMING_TILE_ELEMENTS):
                col_stop = min(col_start + STREAMING_TILE_ELEMENTS, sums.size)
                y_tile, dy_tile, total = (
                    y[i, col_start:col_stop],
                    dy[i, col_start:col_stop],
                    sums[col_start:col_stop],
                )
                for j in range(total.size):
                    tile[j] = derivative(y_tile[j], dy_tile[j])
                    total[j] += tile[j]
                streaming_row_copy(tile[: total.size], dx[i, col_start:col_stop])

    @helper
    def two_rows(y, dy, dx, sums):
        a, b, da, db, p, q = y[0], y[1], dy[0], dy[1], dx[0], dx[1]
        for j in range(sums.size):
            p[j], q[j] = derivative(a[j], da[j]), derivative(b[j], db[j])
            sums[j] += p[j] + q[j]

    @kernel(
        split=[("P", 1)],
        name=f"{derivative.name}_and_chunk_sums",
        y="T[N, C]",
        dy="T[N, C]",
        chunk="int",
        dx="out T[N, C]",
        sums="out T[P, C]",
    )
    def gradient_and_sums(y, dy, chunk, dx, sums, start, stop):
        for p in range(start, stop):
            own, row_start, row_stop = sums[p], p * chunk, min((p + 1) * chunk, y.shape[0])
            clear(own)
            if streams_rows_of_columns(dx):
                stream_rows(
                    y[row_start:row_stop], dy[row_start:row_stop], dx[row_start:row_stop], own
                )
                continue
            unrolled = unrolled_end(y, row_start, row_stop, 2)
            for i in range(row_start, unrolled, 2):
                two_rows(y[i:], dy[i:], dx[i:], own)
            for i in range(unrolled, row_stop):
                row(y[i], dy[i], dx[i], own)

    return gradient_and_sums


@cache
def gradient_and_sums(derivative):
    """The launcher of dx = derivative(y, dy), (N, C), and of the sums of its columns, (C,)."""
    of_few = gradient_and_column_sums(derivative)
    of_chunks = gradient_and_chunk_sums(derivative)

    def launch(call, y, dy, dx, sums, *, accumulate=False):
        rows, columns = dx.shape
        if rows * columns < COLUMN_SUMS_MIN_ELEMENTS:
            call(of_few, y, dy, int(accumulate), dx, sums)
            return
        chunks = call.scratch(chunks_of(dx.shape), dx.dtype)
        call(of_chunks, y, dy, rows_of_chunk(rows), dx, chunks)
        sum_of_chunks(call, chunks, sums, accumulate)

    return launch
