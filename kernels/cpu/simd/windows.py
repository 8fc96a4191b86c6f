"""What windows are made to, a vector of channels at a time: maxima, sums, and their gradients. The
numbers of a window's elements stay in registers from its first element to its last.

A call does `count` windows that lie side by side, each of `rows` x `columns` elements of `channels`
channels. They are told as (flat array, place of the first channel, distance of rows, of columns, of
windows), results as (contiguous array, place), of windows one after the other. `unrolled`: rows and
columns, known when it is compiled, or 0.
"""

import math
from itertools import product

import numpy as np

from ...declare import intrinsic
from .rows import CACHE_LINE_BYTES, _loop
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
def window_maximum_gradient(unrolled, index, dy, rows, columns, channels, count, dx, shared):
    """dx = dy where the largest element stands, else 0; or it is added, where windows share
    elements. shared: how many columns a window has of the one before; -1 if only rows, or if that
    is not known."""
    results = [_results(r, channels, count) for r in (index, dy)]
    each = _elements(dx, rows, columns, channels, count)
    for targets, at, upstream in zip(each, *results, strict=True):
        for number, target in enumerate(targets):
            target[:] = np.where(at == number, upstream, 0) + (target if shared else 0)


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


# How many windows of images of many channels are read side by side (see `each`).
WINDOWS_AT_ONCE = 4


class Windows:
    """The loops through windows, their channels and elements, of one call."""

    def __init__(self, emitter, rows, columns, channels, count):
        self.emitter, self.builder, self.ir = emitter, emitter.builder, Vectors(emitter)
        self.rows, self.columns, self.channels, self.count = rows, columns, channels, count
        self.unrolled = emitter.kinds[0].literal_value

    def each(self, arrays, results, body, at_once, begin=None, end=None):
        """`values = body(addresses of a window's first element in each array, addresses of results,
        mask, values)` for each window, of each vector of channels; the last of these may be masked.
        values = begin(addresses in arrays, mask) before the first, `end(those of the window that
        would follow, mask, values)` after the last of some windows.

        Of one cache line of channels a vector goes through all windows. Of more it goes through
        `at_once`, for images are read as they lie in memory: else what was out of L2 took 1.25 of
        the time."""
        builder, ir = self.builder, self.ir
        line = CACHE_LINE_BYTES // self.emitter.item_bytes
        is_short = builder.icmp_signed("<=", self.channels, ir.number(line))
        at_once = builder.select(is_short, self.count, ir.number(at_once))
        bases = [base for base, *_ in arrays] + [base for (base,) in results]
        steps = [step for *_, step in arrays] + [self.channels for _ in results]

        def moved(places, offsets):
            return [builder.gep(p, [o]) for p, o in zip(places, offsets, strict=True)]

        def some(n, _):
            left = builder.sub(self.count, n)
            number = builder.select(builder.icmp_signed("<", left, at_once), left, at_once)
            first = moved(bases, [builder.mul(n, step) for step in steps])
            self._of_channels(number, first, steps, len(arrays), body, begin, end)
            return []

        _loop(builder, ir.number(0), self.count, at_once, [], some)

    def _of_channels(self, count, first, steps, n_arrays, body, begin, end):
        """The same of `count` windows from those on that begin at these addresses."""
        builder, ir = self.builder, self.ir

        def vectors(channel, number, mask=None):
            offsets = [ir.number(v * ir.lanes) for v in range(number)]

            def here(places, offset):
                return [builder.gep(place, [offset]) for place in places]

            start = here(first, channel)
            kept = [begin(here(start[:n_arrays], o), mask) if begin else [] for o in offsets]
            size, n_places = len(kept[0]), len(first)

            def window(_, values):
                places, after = values[:n_places], []
                for v, offset in enumerate(offsets):
                    own = values[n_places + v * size :][:size]
                    found = here(places, offset)
                    after += body(found[:n_arrays], found[n_arrays:], mask, own)
                return [builder.gep(p, [s]) for p, s in zip(places, steps, strict=True)] + after

            values = start + [value for own in kept for value in own]
            values = _loop(builder, ir.number(0), count, 1, values, window)
            for v, offset in enumerate(offsets if end else []):
                own = values[n_places + v * size :][:size]
                end(here(values[:n_arrays], offset), mask, own)
            return []

        def whole(start, number):
            """From a channel on, so many vectors at a time."""
            size = number * ir.lanes
            fit = builder.and_(builder.sub(self.channels, start), ir.number(-size))
            stop = builder.add(start, fit)
            _loop(builder, start, stop, size, [], lambda c, _: vectors(c, number))
            return stop

        start, of_a_line = ir.number(0), CACHE_LINE_BYTES // self.emitter.target.vector_bytes
        if of_a_line > 1:
            start = whole(start, of_a_line)
        start = whole(start, 1)
        rest = builder.sub(self.channels, start)
        with builder.if_then(builder.icmp_signed(">", rest, ir.number(0))):
            vectors(start, 1, ir.first(rest))

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
    # Bytes are made of T at the end: of whole numbers LLVM would make them of each mask, which took
    # two thirds of the time where masks have no registers.
    is_byte, has_masks = numbers.align == 1, emitter.target.vector_registers == 32

    def later(is_larger, h, w, at):
        """The number of the last element that was larger; numbers rise."""
        here = windows.number(h, w)
        if not is_byte:
            return builder.select(is_larger, here, at)
        here = builder.sitofp(here, ir.vector)
        if has_masks:
            return builder.select(is_larger, here, at)
        here = builder.select(is_larger, here, ir.zero)
        return builder.select(builder.fcmp_ordered(">", here, at), here, at)

    def of_vector(addresses, results, mask, _):
        previous = []

        def larger(h, w, values):
            found, at, is_nan = values
            other = ir.load(windows.element(addresses[0], array, h, w), mask)
            is_larger = builder.fcmp_ordered(">", other, found)
            # unrolled, one comparison tells of two elements
            if not windows.unrolled or previous:
                beside = previous.pop() if previous else found
                is_nan = builder.or_(is_nan, builder.fcmp_unordered("uno", other, beside))
            else:
                previous.append(other)
            # one instruction, which passes NaN over
            return [builder.select(is_larger, other, found), later(is_larger, h, w, at), is_nan]

        flags = ir.ir.Constant(ir.ir.VectorType(ir.ir.IntType(1), ir.lanes), [0] * ir.lanes)
        none = ir.zero if is_byte else numbers.constant(0)
        found, at, is_nan = windows.through([ir.load(addresses[0], mask), none, flags], larger)
        for other in previous:
            is_nan = builder.or_(is_nan, builder.fcmp_unordered("uno", other, other))
        ir.store(builder.select(is_nan, ir.constant(math.nan), found), results[0], mask)
        numbers.store(builder.fptoui(at, numbers.vector) if is_byte else at, results[1], mask)
        return []

    results = operand(emitter, 6, y), operand(emitter, 7, index)
    windows.each([array], results, of_vector, WINDOWS_AT_ONCE)


