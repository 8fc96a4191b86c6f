"""The loops over the elements of (N, C), each written once: as kernels/cpu/row_loops.py has them.

    y[i, j] = f(x[i, j], ..., gamma[j], ..., mean, ...)     a row is mapped: `row_loop`
    sum = f(x[i, j], ..., sum)                              or reduced to numbers
    y[i, j] = f(x[i, j], ..., gamma[j], ...)                all elements are: `column_kernel`

Their formulas are in `kernels/scalar/normalize.py`. Where C is a multiple of four a thread has four
neighbours at a time, loaded and stored at once if all arrays are aligned. So the bits of a sum do
not depend on where an array lies.

A row has as many threads as its length asks for (`threads_of_row`), and what becomes of it does not
depend on the other rows. Threads beyond the last row work on the last one too, since all lanes of a
warp must be there to sum, and write nothing.
"""

from ..declare import Helper, helper, kernel
from ..formula_loops import written
from .grid import (
    FOUR,
    WARP,
    block_index,
    first_of_four,
    flat,
    from_lane,
    is_aligned,
    load_four,
    store_four,
    thread_index,
)
from .reductions import BLOCK_THREADS, block_max, block_sum, larger

SHORT_ROW_COLUMNS, SHORT_ROW_THREADS = 32, 8
WARP_ROW_COLUMNS = 1024  # up to which a warp has a row; each lane then has eight fours


def threads_of_row(columns):
    """How many threads share a row: eight, a warp or a block."""
    if columns <= SHORT_ROW_COLUMNS:
        return SHORT_ROW_THREADS
    return WARP if columns <= WARP_ROW_COLUMNS else BLOCK_THREADS


def row_kernel(**declarations):
    """Declares a kernel of rows. What is decorated gives its function for a number of threads of a
    row; it becomes what gives the kernel for a number of columns."""

    def declare(function_for):
        def declared(threads):
            function, rows = function_for(threads), BLOCK_THREADS // threads
            name, split = f"{function.__name__}_{threads}", [("N", rows)]
            return kernel(split, name=name, threads=BLOCK_THREADS, **declarations)(function)

        made = {n: declared(n) for n in (SHORT_ROW_THREADS, WARP, BLOCK_THREADS)}
        return lambda columns: made[threads_of_row(columns)]

    return declare


