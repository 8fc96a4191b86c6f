"""The loop over the rows of (N, C), written once: unrolled over two rows, remainder, streaming
stores. Its formulas are in `kernels/scalar/normalize.py`, each once.

    y[i, j] = f(x[i, j], ..., gamma[j], ..., mean[i], ...)     rows are mapped
    sums[j] = f(x[i, j], ..., mean[j], ..., sums[j])           columns are reduced

A row is reduced to a number by whole vector registers with a masked tail; that loop is
`_reduced_together` of simd/rows.py.
"""

from ..declare import Helper, T
from ..formula_loops import written
from ..intrinsics import stack_array
from .simd.rows import streaming_row_copy
from .threads import STREAMING_TILE_ELEMENTS


def row_loop(formula, **operands):
    """The helper that applies a formula to rows. `operands` says what each argument is: inputs
    "N, C", "C" and "N" in the order in which the formula takes them; then either the result, "out
    N, C", or several "inout C", sums to which the formula adds: it takes them last and gives the
    new ones. The text depends on that, so it is written down as one would by hand.

    That of x "N, C", gamma "C", mean "N", y "out N, C":

        def rows(x, gamma, mean, y, unrolled, is_streamed):
            if is_streamed:
                tile = stack_array(T(0), STREAMING_TILE_ELEMENTS)
                for i in range(x.shape[0]):
                    for start in range(0, x.shape[1], STREAMING_TILE_ELEMENTS):
                        stop = min(start + STREAMING_TILE_ELEMENTS, x.shape[1])
                        row(x[i, start:stop], gamma[start:stop], mean[i], tile[: stop - start])
                        streaming_row_copy(tile[: stop - start], y[i, start:stop])
                return
            for i in range(0, unrolled, 2):
                x_0, mean_0, y_0 = x[i], mean[i], y[i]
                x_1, mean_1, y_1 = x[i + 1], mean[i + 1], y[i + 1]
                for j in range(x_0.size):
                    y_0[j] = function(x_0[j], gamma[j], mean_0)
                    y_1[j] = function(x_1[j], gamma[j], mean_1)
            for i in range(unrolled, x.shape[0]):
                row(x[i], gamma, mean[i], y[i])

    where `row` is the loop over one row. With sums, what is done to column j of two rows is

                    sums_1 = function(x_1[j], gamma[j], mean_1, T(-0.0))
                    sums_0 = function(x_0[j], gamma[j], mean_0, sums_1)
                    sums[j] += sums_0

    -0.0 adds nothing, not even to the sign of a zero: LLVM leaves the addition out. The caller says
    up to which row to unroll (`unrolled_end`), and whether rows of a result are written by
    streaming stores (`streams_rows`).
    """
    results = [n for n, kind in operands.items() if kind == "out N, C"]
    sums = [n for n, kind in operands.items() if kind == "inout C"]
    inputs = [n for n in operands if n not in (*results, *sums)]
    of_rows = [n for n, kind in operands.items() if "N" in kind]
    first, name = inputs[0], formula.name

    def step(row, found, given=()):
        """Column j of a row; `row` is _0 or _1, `given` the sums that go in."""
        places = {"N, C": "{}{}[j]", "C": "{}[j]", "N": "{}{}"}
        terms = [places[operands[n]].format(n, row) for n in inputs]
        return f"{', '.join(found)} = function({', '.join([*terms, *given])})"

    def rows(number, place):
        """x_0, y_0 = x[i], y[i]"""
        names, values = [f"{n}_{number}" for n in of_rows], [f"{n}[{place}]" for n in of_rows]
        return f"{', '.join(names)} = {', '.join(values)}"

    def row_of(columns, **others):
        """The call of `row` for row i: these columns of the operands, or `others`."""
        parts = {"N": "[i]"} | dict.fromkeys(("C", "inout C"), f"[{columns}]" if columns else "")
        part = f"[i, {columns}]" if columns else "[i]"
        given = [others.get(n, n + parts.get(kind, part)) for n, kind in operands.items()]
        return f"row({', '.join(given)})"

    if results:
        one_row = [step("", [f"{y}[j]" for y in results])]
        two_rows = [step(row, [f"{y}{row}[j]" for y in results]) for row in ("_0", "_1")]
    else:
        totals, (new, newer) = (
            [f"{s}[j]" for s in sums],
            [[f"{s}_{n}" for s in sums] for n in (1, 0)],
        )
        one_row = [step("", totals, totals)]
        two_rows = [step("_1", new, ["T(-0.0)"] * len(sums)), step("_0", newer, new)]
        two_rows += [f"{total} += {value}" for total, value in zip(totals, newer, strict=True)]
    row = written(
        globals(),
        formula,
        f"{name}_row",
        operands,
        f"for j in range({first}.size):",
        *[f"    {line}" for line in one_row],
    )
    body = [
        "for i in range(0, unrolled, 2):",
        f"    {rows(0, 'i')}",
        f"    {rows(1, 'i + 1')}",
        f"    for j in range({first}_0.size):",
        *[f"        {line}" for line in two_rows],
        f"for i in range(unrolled, {first}.shape[0]):",
        f"    {row_of('')}",
    ]
    tile = "tile[: stop - start]"
    for y in results:
        body = [
            "if is_streamed:",
            "    tile = stack_array(T(0), STREAMING_TILE_ELEMENTS)",
            f"    for i in range({first}.shape[0]):",
            f"        for start in range(0, {first}.shape[1], STREAMING_TILE_ELEMENTS):",
            f"            stop = min(start + STREAMING_TILE_ELEMENTS, {first}.shape[1])",
            f"            {row_of('start:stop', **{y: tile})}",
            f"            streaming_row_copy({tile}, {y}[i, start:stop])",
            "    return",
            *body,
        ]
    names = {
        "T": T,
        "row": Helper(row, inline=True),
        "stack_array": stack_array,
        "streaming_row_copy": streaming_row_copy,
        "STREAMING_TILE_ELEMENTS": STREAMING_TILE_ELEMENTS,
    }
    parameters = (*operands, "unrolled", *["is_streamed" for _ in results])
    return Helper(
        written(globals(), formula, f"{name}_rows", parameters, *body, **names), inline=True
    )
