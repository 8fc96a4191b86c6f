"""Elementary functions of one number, for float32 and float64 and for every device: what exp, log,
tanh and the like are made of.

They are branch-free, so that a loop over them is vectorised; the C library's are scalar calls, ten
times slower. Steps: range reduction by a power of two, a minimax polynomial of the remainder in
fused multiply-adds, reconstruction. NaN goes through every clamp unchanged because the tests are
written `x > limit`.

Multiply-adds, comparisons and divisions share one unit of the processor, the bottleneck of a loop:
sums, shifts, minima and maxima run beside it (Zen 4). So a formula is chosen for few products.
Where AVX-512 has an instruction for a part of it, it has a second form; `AVX512` is known when it
is compiled. Each result is within 2 units in the last place of float32 and 4 of float64.
Coefficients are from a Remez exchange weighted for the error that matters, named where it is not
the relative one; `tests/kernels/test_scalar.py` measures what is left of it.
"""

import math

import numpy as np

from ..avx512 import AVX512, TABLE_SIZE, exponent, fraction, scaled, table_lookup
from ..declare import T, by_dtype, helper
from ..intrinsics import bits_of, float_of, fma
from .piecewise import PIECE_SHIFT, piecewise_polynomials

# A float32 plus 1.5 * 2^23 is rounded to an integer n that then stands in the sum's low bits: no
# conversion to integer, which is undefined for NaN, is needed. Shifted to the exponent's place,
# those bits are n there and nothing else, for the constant's own low bits are zero. For float64 the
# constant is 1.5 * 2^52.
ROUNDER_32, ROUNDER_64 = np.float32(12582912.0), np.float64(6755399441055744.0)
LOG2E_32, LOG2E_64 = np.float32(1.4426950408889634), np.float64(1.4426950408889634)
# ln 2 in two parts, the first with trailing zeros, so that n * LN2_HIGH is exact for every n in
# use.
LN2_HIGH_32, LN2_LOW_32 = np.float32(0.693145751953125), np.float32(1.42860677e-06)
LN2_HIGH_64, LN2_LOW_64 = np.float64(0.6931471803691238), np.float64(1.9082149292705877e-10)
HALF_LN2_32, HALF_LN2_64 = np.float32(math.log(2) / 2), np.float64(math.log(2) / 2)


@helper
def power_of_two_32(rounded):
    """2^n for the sum of n and the rounder, from 0, which stands for 2^-127, to infinity, for
    2^128."""
    return float_of((bits_of(rounded) << np.int32(23)) + np.int32(0x3F800000))


@helper
def power_of_two_64(rounded):
    return float_of((bits_of(rounded) << np.int64(52)) + np.int64(0x3FF0000000000000))


power_of_two = by_dtype(power_of_two_32, power_of_two_64)


@helper
def range_reduction_32(x):
    """n and the rounder, n, and r, for x = n ln 2 + r with |r| <= ln(2) / 2."""
    rounded = fma(x, LOG2E_32, ROUNDER_32)
    n = rounded - ROUNDER_32
    return rounded, n, fma(n, -LN2_LOW_32, fma(n, -LN2_HIGH_32, x))


@helper
def range_reduction_64(x):
    rounded = fma(x, LOG2E_64, ROUNDER_64)
    n = rounded - ROUNDER_64
    return rounded, n, fma(n, -LN2_LOW_64, fma(n, -LN2_HIGH_64, x))


range_reduction = by_dtype(range_reduction_32, range_reduction_64)


@helper
def expm1_factor_32(r):
    """Q(r) of e^r - 1 = r + r^2 Q(r), |r| <= ln(2) / 2, so good that e^r is within 0.05 of a unit
    in the last place."""
    q = fma(np.float32(0.00139504919511), r, np.float32(0.00836888935142))
    q = fma(q, r, np.float32(0.0416662057895))
    q = fma(q, r, np.float32(0.166665188397))
    return fma(q, r, np.float32(0.500000009519))


@helper
def expm1_factor_64(r):
    q = fma(2.5110049895858716253e-8, r, 2.7632655759330148167e-7)
    q = fma(q, r, 2.7557242336680357124e-6)
    q = fma(q, r, 2.4801487326012342125e-5)
    q = fma(q, r, 1.984126988659099934e-4)
    q = fma(q, r, 1.3888888947820891412e-3)
    q = fma(q, r, 8.3333333333222072959e-3)
    q = fma(q, r, 4.166666666652199074e-2)
    q = fma(q, r, 1.666666666666667453e-1)
    return fma(q, r, 5.0000000000000102245e-1)


expm1_factor = by_dtype(expm1_factor_32, expm1_factor_64)


@helper
def expm1_of_remainder(r):
    return fma(expm1_factor(r), r * r, r)


