"""`model.profile` and the peaks it compares with: it prints what it promises, and leaves everything
as it was."""

import re

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.devices.cpu import INTERPRETED, entry, peaks, processor, vector_bits
from fastnn.kernels.cpu import peaks as kernels

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 12)).astype("f4")
Y = RNG.integers(0, 3, len(X))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Peaks are measured once, and roughly."""
    monkeypatch.setattr(peaks, "QUICK", (1e-5, 1))
    monkeypatch.setattr("fastnn.profiling.STEP_SECONDS", 1e-3)


def network(width=32):
    fastnn.utils.set_random_seed(0)
    hidden = [layers.Dense(width, activation="tanh"), layers.BatchNormalization()]
    model = fastnn.Sequential([fastnn.Input((12,)), *hidden, layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def lines_of(capsys, *arguments, **named):
    model = network(**named)
    model.profile(*arguments)
    return capsys.readouterr().out.splitlines()


def test_every_call_has_a_line_with_its_rates(capsys):
    model = network()
    model.profile(X, Y, batch_size=16)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A training step of 16 rows, each call by itself on one thread:"
    for word in ("us", "share", "GFLOP/s", "GB/s", "of floor", "vectors"):
        assert word in lines[1]
    names = [line.removeprefix("| ").split("  ")[0] for line in lines]
    assert {"gather", "linear", "matmul", "batch_norm", "adam"} <= set(names)
    if not INTERPRETED:
        assert f"{8 * processor().target.vector_bytes} bits" in next(
            line for line in lines if line.startswith("adam")
        )
        assert re.search(r"a whole step: \S+ us on 1 thread", "\n".join(lines))
        assert re.search(r"^threads: \d+, vectors of \d+ bits$", "\n".join(lines), re.MULTILINE)


@pytest.mark.parametrize("fitted", [False, True])
def test_everything_is_as_before(fitted, capsys):
    """After a fit the place in the data is their end, and before one no order is drawn."""
    profiled, other = network(), network()
    for model in (profiled, other):
        if fitted:
            fastnn.utils.set_random_seed(1)
            model.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    gradients = [v.gradient for v in profiled.trainable_variables]
    profiled.profile(X, Y, batch_size=16)
    assert [v.gradient for v in profiled.trainable_variables] == gradients
    histories = []
    for model in (profiled, other):
        fastnn.utils.set_random_seed(2)
        histories.append(model.fit(X, Y, batch_size=16, epochs=3, verbose=0).history)
    assert histories[0] == histories[1]
    for a, b in zip(profiled.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert profiled.optimizer.iterations == other.optimizer.iterations


def test_advice_is_on_what_is_lost(capsys):
    assert not any(line.startswith("advice") for line in lines_of(capsys, X, Y))
    wide = 8 * processor().target.vector_bytes // 32
    assert (
        f"advice: dense/kernel has {wide + 1} columns" in lines_of(capsys, X, Y, width=wide + 1)[-1]
    )
    assert "batches of one row" in lines_of(capsys, X, Y, 1)[-1]
    fastnn.config.set_floatx("float64")
    assert "float64 takes twice the time" in lines_of(capsys, X, Y)[-1]


def test_what_cannot_be_profiled_is_refused():
    with pytest.raises(RuntimeError, match="profile: call compile"):
        fastnn.Sequential([fastnn.Input((12,)), layers.Dense(3)]).profile(X, Y)
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    with pytest.raises(RuntimeError, match="profile: the model runs eagerly"):
        model.profile(X, Y)
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        network().profile(X, Y, batch_size=0)


def test_a_step_that_cannot_be_repeated_is_still_profiled(capsys):
    """Repeated on the same rows with such a rate it comes to numbers that are not finite."""
    model = network()
    model.compile(fastnn.optimizers.SGD(1e30), "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.profile(X, Y)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(INTERPRETED, reason="there is no object code")
def test_the_object_code_tells_the_width_of_its_vectors():
    from fastnn.kernels.cpu import epoch, gemm

    for kernel, dtype, bits in [
        (gemm.gemm, "f4", 8 * processor().target.vector_bytes),
        (epoch.end_epoch, "f4", 0),
    ]:
        entry(kernel, dtype)
        assert vector_bits(kernel, dtype) in (bits, None)


def test_peaks_are_what_a_repeat_does_over_its_time(monkeypatch):
    """By a clock that tells a nanosecond for each: how long it takes depends on the machine, and on
    what else that does."""

    def run(calls, repeats, n_threads, run=peaks._run):
        run(calls, 1, n_threads)()  # that they can be
        return lambda: 1e-9 * repeats

    monkeypatch.setattr(peaks, "_run", run)
    monkeypatch.setattr(peaks, "seconds_of_passes", peaks.seconds_of_passes.__wrapped__)
    vector = processor().target.vector_bytes
    for dtype in map(np.dtype, ("float32", "float64")):
        lanes = vector // dtype.itemsize
        found = peaks.flops_per_second.__wrapped__(dtype, quick=True)
        assert found == pytest.approx(2e9 * kernels.ACCUMULATORS * lanes)
    read_and_written = (1 << 14) // 12 * 12
    found = peaks._bytes_per_second.__wrapped__((2, 1, 0), 1 << 14)
    assert found == pytest.approx(1e9 * read_and_written)
