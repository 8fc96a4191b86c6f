"""The intrinsic that holds a tile of a transpose in vector registers."""

from ...declare import intrinsic
from .vectors import Vectors, operand


@intrinsic("void <- any any int int")
def transpose_tile(x, out, rows, columns):
    """out[c, r] = x[r, c] for up to LANES `rows` r and `columns` c.

    x, out: (flat array, start, row stride)
    """
    (x, x_start, x_row), (out, out_start, out_row) = x, out
    for r in range(rows):
        for c in range(columns):
            out[out_start + c * out_row + r] = x[x_start + r * x_row + c]


@transpose_tile.lowering
def _(emitter, x, out, rows, columns):
    values = [*operand(emitter, 0, x), *operand(emitter, 1, out), rows, columns]
    emitter.call_noinline("transpose_tile", values, lambda *own: _transpose_tile(emitter, *own))


def _transpose_tile(emitter, x, x_row, out, out_row, rows, columns):
    """log2(LANES) rounds, in each of which rows are interleaved pairwise: first within pieces of
    128 bits, for which processors have shuffles of higher throughput, then those pieces. At an
    edge, what lies beyond is masked out: rows are still moved as vectors, where a loop over
    elements takes seven times as long."""
    builder, ir = emitter.builder, Vectors(emitter)
    lanes, number = ir.lanes, ir.number

    piece = 16 // emitter.item_bytes  # elements of 128 bits

    def interleaved(rows, order):
        return [ir.shuffle(x, y, order) for x, y in zip(rows[::2], rows[1::2], strict=True)]

    def within_pieces(rows, width=1):
        """Of as many rows as a piece has elements: vector k has column k of each piece, all rows of
        it."""
        if len(rows) == 1:
            return rows
        found = []
        for half in (0, piece // 2):
            order = [
                n + source
                for p in range(0, lanes, piece)
                for start in range(p + half, p + half + piece // 2, width)
                for source in (0, lanes)
                for n in range(start, start + width)
            ]
            found += within_pieces(interleaved(rows, order), 2 * width)
        return found

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
            found.append(of_pieces(interleaved(rows, order)))
        return [vector for pair in zip(*found, strict=True) for vector in pair]

    def variant(row_mask, column_mask):
        last = builder.sub(rows, number(1))

        def row(r):  # beyond the edge, the last one again
            place = number(r)
            if row_mask is not None:
                place = builder.select(builder.icmp_signed(">", place, last), last, place)
            return builder.gep(x, [builder.mul(place, x_row)])

        tile = [ir.load(row(r), column_mask) for r in range(lanes)]
        groups = [within_pieces(tile[r : r + piece]) for r in range(0, lanes, piece)]
        columns_of = [of_pieces([group[k] for group in groups]) for k in range(piece)]
        for q, value in enumerate(columns_of[q % piece][q // piece] for q in range(lanes)):
            inside = builder.icmp_signed("<", number(q), columns)
            place = builder.gep(out, [builder.mul(number(q), out_row)])
            mask = row_mask and builder.select(inside, row_mask, ir.first(number(0)))
            ir.store(value, place, mask)

    is_full = builder.and_(*[builder.icmp_signed("==", n, number(lanes)) for n in (rows, columns)])
    with builder.if_else(is_full) as (full, edge):
        with full:
            variant(None, None)
        with edge:
            variant(ir.first(rows), ir.first(columns))
