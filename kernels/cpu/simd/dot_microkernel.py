"""The micro-kernel of dot products: a tile of C = A B^T in vector registers, rows times rows. The
lanes of a vector are neighbours in K, so that none is left empty where C is small."""

from ...declare import intrinsic, machine
from .vectors import INIT_BIAS, INIT_C, Vectors, operand

# The most rows and columns of a tile of dot products: what leaves registers for a vector of each
# column and one of a row; and the most columns of a tile of one row.
DOT_MR = machine(lambda target, _item_bytes: 4 if target.vector_registers == 32 else 2)
DOT_NR = machine(lambda target, _item_bytes: 5 if target.vector_registers == 32 else 4)
DOT_NR_OF_ONE_ROW = machine(lambda target, _item_bytes: target.vector_registers // 4)


@intrinsic("void <- int int int int int any any any int T any")
def dot_microkernel(rows, columns, down, across, depth, a, b, bias, init, clamp_min, c):
    """C = max(clamp_min, A B^T + initial) for `down` times `across` tiles of `rows` x `columns`: up
    to DOT_NR columns and DOT_MR, 2 or 1 rows, or one row of up to DOT_NR_OF_ONE_ROW columns.

    a (M, K), b (N, K), c: (flat array, start, row stride)   bias: (flat array, start)

    Every element is a sum of as many sums as a vector has lanes, which are added in pairs, whatever
    the tile.
    """
    (a, a_start, a_row), (b, b_start, b_row), (c, c_start, c_row) = a, b, c
    bias, bias_start = bias
    for r in range(down * rows):
        for q in range(across * columns):
            place, x, y = c_start + r * c_row + q, a_start + r * a_row, b_start + q * b_row
            total = (a[x : x + depth] * b[y : y + depth]).sum(dtype=a.dtype)
            total += (
                bias[bias_start + q] if init == INIT_BIAS else c[place] if init == INIT_C else 0
            )
            c[place] = clamp_min if total < clamp_min else total


@dot_microkernel.lowering
def _(emitter, rows, columns, down, across, depth, a, b, bias, init, clamp_min, c):
    a, b, bias, c = (operand(emitter, *x) for x in ((5, a), (6, b), (7, bias), (10, c)))
    values = [rows, columns, down, across, depth, *a, *b, *bias, init, clamp_min, *c]
    emitter.call_noinline("dot_microkernel", values, lambda *own: _dot_tiles(emitter, *own))


def _dot_tiles(emitter, rows, columns, *operands):
    """The body of the function: code for every form of a tile, of which a call takes one."""
    builder, number = emitter.builder, Vectors(emitter).number
    max_rows = DOT_MR.rule(emitter.target, emitter.item_bytes)
    done = builder.append_basic_block("done")
    for height in sorted({1, 2, max_rows}):
        max_columns = DOT_NR_OF_ONE_ROW if height == 1 else DOT_NR
        for width in range(1, max_columns.rule(emitter.target, emitter.item_bytes) + 1):
            is_it = builder.and_(
                builder.icmp_signed("==", rows, number(height)),
                builder.icmp_signed("==", columns, number(width)),
            )
            form = builder.append_basic_block(f"form_{height}_{width}")
            others = builder.append_basic_block("others")
            builder.cbranch(is_it, form, others)
            builder.position_at_end(form)
            _dot_tiles_of_form(emitter, height, width, done, *operands)
            builder.position_at_end(others)
    builder.branch(done)
    builder.position_at_end(done)


def _dot_tiles_of_form(
    emitter, rows, columns, done, down, across, depth, a, a_row, b, b_row, bias, init, clamp_min, c,
    c_row,
):  # fmt: skip
    """Tiles of this form, column after column of them: whole vectors of K in a loop, then a masked
    tail."""
    builder, ir, row = emitter.builder, Vectors(emitter), Vectors(emitter, columns)
    lanes, number, grid = ir.lanes, ir.number, [(r, q) for r in range(rows) for q in range(columns)]
    whole, before = builder.and_(depth, number(-lanes)), builder.block
    mask, floor = ir.first(builder.sub(depth, whole)), row.splat(clamp_min)
    names = ("column", "tile", "sum", "summed", "tail", "end", "next")
    column, tile, loop, summed, tail, end, following_column = (
        builder.append_basic_block(name) for name in names
    )
    builder.branch(column)

    def moving(outside, initial_values):
        """Phis with these values when they are first met, from the block `outside`."""
        phis = [builder.phi(initial.type) for initial in initial_values]
        for phi, initial in zip(phis, initial_values, strict=True):
            phi.add_incoming(initial, outside)
        return phis

    def move_on(phis, values):
        for phi, value in zip(phis, values, strict=True):
            phi.add_incoming(value, builder.block)

    builder.position_at_end(column)
    columns_left, b_here, bias_here, c_top = of_column = moving(before, [across, b, bias, c])
    b_rows = [builder.gep(b_here, [builder.mul(b_row, number(q))]) for q in range(columns)]
    builder.branch(tile)

    builder.position_at_end(tile)
    tiles_left, a_here, c_here = of_tile = moving(column, [down, a, c_top])
    a_rows, c_rows = (
        [builder.gep(x, [builder.mul(n, number(r))]) for r in range(rows)]
        for x, n in ((a_here, a_row), (c_here, c_row))
    )
    builder.cbranch(builder.icmp_signed(">", whole, number(0)), loop, summed)

    def multiplied(totals, k, mask):
        here, found = [ir.load(builder.gep(place, [k]), mask) for place in b_rows], {}
        for r, place in enumerate(a_rows):
            factor = ir.load(builder.gep(place, [k]), mask)
            for q in range(columns):
                found[r, q] = ir.fma(factor, here[q], totals[r, q])
        return found

    builder.position_at_end(loop)
    k, *sums = of_loop = moving(tile, [number(0), *[ir.zero] * len(grid)])
    results = multiplied(dict(zip(grid, sums, strict=True)), k, None)
    following = builder.add(k, number(lanes))
    move_on(of_loop, [following, *[results[cell] for cell in grid]])
    builder.cbranch(builder.icmp_signed("<", following, whole), loop, summed)

    builder.position_at_end(summed)
    totals = dict(zip(grid, moving(tile, [ir.zero] * len(grid)), strict=True))
    for cell, phi in totals.items():
        phi.add_incoming(results[cell], loop)
    builder.cbranch(builder.icmp_signed("<", whole, depth), tail, end)
    builder.position_at_end(tail)
    with_tail = multiplied(totals, whole, mask)
    builder.branch(end)

    builder.position_at_end(end)
    vectors = moving(summed, [totals[cell] for cell in grid])
    for phi, cell in zip(vectors, grid, strict=True):
        phi.add_incoming(with_tail[cell], tail)
    sums = _sums(ir, vectors)
    parts = [
        row.shuffle(sums, sums, list(range(r * columns, (r + 1) * columns))) for r in range(rows)
    ]
    values = row.initial(
        init,
        zero=lambda: [row.zero] * rows,
        bias=lambda: [row.load(bias_here)] * rows,
        c=lambda: [row.load(place) for place in c_rows],
    )
    for part, value, place in zip(parts, values, c_rows, strict=True):
        row.store(row.clamp_min(builder.fadd(part, value), floor), place)
    fewer = builder.sub(tiles_left, number(1))
    next_a, next_c = (
        builder.gep(x, [builder.mul(n, number(rows))])
        for x, n in ((a_here, a_row), (c_here, c_row))
    )
    move_on(of_tile, [fewer, next_a, next_c])
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, following_column)

    builder.position_at_end(following_column)
    fewer, step = builder.sub(columns_left, number(1)), number(columns)
    next_b = builder.gep(b_here, [builder.mul(b_row, step)])
    move_on(of_column, [fewer, next_b, builder.gep(bias_here, [step]), builder.gep(c_top, [step])])
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), column, done)


