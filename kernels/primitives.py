"""Instructions that Python cannot say: multiply-add in one rounding, the bits of a float, rows seen as one flat array, memory on
the stack.

Each has a Python body that computes the same, which interpreted mode runs, and LLVM IR (`emits`), which is compiled.
The IR functions get an emitter: `builder`, `module`, `real` and `bits` (the LLVM types of T and of an integer as wide),
`kinds` (Numba's types of the arguments) and `call(name, result type, arguments)` for LLVM's own functions.
"""

import numpy as np

from .marks import machine, primitive


@primitive("T <- T T T")
def fma(a, b, c):
    """a * b + c, rounded once. The body computes in the next wider type, where a product of two floats is exact."""
    if isinstance(a, np.float32):
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))
    return np.float64(np.longdouble(a) * np.longdouble(b) + np.longdouble(c))


@fma.emits
def _(emitter, a, b, c):
    return emitter.call(f"llvm.fma.{'f32' if emitter.item_bytes == 4 else 'f64'}", emitter.real, [a, b, c])


# Whether the processor has AVX-512's instructions for 1 / x to 14 bits and for x 2^n.
AVX512 = machine(lambda target, _item_bytes: int(target.architecture == "x86_64" and target.vector_bytes == 64))


@primitive("T <- T")
def reciprocal_estimate(x):
    """1 / x to 14 bits, with AVX512 only."""
    return type(x)(1) / x


@reciprocal_estimate.emits
def _(emitter, x):
    return _avx512(emitter, "rcp14", [x, x])


@reciprocal_estimate.packs
def _(emitter, x):
    return _avx512(emitter, "rcp14", [x])


@primitive("T <- T T")
def scaled(x, n):
    """x 2^n for a whole n, with AVX512 only: infinite where that is too large, zero where it is subnormal. For n = -inf it is zero
    and for n = inf infinite even if x is NaN: the exponential function's way out."""
    return x * type(x)(2) ** n


@scaled.emits
@scaled.packs
def _(emitter, x, n):
    return _avx512(emitter, "mask.scalef", [x, n], AS_SET)


@primitive("T <- T")
def exponent(x):
    """floor(log2(|x|)), with AVX512 only; -inf for 0."""
    return np.floor(np.log2(abs(x)))


@exponent.emits
def _(emitter, x):
    return _avx512(emitter, "mask.getexp", [x, x], AS_SET)


@exponent.packs
def _(emitter, x):
    return _avx512(emitter, "mask.getexp", [x], AS_SET)


@primitive("T <- T")
def fraction(x):
    """x / 2^n in [3/4, 3/2), with AVX512 only; 1 for 0 and infinity, NaN below zero."""
    return x / type(x)(2) ** np.floor(np.log2(x / type(x)(0.75)))


@fraction.emits
def _(emitter, x):
    return _avx512(emitter, "mask.getmant", [x, x, emitter.integer(32)(FROM_3_4_POSITIVE)], AS_SET)


@fraction.packs
def _(emitter, x):
    return _avx512(emitter, "mask.getmant", [x, emitter.integer(32)(FROM_3_4_POSITIVE)], AS_SET)


AS_SET, FROM_3_4_POSITIVE = 4, 0b1011  # rounded as the processor is set to; what the last but one's bits mean is Intel's


def _avx512(emitter, name, values, *modes):
    """Call an instruction on whole vectors, or on numbers as the first elements of short ones."""
    builder, first = emitter.builder, emitter.integer(32)(0)
    whole = hasattr(values[0].type, "count")
    lanes, kind = values[0].type.count if whole else 16 // emitter.item_bytes, "s" if emitter.item_bytes == 4 else "d"
    vector = emitter.vector_type(lanes)
    if not whole:
        values = [builder.insert_element(vector(None), v, first) if v.type == emitter.real else v for v in values]
    name = f"llvm.x86.avx512.{name}.{f'p{kind}.512' if whole else f's{kind}'}"
    where, elsewhere = emitter.integer(lanes if whole else 8)(-1), vector([0.0] * lanes)
    result = emitter.call(name, vector, [*values, elsewhere, where, *map(emitter.integer(32), modes)])
    return result if whole else builder.extract_element(result, first)


@primitive("bits <- T")
def bits_of(x):
    """The integer whose bits are those of the float."""
    return x.view(np.int32 if isinstance(x, np.float32) else np.int64)


@bits_of.emits
def _(emitter, x):
    return emitter.builder.bitcast(x, emitter.bits)


@primitive("T <- bits")
def float_of(bits):
    """The float whose bits are those of the integer."""
    return bits.view(np.float32 if isinstance(bits, np.int32) else np.float64)


@float_of.emits
def _(emitter, bits):
    return emitter.builder.bitcast(bits, emitter.real)


@primitive("flat <- any")
def flat(rows):
    """The elements of contiguous rows as one array."""
    return rows.reshape(-1)


@flat.emits
def _(emitter, rows):
    return emitter.flat_array(rows, emitter.kinds[0])


@primitive("alike <- any literal")
def stack(nothing, size):
    """Memory of the kernel's own, (size,), for the time of the call; its element type is that of `nothing`."""
    return np.empty(size, type(nothing))


@stack.emits
def _(emitter, _nothing, _size):
    element, size = emitter.kinds
    return emitter.stack_array(element, size.literal_value)
