"""Sums, dot products, maxima and copies of single rows, a vector register at a time.

The compiler vectorises a plain loop as well, but its tail runs element by element: the sum of ten
numbers then takes as long as that of two hundred. Here the tail is one masked vector. The order of
a sum depends on the length alone.
"""

import math
from functools import reduce

from ...declare import T, helper, intrinsic
from .vectors import Vectors

CACHE_LINE_BYTES = 64
# they hide the latency of an addition, three or four cycles
INDEPENDENT_ACCUMULATORS = 4


@helper
def clear(row):
    """row = 0."""
    for j in range(row.size):
        row[j] = T(0)


@intrinsic("T <- any")
def row_sum(x):
    """The sum of x."""
    return x.sum(dtype=x.dtype)


@intrinsic("T <- any any")
def row_dot(x, y):
    """The sum of x y."""
    return (x * y).sum(dtype=x.dtype)


@intrinsic("T <- any T")
def sum_of_deviations(x, point):
    """The sum of x - point."""
    return (x - point).sum(dtype=x.dtype)


@intrinsic("T <- any T")
def sum_of_squared_deviations(x, point):
    """The sum of (x - point)^2."""
    return ((x - point) ** 2).sum(dtype=x.dtype)


@intrinsic("void <- literal any any any any any any any any any")
def layer_norm_sums(rows, x, gamma, mean, mean_lo, rstd, dy, sums, dgamma, dbeta):
    """Of the first `rows` of x and dy (N, C), with g = dy gamma: sums (2 rows,) = sum of g, sum of
    g (x - mean) of each; dgamma += sum of dy (x - mean - mean_lo) rstd and dbeta += sum of dy over
    these rows."""
    x, dy, mean, mean_lo, rstd = (
        x[:rows],
        dy[:rows],
        mean[:rows, None],
        mean_lo[:rows, None],
        rstd[:rows, None],
    )
    g, deviation = dy * gamma, x - mean
    sums[: 2 * rows : 2], sums[1 : 2 * rows : 2] = (
        g.sum(1, x.dtype),
        (g * deviation).sum(1, x.dtype),
    )
    dgamma += (dy * ((deviation - mean_lo) * rstd)).sum(0, x.dtype)
    dbeta += dy.sum(0, x.dtype)


@intrinsic("T <- any")
def row_maximum(x):
    """The largest element, -inf of none. A NaN is passed over, or the result."""
    return x.max(initial=-math.inf)


@intrinsic("void <- any any")
def row_copy(x, y):
    """y = x, of any element type."""
    y[:] = x


@intrinsic("void <- any any")
def streaming_row_copy(x, y):
    """y = x by streaming stores, which do not fetch the lines they write."""
    y[:] = x


@intrinsic("void <- any T any")
def row_scale(x, scale, y):
    """y = scale x. x may be longer than y, and may be y."""
    y[:] = x[: y.size] * scale


@intrinsic("void <- any T any")
def subtract_and_pad(x, point, padded):
    """padded = x - point, and -inf beyond the end of x. `padded` is whole vectors."""
    padded[: x.size], padded[x.size :] = x - point, -math.inf


@intrinsic("void <- any")
def row_prefetch(x):
    """Bring a row, of any element type, into L2, to be read soon."""


@row_sum.lowering
def _(emitter, x):
    ir = Vectors(emitter)
    return _reduced(
        emitter, ir, [x], lambda total, _, v: ir.builder.fadd(total, v), ir.builder.fadd, 0.0
    )


@row_dot.lowering
def _(emitter, x, y):
    ir = Vectors(emitter)
    return _reduced(
        emitter, ir, [x, y], lambda total, _, v, w: ir.fma(v, w, total), ir.builder.fadd, 0.0
    )


def _inside(ir, value, mask):
    """The vector, or zero beyond the row's end."""
    return value if mask is None else ir.builder.select(mask, value, ir.zero)


@sum_of_deviations.lowering
def _(emitter, x, point):
    ir, points = Vectors(emitter), Vectors(emitter).splat(point)

    def add(total, mask, v):
        return ir.builder.fadd(total, _inside(ir, ir.builder.fsub(v, points), mask))

    return _reduced(emitter, ir, [x], add, ir.builder.fadd, 0.0)


@sum_of_squared_deviations.lowering
def _(emitter, x, point):
    ir, points = Vectors(emitter), Vectors(emitter).splat(point)

    def add(total, mask, v):
        deviation = _inside(ir, ir.builder.fsub(v, points), mask)
        return ir.fma(deviation, deviation, total)

    return _reduced(emitter, ir, [x], add, ir.builder.fadd, 0.0)


