"""Optimizers' updates, one pass over memory each, and the checks before, as kernels/cpu/updates.py
has them: four neighbours to a thread. `kernels/update_rules.py` says what there is.

A check writes nothing. It works an update out only where this thread's gradients do not tell that
it is finite; of what is not, the lowest element is reported.
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
from .grid import (
    FOUR,
    atomic_max,
    barrier,
    block_index,
    first_of_four,
    is_aligned,
    load_four,
    shared_array,
    store_four,
    thread_index,
)

THREADS = 256
FLAT = [("n", THREADS * FOUR)]
CHUNK_ELEMENTS = 16 * THREADS  # whose squares one block adds up


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


# ---- updates

NAMES = {
    "FOUR": FOUR,
    "MARGIN": OVERFLOW_MARGIN,
    "T": T,
    "THREADS": THREADS,
    "are_finite": are_finite,
    "atomic_max": atomic_max,
    "barrier": barrier,
    "checked_margin": checked_margin,
    "first_of_four": first_of_four,
    "fma": fma,
    "gradient_scale": gradient_scale,
    "is_aligned": is_aligned,
    "is_between": is_between,
    "is_finite": is_finite,
    "load_four": load_four,
    "refusal": refusal,
    "shared_array": shared_array,
    "store_four": store_four,
    "thread_index": thread_index,
    "updates_done": updates_done,
}
BEGIN = (
    "p, g = parameter, gradient",
    "i = first_of_four(THREADS)",
    "end = min(i + FOUR, p.size)",
    "before = steps[0] + steps_before",
    "if is_between(before, every):",
)


def _numbers(rule):
    """The lines that work a step's numbers out, and the call that does."""
    given = listed(rule.attributes)
    call = f"numbers(rate[0], t, {listed(rule.cells, '{}[0]')}{given})"
    lines = [
        "factor, decayed = gradient_scale(squares[0], clipnorm, unscale), decay * rate[0]",
        "t, scale, shrink = updates_done(before, every) + 1, T(factor), T(decayed)",
    ]
    return lines, call


def _element(rule, p, g, states):
    return f"function(fma(-shrink, {p}, {p}), {g} * scale, {states}{listed(rule.number_names)})"


@cache
def kernel_of(rule):
    """The kernel of a rule. Where the numbers depend on the update's, one thread of a block works
    them out: some 200 operations in float64, of which most GPUs make a sixty-fourth of
    float32's."""
    (flag,), states, names = rule.flag or ("",), rule.states, rule.number_names
    lines, call = _numbers(rule)
    if rule.counts:
        lines += [
            "shared = shared_array(0.0, COUNT)",
            "if thread_index() == 0:",
            f"    {listed(range(rule.count), 'shared[{}]')}= {call}",
            "barrier()",
            f"{listed(names)}= {listed(range(rule.count), 'T(shared[{}])')}",
        ]
    else:
        lines += [f"{listed(names)}= {call}", f"{listed(names)}= {listed(names, 'T({})')}"]
    arrays, read = ("p", *states), ("p", "g", *states)
    aligned = " and ".join([f"is_aligned({a})" for a in read])

    def one(n):
        result = listed(arrays, f"{{}}_{n}")
        return f"{result}= {_element(rule, f'p_{n}', f'g_{n}', listed(states, f'{{}}_{n}'))}"

    def four(x):
        return ", ".join([f"{x}_{n}" for n in range(FOUR)])

    w = rule.watched
    body = [
        *BEGIN,
        "    return",
        *lines,
        *(["total = T(0)"] if flag else []),
        f"if i + FOUR <= p.size and {aligned}:",
        *[f"    {four(x)} = load_four({x}, i)" for x in read],
        *[f"    {one(n)}" for n in range(FOUR)],
        *[f"    store_four({x}, i, ({four(x)}))" for x in arrays],
        *(
            ["    m = T(MARGIN)", f"    total = ({w}_0 * m + {w}_1 * m) + ({w}_2 * m + {w}_3 * m)"]
            if flag
            else []
        ),
        "    i = end",
        "while i < end:",
        f"    {listed(arrays, '{}_0')}= {_element(rule, 'p[i]', 'g[i]', listed(states, '{}[i]'))}",
        *([f"    total += {w}_0 * T(MARGIN)"] if flag else []),
        f"    {listed(arrays, '{}[i]')}= {listed(arrays, '{}_0')}",
        "    i += 1",
        *(["if not is_finite(total):", f"    atomic_max({flag}, 0, 1)"] if flag else []),
    ]
    declared = {**rule.declared_inputs, **rule.declared_results("inout")}
    text = written(
        globals(),
        rule.formula,
        rule.name,
        declared,
        *body,
        numbers=rule.numbers,
        COUNT=rule.count,
        **NAMES,
    )
    return kernel(threads=THREADS, split=FLAT, **declared)(text)


