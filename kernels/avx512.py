"""Intrinsics for instructions of AVX-512 that LLVM does not find by itself. They may be named only
where AVX512 is not 0."""

import numpy as np

from .declare import intrinsic, machine

AVX512 = machine(
    lambda target, _item_bytes: int(target.architecture == "x86_64" and target.vector_bytes == 64)
)
AS_SET = 4  # rounding: as the processor is set to
FROM_3_4_POSITIVE = 0b1011  # bits 0 and 1: from 3/4 on; bits 2 and 3: NaN below zero
TABLE_SIZE = 32  # the float32 that two registers hold


@intrinsic("T <- T")
def reciprocal_estimate(x):
    """1 / x to 14 bits."""
    return type(x)(1) / x


@reciprocal_estimate.lowering
def _(emitter, x):
    return _call(emitter, "rcp14", [x, x])


@reciprocal_estimate.vector_lowering
def _(emitter, x):
    return _call(emitter, "rcp14", [x])


@intrinsic("T <- T T")
def scaled(x, n):
    """x 2^n for a whole n: infinite where that is too large, zero where it is subnormal. For n =
    -inf it is zero and for n = inf infinite, even if x is NaN."""
    return np.ldexp(x, int(n))


@scaled.lowering
@scaled.vector_lowering
def _(emitter, x, n):
    return _call(emitter, "mask.scalef", [x, n], AS_SET)


@intrinsic("T <- T")
def exponent(x):
    """floor(log2(|x|)); -inf for 0."""
    return type(x)(np.frexp(x)[1] - 1)


@exponent.lowering
def _(emitter, x):
    return _call(emitter, "mask.getexp", [x, x], AS_SET)


@exponent.vector_lowering
def _(emitter, x):
    return _call(emitter, "mask.getexp", [x], AS_SET)


@intrinsic("T <- T")
def fraction(x):
    """x / 2^n in [3/4, 3/2); 1 for 0 and infinity, NaN below zero."""
    y = np.frexp(x)[0]
    return y if y >= 0.75 else y + y


@fraction.lowering
def _(emitter, x):
    return _call(emitter, "mask.getmant", [x, x, emitter.integer(32)(FROM_3_4_POSITIVE)], AS_SET)


@fraction.vector_lowering
def _(emitter, x):
    return _call(emitter, "mask.getmant", [x, emitter.integer(32)(FROM_3_4_POSITIVE)], AS_SET)


def table_lookup(name, numbers):
    """The intrinsic `numbers[bits % TABLE_SIZE]` for float32, called `name`; its numbers stay in
    registers."""

    def body(bits):
        return numbers[bits % TABLE_SIZE]

    body.__name__ = name
    made = intrinsic("T <- bits")(body)

    @made.lowering
    def _(emitter, bits):
        return emitter.load_from_table(
            numbers, emitter.builder.and_(bits, bits.type(TABLE_SIZE - 1))
        )

    @made.vector_lowering
    def _(emitter, bits):
        vector = emitter.vector_type(TABLE_SIZE // 2)
        low, high = (vector([float(n) for n in half]) for half in np.split(numbers, 2))
        return emitter.call("llvm.x86.avx512.vpermi2var.ps.512", vector, [low, bits, high])

    return made


def _call(emitter, name, values, *modes):
    """Call an instruction on whole vectors, or on numbers as the first elements of short ones."""
    builder, index_0 = emitter.builder, emitter.integer(32)(0)
    whole = hasattr(values[0].type, "count")
    lanes, kind = (
        values[0].type.count if whole else 16 // emitter.item_bytes,
        "s" if emitter.item_bytes == 4 else "d",
    )
    vector = emitter.vector_type(lanes)
    if not whole:
        values = [
            builder.insert_element(vector(None), v, index_0) if v.type == emitter.real else v
            for v in values
        ]
    name = f"llvm.x86.avx512.{name}.{f'p{kind}.512' if whole else f's{kind}'}"
    where, elsewhere = emitter.integer(lanes if whole else 8)(-1), vector([0.0] * lanes)
    result = emitter.call(
        name, vector, [*values, elsewhere, where, *map(emitter.integer(32), modes)]
    )
    return result if whole else builder.extract_element(result, index_0)
