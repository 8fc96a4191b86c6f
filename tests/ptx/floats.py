"""Arithmetic on floats as a GPU has it, compiled by Numba to NumPy's ufuncs: a multiply-add is
rounded once, and the forms for `.ftz` take float32's denormal numbers for zeros of their sign,
before and after."""

import numpy as np
from numba import njit, types, vectorize
from numba.extending import intrinsic


@intrinsic
def fused(typing, a, b, c):
    """a * b + c, rounded once."""

    def lower(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, a, a), lower


@intrinsic
def as_bits(typing, x):
    def lower(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), lower


@intrinsic
def as_float(typing, x):
    def lower(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), lower


def of_floats(count, dtypes=("f4", "f8")):
    """A ufunc of `count` floats of one type."""
    signatures = [f"{t}({', '.join([t] * count)})" for t in dtypes]

    def declare(function):
        ufunc = vectorize(signatures, cache=True)(function)

        def call(*operands):
            # Numba's loop uses vectors only if no operand stands still: 5 us, not 100.
            n = max(x.size for x in operands)
            if n > 1:
                operands = [np.full(n, x) if x.ndim == 0 else x for x in operands]
            return ufunc(*operands)

        return call

    return declare


def of_float32(count):
    return of_floats(count, ("f4",))


@of_floats(3)
def fma(a, b, c):
    return fused(a, b, c)


@njit(cache=True)
def flushed(x):
    bits = as_bits(x)
    return as_float(bits & np.uint32(0x80000000)) if bits & np.uint32(0x7F800000) == 0 else x


@of_float32(1)
def flush(x):
    return flushed(x)


@of_float32(2)
def add_ftz(a, b):
    return flushed(flushed(a) + flushed(b))


@of_float32(2)
def sub_ftz(a, b):
    return flushed(flushed(a) - flushed(b))


@of_float32(2)
def mul_ftz(a, b):
    return flushed(flushed(a) * flushed(b))


@of_float32(2)
def div_ftz(a, b):
    return flushed(flushed(a) / flushed(b))


@of_float32(3)
def fma_ftz(a, b, c):
    return flushed(fused(flushed(a), flushed(b), flushed(c)))
