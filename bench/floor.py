"""What the machine can do at best, measured: multiply-adds that stay in registers, and streams through memory.

Both are fastnn kernels, so the same compiler makes them. A case's floor is the time its arithmetic takes at the one and its
memory at the other; what is above it is waiting, walking, calling.
"""

import time
from functools import cache

import numpy as np

import fastnn
from fastnn.kernels.cpu.vectors import Vectors
from fastnn.kernels.marks import T, helper, kernel, primitive
from fastnn.tape.record import emit

from .cases import FLOAT, STREAMS_OF_UPDATE, Case, Fit, Network, OpCall, Update

SECONDS = 0.004  # one trial of a loop lasts at least so long: short enough to fit between what other processes do
TRIALS = 25  # of which the fastest counts: a floor is what the machine can do, not what it does on the average

# Chains of multiply-adds that run side by side: more than an instruction takes cycles, times those begun in one cycle.
CHAINS = 12


@primitive("T <- T T int")
def multiply_add_chains(factor, summand, repeats):
    """CHAINS vectors x, repeatedly x factor + summand, all in registers; returns an element of their sum."""
    total = summand * 0
    for chain in range(CHAINS):
        value = factor * chain
        for _ in range(repeats):
            value = value * factor + summand
        total += value
    return total


@multiply_add_chains.emits
def _(emitter, factor, summand, repeats):
    builder, ir = emitter.builder, Vectors(emitter)
    factors, summands = ir.splat(factor), ir.splat(summand)
    starts = [builder.fmul(factors, ir.splat(emitter.real(float(c)))) for c in range(CHAINS)]
    before, loop, after = builder.block, builder.append_basic_block("chains"), builder.append_basic_block("sum")
    builder.branch(loop)
    builder.position_at_end(loop)
    count, chains = builder.phi(repeats.type), [builder.phi(ir.vector) for _ in starts]
    results = [emitter.call(f"llvm.fma.{ir.name}", ir.vector, [chain, factors, summands]) for chain in chains]
    following = builder.add(count, ir.number(1))
    pairs = [(count, ir.number(0), following), *zip(chains, starts, results, strict=True)]
    for phi, first, later in pairs:
        phi.add_incoming(first, before)
        phi.add_incoming(later, loop)
    builder.cbranch(builder.icmp_signed("<", following, repeats), loop, after)
    builder.position_at_end(after)
    total = results[0]
    for result in results[1:]:
        total = builder.fadd(total, result)
    return builder.extract_element(total, ir.number(0))


@kernel(numbers="inout T[n]", repeats="int")
def multiply_adds(numbers, repeats, lane, lanes):
    numbers[2] = multiply_add_chains(numbers[0], numbers[1], repeats)


# Streams: `repeats` passes over arrays; the number of the pass is among the terms, so that no pass can be left out.


@helper(reassociate=True)
def sum_of_products(x, term):
    total = T(0)
    for i in range(x.size):
        total += x[i] * term
    return total


@kernel(x="T[n]", total="inout T[m]", repeats="int")
def read_1(x, total, repeats, lane, lanes):
    for pass_number in range(repeats):
        total[0] += sum_of_products(x, T(pass_number))


@kernel(x="T[n]", y="out T[n]", repeats="int")
def read_1_write_1(x, y, repeats, lane, lanes):
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            y[i] = x[i] + term


@kernel(x="T[n]", y="T[n]", z="out T[n]", repeats="int")
def read_2_write_1(x, y, z, repeats, lane, lanes):
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            z[i] = x[i] + y[i] * term


@kernel(x="T[n]", u="inout T[n]", repeats="int")
def read_1_update_1(x, u, repeats, lane, lanes):
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            u[i] = x[i] + u[i] * term


@kernel(x="T[n]", u="inout T[n]", v="inout T[n]", w="inout T[n]", repeats="int")
def read_1_update_3(x, u, v, w, repeats, lane, lanes):
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            u[i] = x[i] + u[i] * term
            v[i] = x[i] + v[i] * term
            w[i] = x[i] + w[i] * term


STREAMS = {
    (1, 0, 0): read_1,
    (1, 1, 0): read_1_write_1,
    (2, 1, 0): read_2_write_1,
    (1, 0, 1): read_1_update_1,
    (1, 0, 3): read_1_update_3,
}


def seconds_of(kernel, *arguments) -> float:
    """Seconds of one repeat of a kernel whose last argument is how many there are."""
    _seconds(kernel, *arguments, 1)  # compiles it
    repeats = 1
    while _seconds(kernel, *arguments, repeats) < SECONDS:
        repeats *= 2
    return min(_seconds(kernel, *arguments, repeats) for _ in range(TRIALS)) / repeats


def _seconds(kernel, *arguments):
    start = time.perf_counter()
    emit(kernel.name, kernel, arguments)
    return time.perf_counter() - start


@cache
def flops_per_second(dtype: np.dtype = FLOAT) -> float:
    """The peak of multiply-adds, each of which counts as two."""
    target = fastnn.device.backend.processor()[2]
    numbers = fastnn.tensor(np.array([0.5, 1.0, 0.0], dtype))
    return 2 * CHAINS * (target.vector_bytes // dtype.itemsize) / seconds_of(multiply_adds, numbers)


@cache
def seconds_of_streams(streams: tuple[int, int, int], elements: int, dtype: np.dtype = FLOAT) -> float:
    """One pass over arrays of so many elements, as (read, written, updated in place)."""
    kernel = STREAMS[streams]
    return seconds_of(kernel, *[fastnn.tensor(np.zeros(elements, dtype)) for p in kernel.parameters if p.letters])


def seconds_of_case(case: Case) -> float | None:
    """The floor of a timed run, or None where there is none: calls and processes that compute next to nothing."""
    if isinstance(case, Fit):
        return case.epochs * case.steps * _step(case)
    if isinstance(case, OpCall):
        return max(_flops_of_op(case) / flops_per_second(), seconds_of_streams(case.streams, case.elements))
    if isinstance(case, Update):
        return seconds_of_streams(STREAMS_OF_UPDATE["adam"], case.parameters)
    if case.kind == "predict":
        assert isinstance(case, Network)
        return 2 * case.batch * sum(k * n for k, n in case.pairs) / flops_per_second()
    return None


def _step(case):
    """Products forward, and for the gradients of weights and, but for the first layer, of inputs; activations and loss as their
    ops count them; then, when all gradients are there, the update's streams."""
    products = sum(2 * case.batch * k * n * (3 if number else 2) for number, (k, n) in enumerate(case.pairs))
    last = fastnn.ops.registry["sigmoid_cross_entropy" if case.widths[-1] == 1 else "softmax"].flops
    pointwise = case.batch * (2 * sum(case.widths[1:-1]) + last * case.widths[-1])
    return (products + pointwise) / flops_per_second() + seconds_of_streams(STREAMS_OF_UPDATE[case.optimizer], case.parameters)


def _flops_of_op(case):
    """Counted as the op's record counts."""
    op = fastnn.ops.registry[case.op]
    step = fastnn.record(lambda *inputs: op(*inputs, **case.attributes))
    return sum(i.flops for i in step.recording(*case.arrays()).tape.instructions)
