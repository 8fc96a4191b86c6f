"""Sums over any axes on CUDA, and their gradients."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.compile.ptx_entry import COMMITS
from fastnn.kernels.cuda import reduce
from fastnn.ops.reduce import SHAPES_AND_AXES, add_to, sum_gradient

from .both import FLOATS, missed, on_both, on_cuda, same_bits, sectors, slow
from .emulator import Emulator, mirrored, run

floats = pytest.mark.parametrize("dtype", FLOATS)
# (outer, reduced, inner) for every form: one element, less than a warp, a block, a strip of columns
# and one more, and several of them.
SMALL = [(1, 1, 1), (3, 0, 2), (5, 16, 1), (300, 3, 1), (31, 7, 5), (40, 16, 16), (9, 2, 13)]
COLUMNS = [(2, 0, 3), (1, 1, 1), (1, 3, 300), (3, 17, 33), (2, 9, 256), (1, 8, 257)]
GROUPS = [
    (1, 1, 1), (1, 31, 1), (9, 33, 1), (7, 255, 1), (1, 257, 1), (3, 40, 2), (2, 70, 10),
    (3, 19, 31), (2, 21, 32), (1, 50, 33), (2, 9, 65), (1, 1200, 3),
]  # fmt: skip
FORMS = {
    reduce.SUMS.small: SMALL,
    reduce.SUMS.by_thread: COLUMNS,
    reduce.SUMS.by_warp: GROUPS,
    reduce.SUMS.by_block: GROUPS,
}


def in_form(kernel, x, *given, start=None, dtype=None, chunk=None, **options):
    """What a kernel of a Reduction makes of x (outer, reduced, inner), where `start` stood."""
    emulator, (outer, reduced, inner) = Emulator(number=COMMITS, **options), x.shape
    chunks = -(-reduced // chunk) if chunk else 1
    before = np.zeros((outer * chunks, inner), dtype or x.dtype) if start is None else start
    y = emulator.place(before, is_known=start is not None)
    given = [emulator.place(g) if isinstance(g, np.ndarray) else g for g in given]
    if "chunk" in [p.name for p in kernel.parameters]:
        emulator(kernel, emulator.place(x), *given, chunk or max(reduced, 1), y)
    else:
        emulator(kernel, emulator.place(x), *given, y.flat())
    return emulator.read(y)


def whole(rng, shape, dtype):
    """Numbers that are exact in sums."""
    return rng.integers(-100, 100, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", slow("float64"), slow("int64"), "int32"])
@pytest.mark.parametrize("kernel", FORMS, ids=str)
def test_every_form_sums_every_element_once(kernel, dtype):
    rng, options = np.random.default_rng(0), {"shift": 1, "schedule": "fuzz"}
    for extents in FORMS[kernel]:
        x, out = whole(rng, extents, dtype), whole(rng, extents[::2], dtype)
        found = in_form(kernel, x, 1.0, 1, start=out, **options)
        np.testing.assert_array_equal(found, out + x.sum(1, dtype=dtype))
    if dtype.startswith("float"):
        found = in_form(kernel, x, 0.5, 1, start=out, **options)
        np.testing.assert_array_equal(found, out + 0.5 * x.sum(1))
    if "chunk" in [p.name for p in kernel.parameters]:
        x = whole(rng, (2, 100, 3), dtype)
        found = in_form(kernel, x, 1.0, 0, chunk=32, **options)
        parts = [x[:, r : r + 32].sum(1, dtype=dtype) for r in range(0, 100, 32)]
        np.testing.assert_array_equal(found, np.stack(parts, 1).reshape(-1, 3))
    else:
        found = in_form(kernel, x, 1.0, 0, **options)
        np.testing.assert_array_equal(found, x.sum(1, dtype=dtype))
    assert missed(kernel, np.dtype(dtype).str[1:]) == []


@floats
@pytest.mark.parametrize("kernel", FORMS, ids=str)
def test_a_sums_bits_depend_on_its_shape_alone(kernel, dtype):
    for extents in FORMS[kernel]:
        x = np.random.default_rng(1).normal(size=extents).astype(dtype)
        found = in_form(kernel, x, 0.25, 0)
        again = in_form(kernel, x, 0.25, 0, shift=3, schedule="fuzz", seed=9)
        same_bits(None, {}, [again], [found])
        error = np.abs(found - 0.25 * x.astype("f8").sum(1))
        assert (error <= 4 * np.finfo(dtype).eps * np.sqrt(max(extents[1], 1))).all()


def within_tolerance(op, attributes, expected, found):
    if op not in (ops.sum, ops.mean):
        same_bits(op, attributes, expected, found)
        return
    for a, b in zip(expected, found, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        eps = np.finfo(a.dtype).eps
        np.testing.assert_allclose(b, a, rtol=4 * eps, atol=100 * eps)


@pytest.mark.parametrize(("dtype", "shift"), [("float32", 1), slow("float64", 0)])
def test_sums_means_and_gradients_over_any_axes(dtype, shift):
    rng = np.random.default_rng(2)
    with mirrored(within_tolerance, shift=shift):
        for shape, axis in SHAPES_AND_AXES:
            for op in (ops.sum, ops.mean):
                x = fastnn.tensor(rng.normal(size=shape).astype(dtype), requires_gradient=True)
                y = op(x, axis=axis)
                y.backward(rng.normal(size=y.shape).astype(dtype))


@pytest.mark.parametrize("dtype", [slow("int64"), "int32"])
def test_sums_of_integers(dtype):
    rng, limits = np.random.default_rng(3), np.iinfo(dtype)
    for shape, axis in SHAPES_AND_AXES:
        x = rng.integers(limits.min, limits.max, shape, dtype)  # wraps around
        on_both(ops.sum, x, axis=axis, shift=1)


@floats
def test_infinities_and_nan_are_passed_on(dtype):
    for shape, axis in [((9, 70), 1), ((70, 9), 0), ((5, 3), 1), ((300, 40), 0)]:
        x = np.ones(shape, dtype)
        x[1, 0], x[2, 1], x[3, 2], x[4, 2] = np.nan, np.inf, -np.inf, np.inf
        with np.errstate(invalid="ignore"):
            expected = x.sum(axis)
        (found,), _ = run(ops.sum, [x], [np.zeros_like(expected)], {"axis": axis})
        np.testing.assert_array_equal(found, expected)


def test_many_rows_are_summed_in_chunks_and_many_columns_by_threads(monkeypatch):
    """With thresholds at which an interpreter is quick."""
    limits = {
        "CHUNKED_MIN_ELEMENTS": 256, "CHUNK_MIN_ELEMENTS": 64, "ENOUGH_BLOCKS": 24,
        "MANY_COLUMNS": 200, "MANY_ROWS": 12,
    }  # fmt: skip
    for name, limit in limits.items():
        monkeypatch.setattr(reduce, name, limit)
    reduce.rows_of_chunk.cache_clear()
    launches = []
    monkeypatch.setattr(
        Emulator, "__call__",
        lambda self, kernel, *a, call=Emulator.__call__: launches.append(kernel.name)
        or call(self, kernel, *a),
    )  # fmt: skip
    rng = np.random.default_rng(4)
    for shape, axis, forms in [
        ((9000,), None, ["by_block", "by_warp"]),
        ((2, 1000), 1, ["by_block", "small"]),
        ((1000, 3), 0, ["by_block", "small"]),
        ((700, 40), 0, ["by_block", "by_thread"]),
        ((20, 40, 17), 1, ["by_thread"]),
        ((17, 40), 1, ["by_warp"]),
        ((3, 300), 1, ["by_block", "small"]),
        ((40, 3, 50, 2), (0, 2), ["by_warp", "by_warp"]),
    ]:
        x = whole(rng, shape, "f4")
        launches.clear()
        out = np.array(x.sum(axis))
        (found,), _ = run(ops.sum, [x], [out], {"axis": axis, "accumulate": True}, shift=1)
        np.testing.assert_array_equal(found, 2 * out)
        assert launches == [f"sum_{form}" for form in forms], shape
    reduce.rows_of_chunk.cache_clear()


def test_extents_of_any_size_have_a_form():
    """No more blocks than a grid has, and chunks that all have rows."""
    extents = [0, 1, 2, 16, 17, 32, 33, 257, 4096, 1 << 16, 1 << 21]
    for outer in extents:
        for reduced in extents:
            for inner in extents:
                if 0 in (outer, inner):
                    continue  # no grid
                form = reduce.form_of(outer, reduced, inner)
                if form == "small":
                    assert 0 < reduced <= reduce.SMALL
                    assert inner <= reduce.SMALL
                elif form == "by_warp":
                    assert inner <= reduce.COLUMNS
                elif form == "by_block":
                    assert inner <= reduce.SMALL or outer * inner < reduce.MANY_COLUMNS
                if chunk := reduce.rows_of_chunk(outer, reduced, inner):
                    assert 0 < chunk < reduced


@floats
@pytest.mark.parametrize("shift", [0, 1])
def test_gradients_of_sums_are_the_cpus(dtype, shift):
    rng = np.random.default_rng(5)
    for shape, axis in [
        ((0,), 0), ((1,), 0), ((31,), 0), ((1023,), 0), ((1025,), 0), ((5, 7), 0), ((5, 7), 1),
        ((3, 33, 4), 1), ((3, 5, 64), 1), ((2, 3, 4, 5), (1, 3)), ((9, 1), 1), ((3, 2, 2), 1),
    ]:  # fmt: skip
        dy = rng.normal(size=np.zeros(shape).sum(axis).shape).astype(dtype)
        for mean in (False, True):
            attributes = {"shape": shape, "axis": axis, "mean": mean}
            on_both(sum_gradient, dy, shift=shift, schedule="fuzz", **attributes)
    for n in (0, 1, 3, 4, 31, 33, 1023, 1024, 1025):
        x, total = rng.normal(size=(2, n)).astype(dtype)
        on_both(add_to, x, places=[total], shift=shift, schedule="fuzz")
    if shift:
        for kernel in (reduce.broadcast_rows, reduce.add_to):
            assert missed(kernel, np.dtype(dtype).str[1:]) == []


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((64, 1000), 1), ((9, 7936), 1), ((400, 128), 0), ((3, 64, 512), 1), ((5000, 16), 1),
     ((64, 4096), 0), ((4096, 32), 0), ((20000,), None)],
)  # fmt: skip
def test_memory_is_moved_by_whole_sectors(shape, axis):
    x = np.zeros(shape, "f4")
    y = x.sum(axis)
    _, emulator = run(ops.sum, [x], [y], {"axis": axis}, shift=0)
    first = next(iter(emulator.stats.values()))
    assert sectors(first) <= 1.1
    assert first.bank_conflict_factor() <= 1.1
    assert first.global_sectors() <= 1.1 * (x.nbytes + 16 * y.nbytes) / 32
    attributes = {"shape": shape, "axis": axis, "mean": False}
    assert sectors(on_cuda(sum_gradient, [y], [x], **attributes), ("st",)) <= 1.1
