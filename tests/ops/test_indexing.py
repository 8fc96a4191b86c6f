"""x[...] is NumPy's, in values and gradients, eagerly and recorded."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnn
from fastnn import ops
from fastnn.errors import DTypeError, RecordingError, ShapeError

TYPES = ("float32", "float64", "int64", "bool")
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@st.composite
def indices(draw, extent, shapes):
    """An array, or nested lists, of indices of a dimension."""
    array = draw(
        hnp.arrays(
            "int64", draw(st.sampled_from(shapes)), elements=st.integers(-extent, extent - 1)
        )
    )
    return array.tolist() if array.ndim and draw(st.booleans()) else array


@st.composite
def keys(draw, shape):
    """A key for an array of this shape: what NumPy takes, of all kinds mixed."""
    key, d, has_dots = [], 0, False
    ahead = draw(st.integers(0, 2))
    # that broadcast
    shapes = draw(st.sampled_from([[(3,)], [()], [(2, 1), (3,), ()], [(0,)], [(2, 2)]]))
    while d < len(shape) or ahead:
        extent = shape[d] if d < len(shape) else None
        kinds = ["new"] if ahead else []
        kinds += [] if has_dots else ["dots"]
        kinds += (
            []
            if extent is None
            else ["slice", "slice"]
            if extent == 0
            else ["slice", "slice", "integer", "array", "mask", "end"]
        )
        kind = draw(st.sampled_from(kinds or ["end"]))
        if kind == "end":
            break
        if kind == "new":
            ahead -= 1
            key.append(None)
        elif kind == "dots":
            has_dots = True
            key.append(...)
            d += draw(st.integers(0, len(shape) - d))
            # What follows stands at the end: as many dimensions as are left.
            rest = draw(st.integers(0, len(shape) - d))
            d = len(shape) - rest
        elif kind == "mask":
            key.append(draw(hnp.arrays("bool", (extent,))))
            d += 1
        else:
            end = st.one_of(st.none(), st.integers(-2 * extent - 1, 2 * extent + 1))
            strategy = {
                "slice": st.builds(
                    slice, end, end, st.one_of(st.none(), st.integers(-3, 3).filter(bool))
                ),
                "integer": st.integers(-extent, extent - 1) if extent else st.none(),
                "array": indices(extent, shapes) if extent else st.none(),
            }[kind]
            key.append(draw(strategy))
            d += 1
    return key[0] if len(key) == 1 and draw(st.booleans()) else tuple(key)


def has_mask(key):
    return any(
        isinstance(k, np.ndarray) and k.dtype == bool
        for k in (key if isinstance(key, tuple) else (key,))
    )


ANY_KEY = SHAPES.flatmap(lambda shape: st.tuples(st.just(shape), keys(shape)))


def values(shape, dtype):
    return np.random.default_rng(0).integers(-50, 50, shape).astype(dtype)


def taken(x, key):
    """x[key], or None where NumPy refuses, for shapes that do not broadcast."""
    try:
        return np.asarray(x[key])
    except IndexError:
        return None


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=200, deadline=None)
@given(case=ANY_KEY)
def test_elements_are_numpys(dtype, case):
    shape, key = case
    x = values(shape, dtype)
    expected, t = taken(x, key), fastnn.tensor(x)
    if expected is None:
        with pytest.raises(IndexError):
            t[key]
        return
    got = t[key]
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(got.numpy(), expected)
    assert not np.shares_memory(got.buffer.owner, t.buffer.owner)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@settings(max_examples=100, deadline=None)
@given(case=ANY_KEY)
def test_gradients_are_put_back(dtype, case):
    """Against the sum of what each element of the result gives to its own; whole numbers, so that
    no order of additions shows."""
    shape, key = case
    places = taken(np.arange(np.prod(shape, dtype=int)).reshape(shape), key)
    if places is None:
        return
    above = np.arange(1.0, 1 + places.size).reshape(places.shape)
    expected = np.zeros(int(np.prod(shape)))
    np.add.at(expected, places.ravel(), above.ravel())
    x = fastnn.tensor(values(shape, dtype), requires_gradient=True)
    x[key].backward(above)
    assert x.gradient.dtype == dtype
    np.testing.assert_array_equal(x.gradient.numpy(), expected.reshape(shape))


@settings(max_examples=60, deadline=None)
@given(case=ANY_KEY)
def test_recorded_is_the_same_with_indices_as_arguments(case):
    """Arrays among the key are arguments of the step, which it is then called with again, the other
    way round."""
    shape, key = case
    items = key if isinstance(key, tuple) else (key,)
    x = values(shape, "float32")
    if taken(x, key) is None or has_mask(key):
        return
    arrays = [np.asarray(i, np.int64) for i in items if isinstance(i, np.ndarray | list)]
    x = fastnn.Variable(x)

    def chosen(given):
        given = iter(given)
        return tuple(next(given) if isinstance(i, np.ndarray | list) else i for i in items)

    @fastnn.record
    def step(*given):
        y = x[chosen(given)]
        x.gradient = None
        ops.sum(y * y).backward()
        return y, x.gradient

    for now in (arrays, [a[::-1] if a.ndim else a for a in arrays]):
        expected = x.numpy()[chosen(now)]
        got, gradient = step(*now)
        np.testing.assert_array_equal(got.numpy(), expected)
        x.gradient = None
        y = x[chosen(now)]
        ops.sum(y * y).backward()
        np.testing.assert_array_equal(gradient.numpy(), x.gradient.numpy())


def test_indices_that_are_arguments_are_checked_natively_and_name_the_first_that_is_out_of_range():
    x = fastnn.Variable(np.arange(12.0).reshape(4, 3))

    @fastnn.record
    def rows(i):
        return x[i]

    @fastnn.record
    def elements(i, j):
        return x[i, j]

    np.testing.assert_array_equal(rows([3, -4]).numpy(), x.numpy()[[3, -4]])
    np.testing.assert_array_equal(elements([3, -4], [-1, 2]).numpy(), x.numpy()[[3, -4], [-1, 2]])
    for wrong in ([0, 4], [0, -5], [1, 2**40]):
        with pytest.raises(IndexError, match=rf"take: index {wrong[1]} at \(1\) is out of range"):
            rows(wrong)
        with pytest.raises(IndexError, match=r"index: index \S+ is out of range"):
            elements(wrong, [0, 0])
    with pytest.raises(IndexError, match="index: index 3 is out of range"):
        elements([0, 0], [3, 0])
    np.testing.assert_array_equal(rows([0, 1]).numpy(), x.numpy()[:2])  # and goes on


@pytest.mark.parametrize("n_threads", [1, 2])
def test_eager_and_replayed_an_index_out_of_range_is_told_in_the_same_words(n_threads):
    """Which it is, and where in the array of indices it stands, labels of steps too."""
    table, logits = np.zeros((5, 3), "f4"), np.zeros((2, 4, 3), "f4")
    indices = np.array([[1, 2, 0, 1], [0, -9, 2, 1]])
    calls = (
        lambda i: ops.take(table, i, axis=0),
        lambda i: ops.sparse_categorical_crossentropy(i, logits),
        lambda i: ops.sparse_categorical_crossentropy(i, logits, from_logits=True),
        lambda i: ops.take(table, ops.reshape(i * 2 - i, (4, 2)), axis=0),
    )
    messages, before = [], fastnn.get_threads()
    try:
        fastnn.set_threads(n_threads)
        for call in calls:
            with pytest.raises(IndexError, match="index -9") as eager:
                call(fastnn.tensor(indices))
            step = fastnn.record(call)
            step(np.abs(indices) % 3)
            with pytest.raises(IndexError) as replayed:
                step(indices)
            messages.append(str(replayed.value))
            at = str(eager.value).partition(": ")[2]
            assert messages[-1].partition(": ")[2] == at
            assert str(pickle.loads(pickle.dumps(replayed.value))) == messages[-1]
    finally:
        fastnn.set_threads(before)
    assert ["at (1, 1)" in m for m in messages] == [True, True, True, False]
    assert "at (2, 1)" in messages[3]


def test_an_index_of_a_dimension_without_elements_reads_nothing():
    x = fastnn.tensor(np.zeros((0, 3), "f4"))
    with pytest.raises(
        IndexError, match="index 0 is out of range for dimension 0, whose extent is 0"
    ):
        x[[0]]
    with pytest.raises(IndexError, match="out of range"):
        x[fastnn.tensor(np.array([0]))]
    assert x[fastnn.tensor(np.zeros(0, int))].shape == (0, 3)


X = fastnn.tensor(np.arange(6.0, dtype="f4").reshape(2, 3))
MASK = np.array([True, False])


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        (2, IndexError, "index 2 is out of range for dimension 0, whose extent is 2"),
        ((0, -4), IndexError, "index -4 is out of range for dimension 1, whose extent is 3"),
        ([0, 2], IndexError, "index 2 is out of range for dimension 0"),
        ((slice(None), [[3]]), IndexError, "index 3 is out of range for dimension 1"),
        ((0, 0, 0), IndexError, "3 indices for a tensor of 2 dimensions"),
        (([0], [0], [0]), IndexError, "3 indices for a tensor of 2 dimensions"),
        ((..., ...), IndexError, r"more than one '\.\.\.'"),
        (
            1.0,
            IndexError,
            r"expected integers, slices, None, '\.\.\.' or arrays of integers; got 1\.0",
        ),
        ("a", IndexError, "got 'a'"),
        (slice(0.5, None), IndexError, "expected integers.* got 0.5"),
        (slice(None, None, 0), ValueError, "the step of a slice must not be 0"),
        (True, IndexError, "expected integers.* got True"),
        ([0.5], IndexError, "holds integers or booleans; got element type float64"),
        (fastnn.tensor([0.5]), IndexError, "holds integers or booleans; got a tensor of float32"),
        (
            ([0, 1], [0, 1, 2]),
            IndexError,
            r"arrays of indices of shapes \(2\) and \(3\) do not broadcast",
        ),
        (
            np.ones(3, bool),
            IndexError,
            r"must have the shape of the dimensions it stands for, \(2\) of \(2, 3\); got \(3\)",
        ),
        (np.ones((3, 2), bool), IndexError, r"it stands for, \(2, 3\) of \(2, 3\); got \(3, 2\)"),
    ],
)
def test_what_is_no_index_is_said(key, kind, message):
    X[0], X[1], X[0, 0]  # kept plans are of integers alone
    with pytest.raises(kind, match=message):
        X[key]


@pytest.mark.parametrize(
    "mask", [MASK, MASK.tolist(), fastnn.tensor(MASK)], ids=["array", "list", "tensor"]
)
def test_a_boolean_array_is_taken_eagerly_only(mask):
    np.testing.assert_array_equal(X[mask].numpy(), X.numpy()[MASK])
    step = fastnn.record(lambda x: x[mask])
    with pytest.raises(RecordingError, match=r"a recorded step has fixed shapes\. Multiply by it"):
        step(X)
    with pytest.raises(RecordingError, match="or take the elements before the step"):
        fastnn.record(lambda x: x[x > 1.0])(X)


def test_a_mask_of_several_dimensions_stands_for_them():
    x = np.arange(24.0).reshape(2, 3, 4)
    for key in (
        x > 5,
        (x[:, :, 0] > 2, 1),
        (0, x[0] > 3),
        (..., x[0, 0] > 1),
        (x[:, :, 0] > 2, [1, 0, 2, 3, 3]),
    ):
        np.testing.assert_array_equal(fastnn.tensor(x)[key].numpy(), x[key])
    t = fastnn.tensor(x, requires_gradient=True)
    ops.sum(t[t > 5.0] ** 2).backward()
    np.testing.assert_array_equal(t.gradient.numpy(), np.where(x > 5, 2 * x, 0))


def test_iteration_gives_the_rows_and_ends():
    x = np.arange(6.0).reshape(3, 2)
    t = fastnn.Variable(x, dtype="float64")
    assert [row.numpy().tolist() for row in t] == x.tolist()
    a, _, c = t
    ops.sum(a * c).backward()
    np.testing.assert_array_equal(t.gradient.numpy(), [[4, 5], [0, 0], [0, 1]])
    assert list(fastnn.tensor(np.zeros((0, 3)))) == []
    assert len(list(fastnn.record(lambda x: list(x))(x))) == 3
    with pytest.raises(TypeError, match="without dimensions"):
        iter(fastnn.tensor(1.0))


@pytest.mark.parametrize("shape", [(300, 40), (5000,), (2, 900, 3)])
def test_bits_do_not_depend_on_threads(shape):
    """Of sums of many rows' gradients, whose order shows in the rounding."""
    rng = np.random.default_rng(0)
    index, x = rng.integers(0, shape[0], 4000), rng.normal(size=shape).astype("f4")
    above, found = rng.normal(size=(4000, *shape[1:])).astype("f4"), []
    for threads in (1, 2, 3):
        fastnn.set_threads(threads)
        w = fastnn.Variable(x)

        @fastnn.record
        def step(index, above, w=w):
            ops.sum(w[index] * above).backward()
            return w.gradient, w[::-2] * 2.0

        found.append([t.numpy().tobytes() for t in step(index, above)])
        w.gradient = None
        ops.sum(w[index] * above).backward()
        found.append([w.gradient.numpy().tobytes(), found[-1][1]])
    assert all(f == found[0] for f in found)


