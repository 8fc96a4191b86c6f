"""Recorded steps: the bits of eager ones on any number of threads, and what may not happen while
recording."""

import signal
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import ops, profiling
from fastnn.devices.base import StepFailed
from fastnn.devices.cpu import INTERPRETED, fusion
from fastnn.devices.cpu.program import Program, Tape
from fastnn.errors import DeadTensorError, RecordingError
from fastnn.recording import MAX_TAPES
from fastnn.tape.record import Recorder

N_THREADS = [1] if INTERPRETED else [1, 2, 3, 8]
RNG = np.random.default_rng(0)
# Ops of a graph that hypothesis draws, all from and to (N, C): name -> function of the tensors so
# far and a weight (C, C).
GRAPH = {
    "matmul": lambda x, y, w: ops.matmul(x, w),
    "linear": lambda x, y, w: ops.linear(x, w, ops.sum(w, axis=0), activation="relu"),
    "transposed": lambda x, y, w: ops.matmul(x, w, transpose_b=True),
    "add": lambda x, y, w: x + y,
    "column": lambda x, y, w: x * ops.mean(y, axis=1, keepdims=True),
    "row": lambda x, y, w: x - ops.mean(y, axis=0),
    "tanh": lambda x, y, w: ops.tanh(x),
    "softmax": lambda x, y, w: ops.softmax(x),
    "transpose": lambda x, y, w: ops.transpose(ops.transpose(x)) + y,
    "shape": lambda x, y, w: ops.reshape(ops.reshape(x, (-1,)), x.shape) + 1.0,
    "normal": lambda x, y, w: ops.batch_norm(
        x, np.ones(x.shape[1], "f4"), np.zeros(x.shape[1], "f4")
    )[0],
}


def outputs_and_gradients(names, picks, x, w):
    """The graph's loss and the gradients of its input and its weight."""
    found = [x]
    for name, (a, b) in zip(names, picks, strict=True):
        found.append(GRAPH[name](found[a % len(found)], found[b % len(found)], w))
    loss = ops.mean(found[-1] * found[-1]) + ops.mean(ops.matmul(x, w))
    loss.backward()
    return found[-1], loss


def on_threads(step, n_threads):
    """A step's tape, planned for so many threads and replayed by them: what it returned."""
    with Recorder("step") as recorder:
        results = step()
    recorder.restore_gradients()
    tape = Tape(recorder, [t.buffer for t in results], n_threads)
    Program([(tape, 1)]).run(1, n_threads=n_threads)
    return [tape.array(t).copy() for t in results]


def test_rows_taken_one_by_one_have_the_same_bits_on_any_number_of_threads():
    # more than fit in L2
    x, row = RNG.normal(size=(8209, 131)).astype("f4"), RNG.normal(size=131).astype("f4")
    square = fastnn.tensor(RNG.normal(size=(131, 131)).astype("f4") / 16)

    def step():
        variables = [fastnn.Variable(a) for a in (x, row, row)]
        columns = ops.batch_norm(*variables)[0]
        activated = ops.linear(columns, square, variables[2], activation="tanh")
        (activated * ops.layer_norm(columns, *variables[1:])).backward(x)
        return [ops.sum(columns, axis=0), *(v.gradient for v in variables)]

    expected = [np.asarray(t) for t in step()]
    for n_threads in N_THREADS:
        for got, eager in zip(on_threads(step, n_threads), expected, strict=True):
            np.testing.assert_array_equal(got, eager)


