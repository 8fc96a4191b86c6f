"""The intrinsic that holds a tile of a transpose in vector registers."""

from ...declare import intrinsic
from .gemm_microkernel import element
from .vectors import Vectors


@intrinsic("void <- any int int any int int int int")
def transpose_tile(x, x_first, x_row, out, out_first, out_row, rows, columns):
    """out[c, r] = x[r, c] for up to WIDTH `rows` r and `columns` c; flat arrays, element (r, c) at
    x_first + r x_row + c."""
    for r in range(rows):
        for c in range(columns):
            out[out_first + c * out_row + r] = x[x_first + r * x_row + c]


@transpose_tile.lowering
def _(emitter, x, x_first, x_row, out, out_first, out_row, rows, columns):
    values = [
        element(emitter, x, 0, x_first),
        x_row,
        element(emitter, out, 3, out_first),
        out_row,
        rows,
        columns,
    ]
    emitter.call_noinline("transpose_tile", values, lambda *own: _transpose_tile(emitter, *own))


def _transpose_tile(emitter, x, x_row, out, out_row, rows, columns):
    """log2(WIDTH) rounds, in each of which rows are interleaved pairwise: first within pieces of
    128 bits, for which processors have instructions that begin more often, then those pieces. At an
    edge, what lies beyond is masked out: rows are still moved as vectors, where a loop over
    elements takes seven times as long."""
    builder, ir = emitter.builder, Vectors(emitter)
    lanes, number = ir.lanes, ir.number

    piece = 16 // emitter.item_bytes  # elements of 128 bits

    def within_pieces(rows, width=1):
        """Of as many rows as a piece has elements: vector k has column k of each piece, all rows of
        it."""
        if len(rows) == 1:
            return rows
        halves = []
        for half in (0, piece // 2):
            starts = [
                p + half + b for p in range(0, lanes, piece) for b in range(0, piece // 2, width)
            ]
            order = [
                n + source
                for start in starts
                for source in (0, lanes)
                for n in range(start, start + width)
            ]
            halves.append(
                [
                    ir.shuffle(one, other, order)
                    for one, other in zip(rows[::2], rows[1::2], strict=True)
                ]
            )
        return [vector for half in halves for vector in within_pieces(half, 2 * width)]

    def of_pieces(rows):
        """Of as many rows as a vector has pieces: vector p has piece p of each row."""
        if len(rows) == 1:
            return rows
        found = []
        for odd in (0, piece):
            order = [
                n + source
                for source in (0, lanes)
                for p in range(odd, lanes, 2 * piece)
                for n in range(p, p + piece)
            ]
            found.append(
                of_pieces(
                    [
                        ir.shuffle(one, other, order)
                        for one, other in zip(rows[::2], rows[1::2], strict=True)
                    ]
                )
            )
        return [vector for pair in zip(*found, strict=True) for vector in pair]

    def variant(row_mask, column_mask):
        last = builder.sub(rows, number(1))

        def row(r):  # beyond the edge, the last one again
            beyond = builder.icmp_signed(">", number(r), last)
            return builder.gep(
                x,
                [
                    builder.mul(
                        number(r) if row_mask is None else builder.select(beyond, last, number(r)),
                        x_row,
                    )
                ],
            )

        tile = [ir.load(row(r), column_mask) for r in range(lanes)]
        groups = [within_pieces(tile[r : r + piece]) for r in range(0, lanes, piece)]
        columns_of = [of_pieces([group[k] for group in groups]) for k in range(piece)]
        for q, value in enumerate(columns_of[q % piece][q // piece] for q in range(lanes)):
            inside = builder.icmp_signed("<", number(q), columns)
            place = builder.gep(out, [builder.mul(number(q), out_row)])
            ir.store(
                value, place, row_mask and builder.select(inside, row_mask, ir.first(number(0)))
            )

    is_full = builder.and_(*[builder.icmp_signed("==", n, number(lanes)) for n in (rows, columns)])
    with builder.if_else(is_full) as (full, edge):
        with full:
            variant(None, None)
        with edge:
            variant(ir.first(rows), ir.first(columns))
