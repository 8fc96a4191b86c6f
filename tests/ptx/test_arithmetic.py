"""What instructions compute."""

import math

import numpy as np
import pytest

from .programs import computed

RNG = np.random.default_rng(1)
LONG = RNG.integers(-(1 << 63), (1 << 63) - 1, 40, "i8")
OTHER = np.concatenate([RNG.integers(-(1 << 63), (1 << 63) - 1, 20, "i8"), RNG.integers(1, 9, 20)])
WORDS, OTHER_WORDS = RNG.integers(0, 1 << 32, (2, 40), "u4")
DENORMAL = np.float32(1e-40)
TINY = np.float32(2.0**-126)  # the smallest that is not
FLOATS = np.array([0, -0.0, DENORMAL, -DENORMAL, TINY, -1.5, 3e38, np.inf, np.nan], "f4")


def wrapped(values, dtype):
    bits = 8 * np.dtype(dtype).itemsize
    unsigned = np.array([int(v) % (1 << bits) for v in values], f"u{bits // 8}")
    return unsigned.view(dtype)


def signed(x, y):
    return [(int(a), int(b)) for a, b in zip(x, y, strict=True)]


def unsigned(x, y):
    return signed(x.view(f"u{x.itemsize}"), y.view(f"u{y.itemsize}"))


@pytest.mark.parametrize(
    ("instruction", "expected"),
    {
        "add.s64": lambda a, b: a + b,
        "sub.s64": lambda a, b: a - b,
        "mul.lo.s64": lambda a, b: a * b,
        "mul.hi.s64": lambda a, b: a * b >> 64,
        "div.s64": lambda a, b: math.trunc(a / b) if abs(a) < 1 << 50 else trunc(a, b),
        "rem.s64": lambda a, b: a - trunc(a, b) * b,
        "min.s64": min,
        "max.s64": max,
        "and.b64": lambda a, b: a & b,
        "xor.b64": lambda a, b: a ^ b,
    }.items(),
)
def test_signed_words_of_64_bits(instruction, expected):
    found = computed(f"{instruction} %y, %a, %b", LONG, OTHER, result="i8")
    assert (found == wrapped([expected(a, b) for a, b in signed(LONG, OTHER)], "i8")).all()


def trunc(a, b):
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    {
        "mul.hi.u64": lambda a, b: a * b >> 64,
        "div.u64": lambda a, b: a // b,
        "rem.u64": lambda a, b: a % b,
        "min.u64": min,
        "max.u64": max,
    }.items(),
)
def test_unsigned_words_of_64_bits(instruction, expected):
    found = computed(f"{instruction} %y, %a, %b", LONG, OTHER, result="u8")
    assert (found == wrapped([expected(a, b) for a, b in unsigned(LONG, OTHER)], "u8")).all()


def test_products_of_words_of_32_bits():
    pairs, both = unsigned(WORDS, OTHER_WORDS), (WORDS, OTHER_WORDS)
    found = computed("mul.wide.u32 %y, %a, %b", *both, result="u8")
    assert (found == wrapped([a * b for a, b in pairs], "u8")).all()
    found = computed("mul.hi.u32 %y, %a, %b", *both, result="u4")
    assert (found == wrapped([a * b >> 32 for a, b in pairs], "u4")).all()
    wide = computed("mul.wide.s32 %y, %a, %b", *both, result="i8")
    of_signed = signed(WORDS.view("i4"), OTHER_WORDS.view("i4"))
    assert (wide == [a * b for a, b in of_signed]).all()
    found = computed("mad.lo.s32 %y, %a, %b, %a", *both, result="u4")
    assert (found == wrapped([a * b + a for a, b in pairs], "u4")).all()
    found = computed("mad.wide.u32 %y, %a, %b, %c", *both, LONG.view("u8"), result="u8")
    sums = [a * b + int(c) for (a, b), c in zip(pairs, LONG.view("u8"), strict=True)]
    assert (found == wrapped(sums, "u8")).all()


def test_shifts_past_the_end():
    x, n = np.array([-5, -5, 5, 5], "i4"), np.array([1, 40, 31, 32], "i4")
    assert computed("shl.b32 %y, %a, %b", x, n, result="i4").tolist() == [-10, 0, -(1 << 31), 0]
    assert computed("shr.s32 %y, %a, %b", x, n, result="i4").tolist() == [-3, -1, 0, 0]
    wide, n = np.array([-5, -5], "i8"), np.array([64, 200], "i4")
    assert computed("shr.u64 %y, %a, %b", wide, n, result="i8").tolist() == [0, 0]
    assert computed("shr.s64 %y, %a, %b", wide, n, result="i8").tolist() == [-1, -1]


