"""Optimizers' updates, one pass over memory each, and the checks before, as kernels/cpu/updates.py
has them: four neighbours to a thread. `kernels/scalar/updates.py` has the formulas.

A check writes nothing. It works an update out only where this thread's gradients do not tell that
it is finite; of what is not, the lowest element is reported.
"""

from ..declare import T, helper, kernel
from ..scalar.updates import adam as adam_of
from ..scalar.updates import rmsprop as rmsprop_of
from ..scalar.updates import sgd as sgd_of
from ..scalar.updates import sgd_momentum as sgd_momentum_of
from ..status import NOT_FINITE, lowest_place
from ..step_size import (
    FLOAT_MIN_NORMAL,
    OVERFLOW_MARGIN,
    adam_margin,
    adam_scale,
    is_finite,
    refusal,
    rmsprop_margin,
)
from .grid import (
    FOUR,
    atomic_max,
    barrier,
    first_of_four,
    is_aligned,
    load_four,
    shared_array,
    store_four,
    thread_index,
)

THREADS = 256
FLAT = [("n", THREADS * FOUR)]
ONE = 1


@helper
def are_finite(x, i, factor):
    """Whether this thread's elements of x times `factor` are: if False, perhaps. Infinity or NaN
    never leave a sum."""
    if i + FOUR <= x.size and is_aligned(x):
        x_0, x_1, x_2, x_3 = load_four(x, i)
        return is_finite((x_0 * factor + x_1 * factor) + (x_2 * factor + x_3 * factor))
    total, end = T(0), min(i + FOUR, x.size)
    while i < end:
        total += x[i] * factor
        i += 1
    return is_finite(total)


@kernel(threads=THREADS, split=FLAT, batched=True, x="T[n]")
def check_finite(x):
    """Report the first element that is NaN or infinite."""
    i = first_of_four(THREADS)
    if are_finite(x, i, T(1)):
        return 0
    end = min(i + FOUR, x.size)
    while i < end:
        if not is_finite(x[i]):
            return lowest_place(0, NOT_FINITE, i)
        i += 1
    return 0


# ---- SGD


@kernel(
    threads=THREADS, split=FLAT, name="sgd", gradient="T[n]", rate="f8[s]", parameter="inout T[n]"
)
def update_sgd(gradient, rate, parameter):
    i, r = first_of_four(THREADS), T(rate[0])
    if i + FOUR <= parameter.size and is_aligned(gradient) and is_aligned(parameter):
        g_0, g_1, g_2, g_3 = load_four(gradient, i)
        p_0, p_1, p_2, p_3 = load_four(parameter, i)
        p_0, p_1, p_2, p_3 = (
            sgd_of(p_0, g_0, r),
            sgd_of(p_1, g_1, r),
            sgd_of(p_2, g_2, r),
            sgd_of(p_3, g_3, r),
        )
        store_four(parameter, i, (p_0, p_1, p_2, p_3))
        return
    end = min(i + FOUR, parameter.size)
    while i < end:
        parameter[i] = sgd_of(parameter[i], gradient[i], r)
        i += 1


@kernel(
    threads=THREADS,
    split=FLAT,
    batched=True,
    gradient="T[n]",
    rate="f8[s]",
    parameter="some T[n]",
)
def check_sgd(gradient, rate, parameter):
    i, r = first_of_four(THREADS), T(rate[0])
    if are_finite(gradient, i, T(rate[0] * OVERFLOW_MARGIN)):
        return 0
    end = min(i + FOUR, parameter.size)
    while i < end:
        if not is_finite(sgd_of(parameter[i], gradient[i], r)):
            return refusal(i, gradient[i])
        i += 1
    return 0


# ---- SGD with momentum