def _sums(ir, vectors):
    """A vector of the sums of these vectors' elements. Of two vectors, one is made: neighbours
    added; first elements, within pieces of 128 bits, for which processors have shuffles of higher
    throughput, then those pieces."""
    lanes, piece = ir.lanes, 16 // ir.emitter.item_bytes
    nothing, count = ir.ir.Constant(ir.vector, ir.ir.Undefined), lanes
    while count < len(vectors):
        count *= 2
    vectors = vectors + [nothing] * (count - len(vectors))
    for round_ in range(lanes.bit_length() - 1):
        is_within = 1 << round_ < piece
        run, block = (1, piece) if is_within else (piece, lanes)
        starts = [
            s + n
            for s in range(0, lanes, block)
            for source in (0, lanes)
            for n in range(source, source + block, 2 * run)
        ]
        even, odd = ([n + k + shift for n in starts for k in range(run)] for shift in (0, run))
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [ir.builder.fadd(ir.shuffle(x, y, even), ir.shuffle(x, y, odd)) for x, y in pairs]
    while len(vectors) > 1:
        pairs, width = zip(vectors[::2], vectors[1::2], strict=True), vectors[0].type.count
        vectors = [ir.shuffle(x, y, list(range(2 * width))) for x, y in pairs]
    return vectors[0]
