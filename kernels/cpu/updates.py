"""Optimizers' updates, one pass over memory each, over runs of variables that lie next to each
other; and the checks before. `kernels/update_rules.py` says what there is, `scalar/updates.py` has
the formulas.

What changes between steps lies in memory: `rate` is the learning rate, `steps` the number of steps
done, `squares` the sum of squares of the gradients whose norm is clipped. Gradients are first
scaled (by `unscale`, and to a norm of at most `clipnorm`), and parameters decay: p - decay rate p.
Update number t is that of every `every`-th step; those between change nothing.

A step changes everything or nothing. So an update's kernel is called twice: with commit = 0, as a
check that writes nothing (its form `declared` so), for every run of variables, and only then, with
commit = 1, to update them. The check refuses what is not finite and what would make a weight so.
Nearly always gradients alone, and the rate, tell that none can become so, which takes two
instructions a vector; else the check works the update out, element by element. With commit = 1
every element is written, whatever it is: a choice of what to store would be a masked store, which
is slow on some processors. The kernel of a rule with a state v is

    def name(gradient, rate, steps, squares, ..., commit, parameter, v, start, stop):
        p, g, v = parameter[start:stop], gradient[start:stop], v[start:stop]
        before = steps[0] + steps_before
        if is_between(before, every):
            return 0
        scale = gradient_scale(squares[0], clipnorm, unscale)
        shrink = decay * rate[0]
        if commit == 0:
            if are_finite(g, T(checked_margin(margin(rate[0], ...), shrink) * scale)):
                return 0
        number_0, ... = numbers(rate[0], updates_done(before, every) + 1, ...)
        ...
        for i in range(p.size):
            p[i], v[i] = function(fma(-shrink, p[i], p[i]), g[i] * scale, v[i], number_0, ...)
        return 0
"""

from functools import cache

import numpy as np

from ..declare import T, helper, kernel
from ..formula_loops import written
from ..intrinsics import fma
from ..status import NOT_FINITE, lowest_place
from ..step_size import (
    OVERFLOW_MARGIN,
    checked_margin,
    gradient_scale,
    is_between,
    is_finite,
    nadam_momentum,
    refusal,
    updates_done,
)
from ..update_rules import launcher_of, listed
from .threads import ELEMENT_GRAIN, ceil_div

BY_ELEMENT = [("n", ELEMENT_GRAIN)]
CHUNK_ELEMENTS = 4096  # whose squares one thread adds up


@helper
def scaled(x, factor):
    """A product of its own: the sum around it may be taken in any order, but the factor not out of
    it."""
    return x * factor


@helper(reassociate=True)
def plus(total, x):
    """A sum that is finite only if all that is added to it is: infinity or NaN never leave it. It
    seldom overflows otherwise."""
    return total + x


@helper
def are_finite(x, factor):
    """Whether all elements times `factor` are: if False, perhaps."""
    total = T(0)
    for i in range(x.size):
        total = plus(total, scaled(x[i], factor))
    return is_finite(total)


@kernel(split=BY_ELEMENT, x="T[n]")
def check_finite(x, start, stop):
    """Report the first element that is NaN or infinite: the one instruction between computing a
    step and committing it."""
    x = x[start:stop]
    if are_finite(x, T(1)):
        return 0
    for i in range(x.size):
        if not is_finite(x[i]):
            return lowest_place(0, NOT_FINITE, start + i)
    return 0


NAMES = {
    "MARGIN": OVERFLOW_MARGIN,
    "T": T,
    "are_finite": are_finite,
    "checked_margin": checked_margin,
    "fma": fma,
    "gradient_scale": gradient_scale,
    "is_between": is_between,
    "is_finite": is_finite,
    "plus": plus,
    "refusal": refusal,
    "scaled": scaled,
    "updates_done": updates_done,
}


@cache
def kernel_of(rule):
    """The kernel of a rule."""
    (flag,), states, given = rule.flag or ("",), rule.states, listed(rule.attributes)
    numbers, new = rule.number_names, ("new", *[f"new_{s}" for s in states])
    results = ("p", *states)
    of_element = (
        f"{listed(new)}= function(fma(-shrink, p[i], p[i]), g[i] * scale, "
        f"{listed(states, '{}[i]')}{listed(numbers)})"
    )
    watching = [
        "if not is_finite(total):",
        f"    {flag}[0] = 1",
    ]
    # vectorised, as a loop that returns is not
    kept = ["new", *[f"new_{s}" for s in rule.finite]]
    working_out = [
        "    total = T(0)",
        "    for i in range(p.size):",
        f"        {of_element}",
        *[f"        total = plus(total, scaled({x}, T(1.0 / MARGIN)))" for x in kept],
        "    if is_finite(total):",
        "        return 0",
    ]
    body = [
        "p, g = parameter[start:stop], gradient[start:stop]",
        *[f"{s} = {s}[start:stop]" for s in states],
        "before = steps[0] + steps_before",
        "if is_between(before, every):",
        "    return 0",
        "factor, decayed = gradient_scale(squares[0], clipnorm, unscale), decay * rate[0]",
        "if commit == 0:",
        f"    enough = checked_margin(margin(rate[0], {given}), decayed) * factor",
        f"    if {f'{flag}[0] == 0 and ' if flag else ''}are_finite(g, T(enough)):",
        "        return 0",
        "t, scale, shrink = updates_done(before, every) + 1, T(factor), T(decayed)",
        f"{listed(numbers)}= numbers(rate[0], t, {listed(rule.cells, '{}[0]')}{given})",
        f"{listed(numbers)}= {listed(numbers, 'T({})')}",
        "if commit == 0:",
        *(working_out if rule.unbounded else []),
        "    for i in range(p.size):",
        f"        {of_element}",
        f"        if not ({' and '.join([f'is_finite({x})' for x in kept])}):",
        "            return refusal(start + i, g[i])",
        "    return 0",
        *(["total = T(0)"] if flag else []),
        "for i in range(p.size):",
        f"    {of_element}",
        *([f"    total = plus(total, scaled(new_{rule.watched}, T(MARGIN)))"] if flag else []),
        f"    {listed(results, '{}[i]')}= {listed(new)}",
        *(watching if flag else []),
        "return 0",
    ]
    names = {"numbers": rule.numbers, "margin": rule.margin, **NAMES}
    declared = {**rule.declared_inputs, "commit": "int", **rule.declared_results("inout")}
    text = written(globals(), rule.formula, rule.name, (*declared, "start", "stop"), *body, **names)
    return kernel(split=BY_ELEMENT, **declared)(text)