@kernel(
    threads=THREADS,
    split=FLAT,
    name="sgd_momentum",
    gradient="T[n]",
    rate="f8[s]",
    momentum="float",
    nesterov="int",
    parameter="inout T[n]",
    velocity="inout T[n]",
    velocity_is_large="inout i8[s]",
)
def update_sgd_momentum(gradient, rate, momentum, nesterov, parameter, velocity, velocity_is_large):
    """`velocity_is_large` becomes 1 when a velocity is so large that the gradient alone no longer
    tells whether a step is finite."""
    i, r, m = first_of_four(THREADS), T(rate[0]), T(momentum)
    p, g, v, total = parameter, gradient, velocity, T(0)
    end = min(i + FOUR, p.size)
    if i + FOUR <= p.size and is_aligned(p) and is_aligned(g) and is_aligned(v):
        g_0, g_1, g_2, g_3 = load_four(g, i)
        p_0, p_1, p_2, p_3 = load_four(p, i)
        v_0, v_1, v_2, v_3 = load_four(v, i)
        p_0, v_0 = sgd_momentum_of(p_0, g_0, v_0, r, m, nesterov)
        p_1, v_1 = sgd_momentum_of(p_1, g_1, v_1, r, m, nesterov)
        p_2, v_2 = sgd_momentum_of(p_2, g_2, v_2, r, m, nesterov)
        p_3, v_3 = sgd_momentum_of(p_3, g_3, v_3, r, m, nesterov)
        store_four(p, i, (p_0, p_1, p_2, p_3))
        store_four(v, i, (v_0, v_1, v_2, v_3))
        margin = T(OVERFLOW_MARGIN)
        total = (v_0 * margin + v_1 * margin) + (v_2 * margin + v_3 * margin)
        i = end
    while i < end:
        p[i], moved = sgd_momentum_of(p[i], g[i], v[i], r, m, nesterov)
        total += moved * T(OVERFLOW_MARGIN)
        v[i] = moved
        i += 1
    if not is_finite(total):
        atomic_max(velocity_is_large, 0, 1)


@kernel(
    threads=THREADS,
    split=FLAT,
    batched=True,
    name="check_sgd_momentum",
    gradient="T[n]",
    rate="f8[s]",
    momentum="float",
    nesterov="int",
    parameter="some T[n]",
    velocity="some T[n]",
    velocity_is_large="i8[s]",
)
def sgd_momentum_check(gradient, rate, momentum, nesterov, parameter, velocity, velocity_is_large):
    i, r, m = first_of_four(THREADS), T(rate[0]), T(momentum)
    if velocity_is_large[0] == 0 and are_finite(gradient, i, T(rate[0] * OVERFLOW_MARGIN)):
        return 0
    end = min(i + FOUR, parameter.size)
    while i < end:
        new, _ = sgd_momentum_of(parameter[i], gradient[i], velocity[i], r, m, nesterov)
        if not is_finite(new):
            return refusal(i, gradient[i])
        i += 1
    return 0


# ---- Adam


@kernel(
    threads=THREADS,
    split=FLAT,
    name="adam",
    gradient="T[n]",
    rate="f8[s]",
    steps="i8[s]",
    beta_1="float",
    beta_2="float",
    epsilon="float",
    steps_before="int",
    parameter="inout T[n]",
    m="inout T[n]",
    v="inout T[n]",
)
def update_adam(gradient, rate, steps, beta_1, beta_2, epsilon, steps_before, parameter, m, v):
    """Update number t = steps + steps_before + 1. One thread of a block works the bias correction
    out: some 200 operations in float64, of which most GPUs make a sixty-fourth of float32's."""
    i, p, g, shared = first_of_four(THREADS), parameter, gradient, shared_array(0.0, ONE)
    if thread_index() == 0:
        shared[0] = adam_scale(rate[0], steps[0] + steps_before + 1, beta_1, beta_2)
    barrier()
    scale, e = T(shared[0]), T(max(epsilon, FLOAT_MIN_NORMAL))
    one, two = T(1.0 - beta_1), T(1.0 - beta_2)
    end = min(i + FOUR, p.size)
    if i + FOUR <= p.size and is_aligned(p) and is_aligned(g) and is_aligned(m) and is_aligned(v):
        g_0, g_1, g_2, g_3 = load_four(g, i)
        p_0, p_1, p_2, p_3 = load_four(p, i)
        m_0, m_1, m_2, m_3 = load_four(m, i)
        v_0, v_1, v_2, v_3 = load_four(v, i)
        p_0, m_0, v_0 = adam_of(p_0, g_0, m_0, v_0, scale, one, two, e)
        p_1, m_1, v_1 = adam_of(p_1, g_1, m_1, v_1, scale, one, two, e)
        p_2, m_2, v_2 = adam_of(p_2, g_2, m_2, v_2, scale, one, two, e)
        p_3, m_3, v_3 = adam_of(p_3, g_3, m_3, v_3, scale, one, two, e)
        store_four(p, i, (p_0, p_1, p_2, p_3))
        store_four(m, i, (m_0, m_1, m_2, m_3))
        store_four(v, i, (v_0, v_1, v_2, v_3))
        return
    while i < end:
        p[i], m[i], v[i] = adam_of(p[i], g[i], m[i], v[i], scale, one, two, e)
        i += 1


