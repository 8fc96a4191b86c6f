"""What the records of sorting do not say: ends of the range, types, what is read eagerly."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import RecordingError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8", "bool"])
@pytest.mark.parametrize("size", [15, 16, 17, 33, 500])
def test_rows_are_sorted_stably(size, dtype):
    x = RNG.integers(0, 7, (3, size)).astype(dtype)
    place = np.argsort(x, kind="stable")
    np.testing.assert_array_equal(ops.argsort(fastnn.tensor(x)).numpy(), place)
    np.testing.assert_array_equal(ops.sort(fastnn.tensor(x)).numpy(), np.sort(x))
    values, indices = ops.top_k(fastnn.tensor(x), 14)
    np.testing.assert_array_equal(values.numpy(), np.sort(x)[:, ::-1][:, :14])
    np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), -1), values.numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32"])
def test_long_rows_are_sorted_as_short_ones(dtype):
    limits = np.iinfo(dtype) if np.dtype(dtype).kind == "i" else np.finfo(dtype)
    odd = [limits.min, limits.max, 0, -1, 1, 256, -257, 70000]
    if isinstance(limits, np.finfo):
        odd += [np.inf, -np.inf, np.nan, -np.nan, -0.0, limits.tiny, -limits.tiny]
    x = RNG.choice(np.array(odd, dtype), (3, 300))
    np.testing.assert_array_equal(ops.argsort(x).numpy(), np.argsort(x, kind="stable"))
    got = ops.sort(x).numpy()
    np.testing.assert_array_equal(got, np.take_along_axis(x, np.argsort(x, kind="stable"), -1))
    values, indices = ops.top_k(x, 299)
    few = ops.top_k(x, 20)
    np.testing.assert_array_equal(values.numpy()[:, :20], few[0].numpy())
    np.testing.assert_array_equal(indices.numpy()[:, :20], few[1].numpy())


def test_recorded_is_eager_and_threads_change_nothing():
    x = fastnn.tensor(RNG.normal(size=(40, 200)).astype("float32"))

    def f(x):
        return ops.sort(x, axis=0), ops.median(x, axis=1), *ops.top_k(x, 40)

    for threads in (1, 2):
        fastnn.set_threads(threads)
        for a, b in zip(f(x), fastnn.record(f)(x), strict=True):
            assert a.numpy().tobytes() == b.numpy().tobytes()


def test_the_gradient_of_equal_elements_goes_to_one_of_them():
    x = fastnn.tensor([[2.0, 1.0, 2.0, 2.0]], requires_gradient=True)
    ops.top_k(x, 2)[0].backward(fastnn.tensor([[5.0, 7.0]]))
    np.testing.assert_array_equal(x.gradient.numpy(), [[5, 0, 7, 0]])


def test_bins_and_counts():
    np.testing.assert_array_equal(ops.searchsorted([1, 3], [0.5, 1, 3, 9]).numpy(), [0, 0, 1, 2])
    x = np.array([0.0, 1.0, 9.0, 2.5])
    recorded = fastnn.record(lambda x, bins: ops.digitize(x, bins + 0.0))
    for bins in ([1.0, 3.0], [3.0, 2.5, 1.0], [3.0, 3.0, 1.0], [5.0]):
        expected = np.digitize(x, bins)
        np.testing.assert_array_equal(ops.digitize(x, bins).numpy(), expected)
        np.testing.assert_array_equal(recorded(x, np.array(bins)).numpy(), expected)
    with pytest.raises(ValueError, match="bins must ascend or descend; these do neither"):
        ops.digitize(x, [1.0, 3.0, 2.0])
    got = ops.bincount(np.array([[0, 2], [1, 1]]), minlength=4)
    np.testing.assert_array_equal(got.numpy(), [[1, 0, 1, 0], [0, 2, 0, 0]])
    assert got.dtype == "int32"
    weighted = ops.bincount([0, 2, 2], weights=[1.0, 0.5, 0.25])
    np.testing.assert_array_equal(weighted.numpy(), [1, 0, 0.75])
    values, inverse, counts = ops.unique([3, 1, 3], return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(values.numpy(), [1, 3])
    np.testing.assert_array_equal(inverse.numpy(), [1, 0, 1])
    np.testing.assert_array_equal(counts.numpy(), [1, 2])


def test_segments():
    data, ids = np.arange(1.0, 9).reshape(4, 2), [2, 0, 2, -1]
    expected = {"sum": [[3, 4], [0, 0], [6, 8]], "prod": [[3, 4], [1, 1], [5, 12]]}
    expected |= {"max": [[3, 4], [-np.inf] * 2, [5, 6]], "min": [[3, 4], [np.inf] * 2, [1, 2]]}
    for name, rows in expected.items():
        got = getattr(ops, f"segment_{name}")(data, ids, 3)
        np.testing.assert_array_equal(got.numpy(), rows)
    np.testing.assert_array_equal(ops.segment_sum([1, 2, 4], [0, 1, 0]).numpy(), [5, 2])
    fastnn.gradcheck(lambda x: ops.segment_sum(x, ids, 3), [data])
    fastnn.gradcheck(lambda x: ops.segment_max(x, ids[:3], 3)[::2], [data[:3]])


def test_counts_fill_up_to_a_size():
    values, counts = ops.unique([3, 1, 3], return_counts=True, size=4, fill_value=-1)
    np.testing.assert_array_equal(values.numpy(), [1, 3, -1, -1])
    np.testing.assert_array_equal(counts.numpy(), [1, 2, 0, 0])
    np.testing.assert_array_equal(ops.unique([3, 1, 3], size=1).numpy(), [1])
    counts, ends = ops.histogram([0.0, 0.5, 2.0], bins=2)
    np.testing.assert_array_equal(counts.numpy(), [2, 1])
    np.testing.assert_array_equal(ends.numpy(), [0, 1, 2])


def test_of_nothing_but_nan():
    x = np.full((2, 3), np.nan, "float32")
    for op in (ops.nanmean, ops.nanvar, ops.nanmax, ops.nanmin, ops.nanmedian):
        assert np.isnan(op(x, axis=1).numpy()).all()
    np.testing.assert_array_equal(ops.nanargmax(x, axis=1).numpy(), [-1, -1])
    assert ops.nansum(fastnn.tensor([1, 2])).dtype == "int64"
    assert ops.nanmax(fastnn.tensor([1, 2])).numpy() == 2


def test_small_unsigned_numbers_and_rows_of_none_are_counted():
    small = np.array([0, 2, 2], "uint8")
    np.testing.assert_array_equal(ops.bincount(small).numpy(), [1, 0, 2])
    np.testing.assert_array_equal(ops.bincount(np.zeros((2, 0), "int32"), minlength=1), [[0], [0]])
    np.testing.assert_array_equal(ops.segment_sum([1.0, 2.0, 4.0], small).numpy(), [1, 0, 6])


def test_what_depends_on_values_is_not_recorded():
    for f in (ops.unique, ops.bincount, ops.histogram):
        with pytest.raises(RecordingError, match=f"{f.__name__}: how large its result is"):
            fastnn.record(f)(fastnn.tensor([1, 2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.top_k([1.0, 2.0], 3), "top_k: k must be a whole number from 0 to 2"),
        (lambda: ops.top_k([1.0, 2.0], 1.5), "top_k: k must be a whole number"),
        (lambda: ops.sort([1.0], axis=1), "sort: axis 1 is not one of the 1 dimensions"),
        (lambda: ops.quantile([1.0, 2.0], 1.5), "quantile: q must be a number from 0 to 1"),
        (lambda: ops.quantile([1.0, 2.0], 0.5, method="mean"), "quantile: method must be one of"),
        (lambda: ops.median(np.zeros((0, 3)), axis=0), r"median: x, .*\(0, 3\), has no elements"),
        (lambda: ops.searchsorted([[1.0]], 2.0), r"sorted_sequence must have shape \(any\)"),
        (lambda: ops.searchsorted([1.0], 2.0, side="up"), "side must be 'left' or 'right'"),
        (lambda: ops.bincount([-1]), "bincount: x must be rows .* got a number below 0"),
        (lambda: ops.in_top_k([0], [[1.0, 2.0]], k=0), "in_top_k: k must be a whole number from 1"),
        (lambda: ops.bincount([1], minlength=-1), "bincount: minlength must be a whole number"),
        (lambda: ops.unique([1, 2], size=-1), "unique: size must be a whole number from 0 on"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
