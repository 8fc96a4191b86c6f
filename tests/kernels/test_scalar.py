"""Elementary functions against higher precision, in units in the last place, over all their
range."""

import mpmath
import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.compile.resolve import Specialiser
from fastnn.kernels.cpu import loops
from fastnn.kernels.declare import Target
from fastnn.kernels.scalar import (
    Formula,
    activations,
    arithmetic,
    elementary,
    power,
    special,
    trigonometric,
)
from fastnn.ops.record import registry
from tests.oracle import DTYPES, bound
from tests.processors import ON_X86_64, call


def formula(name):
    """The function of kernels/scalar that has a name."""
    families = (activations, arithmetic, elementary, power, special)
    return next(vars(f)[name] for f in families if name in vars(f))


ULPS = {"float32": 2, "float64": 4}
# float64 values are compared with 40 digits; float32 ones with float64, whose own error is 2^-29 of
# their units.
EXACT = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "erf": mpmath.erf,
}
IN_FLOAT64 = {name: registry[name].reference for name in EXACT}
POSITIVE = ("log", "sqrt")


def values(name, dtype, count):
    """Of every size: evenly spread bit patterns, powers of two and their neighbours, and where
    results over- and underflow."""
    info = np.finfo(dtype)
    bits = (
        np.linspace(0, np.array(info.max).view(f"u{info.bits // 8}"), count)
        .astype(f"u{info.bits // 8}")
        .view(dtype)
    )
    powers = np.ldexp(np.ones(1, dtype), np.arange(info.minexp, info.maxexp)).astype(dtype)
    edge = dtype == "float32"
    near = np.linspace(-104 if edge else -746, 89 if edge else 710, count // 4).astype(dtype)
    small = np.random.default_rng(0).uniform(-2, 2, count // 4).astype(dtype)
    x = np.concatenate(
        [
            bits,
            powers,
            np.nextafter(powers, dtype.type(0)),
            np.nextafter(powers, dtype.type(np.inf)),
            near,
            small,
        ]
    )
    x = x[np.isfinite(x) & ((np.abs(x) >= info.tiny) | (x == 0))]
    return np.abs(x[x != 0]) if name in POSITIVE else np.concatenate([x, -x])


def expect_close(name, x, got, exact, ulps=None):
    """`exact` in float64, or in extended precision, rounded nowhere near the type of `got`."""
    info, exact = np.finfo(got.dtype), exact.astype(np.longdouble)
    ordinary = (np.abs(exact) >= info.tiny) & (np.abs(exact) <= info.max)
    ulp = np.spacing(np.abs(exact[ordinary]).astype(got.dtype)).astype(np.float64)
    error = np.abs(got[ordinary].astype(np.longdouble) - exact[ordinary]).astype(np.float64) / ulp
    worst = int(error.argmax())
    assert error[worst] <= (ulps or ULPS[got.dtype.name]), (
        f"{name}({x[ordinary][worst]!r}) is {error[worst]:.2f} ulp off"
    )
    subnormal = np.abs(exact) < info.tiny
    assert (np.abs(got[subnormal]) <= info.tiny).all()
    assert np.isinf(got[np.abs(exact) > np.longdouble(info.max) * (1 + info.eps)]).all()


def evaluated(name, x, processor):
    """By the op, or by its kernel made for another processor."""
    if processor == "this one":
        return registry[name](x).numpy()
    y = np.empty_like(x)
    call(loops.flat_kernel(Formula(formula(name))), processor, x, y)
    return y


# Formulas differ by what a processor has instructions for.
processors = pytest.mark.parametrize(
    "processor", ["this one", pytest.param("AVX2", marks=ON_X86_64)]
)


@processors
@pytest.mark.parametrize("name", EXACT)
def test_float32_is_within_two_ulp(name, processor):
    x = values(name, np.dtype("float32"), 400_000)
    with np.errstate(all="ignore"):
        expect_close(name, x, evaluated(name, x, processor), IN_FLOAT64[name](x.astype(np.float64)))


def extended(v):
    """A number of mpmath's as NumPy's longest, whose range is float64's at least."""
    if not mpmath.mpf("1e-330") < mpmath.fabs(v) < mpmath.mpf("1e310"):
        return np.longdouble(0 if mpmath.fabs(v) < 1 else np.inf)
    return np.longdouble(mpmath.nstr(v, 25))


@processors
@pytest.mark.parametrize("name", EXACT)
def test_float64_is_within_four_ulp(name, processor):
    x = values(name, np.dtype("float64"), 4_000)
    with mpmath.workdps(40):
        exact = np.array([extended(EXACT[name](mpmath.mpf(float(v)))) for v in x])
    expect_close(name, x, evaluated(name, x, processor), exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_formulas_for_avx_512_read_the_same_in_python(name, dtype):
    """The bodies of its intrinsics: kernels that run interpreted are of another processor."""
    avx_512 = Specialiser(
        np.dtype(dtype).str[1:],
        Target(64, 32, "x86_64"),
        np.dtype(dtype).type,
        lambda _, f: f,
        lambda _, f: f,
    )
    function, x = avx_512.resolve(formula(name)), np.linspace(0.01, 12, 500).astype(dtype)
    expect_close(
        name,
        x,
        np.array([function(v) for v in x], dtype),
        IN_FLOAT64[name](x.astype(np.longdouble)),
    )


@processors
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_zeros_keep_their_sign_and_nan_and_infinity_are_numpys(name, dtype, processor):
    x = np.array(
        [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).max, -np.finfo(dtype).max], dtype
    )
    with np.errstate(all="ignore"):
        expected = IN_FLOAT64[name](x.astype(np.float64)).astype(dtype)
    got = evaluated(name, x, processor)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    # 1 at infinity too, to the last bit
    known = ~np.isnan(expected) & ((expected == 0) | np.isinf(expected) | np.isinf(x))
    np.testing.assert_array_equal(got[known], expected[known])
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(expected[known]))


# Where a result is a sum of larger numbers, and in derivatives, what counts is the error beside
# one: oracle.bound.
SUMS = ("gelu", "gelu_tanh", "silu", "softplus", "elu", "softsign")


def wide(name, dtype):
    """Closely where something happens, and sizes whose cube is finite and to which the complex step
    is small."""
    x = values(name, dtype, 2_000)
    x = np.concatenate(
        [np.linspace(-40, 40, 40_000).astype(dtype), x[(np.abs(x) < 1e10) & (np.abs(x) > 1e-10)]]
    )
    return np.abs(x[x != 0]) if name in POSITIVE else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SUMS)
