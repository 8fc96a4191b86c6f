"""Every kernel keeps to the thread ranges it declares: the planner places barriers by these, and
memory is handed on by them."""

import ctypes
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn import emit as emit_module
from fastnn import layers, ops
from fastnn.devices.cpu import INTERPRETED
from fastnn.devices.cpu.barriers import by_thread
from fastnn.ops.elementwise import gradient_from_output
from fastnn.ops.record import registry
from fastnn.optimizers import SGD, Adam, RMSprop
from fastnn.tape.instruction import Instruction
from tests.oracle import as_type, cases, draw, results

pytestmark = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have one thread")
N_THREADS = (2, 3)
# What fills the bytes of what is not a thread's own: NaN where it is only read; where it may be
# written a small number, because a NaN that comes of NaN is the same one.
NOT_A_NUMBER, UNTOUCHED = 0xFF, 0xA5


class ThreadByThread:
    """Makes every eager call also thread by thread. A thread finds nothing of use in what is not
    its own, has to leave it so, and has to make of its own what one thread makes of it."""

    def __init__(self):
        self.call = emit_module.argument_block
        self.kernels = set()

    def argument_block(self, kernel, arguments):
        self.kernel, self.arguments = kernel, arguments
        return self.call(kernel, arguments)

    def call_once(self, address, block):
        kernel = self.kernel
        self.kernels.add(kernel)
        instruction = Instruction(kernel.name, kernel, "", self.arguments, (), 0)
        run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int64)(
            address
        )
        accesses = instruction.accesses
        memories = [bytes_of(a) for a in accesses]
        before = [m.copy() for m in memories]
        status = run(block, 0, 1)
        after = [m.copy() for m in memories]
        for n_threads in N_THREADS if status == 0 else ():
            made = [b.copy() for b in before]  # by the threads so far
            ranges = [own_ranges(a, n_threads) for a in accesses]
            for thread in range(n_threads):
                for access, memory in zip(accesses, memories, strict=True):
                    memory[:] = UNTOUCHED if access.written else NOT_A_NUMBER
                for memory, own, content in zip(memories, ranges, made, strict=True):
                    memory[own[thread]] = content[own[thread]]
                expected = [m.copy() for m in memories]
                assert run(block, thread, n_threads) == 0
                for access, memory, image, own, result, built in zip(
                    accesses, memories, expected, ranges, after, made, strict=True
                ):
                    if access.written and own[0] != slice(0, 0) and own.count(own[0]) == n_threads:
                        # a whole array, of which every thread writes a part
                        built[:] = memory
                        continue
                    if access.written:
                        image[own[thread]] = built[own[thread]] = result[own[thread]]
                    name, shape = access.parameter.name, access.argument.shape
                    where = f"{kernel}, {name} of {shape}, thread {thread} of {n_threads}"
                    assert memory.tobytes() == image.tobytes(), where
            for access, result, built in zip(accesses, after, made, strict=True):
                assert built.tobytes() == result.tobytes(), (
                    f"{kernel}, {access.parameter.name}, made by {n_threads} threads"
                )
        for memory, result in zip(memories, after, strict=True):
            memory[:] = result
        return status


def bytes_of(access):
    """The memory an argument lies in."""
    if access.stop == access.start:
        return np.empty(0, np.uint8)
    return np.frombuffer(
        (ctypes.c_uint8 * (access.stop - access.start)).from_address(access.start), np.uint8
    )


def own_ranges(access, n_threads):
    """Which part of an argument is each thread's."""
    return [
        slice(0, 0) if own is None else slice(own[0] - access.start, own[1] - access.start)
        for own in by_thread(access, n_threads)
    ]


@pytest.fixture
def thread_by_thread(monkeypatch):
    checks = ThreadByThread()
    monkeypatch.setattr(emit_module, "argument_block", checks.argument_block)
    monkeypatch.setattr(emit_module, "call_once", checks.call_once)
    return checks


@pytest.mark.parametrize(("name", "number"), cases())
def test_threads_keep_to_their_ranges(name, number, thread_by_thread):
    op = registry[name]
    arrays = as_type(draw(op.cases[number], number), "float32")
    tensors = [
        fastnn.tensor(a, requires_gradient=a.dtype.kind == "f" and i not in op.constant)
        for i, a in enumerate(arrays)
    ]
    is_view = op.kernels is None and not op.composite
    for _ in range(2):  # the second gradient is added to the first
        for y in results(op(*tensors, **op.cases[number].attributes)):
            is_view = is_view or any([y.buffer is t.buffer for t in tensors])  # as no difference is
            if op.gradient and y.requires_gradient:
                y.backward(np.ones(y.shape))
    assert thread_by_thread.kernels or is_view or not y.shape or 0 in y.shape


ROWS = (1, 3, 1100)  # of which the last are taken in chunks


@pytest.mark.parametrize("activation", sorted(gradient_from_output))
def test_threads_keep_to_their_ranges_in_layers(activation, thread_by_thread):
    """Products made with what follows them, whose gradients begin with an activation's
    derivative."""
    rng = np.random.default_rng(0)
    for rows in ROWS:
        for widths in ((1, 1, 1), (9, 1, 5), (7, 40, 1), (20, 70, 130)):
            w, v = (
                fastnn.tensor(rng.uniform(0.1, 0.3, s).astype("f4"), requires_gradient=True)
                for s in pairwise(widths)
            )
            bias = fastnn.tensor(np.full(widths[1], 0.5, "f4"), requires_gradient=True)
            for _ in range(2):
                hidden = ops.linear(
                    rng.uniform(0.1, 1.0, (rows, widths[0])).astype("f4"),
                    w,
                    bias,
                    activation=activation,
                )
                ops.linear(hidden, v).backward(np.ones((rows, widths[2]), "f4"))
    assert any("gradient_and_sums" in k.name for k in thread_by_thread.kernels)


@pytest.mark.parametrize(
    "optimizer",
    [lambda: SGD(0.1), lambda: SGD(0.1, 0.9), lambda: SGD(0.1, 0.9, nesterov=True), Adam, RMSprop],
)
@pytest.mark.parametrize(
    "loss", ["mean_squared_error", "binary_crossentropy", "sparse_categorical_crossentropy"]
)
def test_threads_keep_to_their_ranges_in_training(loss, optimizer, thread_by_thread):
    columns, last = (10, "softmax") if loss.startswith("sparse") else (1, "sigmoid")
    x = np.random.default_rng(0).normal(size=(7, 33)).astype("f4")
    y = np.arange(7) % columns if columns > 1 else np.arange(7.0)[:, None] / 7
    hidden = [
        layers.Dense(17, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.LayerNormalization(),
    ]
    model = fastnn.Sequential([*hidden, layers.Dense(columns, activation=last)])
    model.compile(optimizer(), loss, metrics=["accuracy"], run_eagerly=True)
    model.fit(x, y, batch_size=3, epochs=2, verbose=0, validation_data=(x, y))
    assert any(k.module == "cpu.updates" for k in thread_by_thread.kernels)
