"""The two primitives that hold a tile of a matrix in vector registers: a product and a transpose.

They are the only places that see addresses. Around them stand array views, and their Python bodies are plain loops on arrays.
"""

from ..marks import machine, primitive
from .vectors import Vectors

WIDTH = machine(lambda target, item_bytes: target.vector_bytes // item_bytes)  # elements of one vector register
PANEL = machine(lambda target, item_bytes: 2 * target.vector_bytes // item_bytes)  # columns of a full tile: two vectors
# Rows of a full tile: as many as leave registers for two vectors of B and one element of A, out of 32 or of 16.
TILE_ROWS = machine(lambda target, _item_bytes: 14 if target.registers == 32 else 6)

FROM_ZERO, FROM_BIAS, FROM_C = 0, 1, 2  # what a product's sums start from


@primitive("void <- literal any int any any int T any int int int")
def multiply_tile(rows, a, turned, b, bias, start, lowest, c, i, j, width):
    """C[i : i + rows, j : j + width] = max(lowest, A B + start), the sums kept in registers; width is at most two vectors.

    `a` is A (M, K) or, if `turned`, its transpose (K, M); b: (K, N); bias: (N,) or empty; c: (M, N). `lowest` is -inf, or 0 for
    a ReLU. Every element is a chain of multiply-adds in the order of K, whatever the tile, so tiles do not change bits.
    """
    for r in range(i, i + rows):
        for q in range(j, j + width):
            total = bias[q] if start == FROM_BIAS else c[r, q] if start == FROM_C else b.dtype.type(0)
            for k in range(b.shape[0]):
                total += (a[k, r] if turned else a[r, k]) * b[k, q]
            c[r, q] = lowest if total < lowest else total


@multiply_tile.emits
def _(emitter, _rows, a, turned, b, bias, start, lowest, c, i, j, width):
    builder, ir, rows = emitter.builder, Vectors(emitter), emitter.kinds[0].literal_value
    lanes, number, vector = ir.lanes, ir.number, ir.vector

    a_data, a_shape = emitter.array(a, emitter.kinds[1])
    b_data, (depth, b_row) = emitter.array(b, emitter.kinds[3])
    bias_data, _ = emitter.array(bias, emitter.kinds[4])
    c_data, (_, c_row) = emitter.array(c, emitter.kinds[7])
    is_turned = builder.icmp_signed("!=", turned, number(0))
    a_row, a_step = (builder.select(is_turned, one, other) for one, other in ((number(1), a_shape[1]), (a_shape[1], number(1))))
    a_data = builder.gep(a_data, [builder.mul(i, a_row)])
    b_data, bias_data = builder.gep(b_data, [j]), builder.gep(bias_data, [j])
    c_data = builder.gep(c_data, [builder.add(builder.mul(i, c_row), j)])
    c_rows = [builder.gep(c_data, [builder.mul(c_row, number(r))]) for r in range(rows)]

    def variant(vectors, tail):
        """The product for `vectors` vectors of columns, the last one cut to `tail` elements if that is not None."""
        masks = [None] * (vectors - 1) + [None if tail is None else ir.first(tail)]

        def load(base, v):
            return ir.load(builder.gep(base, [number(v * lanes)]), masks[v])

        def store(value, base, v):
            ir.store(value, builder.gep(base, [number(v * lanes)]), masks[v])

        grid = [(r, v) for r in range(rows) for v in range(vectors)]
        blocks = {n: builder.append_basic_block(f"{n}_{vectors}") for n in ("zero", "bias", "add", "begin", "sum", "end")}
        choice = builder.switch(start, blocks["zero"])
        choice.add_case(number(FROM_BIAS), blocks["bias"])
        choice.add_case(number(FROM_C), blocks["add"])
        starts = {}
        for block, values in (
            ("zero", lambda: dict.fromkeys(grid, ir.zero)),
            ("bias", lambda: dict(zip(grid, [load(bias_data, v) for v in range(vectors)] * rows, strict=True))),
            ("add", lambda: {(r, v): load(c_rows[r], v) for r, v in grid}),
        ):
            builder.position_at_end(blocks[block])
            starts[block] = values()
            builder.branch(blocks["begin"])
        builder.position_at_end(blocks["begin"])
        first = {}
        for cell in grid:
            first[cell] = builder.phi(vector)
            for block, values in starts.items():
                first[cell].add_incoming(values[cell], blocks[block])
        a_rows = [builder.gep(a_data, [builder.mul(a_row, number(r))]) for r in range(rows)]
        builder.cbranch(builder.icmp_signed(">", depth, number(0)), blocks["sum"], blocks["end"])

        builder.position_at_end(blocks["sum"])
        k = builder.phi(number(0).type)
        sums = {cell: builder.phi(vector) for cell in grid}
        b_here = builder.gep(b_data, [builder.mul(k, b_row)])
        b_vectors, results = [load(b_here, v) for v in range(vectors)], {}
        for r in range(rows):
            factor = ir.splat(builder.load(builder.gep(a_rows[r], [builder.mul(k, a_step)])))
            for v in range(vectors):
                results[r, v] = emitter.call(f"llvm.fma.{ir.name}", vector, [factor, b_vectors[v], sums[r, v]])
        following = builder.add(k, number(1))
        for phi, before, after in ((k, number(0), following), *((sums[cell], first[cell], results[cell]) for cell in grid)):
            phi.add_incoming(before, blocks["begin"])
            phi.add_incoming(after, blocks["sum"])
        builder.cbranch(builder.icmp_signed("<", following, depth), blocks["sum"], blocks["end"])

        builder.position_at_end(blocks["end"])
        totals = {cell: builder.phi(vector) for cell in grid}
        for cell, total in totals.items():
            total.add_incoming(first[cell], blocks["begin"])
            total.add_incoming(results[cell], blocks["sum"])
        floor = ir.splat(lowest)
        for (r, v), total in totals.items():
            below = builder.fcmp_ordered("<", total, floor)  # false for NaN, which stays
            store(builder.select(below, floor, total), c_rows[r], v)

    with builder.if_else(builder.icmp_signed("==", width, number(2 * lanes))) as (full, partial):
        with full:
            variant(2, None)
        with partial, builder.if_else(builder.icmp_signed(">", width, number(lanes))) as (wide, narrow):
            with wide:
                variant(2, builder.sub(width, number(lanes)))
            with narrow:
                variant(1, width)


@primitive("void <- any int int int int any")
def transpose_tile(x, i, j, rows, columns, out):
    """out[j + q, i + r] = x[i + r, j + q] for a tile of up to WIDTH `rows` r and `columns` q; x: (M, N), out: (N, M)."""
    for r in range(rows):
        for q in range(columns):
            out[j + q, i + r] = x[i + r, j + q]


@transpose_tile.emits
def _(emitter, x, i, j, rows, columns, out):
    """log2(WIDTH) rounds, in each of which rows are interleaved pairwise, one half of the tile with the other. At an edge, what
    lies beyond is masked out: rows are still moved as vectors, where a loop over elements takes seven times as long."""
    builder, ir = emitter.builder, Vectors(emitter)
    lanes, number = ir.lanes, ir.number

    def rows_of(array, kind, first, column):
        data, (_, width) = emitter.array(array, kind)
        return lambda r: builder.gep(data, [builder.add(builder.mul(builder.add(first, r), width), column)])

    def interleave(one, other, first):
        order = [first + n // 2 + (n % 2) * lanes for n in range(lanes)]
        return ir.shuffle(one, other, order)

    x_row, out_row = rows_of(x, emitter.kinds[0], i, j), rows_of(out, emitter.kinds[5], j, i)

    def variant(row_mask, column_mask):
        last = builder.sub(rows, number(1))

        def row(r):  # beyond the edge, the last one again
            beyond = builder.icmp_signed(">", number(r), last)
            return x_row(number(r) if row_mask is None else builder.select(beyond, last, number(r)))

        tile = [ir.load(row(r), column_mask) for r in range(lanes)]
        for _round in range(lanes.bit_length() - 1):
            pairs = zip(tile[: lanes // 2], tile[lanes // 2 :], strict=True)
            tile = [interleave(one, other, first) for one, other in pairs for first in (0, lanes // 2)]
        for q, value in enumerate(tile):
            inside = builder.icmp_signed("<", number(q), columns)
            ir.store(value, out_row(number(q)), row_mask and builder.select(inside, row_mask, ir.first(number(0))))

    is_full = builder.and_(*[builder.icmp_signed("==", n, number(lanes)) for n in (rows, columns)])
    with builder.if_else(is_full) as (full, edge):
        with full:
            variant(None, None)
        with edge:
            variant(ir.first(rows), ir.first(columns))
