"""The intrinsic that holds a tile of dot products in vector registers: rows times rows."""

from ...declare import intrinsic, machine
from .gemm_microkernel import element
from .vectors import FROM_BIAS, FROM_C, Vectors

# The most rows and columns of a tile of dot products: what leaves registers for a vector of each
# column and one of a row.
DOT_ROWS = machine(lambda target, _item_bytes: 4 if target.vector_registers == 32 else 2)
DOT_COLUMNS = machine(lambda target, _item_bytes: 5 if target.vector_registers == 32 else 4)
# and columns of a tile of one row
DOT_LONG = machine(lambda target, _item_bytes: target.vector_registers // 4)


@intrinsic("void <- int int int int int any int int any int int any int int T any int int")
def dot_tiles(
    rows,
    columns,
    down,
    across,
    depth,
    a,
    a_first,
    a_row,
    b,
    b_first,
    b_row,
    bias,
    start,
    column,
    lowest,
    c,
    c_first,
    c_row,
):
    """C = max(lowest, A B^T + start) for `down` times `across` tiles of C; B stands as (N, K), and
    the elements of a vector are neighbours in K.

    A tile has up to DOT_COLUMNS columns and DOT_ROWS, 2 or 1 rows; one of a single row may have
    DOT_LONG columns. As in `multiply_tiles` all arrays are flat, and rows lie `a_row`, `b_row`,
    `c_row` apart. Every element is a sum of as many sums as a vector has elements, which are added
    in pairs, whatever the tile.
    """
    for r in range(down * rows):
        for q in range(across * columns):
            place, x, y = c_first + r * c_row + q, a_first + r * a_row, b_first + q * b_row
            total = (a[x : x + depth] * b[y : y + depth]).sum(dtype=a.dtype)
            total += bias[column + q] if start == FROM_BIAS else c[place] if start == FROM_C else 0
            c[place] = lowest if total < lowest else total


@dot_tiles.lowering
def _(
    emitter, rows, columns, down, across, depth, a, a_first, a_row, b, b_first, b_row,
    bias, start, column, lowest, c, c_first, c_row,
):  # fmt: skip
    a, b, bias, c = (
        element(emitter, *x)
        for x in ((a, 5, a_first), (b, 8, b_first), (bias, 11, column), (c, 15, c_first))
    )
    values = [rows, columns, down, across, depth, a, a_row, b, b_row, bias, start, lowest, c, c_row]
    emitter.call_noinline("dot_tiles", values, lambda *own: _dot_tiles(emitter, *own))


def _dot_tiles(emitter, rows, columns, *operands):
    """The body of the function: code for every form of a tile, of which a call takes one."""
    builder, number, most_rows = (
        emitter.builder,
        Vectors(emitter).number,
        DOT_ROWS.rule(emitter.target, emitter.item_bytes),
    )
    done = builder.append_basic_block("done")
    for height in sorted({1, 2, most_rows}):
        widest = (DOT_LONG if height == 1 else DOT_COLUMNS).rule(emitter.target, emitter.item_bytes)
        for width in range(1, widest + 1):
            is_it = builder.and_(
                builder.icmp_signed("==", rows, number(height)),
                builder.icmp_signed("==", columns, number(width)),
            )
            form, others = (
                builder.append_basic_block(f"form_{height}_{width}"),
                builder.append_basic_block("others"),
            )
            builder.cbranch(is_it, form, others)
            builder.position_at_end(form)
            _dot_tiles_of_form(emitter, height, width, done, *operands)
            builder.position_at_end(others)
    builder.branch(done)
    builder.position_at_end(done)


def _dot_tiles_of_form(
    emitter,
    rows,
    columns,
    done,
    down,
    across,
    depth,
    a,
    a_row,
    b,
    b_row,
    bias,
    start,
    low,
    c,
    c_row,
):
    builder, ir, row = emitter.builder, Vectors(emitter), Vectors(emitter, columns)
    lanes, number, grid = ir.lanes, ir.number, [(r, q) for r in range(rows) for q in range(columns)]
    whole, before = builder.and_(depth, number(-lanes)), builder.block
    mask, floor = ir.first(builder.sub(depth, whole)), row.splat(low)
    names = ("column", "tile", "sum", "rest", "tail", "end", "next")
    column, tile, loop, rest, tail, end, following_column = (
        builder.append_basic_block(name) for name in names
    )
    builder.branch(column)

    def moving(outside, firsts):
        """Phis with these values when they are first met, from the block `outside`."""
        phis = [builder.phi(first.type) for first in firsts]
        for phi, first in zip(phis, firsts, strict=True):
            phi.add_incoming(first, outside)
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
    builder.cbranch(builder.icmp_signed(">", whole, number(0)), loop, rest)

    def multiplied(totals, k, mask):
        here, found = [ir.load(builder.gep(place, [k]), mask) for place in b_rows], {}
        for r, place in enumerate(a_rows):
            factor = ir.load(builder.gep(place, [k]), mask)
            for q in range(columns):
                found[r, q] = ir.fma(factor, here[q], totals[r, q])
        return found

    builder.position_at_end(loop)
    k, *sums = of_loop = moving(tile, [number(0), *[ir.zero] * len(grid)])
    results, following = (
        multiplied(dict(zip(grid, sums, strict=True)), k, None),
        builder.add(k, number(lanes)),
    )
    move_on(of_loop, [following, *[results[cell] for cell in grid]])
    builder.cbranch(builder.icmp_signed("<", following, whole), loop, rest)

    builder.position_at_end(rest)
    totals = dict(zip(grid, moving(tile, [ir.zero] * len(grid)), strict=True))
    for cell, phi in totals.items():
        phi.add_incoming(results[cell], loop)
    builder.cbranch(builder.icmp_signed("<", whole, depth), tail, end)
    builder.position_at_end(tail)
    with_tail = multiplied(totals, whole, mask)
    builder.branch(end)

    builder.position_at_end(end)
    vectors = moving(rest, [totals[cell] for cell in grid])
    for phi, cell in zip(vectors, grid, strict=True):
        phi.add_incoming(with_tail[cell], tail)
    sums = _sums(ir, vectors)
    parts = [
        row.shuffle(sums, sums, list(range(r * columns, (r + 1) * columns))) for r in range(rows)
    ]
    values = row.chosen(
        start,
        zero=lambda: [row.zero] * rows,
        bias=lambda: [row.load(bias_here)] * rows,
        c=lambda: [row.load(place) for place in c_rows],
    )
    for part, value, place in zip(parts, values, c_rows, strict=True):
        row.store(row.at_least(builder.fadd(part, value), floor), place)
    fewer = builder.sub(tiles_left, number(1))
    move_on(
        of_tile,
        [
            fewer,
            *(
                builder.gep(x, [builder.mul(n, number(rows))])
                for x, n in ((a_here, a_row), (c_here, c_row))
            ),
        ],
    )
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, following_column)

    builder.position_at_end(following_column)
    fewer, step = builder.sub(columns_left, number(1)), number(columns)
    next_b = builder.gep(b_here, [builder.mul(b_row, step)])
    move_on(of_column, [fewer, next_b, builder.gep(bias_here, [step]), builder.gep(c_top, [step])])
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), column, done)


