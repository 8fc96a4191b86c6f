"""Sines, cosines and their inverses.

x = n pi/2 + r, |r| <= pi/4         sin x is +-sin r or +-cos r, by n; of far x, whose n has more
                                    digits than a float, n is found modulo 4 (Payne and Hanek 1983)
arctan(q) of 0 <= q <= 1            q itself, or (q - 1) / (q + 1) + pi/4 where that is smaller
arcsin(x) of |x| > 1/2              pi/2 - 2 arcsin(sqrt((1 - |x|) / 2))
"""

import math

import numpy as np

from ..declare import T, by_dtype, helper
from ..intrinsics import bits_of, float_of, fma
from ..tables import lookup
from . import Far
from .elementary import ROUNDER_32, ROUNDER_64
from .power import copy_sign

PI, PI_LOW_32, PI_LOW_64 = math.pi, np.float32(-8.742277657347586e-08), 1.2246467991473532e-16
TAN_EIGHTH_TURN = math.sqrt(2) - 1  # tan(pi / 8)


@helper
def quarter_turns_32(x):
    """n plus the rounder, and r. pi/2 is taken away in three parts, each product within a
    multiply-add: r has all its digits while n is below 2^22. From there on it is NaN: `FAR` sees
    to these x. By what 2 / pi is rounded to, r is 0.98 at most."""
    rounded = fma(x, np.float32(2 / PI), ROUNDER_32)
    n = rounded - ROUNDER_32
    r = fma(n, np.float32(-1.5707963705062866), x)
    r = fma(n, np.float32(4.371138828673793e-08), r)
    r = fma(n, np.float32(1.7151245100058819e-15), r)
    return rounded, r if abs(n) < np.float32(2.0**22) else np.float32(math.nan)


@helper
def quarter_turns_64(x):
    rounded = fma(x, 2 / PI, ROUNDER_64)
    n = rounded - ROUNDER_64
    r = fma(n, -1.5707963267948966, x)
    r = fma(n, -6.123233995736766e-17, r)
    r = fma(n, 1.4973849048591698e-33, r)
    return rounded, r if abs(n) < 2.0**51 else math.nan


quarter_turns = by_dtype(quarter_turns_32, quarter_turns_64)


@helper
def sine_tail_32(z):
    """(sin r - r) / r^3 of z = r^2."""
    p = fma(np.float32(2.707046671e-06), z, np.float32(-0.0001983829553))
    p = fma(p, z, np.float32(0.008333327509))
    return fma(p, z, np.float32(-0.1666666665))


@helper
def sine_tail_64(z):
    p = fma(-7.5513059344512154348e-13, z, 1.6057754588105366901e-10)
    p = fma(p, z, -2.5052099778239380311e-8)
    p = fma(p, z, 2.7557319194475709579e-6)
    p = fma(p, z, -0.00019841269841221650802)
    p = fma(p, z, 0.0083333333333333038181)
    return fma(p, z, -0.16666666666666666637)


sine_tail = by_dtype(sine_tail_32, sine_tail_64)


@helper
def cosine_tail_32(z):
    """(cos r - 1 + r^2 / 2) / r^4 of z = r^2."""
    p = fma(np.float32(-2.715110862e-07), z, np.float32(2.47991047e-05))
    p = fma(p, z, np.float32(-0.001388888403))
    return fma(p, z, np.float32(0.04166666665))


@helper
def cosine_tail_64(z):
    p = fma(4.7261906029415316429e-14, z, -1.1470028769913291618e-11)
    p = fma(p, z, 2.0876752201769892221e-9)
    p = fma(p, z, -2.7557319207575671742e-7)
    p = fma(p, z, 0.000024801587301560502707)
    p = fma(p, z, -0.0013888888888888872475)
    return fma(p, z, 0.04166666666666666665)


cosine_tail = by_dtype(cosine_tail_32, cosine_tail_64)


@helper
def sine_of_quarters_32(rounded, r, more):
    """sin(r + (n + more) pi/2)."""
    z, n = r * r, np.int32(bits_of(rounded) + np.int32(more))
    sine = fma(sine_tail_32(z) * z, r, r)
    cosine = fma(fma(cosine_tail_32(z), z, np.float32(-0.5)), z, np.float32(1))
    y = sine if np.int32(n & np.int32(1)) == np.int32(0) else cosine
    return float_of(bits_of(y) ^ np.int32(np.int32(n & np.int32(2)) << np.int32(30)))


