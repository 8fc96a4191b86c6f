"""The floor of a case: the time its arithmetic takes at the machine's peak, or its memory at what
streams reach; what is above it is waiting, replaying, calling. `fastnn.devices.cpu.peaks` measures
both, with fastnn's own kernels, so the same compiler makes them. Its streams are plain loops, for
which every line that is written is fetched before: kernels with streaming stores can be faster than
this floor."""

import fastnn
from fastnn.devices.cpu.peaks import flops_per_second, seconds_of_passes, seconds_of_streams
from fastnn.tape.cost import nbytes

from .kinds import (
    FLOAT,
    STREAMS_OF_UPDATE,
    Both,
    Case,
    Chain,
    Decay,
    Fit,
    Network,
    OpCall,
    Product,
    Tested,
    Update,
)

# Of one parameter: a root keeps its unit busy for 10 cycles a vector on Zen 4; some nine
# multiply-adds run beside it.
INSTRUCTIONS_OF_UPDATE = {**dict.fromkeys(STREAMS_OF_UPDATE, 10), "sgd": 2}


def seconds_of_case(case: Case, threads: int = 1) -> float | None:
    """The floor of a timed run, or None where there is none: calls and processes that compute next
    to nothing."""
    if isinstance(case, Fit) and case.kind in ("fit", "fit_batches"):
        return case.epochs * case.steps * _step(case, threads)
    if isinstance(case, Product):
        return case.units * 2 * case.size**3 / flops_per_second(FLOAT, threads)
    if isinstance(case, Decay | Tested):
        return None
    if isinstance(case, Both):
        return case.units * _both(case, threads)
    if isinstance(case, Chain):
        arithmetic = sum(
            fastnn.ops.registry[name].instructions[0]
            for name in ("multiply", "add", "tanh", "multiply", "add", "relu")
        )
        seconds = 2 * case.elements * arithmetic / flops_per_second(FLOAT, threads)
        return case.units * max(
            seconds, seconds_of_streams((1, 1, 0), case.elements, FLOAT, threads)
        )
    if isinstance(case, OpCall):
        seconds = max(
            _flops_of_op(case) / flops_per_second(FLOAT, threads), _arithmetic(case, threads)
        )
        return case.units * max(
            seconds, seconds_of_streams(case.streams, case.elements, FLOAT, threads)
        )
    if isinstance(case, Update):
        arithmetic = (
            2
            * case.parameters
            * INSTRUCTIONS_OF_UPDATE[case.optimizer]
            / flops_per_second(FLOAT, threads)
        )
        return case.units * max(arithmetic, _update(case, threads))
    if case.kind == "predict":
        assert isinstance(case, Network)
        return 2 * case.batch * sum(k * n for k, n in case.pairs) / flops_per_second(FLOAT)
    return None


def _both(case, threads):
    """First the op, then the gradient: of each its arithmetic or its part of what the
    alternating passes move."""
    op, (forward, backward) = fastnn.ops.registry[case.op], case.passes()
    moved = [
        sum(read + written + 2 * updated for read, written, updated in passes)
        for passes in (forward, backward)
    ]
    seconds = seconds_of_passes((*forward, *backward), case.elements, FLOAT, threads) / sum(moved)
    counts = (op.instructions, op.gradient_instructions)
    elements = sum(
        max(seconds * m, _of_instructions(n, case.elements, threads))
        for m, n in zip(moved, counts, strict=True)
    )
    return max(case.flops / flops_per_second(FLOAT, threads), elements)


def _arithmetic(case, threads):
    return _of_instructions(fastnn.ops.registry[case.op].instructions, case.elements, threads)


def _of_instructions(count, elements, threads):
    """One of the unit of multiply-adds takes as long as two flops."""
    return 2 * elements * count[0] / flops_per_second(FLOAT, threads)


def _step(case, threads):
    """Products forward, and for the gradients of weights and, but for the first layer, of inputs;
    activations and loss as their ops count them; with batch normalisation a pass that updates in
    place forward, and one that reads two arrays and writes one back; then, when all gradients are
    there, their check and the update."""
    products = sum(
        2 * case.batch * k * n * (3 if number else 2) for number, (k, n) in enumerate(case.pairs)
    )
    last = fastnn.ops.registry["sigmoid_cross_entropy" if case.widths[-1] == 1 else "softmax"].flops
    pointwise = case.batch * (2 * sum(case.widths[1:-1]) + last * case.widths[-1])
    seconds = (products + pointwise) / flops_per_second(FLOAT, threads)
    for n in case.widths[1:-1] if case.norm else ():
        seconds += sum(
            seconds_of_streams(s, case.batch * n, FLOAT, threads) for s in ((1, 1, 0), (2, 1, 0))
        )
    return seconds + _update(case, threads)


def _update(case, threads):
    """Every gradient is read twice: no weight changes before all are known to be finite."""
    return seconds_of_passes(
        ((1, 0, 0), STREAMS_OF_UPDATE[case.optimizer]), case.parameters, FLOAT, threads
    )


def work_of_case(case: Case) -> tuple[float, float] | None:
    """(flops, bytes) of a timed run, as its calls count them."""
    if isinstance(case, Product):
        return case.units * 2 * case.size**3, case.units * 3 * FLOAT.itemsize * case.size**2
    if isinstance(case, OpCall):
        flops, moved = _work(_instructions_of_op(case))
        return case.units * flops, case.units * moved
    if isinstance(case, Fit) and case.kind in ("fit", "fit_batches"):
        from .peers.ours import epoch_of

        flops, moved = _work(epoch_of(case).tapes[1].instructions)
        return case.epochs * case.steps * flops, case.epochs * case.steps * moved
    return None


def _work(instructions):
    return sum(i.flops for i in instructions), sum(nbytes(i) for i in instructions)


def _flops_of_op(case):
    """Counted as the op's record counts."""
    return _work(_instructions_of_op(case))[0]


def _instructions_of_op(case):
    op = fastnn.ops.registry[case.op]
    step = fastnn.record(lambda *inputs: op(*inputs, **case.attributes))
    return step.recording(*case.arrays()).tape.instructions