def test_bits():
    x, y = WORDS, OTHER_WORDS
    pairs = unsigned(x, y)
    rotated = [(a << 7 | b >> 25) % (1 << 32) for a, b in pairs]
    assert (computed("shf.l.wrap.b32 %y, %b, %a, 7", x, y, result="u4") == rotated).all()
    moved = [(b << 32 | a) >> 9 & 0xFFFFFFFF for a, b in pairs]
    assert (computed("shf.r.wrap.b32 %y, %a, %b, 9", x, y, result="u4") == moved).all()
    assert (computed("popc.b32 %y, %a", x, result="u4") == [a.bit_count() for a, _ in pairs]).all()
    zeros = [32 - a.bit_length() for a, _ in pairs]
    assert (computed("clz.b32 %y, %a", x, result="u4") == zeros).all()
    assert computed("clz.b64 %y, %a", np.array([0, 1, -1]), result="u4").tolist() == [64, 63, 0]
    backwards = [int(f"{a:032b}"[::-1], 2) for a, _ in pairs]
    assert (computed("brev.b32 %y, %a", x, result="u4") == backwards).all()
    field = [a >> 5 & 0x7FF for a, _ in pairs]
    assert (computed("bfe.u32 %y, %a, 5, 11", x, result="u4") == field).all()
    with_sign = [f - (1 << 11 if f >> 10 else 0) for f in field]
    assert (computed("bfe.s32 %y, %a, 5, 11", x, result="i4") == with_sign).all()
    inserted = [b & ~(0x7FF << 5) | (a & 0x7FF) << 5 for a, b in pairs]
    assert (computed("bfi.b32 %y, %a, %b, 5, 11", x, y, result="u4") == inserted).all()
    swapped = [int.from_bytes(a.to_bytes(4, "little"), "big") for a, _ in pairs]
    assert (computed("prmt.b32 %y, %a, 0, 0x0123", x, result="u4") == swapped).all()
    majority = [a & b | a & ~b & 0xFF | b & ~a & 0xFF for a, b in pairs]
    assert (computed("lop3.b32 %y, %a, %b, 255, 0xe8", x, y, result="u4") == majority).all()
    halves = computed("mov.b64 %y, {%a, %b}", x, y, result="u8")
    assert (halves == [b << 32 | a for a, b in pairs]).all()
    upper = computed("mov.b64 {_, %y}, %a", LONG, result="u4")
    assert (upper == LONG.view("u8") >> np.uint64(32)).all()


def test_predication():
    """An instruction is executed by the threads whose predicate holds; the others keep what they
    had."""
    x = np.arange(8, dtype="i4")
    compare = "setp.lt.s32 %p1, %a, 3; mov.b32 %y, 100;"
    found = computed(f"{compare} @%p1 mov.b32 %y, %a", x, result="i4")
    assert found.tolist() == [0, 1, 2, *[100] * 5]
    found = computed(f"{compare} @!%p1 mov.b32 %y, %a", x, result="i4")
    assert found.tolist() == [*[100] * 3, 3, 4, 5, 6, 7]
    both = "setp.lt.s32 %p1|%p2, %a, 3; setp.gt.and.s32 %p3, %a, 0, %p1; not.pred %p4, %p3;"
    for predicate, chosen in {
        "%p2": {3, 4, 5, 6, 7},
        "%p3": {1, 2},
        "%p4": {0, 3, 4, 5, 6, 7},
    }.items():
        found = computed(f"{both} selp.b32 %y, 1, 0, {predicate}", x, result="i4")
        assert set(np.nonzero(found)[0]) == chosen


def test_comparisons_with_nan():
    a = np.array([1, 2, np.nan], "f4")
    b = np.array([2, 2, 2], "f4")
    for order, expected in {
        "lt": [1, 0, 0],
        "le": [1, 1, 0],
        "eq": [0, 1, 0],
        "ne": [1, 0, 0],
        "ltu": [1, 0, 1],
        "neu": [1, 0, 1],
        "gtu": [0, 0, 1],
        "num": [1, 1, 0],
        "nan": [0, 0, 1],
    }.items():
        text = f"setp.{order}.f32 %p1, %a, %b; selp.b32 %y, 1, 0, %p1"
        assert computed(text, a, b, result="i4").tolist() == expected, order
    # words compared as words without a sign
    text = "setp.hi.u32 %p1, %a, 5; selp.b32 %y, 1, 0, %p1"
    assert computed(text, np.array([-1, 3], "i4"), result="i4").tolist() == [1, 0]