@helper
def sine_of_quarters_64(rounded, r, more):
    z, n = r * r, bits_of(rounded) + np.int64(more)
    sine = fma(sine_tail_64(z) * z, r, r)
    cosine = fma(fma(cosine_tail_64(z), z, -0.5), z, 1.0)
    y = sine if (n & np.int64(1)) == np.int64(0) else cosine
    return float_of(bits_of(y) ^ ((n & np.int64(2)) << np.int64(62)))


sine_of_quarters = by_dtype(sine_of_quarters_32, sine_of_quarters_64)


@helper
def sin(x):
    rounded, r = quarter_turns(x)
    y = sine_of_quarters(rounded, r, 0)
    return x if x == T(0) else y


@helper
def cos(x):
    rounded, r = quarter_turns(x)
    return sine_of_quarters(rounded, r, 1)


@helper
def sin_gradient(x, dy):
    return dy * cos(x)


@helper
def cos_gradient(x, dy):
    return -dy * sin(x)


@helper
def tan(x):
    """sin x / cos x."""
    rounded, r = quarter_turns(x)
    y = sine_of_quarters(rounded, r, 0) / sine_of_quarters(rounded, r, 1)
    return x if x == T(0) else y


@helper
def tan_gradient(y, dy):
    return dy * fma(y, y, T(1))


# ---- far x

DIGIT_BITS = 24  # of a digit: sums of four products of two stay below 2^53
DIGIT, HALF_DIGIT = (1 << DIGIT_BITS) - 1, 1 << (DIGIT_BITS - 1)
# the bits of 2 / pi behind the point, as far as float64's largest numbers need them
TWO_OVER_PI = int(
    "A2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBBC561B7246E3A424"
    "DD2E006492EEA09D1921CFE1DEB1CB129A73EE88235F52EBB4484E99C7026B45F7E413991D6"
    "39835339F49C845F8BBDF9283B1FF897FFDE05980FEF2F118B5A0A6D1F6D367ECF27CB09B74"
    "F463F669E5FEA2D7527BAC7EBE5F17B3D0739F78A5292EA6BFB5FB11F8D5D0856033046FC7B",
    16,
)
DIGITS = 50
digit_of_two_over_pi = lookup(
    "digit_of_two_over_pi",
    [TWO_OVER_PI >> DIGIT_BITS * (DIGITS - 1 - n) & DIGIT for n in range(DIGITS)],
)
LAST_PLACE = 7  # digits behind the point that are computed: x may be 2^-60 from a multiple of pi/2


@helper
def quarter_turns_of_product(whole, exponent):
    """n, and (x - n pi/2) / (pi/2) as (a + b) 2^-48, of x = whole 2^exponent. Those digits of the
    product with 2 / pi are left out that are multiples of 4, and those behind LAST_PLACE. Digits
    from -2^23 to 2^23 make n the nearest."""
    k = exponent // DIGIT_BITS
    shift = exponent - k * DIGIT_BITS
    x0 = (whole & DIGIT) << shift
    x1 = (((whole >> DIGIT_BITS) & DIGIT) << shift) + (x0 >> DIGIT_BITS)
    x2 = ((whole >> (2 * DIGIT_BITS)) << shift) + (x1 >> DIGIT_BITS)
    x0, x1, x2, x3 = x0 & DIGIT, x1 & DIGIT, x2 & DIGIT, x2 >> DIGIT_BITS
    a, b, carry, place = np.int64(0), np.float64(0), np.int64(0), LAST_PLACE
    j = k + LAST_PLACE - 1
    y1, y2, y3 = (
        digit_of_two_over_pi(j + 1),
        digit_of_two_over_pi(j + 2),
        digit_of_two_over_pi(j + 3),
    )
    while place > 0:
        y0 = digit_of_two_over_pi(j)
        carry += x0 * y0 + x1 * y1 + x2 * y2 + x3 * y3
        digit = ((carry + HALF_DIGIT) & DIGIT) - HALF_DIGIT
        carry = (carry - digit) >> DIGIT_BITS
        if place > 2:
            b = (b + digit) * 2.0**-DIGIT_BITS
        else:
            a += digit << (DIGIT_BITS * (2 - place))
        y1, y2, y3 = y0, y1, y2
        place -= 1
        j -= 1
    n = carry + x0 * digit_of_two_over_pi(j) + x1 * y1 + x2 * y2 + x3 * y3
    return n, np.float64(a), b


