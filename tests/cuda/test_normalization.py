"""Batch and layer normalisation, and their gradients."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.apply import apply
from fastnn.kernels.cuda import layer_norm, normalization, strips
from fastnn.ops import normalization as records

from .both import FLOATS, QUICKLY, as_tensor, same_bits, sectors
from .emulator import run
from .rounding import ROWS, close, hold_to_cpu, not_covered

# Around the lines and columns of a block, and the four rows that a thread takes at a time.
SHAPES = [(1, 3), (2, 1), (31, 8), (33, 9), (127, 16), (129, 7), (300, 17)]


@pytest.fixture
def small_chunks(monkeypatch):
    """Of more than 64 rows, chunks of 160: of five rows to a thread."""
    monkeypatch.setattr(strips, "ONE_LAUNCH_ROWS", 64)
    monkeypatch.setattr(strips, "CHUNK_MIN_ROWS", 160)


def drawn(dtype, shape, seed=1):
    """x, gamma, beta and dy."""
    rng = np.random.default_rng(seed)
    shapes = shape, shape[1], shape[1], shape
    return [rng.normal(1, 2, s).astype(dtype) for s in shapes]


def work(op, x, gamma, beta, dy, *given):
    x, gamma, beta = (fastnn.tensor(a, requires_gradient=True) for a in (x, gamma, beta))
    y = op(x, gamma, beta, *given)
    (y[0] if isinstance(y, tuple) else y).backward(dy)


def move(batch, moving):
    """On a copy: it is written over."""
    places = [as_tensor(moving.copy())]
    apply(records.move_towards, (as_tensor(batch),), {"momentum": 0.9}, places)


def statistics(dtype, columns):
    """A mean and a variance of each column."""
    return np.ones(columns, dtype), np.linspace(0, 3, columns).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_batch_norm_in_one_launch(dtype):
    for shape in SHAPES:
        hold_to_cpu(work, ops.batch_norm, *drawn(dtype, shape))
    assert not_covered(normalization.batch_norm_strips, dtype) == []
    assert not_covered(normalization.batch_norm_gradient_strips, dtype) == []


@pytest.mark.parametrize("dtype", QUICKLY)
def test_batch_norm_by_chunks(dtype, small_chunks):
    for shape in [(65, 3), (161, 16), (400, 9)]:
        hold_to_cpu(work, ops.batch_norm, *drawn(dtype, shape))
    for kernel in (
        normalization.chunk_statistics,
        normalization.join_statistics,
        normalization.scale_columns,
        normalization.chunk_gradient_sums,
        normalization.join_gradient_sums,
        normalization.combine_columns,
    ):
        assert not_covered(kernel, dtype) == []


@pytest.mark.parametrize("dtype", QUICKLY)
def test_batch_norm_by_given_statistics(dtype, small_chunks):
    for shape in [(0, 3), *SHAPES]:
        given = *drawn(dtype, shape), *statistics(dtype, shape[1])
        hold_to_cpu(work, ops.batch_norm_inference, *given)
    for kernel in (
        normalization.inference_columns,
        normalization.inference_gradient_chunks,
        strips.join_chunks,
    ):
        assert not_covered(kernel, dtype) == []


@pytest.mark.parametrize("dtype", QUICKLY)
def test_layer_norm(dtype, small_chunks):
    for shape in [*ROWS, (200, 5)]:
        hold_to_cpu(work, ops.layer_norm, *drawn(dtype, shape))
    for columns in (1, 100, 2000):
        assert not_covered(layer_norm.layer_norm_kernel(columns), dtype) == []
        assert not_covered(layer_norm.layer_norm_gradient_kernel(columns), dtype) == []
    assert not_covered(layer_norm.layer_norm_gradient_chunks, dtype) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", QUICKLY)
def test_many_rows(dtype):
    """On both sides of the number from which there are chunks, and of more than 16 of them."""
    for shape in [(2048, 9), (2049, 8), (5000, 17)]:
        given = drawn(dtype, shape)
        hold_to_cpu(work, ops.batch_norm, *given)
        hold_to_cpu(work, ops.batch_norm_inference, *given, *statistics(dtype, shape[1]))
        hold_to_cpu(work, ops.layer_norm, *given)


@pytest.mark.parametrize("dtype", FLOATS)
def test_moving_averages_are_the_cpus_bit_for_bit(dtype):
    for n in (0, 1, 31, 255, 257, 600):
        batch, moving = np.random.default_rng(n).normal(size=(2, n)).astype(dtype)
        hold_to_cpu(move, batch, moving, check=same_bits)
    assert not_covered(normalization.move_towards, dtype) == []


@pytest.mark.parametrize("op", [ops.batch_norm, ops.layer_norm])
def test_nothing_is_lost_far_from_zero(op, small_chunks):
    """Of mean 1e4 and deviation 1 float32 keeps 4 digits; so does the result, against the exact
    one of the same numbers."""
    for rows, columns in [(60, 5), (400, 40), (3, 2000)]:
        x, gamma, beta, _ = drawn("f4", (rows, columns))
        x = (x + 1e4).astype("f4")
        outputs = [np.empty_like(x), *[np.empty(n, "f4") for n in [columns] * 4]]
        if op is ops.layer_norm:
            outputs = [np.empty_like(x), *[np.empty(n, "f4") for n in [rows] * 3]]
        found = run(op, [x, gamma, beta], outputs, {})[0][0]
        exact = op.reference(*(a.astype("f8") for a in (x, gamma, beta)))
        exact = exact[0] if isinstance(exact, tuple) else exact
        assert np.abs(found - exact).max() < 1e-5


def close_results(op, attributes, expected, found):
    """y, dx. Of columns, or rows, that are not finite each device has other statistics; and mean_lo
    is the noise of a mean."""
    assert (np.isfinite(expected[0]) == np.isfinite(found[0])).all()
    for y in expected[0], found[0]:
        y[~np.isfinite(y)] = 0
    close(op, attributes, expected[:1], found[:1])


@pytest.mark.parametrize("dtype", QUICKLY)
def test_extreme_numbers(dtype, small_chunks):
    """Columns and rows that are all alike, tiny, huge, infinite or NaN in one place."""
    for shape in [(40, 6), (200, 6), (6, 40)]:
        x, gamma, beta, dy = drawn(dtype, shape)
        x[:, 0] = x[0, :] = 1.0 / 3.0
        x[:, 1] *= np.finfo(dtype).smallest_normal
        x[:, 2] *= np.sqrt(np.finfo(dtype).max) / 1e3
        x[5, 3], x[3, 4], x[3, 5] = np.inf, np.nan, -np.inf
        for op in (ops.batch_norm, ops.layer_norm):
            hold_to_cpu(work, op, x, gamma, beta, dy, check=close_results)


def test_a_column_does_not_depend_on_the_others(small_chunks):
    for rows in (50, 350):
        x, gamma, beta, _ = drawn("f4", (rows, 24))
        outputs = [np.empty_like(x), *[np.empty(24, "f4") for _ in range(4)]]
        whole = run(ops.batch_norm, [x, gamma, beta], outputs, {})[0]
        for n in (1, 9):
            given = [np.ascontiguousarray(a[..., :n]) for a in (x, gamma, beta)]
            outputs = [np.empty_like(a[..., :n]) for a in whole]
            part = run(ops.batch_norm, given, outputs, {}, schedule="fuzz")[0]
            for a, b in zip(part, whole, strict=True):
                assert a.tobytes() == np.ascontiguousarray(b[..., :n]).tobytes()


def test_memory_is_read_and_written_by_whole_sectors(monkeypatch):
    for rows in (128, 64):
        monkeypatch.setattr(strips, "ONE_LAUNCH_ROWS", 100)
        x, gamma, beta, dy = drawn("f4", (rows, 64))
        of_columns, of_rows = [np.ones(64, "f4")] * 4, [np.ones(rows, "f4")] * 3
        for op, inputs, outputs in [
            (ops.batch_norm, [x, gamma, beta], [x, *of_columns]),
            (records._gradient_op, [x, *of_columns, dy], [x, *of_columns[:2]]),
            (ops.batch_norm_inference, [x, *of_columns], [x, gamma]),
            (records._inference_gradient_op, [x, *of_columns[:3], dy], [x, *of_columns[:2]]),
            (ops.layer_norm, [x, gamma, beta], [x, *of_rows]),
            (records._layer_gradient_op, [x, gamma, *of_rows, dy], [x, *of_columns[:2]]),
        ]:
            _, emulator = run(op, inputs, outputs, {})
            for stats in emulator.stats.values():
                assert sectors(stats) <= 1.1, (op, stats.report())
                assert stats.bank_conflict_factor() <= 1.1
