"""What windows are made to, a vector of channels at a time: maxima, sums, and their gradients. The
numbers of a window's elements stay in registers from its first element to its last.

A call does `count` windows that lie side by side, each of `rows` x `columns` elements of `channels`
channels. They are told as (flat array, place of the first channel, distance of rows, of columns, of
windows), results as (contiguous array, place), of windows one after the other. `unrolled`: rows and
columns, known when it is compiled, or 0.
"""

import math

import numpy as np

from ...declare import intrinsic
from .rows import _loop
from .vectors import Vectors, operand


def _elements(windows, rows, columns, channels, count):
    """For each window, its elements as views (channels,)."""
    x, start, row_step, column_step, step = windows
    for n in range(count):
        places = [
            start + n * step + h * row_step + w * column_step
            for h in range(rows)
            for w in range(columns)
        ]
        yield [x[place : place + channels] for place in places]


def _results(result, channels, count):
    """Of each window, as views (channels,)."""
    y, start = result
    return [y.reshape(-1)[start + n * channels :][:channels] for n in range(count)]


@intrinsic("void <- literal any int int int int any any")
def window_maximum(unrolled, x, rows, columns, channels, count, y, index):
    """y = the largest element, of equal ones the first; index = its number. NaN if one is, and then
    index is any element's."""
    results = [_results(r, channels, count) for r in (y, index)]
    each = _elements(x, rows, columns, channels, count)
    for elements, target, at in zip(each, *results, strict=True):
        at[:] = np.argmax(elements, axis=0)
        target[:] = np.max(elements, axis=0)


@intrinsic("void <- literal any any int int int int any literal")
def window_maximum_gradient(unrolled, index, dy, rows, columns, channels, count, dx, adds):
    """dx = dy where the largest element stands, else 0; with `adds`, it is added."""
    results = [_results(r, channels, count) for r in (index, dy)]
    each = _elements(dx, rows, columns, channels, count)
    for targets, at, upstream in zip(each, *results, strict=True):
        for number, target in enumerate(targets):
            target[:] = np.where(at == number, upstream, 0) + (target if adds else 0)


@intrinsic("void <- literal any int int int int any")
def window_mean(unrolled, x, rows, columns, channels, count, y):
    """y = the sum of the elements, by how many they are."""
    each = _elements(x, rows, columns, channels, count)
    for elements, target in zip(each, _results(y, channels, count), strict=True):
        total = np.zeros(channels, target.dtype)
        for element in elements:
            total += element
        target[:] = total / total.dtype.type(rows * columns)


@intrinsic("void <- literal any int int int int any literal")
def window_mean_gradient(unrolled, dy, rows, columns, channels, count, dx, adds):
    """dx = dy, by how many elements there are; with `adds`, it is added."""
    each = _elements(dx, rows, columns, channels, count)
    for targets, upstream in zip(each, _results(dy, channels, count), strict=True):
        share = upstream / upstream.dtype.type(rows * columns)
        for target in targets:
            target[:] = share + (target if adds else 0)


class Windows:
    """The loops through windows, their channels and elements, of one call."""

    def __init__(self, emitter, rows, columns, channels, count):
        self.builder, self.ir = emitter.builder, Vectors(emitter)
        self.rows, self.columns, self.channels, self.count = rows, columns, channels, count
        self.unrolled = emitter.kinds[0].literal_value

    def each(self, arrays, results, body):
        """`body(addresses of a window's first element in each array, steps of rows and columns,
        addresses of results, mask)` for each vector of channels of each window; the last of a
        window may be masked."""
        builder, ir = self.builder, self.ir
        whole = builder.and_(self.channels, ir.number(-ir.lanes))

        def window(n, _):
            places = [(base, builder.mul(n, step)) for base, _, _, step in arrays]
            places += [(base, builder.mul(n, self.channels)) for (base,) in results]

            def vector(channel, masked):
                mask = ir.first(builder.sub(self.channels, channel)) if masked else None
                found = [builder.gep(base, [builder.add(at, channel)]) for base, at in places]
                windows, of_results = found[: len(arrays)], found[len(arrays) :]
                body(windows, of_results, mask)
                return []

            _loop(builder, ir.number(0), whole, ir.lanes, [], lambda c, _: vector(c, False))
            _loop(builder, whole, self.channels, ir.lanes, [], lambda c, _: vector(c, True))
            return []

        _loop(builder, ir.number(0), self.count, 1, [], window)

    def through(self, values, body):
        """`values = body(row, column, values)` for each element of a window, in order."""
        builder, ir = self.builder, self.ir
        if self.unrolled:
            for h in range(self.unrolled):
                for w in range(self.unrolled):
                    values = body(ir.number(h), ir.number(w), values)
            return values

        def of_row(h, values):
            start = ir.number(0)
            return _loop(builder, start, self.columns, 1, values, lambda w, v: body(h, w, v))

        return _loop(builder, ir.number(0), self.rows, 1, values, of_row)

    def element(self, address, array, h, w):
        """Of a window that begins at an address."""
        _, row_step, column_step, _ = array
        builder = self.builder
        steps = builder.add(builder.mul(h, row_step), builder.mul(w, column_step))
        return builder.gep(address, [steps])

    def number(self, h, w):
        """That of an element, in a vector of 32 bits."""
        builder, ir = self.builder, self.ir
        columns = ir.number(self.unrolled) if self.unrolled else self.columns
        return ir.splat(builder.trunc(builder.add(builder.mul(h, columns), w), ir.ir.IntType(32)))

    def elements_of_each(self, emitter):
        """A vector of how many elements a window has."""
        count = self.builder.mul(self.rows, self.columns)
        return self.ir.splat(self.builder.sitofp(count, emitter.real))


