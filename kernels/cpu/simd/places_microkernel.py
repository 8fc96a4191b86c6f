"""The micro-kernels of a product whose A is found by two tables: element (r, k) of A lies at
rows_at[r] + columns_at[k] of a flat array. Every matrix that a convolution multiplies with has this
form (kernels/geometry.py), so no copy of its windows is made. Of a depthwise convolution a row of
numbers, one for each column, lies there, and a third table tells which row of B comes next.

As in gemm_microkernel.py a micro-tile of C is held in registers; the tables cost one load for each
element of K. Tiles have one height: the rows that a last tile has too many repeat a row, table and
all, and store what that row stores.
"""

from functools import partial

from ...declare import helper, intrinsic, machine
from .gemm_microkernel import NR
from .rows import _loop
from .vectors import INIT_BIAS, INIT_C, Vectors, operand

# Each row's address is a register of its own: 14 of them would not fit beside k, an offset and B.
PLACES_MR = machine(lambda target, _item_bytes: 10 if target.vector_registers == 32 else 6)
# Of a depthwise convolution; 9 taps of 3 x 3 are one tile of its gradient by kernel.
DEPTHWISE_MR = machine(lambda target, _item_bytes: 9 if target.vector_registers == 32 else 6)
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


@intrinsic("void <- any any int int any")
def pack_rows(b, rows, count, width, panel):
    """panel = of B, (array, start, row stride), the `width` first columns of the `count` rows that
    `rows`, (table, start), names, NR apart. What lies beyond them is not read."""
    (b, start, stride), (rows, first), nr = b, rows, NR
    for k in range(count):
        place = start + rows[first + k] * stride
        panel[k * nr : k * nr + width] = b[place : place + width]


@pack_rows.lowering
def _(emitter, b, rows, count, width, panel):
    builder, ir = emitter.builder, Vectors(emitter)
    (b, stride), (rows,) = operand(emitter, 0, b), operand(emitter, 1, rows)
    panel, _ = emitter.array(panel, emitter.kinds[4])

    def rows_of_vectors(masks):
        def copy(k, _):
            row = builder.mul(builder.load(builder.gep(rows, [k])), stride)
            for v, mask in enumerate(masks):
                offset = ir.number(v * ir.lanes)
                value = ir.load(builder.gep(b, [builder.add(row, offset)]), mask)
                to = builder.add(builder.mul(k, ir.number(2 * ir.lanes)), offset)
                ir.store(value, builder.gep(panel, [to]))
            return []

        _loop(builder, ir.number(0), count, 1, [], copy)

    is_whole = builder.icmp_signed("==", width, ir.number(2 * ir.lanes))
    with builder.if_else(is_whole) as (whole, cut):
        with whole:
            rows_of_vectors([None, None])
        with cut:
            starts = [ir.number(v * ir.lanes) for v in range(2)]
            rows_of_vectors([ir.first(builder.sub(width, start)) for start in starts])


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
    of_c = bias, init, clamp_min, c, out_at, width
    _in_python(PLACES_MR, count, depth, a, rows_at, columns_at, b, *of_c)


@places_microkernel.lowering
def _(emitter, *values):
    mr = PLACES_MR.rule(emitter.target, emitter.item_bytes)
    _call(emitter, "places_microkernel", mr, *values)


@intrinsic("void <- int int any any any any any int T any any int any")
def depthwise_microkernel(
    count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width, b_rows
):
    """The same of tiles of DEPTHWISE_MR rows, where column q of the result is made of column q
    alone: element q of (r, k) lies q further on. b_rows: (table, start) of the numbers of B's
    rows."""
    of_c = bias, init, clamp_min, c, out_at, width
    _in_python(DEPTHWISE_MR, count, depth, a, rows_at, columns_at, b, *of_c, b_rows)


@depthwise_microkernel.lowering
def _(emitter, *values):
    mr = DEPTHWISE_MR.rule(emitter.target, emitter.item_bytes)
    _call(emitter, "depthwise_microkernel", mr, *values)


def _in_python(
    mr, count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width,
    b_rows=None,
):  # fmt: skip
    """Both, of tiles of `mr` rows; b_rows: of depthwise_microkernel."""
    (a, a_start), (rows_at, row), (columns_at, column) = a, rows_at, columns_at
    (b, b_start, b_row), (bias, bias_start) = b, bias
    (c, c_start), (out_at, out) = c, out_at
    for tile in range(count):
        totals = []
        for r in range(tile * mr, (tile + 1) * mr):
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
                    number = k if b_rows is None else b_rows[0][b_rows[1] + k]
                    factor = a[x + columns_at[column + k] + (0 if b_rows is None else q)]
                    total += factor * b[b_start + number * b_row + q]
                totals.append((place + q, clamp_min if total < clamp_min else total))
        for place, total in totals:
            c[place] = total


def _call(
    emitter, name, mr, count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c,
    out_at, width, b_rows=None,
):  # fmt: skip
    """Call the function for addresses."""
    arrays = (2, a), (3, rows_at), (4, columns_at), (5, b), (6, bias), (9, c), (10, out_at)
    (a,), (rows_at,), (columns_at,), b, (bias,), (c,), (out_at,) = (
        operand(emitter, *x) for x in arrays
    )
    values = [count, depth, a, rows_at, columns_at, *b, bias, init, clamp_min, c, out_at, width]
    if b_rows is not None:
        values += operand(emitter, 12, b_rows)
    emitter.call_noinline(name, values, partial(_micro_tiles, emitter, mr))


def _micro_tiles(
    emitter, mr, count, depth, a, rows_at, columns_at, b, b_row, bias, init, clamp_min, c,
    out_at, width, b_rows=None,
):  # fmt: skip
    """The body of the function, for tiles of `mr` rows."""
    builder, whole, number = emitter.builder, Vectors(emitter), Vectors(emitter).number

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
        offset, b_here = builder.load(builder.gep(columns_at, [k])), b_now
        if b_rows is not None:
            b_here = builder.gep(b, [builder.mul(builder.load(builder.gep(b_rows, [k])), b_row)])
        b_vectors, results = [load(b_here, v) for v in vectors], {}
        for r in range(mr):
            place = builder.gep(a_rows[r], [offset])
            factor = builder.load(place) if b_rows is None else None
            for v, kind in enumerate(kinds):
                factors = kind.splat(factor) if b_rows is None else load(place, v)
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

    # By how many columns there are more than, as in gemm_microkernel.py.
    full, lanes = [whole] * 2, whole.lanes
    variants = [(2 * lanes - 1, full, False), (lanes, full, True), (lanes - 1, [whole], False)]
    if emitter.target.vector_bytes == 64:
        half = Vectors(emitter, lanes // 2)
        variants += [(half.lanes, [whole], True), (0, [half], True)]
    else:
        variants.append((0, [whole], True))

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

    choose(variants)