@kernel(
    threads=THREADS,
    split=FLAT,
    batched=True,
    name="check_adam",
    gradient="T[n]",
    rate="f8[s]",
    steps="i8[s]",
    beta_1="float",
    beta_2="float",
    epsilon="float",
    steps_before="int",
    parameter="some T[n]",
    m="some T[n]",
    v="some T[n]",
)
def adam_check(gradient, rate, steps, beta_1, beta_2, epsilon, steps_before, parameter, m, v):
    i, p, g = first_of_four(THREADS), parameter, gradient
    if are_finite(g, i, T(adam_margin(rate[0], beta_1, beta_2, epsilon))):
        return 0
    scale = T(adam_scale(rate[0], steps[0] + steps_before + 1, beta_1, beta_2))
    one, two = T(1.0 - beta_1), T(1.0 - beta_2)
    e, end = T(max(epsilon, FLOAT_MIN_NORMAL)), min(i + FOUR, p.size)
    while i < end:
        new, mean, _ = adam_of(p[i], g[i], m[i], v[i], scale, one, two, e)
        if not (is_finite(new) and is_finite(mean)):
            return refusal(i, g[i])
        i += 1
    return 0


# ---- RMSprop


@kernel(
    threads=THREADS,
    split=FLAT,
    name="rmsprop",
    gradient="T[n]",
    rate="f8[s]",
    rho="float",
    epsilon="float",
    parameter="inout T[n]",
    square="inout T[n]",
)
def update_rmsprop(gradient, rate, rho, epsilon, parameter, square):
    i, r, one_minus_rho = first_of_four(THREADS), T(rate[0]), T(1.0 - rho)
    p, g, s, e = parameter, gradient, square, T(max(epsilon, FLOAT_MIN_NORMAL))
    end = min(i + FOUR, p.size)
    if i + FOUR <= p.size and is_aligned(p) and is_aligned(g) and is_aligned(s):
        g_0, g_1, g_2, g_3 = load_four(g, i)
        p_0, p_1, p_2, p_3 = load_four(p, i)
        s_0, s_1, s_2, s_3 = load_four(s, i)
        p_0, s_0 = rmsprop_of(p_0, g_0, s_0, r, one_minus_rho, e)
        p_1, s_1 = rmsprop_of(p_1, g_1, s_1, r, one_minus_rho, e)
        p_2, s_2 = rmsprop_of(p_2, g_2, s_2, r, one_minus_rho, e)
        p_3, s_3 = rmsprop_of(p_3, g_3, s_3, r, one_minus_rho, e)
        store_four(p, i, (p_0, p_1, p_2, p_3))
        store_four(s, i, (s_0, s_1, s_2, s_3))
        return
    while i < end:
        p[i], s[i] = rmsprop_of(p[i], g[i], s[i], r, one_minus_rho, e)
        i += 1


@kernel(
    threads=THREADS,
    split=FLAT,
    batched=True,
    name="check_rmsprop",
    gradient="T[n]",
    rate="f8[s]",
    rho="float",
    epsilon="float",
    parameter="some T[n]",
    square="some T[n]",
)
def rmsprop_check(gradient, rate, rho, epsilon, parameter, square):
    i, p, g, s = first_of_four(THREADS), parameter, gradient, square
    if are_finite(g, i, T(rmsprop_margin(rate[0]))):
        return 0
    r, one_minus_rho = T(rate[0]), T(1.0 - rho)
    e, end = T(max(epsilon, FLOAT_MIN_NORMAL)), min(i + FOUR, p.size)
    while i < end:
        new, _ = rmsprop_of(p[i], g[i], s[i], r, one_minus_rho, e)
        if not is_finite(new):
            return refusal(i, g[i])
        i += 1
    return 0


# ---- launchers


def sgd(call, gradient, rate, parameter):
    call(update_sgd, gradient, rate, parameter)


def _sgd_momentum(kernel):
    def launch(
        call,
        gradient,
        rate,
        parameter,
        velocity,
        velocity_is_large,
        *,
        momentum=0.0,
        nesterov=False,
    ):
        written = parameter, velocity, velocity_is_large
        call(kernel, gradient, rate, momentum, int(nesterov), *written)

    return launch


def _adam(kernel):
    def launch(
        call,
        gradient,
        rate,
        steps,
        parameter,
        m,
        v,
        *,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        steps_before=0,
    ):
        call(kernel, gradient, rate, steps, beta_1, beta_2, epsilon, steps_before, parameter, m, v)

    return launch


def _rmsprop(kernel):
    def launch(call, gradient, rate, parameter, square, *, rho=0.9, epsilon=1e-7):
        call(kernel, gradient, rate, rho, epsilon, parameter, square)

    return launch


sgd_momentum, check_sgd_momentum = map(_sgd_momentum, (update_sgd_momentum, sgd_momentum_check))
adam, check_adam = map(_adam, (update_adam, adam_check))
rmsprop, check_rmsprop = map(_rmsprop, (update_rmsprop, rmsprop_check))
