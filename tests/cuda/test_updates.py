"""Optimizers' updates and their checks on CUDA: the CPU's bits, and the lowest element's status."""

import numpy as np
import pytest

import fastnn
from fastnn import optimizers
from fastnn.compile.ptx_entry import COMMITS
from fastnn.compile.target import processor
from fastnn.kernels.cuda import updates
from fastnn.kernels.status import NOT_FINITE, UPDATE_OVERFLOW
from fastnn.ops import updates as ops
from tests.oracle import as_type, draw

from .both import FLOATS, QUICKLY, missed, on_both, on_cuda, same_numbers, sectors, slow
from .emulator import Failed, mirrored, run

BLOCK = updates.THREADS * 4
SIZES = (0, 1, 3, 4, 31, 33, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7)
RATE, STEPS, SQUARES = np.array([1e-2]), np.array([40]), np.array([9.0])
TINY = np.finfo("float64").tiny
EXACT = processor().target.vector_bytes <= 32  # AVX-512 has another division: of other last places
floats = pytest.mark.parametrize("dtype", FLOATS)


def made(op, n, dtype):
    """Inputs of an update, and what it writes over."""
    rng, rule = np.random.default_rng(n), op.formula
    gradient, parameter = rng.normal(size=(2, n)).astype(dtype)
    states = rng.uniform(0.5, 1, (len(rule.states), n)).astype(dtype)
    cells, flags = [np.array([0.8])] * len(rule.cells), [np.array([0]) for _ in rule.flag]
    return [gradient, RATE, STEPS, SQUARES, *cells], [parameter, *states, *flags]


CONDITIONED = {"decay": 0.2, "clipnorm": 2.0, "unscale": 0.5, "every": 3, "steps_before": 1}
UPDATES = [
    (ops.sgd, {}),
    (ops.sgd_momentum, {"momentum": 0.9}),
    (ops.sgd_momentum, {"momentum": 0.9, "nesterov": 1.0}),
    (ops.adam, {"beta_1": 0.8, "epsilon": 1e-3, "steps_before": 2}),
    (ops.adam, {"epsilon": 0.1, "epsilon_after_correction": 1.0, **CONDITIONED}),
    (ops.amsgrad, {"beta_2": 0.1}),
    (ops.adamax, {}),
    (ops.nadam, {}),
    (ops.rmsprop, {"rho": 0.8}),
    (ops.rmsprop_general, {"momentum": 0.9, "centered": 1.0, "epsilon": 1.0}),
    (ops.adagrad, {}),
    (ops.adadelta, {}),
    (ops.ftrl, {"l1_regularization_strength": 0.5, "beta": 0.3}),
    (ops.lion, {}),
]
BESIDES = (ops.accumulate_gradient, ops.moving_average, ops.nadam_product, ops.sum_of_squares)
EVERY_BRANCH = (
    {},
    {"steps_before": 0},
    {"epsilon_after_correction": 1.0},
    {"epsilon_after_correction": 1.0, "beta_2": 0.5},
    {"every": 0},  # a branch that Numba makes, and nobody takes
)
# Whose every line is run; the others are made alike.
FIRST = (ops.sgd, ops.sgd_momentum, ops.adam, ops.rmsprop)
every_update = pytest.mark.parametrize(("op", "attributes"), UPDATES, ids=str)


def as_on_the_cpu(op, attributes, expected, found):
    """Of float64 a GPU does not flush denormal numbers to zero."""
    expected, found = ([np.where(np.abs(x) < TINY, 0, x) for x in xs] for xs in (expected, found))
    if not EXACT and op not in (ops.sgd, ops.sgd_momentum, ops.lion):
        eps = max(8, op.tolerance.absolute) * np.finfo(expected[0].dtype).eps
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=eps, atol=eps)
        return
    same_numbers(op, attributes, expected, found)


@pytest.mark.parametrize("dtype", QUICKLY)
@every_update
def test_updates_are_the_cpus(op, attributes, dtype):
    for n in SIZES if op in FIRST else SIZES[::3]:
        given, written = made(op, n, dtype)
        for shift in (0, 1):
            on_both(op, *given, places=written, shift=shift, check=as_on_the_cpu, **attributes)
    if op in (ops.adam, ops.rmsprop):  # of 0 it is the smallest number that is not flushed to zero
        given, written = made(op, 9, dtype)
        for x in (given[0], *written[1:]):
            x[:] = 0
        on_both(op, *given, places=written, epsilon=0.0)
    if op is ops.sgd_momentum:
        given, written = made(op, 9, dtype)
        written[1][5] = np.finfo(dtype).max / 4
        (_, _, is_large), _ = run(op, given, written, attributes)
        assert is_large == [1]
    if op in FIRST:
        for others in EVERY_BRANCH:
            if set(others) <= set(op.names):
                given, written = made(op, 9, dtype)
                on_both(op, *given, places=written, **{**attributes, **CONDITIONED, **others})
        assert missed(updates.kernel_of(op.formula), np.dtype(dtype).str[1:]) == []