@helper
def far_quarter_turns_32(x):
    """What `quarter_turns` gives, n modulo 4."""
    size = np.int64(bits_of(abs(x)))
    n, a, b = quarter_turns_of_product((size & 0x7FFFFF) | 0x800000, (size >> 23) - 150)
    r = np.float32((a + b) * (2.0**-49 * PI))
    n, r = (n if x > T(0) else -n) & 3, (r if x > T(0) else -r)
    r = r if abs(x) < np.float32(math.inf) else np.float32(math.nan)
    return ROUNDER_32 + np.float32(n), r


@helper
def far_quarter_turns_64(x):
    size = bits_of(abs(x))
    n, a, b = quarter_turns_of_product(
        (size & 0xFFFFFFFFFFFFF) | 0x10000000000000, (size >> 52) - 1075
    )
    a, b = a * 2.0**-49, b * 2.0**-49
    r = fma(a, PI, fma(b, PI, a * PI_LOW_64))
    n, r = (n if x > T(0) else -n) & 3, (r if x > T(0) else -r)
    r = r if abs(x) < math.inf else math.nan
    return ROUNDER_64 + np.float64(n), r


far_quarter_turns = by_dtype(far_quarter_turns_32, far_quarter_turns_64)


@helper
def size_32(x):
    """The bits of |x|, which are ordered as it is; those of NaN are the largest."""
    return np.int32(bits_of(x) & np.int32(0x7FFFFFFF))


@helper
def size_64(x):
    return bits_of(x) & np.int64(0x7FFFFFFFFFFFFFFF)


@helper
def is_far_32(size):
    """From 2^22 on."""
    return size >= np.int32(0x4A800000)


@helper
def is_far_64(size):
    """From 2^51 on."""
    return size >= np.int64(0x4320000000000000)


size, is_far = by_dtype(size_32, size_64), by_dtype(is_far_32, is_far_64)


@helper
def far_sin(x):
    rounded, r = far_quarter_turns(x)
    return sine_of_quarters(rounded, r, 0)


@helper
def far_cos(x):
    rounded, r = far_quarter_turns(x)
    return sine_of_quarters(rounded, r, 1)


@helper
def far_sin_gradient(x, dy):
    return dy * far_cos(x)


@helper
def far_cos_gradient(x, dy):
    return -dy * far_sin(x)


@helper
def far_tan(x):
    rounded, r = far_quarter_turns(x)
    return sine_of_quarters(rounded, r, 0) / sine_of_quarters(rounded, r, 1)


FAR_SIN, FAR_SIN_GRADIENT, FAR_COS, FAR_COS_GRADIENT, FAR_TAN = (
    Far(function, size, is_far)
    for function in (far_sin, far_sin_gradient, far_cos, far_cos_gradient, far_tan)
)


# ---- inverses


@helper
def arctan_tail_32(z):
    """(arctan s - s) / s^3 of z = s^2, |s| <= tan(pi / 8)."""
    p = fma(np.float32(-0.06451718869), z, np.float32(0.1074366832))
    p = fma(p, z, np.float32(-0.1426394975))
    p = fma(p, z, np.float32(0.1999954031))
    return fma(p, z, np.float32(-0.3333333176))


@helper
def arctan_tail_64(z):
    p = fma(-0.013916943217800840977, z, 0.030634433239014520368)
    p = fma(p, z, -0.041043814178076432259)
    p = fma(p, z, 0.04719381457895136923)
    p = fma(p, z, -0.052580394289794814507)
    p = fma(p, z, 0.058819250338777325012)
    p = fma(p, z, -0.066666420049965447944)
    p = fma(p, z, 0.076923067353214753541)
    p = fma(p, z, -0.090909090669906600315)
    p = fma(p, z, 0.11111111110754405782)
    p = fma(p, z, -0.14285714285711515813)
    p = fma(p, z, 0.19999999999999991533)
    return fma(p, z, -0.33333333333333333329)


arctan_tail = by_dtype(arctan_tail_32, arctan_tail_64)


@helper
def pi_low_32():
    """What rounding pi took."""
    return PI_LOW_32


@helper
def pi_low_64():
    return PI_LOW_64


pi_low = by_dtype(pi_low_32, pi_low_64)


