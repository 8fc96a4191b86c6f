"""Sums, products, maxima and multiples of single rows, a vector register at a time.

The compiler packs a plain loop as well, but what does not fill a register it does element by element: the sum of ten numbers
then takes as long as that of two hundred. Here the rest of a row is one vector under a mask. Orders depend on the length alone.
"""

import math

from ..marks import T, helper, primitive
from .vectors import Vectors

CACHE_LINE = 64
CHAINS = 4  # accumulators that run side by side: an addition begins each cycle but takes three or four


@helper
def clear(row):
    """row = 0."""
    for j in range(row.size):
        row[j] = T(0)


@primitive("T <- any")
def row_sum(x):
    """The sum of a row (n,)."""
    return x.sum(dtype=x.dtype)


@primitive("T <- any any")
def row_dot(x, y):
    """The sum of the products of two rows (n,)."""
    return (x * y).sum(dtype=x.dtype)


@primitive("T <- any T")
def row_distances(x, point):
    """The sum of x - point for a row (n,)."""
    return (x - point).sum(dtype=x.dtype)


@primitive("T <- any T")
def row_squares(x, point):
    """The sum of (x - point)^2 for a row (n,)."""
    return ((x - point) ** 2).sum(dtype=x.dtype)


@primitive("void <- any any any T any")
def row_slopes(dy, gamma, x, point, found):
    """found = (sum of g, sum of g (x - point)) with g = dy gamma, for rows (n,)."""
    g = dy * gamma
    found[0], found[1] = g.sum(dtype=x.dtype), (g * (x - point)).sum(dtype=x.dtype)


@primitive("T <- any")
def row_maximum(x):
    """The largest element of a row (n,), -inf of none. A NaN is passed over, or the result."""
    return x.max(initial=-math.inf)


@primitive("void <- any any")
def row_copy(x, y):
    """y = x for rows (n,) of any element type."""
    y[:] = x


@primitive("void <- any T any")
def row_multiple(x, factor, y):
    """y = factor x for rows (n,), where x may be longer than y, and may be y."""
    y[:] = x[: y.size] * factor


@primitive("void <- any T any")
def row_distance(x, point, padded):
    """padded = x - point for rows (n,); -inf in what `padded` has beyond, up to a whole number of vectors."""
    padded[: x.size], padded[x.size :] = x - point, -math.inf


@primitive("void <- any")
def row_fetch(x):
    """Bring a row (n,), of any element type, into the second cache, to be read soon."""


@row_sum.emits
def _(emitter, x):
    ir = Vectors(emitter)
    return _folded(emitter, ir, [x], lambda total, _, v: ir.builder.fadd(total, v), ir.builder.fadd, 0.0)


@row_dot.emits
def _(emitter, x, y):
    ir = Vectors(emitter)
    return _folded(emitter, ir, [x, y], lambda total, _, v, w: ir.fma(v, w, total), ir.builder.fadd, 0.0)


def _inside(ir, value, mask):
    """The vector, or zero where the row is over."""
    return value if mask is None else ir.builder.select(mask, value, ir.zero)


@row_distances.emits
def _(emitter, x, point):
    ir, points = Vectors(emitter), Vectors(emitter).splat(point)

    def add(total, mask, v):
        return ir.builder.fadd(total, _inside(ir, ir.builder.fsub(v, points), mask))

    return _folded(emitter, ir, [x], add, ir.builder.fadd, 0.0)


@row_squares.emits
def _(emitter, x, point):
    ir, points = Vectors(emitter), Vectors(emitter).splat(point)

    def add(total, mask, v):
        distance = _inside(ir, ir.builder.fsub(v, points), mask)
        return ir.fma(distance, distance, total)

    return _folded(emitter, ir, [x], add, ir.builder.fadd, 0.0)


@row_slopes.emits
def _(emitter, dy, gamma, x, point, found):
    ir, points = Vectors(emitter), Vectors(emitter).splat(point)

    def add(totals, _, above, factor, value):
        g = ir.builder.fmul(above, factor)
        return [ir.builder.fadd(totals[0], g), ir.fma(g, ir.builder.fsub(value, points), totals[1])]

    data, _ = emitter.array(found, emitter.kinds[-1])
    for n, total in enumerate(_folded_together(emitter, ir, [dy, gamma, x], add, ir.builder.fadd, 0.0, 2)):
        ir.builder.store(total, ir.builder.gep(data, [ir.number(n)]))


@row_maximum.emits
def _(emitter, x):
    ir = Vectors(emitter)

    def larger(one, other):
        return ir.builder.select(ir.builder.fcmp_ordered(">", one, other), one, other)

    return _folded(emitter, ir, [x], lambda top, _, v: larger(v, top), larger, -math.inf)


