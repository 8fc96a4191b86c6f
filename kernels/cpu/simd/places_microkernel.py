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
from .gemm_microkernel import NR
from .rows import row_copy
from .vectors import INIT_BIAS, INIT_C, LANES, Vectors, operand

# Each row's address is a register of its own: 14 of them would not fit beside k, an offset and B.
PLACES_MR = machine(lambda target, _item_bytes: 10 if target.vector_registers == 32 else 6)
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


@helper
def pack_rows(b, col, width, rows, start, stop, panel):
    """panel = columns col to col + width of the rows of B that `rows` names from start to stop, NR
    apart."""
    for k in range(stop - start):
        row = b[rows[start + k]]
        source, packed = row[col : col + width], panel[k * NR : k * NR + width]
        if width == NR:
            for q in range(NR):
                packed[q] = source[q]
        elif width == LANES:
            for q in range(LANES):
                packed[q] = source[q]
        else:
            row_copy(source, packed)


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
    _in_python(PLACES_MR, 0, count, depth, a, rows_at, columns_at, b, *of_c)


@places_microkernel.lowering
def _(emitter, *values):
    _call(emitter, "places_microkernel", False, *values)


@intrinsic("void <- int int any any any any any int T any any int")
def depthwise_microkernel(
    count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width
):
    """The same where column q of the result is made of column q alone: element q of (r, k) lies q
    further on."""
    of_c = bias, init, clamp_min, c, out_at, width
    _in_python(PLACES_MR, 1, count, depth, a, rows_at, columns_at, b, *of_c)


@depthwise_microkernel.lowering
def _(emitter, *values):
    _call(emitter, "depthwise_microkernel", True, *values)


def _in_python(
    mr, by_column, count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c, out_at, width
):
    """Both, of tiles of `mr` rows; by_column: how far on the factor of the next column lies."""
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
                    factor = a[x + columns_at[column + k] + q * by_column]
                    total += factor * b[b_start + k * b_row + q]
                totals.append((place + q, clamp_min if total < clamp_min else total))
        for place, total in totals:
            c[place] = total


def _call(
    emitter, name, by_column, count, depth, a, rows_at, columns_at, b, bias, init, clamp_min, c,
    out_at, width,
):  # fmt: skip
    """Call the function for addresses."""
    arrays = (2, a), (3, rows_at), (4, columns_at), (5, b), (6, bias), (9, c), (10, out_at)
    (a,), (rows_at,), (columns_at,), b, (bias,), (c,), (out_at,) = (
        operand(emitter, *x) for x in arrays
    )
    values = [count, depth, a, rows_at, columns_at, *b, bias, init, clamp_min, c, out_at, width]
    emitter.call_noinline(name, values, partial(_micro_tiles, emitter, by_column))


def _micro_tiles(
    emitter, by_column, count, depth, a, rows_at, columns_at, b, b_row, bias, init, clamp_min, c,
    out_at, width,
):  # fmt: skip
    """The body of the function; by_column: whether A's elements are rows of numbers."""
    builder, whole = emitter.builder, Vectors(emitter)
    number, mr = whole.number, PLACES_MR.rule(emitter.target, emitter.item_bytes)

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
