"""The intrinsics that hold a tile of a product in vector registers.

Like `transpose_tile` they see addresses. Around them stand array views, and their Python bodies are
plain loops on arrays.
"""

from functools import partial

from ...declare import intrinsic, machine
from .vectors import FROM_BIAS, FROM_C, Vectors

# elements of one vector register
WIDTH = machine(lambda target, item_bytes: target.vector_bytes // item_bytes)
# columns of a full tile: two vectors
PANEL = machine(lambda target, item_bytes: 2 * target.vector_bytes // item_bytes)
# Rows of a tile. The most there are leave registers for two vectors of B and one element of A, out
# of 32 or of 16; each of the others is code of its own.
HEIGHTS = machine(
    lambda target, _item_bytes: (
        (14, 10, 8, 4, 2, 1) if target.vector_registers == 32 else (6, 4, 2, 1)
    )
)
TILE_ROWS = machine(lambda target, item_bytes: HEIGHTS.rule(target, item_bytes)[0])

# addresses so far apart fall on the same set of the first cache
PAGE = machine(lambda _target, item_bytes: 4096 // item_bytes)
LONG = 64  # columns of A from which on it is worth fetching C ahead
# columns of A and rows of B that are fetched before they are multiplied: some 200 cycles
A_AHEAD, B_AHEAD = 12, 16
# what half of a second cache holds
NEAR = machine(lambda _target, item_bytes: (1 << 19) // item_bytes)
# Rows of B that are copied at once. A processor that takes two panels' rows in a cycle must find
# them in the first cache.
BLOCK = machine(lambda target, _item_bytes: target.kc_rows // target.fma_ports)
FAST = machine(lambda target, _item_bytes: int(target.fma_ports == 2))
PANEL_MEMORY = machine(
    lambda target, item_bytes: BLOCK.rule(target, item_bytes) * PANEL.rule(target, item_bytes)
)


def _panels(target, item_bytes):
    """As many as fill half of the second cache, or 1 MB of the stack, where a tile of A and a panel
    are too much for the first."""
    tile, panel = (
        BLOCK.rule(target, item_bytes) * rule.rule(target, item_bytes)
        for rule in (TILE_ROWS, PANEL)
    )
    if target.fma_ports == 1 or item_bytes * (tile + panel) <= target.l1_bytes:
        return 0
    return min(32, max(2, target.l2_bytes // 2 // (item_bytes * panel)))


# Panels of B that are copied at once, for a tile to be multiplied with one after another; or 0: a
# panel stays, for tile after tile.
PANELS = machine(_panels)


@intrinsic(
    "void <- int int int any int int int int any int int any int int any int int T any int int int"
)
def multiply_tiles(
    rows, count, depth, a, a_first, a_row, a_step, a_next, b, b_first, b_row, ahead, ahead_first,
    ahead_row,
    bias, start, column, low, c, c_first, c_row, width,
):  # fmt: skip
    """C = max(low, A B + start) for `count` tiles of C, one below the other, the sums of one at a
    time kept in registers.

    A tile has `rows` rows, one of HEIGHTS, and up to two vectors of columns. All arrays are flat:
    of a tile's first element on, element (r, k) of A lies at r a_row + k a_step, (k, q) of B at k
    b_row + q, (r, q) of C at r c_row + q; the next tile begins `a_next` further on in A. With row k
    of B row k of what will be read next is fetched, of which element `ahead_first` is the first; if
    the processor is not fast, what lies beside row k. bias: empty, or as long as C is wide; the
    tiles begin at its element `column`. `low` is -inf, or 0 for a ReLU.

    Every element is a chain of multiply-adds in the order of K, whatever the tile, and one that
    goes on from C goes on with the same bits: neither tiles nor blocks of K change a result.
    """
    for tile in range(count):
        for r in range(rows):
            for q in range(width):
                place, x = (
                    c_first + (tile * rows + r) * c_row + q,
                    a_first + tile * a_next + r * a_row,
                )
                total = (
                    bias[column + q]
                    if start == FROM_BIAS
                    else c[place]
                    if start == FROM_C
                    else c.dtype.type(0)
                )
                for k in range(depth):
                    total += a[x + k * a_step] * b[b_first + k * b_row + q]
                c[place] = low if total < low else total


@multiply_tiles.lowering
def _(
    emitter, rows, count, depth, a, a_first, a_row, a_step, a_next, b, b_first, b_row, ahead,
    ahead_first, ahead_row,
    bias, start, column, low, c, c_first, c_row, width,
):  # fmt: skip
    places = (
        (a, 3, a_first),
        (b, 8, b_first),
        (ahead, 11, ahead_first),
        (bias, 14, column),
        (c, 18, c_first),
    )
    zero, (a, b, ahead, bias, c) = (
        Vectors(emitter).number(0),
        (element(emitter, *place) for place in places),
    )
    values = [
        count,
        depth,
        a,
        a_row,
        a_step,
        a_next,
        b,
        b_row,
        zero,
        ahead,
        ahead_row,
        zero,
        bias,
        start,
        low,
        c,
        c_row,
        width,
    ]
    _of_height(emitter, "multiply_tiles", rows, values, is_beside=False)


@intrinsic("void <- int int int any int any int int any int int int any int int T any int int")
def multiply_beside(
    rows, count, depth, a, a_first, b, b_first, b_row, ahead, ahead_first, ahead_step, ahead_next,
    bias, start, column, low, c, c_first, c_row,
):  # fmt: skip
    """`multiply_tiles` for a single tile of A, copied as (columns, rows), and `count` whole panels
    of B, copied one after another: the tiles of C lie side by side. In turn k of tile t element
    `ahead_first` + k `ahead_step` + t `ahead_next` is fetched."""
    for tile in range(count):
        j, place = tile * b_row, b_first + tile * depth * b_row
        multiply_tiles(
            rows, 1, depth, a, a_first, 1, rows, 0, b, place, b_row, b, place, b_row,
            bias, start, column + j, low, c, c_first + j, c_row, b_row,
        )  # fmt: skip


@multiply_beside.lowering
def _(
    emitter, rows, count, depth, a, a_first, b, b_first, b_row, ahead, ahead_first, ahead_step,
    ahead_next,
    bias, start, column, low, c, c_first, c_row,
):  # fmt: skip
    places = (
        (a, 3, a_first),
        (b, 5, b_first),
        (ahead, 8, ahead_first),
        (bias, 12, column),
        (c, 16, c_first),
    )
    number, (a, b, ahead, bias, c) = (
        Vectors(emitter).number,
        (element(emitter, *place) for place in places),
    )
    of_a, of_b = [a, number(1), rows, number(0)], [b, b_row, emitter.builder.mul(depth, b_row)]
    values = [
        count,
        depth,
        *of_a,
        *of_b,
        ahead,
        ahead_step,
        ahead_next,
        bias,
        start,
        low,
        c,
        c_row,
        b_row,
    ]
    _of_height(emitter, "multiply_beside", rows, values, is_beside=True)


def _of_height(emitter, name, rows, values, is_beside):
    """Call the function for tiles of so many rows, one of HEIGHTS."""
    builder, number = emitter.builder, Vectors(emitter).number
    after = builder.append_basic_block("multiplied")
    choice = builder.switch(rows, after)
    for height in HEIGHTS.rule(emitter.target, emitter.item_bytes):
        choice.add_case(number(height), builder.append_basic_block(f"rows_{height}"))
        builder.position_at_end(choice.cases[-1][1])
        build = partial(_multiply_tiles, emitter, height, is_beside=is_beside)
        emitter.call_noinline(f"{name}_{height}", values, build)
        builder.branch(after)
    builder.position_at_end(after)


@intrinsic("void <- int any any int int any int int T any int int")
def multiply_strip(depth, a, b, b_first, b_row, bias, start, column, low, c, c_first, width):
    """`multiply_tiles` for a single row, which may be four vectors of columns wide, whole ones, or
    up to two."""
    multiply_tiles(
        1,
        1,
        depth,
        a,
        0,
        0,
        1,
        0,
        b,
        b_first,
        b_row,
        b,
        b_first,
        b_row,
        bias,
        start,
        column,
        low,
        c,
        c_first,
        0,
        width,
    )


@multiply_strip.lowering
def _(emitter, depth, a, b, b_first, b_row, bias, start, column, low, c, c_first, width):
    zero, one = (Vectors(emitter).number(n) for n in (0, 1))
    a, b, bias, c = (
        element(emitter, *x)
        for x in ((a, 1, zero), (b, 2, b_first), (bias, 5, column), (c, 9, c_first))
    )
    values = [
        one,
        depth,
        a,
        zero,
        one,
        zero,
        b,
        b_row,
        zero,
        b,
        b_row,
        zero,
        bias,
        start,
        low,
        c,
        zero,
        width,
    ]
    emitter.call_noinline(
        "multiply_strip", values, lambda *own: _multiply_tiles(emitter, 1, *own, is_strip=True)
    )


def element(emitter, array, position, index):
    """The address of an element of a flat array, which is the argument of that number."""
    return emitter.builder.gep(emitter.array(array, emitter.kinds[position])[0], [index])


def _multiply_tiles(
    emitter, rows, count, depth, a, a_row, a_step, a_next, b, b_row, b_next, ahead, ahead_step,
    ahead_next,
    bias, start, low, c, c_row, width, is_strip=False, is_beside=False,
):  # fmt: skip
    """The body of the function for tiles of `rows` rows, one below or one beside the other: a, b,
    ahead, bias and c are the addresses of the first tile's elements."""
    builder, whole = emitter.builder, Vectors(emitter)
    number, byte = whole.number, whole.ir.IntType(8).as_pointer()

    # An element of a row is addressed from that of row 0 or of the middle row by the distance of
    # one, three or five rows times 1, 2 or 4, which every processor adds in passing. The optimiser,
    # if it sees through that, keeps fourteen addresses, more than there are registers, or computes
    # them: a fifth more instructions, a tenth more time where a neighbour shares the core.
    middle, a_bytes, strides = (
        max(rows // 2, 1),
        builder.mul(a_step, number(emitter.item_bytes)),
        [number(0)],
    )
    for r in range(1, middle):
        twos = (r & -r).bit_length() - 1
        odd = (
            whole.hidden(builder.mul(a_row, number(r * emitter.item_bytes)))
            if twos == 0
            else strides[r >> twos]
        )
        strides.append(builder.shl(odd, number(twos)))

    def variant(kinds, tail):
        """The product for a vector of columns of each of these kinds, the last one cut to `tail`
        elements if that is not None."""
        vectors = range(len(kinds))
        grid = [(r, v) for r in range(rows) for v in vectors]
        *offsets, columns = (sum(k.lanes for k in kinds[:v]) for v in range(len(kinds) + 1))
        # Vectors that do not begin a line end on the next: every other tile fetches those.
        ahead_end = builder.gep(ahead, [number(whole.lanes - 1)])
        masks = [None] * (len(kinds) - 1) + [
            None if tail is None else kinds[-1].first(builder.sub(tail, number(offsets[-1])))
        ]
        floors, before = [kind.splat(low) for kind in kinds], builder.block
        tile, sum_up, end, done = (
            builder.append_basic_block(f"{n}_{len(kinds)}") for n in ("tile", "sum", "end", "done")
        )
        builder.branch(tile)

        builder.position_at_end(tile)
        first_of = (count, a, b, bias, c, ahead, ahead_end)
        left, a_here, b_here, bias_here, c_here, ahead_here, ahead_other = of_tile = [
            builder.phi(x.type) for x in first_of
        ]
        a_halves = [
            builder.bitcast(builder.gep(a_here, [builder.mul(a_row, number(r))]), byte)
            for r in range(0, rows, middle)
        ]
        c_rows = [builder.gep(c_here, [builder.mul(c_row, number(r))]) for r in range(rows)]

        c_next = builder.gep(
            c_here, [number(columns) if is_beside else builder.mul(c_row, number(rows))]
        )

        is_fast, tallest = (
            emitter.target.fma_ports == 2,
            HEIGHTS.rule(emitter.target, emitter.item_bytes)[0],
        )
        # what the next tile goes on from, block after block of K
        if rows >= min(8, tallest) and is_fast and not is_beside:
            is_worth_it = builder.and_(
                builder.icmp_signed(">", left, number(1)),
                builder.icmp_signed(">=", depth, number(LONG)),
            )
            with builder.if_then(is_worth_it):
                for r in range(rows):
                    below = builder.gep(c_next, [builder.mul(c_row, number(r))])
                    for offset in (*offsets, columns - 1):
                        whole.prefetch(builder.gep(below, [number(offset)]), cache=1)

        def load(base, v):
            return kinds[v].load(builder.gep(base, [number(offsets[v])]), masks[v])

        values = kinds[0].chosen(
            start,
            zero=lambda: [kind.zero for kind in kinds] * rows,
            bias=lambda: [load(bias_here, v) for v in vectors] * rows,
            c=lambda: [load(c_rows[r], v) for r, v in grid],
        )
        first, before_sum = dict(zip(grid, values, strict=True)), builder.block
        builder.cbranch(builder.icmp_signed(">", depth, number(0)), sum_up, end)

        builder.position_at_end(sum_up)
        a_phis = [builder.phi(byte) for _ in a_halves]
        k, sums = (
            builder.phi(number(0).type),
            {(r, v): builder.phi(kinds[v].vector) for r, v in grid},
        )
        a_now, b_now = (
            [whole.hidden(place) for place in a_phis],
            builder.gep(b_here, [builder.mul(k, b_row)]),
        )
        b_vectors, results = [load(b_now, v) for v in vectors], {}
        # row by row, which no processor guesses; beside a panel in place the next needs no address
        # of its own
        if rows >= 8:
            base, step = (
                (ahead_here, builder.mul(k, ahead_step))
                if is_fast
                else (b_now, number(2 * whole.lanes))
            )
            next_row = builder.gep(base, [step])
            for v in vectors[:1] if is_beside else vectors:
                whole.prefetch(builder.gep(next_row, [number(v * whole.lanes)]))
        # a row of B from the second cache; in four turns a row of what the next tile goes on from
        if rows >= 8 and is_beside:
            soon = [
                builder.gep(
                    b_now, [builder.add(builder.mul(b_row, number(B_AHEAD)), number(offset))]
                )
                for offset in offsets
            ]
            row, part = (
                builder.and_(builder.lshr(k, number(2)), number(15)),
                builder.and_(k, number(3)),
            )
            places = builder.add(
                builder.mul(c_row, row), builder.mul(part, number((columns - 1) // 3))
            )
            for place in (*soon, builder.gep(c_next, [places])):
                whole.prefetch(place, cache=1)
        # a column of A^T: of its two lines the tile above has had the first
        elif rows >= 8 and is_fast:
            soon = builder.add(
                builder.mul(a_bytes, number(A_AHEAD)), number((rows - 1) * emitter.item_bytes)
            )
            whole.prefetch(builder.gep(a_now[0], [soon]), cache=1)
        for r in range(rows):
            factor = builder.load(
                builder.bitcast(builder.gep(a_now[r // middle], [strides[r % middle]]), a.type)
            )
            for v, kind in enumerate(kinds):
                results[r, v] = kind.fma(kind.splat(factor), b_vectors[v], sums[r, v])
        following, a_following = (
            builder.add(k, number(1)),
            [builder.gep(place, [a_bytes]) for place in a_now],
        )
        moved = (k, number(0), following), *zip(a_phis, a_halves, a_following, strict=True)
        for phi, begin, after in (
            *moved,
            *((sums[cell], first[cell], results[cell]) for cell in grid),
        ):
            phi.add_incoming(begin, before_sum)
            phi.add_incoming(after, sum_up)
        builder.cbranch(builder.icmp_signed("<", following, depth), sum_up, end)

        builder.position_at_end(end)
        totals = {(r, v): builder.phi(kinds[v].vector) for r, v in grid}
        for cell, total in totals.items():
            total.add_incoming(first[cell], before_sum)
            total.add_incoming(results[cell], sum_up)
        for (r, v), total in totals.items():
            kinds[v].store(
                kinds[v].at_least(total, floors[v]),
                builder.gep(c_rows[r], [number(offsets[v])]),
                masks[v],
            )
        fewer, places = (
            builder.sub(left, number(1)),
            (a_here, b_here, bias_here, ahead_other, ahead_here),
        )
        distances = (a_next, b_next, number(columns if is_beside else 0), ahead_next, ahead_next)
        next_a, next_b, next_bias, *aheads = (
            builder.gep(x, [by]) for x, by in zip(places, distances, strict=True)
        )
        for phi, begin, after in zip(
            of_tile, first_of, (fewer, next_a, next_b, next_bias, c_next, *aheads), strict=True
        ):
            phi.add_incoming(begin, before)
            phi.add_incoming(after, end)
        builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, done)
        builder.position_at_end(done)

    # By how many columns there are more than. Of half a register of 512 bits two multiply-adds
    # begin in a cycle, of a whole one only one.
    full, lanes = [whole] * 2, whole.lanes
    if is_beside:
        variant(full, None)
        return
    variants = [(2 * lanes, full * 2, None)] if is_strip else []
    if emitter.target.vector_bytes == 64:
        half = Vectors(emitter, lanes // 2)
        tails = [
            (lanes + half.lanes, full),
            (lanes, [whole, half]),
            (half.lanes, [whole]),
            (0, [half]),
        ]
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