@layer_norm_sums.lowering
def _(emitter, _, *arrays):
    builder, ir, rows = emitter.builder, Vectors(emitter), range(emitter.kinds[0].literal_value)
    found = [
        emitter.array(value, kind) for value, kind in zip(arrays, emitter.kinds[1:], strict=True)
    ]
    x, gamma, mean, mean_lo, rstd, dy, sums, dgamma, dbeta = [address for address, _ in found]
    _, (size,) = found[1]

    def numbers(array):
        return [ir.splat(builder.load(builder.gep(array, [ir.number(n)]))) for n in rows]

    def rows_of(array):
        return [builder.gep(array, [builder.mul(size, ir.number(n))]) for n in rows]

    means, rstds = numbers(mean), numbers(rstd)
    shifts = [
        builder.fneg(builder.fmul(r, f)) for r, f in zip(numbers(mean_lo), rstds, strict=True)
    ]

    def step(totals, _, *vectors):
        values, dys, (scale, product, total) = (
            vectors[: len(rows)],
            vectors[len(rows) : -3],
            vectors[-3:],
        )
        found = []
        for n in rows:
            deviation, g = builder.fsub(values[n], means[n]), builder.fmul(dys[n], scale)
            found += [builder.fadd(totals[2 * n], g), ir.fma(g, deviation, totals[2 * n + 1])]
            product = ir.fma(dys[n], ir.fma(deviation, rstds[n], shifts[n]), product)
        return [*found, product, builder.fadd(total, reduce(builder.fadd, dys))]

    read, updated = [*rows_of(x), *rows_of(dy), gamma], [dgamma, dbeta]
    totals = _reduced_many(emitter, ir, size, read, step, builder.fadd, 0.0, 2 * len(rows), updated)
    for n, total in enumerate(totals):
        builder.store(total, builder.gep(sums, [ir.number(n)]))


@row_maximum.lowering
def _(emitter, x):
    ir = Vectors(emitter)

    def larger(one, other):
        return ir.builder.select(ir.builder.fcmp_ordered(">", one, other), one, other)

    return _reduced(emitter, ir, [x], lambda top, _, v: larger(v, top), larger, -math.inf)


@row_copy.lowering
def _(emitter, x, y):
    _moved(emitter, x, y, lambda _ir, value: value)


@streaming_row_copy.lowering
def _(emitter, x, y):
    _moved(emitter, x, y, lambda _ir, value: value, streaming=True)


@row_scale.lowering
def _(emitter, x, scale, y):
    _moved(emitter, x, y, lambda ir, value: ir.builder.fmul(value, ir.splat(scale)))