@row_copy.emits
def _(emitter, x, y):
    _moved(emitter, x, y, lambda _ir, value: value)


@row_multiple.emits
def _(emitter, x, factor, y):
    _moved(emitter, x, y, lambda ir, value: ir.builder.fmul(value, ir.splat(factor)))


@row_fetch.emits
def _(emitter, x):
    builder, ir = emitter.builder, Vectors(emitter)
    data, (size,) = emitter.array(x, emitter.kinds[0])
    line = ir.number(CACHE_LINE // emitter.item_bytes)

    def fetch(place, _):
        ir.prefetch(builder.gep(data, [place]))
        return []

    _loop(builder, ir.number(0), size, line.constant, [], fetch)


def _moved(emitter, x, y, change):
    """y = change(x), the rest of y under a mask."""
    builder, ir = emitter.builder, Vectors(emitter)
    (x_data, _), (y_data, (size,)) = emitter.array(x, emitter.kinds[0]), emitter.array(y, emitter.kinds[-1])

    def move(place, mask=None):
        ir.store(change(ir, ir.load(builder.gep(x_data, [place]), mask)), builder.gep(y_data, [place]), mask)
        return []

    whole = builder.and_(size, ir.number(-ir.lanes))
    _loop(builder, ir.number(0), whole, ir.lanes, [], lambda place, _: move(place))
    move(whole, ir.first(builder.sub(size, whole)))


@row_distance.emits
def _(emitter, x, point, padded):
    builder, ir = emitter.builder, Vectors(emitter)
    (x_data, (size,)), (y_data, (width,)) = emitter.array(x, emitter.kinds[0]), emitter.array(padded, emitter.kinds[2])
    points, beyond = ir.splat(point), ir.constant(-math.inf)

    def move(place, _):
        value = ir.load(builder.gep(x_data, [place]), ir.first(builder.sub(size, place)), beyond)
        ir.store(builder.fsub(value, points), builder.gep(y_data, [place]))
        return []

    _loop(builder, ir.number(0), width, ir.lanes, [], move)


def _folded(emitter, ir, rows, step, combine, nothing):
    """A row of vectors folded into one number: `step(total, mask or None, vector of each row)`; `combine` joins two totals."""
    (total,) = _folded_together(emitter, ir, rows, lambda totals, *values: [step(*totals, *values)], combine, nothing, 1)
    return total


def _folded_together(emitter, ir, rows, step, combine, nothing, count):
    """The same for `count` numbers at once, whose totals `step` takes and gives as a list."""
    builder, lanes = emitter.builder, ir.lanes
    arrays = [emitter.array(row, kind) for row, kind in zip(rows, emitter.kinds, strict=False)]
    size, empty, sets = arrays[0][1][0], ir.constant(nothing), CHAINS // count

    def folded(totals, place, mask=None):
        return step(totals, mask, *[ir.load(builder.gep(data, [place]), mask, empty) for data, _ in arrays])

    def block(place, chains):
        return [
            total
            for n in range(sets)
            for total in folded(chains[n * count : (n + 1) * count], builder.add(place, ir.number(n * lanes)))
        ]

    in_blocks, whole = (builder.and_(size, ir.number(-width)) for width in (sets * lanes, lanes))
    chains = _loop(builder, ir.number(0), in_blocks, sets * lanes, [empty] * (sets * count), block)
    while len(chains) > count:
        chains = [combine(chains[n], chains[n + count]) for s in range(0, len(chains), 2 * count) for n in range(s, s + count)]
    totals = _loop(builder, in_blocks, whole, lanes, chains, lambda place, totals: folded(totals, place))
    totals = folded(totals, whole, ir.first(builder.sub(size, whole)))
    distance = lanes // 2
    while distance:
        order = [(n + distance) % lanes for n in range(lanes)]
        totals, distance = [combine(total, ir.shuffle(total, total, order)) for total in totals], distance // 2
    return [builder.extract_element(total, ir.number(0)) for total in totals]


def _loop(builder, start, stop, step, values, body):
    """`values = body(place, values)` for place from start to stop by step."""
    before, loop, after = builder.block, builder.append_basic_block("rows"), builder.append_basic_block("rest")
    builder.cbranch(builder.icmp_signed("<", start, stop), loop, after)
    builder.position_at_end(loop)
    place, inside = builder.phi(start.type), [builder.phi(v.type) for v in values]
    results, following = body(place, inside), builder.add(place, start.type(step))
    for phi, first, later in ((place, start, following), *zip(inside, values, results, strict=True)):
        phi.add_incoming(first, before)
        phi.add_incoming(later, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, stop), loop, after)
    end = builder.block
    builder.position_at_end(after)
    outside = [builder.phi(v.type) for v in values]
    for phi, first, later in zip(outside, values, results, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(later, end)
    return outside