def test_sums_are_within_their_bound(name, dtype):
    x = wide(name, np.dtype(dtype))
    with np.errstate(all="ignore"):
        expected = registry[name].reference(x.astype(np.float64))
    error = np.abs(registry[name](x).numpy() - expected)
    worst = int((error / bound(registry[name], expected, dtype)).argmax())
    assert error[worst] <= bound(registry[name], expected, dtype)[worst], (
        f"{name}({x[worst]!r}) is {error[worst]} off"
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*EXACT, *SUMS])
def test_derivatives_are_within_their_bound(name, dtype):
    x = wide(name, np.dtype(dtype))
    with np.errstate(all="ignore"):
        expected = np.imag(registry[name].reference(x.astype(np.complex128) + 1e-30j)) / 1e-30
    ordinary = np.isfinite(expected) & (np.abs(expected) < np.finfo(dtype).max)
    t = fastnn.tensor(x, requires_gradient=True)
    registry[name](t).backward(np.ones_like(x))
    error = np.abs(t.gradient.numpy()[ordinary] - expected[ordinary])
    # A derivative made of a result is as good as that: absolutely 2 and 4 units.
    allowed = np.finfo(dtype).eps * (
        ULPS[dtype] + registry[name].tolerance.relative * np.abs(expected[ordinary])
    )
    worst = int((error / allowed).argmax())
    assert error[worst] <= allowed[worst], (
        f"{name}'({x[ordinary][worst]!r}) is {error[worst]} off {expected[ordinary][worst]}"
    )


# Next to a multiple of pi/2, closer than any other float64 or float32; the largest; some.
FAR_ANGLES = {
    "float32": [
        2.0**22,
        -16367173 * 2.0**72,
        3.4028234e38,
        -1e7,
        16777217,
        1e9,
        12345678,
        2.0**100,
    ],
    "float64": [2.0**51, 6381956970095103 * 2.0**797, 1.797e308, -1e20, 5.319372648326541e255],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_sines_of_large_numbers(name, dtype):
    """Among small ones, in one tile of the loop and in another; their gradients too."""
    rng = np.random.default_rng(0)
    top = np.finfo(dtype).maxexp - 1
    x = np.exp2(rng.uniform(20, top, 300)) * rng.choice((-1, 1), 300)
    x[:40], x[40 : 40 + len(FAR_ANGLES[dtype])] = rng.uniform(-4, 4, 40), FAR_ANGLES[dtype]
    x = np.concatenate([x, x[:11]]).astype(dtype)
    with mpmath.workprec(1200):
        exact = np.array([extended(getattr(mpmath, name)(mpmath.mpf(float(v)))) for v in x])
        slope = [extended(mpmath.diff(getattr(mpmath, name), mpmath.mpf(float(v)))) for v in x]
    t = fastnn.tensor(x, requires_gradient=True)
    y = registry[name](t)
    expect_close(name, x, y.numpy(), exact, 4)
    ops.sum(y).backward()
    np.testing.assert_allclose(t.gradient.numpy(), np.array(slope, "f8"), rtol=1e-5, atol=1e-6)
    nothing = registry[name](np.array([np.inf, -np.inf, np.nan], dtype)).numpy()
    assert np.isnan(nothing).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_erfc_and_erfinv_keep_their_digits(dtype):
    rng, top = np.random.default_rng(0), 9 if dtype == "float32" else 26
    x = np.concatenate([rng.uniform(-3, top, 500), [0.5, 0.49999, 2e-9]]).astype(dtype)
    with mpmath.workdps(40):
        exact = np.array([extended(mpmath.erfc(mpmath.mpf(float(v)))) for v in x])
    expect_close("erfc", x, registry["erfc"](x).numpy(), exact, 6)
    y = 1 - np.exp2(-rng.uniform(0, 23 if dtype == "float32" else 52, 300))
    y = np.concatenate([y, -y, np.exp2(-rng.uniform(1, 60, 100))]).astype(dtype)
    with mpmath.workdps(40):
        exact = np.array([extended(mpmath.erfinv(mpmath.mpf(float(v)))) for v in y])
    expect_close("erfinv", y, registry["erfinv"](y).numpy(), exact, 6)


def test_two_over_pi_has_all_its_digits():
    with mpmath.workprec(3000):
        bits = trigonometric.DIGIT_BITS * trigonometric.DIGITS
        assert int(mpmath.floor(2 / mpmath.pi * mpmath.mpf(2) ** bits)) == trigonometric.TWO_OVER_PI