def test_a_table_of_embeddings_learns():
    """The gradient of rows taken by an argument reaches the variable in a recorded step, and rows
    taken twice count twice."""
    table, optimizer = fastnn.Variable(np.zeros((5, 2))), fastnn.optimizers.SGD(0.5)
    optimizer.build([table])

    @fastnn.record
    def step(index):
        loss = ops.sum((table[index] - 1.0) ** 2) * 0.5
        loss.backward()
        optimizer.step()
        return loss

    assert float(step([0, 3, 3])) == 3.0
    np.testing.assert_array_equal(table.numpy()[:, 0], [0.5, 0, 0, 1.0, 0])


@pytest.mark.parametrize("kind", TYPES)
def test_what_moves_elements_takes_every_type(kind):
    x = values((3, 4, 5), kind)
    t = fastnn.tensor(x)
    for got, expected in [
        (ops.transpose(t), x.T),
        (ops.transpose(t[0]), x[0].T),
        (ops.take(t, [1, -1], axis=1), x[:, [1, -1]]),
        (ops.reshape(t, (5, -1)), x.reshape(5, -1)),
        (ops.slice_copy(t, (slice(None, None, -1), 2)), x[::-1, 2]),
        (fastnn.record(lambda t: ops.transpose(t)[::2])(t), x.T[::2]),
    ]:
        assert got.dtype == kind
        np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (
            lambda: ops.take(X, [0.5]),
            DTypeError,
            "take: indices must be whole numbers, int64; got float32",
        ),
        (
            lambda: ops.take(X, [0], axis=2),
            ShapeError,
            r"take: axis 2 is not one of the 2 dimensions of shape \(2, 3\)",
        ),
        (
            lambda: ops.take(X, [2], axis=0),
            IndexError,
            r"take: index 2 at \(0\) is out of range",
        ),
        (
            lambda: ops.take_along_axis(X, [[0], [7]], axis=1),
            IndexError,
            "take_along_axis: index 7 is out of range",
        ),
        (
            lambda: ops.sparse_categorical_crossentropy([5], [[0.1, 0.9]]),
            IndexError,
            r"^sparse_categorical_crossentropy: index 5 at \(0\) is out of range",
        ),
        (lambda: ops.slice_copy(X, [0]), IndexError, r"expected integers, .* got \[0\]"),
    ],
)
def test_errors_of_the_ops(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
