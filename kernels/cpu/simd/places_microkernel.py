"""The micro-kernels of a product whose A is found by two tables: element (r, k) of A lies at
rows_at[r] + columns_at[k] of a flat array. Every matrix that a convolution multiplies with has this
form (kernels/geometry.py), so no copy of its windows is made. Of a depthwise convolution a row of
numbers, one for each column, lies there.

As in gemm_microkernel.py a micro-tile of C is held in registers; the tables cost one load for each
element of K. Tiles have one height: the rows that a last tile has too many repeat a row, table and
all, and store what that row stores.
"""

from functools import partial

from ...declare import helper, intrinsic, machine
from .vectors import INIT_BIAS, INIT_C, Vectors, operand

# Each row's address is a register of its own: 14 of them would not fit beside k, an offset and B.
PLACES_MR = machine(lambda target, _item_bytes: 10 if target.vector_registers == 32 else 6)
# Tiles of a depthwise convolution are one vector wide: 10 accumulators hide the latency of
# multiply-adds, and A's vectors come from memory as their operands.
DEPTHWISE_MR = 10
IMAGES_ELEMENTS = machine(lambda target, item_bytes: target.l2_bytes // 2 // item_bytes)


@helper
def fill_places(table, size, of_tiles, n, p, start, stop, places, step):
    """table[r] = places[p] in image n for `size` pixels from (n, p) on, of which each image has
    those from start to stop; the last one as often as whole tiles, of_tiles rows, have room."""
    r = 0
    while r < size:
        own = places[p : p + min(stop - p, size - r)]
        target, image = table[r : r + own.size], n * step
        for i in range(target.size):
            target[i] = image + own[i]
        r, n, p = r + own.size, n + 1, start
    for i in range(size, of_tiles):
        table[i] = table[size - 1]


@helper
def images_at_once(images, classes, elements):
    """So many images go through all classes of pixels before the next, of so many elements with
    their results: half of L2 holds them."""
    return max(1, images if classes == 1 else IMAGES_ELEMENTS // max(elements, 1))


@intrinsic("void <- int int any any any any any int T any any int")
def places_microkernel(
    count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width
):
    """C = max(clamp_min, A B + initial) for `count` tiles of PLACES_MR rows and `width` columns
    (up to NR), one below the other.

    a: (array, start)   rows_at, columns_at, out_at: (table, start)   b: (array, start, row stride)
    bias, c: (array, start); row r of C begins at out_at[r] of it

    A tile is read before it is written. Every element is one dependency chain of multiply-adds in
    the order of K, whatever the tile.
    """
    (a, a_start), (rows_at, row), (columns_at, column) = a, rows_at, columns_at
    (b, b_start, b_row), (bias, bias_start) = b, bias
    (c, c_start), (out_at, out) = c, out_at
    for tile in range(count):
        totals = []
        for r in range(tile * PLACES_MR, (tile + 1) * PLACES_MR):
            x, place = a_start + rows_at[row + r], c_start + out_at[out + r]
            for q in range(width):
                total = (
                    bias[bias_start + q]
                    if init == INIT_BIAS
                    else c[place + q]
                    if init == INIT_C
                    else c.dtype.type(0)
                )
                for k in range(depth):
                    total += a[x + columns_at[column + k]] * b[b_start + k * b_row + q]
                totals.append((place + q, clamp_min if total < clamp_min else total))
        for place, total in totals:
            c[place] = total


@places_microkernel.lowering
def _(
    emitter, count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width
):  # fmt: skip
    arrays = a, rows_at, columns_at, b, bias, c, out_at
    mr = PLACES_MR.rule(emitter.target, emitter.item_bytes)
    build = partial(_micro_tiles, emitter, mr, _up_to_two_vectors, False)
    _call(emitter, "places_microkernel", count, depth, arrays, init, clamp_min, width, build)


def _up_to_two_vectors(whole):
    """What tiles are made of: more columns than this, the kinds of their vectors, whether the last
    of them is cut; as in gemm_microkernel.py."""
    full, lanes = [whole] * 2, whole.lanes
    variants = [(2 * lanes - 1, full, False), (lanes, full, True), (lanes - 1, [whole], False)]
    if whole.emitter.target.vector_bytes < 64:
        return [*variants, (0, [whole], True)]
    half = Vectors(whole.emitter, lanes // 2)
    return [*variants, (half.lanes, [whole], True), (0, [half], True)]


def _one_vector(whole):
    return [(whole.lanes - 1, [whole], False), (0, [whole], True)]


@intrinsic("void <- int int any any any any any int T any any int")
def depthwise_microkernel(
    count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width
):
    """The same for tiles of DEPTHWISE_MR rows and up to a vector of columns, where column q of the
    result is made of column q alone: element q of (r, k) lies q further on."""
    (a, a_start), (rows_at, row), (columns_at, column) = a, rows_at, columns_at
    (b, b_start, b_row), (bias, bias_start) = b, bias
    (c, c_start), (out_at, out) = c, out_at
    for tile in range(count):
        totals = []
        for r in range(tile * DEPTHWISE_MR, (tile + 1) * DEPTHWISE_MR):
            x, place = a_start + rows_at[row + r], c_start + out_at[out + r]
            for q in range(width):
                total = (
                    bias[bias_start + q]
                    if init == INIT_BIAS
                    else c[place + q]
                    if init == INIT_C
                    else c.dtype.type(0)
                )
                for k in range(depth):
                    total += a[x + columns_at[column + k] + q] * b[b_start + k * b_row + q]
                totals.append((place + q, clamp_min if total < clamp_min else total))
        for place, total in totals:
            c[place] = total


@depthwise_microkernel.lowering
def _(
    emitter, count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width
):  # fmt: skip
    arrays = a, rows_at, columns_at, b, bias, c, out_at
    build = partial(_micro_tiles, emitter, DEPTHWISE_MR, _one_vector, True)
    _call(emitter, "depthwise_microkernel", count, depth, arrays, init, clamp_min, width, build)


def _call(emitter, name, count, depth, arrays, init, clamp_min, width, build):
    """Call the function `build` makes, by addresses."""
    (a,), (rows_at,), (columns_at,), b, (bias,), (c,), (out_at,) = (
        operand(emitter, position, x)
        for position, x in zip((2, 3, 4, 5, 6, 9, 10), arrays, strict=True)
    )
    values = [count, depth, a, rows_at, columns_at, *b, bias, init, clamp_min, c, out_at, width]
    emitter.call_noinline(name, values, build)


def _micro_tiles(
    emitter, mr, variants, by_column, count, depth, a, rows_at, columns_at, b, b_row, bias, init,
    clamp_min, c, out_at, width,
):  # fmt: skip
    """The body of the function for tiles of `mr` rows; by_column: whether A's elements are rows of
    numbers."""
    builder, whole = emitter.builder, Vectors(emitter)
    number = whole.number

    def variant(kinds, tail):
        """Tiles with a vector of columns of each of these kinds, the last one cut to `tail`
        elements if that is not None."""
        vectors = range(len(kinds))
        grid = [(r, v) for r in range(mr) for v in vectors]
        offsets = [sum(k.lanes for k in kinds[:v]) for v in vectors]
        masks = [None] * (len(kinds) - 1) + [
            None if tail is None else kinds[-1].first(builder.sub(tail, number(offsets[-1])))
        ]
        floors, before = [kind.splat(clamp_min) for kind in kinds], builder.block
        tile, loop, end, done = (
            builder.append_basic_block(f"{n}_{len(kinds)}") for n in ("tile", "sum", "end", "done")
        )
        builder.branch(tile)

        def placed(base, table):
            return [builder.gep(base, [builder.load(builder.gep(table, [number(r)]))])
                    for r in range(mr)]  # fmt: skip

        def load(base, v):
            return kinds[v].load(builder.gep(base, [number(offsets[v])]), masks[v])

        builder.position_at_end(tile)
        of_first = count, rows_at, out_at
        tiles_left, rows_here, out_here = of_tile = [builder.phi(x.type) for x in of_first]
        a_rows, c_rows = placed(a, rows_here), placed(c, out_here)
        values = kinds[0].initial(
            init,
            zero=lambda: [kind.zero for kind in kinds] * mr,
            bias=lambda: [load(bias, v) for v in vectors] * mr,
            c=lambda: [load(c_rows[r], v) for r, v in grid],
        )
        first, before_sum = dict(zip(grid, values, strict=True)), builder.block
        builder.cbranch(builder.icmp_signed(">", depth, number(0)), loop, end)

        builder.position_at_end(loop)
        k, b_now = builder.phi(depth.type), builder.phi(b.type)
        sums = {cell: builder.phi(kinds[cell[1]].vector) for cell in grid}
        offset = builder.load(builder.gep(columns_at, [k]))
        b_vectors, results = [load(b_now, v) for v in vectors], {}
        for r in range(mr):
            place = builder.gep(a_rows[r], [offset])
            factor = None if by_column else builder.load(place)
            for v, kind in enumerate(kinds):
                factors = load(place, v) if by_column else kind.splat(factor)
                results[r, v] = kind.fma(factors, b_vectors[v], sums[r, v])
        following, b_following = builder.add(k, number(1)), builder.gep(b_now, [b_row])
        moved = (k, number(0), following), (b_now, b, b_following)
        summed = ((sums[cell], first[cell], results[cell]) for cell in grid)
        for phi, start, after in (*moved, *summed):
            phi.add_incoming(start, before_sum)
            phi.add_incoming(after, loop)
        builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)

        builder.position_at_end(end)
        totals = {(r, v): builder.phi(kinds[v].vector) for r, v in grid}
        for cell, total in totals.items():
            total.add_incoming(first[cell], before_sum)
            total.add_incoming(results[cell], loop)
        # found again: kept, they would take the registers of A's rows
        c_rows = placed(c, whole.opaque(out_here))
        for (r, v), total in totals.items():
            place = builder.gep(c_rows[r], [number(offsets[v])])
            kinds[v].store(kinds[v].clamp_min(total, floors[v]), place, masks[v])
        fewer = builder.sub(tiles_left, number(1))
        of_next = fewer, *[builder.gep(table, [number(mr)]) for table in (rows_here, out_here)]
        for phi, start, after in zip(of_tile, of_first, of_next, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(after, end)
        builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, done)
        builder.position_at_end(done)

    def choose(variants):
        (least, kinds, is_cut), *others = variants
        if not others:
            variant(kinds, width if is_cut else None)
            return
        with builder.if_else(builder.icmp_signed(">", width, number(least))) as (this, other):
            with this:
                variant(kinds, width if is_cut else None)
            with other:
                choose(others)

    choose(variants(whole))