def _sums(ir, vectors):
    """A vector of the sums of these vectors' elements. Of two vectors, one is made: neighbours
    added; first elements, within pieces of 128 bits, for which processors have quicker
    instructions, then those pieces."""
    lanes, piece = ir.lanes, 16 // ir.emitter.item_bytes
    nothing, count = ir.ir.Constant(ir.vector, ir.ir.Undefined), lanes
    while count < len(vectors):
        count *= 2
    vectors = vectors + [nothing] * (count - len(vectors))
    for round_ in range(lanes.bit_length() - 1):
        is_within = 1 << round_ < piece
        run, block = (1, piece) if is_within else (piece, lanes)
        firsts = [
            s + n
            for s in range(0, lanes, block)
            for source in (0, lanes)
            for n in range(source, source + block, 2 * run)
        ]
        even, odd = ([n + k + shift for n in firsts for k in range(run)] for shift in (0, run))
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [ir.builder.fadd(ir.shuffle(x, y, even), ir.shuffle(x, y, odd)) for x, y in pairs]
    while len(vectors) > 1:
        pairs, width = zip(vectors[::2], vectors[1::2], strict=True), vectors[0].type.count
        vectors = [ir.shuffle(x, y, list(range(2 * width))) for x, y in pairs]
    return vectors[0]