@pytest.mark.parametrize(
    "sizes", [(32, 64, 10), (9, 50, 17), (300, 20, 33), (100, 100, 100), (2100, 64, 1024)]
)
def test_a_product_with_the_gradient_below_it_has_the_same_bits_on_any_number_of_threads(sizes):
    # whose threads divide columns, or rows in chunks, or rows that are packed first
    rows, columns, above = sizes
    x, dy, bias = (RNG.normal(size=s).astype("f4") for s in ((rows, 3), (rows, above), (columns,)))
    w, top = (
        fastnn.tensor(RNG.normal(size=s).astype("f4")) for s in ((3, columns), (columns, above))
    )

    def step():
        variables = [fastnn.Variable(a) for a in (x, bias)]
        (ops.linear(variables[0], w, variables[1], activation="tanh") @ top).backward(dy)
        return [v.gradient for v in variables]

    expected = [np.asarray(t) for t in step()]
    for n_threads in N_THREADS:
        for got, eager in zip(on_threads(step, n_threads), expected, strict=True):
            np.testing.assert_array_equal(got, eager)


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(GRAPH)), min_size=1, max_size=8),
    picks=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=8, max_size=8),
    shape=st.sampled_from([(1, 1), (3, 5), (1, 130), (9, 130), (17, 16), (33, 31), (70, 64)]),
    least=st.sampled_from([1, fusion.FUSION_MIN_ELEMENTS]),
    large=st.sampled_from([1, fusion.STREAMING_COPY_MIN_ELEMENTS]),
)
def test_any_graph_has_the_same_bits_eager_and_on_any_number_of_threads(
    names, picks, shape, least, large
):
    rng = np.random.default_rng(len(names))
    x = fastnn.Variable(rng.normal(size=shape), name="x")
    w = fastnn.Variable(rng.normal(size=(shape[1], shape[1])) / 8, name="w")

    def step():
        return outputs_and_gradients(names, picks[: len(names)], x, w)

    expected = [t.numpy() for t in step()]
    gradients = [x.gradient.numpy(), w.gradient.numpy()]
    for n_threads in N_THREADS:
        x.gradient = w.gradient = None
        with pytest.MonkeyPatch.context() as patch:  # arrays of any size are cut, or none of these
            patch.setattr(fusion, "FUSION_MIN_ELEMENTS", least)
            patch.setattr(fusion, "STREAMING_COPY_MIN_ELEMENTS", large)
            patch.setattr(fusion, "TILE_ELEMENTS", 64)
            got = on_threads(step, n_threads)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
        for v, g in zip((x, w), gradients, strict=True):
            np.testing.assert_array_equal(v.mirror("gradient").numpy(), g)


def test_a_row_that_is_multiplied_is_complete_before_though_it_is_as_long_as_the_result():
    """Its tiles are made by the call before it: they are no fusion group."""
    x, w = (
        fastnn.tensor(np.arange(130.0, dtype="f4")[None]),
        fastnn.tensor(np.ones((130, 130), "f4")),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "FUSION_MIN_ELEMENTS", 1)
        patch.setattr(fusion, "TILE_ELEMENTS", 64)
        (got,) = on_threads(lambda: (ops.matmul(x + 1.0, w),), 1)
    np.testing.assert_array_equal(got, ops.matmul(x + 1.0, w).numpy())


def test_arguments_are_inputs_by_shape_and_type_and_integers_are_constants():
    calls = []

    @fastnn.record
    def scaled(x, factor):
        calls.append(x.shape)
        return x * float(factor)

    assert scaled([1.0, 2.0], 3).numpy().tolist() == [3, 6]
    assert scaled([5.0, 6.0], 3).numpy().tolist() == [15, 18]
    assert len(calls) == 1
    assert scaled([1.0, 2.0], 4).numpy().tolist() == [4, 8]
    assert scaled(np.array([1.0]), 3).numpy().tolist() == [3]
    assert len(calls) == 3
    for n in range(2 * MAX_TAPES):
        scaled(np.ones(n + 1), 3)
    assert len(scaled.tapes) == MAX_TAPES


@pytest.mark.parametrize(
    "read",
    [float, bool, lambda t: t.numpy(), lambda t: np.asarray(t), repr],
    ids=["float", "bool", "numpy", "array", "repr"],
)
def test_reading_while_recording_is_refused(read):
    @fastnn.record
    def step(x):
        read(ops.sum(x))
        return x + 1.0

    if read is repr:  # for debuggers
        assert step([1.0]).numpy() == 2
        return
    with pytest.raises(RecordingError, match="step was read while it is being recorded"):
        step([1.0])


def test_a_tensor_that_was_not_returned_is_dead():
    kept = []

    @fastnn.record
    def step(x):
        kept.append(x * 2.0)
        return kept[0] + 1.0

    step([1.0])
    with pytest.raises(DeadTensorError, match="recording step"):
        kept[0].numpy()
    with pytest.raises(DeadTensorError, match="recording step"):
        _ = kept[0] + 1.0


@pytest.mark.parametrize("draw", ["generator", "numpy", "python"])
def test_random_numbers_from_elsewhere_are_refused_with_the_line(draw):
    import random

    generator = np.random.default_rng(0)
    draws = {"generator": generator.normal, "numpy": np.random.normal, "python": random.random}
    number = draws[draw]

    @fastnn.record
    def step(x):
        if draw == "generator":
            generator.normal()
        return x * number()

    with pytest.raises(RecordingError, match=r"test_tape\.py:\d+.*fastnn\.random"):
        step([1.0])