@row_prefetch.lowering
def _(emitter, x):
    builder, ir = emitter.builder, Vectors(emitter)
    data, (size,) = emitter.array(x, emitter.kinds[0])
    line = ir.number(CACHE_LINE_BYTES // emitter.item_bytes)

    def fetch(place, _):
        ir.prefetch(builder.gep(data, [place]))
        return []

    _loop(builder, ir.number(0), size, line.constant, [], fetch)


def _moved(emitter, x, y, change, streaming=False):
    """y = change(x) with a masked tail. Without a tail there is no masked store: one whose mask is
    off still fetches its line."""
    builder, ir, start = emitter.builder, Vectors(emitter), Vectors(emitter).number(0)
    (x_data, _), (y_data, (size,)) = (
        emitter.array(x, emitter.kinds[0]),
        emitter.array(y, emitter.kinds[-1]),
    )

    def move(place, stop=None, streaming=False):
        mask = None if stop is None else ir.first(builder.sub(stop, place))
        value = change(ir, ir.load(builder.gep(x_data, [place]), mask))
        ir.store(value, builder.gep(y_data, [place]), mask, streaming)
        return []

    if streaming:  # streaming stores are of whole, aligned vectors
        head = builder.and_(
            builder.neg(builder.ptrtoint(y_data, size.type)),
            ir.number(ir.lanes * emitter.item_bytes - 1),
        )
        head = builder.udiv(head, ir.number(emitter.item_bytes))
        start = builder.select(builder.icmp_signed("<", head, size), head, size)
        _loop(builder, ir.number(0), start, ir.lanes, [], lambda place, _: move(place, start))
    whole = builder.add(start, builder.and_(builder.sub(size, start), ir.number(-ir.lanes)))
    _loop(builder, start, whole, ir.lanes, [], lambda place, _: move(place, streaming=streaming))
    _loop(builder, whole, size, ir.lanes, [], lambda place, _: move(place, size))


@subtract_and_pad.lowering
def _(emitter, x, point, padded):
    builder, ir = emitter.builder, Vectors(emitter)
    (x_data, (size,)), (y_data, (width,)) = (
        emitter.array(x, emitter.kinds[0]),
        emitter.array(padded, emitter.kinds[2]),
    )
    points, padding = ir.splat(point), ir.constant(-math.inf)

    def move(place, _):
        value = ir.load(builder.gep(x_data, [place]), ir.first(builder.sub(size, place)), padding)
        ir.store(builder.fsub(value, points), builder.gep(y_data, [place]))
        return []

    _loop(builder, ir.number(0), width, ir.lanes, [], move)


def _reduced(emitter, ir, rows, step, combine, identity):
    """Rows reduced to one number: `step(total, mask or None, vector of each row)`; `combine` joins
    two totals."""
    data, shapes = zip(
        *[emitter.array(row, kind) for row, kind in zip(rows, emitter.kinds, strict=False)],
        strict=True,
    )
    size = shapes[0][0]
    (total,) = _reduced_many(
        emitter,
        ir,
        size,
        data,
        lambda totals, *values: [step(*totals, *values)],
        combine,
        identity,
        1,
    )
    return total


def _reduced_many(emitter, ir, size, rows, step, combine, identity, count, updated=()):
    """The same for `count` numbers at once, whose totals `step` takes and gives as a list: of rows
    of `size` at addresses. It is also given the vectors of the rows `updated`, and gives new ones
    after the totals."""
    builder, lanes = emitter.builder, ir.lanes
    empty, unrolled = ir.constant(identity), INDEPENDENT_ACCUMULATORS // count

    def accumulated(totals, place, mask=None):
        results = step(
            totals,
            mask,
            *[ir.load(builder.gep(row, [place]), mask, empty) for row in (*rows, *updated)],
        )
        for row, value in zip(updated, results[count:], strict=True):
            ir.store(value, builder.gep(row, [place]), mask)
        return results[:count]

    def block(place, accumulators):
        return [
            total
            for n in range(unrolled)
            for total in accumulated(
                accumulators[n * count : (n + 1) * count], builder.add(place, ir.number(n * lanes))
            )
        ]

    in_blocks, whole = (
        builder.and_(size, ir.number(-width)) for width in (unrolled * lanes, lanes)
    )
    accumulators = _loop(
        builder, ir.number(0), in_blocks, unrolled * lanes, [empty] * (unrolled * count), block
    )
    while len(accumulators) > count:
        accumulators = [
            combine(accumulators[n], accumulators[n + count])
            for s in range(0, len(accumulators), 2 * count)
            for n in range(s, s + count)
        ]
    totals = _loop(
        builder,
        in_blocks,
        whole,
        lanes,
        accumulators,
        lambda place, totals: accumulated(totals, place),
    )
    totals = _loop(
        builder,
        whole,
        size,
        lanes,
        totals,
        lambda at, totals: accumulated(totals, at, ir.first(builder.sub(size, at))),
    )
    # One half of each vector is added to the other, then quarters, and so on; of two vectors in
    # one, while there are two.
    width = lanes
    while width > 1:
        half = width // 2
        if len(totals) > 1:
            low_half = [start + n for start in range(0, 2 * lanes, width) for n in range(half)]
            pairs = zip(totals[::2], totals[1::2], strict=True)
            totals = [
                combine(ir.shuffle(a, b, low_half), ir.shuffle(a, b, [n + half for n in low_half]))
                for a, b in pairs
            ]
        else:
            totals = [
                combine(t, ir.shuffle(t, t, [(n + half) % lanes for n in range(lanes)]))
                for t in totals
            ]
        width = half
    totals_per_vector = count // len(totals)
    return [
        builder.extract_element(
            totals[n // totals_per_vector],
            ir.number(n % totals_per_vector * (lanes // totals_per_vector)),
        )
        for n in range(count)
    ]


def _loop(builder, start, stop, step, values, body):
    """`values = body(place, values)` for place from start to stop by step."""
    before, loop, after = (
        builder.block,
        builder.append_basic_block("rows"),
        builder.append_basic_block("after"),
    )
    builder.cbranch(builder.icmp_signed("<", start, stop), loop, after)
    builder.position_at_end(loop)
    place, inside = builder.phi(start.type), [builder.phi(v.type) for v in values]
    step = start.type(step) if isinstance(step, int) else step
    results, following = body(place, inside), builder.add(place, step)
    for phi, initial, next_value in (
        (place, start, following),
        *zip(inside, values, results, strict=True),
    ):
        phi.add_incoming(initial, before)
        phi.add_incoming(next_value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, after)
    end = builder.block
    builder.position_at_end(after)
    outside = [builder.phi(v.type) for v in values]
    for phi, initial, next_value in zip(outside, values, results, strict=True):
        phi.add_incoming(initial, before)
        phi.add_incoming(next_value, end)
    return outside