@helper
def arctan_of_ratio(low, high):
    """arctan(low / high), 0 <= low <= high, not both 0."""
    is_steep = low > T(TAN_EIGHTH_TURN) * high
    s = (low - high if is_steep else low) / (low + high if is_steep else high)
    z = s * s
    tail = arctan_tail(z) * z * s
    return T(PI / 4) + (s + (tail + T(0.25) * pi_low())) if is_steep else s + tail


@helper
def arctan(x):
    a = abs(x)
    is_far = a > T(1)
    y = arctan_of_ratio(T(1) if is_far else a, a if is_far else T(1))
    y = T(PI / 2) - (y - T(0.5) * pi_low()) if is_far else y
    y = T(PI / 2) if a == T(math.inf) else y
    return copy_sign(y, x) if x == x else x


@helper
def arctan_gradient(x, dy):
    return dy / fma(x, x, T(1))


@helper
def arctan2(y, x):
    """The angle of the point (x, y), from -pi to pi, as C has it for zeros and infinities."""
    a, b = abs(y), abs(x)
    both_far = (a == T(math.inf)) & (b == T(math.inf))
    at_origin = (a == T(0)) & (b == T(0))
    high, low = a if a > b else b, b if a > b else a
    high = T(1) if both_far | at_origin else high
    low = T(1) if both_far else low
    angle = arctan_of_ratio(low, high)
    angle = T(0) if (high == T(math.inf)) else angle
    angle = T(PI / 2) - (angle - T(0.5) * pi_low()) if a > b else angle
    is_left = bits_of(x) < 0
    angle = T(PI) - (angle - pi_low()) if is_left else angle
    return copy_sign(angle, y) if (x == x) & (y == y) else x + y


@helper
def arctan2_gradient_y(y, x, dz):
    return dz * x / fma(x, x, y * y)


@helper
def arctan2_gradient_x(y, x, dz):
    return -dz * y / fma(x, x, y * y)


@helper
def arcsine_tail_32(z):
    """(arcsin s - s) / s^3 of z = s^2 <= 1 / 4."""
    p = fma(np.float32(0.0336908472), z, np.float32(0.01714923836))
    p = fma(p, z, np.float32(0.03110066274))
    p = fma(p, z, np.float32(0.04459940153))
    p = fma(p, z, np.float32(0.07500094543))
    return fma(p, z, np.float32(0.1666666634))


@helper
def arcsine_tail_64(z):
    p = fma(0.02961201126495512036, z, -0.019241671746743040654)
    p = fma(p, z, 0.019554513336123378949)
    p = fma(p, z, 0.0030448799094556773959)
    p = fma(p, z, 0.0093195607947674462957)
    p = fma(p, z, 0.0096218429701002810177)
    p = fma(p, z, 0.011566459612121668568)
    p = fma(p, z, 0.013963780012203569641)
    p = fma(p, z, 0.017352816540325494994)
    p = fma(p, z, 0.022372157443507222419)
    p = fma(p, z, 0.030381944475532339993)
    p = fma(p, z, 0.044642857142551892902)
    p = fma(p, z, 0.07500000000000117751)
    return fma(p, z, 0.16666666666666666592)


arcsine_tail = by_dtype(arcsine_tail_32, arcsine_tail_64)


@helper
def arcsin_of_size(a):
    """Whether 1/2 < a, a from 0 on; then arcsin(sqrt((1 - a) / 2)), else arcsin(a)."""
    is_large = a > T(0.5)
    z = (T(1) - a) * T(0.5) if is_large else a * a
    s = T(np.sqrt(z)) if is_large else a
    return is_large, fma(arcsine_tail(z) * z, s, s)


@helper
def arcsin(x):
    is_large, angle = arcsin_of_size(abs(x))
    angle = T(PI / 2) - (angle + angle - T(0.5) * pi_low()) if is_large else angle
    return copy_sign(angle, x)


@helper
def arcsin_gradient(x, dy):
    return dy / T(np.sqrt((T(1) - x) * (T(1) + x)))


@helper
def arccos(x):
    is_large, angle = arcsin_of_size(abs(x))
    double = angle + angle
    of_large = double if x > T(0) else T(PI) - (double - pi_low())
    of_small = T(PI / 2) - (copy_sign(angle, x) - T(0.5) * pi_low())
    return of_large if is_large else of_small


@helper
def arccos_gradient(x, dy):
    return -dy / T(np.sqrt((T(1) - x) * (T(1) + x)))