@pytest.mark.parametrize("draws", [True, False])
def test_a_normal_number_that_numpy_holds_back_is_missed_too(draws):
    """NumPy makes two of them at a time; to give out the second one it makes no random bits."""

    @fastnn.record
    def step(x):
        return x * (np.random.normal() if draws else 2.0)

    np.random.seed(0)
    np.random.normal()
    if draws:
        with pytest.raises(RecordingError, match=r"test_tape\.py:\d+.*fastnn\.random"):
            step([1.0])
    else:
        assert step([1.0]).numpy() == 2.0


def test_random_numbers_of_fastnn_move_on_with_replays_as_they_do_eagerly():
    def step(x):
        return x + fastnn.random.uniform(x.shape) + fastnn.random.uniform(x.shape)

    x = np.zeros(20, "f4")
    fastnn.utils.set_random_seed(3)
    eager = [step(fastnn.tensor(x)).numpy() for _ in range(3)]
    fastnn.utils.set_random_seed(3)
    recorded = fastnn.record(step)
    for expected in eager:
        np.testing.assert_array_equal(recorded(x).numpy(), expected)


def test_the_lowest_row_out_of_range_is_named_whatever_the_threads():
    labels = np.arange(64) % 4
    labels[[13, 50]] = 9
    z, y = fastnn.tensor(np.zeros((64, 4), "f4")), fastnn.tensor(labels)
    for n_threads in N_THREADS:
        with Recorder("step") as recorder:
            loss = ops.softmax_cross_entropy(z, y)
        tape = Tape(recorder, [loss.buffer], n_threads)
        with pytest.raises(StepFailed) as failed:
            Program([(tape, 1)]).run(1, n_threads=n_threads)
        assert "index 9 at (13) is out of range" in str(failed.value.error())