def test_conversions():
    x = np.array([2.5, -2.5, 3.5, 1e20, -1e20, np.nan, -0.5], "f4")
    for mode, expected in {
        "rni": [2, -2, 4, 2**31 - 1, -(2**31), 0, 0],
        "rzi": [2, -2, 3, 2**31 - 1, -(2**31), 0, 0],
        "rmi": [2, -3, 3, 2**31 - 1, -(2**31), 0, -1],
        "rpi": [3, -2, 4, 2**31 - 1, -(2**31), 0, 0],
    }.items():
        assert computed(f"cvt.{mode}.s32.f32 %y, %a", x, result="i4").tolist() == expected
    whole = computed("cvt.rmi.f32.f32 %y, %a", x[:3], result="f4")
    assert whole.tolist() == [2, -3, 3]
    assert (computed("cvt.rn.f32.s64 %y, %a", LONG, result="f4") == LONG.astype("f4")).all()
    assert (computed("cvt.rn.f64.u64 %y, %a", LONG, result="f8") == LONG.view("u8")).all()
    assert (computed("cvt.s64.s32 %y, %a", WORDS, result="i8") == WORDS.view("i4")).all()
    assert (computed("cvt.u64.u32 %y, %a", WORDS, result="u8") == WORDS).all()
    assert (computed("cvt.u32.u64 %y, %a", LONG, result="u4") == LONG.astype("u4")).all()
    fractions = RNG.normal(size=9)
    assert (
        computed("cvt.rn.f32.f64 %y, %a", fractions, result="f4") == fractions.astype("f4")
    ).all()
    numbers = np.array([-1, 200], "i4")
    assert computed("cvt.s32.s8 %y, %a", numbers, result="i4").tolist() == [-1, -56]


def test_a_multiply_add_is_rounded_once():
    a = np.float64(1 + 2.0**-30)
    found = computed("fma.rn.f64 %y, %a, %a, %b", a[None], np.array([-1 - 2.0**-29]), result="f8")
    assert found[0] == 2.0**-60
    a = np.float32(1 + 2.0**-15)
    rest = np.array([-1 - 2.0**-14], "f4")
    assert computed("fma.rn.f32 %y, %a, %a, %b", a[None], rest, result="f4")[0] == 2.0**-30
    product = computed("mul.rn.f32 %y, %a, %a; add.rn.f32 %y, %y, %b", a[None], rest, result="f4")
    assert product[0] == 0


def flushed(x):
    return np.where(np.abs(x) < TINY, np.copysign(np.float32(0), x), x)


def same(found, expected):
    """Bit for bit, but for which NaN it is."""
    bits = found.view("u4") == np.asarray(expected, "f4").view("u4")
    assert (bits | (np.isnan(found) & np.isnan(expected))).all()


BINARY = {"add.rn": np.add, "sub.rn": np.subtract, "mul.rn": np.multiply, "div.rn": np.divide}


@pytest.mark.parametrize(("name", "function"), BINARY.items())
def test_denormal_numbers_of_two(name, function):
    a, b = (x.ravel() for x in np.meshgrid(FLOATS, FLOATS))
    with np.errstate(all="ignore"):
        expected, plain = flushed(function(flushed(a), flushed(b))), function(a, b)
    same(computed(f"{name}.ftz.f32 %y, %a, %b", a, b, result="f4"), expected)
    same(computed(f"{name}.f32 %y, %a, %b", a, b, result="f4"), plain)


def test_denormal_numbers():
    x, half = FLOATS, np.full(FLOATS.size, 0.5, "f4")
    with np.errstate(all="ignore"):
        for name, function in {
            "abs": np.abs,
            "neg": np.negative,
            "sqrt.rn": np.sqrt,
            "rcp.rn": lambda x: np.float32(1) / x,
        }.items():
            opcode, _, rounding = name.partition(".")
            rounding = rounding and f".{rounding}"
            found = computed(f"{opcode}{rounding}.ftz.f32 %y, %a", x, result="f4")
            same(found, flushed(function(flushed(x))))
            same(computed(f"{opcode}{rounding}.f32 %y, %a", x, result="f4"), function(x))
    found = computed("fma.rn.ftz.f32 %y, %a, %b, %c", x[:7], half[:7], -x[:7], result="f4")
    same(found, flushed(flushed(x[:7]) * half[:7] - flushed(x[:7])))
    same(
        computed("max.ftz.f32 %y, %a, %b", x[:7], -half[:7], result="f4"),
        [0, -0.0, 0, -0.0, TINY, -0.5, 3e38],
    )
    text = "setp.gt{}.f32 %p1, %a, 0f00000000; selp.b32 %y, 1, 0, %p1"
    assert computed(text.format(".ftz"), x, result="i4").tolist() == [0, 0, 0, 0, 1, 0, 1, 1, 0]
    assert computed(text.format(""), x, result="i4").tolist() == [0, 0, 1, 0, 1, 0, 1, 1, 0]
    # conversions; float64 has no form that flushes
    same(computed("cvt.rn.ftz.f32.f64 %y, %a", x.astype("f8"), result="f4"), flushed(x))
    wide = computed("cvt.ftz.f64.f32 %y, %a", x, result="f8")
    np.testing.assert_array_equal(wide, flushed(x).astype("f8"))
    small = computed("mul.rn.f64 %y, %a, %a", np.array([1e-160]), result="f8")
    assert 0 < small[0] < np.finfo("f8").tiny
    # moves and stores keep them
    same(computed("mov.b32 %y, %a", x, result="f4"), x)
