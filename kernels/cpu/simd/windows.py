"""What windows are made to, a vector of channels at a time: maxima, sums, and their gradients. The
numbers of a window's elements stay in registers from its first element to its last.

A window is (flat array, place of its first channel, distance of its rows, of its columns) and has
`rows` x `columns` elements of `channels` channels each; a result is (flat array, place).
"""

import numpy as np

from ...declare import intrinsic
from .rows import _loop
from .vectors import Vectors, operand


def _elements(window, rows, columns, channels):
    """Those of a window, as views (channels,)."""
    x, start, row_step, column_step = window
    places = [start + h * row_step + w * column_step for h in range(rows) for w in range(columns)]
    return [x[place : place + channels] for place in places]


def _row(result, channels):
    y, start = result
    return y[start : start + channels]


@intrinsic("void <- any int int int any")
def window_maximum(x, rows, columns, channels, y):
    """y = the largest element, or NaN if one is."""
    _row(y, channels)[:] = np.max(_elements(x, rows, columns, channels), axis=0)


@intrinsic("void <- any any any int int int any literal")
def window_maximum_gradient(x, y, dy, rows, columns, channels, dx, adds):
    """dx = dy where y, the largest element, stands first, else 0; with `adds`, it is added."""
    left, top = _row(dy, channels).copy(), _row(y, channels)
    pairs = (_elements(window, rows, columns, channels) for window in (x, dx))
    for element, target in zip(*pairs, strict=True):
        is_it = (element == top) | (element != element)
        target[:] = np.where(is_it, left, 0) + (target if adds else 0)
        left[is_it] = 0


@intrinsic("void <- any int int int any")
def window_mean(x, rows, columns, channels, y):
    """y = the sum of the elements, by how many they are."""
    total = np.zeros(channels, x[0].dtype)
    for element in _elements(x, rows, columns, channels):
        total += element
    _row(y, channels)[:] = total / total.dtype.type(rows * columns)


@intrinsic("void <- any int int int any literal")
def window_mean_gradient(dy, rows, columns, channels, dx, adds):
    """dx = dy, by how many elements there are; with `adds`, it is added."""
    share = _row(dy, channels) / dy[0].dtype.type(rows * columns)
    for target in _elements(dx, rows, columns, channels):
        target[:] = share + (target if adds else 0)


def _by_vectors(emitter, channels, body):
    """`body(place, mask)` for each vector of channels; the last may be masked."""
    builder, ir = emitter.builder, Vectors(emitter)
    whole = builder.and_(channels, ir.number(-ir.lanes))

    def inside(place, _):
        body(place, None)
        return []

    def tail(place, _):
        body(place, ir.first(builder.sub(channels, place)))
        return []

    _loop(builder, ir.number(0), whole, ir.lanes, [], inside)
    _loop(builder, whole, channels, ir.lanes, [], tail)


def _through(builder, ir, rows, columns, values, body):
    """`values = body(row, column, values)` for each element of a window, in order."""

    def of_row(h, values):
        return _loop(builder, ir.number(0), columns, 1, values, lambda w, v: body(h, w, v))

    return _loop(builder, ir.number(0), rows, 1, values, of_row)


def _place(builder, window, h, w, channel):
    """The address of a channel of an element."""
    base, row_step, column_step = window
    steps = builder.add(builder.mul(h, row_step), builder.mul(w, column_step))
    return builder.gep(base, [builder.add(steps, channel)])


@window_maximum.lowering
def _(emitter, x, rows, columns, channels, y):
    builder, ir = emitter.builder, Vectors(emitter)
    window, (target,) = operand(emitter, 0, x), operand(emitter, 4, y)

    def of_vector(channel, mask):
        def larger(h, w, values):
            (found,), other = values, ir.load(_place(builder, window, h, w, channel), mask)
            stays = builder.or_(
                builder.fcmp_ordered(">=", found, other),
                builder.fcmp_unordered("uno", found, found),
            )
            return [builder.select(stays, found, other)]

        first = ir.load(builder.gep(window[0], [channel]), mask)
        (found,) = _through(builder, ir, rows, columns, [first], larger)
        ir.store(found, builder.gep(target, [channel]), mask)

    _by_vectors(emitter, channels, of_vector)


@window_maximum_gradient.lowering
def _(emitter, x, y, dy, rows, columns, channels, dx, _):
    builder, ir, adds = emitter.builder, Vectors(emitter), emitter.kinds[7].literal_value
    window, (top,), (upstream,) = (operand(emitter, n, v) for n, v in enumerate((x, y, dy)))
    target = operand(emitter, 6, dx)

    def of_vector(channel, mask):
        largest = ir.load(builder.gep(top, [channel]), mask)

        def give(h, w, values):
            (left,), element = values, ir.load(_place(builder, window, h, w, channel), mask)
            is_it = builder.or_(
                builder.fcmp_ordered("==", element, largest),
                builder.fcmp_unordered("uno", element, element),
            )
            place, given = (
                _place(builder, target, h, w, channel),
                builder.select(is_it, left, ir.zero),
            )
            if adds:
                given = builder.fadd(ir.load(place, mask), given)
            ir.store(given, place, mask)
            return [builder.select(is_it, ir.zero, left)]

        start = ir.load(builder.gep(upstream, [channel]), mask)
        _through(builder, ir, rows, columns, [start], give)

    _by_vectors(emitter, channels, of_vector)


def _count(emitter, rows, columns):
    """A vector of how many elements a window has."""
    count = emitter.builder.mul(rows, columns)
    return Vectors(emitter).splat(emitter.builder.sitofp(count, emitter.real))


@window_mean.lowering
def _(emitter, x, rows, columns, channels, y):
    builder, ir = emitter.builder, Vectors(emitter)
    window, (target,) = operand(emitter, 0, x), operand(emitter, 4, y)
    count = _count(emitter, rows, columns)

    def of_vector(channel, mask):
        def add(h, w, values):
            return [builder.fadd(values[0], ir.load(_place(builder, window, h, w, channel), mask))]

        (total,) = _through(builder, ir, rows, columns, [ir.zero], add)
        ir.store(builder.fdiv(total, count), builder.gep(target, [channel]), mask)

    _by_vectors(emitter, channels, of_vector)


@window_mean_gradient.lowering
def _(emitter, dy, rows, columns, channels, dx, _):
    builder, ir, adds = emitter.builder, Vectors(emitter), emitter.kinds[5].literal_value
    (upstream,), target = operand(emitter, 0, dy), operand(emitter, 4, dx)
    count = _count(emitter, rows, columns)

    def of_vector(channel, mask):
        share = builder.fdiv(ir.load(builder.gep(upstream, [channel]), mask), count)

        def give(h, w, values):
            place = _place(builder, target, h, w, channel)
            ir.store(builder.fadd(ir.load(place, mask), share) if adds else share, place, mask)
            return values

        _through(builder, ir, rows, columns, [], give)

    _by_vectors(emitter, channels, of_vector)