def test_a_step_that_is_not_finite_changes_nothing_and_names_op_and_layer():
    layer = fastnn.layers.Dense(3, name="hidden")
    norm = fastnn.layers.BatchNormalization()
    layer.build_for((None, 2))
    norm.build_for((None, 3))
    optimizer = fastnn.optimizers.Adam()
    optimizer.build([*layer.trainable_weights, *norm.trainable_weights])

    @fastnn.record
    def step(x):
        loss = ops.mean(norm(layer(x), training=True))
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((4, 2)))
    before = layer.get_weights() + norm.get_weights()
    with pytest.raises(
        FloatingPointError,
        match=r"made by linear in layer 'hidden'\. Weights are those before this step",
    ):
        step(np.full((4, 2), 3e38))
    for a, b in zip(before, layer.get_weights() + norm.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert optimizer.iterations == 1
    step(np.ones((4, 2)))
    assert optimizer.iterations == 2


def pointwise_calls(x):
    for _ in range(6):
        x = ops.exp(x * 0.5)
    return x


def products(x):
    for _ in range(6):
        x = ops.exp(ops.matmul(x, x) * 0.01)
    return x


def test_buffers_share_memory_and_the_summary_tells():
    recording = fastnn.record(products).recording(np.ones((64, 64), "f4"))
    tape = recording.tape
    assert tape.arena.nbytes < tape.unshared_bytes / 2
    lines = tape.summary().splitlines()
    assert len(lines) == len(tape.instructions) + 4 + any(tape.barrier_before)
    exp = next(line for line in lines if line.startswith("exp"))
    assert "64x64" in exp.replace("4096", "64x64")
    assert str(2 * 4 * 64 * 64) in exp, "bytes read and written"


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize(
    "widths",
    [(784, 512, 512, 10), (300, 299, 298, 297, 296, 295, 10), (16, 10), (64, *[64] * 12, 10)],
)
def test_a_plan_takes_hardly_more_memory_than_the_buffers_alive_at_once(widths, norm, n_threads):
    hidden = [
        layer
        for n in widths[1:-1]
        for layer in (
            [fastnn.layers.Dense(n), fastnn.layers.BatchNormalization()]
            if norm
            else [fastnn.layers.Dense(n, "tanh")]
        )
    ]
    model = fastnn.Sequential(
        [fastnn.Input((widths[0],)), *hidden, fastnn.layers.Dense(widths[-1])]
    )
    optimizer = fastnn.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    with Recorder("step") as recorder:
        y = model(np.ones((32, widths[0]), "f4"), training=True)
        loss = ops.mean(y * y)
        loss.backward()
        optimizer.step()
    recorder.restore_gradients()
    tape = Tape(recorder, [loss.buffer], n_threads)
    boundaries = [
        n for n in range(len(tape.instructions)) if n_threads == 1 or tape.barrier_before[n]
    ] + [len(tape.instructions)]
    uses = {}
    for n, i in enumerate(tape.instructions):
        for _, a in i.tensors:
            if a.buffer.address is None:
                uses.setdefault(a.buffer, []).append(n)
    uses[loss.buffer].append(len(tape.instructions) - 1)
    alive = [0] * len(tape.instructions)
    for buffer, times in uses.items():
        for n in range(times[0], next(b for b in boundaries if b > times[-1])):
            alive[n] += -(-buffer.nbytes // 64) * 64
    assert max(alive) <= tape.arena.nbytes <= 1.1 * max(alive)


def test_profiling_measures_every_call_and_leaves_state_as_it_was():
    weight = fastnn.Variable(np.ones(8))
    optimizer = fastnn.optimizers.SGD(0.1)
    optimizer.build([weight])

    @fastnn.record
    def step(x):
        loss = ops.mean(x * weight)
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones(8))
    before = weight.numpy()
    tape = profiling.profile(step.recording(np.ones(8)).tape, seconds=0.01)
    np.testing.assert_array_equal(weight.numpy(), before)
    assert optimizer.iterations == 1
    assert len(tape.timings.seconds) == len(tape.instructions)
    assert "GFLOP/s" in tape.summary()


def test_two_threads_replay_two_steps_at_once():
    steps, wrong = (
        [fastnn.record(lambda x, n=n: pointwise_calls(x) + float(n)) for n in range(2)],
        [],
    )
    x = RNG.normal(size=(50, 40)).astype("f4")
    expected = [pointwise_calls(fastnn.tensor(x)).numpy() + np.float32(n) for n in range(2)]

    def work(n):
        for _ in range(200):
            if not np.array_equal(steps[n](x).numpy(), expected[n]):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def run_for_ever(program):
    while True:
        program.position = (0, 0, 0)
        program.run(1, n_threads=2)


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels have one thread")
def test_ctrl_c_in_a_run_on_two_threads_leaves_the_pool_usable():
    with Recorder("step") as recorder:
        result = pointwise_calls(fastnn.tensor(np.ones((64, 64), "f4")))
    tape = Tape(recorder, [result.buffer], 2)
    program = Program([(tape, 1000)])
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            run_for_ever(program)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    program.position = (0, 0, 0)
    program.run(1, n_threads=2)
    assert program.position == (1, 0, 0)


# Fusion groups: pointwise calls, which go through their arrays tile by tile.


@pytest.fixture
def small_tiles(monkeypatch):
    """Arrays of any size are cut, into tiles of 64 elements."""
    monkeypatch.setattr(fusion, "FUSION_MIN_ELEMENTS", 1)
    monkeypatch.setattr(fusion, "TILE_ELEMENTS", 64)


def pointwise(x, y):
    product = ops.tanh(x * 2.0 + y) * x
    return ops.maximum(product - 0.5, y), ops.sqrt(product * product)


@pytest.mark.parametrize("n_threads", N_THREADS)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 200, 1000])
def test_a_fusion_group_has_the_bits_of_single_calls(size, n_threads, small_tiles):
    x, y = (fastnn.tensor(RNG.normal(size=size).astype("f4")) for _ in range(2))
    expected = [t.numpy() for t in pointwise(x, y)]
    for got, want in zip(on_threads(lambda: pointwise(x, y), n_threads), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_only_a_fusion_group_uses_takes_the_memory_of_a_tile():
    x = RNG.normal(size=1 << 18).astype("f4")
    step = fastnn.record(lambda x: ops.maximum(ops.exp(x * 2.0) + 1.0, 3.0))
    expected = ops.maximum(ops.exp(x * np.float32(2)) + 1.0, 3.0).numpy()
    np.testing.assert_array_equal(step(x).numpy(), expected)
    tape = step.recording(x).tape
    assert tape.arena.nbytes < 2 * x.nbytes, "the result, and tiles for the other three"
    assert step.summary().count("\n> ") == 3
    profiling.profile(tape, 0.01)  # one call of a group by itself stays in its tile
    np.testing.assert_array_equal(step(x).numpy(), expected)


def test_no_fusion_group_leads_across_a_check(small_tiles):
    """The update of the first tile would come before the last tile's gradient has been checked."""
    weight, optimizer = fastnn.Variable(np.ones(300)), fastnn.optimizers.SGD(1.0)
    optimizer.build([weight])

    @fastnn.record
    def step(x):
        loss = ops.sum(ops.exp(weight * x))
        loss.backward()
        optimizer.step()
        return loss

    x = np.zeros(300, "f4")
    step(x)
    before = weight.numpy()
    x[299] = 200.0
    with pytest.raises(FloatingPointError, match="first value that is not finite was made by exp"):
        step(x)
    np.testing.assert_array_equal(weight.numpy(), before)
