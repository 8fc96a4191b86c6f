"""Sums, products, maxima and multiples of single rows, a vector register at a time.

The compiler packs a plain loop as well, but what does not fill a register it does element by element: the sum of ten numbers
then takes as long as that of two hundred. Here the rest of a row is one vector under a mask. Orders depend on the length alone.
"""

import math

from ..marks import primitive
from .vectors import Vectors

CACHE_LINE = 64
CHAINS = 4  # accumulators that run side by side: an addition begins each cycle but takes three or four


@primitive("T <- any")
def row_sum(x):
    """The sum of a row (n,)."""
    return x.sum(dtype=x.dtype)


@primitive("T <- any any")
def row_dot(x, y):
    """The sum of the products of two rows (n,)."""
    return (x * y).sum(dtype=x.dtype)


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
    return _folded(emitter, ir, [x], lambda total, v: ir.builder.fadd(total, v), ir.builder.fadd, 0.0)


@row_dot.emits
def _(emitter, x, y):
    ir = Vectors(emitter)
    return _folded(emitter, ir, [x, y], lambda total, v, w: ir.fma(v, w, total), ir.builder.fadd, 0.0)


@row_maximum.emits
def _(emitter, x):
    ir = Vectors(emitter)

    def larger(one, other):
        return ir.builder.select(ir.builder.fcmp_ordered(">", one, other), one, other)

    return _folded(emitter, ir, [x], lambda top, v: larger(v, top), larger, -math.inf)


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
    """A row of vectors folded into one number: `step(accumulator, vector of each row)`; `combine` joins two accumulators."""
    builder, lanes = emitter.builder, ir.lanes
    arrays = [emitter.array(row, kind) for row, kind in zip(rows, emitter.kinds, strict=True)]
    size, empty = arrays[0][1][0], ir.constant(nothing)

    def folded(accumulator, place, mask=None):
        return step(accumulator, *[ir.load(builder.gep(data, [place]), mask, empty) for data, _ in arrays])

    def block(place, accumulators):
        return [folded(a, builder.add(place, ir.number(n * lanes))) for n, a in enumerate(accumulators)]

    in_blocks, whole = (builder.and_(size, ir.number(-width)) for width in (CHAINS * lanes, lanes))
    chains = _loop(builder, ir.number(0), in_blocks, CHAINS * lanes, [empty] * CHAINS, block)
    while len(chains) > 1:
        chains = [combine(one, other) for one, other in zip(chains[::2], chains[1::2], strict=True)]
    (total,) = _loop(builder, in_blocks, whole, lanes, chains, lambda place, a: [folded(a[0], place)])
    total = folded(total, whole, ir.first(builder.sub(size, whole)))
    distance = lanes // 2
    while distance:
        order = [(n + distance) % lanes for n in range(lanes)]
        total, distance = combine(total, ir.shuffle(total, total, order)), distance // 2
    return builder.extract_element(total, ir.number(0))


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
