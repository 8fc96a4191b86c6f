"""Functions of the normal distribution. Phi is its CDF, phi its density, Q = 1 - Phi its tail:
erfc(a) = 2 Q(sqrt(2) a).

    erf(x)                 derivative 2 / sqrt(pi) e^(-x^2)
    gelu(x) = x Phi(x)     derivative Phi(x) + x phi(x)
"""

import math

import numpy as np

from ..declare import T, by_dtype, helper
from ..intrinsics import fma
from .elementary import copy_sign_32, copy_sign_64, exp_of_negative

SQRT2 = np.float64(math.sqrt(2))


@helper
def eighth_power(p):
    p = p * p
    p = p * p
    return p * p


@helper
def erf_32(x):
    """x + x P(x^2) up to 1.2; from there on 1 - 1 / p(|x|)^8, the form of Hastings's (1955)
    approximation to erfc."""
    size, square = abs(x), x * x
    p = fma(np.float32(6.527443384e-5), square, np.float32(-0.0007562216424))
    p = fma(p, square, np.float32(0.005131278377))
    p = fma(p, square, np.float32(-0.02682017482))
    p = fma(p, square, np.float32(0.1128268564))
    p = fma(p, square, np.float32(-0.3761253765))
    near_zero = fma(fma(p, square, np.float32(0.1283791517)), x, x)
    p = fma(np.float32(0.0006996253277), size, np.float32(-0.005965059571))
    p = fma(p, size, np.float32(0.02816547273))
    p = fma(p, size, np.float32(-0.06324275274))
    p = fma(p, size, np.float32(0.1255136687))
    p = fma(p, size, np.float32(-0.003039456347))
    p = fma(p, size, np.float32(0.1883178432))
    p = fma(p, size, np.float32(0.989658485))
    tail = copy_sign_32(np.float32(1) - np.float32(1) / eighth_power(p), x)
    return tail if size > np.float32(1.2) else near_zero


@helper
def erf_64(x):
    """x + x P(x^2) up to 1, from there on 1 - 2 Q(sqrt(2) |x|)."""
    size, square = abs(x), x * x
    p = fma(-7.7794193941665606835e-10, square, 1.3710955446578072575e-8)
    p = fma(p, square, -1.6206308327343303913e-7)
    p = fma(p, square, 1.6447130909261645844e-6)
    p = fma(p, square, -0.000014924712252420215613)
    p = fma(p, square, 0.0001205529357454477194)
    p = fma(p, square, -0.00085483259292439179876)
    p = fma(p, square, 0.0052239776061171965457)
    p = fma(p, square, -0.026866170643111341553)
    p = fma(p, square, 0.11283791670944184251)
    p = fma(p, square, -0.37612638903183519557)
    near_zero = fma(fma(p, square, 0.12837916709551256566), x, x)
    size = 6.0 if size > 6.0 else size
    tail = copy_sign_64(1.0 - 2.0 * exp_of_negative(-size * size) * mills_ratio_64(SQRT2 * size), x)
    return tail if size > 1.0 else near_zero


erf = by_dtype(erf_32, erf_64)


@helper
def mills_ratio_32(a):
    """Mills's ratio over sqrt(2 pi), Q(a) / e^(-a^2 / 2), for a >= 0: a polynomial of (a - k) /
    (a + k), as in Shepherd and Laframboise (1981). The error that matters is that of Q beside 1,
    and 2^-8 (float64: 2^-20) times its relative error, so that the tail keeps some digits."""
    v = (a - np.float32(3)) / (a + np.float32(3))
    p = fma(np.float32(-0.0003645181909), v, np.float32(-0.0008946466362))
    p = fma(p, v, np.float32(0.002950923459))
    p = fma(p, v, np.float32(0.006112818703))
    p = fma(p, v, np.float32(-0.04622691396))
    p = fma(p, v, np.float32(0.12322572))
    p = fma(p, v, np.float32(-0.2064015936))
    return fma(p, v, np.float32(0.1215140092))


@helper
def mills_ratio_64(a):
    v = (a - 4.0) / (a + 4.0)
    p = fma(-1.1934454084497905618e-8, v, -1.4965970519362328756e-8)
    p = fma(p, v, 2.0548863073361935448e-7)
    p = fma(p, v, 5.4302582073963293346e-7)
    p = fma(p, v, -9.1486910153315233669e-7)
    p = fma(p, v, -4.2532330483333936066e-6)
    p = fma(p, v, 4.7172863846203463469e-6)
    p = fma(p, v, 0.000028662251551596074)
    p = fma(p, v, -0.000045585385085761320026)
    p = fma(p, v, -0.00018720068880033821994)
    p = fma(p, v, 0.00063881602653340289317)
    p = fma(p, v, 0.00050756607423326274681)
    p = fma(p, v, -0.008492094616208922908)
    p = fma(p, v, 0.030864803903898524699)
    p = fma(p, v, -0.071707407457283471143)
    p = fma(p, v, 0.12437925532037416735)
    p = fma(p, v, -0.17039772154937393902)
    return fma(p, v, 0.094410641301981996358)


mills_ratio = by_dtype(mills_ratio_32, mills_ratio_64)


@helper
def gelu_32(x):
    """x Phi(x) = max(x, 0) - |x| Q(|x|) with Q = 1 / p^8 as in erf. Its error matters beside 1: |x|
    Q is 0.17 at most."""
    size = abs(x)
    positive = np.float32(0) if x < np.float32(0) else x
    size = np.float32(1e6) if size > np.float32(1e6) else size  # p^8 is infinite there, and Q zero
    p = fma(np.float32(3.355194258e-6), size, np.float32(-2.038940683e-5))
    p = fma(p, size, np.float32(0.0001181275049))
    p = fma(p, size, np.float32(8.741099061e-5))
    p = fma(p, size, np.float32(0.001125709906))
    p = fma(p, size, np.float32(0.009315757378))
    p = fma(p, size, np.float32(0.0488704063))
    p = fma(p, size, np.float32(0.1087520067))
    p = fma(p, size, np.float32(1.090508362))
    return positive - size / eighth_power(p)


@helper
def gelu_64(x):
    size = abs(x)
    positive = 0.0 if x < 0.0 else x
    size = 39.0 if size > 39.0 else size
    return positive - size * (exp_of_negative(-0.5 * size * size) * mills_ratio_64(size))


gelu = by_dtype(gelu_32, gelu_64)


@helper
def erf_gradient(x, dy):
    return dy * T(2 / math.sqrt(math.pi)) * exp_of_negative(-x * x)


@helper
def gelu_gradient(x, dy):
    """dy (Phi(x) + x phi(x)); left of zero that is Q - |x| phi, right of it one less that."""
    size = abs(x)
    size = T(39) if size > T(39) else size
    slope = exp_of_negative(T(-0.5) * size * size) * fma(
        size, T(-1 / math.sqrt(2 * math.pi)), mills_ratio(size)
    )
    return dy * (slope if x < T(0) else T(1) - slope)
