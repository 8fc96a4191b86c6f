"""Movements on CUDA have the CPU's bits: at sizes around blocks and tiles, on arrays that begin at
a multiple of 16 bytes or one element after it, in any order of the warps."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.devices.launchers import launcher
from fastnn.kernels.cuda import movement, scatter
from fastnn.kernels.cuda.scatter import INDICES
from fastnn.kernels.status import INDEX_OUT_OF_RANGE
from fastnn.ops.arithmetic import cast
from fastnn.ops.indices import scatter_add, scatter_max, scatter_set
from fastnn.ops.movement import (
    KEYS,
    _slice_gradient,
    concatenated,
    flat_index,
    slice_updated,
    take_gradient,
    zeros,
)

from .both import (
    ALL,
    FLOATS,
    missed,
    on_both,
    on_cuda,
    same_bits,
    same_numbers,
    sectors,
    slow,
    some,
)
from .emulator import Emulator, Failed, mirrored, run

BLOCK = movement.BLOCK_ELEMENTS
SIZES = (0, 1, 31, 33, BLOCK - 1, BLOCK + 1, 3 * BLOCK)
aligned_or_not = pytest.mark.parametrize("shift", [0, 1])
# one of each size: elements are moved as they are
every_type = pytest.mark.parametrize(
    "dtype", [x if x in ("float32", "int64", "bool") else slow(x) for x in ALL]
)
floats = pytest.mark.parametrize("dtype", FLOATS)
# of those that move any bytes alike
few_types = pytest.mark.parametrize("dtype", ["float32", "uint8", *map(slow, ("int64", "int32"))])
LIMIT = 1.1  # of sectors and of bank conflicts, over the fewest


@every_type
@aligned_or_not
def test_copies(dtype, shift):
    rng = np.random.default_rng(1)
    for n in SIZES:
        on_both(ops.copy, some(rng, n, dtype), shift=shift)


@every_type
@aligned_or_not
def test_casts(dtype, shift):
    rng = np.random.default_rng(2)
    for n in SIZES[:-1]:
        x = rng.integers(0, 200, n).astype(dtype)
        for other in ALL:
            on_both(cast, x, dtype=np.dtype(other), shift=shift)
    if dtype in FLOATS:
        odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-3], dtype)
        for other in (*FLOATS, "bool"):
            on_both(cast, odd, dtype=np.dtype(other), shift=shift)


SLICES = [
    *KEYS,
    ((BLOCK + 40,), slice(16, -16)),
    ((BLOCK + 40,), slice(None, None, -1)),
    ((70, 64), (slice(2, -1), slice(16, 48))),  # rows of whole vectors
    ((70, 64), (slice(None, None, -3),)),
    ((6, 5, 64), (slice(None), slice(None, None, 2))),
    ((3, 4, 70), (slice(None, None, 2), slice(None, None, -1), slice(1, None, 3))),
    ((4,) * 6, (slice(None, None, 2),) * 6),
]


@every_type
@aligned_or_not
def test_slices(dtype, shift):
    rng = np.random.default_rng(3)
    for shape, key in SLICES:
        x = some(rng, shape, dtype)
        (y,) = on_both(ops.slice_copy, x, key=key, shift=shift)
        np.testing.assert_array_equal(y, x[key])


@floats
@aligned_or_not
def test_gradients_of_slices(dtype, shift):
    rng = np.random.default_rng(4)
    for shape, key in SLICES:
        dy = some(rng, np.zeros(shape, "u1")[key].shape, dtype)
        on_both(_slice_gradient, dy, shape=shape, key=key, shift=shift)


@few_types
@aligned_or_not
def test_slices_put(dtype, shift):
    rng = np.random.default_rng(4)
    for shape, key in SLICES:
        x = some(rng, shape, dtype)
        values = some(rng, x[key].shape, dtype)
        (y,) = on_both(slice_updated, x, values, key=key, shift=shift)
        x[key] = values
        np.testing.assert_array_equal(y, x)


@few_types
@aligned_or_not
def test_broadcasts(dtype, shift):
    rng = np.random.default_rng(4)
    for x, shape in [((), (33,)), ((1, 64), (40, 64)), ((70, 1), (70, 33)), ((1, 3), (0, 3)),
                     ((3, 1, 5), (2, 3, 4, 5))]:  # fmt: skip
        x = some(rng, x, dtype)
        (y,) = on_both(ops.broadcast_to, x, shape=shape, shift=shift)
        np.testing.assert_array_equal(y, np.broadcast_to(x, shape))


@few_types
@aligned_or_not
def test_pieces_joined(dtype, shift):
    rng = np.random.default_rng(4)
    cases = [(0, [(BLOCK + 1,), (3,), (0,), (33,)]), (1, [(70, 32), (70, 16)]),
             (-1, [(40, 3), (40, 1), (40, 66)]), (1, [(3, 2, 5), (3, 7, 5)])]  # fmt: skip
    for axis, shapes in cases:
        pieces = [some(rng, shape, dtype) for shape in shapes]
        (y,) = on_both(concatenated, *pieces, axis=axis, shift=shift)
        np.testing.assert_array_equal(y, np.concatenate(pieces, axis))


@every_type
def test_zeros(dtype):
    for n in SIZES:
        (y,) = on_both(zeros, shape=(n,), dtype=np.dtype(dtype))
        assert not y.any()


@pytest.mark.parametrize("op", [scatter_set, scatter_add, scatter_max], ids=["set", "add", "max"])
@few_types
def test_rows_scattered(op, dtype):
    rng = np.random.default_rng(4)
    for shape, count in [((1,), 1), ((9, 5), 40), ((300,), 60), ((400, 3), 31), ((9, 5), 0)]:
        index = rng.integers(-shape[0], shape[0], count)
        x, updates = some(rng, shape, dtype), some(rng, (count, *shape[1:]), dtype)
        on_both(op, x, index, updates, shift=1, check=same_numbers)
    with pytest.raises(Failed) as failed:
        run(op, [x, np.array([0, 9]), x[:2]], [x], {})
    assert (failed.value.code, failed.value.place) == (INDEX_OUT_OF_RANGE, 1)


TRANSPOSES = [
    *[(shape, None) for shape in [(), (5,), (0, 3), (1, 1), (4, 7), (3, 4, 5)]],
    *[((m, n), None) for m, n in [(31, 33), (32, 32), (33, 65), (8, 40), (7, 40), (40, 7)]],
    ((97, 64), None),
    ((2, 33, 40), (0, 2, 1)),
    ((40, 3, 33), None),
    ((2, 9, 3, 10), (2, 3, 0, 1)),
    ((3, 9, 2, 10), (2, 3, 0, 1)),
    ((5, 32, 16), (1, 0, 2)),  # rows stay rows
    ((2, 3, 4, 5), (-1, 0, 1, 2)),
    ((33, 1, 34), None),
    ((2, 3, 2, 3, 9, 10), (3, 1, 5, 0, 2, 4)),
]  # fmt: skip


@every_type
@aligned_or_not
def test_transposes(dtype, shift):
    rng = np.random.default_rng(5)
    for shape, axes in TRANSPOSES:
        x = some(rng, shape, dtype)
        (y,) = on_both(ops.transpose, x, axes=axes, shift=shift, schedule="fuzz")
        np.testing.assert_array_equal(y, x.transpose(axes))


TAKES = [  # shape, axis, shape of the indices
    ((1,), 0, ()),
    ((131,), 0, (2, 70)),
    ((9, 5), 0, (40,)),
    ((9, 64), 0, (70,)),
    ((9, 5), 1, (7,)),
    ((3, 9, 5), 1, (2, 3)),
    ((3, 9, 16), -2, (33,)),
    ((9, 5), 0, (0,)),
    ((9, 0), 0, (4,)),
]


@every_type
@aligned_or_not
def test_rows_taken(dtype, shift):
    rng = np.random.default_rng(6)
    for shape, axis, indices in TAKES:
        x, index = some(rng, shape, dtype), rng.integers(-shape[axis], shape[axis], indices)
        (y,) = on_both(ops.take, x, index, axis=axis, shift=shift)
        np.testing.assert_array_equal(y, np.take(x, index, axis))


PUT_BACK = [  # shape, axis, number of indices
    ((1,), 0, 1),
    ((5,), 0, 0),
    ((300,), 0, 60),
    ((9, 5), 0, 40),
    ((400, 32), 0, INDICES + 76),  # more than a block looks through at a time
    ((301, 5), 0, 100),
    ((3, 9, 5), 1, 33),
    ((3, 400, 4), 1, 60),  # blocks that begin in one a and end in the next
    ((3, 700, 1), 1, 60),
    ((2, 3, 700), 1, 31),
    ((9, 0), 0, 4),
]


@floats
@aligned_or_not
def test_gradients_of_rows_taken(dtype, shift):
    rng = np.random.default_rng(7)
    for shape, axis, count in PUT_BACK:
        index = rng.integers(-shape[axis], shape[axis], count)
        dy = rng.normal(size=(*shape[:axis], count, *shape[axis + 1 :])).astype(dtype)
        on_both(take_gradient, index, dy, shape=shape, axis=axis, shift=shift)


@pytest.mark.parametrize("columns", [5, 32])
def test_gradients_of_one_row_taken_often_are_added_in_order(columns):
    """In any order of the warps."""
    rng = np.random.default_rng(7)
    dy = rng.normal(size=(60, columns)).astype("f4")
    for index in (rng.integers(0, 9, 60), np.full(60, 4)):
        on_both(take_gradient, index, dy, shape=(9, columns), axis=0, schedule="fuzz")


@every_type
@aligned_or_not
def test_rows_gathered(dtype, shift):
    rng = np.random.default_rng(8)
    for shape, at, rows in [
        ((1, 1), 0, 1),
        ((9, 5), 2, 4),
        ((40, 17), 7, 33),
        ((9,), 1, 3),
        ((5, 4, 12), 0, 5),
        ((300, 16), 50, 200),
        ((9, 0), 2, 4),
        ((9, 5), 2, 0),
    ]:
        source, order = some(rng, shape, dtype), rng.permutation(shape[0])
        (y,) = on_both(ops.gather, source, order, np.array([at]), rows=rows, shift=shift)
        np.testing.assert_array_equal(y, source[order[at : at + rows]])


@aligned_or_not
def test_indices_of_two_dimensions_are_one(shift):
    rng = np.random.default_rng(9)
    for x, y in [((), ()), ((5,), (5,)), ((3, 1), (1, 700)), ((700, 3), (3,)), ((), (0,)),
                 ((2, 1, 3), (4, 1))]:  # fmt: skip
        x, y = rng.integers(0, 9, x), rng.integers(-7, 7, y)
        (z,) = on_both(flat_index, x, y, extent=7, shift=shift)
        np.testing.assert_array_equal(z, x * 7 + y % 7)


def test_indexing_is_made_of_them():
    x = fastnn.tensor(np.arange(2 * 5 * 40, dtype="f4").reshape(2, 5, 40))
    i, j = np.array([[0], [1]]), np.array([4, -1, 0])
    with mirrored(same_bits, shift=1):
        np.testing.assert_array_equal(x[i, j].numpy(), x.numpy()[i, j])
        np.testing.assert_array_equal(
            x[fastnn.tensor(i), :, fastnn.tensor(j)].numpy(), x.numpy()[i, :, j]
        )


@pytest.mark.parametrize("columns", [1, 5, 16])
def test_an_index_out_of_range_reports_the_lowest_row(columns):
    x = np.ones((9, columns), "f4")
    index = np.arange(700) % 9
    index[[650, 400, 31]] = 9, -10, 1 << 40
    out = np.empty((700, columns), "f4")
    with pytest.raises(Failed) as failed:
        run(ops.take, [x, index], [out], {"axis": 0}, schedule="fuzz")
    assert (failed.value.code, failed.value.place) == (INDEX_OUT_OF_RANGE, 31)
    for cursor, order, lowest in [(0, index, 31), (5, index, 26), (1, np.arange(5), 4),
                                  (-2, np.arange(9), 0), (1 << 50, np.arange(9), 0)]:  # fmt: skip
        with pytest.raises(Failed) as failed:
            run(ops.gather, [x, order, np.array([cursor])], [out], {"rows": 700}, schedule="fuzz")
        assert (failed.value.code, failed.value.place) == (INDEX_OUT_OF_RANGE, lowest)


def test_an_index_of_two_dimensions_out_of_range_reports_the_lowest_place():
    y = np.zeros(700, int)
    y[[650, 31]] = 7, -8
    with pytest.raises(Failed) as failed:
        run(flat_index, [np.zeros((2, 1), int), y], [np.empty((2, 700), int)], {"extent": 7})
    assert (failed.value.code, failed.value.place) == (INDEX_OUT_OF_RANGE, 31)


def test_out_of_range_indices_are_taken_as_zeros():
    """Also where rows are moved by whole vectors, as on the CPU."""
    x, index = np.ones((3, 8), "f4"), np.array([2, 3])
    for columns in (8, 5):
        found = run_without_status(ops.take, [x[:, :columns], index], (2, columns), axis=0)
        np.testing.assert_array_equal(found, [[1] * columns, [0] * columns])


def run_without_status(op, arrays, shape, **attributes):
    emulator = Emulator()
    given, out = [emulator.place(a) for a in arrays], emulator.place(np.empty(shape, "f4"), False)
    with pytest.raises(Failed):
        launcher(op, "cuda")(emulator, *given, out, **attributes)
    return emulator.read(out)


KERNELS = (
    movement.copy,
    movement.zero,
    movement.strided_copy,
    movement.strided_put,
    movement.put_columns,
    movement.transpose_tiles,
    movement.take_rows,
    scatter.scatter_add_rows,
    movement.gather_rows,
    movement.flat_index_elements,
)
FORM = {movement.gather_rows: "i4"}  # rows are moved as words


def test_every_basic_block_is_executed():
    if any(
        missed(k, FORM.get(k, "f4")) for k in KERNELS
    ):  # the tests above have not run in this process
        for shift in (0, 1):
            for test in (
                test_copies,
                test_slices,
                test_gradients_of_slices,
                test_pieces_joined,
                test_transposes,
                test_rows_taken,
                test_gradients_of_rows_taken,
                test_rows_gathered,
            ):
                test("float32", shift)
        test_indices_of_two_dimensions_are_one(0)
        for columns in (5, 16):
            test_an_index_out_of_range_reports_the_lowest_row(columns)
        test_an_index_of_two_dimensions_out_of_range_reports_the_lowest_place()
    assert {k.name: missed(k, FORM.get(k, "f4")) for k in KERNELS} == {k.name: [] for k in KERNELS}


@every_type
def test_no_sector_is_moved_twice(dtype):
    rng = np.random.default_rng(10)
    x, index = some(rng, (256, 128), dtype), rng.permutation(256)
    t = np.dtype(dtype)
    for op, inputs, shape, attributes in [
        (ops.copy, [x], x.shape, {}),
        (ops.slice_copy, [x], (200, 64), {"key": (slice(0, 200), slice(32, 96))}),
        (ops.transpose, [x], (128, 256), {}),
        (ops.transpose, [x.reshape(4, 64, 128)], (4, 128, 64), {"axes": (0, 2, 1)}),
        (ops.take, [x, index], x.shape, {"axis": 0}),
        (ops.gather, [x, index, np.zeros(1, int)], x.shape, {"rows": 256}),
        (ops.broadcast_to, [x[:1]], x.shape, {"shape": x.shape}),
        (concatenated, [x, x], (256, 256), {"axis": 1}),
    ]:
        stats = on_cuda(op, inputs, [np.empty(shape, t)], **attributes)
        assert sectors(stats) <= LIMIT, op
        assert stats.bank_conflict_factor() <= LIMIT, op


@floats
def test_gradients_move_no_sector_twice(dtype):
    rng = np.random.default_rng(11)
    dy = rng.normal(size=(256, 64)).astype(dtype)
    dx = np.empty((300, 64), dtype)
    given = {"shape": dx.shape, "axis": 0}
    stats = on_cuda(take_gradient, [rng.integers(0, 300, 256), dy], [dx], **given)
    assert sectors(stats) <= LIMIT
    assert stats.bank_conflict_factor() <= LIMIT
    given = {"shape": dx.shape, "key": (slice(0, 256), slice(None))}
    assert sectors(on_cuda(_slice_gradient, [dy], [dx], **given)) <= LIMIT
