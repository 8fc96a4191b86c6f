"""The micro-kernels of a matrix product: a micro-tile of C, up to MR rows and NR columns, is held
in vector registers while the products of a column of A and a row of B are added to it, k after k.

    C[r, q] = max(clamp_min, initial + sum over k of A[r, k] B[k, q])

Around them stand array views and the loops of gemm.py. The Python bodies are plain loops.
"""

from functools import partial

from ...declare import intrinsic, machine
from .vectors import INIT_BIAS, INIT_C, LANES, Vectors, operand

NR = machine(lambda target, item_bytes: 2 * LANES.rule(target, item_bytes))
# Rows of a micro-tile; each is code of its own. The most there are leave registers for two vectors
# of B and one element of A, out of 32 or of 16.
MR_CANDIDATES = machine(
    lambda target, _item_bytes: (
        (14, 10, 8, 4, 2, 1) if target.vector_registers == 32 else (6, 4, 2, 1)
    )
)
MR = machine(lambda target, item_bytes: MR_CANDIDATES.rule(target, item_bytes)[0])
# Rows of B that are packed at a time. With two FMA ports a panel of them must stay in L1.
KC = machine(lambda target, _item_bytes: target.kc_rows // target.fma_ports)
FMA_PORTS = machine(lambda target, _item_bytes: target.fma_ports)

# Software prefetch: columns of A and rows of B that are prefetched before their use, some 200
# cycles; and the depth from which on it pays to prefetch the next tile of C.
PREFETCH_A_COLUMNS, PREFETCH_B_ROWS, PREFETCH_C_MIN_DEPTH = 12, 16, 64


@intrinsic("void <- int int int any any any int T any int any")
def gemm_microkernel(mr, count, depth, a, b, bias, init, clamp_min, c, width, prefetch):
    """`count` micro-tiles of `mr` rows (one of MR_CANDIDATES) and `width` columns (up to NR), one
    below the other.

    a: (array, start, row stride, column stride, distance of the next tile)   bias: (array, start)
    b, c: (array, start, row stride)   prefetch: the same; its row k is prefetched with row k of B

    All arrays are flat; that of a bias that is not there is empty. init: INIT_ZERO, INIT_BIAS or
    INIT_C. clamp_min: -inf, or 0 for a ReLU. With one FMA port, what lies beside row k of B is
    prefetched instead.

    Every element is one dependency chain of multiply-adds in the order of K, whatever the tile, and
    one that goes on from C goes on with the same bits: neither tiles nor blocks of K change a
    result.
    """
    (a, a_start, a_row, a_col, a_tile), (b, b_start, b_row), (c, c_start, c_row) = a, b, c
    bias, bias_start = bias
    for tile in range(count):
        for r in range(mr):
            for q in range(width):
                x = a_start + tile * a_tile + r * a_row
                place = c_start + (tile * mr + r) * c_row + q
                total = (
                    bias[bias_start + q]
                    if init == INIT_BIAS
                    else c[place]
                    if init == INIT_C
                    else c.dtype.type(0)
                )
                for k in range(depth):
                    total += a[x + k * a_col] * b[b_start + k * b_row + q]
                c[place] = clamp_min if total < clamp_min else total


@gemm_microkernel.lowering
def _(emitter, mr, count, depth, a, b, bias, init, clamp_min, c, width, prefetch):
    a, b, bias, c, prefetch = (
        operand(emitter, *x) for x in ((3, a), (4, b), (5, bias), (8, c), (10, prefetch))
    )
    zero = Vectors(emitter).number(0)
    of_c = [*bias, init, clamp_min, *c, width]
    values = [count, depth, *a, *b, zero, *prefetch, zero, *of_c]
    _call_for_mr(emitter, "gemm_microkernel", mr, values, along_row=False)


@intrinsic("void <- int int int any any any int T any any")
def gemm_microkernel_row(mr, count, depth, a, b, bias, init, clamp_min, c, prefetch):
    """`count` micro-tiles side by side, of one packed tile of A and of whole packed panels of B,
    one after another.

    a, bias: (array, start)   b, c: (array, start, row stride)
    prefetch: (array, start, step, distance of the next tile's), element start + k step with row k
    """
    (a, a_start), (b, b_start, b_row), (bias, bias_start) = a, b, bias
    c, c_start, c_row = c
    for tile in range(count):
        j, panel = tile * b_row, (b, b_start + tile * depth * b_row, b_row)
        gemm_microkernel(
            mr, 1, depth, (a, a_start, 1, mr, 0), panel, (bias, bias_start + j), init, clamp_min,
            (c, c_start + j, c_row), b_row, panel,
        )  # fmt: skip


@gemm_microkernel_row.lowering
def _(emitter, mr, count, depth, a, b, bias, init, clamp_min, c, prefetch):
    a, (b, b_row), bias, c, prefetch = (
        operand(emitter, *x) for x in ((3, a), (4, b), (5, bias), (8, c), (9, prefetch))
    )
    number = Vectors(emitter).number
    of_a = [*a, number(1), mr, number(0)]
    of_b = [b, b_row, emitter.builder.mul(depth, b_row)]
    of_c = [*bias, init, clamp_min, *c, b_row]
    values = [count, depth, *of_a, *of_b, *prefetch, *of_c]
    _call_for_mr(emitter, "gemm_microkernel_row", mr, values, along_row=True)


def _call_for_mr(emitter, name, mr, values, along_row):
    """Call the function for tiles of `mr` rows, one of MR_CANDIDATES."""
    builder, number = emitter.builder, Vectors(emitter).number
    after = builder.append_basic_block("multiplied")
    choice = builder.switch(mr, after)
    for rows in MR_CANDIDATES.rule(emitter.target, emitter.item_bytes):
        choice.add_case(number(rows), builder.append_basic_block(f"rows_{rows}"))
        builder.position_at_end(choice.cases[-1][1])
        build = partial(_micro_tiles, emitter, rows, along_row=along_row)
        emitter.call_noinline(f"{name}_{rows}", values, build)
        builder.branch(after)
    builder.position_at_end(after)


@intrinsic("void <- int any any any int T any int")
def gemv_microkernel(depth, x, w, bias, init, clamp_min, y, width):
    """`gemm_microkernel` for one row x, whose tile may be four vectors of columns wide, whole ones,
    or up to two.

    x, bias, y: (array, start)   w: (array, start, row stride)
    """
    (x, x_start), (y, y_start) = x, y
    gemm_microkernel(
        1, 1, depth, (x, x_start, 0, 1, 0), w, bias, init, clamp_min, (y, y_start, 0), width, w
    )


@gemv_microkernel.lowering
def _(emitter, depth, x, w, bias, init, clamp_min, y, width):
    x, w, bias, y = (operand(emitter, *x) for x in ((1, x), (2, w), (3, bias), (6, y)))
    zero, one = (Vectors(emitter).number(n) for n in (0, 1))
    of_c = [*bias, init, clamp_min, *y, zero, width]
    values = [one, depth, *x, zero, one, zero, *w, zero, *w, zero, *of_c]
    build = partial(_micro_tiles, emitter, 1, is_vector=True)
    emitter.call_noinline("gemv_microkernel", values, build)


def _micro_tiles(
    emitter, mr, count, depth, a, a_row, a_col, a_tile, b, b_row, b_tile, prefetch, prefetch_row,
    prefetch_tile, bias, init, clamp_min, c, c_row, width, is_vector=False, along_row=False,
):  # fmt: skip
    """The body of the function for tiles of `mr` rows, one below or, `along_row`, one beside the
    other. a, b, prefetch, bias and c are addresses of the first tile's; `_tile` is the distance of
    the next tile's."""
    builder, whole = emitter.builder, Vectors(emitter)
    number, byte = whole.number, whole.ir.IntType(8).as_pointer()
    max_mr = MR.rule(emitter.target, emitter.item_bytes)
    has_two_ports = emitter.target.fma_ports == 2

    # An element of A's column is addressed from that of row 0 or of the middle row by the distance
    # of one, three or five rows times 1, 2 or 4, which addressing modes compute for free. The
    # optimiser, if it sees through that, keeps fourteen addresses, more than there are registers,
    # or computes them: a fifth more instructions, a tenth more time where a neighbour shares the
    # core.
    middle = max(mr // 2, 1)
    a_col_bytes, strides = builder.mul(a_col, number(emitter.item_bytes)), [number(0)]
    for r in range(1, middle):
        twos = (r & -r).bit_length() - 1
        odd = (
            whole.opaque(builder.mul(a_row, number(r * emitter.item_bytes)))
            if twos == 0
            else strides[r >> twos]
        )
        strides.append(builder.shl(odd, number(twos)))

    def variant(kinds, tail):
        """Tiles with a vector of columns of each of these kinds, the last one cut to `tail`
        elements if that is not None."""
        vectors = range(len(kinds))
        grid = [(r, v) for r in range(mr) for v in vectors]
        *offsets, columns = (sum(k.lanes for k in kinds[:v]) for v in range(len(kinds) + 1))
        # An unaligned row straddles one more cache line: every other tile prefetches that.
        prefetch_end = builder.gep(prefetch, [number(whole.lanes - 1)])
        masks = [None] * (len(kinds) - 1) + [
            None if tail is None else kinds[-1].first(builder.sub(tail, number(offsets[-1])))
        ]
        floors, before = [kind.splat(clamp_min) for kind in kinds], builder.block
        tile, loop, end, done = (
            builder.append_basic_block(f"{n}_{len(kinds)}") for n in ("tile", "sum", "end", "done")
        )
        builder.branch(tile)

        builder.position_at_end(tile)
        of_first = (count, a, b, bias, c, prefetch, prefetch_end)
        of_tile = [builder.phi(x.type) for x in of_first]
        tiles_left, a_here, b_here, bias_here, c_here, prefetch_here, prefetch_other = of_tile
        a_halves = [
            builder.bitcast(builder.gep(a_here, [builder.mul(a_row, number(r))]), byte)
            for r in range(0, mr, middle)
        ]
        c_rows = [builder.gep(c_here, [builder.mul(c_row, number(r))]) for r in range(mr)]
        c_distance = number(columns) if along_row else builder.mul(c_row, number(mr))
        c_next = builder.gep(c_here, [c_distance])

        def prefetch_next_tile_of_c():
            """All of it, before the sums: what it goes on from, block after block of K."""
            pays = builder.and_(
                builder.icmp_signed(">", tiles_left, number(1)),
                builder.icmp_signed(">=", depth, number(PREFETCH_C_MIN_DEPTH)),
            )
            with builder.if_then(pays):
                for r in range(mr):
                    below = builder.gep(c_next, [builder.mul(c_row, number(r))])
                    for offset in (*offsets, columns - 1):
                        whole.prefetch(builder.gep(below, [number(offset)]), level=1)

        def load(base, v):
            return kinds[v].load(builder.gep(base, [number(offsets[v])]), masks[v])

        if mr >= min(8, max_mr) and has_two_ports and not along_row:
            prefetch_next_tile_of_c()
        values = kinds[0].initial(
            init,
            zero=lambda: [kind.zero for kind in kinds] * mr,
            bias=lambda: [load(bias_here, v) for v in vectors] * mr,
            c=lambda: [load(c_rows[r], v) for r, v in grid],
        )
        first, before_sum = dict(zip(grid, values, strict=True)), builder.block
        builder.cbranch(builder.icmp_signed(">", depth, number(0)), loop, end)

        builder.position_at_end(loop)
        a_phis, k = [builder.phi(byte) for _ in a_halves], builder.phi(number(0).type)
        sums = {(r, v): builder.phi(kinds[v].vector) for r, v in grid}
        a_now = [whole.opaque(place) for place in a_phis]
        b_now = builder.gep(b_here, [builder.mul(k, b_row)])
        b_vectors, results = [load(b_now, v) for v in vectors], {}

        def prefetch_next_row():
            """Of a matrix in place, row by row, which is not detected by the hardware prefetcher;
            what lies beside row k of B needs no address of its own."""
            base, distance = (
                (prefetch_here, builder.mul(k, prefetch_row))
                if has_two_ports
                else (b_now, number(2 * whole.lanes))
            )
            row = builder.gep(base, [distance])
            for v in vectors[:1] if along_row else vectors:
                whole.prefetch(builder.gep(row, [number(v * whole.lanes)]))

        def prefetch_b_and_c():
            """A row of B, from L2; and in four iterations a row of the next tile of C."""
            distance = builder.mul(b_row, number(PREFETCH_B_ROWS))
            rows_of_b = [
                builder.gep(b_now, [builder.add(distance, number(offset))]) for offset in offsets
            ]
            row = builder.and_(builder.lshr(k, number(2)), number(15))
            part = builder.and_(k, number(3))
            distance = builder.add(
                builder.mul(c_row, row), builder.mul(part, number((columns - 1) // 3))
            )
            for place in (*rows_of_b, builder.gep(c_next, [distance])):
                whole.prefetch(place, level=1)

        def prefetch_column_of_a():
            """Of A^T: it straddles two cache lines, of which the tile above has had the first."""
            last = number((mr - 1) * emitter.item_bytes)
            distance = builder.add(builder.mul(a_col_bytes, number(PREFETCH_A_COLUMNS)), last)
            whole.prefetch(builder.gep(a_now[0], [distance]), level=1)

        if mr >= 8:
            prefetch_next_row()
            if along_row:
                prefetch_b_and_c()
            elif has_two_ports:
                prefetch_column_of_a()
        for r in range(mr):
            place = builder.gep(a_now[r // middle], [strides[r % middle]])
            factor = builder.load(builder.bitcast(place, a.type))
            for v, kind in enumerate(kinds):
                results[r, v] = kind.fma(kind.splat(factor), b_vectors[v], sums[r, v])
        following = builder.add(k, number(1))
        a_following = [builder.gep(place, [a_col_bytes]) for place in a_now]
        moved = (k, number(0), following), *zip(a_phis, a_halves, a_following, strict=True)
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
        for (r, v), total in totals.items():
            place = builder.gep(c_rows[r], [number(offsets[v])])
            kinds[v].store(kinds[v].clamp_min(total, floors[v]), place, masks[v])
        fewer = builder.sub(tiles_left, number(1))
        places = a_here, b_here, bias_here, prefetch_other, prefetch_here
        bias_tile = number(columns if along_row else 0)
        distances = a_tile, b_tile, bias_tile, prefetch_tile, prefetch_tile
        next_a, next_b, next_bias, *prefetches = (
            builder.gep(x, [by]) for x, by in zip(places, distances, strict=True)
        )
        of_next = fewer, next_a, next_b, next_bias, c_next, *prefetches
        for phi, start, after in zip(of_tile, of_first, of_next, strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(after, end)
        builder.cbranch(builder.icmp_signed(">", fewer, number(0)), tile, done)
        builder.position_at_end(done)

    # By how many columns there are more than. Where vectors have 512 bits, two multiply-adds of 256
    # bits can be issued in a cycle.
    full, lanes = [whole] * 2, whole.lanes
    if along_row:
        variant(full, None)
        return
    variants = [(2 * lanes, full * 2, None)] if is_vector else []
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