@helper
def clamp_exp_min_32(x):
    """The larger of x and -127 ln 2 (float64: -1023 ln 2), where 2^n is 0."""
    return np.float32(-88.02969) if x < np.float32(-88.02969) else x


@helper
def clamp_exp_min_64(x):
    return -709.0895657128241 if x < -709.0895657128241 else x


clamp_exp_min = by_dtype(clamp_exp_min_32, clamp_exp_min_64)


@helper
def scaled_exp(x):
    """e^r 2^n of a clamped x with AVX-512, whose instruction for that minds the exponent's ends. In
    float32 x may be as large as it likes: where r is not small, above 3e6, the polynomial is
    positive all the same, for its degree is even; for x = inf, r is NaN, and the instruction goes
    by n."""
    _, n, r = range_reduction(x)
    return scaled(fma(fma(expm1_factor(r), r, T(1)), r, T(1)), n)


@helper
def exp_32(x):
    """n is added to the exponent of e^r in [0.7, 1.42]. That is right from the smallest normal
    number to the largest, where n = 128 and e^r < 1. Below, results are zero; above, and for NaN, x
    + inf is the answer."""
    if AVX512:
        return scaled_exp(clamp_exp_min_32(x))
    rounded, _, r = range_reduction_32(x)
    bits = bits_of(expm1_of_remainder(r) + np.float32(1)) + (bits_of(rounded) << np.int32(23))
    y = float_of(np.int32(0) if x < np.float32(-87.33654) else bits)
    return y if x <= np.float32(88.72283) else x + np.float32(math.inf)


@helper
def exp_64(x):
    if AVX512:
        return scaled_exp(clamp_exp_min_64(710.0 if x > 710.0 else x))
    rounded, _, r = range_reduction_64(x)
    bits = bits_of(expm1_of_remainder(r) + 1.0) + (bits_of(rounded) << np.int64(52))
    y = float_of(np.int64(0) if x < -708.3964185322641 else bits)
    return y if x <= 709.782712893384 else x + math.inf


exp = by_dtype(exp_32, exp_64)


@helper
def power_and_expm1(x):
    """(2^n, e^r - 1) with n ln 2 + r = x, for -88.03 <= x <= 88: e^x is (1 + e^r - 1) 2^n."""
    rounded, _, r = range_reduction(x)
    return power_of_two(rounded), expm1_of_remainder(r)


@helper
def exp_of_negative(x):
    """e^x for x <= 0, as softmax wants it: without exp's test for overflow."""
    x = clamp_exp_min(x)
    if AVX512:
        return scaled_exp(x)
    scale, e = power_and_expm1(x)
    return fma(e, scale, scale)


@helper
def expm1_of_negative(x):
    """e^x - 1 for x <= 0. 2^n - 1 is exact or next to -1, so a small x keeps its digits."""
    scale, e = power_and_expm1(clamp_exp_min(x))
    return fma(e, scale, scale - T(1))


@helper
def split_32(x):
    """n and f with x = 2^n (1 + f), 1 + f in [3/4, 3/2)."""
    if AVX512:
        y = fraction(x)
        return exponent(x) - exponent(y), y - np.float32(1)
    # int32 again: the difference alone would be computed in 64 bits
    shifted = np.int32(bits_of(x) - np.int32(0x3F400000))
    y = float_of((shifted & np.int32(0x7FFFFF)) + np.int32(0x3F400000))
    return np.float32(np.int32(shifted >> np.int32(23))), y - np.float32(1)


@helper
def split_64(x):
    if AVX512:
        y = fraction(x)
        return exponent(x) - exponent(y), y - 1.0
    shifted = bits_of(x) - np.int64(0x3FE8000000000000)
    y = float_of((shifted & np.int64(0xFFFFFFFFFFFFF)) + np.int64(0x3FE8000000000000))
    return np.float64(shifted >> np.int64(52)), y - 1.0


@helper
def log_32(x):
    """ln(x) = n ln 2 + ln(1 + f); ln(1 + f) = f - f^2 / 2 + f^3 P(f)."""
    n, f = split_32(x)
    p = fma(np.float32(0.0376729290449), f, np.float32(-0.0911619171347))
    p = fma(p, f, np.float32(0.11700661509))
    p = fma(p, f, np.float32(-0.127277785407))
    p = fma(p, f, np.float32(0.142762386524))
    p = fma(p, f, np.float32(-0.166552966105))
    p = fma(p, f, np.float32(0.199996048695))
    p = fma(p, f, np.float32(-0.250001652689))
    p = fma(p, f, np.float32(0.333333398617))
    tail = fma(fma(p, f, np.float32(-0.5)), f * f, n * LN2_LOW_32)
    return log_edges(x, fma(n, LN2_HIGH_32, f + tail))


