"""Products: every form and tile gives the same bits, which are those of the CPU's chain."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.apply import Call
from fastnn.kernels.cpu import matmul as cpu
from fastnn.kernels.cuda.gemm import gemm
from fastnn.kernels.cuda.gemm_microkernel import (
    LARGE,
    MAX_GRID_Y,
    MEDIUM,
    SMALL,
    TILES,
    TINY,
    tile_for,
)
from fastnn.ops.elementwise import gradient_from_output
from tests.ptx import Kernel, PTXError

from .both import on_both
from .emulator import Emulator, kernels, mirrored

FORMS = {"nn": (False, False), "tn": (True, False), "nt": (False, True), "tt": (True, True)}
QUICK = [(LARGE, "nn", "float32"), (MEDIUM, "tn", "float32"), (MEDIUM, "nt", "float64")]
QUICK += [(SMALL, form, "float32") for form in FORMS] + [(TINY, "tn", "float64")]
ALL = [
    (tile, form, np.dtype(dtype).name) for tile in TILES for dtype in tile.dtypes for form in FORMS
]

LAYERS = [(f, d) for f in (None, *gradient_from_output) for d in ("float32", "float64")]
QUICK_LAYERS = [(None, "float64"), ("relu", "float32"), ("tanh", "float32")]


def is_slow(cases, quick):
    return [
        case if case in quick else pytest.param(*case, marks=pytest.mark.slow) for case in cases
    ]


def named(tile):
    return "{}x{}".format(*tile.extents) if isinstance(tile, tuple) else str(tile)


def drawn(rng, *shape, dtype="float32"):
    return rng.uniform(-1, 1, shape).astype(dtype)


def chain(a, b, c, bias=None, accumulate=False, clamp_min=-math.inf):
    """What the CPU's blocked product makes of A and B as they are. It has another column, because
    for one alone the CPU adds up dot products."""
    (rows, columns), out = c.shape, fastnn.tensor(np.hstack([c, c[:, :1]]))
    if rows == 0 or columns == 0:
        return c
    b, bias = np.hstack([b, b[:, :1]]), None if bias is None else np.append(bias, bias[:1])
    given = [x if x is None else fastnn.tensor(x) for x in (a, b, bias)]
    cpu.matmul(
        Call("matmul", "cpu"),
        *given[:2],
        out,
        bias=given[2],
        accumulate=accumulate,
        clamp_min=clamp_min,
    )
    return out.numpy()[:, :columns]


def product(tile, form, a, b, c, bias=None, accumulate=False, clamp_min=-math.inf, **options):
    """The same by a tile's kernel, of A and B stored so; and the kernel's Stats, if it was
    launched."""
    emulator = Emulator(**options)
    stored = [x.T if is_transposed else x for x, is_transposed in zip((a, b), form, strict=True)]
    stored.append(np.zeros(0, c.dtype) if bias is None else bias)
    given = [emulator.place(np.ascontiguousarray(x)) for x in stored]
    made = emulator.place(c, is_known=accumulate)
    emulator(gemm(tile, *form), *given, clamp_min, int(accumulate), made)
    return emulator.read(made), next(iter(emulator.stats.values()), None)


def check(tile, form, dtype, rows, depth, columns, with_bias=False, accumulate=False, **options):
    rng = np.random.default_rng(rows)
    a, b = drawn(rng, rows, depth, dtype=dtype), drawn(rng, depth, columns, dtype=dtype)
    c, bias = drawn(rng, rows, columns, dtype=dtype), drawn(rng, columns, dtype=dtype)
    given = {"bias": bias if with_bias else None, "accumulate": accumulate, "clamp_min": -0.25}
    found, stats = product(tile, FORMS[form], a, b, c, **given, **options)
    np.testing.assert_array_equal(found, chain(a, b, c, **given))
    return stats


@pytest.mark.parametrize(("tile", "form", "dtype"), is_slow(ALL, QUICK), ids=named)
def test_every_form_and_tile_has_the_bits_of_the_cpus_product(tile, form, dtype):
    (height, width), steps = tile.extents, tile.depth * 16 // np.dtype(dtype).itemsize
    case = tile, form, dtype
    stats = check(*case, height, tile.stages * steps, width, shift=0)  # whole tiles
    assert stats.global_efficiency() == stats.bank_conflict_factor() == 1.0
    check(*case, height + 1, tile.stages * steps + 1, width - 1, with_bias=True, schedule="fuzz")
    check(*case, height - 4, steps + 4, width + 4, accumulate=True, shift=0, schedule="fuzz")
    check(*case, 33, steps - 1, 31, with_bias=True, shift=1)
    check(*case, 1, 1, 1, accumulate=True)
    check(*case, 31, 0, 33, with_bias=True, shift=1)


@pytest.mark.parametrize("shape", [(0, 3, 5), (5, 3, 0), (0, 0, 0), (3, 0, 5)])
def test_nothing_to_add_or_nothing_to_make(shape):
    check(TINY, "nn", "float32", *shape)
    check(TINY, "nn", "float32", *shape, with_bias=True)
    check(TINY, "nn", "float32", *shape, accumulate=True)


def test_infinities_and_nans_are_those_of_their_rows_and_columns_alone():
    rng = np.random.default_rng(0)
    a, b = drawn(rng, 17, 33), drawn(rng, 33, 35)
    a[3, 32], b[32, 7], a[16, 0] = np.nan, np.inf, -np.inf
    c = np.zeros((17, 35), np.float32)
    for clamp_min in (-math.inf, 0.0):
        found, _ = product(TINY, FORMS["nn"], a, b, c, clamp_min=clamp_min)
        np.testing.assert_array_equal(found, chain(a, b, c, clamp_min=clamp_min))
    assert np.isnan(found[3]).all()
    assert np.isfinite(np.delete(found, [3, 16], 0)[:, :7]).all()


def test_more_tiles_of_columns_than_a_grid_has_lie_along_x():
    columns = TINY.extents[1] * MAX_GRID_Y + 1
    assert tile_for(1, columns - 1, 4).rows_first
    wide = tile_for(1, 1 << 24, 4)
    assert not wide.rows_first
    assert wide.split[0][0] == "N"
    check(TINY._replace(rows_first=False), "nn", "float32", 33, 5, 65)


def test_the_tile_keeps_every_multiprocessor_busy():
    assert tile_for(4096, 4096, 4) == tile_for(8192, 512, 4) == LARGE
    assert tile_for(4096, 4096, 8) == tile_for(784, 512, 4) == MEDIUM
    assert tile_for(512, 512, 4) == SMALL
    assert tile_for(128, 512, 4) == tile_for(128, 10, 4) == tile_for(1, 4096, 8) == TINY


def test_tiles_fit_in_shared_memory():
    for tile, form, dtype in ALL:
        vector = 16 // np.dtype(dtype).itemsize
        elements = sum(operand.size(vector) for operand in tile.operands(*FORMS[form]))
        assert tile.stages * elements * np.dtype(dtype).itemsize <= 48 << 10, (tile, form)


@pytest.mark.parametrize(("activation", "dtype"), is_slow(LAYERS, QUICK_LAYERS))
def test_a_layer_and_its_gradient(activation, dtype):
    """The products with an activation, with its derivative, with the sums of its rows."""
    launched, tolerance = [], 64 * np.finfo(dtype).eps

    def close(op, attributes, expected, found):
        launched.append(op.name)
        for cpus, gpus in zip(expected, found, strict=True):
            np.testing.assert_allclose(gpus, cpus, rtol=tolerance, atol=tolerance)

    rng = np.random.default_rng(0)
    x, w, bias, top = (
        fastnn.Variable(drawn(rng, *shape), dtype=dtype)
        for shape in ((18, 20), (20, 36), (36,), (36, 7))
    )
    with mirrored(close, shift=1):
        h = ops.linear(x, w, bias, activation=activation)
        ops.matmul(h, top).backward(fastnn.tensor(drawn(rng, 18, 7, dtype=dtype)))
    if activation is not None:
        assert f"matmul and gradient of {activation} and its sums" in launched


STACKS = [
    (((3, 5, 40), (3, 40, 33)), False, False), (((2, 1, 33, 5), (3, 33, 40)), True, False),
    (((5, 33), (3, 40, 33)), False, True), (((3, 9, 5), (1, 40, 9)), True, True),
    (((3, 5, 7), (7, 9)), False, False), (((0, 5, 7), (0, 7, 9)), False, False),
    (((5,), (3, 5, 7)), False, False), (((2, 3, 0), (2, 0, 4)), False, False),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_stacks_of_matrices(dtype):
    rng = np.random.default_rng(0)
    for shapes, transpose_a, transpose_b in STACKS:
        a, b = (np.asarray(4 * drawn(rng, *s)).astype(dtype) for s in shapes)
        options = {"transpose_a": transpose_a, "transpose_b": transpose_b}
        (expected,) = on_both(ops.matmul, a, b, **options, shift=1, check=nearly)
        on_both(ops.matmul, a, b, **options, accumulate=True, places=[expected], check=nearly)


def nearly(_op, _attributes, expected, found):
    for cpus, gpus in zip(expected, found, strict=True):
        eps = 64 * np.finfo(cpus.dtype).eps if cpus.dtype.kind == "f" else 0
        np.testing.assert_allclose(gpus, cpus, rtol=eps, atol=16 * eps)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_large_product(form):
    stats = check(LARGE, form, "float32", 256, 256, 256, shift=0)
    assert stats.global_efficiency() == stats.bank_conflict_factor() == 1.0
    counts = stats.opcode_counts()
    fma = sum(n for name, n in counts.items() if name.startswith("fma"))
    assert fma >= 0.8 * sum(counts.values())


@pytest.mark.parametrize("broken", ["bar.sync", "cp.async.wait_group"])
def test_a_missing_barrier_or_wait_is_found(broken, monkeypatch):
    check(SMALL, "nn", "float32", 33, 200, 33, shift=0)
    (symbol,) = [s for s in kernels if "gemm_nn_32x32_f4" in s]
    text = "\n".join(line for line in kernels[symbol].splitlines() if broken not in line)
    monkeypatch.setattr("tests.cuda.emulator.compiled", lambda *_: Kernel(text))
    with pytest.raises(PTXError):
        check(SMALL, "nn", "float32", 33, 200, 33, shift=0)
