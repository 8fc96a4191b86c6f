"""Instructions that Python has no word for: fused multiply-add, the bits of a float, a number
that is stored though it is the old one, rows seen as one flat array, memory on the stack.

Each has a Python body that computes the same, which interpreted mode runs, and a lowering to LLVM
IR, which is compiled. A lowering gets an emitter (fastnn/compile/lowering.py): `builder`, `module`,
`real` and `bits` (the LLVM types of T and of an integer as wide), `kinds` (Numba's types of the
arguments) and `call(name, result type, arguments)` for LLVM's own functions.
"""

import numpy as np

from .declare import intrinsic


@intrinsic("T <- T T T")
def fma(a, b, c):
    """a * b + c, rounded once. The body computes in the next wider type, in which a product of two
    float32 is exact. That of two float64 is not: where c takes most of it away, fractions are."""
    if isinstance(a, np.float32):
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))
    product = np.longdouble(a) * np.longdouble(b)
    total = product + np.longdouble(c)
    if abs(total) < abs(product) / 256:
        from fractions import Fraction  # for such sums alone: it imports much

        return np.float64(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))
    return np.float64(total)


@fma.lowering
def _(emitter, a, b, c):
    return emitter.call(
        f"llvm.fma.{'f32' if emitter.item_bytes == 4 else 'f64'}", emitter.real, [a, b, c]
    )


@intrinsic("bits <- T")
def bits_of(x):
    """The integer whose bits are those of the float."""
    return x.view(np.int32 if isinstance(x, np.float32) else np.int64)


@bits_of.lowering
def _(emitter, x):
    return emitter.builder.bitcast(x, emitter.bits)


@intrinsic("T <- bits")
def float_of(bits):
    """The float whose bits are those of the integer."""
    return bits.view(np.float32 if isinstance(bits, np.int32) else np.float64)


@float_of.lowering
def _(emitter, bits):
    return emitter.builder.bitcast(bits, emitter.real)


@intrinsic("any <- any")
def as_read(x):
    """The same number, of any type. Where y[i] becomes y[i] or something else, LLVM makes a masked
    store of it, which is slow on some processors; as_read(y[i]) it stores as well."""
    return x


@as_read.lowering
def _(emitter, x):
    return emitter.freeze(x)


@intrinsic("flat <- any")
def flat(rows):
    """The elements of contiguous rows as one array."""
    return rows.reshape(-1)


@flat.lowering
def _(emitter, rows):
    return emitter.flat_array(rows, emitter.kinds[0])


@intrinsic("alike <- any literal")
def stack_array(like, size):
    """Memory of the kernel's own, (size,), for the time of the call; its element type is that of
    `like`."""
    return np.empty(size, type(like))


@stack_array.lowering
def _(emitter, _like, _size):
    element, size = emitter.kinds
    return emitter.stack_array(element, size.literal_value)