@helper
def log_64(x):
    """As above with ln(1 + f) = f - f^2 / 2 + s (f^2 / 2 + R(s^2)), s = f / (2 + f), as in
    FreeBSD's e_log.c."""
    n, f = split_64(x)
    s = f / (2.0 + f)
    z = s * s
    p = fma(0.15113680893531199185, z, 0.15284232657100631552)
    p = fma(p, z, 0.18184588603804437978)
    p = fma(p, z, 0.22222183180681264286)
    p = fma(p, z, 0.28571428832679727111)
    p = fma(p, z, 0.39999999999345645741)
    p = fma(p, z, 0.66666666666666933848)
    half_square = 0.5 * f * f
    y = n * LN2_HIGH_64 - ((half_square - fma(s, fma(p, z, half_square), n * LN2_LOW_64)) - f)
    return log_edges(x, y)


@helper
def log_edges(x, y):
    """-inf at zero, NaN below it and for NaN, inf at inf, which AVX-512's instructions see to. A
    subnormal x counts as zero, as everywhere in native code."""
    if AVX512:
        return y
    y = x if x == T(math.inf) else y
    y = T(-math.inf) if x == T(0) else y
    return y if x >= T(0) else T(math.nan)


log = by_dtype(log_32, log_64)


@helper
def log1p_tail_32(square):
    """(2 atanh(s) - 2 s) / s^3 of s^2, 0 <= s <= 1/3."""
    p = fma(np.float32(0.2428958513), square, np.float32(0.2143073767))
    p = fma(p, square, np.float32(0.2861659651))
    p = fma(p, square, np.float32(0.3999888839))
    return fma(p, square, np.float32(0.666666755))


@helper
def log1p_tail_64(square):
    p = fma(0.17009735932184201464, square, 0.083449860893670394345)
    p = fma(p, square, 0.12104940809718020498)
    p = fma(p, square, 0.13301121978152060317)
    p = fma(p, square, 0.15386548343343032403)
    p = fma(p, square, 0.18181744481328207292)
    p = fma(p, square, 0.22222223953596965022)
    p = fma(p, square, 0.28571428548118195773)
    p = fma(p, square, 0.40000000000155124083)
    return fma(p, square, 0.66666666666666309642)


log1p_tail = by_dtype(log1p_tail_32, log1p_tail_64)


@helper
def log1p_of_fraction(f):
    """ln(1 + f) = 2 atanh(f / (2 + f)) for 0 <= f <= 1."""
    s = f / (T(2) + f)
    square = s * s
    return fma(log1p_tail(square), s * square, s + s)


@helper
def sigmoid_32(x):
    """u / (u + 2^n (u + 2 r)), for e^r = (c + r) / (c - r) = (u + 2 r) / u with c = r coth(r / 2) =
    2 + r^2 / 6 - ... and u = c - r: what u is rounded to hardly matters, since c hardly does. e^-x
    = 2^n e^r is infinite for the limit that x is clamped to.

    The quotient is next to a power of two where e^-x is, and there a unit of the divisor shows as
    one of the result. The divisor is rounded once, since u (1 + 2^n) is a product of a
    multiply-add; but for n = 24 one more unit is lost in 1 + 2^n. So 2 r is 0.8 of half a unit too
    large, and the polynomial is not the best one but, of those next to it, one that makes the
    largest error over all float32 small: 1.99 units, found by trying every number.
    """
    x = np.float32(30) if x > np.float32(30) else x
    x = np.float32(-88.3) if x < np.float32(-88.3) else x
    rounded = fma(x, -LOG2E_32, ROUNDER_32)
    n, scale = rounded - ROUNDER_32, power_of_two_32(rounded)
    r = fma(n, -LN2_LOW_32, fma(n, -LN2_HIGH_32, -x))
    square = r * r
    u = (
        fma(fma(np.float32(-0.002736743), square, np.float32(0.16666372)), square, np.float32(2))
        - r
    )
    return u / fma(u, scale + np.float32(1), ((r + r) + np.float32(0.8 * 2.0**-24)) * scale)


@helper
def tanh_tail_64(square):
    """(tanh r - r) / r^3 of r^2, |r| <= ln(2) / 4."""
    p = fma(0.0034448668083187601662, square, -0.0088573111154741633192)
    p = fma(p, square, 0.021869370784524416139)
    p = fma(p, square, -0.053968252782946011261)
    p = fma(p, square, 0.13333333332784279987)
    return fma(p, square, -0.33333333333332485978)


