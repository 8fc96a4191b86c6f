"""What the machine can do at best, to compare kernels with: multiply-adds that stay in registers,
and streams through memory."""

from ..declare import T, helper, intrinsic, kernel
from .simd.vectors import Vectors
from .threads import ELEMENT_GRAIN

# Independent accumulators, which hide the latency of multiply-adds: more than its 4 or 5 cycles
# times 2 FMA ports.
ACCUMULATORS = 12


@intrinsic("T <- T T int")
def multiply_add_registers(factor, summand, repeats):
    """ACCUMULATORS vectors x, repeatedly x = x factor + summand, all in registers; returns an
    element of their sum."""
    total = summand * 0
    for number in range(ACCUMULATORS):
        value = factor * number
        for _ in range(repeats):
            value = value * factor + summand
        total += value
    return total


@multiply_add_registers.lowering
def _(emitter, factor, summand, repeats):
    builder, ir = emitter.builder, Vectors(emitter)
    factors, summands = ir.splat(factor), ir.splat(summand)
    starts = [builder.fmul(factors, ir.splat(emitter.real(float(c)))) for c in range(ACCUMULATORS)]
    before, loop, after = (
        builder.block,
        builder.append_basic_block("multiply_adds"),
        builder.append_basic_block("sum"),
    )
    builder.branch(loop)
    builder.position_at_end(loop)
    count, accumulators = builder.phi(repeats.type), [builder.phi(ir.vector) for _ in starts]
    results = [
        emitter.call(f"llvm.fma.{ir.name}", ir.vector, [accumulator, factors, summands])
        for accumulator in accumulators
    ]
    following = builder.add(count, ir.number(1))
    pairs = [(count, ir.number(0), following), *zip(accumulators, starts, results, strict=True)]
    for phi, initial, following_value in pairs:
        phi.add_incoming(initial, before)
        phi.add_incoming(following_value, loop)
    builder.cbranch(builder.icmp_signed("<", following, repeats), loop, after)
    builder.position_at_end(after)
    total = results[0]
    for result in results[1:]:
        total = builder.fadd(total, result)
    return builder.extract_element(total, ir.number(0))


@kernel(numbers="inout T[n]", repeats="int")
def multiply_adds(numbers, repeats, thread, n_threads):
    """Every thread does all of it."""
    numbers[2] = multiply_add_registers(numbers[0], numbers[1], repeats)


BY_ELEMENT = [("n", ELEMENT_GRAIN)]

# Streams: `repeats` passes over arrays. The number of the pass is among the terms, so that the
# compiler can leave none out.


@helper(reassociate=True)
def sum_of_products(x, term):
    total = T(0)
    for i in range(x.size):
        total += x[i] * term
    return total


@helper(reassociate=True)
def sum_of_both(x, y, term):
    total = T(0)
    for i in range(x.size):
        total += x[i] * term + y[i]
    return total


@kernel(split=BY_ELEMENT, x="T[n]", total="inout T[m]", repeats="int")
def read_1(x, total, repeats, start, stop, thread):
    x = x[start:stop]
    for pass_number in range(repeats):
        total[thread] += sum_of_products(x, T(pass_number))


@kernel(split=BY_ELEMENT, x="T[n]", y="T[n]", total="inout T[m]", repeats="int")
def read_2(x, y, total, repeats, start, stop, thread):
    x, y = x[start:stop], y[start:stop]
    for pass_number in range(repeats):
        total[thread] += sum_of_both(x, y, T(pass_number))


@kernel(split=BY_ELEMENT, y="out T[n]", repeats="int")
def write_1(y, repeats, start, stop):
    y = y[start:stop]
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(y.size):
            y[i] = term


@kernel(split=BY_ELEMENT, x="T[n]", y="out T[n]", repeats="int")
def read_1_write_1(x, y, repeats, start, stop):
    x, y = x[start:stop], y[start:stop]
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            y[i] = x[i] + term


@kernel(split=BY_ELEMENT, x="T[n]", y="T[n]", z="out T[n]", repeats="int")
def read_2_write_1(x, y, z, repeats, start, stop):
    x, y, z = x[start:stop], y[start:stop], z[start:stop]
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            z[i] = x[i] + y[i] * term


@kernel(split=BY_ELEMENT, x="T[n]", u="inout T[n]", repeats="int")
def read_1_update_1(x, u, repeats, start, stop):
    x, u = x[start:stop], u[start:stop]
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            u[i] = x[i] + u[i] * term


@kernel(split=BY_ELEMENT, x="T[n]", u="inout T[n]", v="inout T[n]", w="inout T[n]", repeats="int")
def read_1_update_3(x, u, v, w, repeats, start, stop):
    x, u, v, w = x[start:stop], u[start:stop], v[start:stop], w[start:stop]
    for pass_number in range(repeats):
        term = T(pass_number)
        for i in range(x.size):
            u[i] = x[i] + u[i] * term
            v[i] = x[i] + v[i] * term
            w[i] = x[i] + w[i] * term


# by how many arrays are read, written and updated in place
STREAMS = {
    (1, 0, 0): read_1,
    (2, 0, 0): read_2,
    (0, 1, 0): write_1,
    (1, 1, 0): read_1_write_1,
    (2, 1, 0): read_2_write_1,
    (1, 0, 1): read_1_update_1,
    (1, 0, 3): read_1_update_3,
}