@window_maximum_gradient.lowering
def _(emitter, _, index, dy, rows, columns, channels, count, dx, __):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, shared, array = windows.ir, emitter.kinds[8].literal_value, operand(emitter, 7, dx)
    numbers, size = _whole_numbers(emitter, 1, ir.lanes), windows.unrolled
    number = ir.ir.VectorType(ir.ir.IntType(32), ir.lanes)
    # the elements that a window has of the one before stay in registers
    kept = [(h, w) for h in range(size) for w in range(shared)] if size and shared > 0 else []

    def place(addresses, h, w):
        return windows.element(addresses[0], array, ir.number(h), ir.number(w))

    def begin(addresses, mask):
        return [ir.load(place(addresses, *cell), mask) for cell in kept]

    def end(addresses, mask, values):
        for cell, value in zip(kept, values, strict=True):
            ir.store(value, place(addresses, *cell), mask)

    def of_vector(addresses, results, mask, before):
        at, upstream = numbers.load(results[0], mask), ir.load(results[1], mask)
        if numbers.vector != number:
            at = builder.zext(at, number)

        def given(h, w):
            is_it = builder.icmp_signed("==", at, windows.number(h, w))
            return builder.select(is_it, upstream, ir.zero)

        def give(h, w, values):
            value, place = given(h, w), windows.element(addresses[0], array, h, w)
            ir.store(builder.fadd(ir.load(place, mask), value) if shared else value, place, mask)
            return values

        if not kept:
            windows.through([], give)
            return []
        after, found = [], dict(zip(kept, before, strict=True))
        for h, w in product(range(size), repeat=2):
            here = place(addresses, h, w)
            value = found[h, w] if w < shared else ir.load(here, mask)
            value = builder.fadd(value, given(ir.number(h), ir.number(w)))
            if w < size - shared:
                ir.store(value, here, mask)
            else:
                after.append(value)
        return after

    results = operand(emitter, 1, index), operand(emitter, 2, dy)
    windows.each([array], results, of_vector, WINDOWS_AT_ONCE if kept else 1, begin, end)


@window_mean.lowering
def _(emitter, _, x, rows, columns, channels, count, y):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, array, divisor = windows.ir, operand(emitter, 1, x), windows.elements_of_each(emitter)

    def of_vector(addresses, results, mask, _):
        def add(h, w, values):
            other = ir.load(windows.element(addresses[0], array, h, w), mask)
            return [builder.fadd(values[0], other)]

        (total,) = windows.through([ir.zero], add)
        ir.store(builder.fdiv(total, divisor), results[0], mask)
        return []

    windows.each([array], [operand(emitter, 6, y)], of_vector, WINDOWS_AT_ONCE)


@window_mean_gradient.lowering
def _(emitter, _, dy, rows, columns, channels, count, dx, __):
    builder, windows = emitter.builder, Windows(emitter, rows, columns, channels, count)
    ir, adds = windows.ir, emitter.kinds[7].literal_value
    array, divisor = operand(emitter, 6, dx), windows.elements_of_each(emitter)

    def of_vector(addresses, results, mask, _):
        share = builder.fdiv(ir.load(results[0], mask), divisor)

        def give(h, w, values):
            place = windows.element(addresses[0], array, h, w)
            ir.store(builder.fadd(ir.load(place, mask), share) if adds else share, place, mask)
            return values

        windows.through([], give)
        return []

    windows.each([array], [operand(emitter, 1, dy)], of_vector, 1)