@helper
def row_of_thread(threads):
    """The row of this thread, of a block of BLOCK_THREADS, `threads` to a row."""
    return block_index() * (BLOCK_THREADS // threads) + thread_index() // threads


@helper
def row_sum(x, threads, partial):
    """The sum of x over the `threads` of a row, known to all; `partial` as for block_sum."""
    if threads > WARP:
        return block_sum(x, partial)
    distance = threads // 2
    while distance > 0:
        x += from_lane(x, distance)
        distance //= 2
    return x


@helper
def row_max(x, threads, partial):
    """The largest x likewise. NaN is passed over, or the result."""
    if threads > WARP:
        return block_max(x, partial)
    distance = threads // 2
    while distance > 0:
        x = larger(x, from_lane(x, distance))
        distance //= 2
    return x


@helper
def four_at(x, place, at_once):
    """x[place : place + 4]."""
    if at_once:
        return load_four(x, place)
    return x[place], x[place + 1], x[place + 2], x[place + 3]


@helper
def put_four(y, place, at_once, values):
    """y[place : place + 4] = values."""
    if at_once:
        store_four(y, place, values)
    else:
        y[place], y[place + 1], y[place + 2], y[place + 3] = values


NAMES = {
    "FOUR": FOUR,
    "THREADS": BLOCK_THREADS,
    "block_index": block_index,
    "first_of_four": first_of_four,
    "flat": flat,
    "four_at": four_at,
    "is_aligned": is_aligned,
    "put_four": put_four,
    "thread_index": thread_index,
}


def _steps(operands, place):
    """The lines that apply `function` to one element, and to four: the elements of (N, C) at
    `place`, those of (C,) at j."""
    places = {"N, C": place, "out N, C": place, "C": "j"}
    given = {n: kind for n, kind in operands.items() if kind != "out N, C"}
    found = {n: kind for n, kind in operands.items() if kind in ("out N, C", "sum")}

    def step(number, element):
        names = [
            f"j + {number}" if kind == "column" else element(n) if kind in places else n
            for n, kind in given.items()
        ]
        results = [element(n) if kind in places else n for n, kind in found.items()]
        return f"{', '.join(results)} = function({', '.join(names)})"

    def four(n):
        return ", ".join(f"{n}_{k}" for k in range(FOUR))

    loads = [
        f"{four(n)} = four_at({n}, {places[kind]}, at_once)"
        for n, kind in given.items()
        if kind in places
    ]
    stores = [
        f"put_four({n}, {places[kind]}, at_once, ({four(n)}))"
        for n, kind in found.items()
        if kind in places
    ]
    one = step(0, lambda n: f"{n}[{places[operands[n]]}]")
    return one, [*loads, *[step(k, lambda n: f"{n}_{k}") for k in range(FOUR)], *stores]


def _at_once(operands):
    arrays = [n for n, kind in operands.items() if "C" in kind]
    return f"at_once = {' and '.join(f'is_aligned({n})' for n in arrays)}"


def row_loop(formula, **operands):
    """The helper that applies a formula to the elements of row i that are thread t's, of `threads`.
    `operands` says what each argument is, in the order in which the formula takes them: "N, C", "C"
    (of the element's column), "column" (its number), "number"; then either results, "out N, C", or
    sums, "sum", which it takes last and gives anew. It returns the sums.

    That of x "N, C", gamma "C", mean "number", y "out N, C":

        def rows(x, gamma, mean, y, i, t, threads):
            columns, row = x.shape[1], i * x.shape[1]
            x, y = flat(x), flat(y)
            if columns % FOUR == 0:
                at_once, j = is_aligned(x) and is_aligned(gamma) and is_aligned(y), FOUR * t
                while j < columns:
                    x_0, x_1, x_2, x_3 = four_at(x, row + j, at_once)
                    gamma_0, gamma_1, gamma_2, gamma_3 = four_at(gamma, j, at_once)
                    y_0 = function(x_0, gamma_0, mean)
                    ...
                    put_four(y, row + j, at_once, (y_0, y_1, y_2, y_3))
                    j += FOUR * threads
                return
            j = t
            while j < columns:
                y[row + j] = function(x[row + j], gamma[j], mean)
                j += threads
    """
    matrices = [n for n, kind in operands.items() if "N, C" in kind]
    one, four = _steps(operands, "row + j")
    sums = [n for n, kind in operands.items() if kind == "sum"]
    given = [n for n, kind in operands.items() if kind != "column"]
    text = written(
        globals(),
        formula,
        f"{formula.name}_row",
        (*given, "i", "t", "threads"),
        f"columns, row = {matrices[0]}.shape[1], i * {matrices[0]}.shape[1]",
        *[f"{n} = flat({n})" for n in matrices],
        "if columns % FOUR == 0:",
        f"    {_at_once(operands)}",
        "    j = FOUR * t",
        "    while j < columns:",
        *[f"        {line}" for line in four],
        "        j += FOUR * threads",
        f"    return {', '.join(sums)}",
        "j = t",
        "while j < columns:",
        f"    {one}",
        "    j += threads",
        f"return {', '.join(sums)}",
        **NAMES,
    )
    return Helper(text)


def column_kernel(formula, name, **operands):
    """The kernel that applies a formula to all elements; `operands` as above, "N, C", "C" and "out
    N, C". It takes matrices as flat arrays.

    That of x "N, C", mean "C", y "out N, C":

        def kernel(x, mean, y):
            columns = mean.size
            if columns % FOUR == 0:
                i = first_of_four(THREADS)
                j = i % columns
                ...
                return
            start = block_index() * THREADS * FOUR
            i, end = start + thread_index(), min(start + THREADS * FOUR, y.size)
            j, step = i % columns, THREADS % columns
            while i < end:
                y[i] = function(x[i], mean[j])
                i += THREADS
                j += step
                j -= columns if j >= columns else 0
    """
    one, four = _steps(operands, "i")
    columns = next(n for n, kind in operands.items() if kind == "C")
    out = next(n for n, kind in operands.items() if kind == "out N, C")
    declared = {"N, C": "T[n]", "C": "T[C]", "out N, C": "out T[n]"}
    return kernel(
        name=name,
        threads=BLOCK_THREADS,
        split=[("n", BLOCK_THREADS * FOUR)],
        **{n: declared[kind] for n, kind in operands.items()},
    )(
        written(
            globals(),
            formula,
            name,
            operands,
            f"columns = {columns}.size",
            "if columns % FOUR == 0:",
            "    i = first_of_four(THREADS)",
            "    j = i % columns",
            f"    {_at_once(operands)}",
            f"    if i < {out}.size:",
            *[f"        {line}" for line in four],
            "    return",
            "start = block_index() * THREADS * FOUR",
            f"i, end = start + thread_index(), min(start + THREADS * FOUR, {out}.size)",
            "j, step = i % columns, THREADS % columns",
            "while i < end:",
            f"    {one}",
            "    i += THREADS",
            "    j += step",
            "    j -= columns if j >= columns else 0",
            **NAMES,
        )
    )