def _whole_numbers(emitter, position, lanes):
    """Vectors of the whole numbers that the array of argument number `position` has."""
    numbers, bits = Vectors(emitter, lanes), emitter.kinds[position][0].dtype.bitwidth
    numbers.vector = numbers.ir.VectorType(numbers.ir.IntType(bits), lanes)
    numbers.align, numbers.name, numbers.zero = bits // 8, f"v{lanes}i{bits}", numbers.constant(0)
    return numbers


@window_maximum.lowering
def _(emitter, _, x, rows, columns, channels, count, y, index):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, array = windows.ir, operand(emitter, 1, x)
    numbers = _whole_numbers(emitter, 7, ir.lanes)
    number = ir.ir.VectorType(ir.ir.IntType(32), ir.lanes)

    def of_vector(addresses, results, mask):
        def larger(h, w, values):
            found, at, is_nan = values
            other = ir.load(windows.element(addresses[0], array, h, w), mask)
            is_larger, here = builder.fcmp_ordered(">", other, found), windows.number(h, w)
            return [
                builder.select(is_larger, other, found),  # one instruction, which passes NaN over
                builder.select(is_larger, here, at),
                builder.or_(is_nan, builder.fcmp_unordered("uno", other, found)),
            ]

        flags = ir.ir.Constant(ir.ir.VectorType(ir.ir.IntType(1), ir.lanes), [0] * ir.lanes)
        start = [ir.load(addresses[0], mask), ir.ir.Constant(number, [0] * ir.lanes), flags]
        found, at, is_nan = windows.through(start, larger)
        ir.store(builder.select(is_nan, ir.constant(math.nan), found), results[0], mask)
        if numbers.vector != number:
            at = builder.trunc(at, numbers.vector)
        numbers.store(at, results[1], mask)

    windows.each([array], [operand(emitter, 6, y), operand(emitter, 7, index)], of_vector)


@window_maximum_gradient.lowering
def _(emitter, _, index, dy, rows, columns, channels, count, dx, __):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, adds, array = windows.ir, emitter.kinds[8].literal_value, operand(emitter, 7, dx)
    numbers = _whole_numbers(emitter, 1, ir.lanes)
    number = ir.ir.VectorType(ir.ir.IntType(32), ir.lanes)

    def of_vector(addresses, results, mask):
        at, upstream = numbers.load(results[0], mask), ir.load(results[1], mask)
        if numbers.vector != number:
            at = builder.zext(at, number)

        def give(h, w, values):
            is_it = builder.icmp_signed("==", at, windows.number(h, w))
            given = builder.select(is_it, upstream, ir.zero)
            place = windows.element(addresses[0], array, h, w)
            ir.store(builder.fadd(ir.load(place, mask), given) if adds else given, place, mask)
            return values

        windows.through([], give)

    windows.each([array], [operand(emitter, 1, index), operand(emitter, 2, dy)], of_vector)


@window_mean.lowering
def _(emitter, _, x, rows, columns, channels, count, y):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, array, divisor = windows.ir, operand(emitter, 1, x), windows.elements_of_each(emitter)

    def of_vector(addresses, results, mask):
        def add(h, w, values):
            other = ir.load(windows.element(addresses[0], array, h, w), mask)
            return [builder.fadd(values[0], other)]

        (total,) = windows.through([ir.zero], add)
        ir.store(builder.fdiv(total, divisor), results[0], mask)

    windows.each([array], [operand(emitter, 6, y)], of_vector)


@window_mean_gradient.lowering
def _(emitter, _, dy, rows, columns, channels, count, dx, __):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, adds = windows.ir, emitter.kinds[7].literal_value
    array, divisor = operand(emitter, 6, dx), windows.elements_of_each(emitter)

    def of_vector(addresses, results, mask):
        share = builder.fdiv(ir.load(results[0], mask), divisor)

        def give(h, w, values):
            place = windows.element(addresses[0], array, h, w)
            ir.store(builder.fadd(ir.load(place, mask), share) if adds else share, place, mask)
            return values

        windows.through([], give)

    windows.each([array], [operand(emitter, 1, dy)], of_vector)