@pytest.mark.parametrize("dtype", ["float32", slow("float64")])
def test_extreme_gradients_and_states(dtype):
    """The check and the update, as training calls them."""
    largest = np.finfo(dtype).max
    exponents = np.linspace(np.log10(np.finfo(dtype).tiny), np.log10(largest), 40)[:-1]
    values = np.concatenate([10**exponents, -(10**exponents), [0, largest, -largest]])
    values = values.astype(dtype)
    for optimizer in (
        optimizers.SGD(1e-3),
        optimizers.SGD(1e-3, 0.9, nesterov=True),
        optimizers.Adam(1e-3),
        optimizers.Adam(1e-3, 0.9, 0.5),  # whose m outlasts its v
        optimizers.RMSprop(1e-3),
        optimizers.Nadam(1e-3),
    ):
        weight, ran = fastnn.Variable(np.ones(values.size), dtype=dtype), []

        def check(op, attributes, expected, found, ran=ran):
            ran.append(op.name)
            as_on_the_cpu(op, attributes, expected, found)

        with mirrored(check, shift=1):
            for gradient in (values / 100, values / 100, -values / 100, np.ones_like(values)):
                optimizer.apply([gradient.astype(dtype)], [weight])
        assert len(ran) >= 8, ran


def refused(op, given, written, **options):
    with pytest.raises(Failed) as failed:
        run(op, given, written, {}, number=COMMITS, **options)
    return failed.value.code, failed.value.place


@pytest.mark.parametrize("dtype", QUICKLY)
@pytest.mark.parametrize("op", FIRST, ids=str)
def test_the_lowest_element_that_is_refused_is_reported(op, dtype):
    check, n, largest = ops.check_of[op], 3 * BLOCK - 1, float(np.finfo(dtype).max)
    for shift in (0, 1):
        given, written = made(op, n, dtype)
        before = [w.copy() for w in written]
        same, _ = run(check, given, written, {}, shift=shift)
        same_numbers(check, {}, before, same)
        gradient, parameter = given[0], written[0]
        for place, value in [(n - 1, np.nan), (2 * BLOCK + 3, -np.inf), (2 * BLOCK, np.inf)]:
            gradient[place] = value
            options = {"shift": shift, "schedule": "fuzz", "seed": place}
            assert refused(check, given, written, **options) == (NOT_FINITE, place)
        parameter[BLOCK + 1] = largest
        given[1] = np.array([np.inf])
        assert refused(check, given, written, shift=shift) == (UPDATE_OVERFLOW, 0)
        given[1], gradient[BLOCK + 1] = RATE, -largest
        if op in (ops.sgd, ops.sgd_momentum):
            assert refused(check, given, written, shift=shift) == (UPDATE_OVERFLOW, BLOCK + 1)
    given, written = made(op, 9, dtype)
    given[1] = np.array([1e10])  # a rate at which gradients alone do not tell
    run(check, given, written, {})
    if op is ops.sgd_momentum:
        written[-1][0] = 1
        run(check, given, written, {})
    if op is ops.adam:
        run(check, given, written, {"beta_1": 0.9, "beta_2": 0.5})
        run(check, given, written, {"beta_1": 0.9, "beta_2": 0.5, "epsilon": 1e-300})
    for others in EVERY_BRANCH:
        if set(others) <= set(op.names):
            given, written = made(op, 9, dtype)
            given[1] = 1e8 * RATE  # with which the decay makes parameters larger
            run(check, given, written, {**CONDITIONED, **others})
    assert missed(updates.check_of(op.formula), np.dtype(dtype).str[1:]) == []


@floats
def test_check_finite(dtype):
    largest = np.finfo(dtype).max
    for n in SIZES:
        for shift in (0, 1):
            x = np.full(n, largest, dtype)
            run(ops.check_finite, [x], [], {}, shift=shift)
            for place in sorted({n - 1, n // 2, 0} - {-1}, reverse=True) if n else ():
                x[place] = (np.nan, np.inf, -np.inf)[place % 3]
                found = refused(ops.check_finite, [x], [], shift=shift, schedule="fuzz")
                assert found == (NOT_FINITE, place)
    assert missed(updates.check_finite, np.dtype(dtype).str[1:]) == []


@every_update
def test_memory_is_moved_by_whole_sectors(op, attributes):
    if op not in FIRST:
        pytest.skip("made alike")
    given, written = made(op, 16 * BLOCK, "float32")
    stats = on_cuda(op, given, written, **attributes)
    assert sectors(stats) <= 1.1
    assert (
        stats.global_sectors()
        <= 1.1 * (given[0].nbytes + 2 * (len(written) * given[0].nbytes)) / 32
    )
    stats = on_cuda(ops.check_of[op], given, written, **attributes)
    numbers = stats.threads // 32 * 4  # which each warp reads
    assert stats.global_sectors() - numbers <= 1.1 * given[0].nbytes / 32


@pytest.mark.parametrize(
    "op",
    [ops.accumulate_gradient, ops.moving_average, ops.nadam_product, ops.sum_of_squares],
    ids=str,
)
def test_what_is_kept_besides(op):
    """In another order, sums of squares: within some last places of float64."""

    def close(op, attributes, expected, found):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-13 if op is ops.sum_of_squares else 0)

    for number, case in enumerate(op.cases):
        drawn = draw(case, number)
        arrays = [a if i in op.float64 else as_type([a], "float32")[0] for i, a in enumerate(drawn)]
        if op is ops.sum_of_squares:
            arrays[0] *= np.float32(1e30)  # none overflows
        given, written = arrays[: op.arity], arrays[op.arity :]
        on_both(op, *given, places=written, check=close, shift=1, **case.attributes)