@cache
def check_of(rule):
    """The kernel of its check."""
    (flag,), given = rule.flag or ("",), listed(rule.attributes)
    lines, call = _numbers(rule)
    new = ("new", *[f"new_{s}" for s in rule.states])
    finite = " and ".join([f"is_finite({x})" for x in ("new", *[f"new_{s}" for s in rule.finite])])
    states = listed(rule.states, "{}[i]")
    body = [
        *BEGIN,
        "    return 0",
        *lines,
        f"enough = checked_margin(margin(rate[0], {given}), decayed) * factor",
        f"if {f'{flag}[0] == 0 and ' if flag else ''}are_finite(g, i, T(enough)):",
        "    return 0",
        f"{listed(rule.number_names)}= {call}",
        f"{listed(rule.number_names)}= {listed(rule.number_names, 'T({})')}",
        "while i < end:",
        f"    {listed(new)}= {_element(rule, 'p[i]', 'g[i]', states)}",
        f"    if not ({finite}):",
        "        return refusal(i, g[i])",
        "    i += 1",
        "return 0",
    ]
    name, declared = f"check_{rule.name}", {**rule.declared_inputs, **rule.declared_results("some")}
    text = written(
        globals(),
        rule.formula,
        name,
        declared,
        *body,
        numbers=rule.numbers,
        margin=rule.margin,
        **NAMES,
    )
    return kernel(threads=THREADS, split=FLAT, batched=True, **declared)(text)


# ---- norms


@helper
def sum_of_block(total, shared):
    """The sum over a block's threads, in pairs; known to the first."""
    t, half = thread_index(), THREADS // 2
    shared[t] = total
    barrier()
    while half > 0:
        if t < half:
            shared[t] += shared[t + half]
        barrier()
        half >>= 1


@kernel(threads=THREADS, split=[("P", 1)], x="T[n]", chunk="int", partial="out f8[P]")
def squares_of_chunks(x, chunk, partial):
    """partial[p] = the sum of squares of chunk number p, in float64: none of float32 overflows."""
    p, shared, total = block_index(), shared_array(0.0, THREADS), 0.0
    i, stop = p * chunk + thread_index(), min((p + 1) * chunk, x.size)
    while i < stop:
        value = np.float64(x[i])
        total += value * value
        i += THREADS
    sum_of_block(total, shared)
    if thread_index() == 0:
        partial[p] = shared[0]


@kernel(threads=THREADS, split=[("s", 1)], partial="f8[P]", out="out f8[s]")
def sum_of_chunks(partial, out):
    """out = the sum of the chunks' sums."""
    i, shared, total = thread_index(), shared_array(0.0, THREADS), 0.0
    while i < partial.size:
        total += partial[i]
        i += THREADS
    sum_of_block(total, shared)
    if thread_index() == 0:
        out[0] = shared[0]


# ---- what is kept besides


@kernel(
    threads=THREADS,
    split=[("n", THREADS)],
    gradient="T[n]",
    steps="i8[s]",
    unscale="float",
    steps_before="int",
    every="int",
    accumulated="inout T[n]",
)
def accumulate_gradient(gradient, steps, unscale, steps_before, every, accumulated):
    i = block_index() * THREADS + thread_index()
    keep, add = T(1), T(unscale)
    if not is_between(steps[0] + steps_before, every):
        keep, add = T(0), T(0)
    if i < accumulated.size:
        accumulated[i] = fma(add, gradient[i], keep * accumulated[i])


@kernel(
    threads=THREADS,
    split=[("n", THREADS)],
    steps="i8[s]",
    momentum="float",
    frequency="int",
    steps_before="int",
    every="int",
    parameter="inout T[n]",
    average="inout T[n]",
)
def moving_average(steps, momentum, frequency, steps_before, every, parameter, average):
    i = block_index() * THREADS + thread_index()
    done = updates_done(steps[0] + steps_before, every)
    m = T(momentum if done > 0 else 0.0)
    if i < average.size:
        mean = fma(m, average[i], (T(1) - m) * parameter[i])
        average[i] = mean
        if frequency > 0 and (done + 1) % frequency == 0:
            parameter[i] = mean


@kernel(
    threads=1,
    split=[("s", 1)],
    steps="i8[s]",
    beta_1="float",
    steps_before="int",
    every="int",
    product="inout f8[s]",
)
def nadam_product(steps, beta_1, steps_before, every, product):
    before = steps[0] + steps_before
    if not is_between(before, every):
        product[0] *= nadam_momentum(updates_done(before, every) + 1, beta_1)


# ---- launchers


def update(rule):
    """The launcher of a rule's update."""
    return launcher_of(rule, kernel_of(rule))


def check(rule):
    """That of its check."""
    return launcher_of(rule, check_of(rule))


def sum_of_squares(call, x, out):
    """By chunks, whose order depends on the size alone."""
    partial = call.scratch((max(1, -(-x.size // CHUNK_ELEMENTS)),), out.dtype)
    call(squares_of_chunks, x, CHUNK_ELEMENTS, partial)
    call(sum_of_chunks, partial, out)
