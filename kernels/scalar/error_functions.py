"""1 less the error function, and its inverse.

erfc(x) = 1 - erf(x)        derivative -2 / sqrt(pi) e^(-x^2)
erfinv(erf(x)) = x          derivative sqrt(pi) / 2 e^(erfinv(x)^2)
"""

import math

import numpy as np

from ..declare import T, by_dtype, helper
from ..intrinsics import fma
from .elementary import exp_of_negative, log
from .special import erf


@helper
def tail_ratio_32(x):
    """(1 + 2 x) e^(x^2) erfc(x) for x from 1/2 to 11, within 5e-9: a polynomial of (x - 3) / (x +
    3), as in Shepherd and Laframboise (1981)."""
    v = (x - np.float32(3)) / (x + np.float32(3))
    p = fma(np.float32(-0.0005648089857), v, np.float32(0.00180336544))
    p = fma(p, v, np.float32(0.002409873143))
    p = fma(p, v, np.float32(-0.02374433746))
    p = fma(p, v, np.float32(0.06833503199))
    p = fma(p, v, np.float32(-0.1192772558))
    p = fma(p, v, np.float32(0.1296427675))
    p = fma(p, v, np.float32(-0.04756210321))
    p = fma(p, v, np.float32(-0.1356210483))
    return fma(p, v, np.float32(1.253008056))


@helper
def tail_ratio_64(x):
    """The same for x up to 28, within 4e-18, of (x - 4) / (x + 4)."""
    v = (x - 4.0) / (x + 4.0)
    p = fma(-1.0476718674668370491e-8, v, -1.2224048303152388241e-8)
    p = fma(p, v, 1.0568025135820958263e-7)
    p = fma(p, v, 6.7024528337289706582e-8)
    p = fma(p, v, -8.2255956320607202059e-7)
    p = fma(p, v, 2.9955790685567077232e-7)
    p = fma(p, v, 5.708642804404814717e-6)
    p = fma(p, v, -0.000011224732247350100767)
    p = fma(p, v, -0.000024398983809134552005)
    p = fma(p, v, 0.00015062249512264785385)
    p = fma(p, v, -0.00019925671345040716054)
    p = fma(p, v, -0.00075777344867628079381)
    p = fma(p, v, 0.0050319699756138132135)
    p = fma(p, v, -0.016197734038265920109)
    p = fma(p, v, 0.037167515538188930387)
    p = fma(p, v, -0.066330365813607131193)
    p = fma(p, v, 0.09373283499828750238)
    p = fma(p, v, -0.10103906603625374609)
    p = fma(p, v, 0.068097054254694796764)
    p = fma(p, v, 0.015379652102619026085)
    p = fma(p, v, -0.13962111684056253331)
    return fma(p, v, 1.2329951186255525114)


tail_ratio = by_dtype(tail_ratio_32, tail_ratio_64)


@helper
def largest_32():
    """From here on erfc is 0."""
    return np.float32(11)


@helper
def largest_64():
    return 28.0


largest = by_dtype(largest_32, largest_64)


@helper
def erfc(x):
    """From 1/2 on it keeps its digits however small it gets: e^(-x^2) is made of what x^2 is
    rounded to, and of the rest."""
    size = T(0.5) if x < T(0.5) else x
    size = largest() if size > largest() else size
    square = size * size
    rest = fma(size, size, -square)
    power = exp_of_negative(-square)
    tail = fma(-rest, power, power) * tail_ratio(size) / fma(T(2), size, T(1))
    return T(1) - erf(x) if x < T(0.5) else tail


@helper
def erfc_gradient(x, dy):
    return dy * T(-2 / math.sqrt(math.pi)) * exp_of_negative(-x * x)


@helper
def nearly_erfinv(x):
    """Giles's (2010) approximation to 3e-7 of it, by polynomials of -log(1 - x^2); nearer to 1 than
    float32's numbers come, one to a percent, of y^2 + log(y sqrt(pi)) = -log(1 - x)."""
    far = -log((T(1) - x) * (T(1) + x))
    w = far - T(2.5)
    p = fma(T(2.81022636e-08), w, T(3.43273939e-07))
    p = fma(p, w, T(-3.5233877e-06))
    p = fma(p, w, T(-4.39150654e-06))
    p = fma(p, w, T(0.00021858087))
    p = fma(p, w, T(-0.00125372503))
    p = fma(p, w, T(-0.00417768164))
    p = fma(p, w, T(0.246640727))
    p = fma(p, w, T(1.50140941))
    near = p * x
    w = T(np.sqrt(T(5) if far < T(5) else far)) - T(3)
    p = fma(T(-0.000200214257), w, T(0.000100950558))
    p = fma(p, w, T(0.00134934322))
    p = fma(p, w, T(-0.00367342844))
    p = fma(p, w, T(0.00573950773))
    p = fma(p, w, T(-0.0076224613))
    p = fma(p, w, T(0.00943887047))
    p = fma(p, w, T(1.00167406))
    p = fma(p, w, T(2.83297682))
    depth = (T(16) if far < T(16) else far) + T(math.log(2))
    deep = T(np.sqrt(depth - T(0.5) * log(T(math.pi) * depth)))
    found = near if far < T(5) else p * x
    return found if far < T(16) else deep


@helper
def erfinv(x):
    """Newton's steps by erf, or, where its values are near 1, by erfc; infinite at 1 and -1, NaN
    beyond."""
    size = abs(x)
    y = nearly_erfinv(size)
    for _ in range(2):
        off = erf(y) - size if size < T(0.5) else (T(1) - size) - erfc(y)
        y -= off / fma(y, off, T(2 / math.sqrt(math.pi)) * exp_of_negative(-y * y))
    y = T(math.inf) if size == T(1) else y
    y = x if size == T(0) else y
    return -y if x < T(0) else y


@helper
def erfinv_gradient(y, dy):
    return dy * T(math.sqrt(math.pi) / 2) / exp_of_negative(-y * y)