@helper
def sigmoid_64(x):
    """2^n (1 + t) / (2^n (1 + t) + 1 - t) with t = tanh(r / 2): e^r = (1 + t) / (1 - t), and tanh,
    being odd, needs fewer terms. x is clamped to where 2^n is 0."""
    x = 40.0 if x > 40.0 else x
    x = -709.0895657128241 if x < -709.0895657128241 else x
    rounded = fma(x, LOG2E_64, ROUNDER_64)
    n, scale = rounded - ROUNDER_64, power_of_two_64(rounded)
    r = fma(n, -0.5 * LN2_LOW_64, fma(n, -0.5 * LN2_HIGH_64, 0.5 * x))
    t = fma(tanh_tail_64(r * r), r * r * r, r)
    return fma(scale, t, scale) / fma(scale - 1.0, t, scale + 1.0)


sigmoid = by_dtype(sigmoid_32, sigmoid_64)


# Pieces from 0 to 10, the first as far as 6 / 128.
TANH_FIRST_PIECE, TANH_CLAMP = (
    np.int32(np.float32(5 / 128).view(np.int32) >> PIECE_SHIFT),
    np.float32(9.9),
)
TANH_TABLE = piecewise_polynomials(np.tanh, TANH_FIRST_PIECE)
# tanh 9, the last constant, lies midway between 1 and the float32 before it: with 1 the largest
# results are 1, to the last bit.
TANH_TABLE[1, (TANH_FIRST_PIECE + TABLE_SIZE - 1) % TABLE_SIZE] = 1
centre, c0, c1, c2, c3, c4, c5 = (
    table_lookup(f"tanh_{i}", row) for i, row in enumerate(TANH_TABLE)
)


@helper
def tanh_piecewise(x):
    """A polynomial of what |x| is more than its piece's centre. The sign bit is x's: a zero keeps
    it."""
    size = abs(x)
    size = TANH_CLAMP if size > TANH_CLAMP else size
    piece = np.int32(bits_of(size) >> np.int32(PIECE_SHIFT))
    piece = TANH_FIRST_PIECE if piece < TANH_FIRST_PIECE else piece
    r = size - centre(piece)
    p = fma(fma(fma(c5(piece), r, c4(piece)), r, c3(piece)), r, c2(piece))
    return copy_sign_32(fma(fma(p, r, c1(piece)), r, c0(piece)), x)


# tanh(a + r) = (tanh a + t) / (1 + t tanh a) with t = tanh r, a a multiple of ln(2) / 2: then tanh
# a = (2^n - 1) / (2^n + 1).


@helper
def tanh_32(x):
    """(low - 1 + t) / low with low = (2^n (1 + t) + 1 - t) / 2. For n = 0 low is 1 and the result
    t, to the last bit; otherwise the error of low cancels as far as the result is near one. So n =
    1 begins late, at |x| = 0.52: n is one less than would make r smallest, but not below 0. From
    |x| = 10 on the result is 1 to the last bit. The sign bit is x's: a zero keeps it."""
    if AVX512:
        return tanh_piecewise(x)
    size = abs(x)
    size = np.float32(10) if size > np.float32(10) else size
    rounded = fma(size, np.float32(2) * LOG2E_32, ROUNDER_32 - np.float32(1))
    rounded = ROUNDER_32 if rounded < ROUNDER_32 else rounded
    r = fma(rounded - ROUNDER_32, -HALF_LN2_32, size)
    square = r * r
    p = fma(np.float32(0.0169182271066), square, np.float32(-0.0529037760155))
    p = fma(p, square, np.float32(0.133240401655))
    p = fma(p, square, np.float32(-0.333330778554))
    t = fma(p, square * r, r)
    half = np.float32(0.5)
    scale = float_of((bits_of(rounded) << np.int32(23)) + np.int32(0x3F000000))  # 2^(n - 1)
    low = fma(scale - half, t, scale + half)
    return copy_sign_32(((low - np.float32(1)) + t) / low, x)


@helper
def tanh_64(x):
    size = 22.0 if x > 22.0 else x
    size = -22.0 if size < -22.0 else size
    rounded = fma(size, 2.0 * LOG2E_64, ROUNDER_64)
    r, scale = fma(rounded - ROUNDER_64, -HALF_LN2_64, size), power_of_two_64(rounded)
    t = fma(tanh_tail_64(r * r), r * r * r, r)
    return copy_sign_64(fma(scale + 1.0, t, scale - 1.0) / fma(scale - 1.0, t, scale + 1.0), x)


tanh = by_dtype(tanh_32, tanh_64)


@helper
def copy_sign_32(size, x):
    return float_of(bits_of(size) | (bits_of(x) & np.int32(-0x80000000)))


@helper
def copy_sign_64(size, x):
    return float_of(bits_of(size) | (bits_of(x) & np.int64(-0x8000000000000000)))