@cache
def check_of(rule):
    """The same kernel, called with commit = 0: it writes nothing, and seldom reads more than the
    gradient."""
    return kernel_of(rule).declared(f"check_{rule.name}", **rule.declared_results("some"))


# ---- norms


@helper(reassociate=True)
def plus_square(total, x):
    """total + x^2, in any order."""
    return total + x * x


@helper
def squares(x):
    """The sum of squares, in float64: none of float32 overflows."""
    total = 0.0
    for i in range(x.size):
        total = plus_square(total, np.float64(x[i]))
    return total


@kernel(x="T[n]", out="out f8[s]")
def sum_of_few_squares(x, out):
    """out = the sum of squares."""
    out[0] = squares(x)


@kernel(split=[("P", 1)], x="T[n]", chunk="int", partial="out f8[P]")
def squares_of_chunks(x, chunk, partial, start, stop):
    """partial[p] = the sum of squares of chunk number p."""
    for p in range(start, stop):
        partial[p] = squares(x[p * chunk : min((p + 1) * chunk, x.size)])


@kernel(partial="f8[P]", out="out f8[s]")
def sum_of_chunks(partial, out):
    """out = the sum of the chunks' sums."""
    total = 0.0
    for p in range(partial.size):
        total += partial[p]
    out[0] = total


# ---- what is kept besides


@kernel(
    split=BY_ELEMENT,
    gradient="T[n]",
    steps="i8[s]",
    unscale="float",
    steps_before="int",
    every="int",
    accumulated="inout T[n]",
)
def accumulate_gradient(gradient, steps, unscale, steps_before, every, accumulated, start, stop):
    """accumulated += unscale gradient, or 0 after the step whose update took it."""
    g, total = gradient[start:stop], accumulated[start:stop]
    keep, add = T(1), T(unscale)
    if not is_between(steps[0] + steps_before, every):
        keep, add = T(0), T(0)
    for i in range(total.size):
        total[i] = fma(add, g[i], keep * total[i])


@kernel(
    split=BY_ELEMENT,
    steps="i8[s]",
    momentum="float",
    frequency="int",
    steps_before="int",
    every="int",
    parameter="inout T[n]",
    average="inout T[n]",
)
def moving_average(
    steps, momentum, frequency, steps_before, every, parameter, average, start, stop
):
    """average = momentum average + (1 - momentum) parameter, the first time the parameter; at every
    frequency-th update, if that is not 0, the parameter becomes the average."""
    p, mean = parameter[start:stop], average[start:stop]
    done = updates_done(steps[0] + steps_before, every)
    m = T(momentum if done > 0 else 0.0)
    for i in range(p.size):
        mean[i] = fma(m, mean[i], (T(1) - m) * p[i])
    if frequency > 0 and (done + 1) % frequency == 0:
        for i in range(p.size):
            p[i] = mean[i]


@kernel(steps="i8[s]", beta_1="float", steps_before="int", every="int", product="inout f8[s]")
def nadam_product(steps, beta_1, steps_before, every, product):
    """product *= u_t, of update number t."""
    before = steps[0] + steps_before
    if not is_between(before, every):
        product[0] *= nadam_momentum(updates_done(before, every) + 1, beta_1)


# ---- launchers


def update(rule):
    """The launcher of a rule's update."""
    return launcher_of(rule, kernel_of(rule), (1,))


def check(rule):
    """That of its check."""
    return launcher_of(rule, check_of(rule), (0,))


def sum_of_squares(call, x, out):
    """By chunks, whose order depends on the size alone."""
    if x.size <= CHUNK_ELEMENTS:
        call(sum_of_few_squares, x, out)
        return
    partial = call.scratch((ceil_div(x.size, CHUNK_ELEMENTS),), out.dtype)
    call(squares_of_chunks, x, CHUNK_ELEMENTS, partial)
    call(sum_of_chunks, partial, out)
