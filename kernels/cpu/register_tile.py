"""The primitives that hold a tile of a product in vector registers.

Like `transpose_tile` they see addresses. Around them stand array views, and their Python bodies are plain loops on arrays.
"""

from ..marks import machine, primitive
from .vectors import FROM_BIAS, FROM_C, Vectors

WIDTH = machine(lambda target, item_bytes: target.vector_bytes // item_bytes)  # elements of one vector register
PANEL = machine(lambda target, item_bytes: 2 * target.vector_bytes // item_bytes)  # columns of a full tile: two vectors
# Rows of a tile. The most there are leave registers for two vectors of B and one element of A, out of 32 or of 16; each of the
# others is code of its own.
HEIGHTS = machine(lambda target, _item_bytes: (14, 10, 8, 4, 2, 1) if target.registers == 32 else (6, 4, 2, 1))
TILE_ROWS = machine(lambda target, item_bytes: HEIGHTS.rule(target, item_bytes)[0])

PAGE = machine(lambda _target, item_bytes: 4096 // item_bytes)  # addresses so far apart fall on the same set of the first cache
LONG = 64  # columns of A from which on it is worth fetching C ahead
A_AHEAD = 12  # columns of A that are fetched before they are multiplied: some 170 cycles
NEAR = machine(lambda _target, item_bytes: (1 << 19) // item_bytes)  # what half of a second cache holds
# Rows of B that are copied at once. A processor that takes two panels' rows in a cycle must find them in the first cache.
BLOCK = machine(lambda target, _item_bytes: target.block // (2 if target.is_fast else 1))
FAST = machine(lambda target, _item_bytes: int(target.is_fast))
PANEL_MEMORY = machine(lambda target, item_bytes: target.block * 2 * target.vector_bytes // item_bytes)

# The most rows and columns of a tile of dot products: what leaves registers for a vector of each column and one of a row.
DOT_ROWS = machine(lambda target, _item_bytes: 4 if target.registers == 32 else 2)
DOT_COLUMNS = machine(lambda target, _item_bytes: 5 if target.registers == 32 else 4)
DOT_LONG = machine(lambda target, _item_bytes: target.registers // 4)  # and columns of a tile of one row


@primitive("void <- int int int any int int int int any int int any int int any int int T any int int int")
def multiply_tiles(
    rows, count, depth, a, a_first, a_row, a_step, a_next, b, b_first, b_row, ahead, ahead_first, ahead_row,
    bias, start, column, low, c, c_first, c_row, width,
):  # fmt: skip
    """C = max(low, A B + start) for `count` tiles of C, one below the other, the sums of one at a time kept in registers.

    A tile has `rows` rows, one of HEIGHTS, and up to two vectors of columns. All arrays are flat: of a tile's first element on,
    element (r, k) of A lies at r a_row + k a_step, (k, q) of B at k b_row + q, (r, q) of C at r c_row + q; the next tile begins
    `a_next` further on in A. With row k of B row k of what will be read next is fetched, of which element `ahead_first` is the
    first; if the processor is not fast, what lies beside row k. bias: empty, or as long as C is wide; the tiles begin at its
    element `column`. `low` is -inf, or 0 for a ReLU.

    Every element is a chain of multiply-adds in the order of K, whatever the tile, and one that goes on from C goes on with the
    same bits: neither tiles nor blocks of K change a result.
    """
    for tile in range(count):
        for r in range(rows):
            for q in range(width):
                place, x = c_first + (tile * rows + r) * c_row + q, a_first + tile * a_next + r * a_row
                total = bias[column + q] if start == FROM_BIAS else c[place] if start == FROM_C else c.dtype.type(0)
                for k in range(depth):
                    total += a[x + k * a_step] * b[b_first + k * b_row + q]
                c[place] = low if total < low else total


@multiply_tiles.emits
def _(
    emitter, rows, count, depth, a, a_first, a_row, a_step, a_next, b, b_first, b_row, ahead, ahead_first, ahead_row,
    bias, start, column, low, c, c_first, c_row, width,
):  # fmt: skip
    builder, number = emitter.builder, Vectors(emitter).number
    places = ((a, 3, a_first), (b, 8, b_first), (ahead, 11, ahead_first), (bias, 14, column), (c, 18, c_first))
    a, b, ahead, bias, c = (element(emitter, *place) for place in places)
    values = [count, depth, a, a_row, a_step, a_next, b, b_row, ahead, ahead_row, bias, start, low, c, c_row, width]
    after = builder.append_basic_block("multiplied")
    choice = builder.switch(rows, after)
    for height in HEIGHTS.rule(emitter.target, emitter.item_bytes):
        choice.add_case(number(height), builder.append_basic_block(f"rows_{height}"))
        builder.position_at_end(choice.cases[-1][1])
        emitter.call_apart(f"multiply_tiles_{height}", values, lambda *own, h=height: _multiply_tiles(emitter, h, *own))
        builder.branch(after)
    builder.position_at_end(after)


@primitive("void <- int any any int int any int int T any int int")
def multiply_strip(depth, a, b, b_first, b_row, bias, start, column, low, c, c_first, width):
    """`multiply_tiles` for a single row, which may be four vectors of columns wide, whole ones, or up to two."""
    multiply_tiles(1, 1, depth, a, 0, 0, 1, 0, b, b_first, b_row, b, b_first, b_row, bias, start, column, low, c, c_first, 0, width)


@multiply_strip.emits
def _(emitter, depth, a, b, b_first, b_row, bias, start, column, low, c, c_first, width):
    zero, one = (Vectors(emitter).number(n) for n in (0, 1))
    a, b, bias, c = (element(emitter, *x) for x in ((a, 1, zero), (b, 2, b_first), (bias, 5, column), (c, 9, c_first)))
    values = [one, depth, a, zero, one, zero, b, b_row, b, b_row, bias, start, low, c, zero, width]
    emitter.call_apart("multiply_strip", values, lambda *own: _multiply_tiles(emitter, 1, *own, is_strip=True))


def element(emitter, array, position, index):
    """The address of an element of a flat array, which is the argument of that number."""
    return emitter.builder.gep(emitter.array(array, emitter.kinds[position])[0], [index])


def _multiply_tiles(
    emitter, rows, count, depth, a, a_row, a_step, a_next, b, b_row, ahead, ahead_row,
    bias, start, low, c, c_row, width, is_strip=False,
):  # fmt: skip
    """The body of the function for tiles of `rows` rows: a, b, ahead, bias and c are the addresses of the first tile's elements."""
    builder, whole = emitter.builder, Vectors(emitter)
    number, byte = whole.number, whole.ir.IntType(8).as_pointer()

    # An element of a row is addressed from that of row 0 or of the middle row by the distance of one, three or five rows times
    # 1, 2 or 4, which every processor adds in passing. The optimiser, if it sees through that, keeps fourteen addresses, more than
    # there are registers, or computes them: a fifth more instructions, a tenth more time where a neighbour shares the core.
    middle, a_bytes, strides = max(rows // 2, 1), builder.mul(a_step, number(emitter.item_bytes)), [number(0)]
    for r in range(1, middle):
        twos = (r & -r).bit_length() - 1
        odd = whole.hidden(builder.mul(a_row, number(r * emitter.item_bytes))) if twos == 0 else strides[r >> twos]
        strides.append(builder.shl(odd, number(twos)))

    def variant(kinds, tail):
        """The product for a vector of columns of each of these kinds, the last one cut to `tail` elements if that is not None."""
        vectors = range(len(kinds))
        grid = [(r, v) for r in range(rows) for v in vectors]
        *offsets, columns = (sum(k.lanes for k in kinds[:v]) for v in range(len(kinds) + 1))
        # Vectors that do not begin a line end on the next: every other tile fetches those.
        ahead_end = builder.gep(ahead, [number(whole.lanes - 1)])
        masks = [None] * (len(kinds) - 1) + [None if tail is None else kinds[-1].first(builder.sub(tail, number(offsets[-1])))]
        floors, before = [kind.splat(low) for kind in kinds], builder.block
        tile, sum_up, end, done = (builder.append_basic_block(f"{n}_{len(kinds)}") for n in ("tile", "sum", "end", "done"))
        builder.branch(tile)

        builder.position_at_end(tile)
        left, a_here, c_here = (builder.phi(x.type) for x in (count, a, c))
        ahead_here, ahead_next = builder.phi(ahead.type), builder.phi(ahead.type)
        a_halves = [builder.bitcast(builder.gep(a_here, [builder.mul(a_row, number(r))]), byte) for r in range(0, rows, middle)]
        c_rows = [builder.gep(c_here, [builder.mul(c_row, number(r))]) for r in range(rows)]

        if rows >= 8 and emitter.target.is_fast:  # what the next tile goes on from, block after block of K
            is_worth_it = builder.and_(builder.icmp_signed(">", left, number(1)), builder.icmp_signed(">=", depth, number(LONG)))
            with builder.if_then(is_worth_it):
                for r in range(rows, 2 * rows):
                    below = builder.gep(c_here, [builder.mul(c_row, number(r))])
                    for offset in (*offsets, columns - 1):
                        whole.prefetch(builder.gep(below, [number(offset)]), cache=1)

        def load(base, v):
            return kinds[v].load(builder.gep(base, [number(offsets[v])]), masks[v])

        values = kinds[0].chosen(
            start,
            zero=lambda: [kind.zero for kind in kinds] * rows,
            bias=lambda: [load(bias, v) for v in vectors] * rows,
            c=lambda: [load(c_rows[r], v) for r, v in grid],
        )
        first, before_sum = dict(zip(grid, values, strict=True)), builder.block
        builder.cbranch(builder.icmp_signed(">", depth, number(0)), sum_up, end)

        builder.position_at_end(sum_up)
        a_phis = [builder.phi(byte) for _ in a_halves]
        k, sums = builder.phi(number(0).type), {(r, v): builder.phi(kinds[v].vector) for r, v in grid}
        a_now, b_here = [whole.hidden(place) for place in a_phis], builder.gep(b, [builder.mul(k, b_row)])
        b_vectors, results = [load(b_here, v) for v in vectors], {}
        if rows >= 8:  # row by row, which no processor guesses; beside a panel in place the next needs no address of its own
            base, step = (ahead_here, builder.mul(k, ahead_row)) if emitter.target.is_fast else (b_here, number(2 * whole.lanes))
            next_row = builder.gep(base, [step])
            for v in vectors:
                whole.prefetch(builder.gep(next_row, [number(v * whole.lanes)]))
        if rows >= 8 and emitter.target.is_fast:  # a column of A^T: of its two lines the tile above has had the first
            soon = builder.add(builder.mul(a_bytes, number(A_AHEAD)), number((rows - 1) * emitter.item_bytes))
            whole.prefetch(builder.gep(a_now[0], [soon]), cache=1)
        for r in range(rows):
            factor = builder.load(builder.bitcast(builder.gep(a_now[r // middle], [strides[r % middle]]), a.type))
            for v, kind in enumerate(kinds):
                results[r, v] = kind.fma(kind.splat(factor), b_vectors[v], sums[r, v])
        following, a_following = builder.add(k, number(1)), [builder.gep(place, [a_bytes]) for place in a_now]
        moved = (k, number(0), following), *zip(a_phis, a_halves, a_following, strict=True)
        for phi, begin, after in (*moved, *((sums[cell], first[cell], results[cell]) for cell in grid)):
            phi.add_incoming(begin, before_sum)
            phi.add_incoming(after, sum_up)
        builder.cbranch(builder.icmp_signed("<", following, depth), sum_up, end)

        builder.position_at_end(end)
        totals = {(r, v): builder.phi(kinds[v].vector) for r, v in grid}
        for cell, total in totals.items():
            total.add_incoming(first[cell], before_sum)
            total.add_incoming(results[cell], sum_up)
        for (r, v), total in totals.items():
            kinds[v].store(kinds[v].at_least(total, floors[v]), builder.gep(c_rows[r], [number(offsets[v])]), masks[v])
        next_a, next_c = builder.gep(a_here, [a_next]), builder.gep(c_here, [builder.mul(c_row, number(rows))])
        fewer = builder.sub(left, number(1))
        aheads = (ahead_here, ahead, ahead_next), (ahead_next, ahead_end, ahead_here)
        for phi, begin, after in ((left, count, fewer), (a_here, a, next_a), (c_here, c, next_c), *aheads):
            phi.add_incoming(begin, before)
            phi.add_incoming(after, end)
        builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, done)
        builder.position_at_end(done)

    # By how many columns there are more than. Of half a register of 512 bits two multiply-adds begin in a cycle, of a whole one
    # only one.
    full, lanes = [whole] * 2, whole.lanes
    variants = [(2 * lanes, full * 2, None)] if is_strip else []
    if emitter.target.vector_bytes == 64:
        half = Vectors(emitter, lanes // 2)
        tails = [(lanes + half.lanes, full), (lanes, [whole, half]), (half.lanes, [whole]), (0, [half])]
    else:
        tails = [(lanes, full), (0, [whole])]
    variants += [(2 * lanes - 1, full, None), *[(least, kinds, width) for least, kinds in tails]]

    def choose(variants):
        (least, *chosen), *others = variants
        if not others:
            variant(*chosen)
            return
        with builder.if_else(builder.icmp_signed(">", width, number(least))) as (this, other):
            with this:
                variant(*chosen)
            with other:
                choose(others)

    choose(variants)


@primitive("void <- int int int int int any int int any int int any int int T any int int")
def dot_tiles(
    rows, columns, down, across, depth, a, a_first, a_row, b, b_first, b_row, bias, start, column, lowest, c, c_first, c_row
):
    """C = max(lowest, A B^T + start) for `down` times `across` tiles of C; B stands as (N, K), and the elements of a vector are
    neighbours in K.

    A tile has up to DOT_COLUMNS columns and DOT_ROWS, 2 or 1 rows; one of a single row may have DOT_LONG columns. As in
    `multiply_tiles` all arrays are flat, and rows lie `a_row`, `b_row`, `c_row` apart. Every element is a sum of as many sums as a
    vector has elements, which are added in pairs, whatever the tile.
    """
    for r in range(down * rows):
        for q in range(across * columns):
            place, x, y = c_first + r * c_row + q, a_first + r * a_row, b_first + q * b_row
            total = (a[x : x + depth] * b[y : y + depth]).sum(dtype=a.dtype)
            total += bias[column + q] if start == FROM_BIAS else c[place] if start == FROM_C else 0
            c[place] = lowest if total < lowest else total


@dot_tiles.emits
def _(
    emitter, rows, columns, down, across, depth, a, a_first, a_row, b, b_first, b_row,
    bias, start, column, lowest, c, c_first, c_row,
):  # fmt: skip
    a, b, bias, c = (element(emitter, *x) for x in ((a, 5, a_first), (b, 8, b_first), (bias, 11, column), (c, 15, c_first)))
    values = [rows, columns, down, across, depth, a, a_row, b, b_row, bias, start, lowest, c, c_row]
    emitter.call_apart("dot_tiles", values, lambda *own: _dot_tiles(emitter, *own))


def _dot_tiles(emitter, rows, columns, *operands):
    """The body of the function: code for every form of a tile, of which a call takes one."""
    builder, number, most_rows = emitter.builder, Vectors(emitter).number, DOT_ROWS.rule(emitter.target, emitter.item_bytes)
    done = builder.append_basic_block("done")
    for height in sorted({1, 2, most_rows}):
        widest = (DOT_LONG if height == 1 else DOT_COLUMNS).rule(emitter.target, emitter.item_bytes)
        for width in range(1, widest + 1):
            is_it = builder.and_(builder.icmp_signed("==", rows, number(height)), builder.icmp_signed("==", columns, number(width)))
            form, others = builder.append_basic_block(f"form_{height}_{width}"), builder.append_basic_block("others")
            builder.cbranch(is_it, form, others)
            builder.position_at_end(form)
            _dot_tiles_of_form(emitter, height, width, done, *operands)
            builder.position_at_end(others)
    builder.branch(done)
    builder.position_at_end(done)


def _dot_tiles_of_form(emitter, rows, columns, done, down, across, depth, a, a_row, b, b_row, bias, start, low, c, c_row):
    builder, ir, row = emitter.builder, Vectors(emitter), Vectors(emitter, columns)
    lanes, number, grid = ir.lanes, ir.number, [(r, q) for r in range(rows) for q in range(columns)]
    whole, before = builder.and_(depth, number(-lanes)), builder.block
    mask, floor = ir.first(builder.sub(depth, whole)), row.splat(low)
    names = ("column", "tile", "sum", "rest", "tail", "end", "next")
    column, tile, loop, rest, tail, end, following_column = (builder.append_basic_block(name) for name in names)
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
        [builder.gep(x, [builder.mul(n, number(r))]) for r in range(rows)] for x, n in ((a_here, a_row), (c_here, c_row))
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
    results, following = multiplied(dict(zip(grid, sums, strict=True)), k, None), builder.add(k, number(lanes))
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
    parts = [row.shuffle(sums, sums, list(range(r * columns, (r + 1) * columns))) for r in range(rows)]
    values = row.chosen(
        start,
        zero=lambda: [row.zero] * rows,
        bias=lambda: [row.load(bias_here)] * rows,
        c=lambda: [row.load(place) for place in c_rows],
    )
    for part, value, place in zip(parts, values, c_rows, strict=True):
        row.store(row.at_least(builder.fadd(part, value), floor), place)
    fewer = builder.sub(tiles_left, number(1))
    move_on(of_tile, [fewer, *(builder.gep(x, [builder.mul(n, number(rows))]) for x, n in ((a_here, a_row), (c_here, c_row)))])
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, following_column)

    builder.position_at_end(following_column)
    fewer, step = builder.sub(columns_left, number(1)), number(columns)
    next_b = builder.gep(b_here, [builder.mul(b_row, step)])
    move_on(of_column, [fewer, next_b, builder.gep(bias_here, [step]), builder.gep(c_top, [step])])
    builder.cbranch(builder.icmp_signed(">", fewer, number(0)), column, done)


def _sums(ir, vectors):
    """A vector of the sums of these vectors' elements. Of two vectors, one is made: neighbours added; first elements, within pieces
    of 128 bits, for which processors have quicker instructions, then those pieces."""
    lanes, piece = ir.lanes, 16 // ir.emitter.item_bytes
    nothing, count = ir.ir.Constant(ir.vector, ir.ir.Undefined), lanes
    while count < len(vectors):
        count *= 2
    vectors = vectors + [nothing] * (count - len(vectors))
    for round_ in range(lanes.bit_length() - 1):
        is_within = 1 << round_ < piece
        run, block = (1, piece) if is_within else (piece, lanes)
        firsts = [s + n for s in range(0, lanes, block) for source in (0, lanes) for n in range(source, source + block, 2 * run)]
        even, odd = ([n + k + shift for n in firsts for k in range(run)] for shift in (0, run))
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [ir.builder.fadd(ir.shuffle(x, y, even), ir.shuffle(x, y, odd)) for x, y in pairs]
    while len(vectors) > 1:
        pairs, width = zip(vectors[::2], vectors[1::2], strict=True), vectors[0].type.count
        vectors = [ir.shuffle(x, y, list(range(2 * width))) for x, y in pairs]
    return vectors[0]
