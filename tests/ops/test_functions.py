"""Functions of `ops` that are no ops: values and gradients of those of tensors, as ops are tested;
creation; branches and loops."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.errors import RecordingError, ShapeError
from fastnn.ops.functions import functions, tested
from tests.oracle import draw

CASES = [(name, n) for name, t in tested.items() for n in range(len(t.cases))]
ALL = ("float32", "float64", "int64", "int32", "uint8", "bool")


def called(function, inputs, case, takes_list):
    given = (list(inputs),) if takes_list else inputs
    found = function(*given, **case.attributes)
    return list(found) if isinstance(found, list | tuple) else [found]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_values_and_gradients_are_numpys(name, number):
    t = tested[name]
    case = t.cases[number]
    whole = [np.asarray(np.round(9 * a)) for a in draw(case, number)]
    for dtype in ALL:
        arrays = [np.asarray(a, dtype) for a in whole]
        expected = called(t.reference, arrays, case, t.takes_list)
        for inputs in (arrays, [fastnn.tensor(a) for a in arrays]):
            found = called(t.function, inputs, case, t.takes_list)
            assert len(found) == len(expected)
            for a, b in zip(found, expected, strict=True):
                assert (a.shape, a.dtype) == (b.shape, b.dtype)
                np.testing.assert_array_equal(a.numpy(), b)
    # they move elements: each has the gradient of the places that it has in the results
    tensors = [fastnn.tensor(a, requires_gradient=True) for a in whole]
    ends = np.cumsum([0, *[a.size for a in whole]])
    ids = [np.arange(e - a.size, e).reshape(a.shape) for a, e in zip(whole, ends[1:], strict=True)]
    total, gradient = ops.zeros((), "float64"), np.zeros(ends[-1])
    rng = np.random.default_rng(number)
    for y, places in zip(
        called(t.function, tensors, case, t.takes_list),
        called(t.reference, ids, case, t.takes_list),
        strict=True,
    ):
        above = rng.uniform(0.5, 1.5, y.shape)
        np.add.at(gradient, places.ravel(), above.ravel())
        total = total + ops.sum(y * above)
    total.backward()
    for x, at in zip(tensors, ids, strict=True):
        found = np.zeros(x.shape) if x.gradient is None else x.gradient.numpy()
        np.testing.assert_allclose(found, gradient[at], rtol=1e-14)


@pytest.mark.parametrize("name", sorted(functions))
def test_every_function_is_public_and_says_what_it_is(name):
    assert getattr(ops, name) is functions[name]
    assert functions[name].__doc__


def test_what_is_created_has_kerass_values_and_types():
    for found, expected, dtype in [
        (ops.zeros((2, 3)), np.zeros((2, 3)), "float32"),
        (ops.zeros(3, "int32"), np.zeros(3), "int32"),
        (ops.empty((2,), "bool"), np.zeros(2), "bool"),
        (ops.ones((0, 2)), np.ones((0, 2)), "float32"),
        (ops.full((2, 3), [1, 2, 3], "int64"), np.full((2, 3), [1, 2, 3]), "int64"),
        (ops.full(2, fastnn.tensor(0.1, "float64"), "float64"), np.full(2, 0.1), "float64"),
        (ops.arange(5), np.arange(5), "int32"),
        (ops.arange(2, 11, 3), np.arange(2, 11, 3), "int32"),
        (ops.arange(5, 0, -2, dtype="float64"), np.arange(5, 0, -2), "float64"),
        (ops.arange(0.0, 1.0, 0.25), np.arange(0.0, 1.0, 0.25), "float32"),
        (ops.arange(fastnn.tensor(3)), np.arange(3), "int32"),
        (ops.linspace(0, 10, 5), np.linspace(0, 10, 5), "float32"),
        (ops.linspace(0, [1, 2], 3, axis=-1), np.linspace(0, [1, 2], 3, axis=-1), "float32"),
        (ops.linspace(0, 9, 3, endpoint=False, dtype="int32"), [0, 3, 6], "int32"),
        (ops.linspace(0, 1, 3, retstep=True)[1], 0.5, "float32"),
        (ops.logspace(0, 3, 4, base=2), [1, 2, 4, 8], "float32"),
        (ops.geomspace(1, 8, 4, dtype="float64"), np.geomspace(1, 8, 4), "float64"),
        (ops.eye(3), np.eye(3), "float32"),
        (ops.eye(2, 3, k=1, dtype="int32"), np.eye(2, 3, k=1), "int32"),
        (ops.identity(2), np.eye(2), "float32"),
        (ops.tri(3, 4, -1), np.tri(3, 4, -1), "float32"),
        (ops.one_hot([0, 2, -1], 3), [[1, 0, 0], [0, 0, 1], [0, 0, 0]], "float32"),
        (ops.zeros_like(fastnn.tensor([1, 2])), [0, 0], "int64"),
        (ops.ones_like([1.0, 2.0], "bool"), [True, True], "bool"),
        (ops.full_like(fastnn.tensor([1.0, 2.0]), 3), [3, 3], "float32"),
        (ops.convert_to_tensor([1.0, 2.0]), [1, 2], "float32"),
        (ops.convert_to_tensor([1, 2]), [1, 2], "int32"),
        (ops.convert_to_tensor(2**40), 2**40, "int64"),
        (ops.array(np.array([1, 2])), [1, 2], "int64"),
        (ops.unravel_index([5, -1], (2, 3))[0], [1, 1], "int32"),
        (ops.select([[True, False], [True, True]], [[1, 2], [3, 4]]), [1, 4], "int64"),
        (ops.convert_to_tensor(fastnn.tensor([1.5]), "int32"), [1], "int32"),
        (ops.saturate_cast([-300.0, 1e30], "int32"), [-300, 2147483520], "int32"),
        (ops.saturate_cast(fastnn.tensor([-3, 300]), "uint8"), [0, 255], "uint8"),
    ]:  # fmt: skip
        assert found.dtype == dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    assert ops.shape(ops.zeros((2, 3))) == (2, 3)
    assert (ops.ndim([[1]]), ops.size(np.ones((2, 3))), ops.dtype([1.0])) == (2, 6, "float32")
    assert ops.is_tensor(ops.zeros(2))
    assert not ops.is_tensor(np.zeros(2))
    assert type(ops.convert_to_numpy(ops.zeros(2))) is np.ndarray


@pytest.mark.parametrize("places", [[2, 3], [3, 1], [-1], [2, 2, 9]])
def test_gradients_of_pieces_that_are_used_overlap_or_are_empty(places):
    def of_pieces(x):
        first, *_, last = ops.split(x, places, axis=1)
        return ops.sum(first * first) + 2 * ops.sum(last * last)

    fastnn.gradcheck(of_pieces, [np.random.default_rng(0).normal(size=(3, 5))])


def test_recorded_they_are_the_same():
    def all_of_them(x, start):
        a, b = ops.split(x, 2, axis=1)
        return (
            ops.concatenate([b, a, ops.zeros_like(a)], axis=1),
            ops.stack([a, b, ops.ones((3, 2))]),
            ops.pad(x, 1, "reflect") + ops.eye(5, 6),
            ops.roll(x, 1, axis=0) * ops.arange(4),
            ops.slice(x, [start, 1], [2, 3]),
            ops.slice_update(x, (start, 0), ops.ones((1, 4))),
            ops.scatter_update(x, [[0, 1], [2, 3]], [7.0, 8.0]),
            ops.cond(True, lambda: x, lambda: 1.0 / x),
            ops.scan(lambda c, row: (c + row, c), ops.zeros(4), x)[1],
            ops.meshgrid(x[0], x[1])[0],
        )

    x, start = np.arange(12, dtype="f4").reshape(3, 4), fastnn.tensor(1)
    step = fastnn.record(all_of_them)
    for _ in range(2):
        for found, expected in zip(
            step(x, start), all_of_them(fastnn.tensor(x), start), strict=True
        ):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.numpy(), expected.numpy())
    with pytest.raises(IndexError, match=r"take: index 3 at \(1\) is out of range"):
        step(x, fastnn.tensor(2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.nonzero(x), r"nonzero, where\(condition\): .* fixed shapes"),
        (lambda x: ops.where(x > 0), r"Use where\(condition, x1, x2\)"),
        (lambda x: ops.cond(x[0] > 0, lambda: x, lambda: -x), "cond: pred is a .* ops.where"),
        (lambda x: ops.switch(ops.cast(x[0], "int32"), [abs], x), "switch: index is a tensor"),
        (lambda x: ops.while_loop(lambda y: y[0] < 9, lambda y: y + 1, x), "while_loop: the cond"),
        (lambda x: ops.fori_loop(0, x[0], lambda i, y: y + i, x), "fori_loop: a bound"),
        (lambda x: ops.slice(x, [ops.cast(x[0], "int32")], [-1]), "slice: .* fixed shapes"),
        (lambda x: x[x > 0], "an array of booleans"),
    ],
)  # fmt: skip
def test_what_depends_on_values_is_eager_only_and_says_so(call, message):
    x = np.array([2.0, 3.0], "f4")
    call(fastnn.tensor(x))
    with pytest.raises(RecordingError, match=message):
        fastnn.record(call)(x)


def test_branches_and_loops():
    assert float(ops.cond(fastnn.tensor(0), lambda: 1.0, lambda: 2.0)) == 2.0
    assert ops.switch(9, [lambda x: x, lambda x: -x], 3) == -3
    assert ops.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (0, 0)) == (5, 10)
    assert ops.while_loop(lambda i: True, lambda i: i + 1, 0, maximum_iterations=3) == 3
    assert ops.fori_loop(1, 4, lambda i, x: x * i, 1) == 6
    x = fastnn.tensor(np.arange(6.0).reshape(3, 2), requires_gradient=True)
    y = ops.map(lambda row: (ops.sum(row), row * 2), x)
    np.testing.assert_array_equal(y[0].numpy(), [1, 5, 9])
    ops.sum(y[1]).backward()
    np.testing.assert_array_equal(x.gradient.numpy(), np.full((3, 2), 2.0))
    total, sums = ops.scan(
        lambda c, row: (c + row, c + row), ops.zeros(2, "float64"), x, reverse=True
    )
    np.testing.assert_array_equal(sums.numpy(), np.cumsum(x.numpy()[::-1], axis=0)[::-1])
    np.testing.assert_array_equal(total.numpy(), [6, 9])
    assert ops.scan(lambda c, _: (c + 1, None), 0, length=4) == (4, None)
    np.testing.assert_array_equal(ops.vectorized_map(lambda r: -r, x).numpy(), -x.numpy())


X = np.arange(6.0, dtype="f4").reshape(2, 3)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ops.concatenate([X, X[:, :2]]), ShapeError, r"xs\[1\] must have shape \(any, 3\)"),
        (lambda: ops.concatenate([X, X], axis=2), ShapeError, "axis 2 is not one of the 2 dim"),
        (lambda: ops.concatenate([]), ValueError, "at least one tensor"),
        (lambda: ops.concatenate(3.0), TypeError, "must be a list of tensors; got float"),
        (lambda: ops.stack([X, X[0]]), ShapeError, r"x\[0\] has shape \(2, 3\) and x\[1\] \(3\)"),
        (lambda: ops.split(X, 2, axis=1), ShapeError, "2 sections of one size do not make .* 3"),
        (lambda: ops.unstack(X, num=3), ShapeError, "num is 3, and the extent of dimension 0"),
        (lambda: ops.pad(X, ((1, 2, 3),)), ShapeError, "pad_width must be an integer"),
        (lambda: ops.pad(X, -1), ValueError, "from 0 on"),
        (lambda: ops.pad(X, 1, "median"), ValueError, "mode must be one of constant, edge"),
        (lambda: ops.pad(X, 1, "edge", 2.0), ValueError, "constant_values are for mode"),
        (lambda: ops.squeeze(X, 0), ShapeError, "must be 1; got axis 0"),
        (lambda: ops.expand_dims(X, 4), ShapeError, "axis 4 is not one of"),
        (lambda: ops.expand_dims(X, "a"), TypeError, "axis must be an integer; got 'a'"),
        (lambda: ops.broadcast_to(X, (3, 3)), ShapeError, "do not broadcast"),
        (lambda: ops.broadcast_to(X, (1, 3)), ShapeError, "cannot be repeated to"),
        (lambda: ops.reshape(X, (2.5, 2)), TypeError, "a shape is made of integers"),
        (lambda: ops.moveaxis(X, (0, 1), 0), ShapeError, "as many dimensions, each once"),
        (lambda: ops.repeat(X, 1.5), ValueError, "repeats must be integers"),
        (lambda: ops.repeat(X, [1, 2], axis=1), ShapeError, "a number, or 3 of them"),
        (lambda: ops.tril(X[0]), ShapeError, "two dimensions at least"),
        (lambda: ops.diag(np.ones((2, 2, 2))), ShapeError, "one or two dimensions"),
        (lambda: ops.take_along_axis(X, [0], 1), ShapeError, "must have the 2 dimensions of x"),
        (lambda: ops.take_along_axis(X, [[3], [0]], 1), IndexError, "out of range"),
        (lambda: ops.scatter_update(X, [[2]], [X[0]]), IndexError, "out of range"),
        (lambda: ops.scatter_update(X, [[0]], [[1.0]], "mean"), ValueError, "got 'mean'"),
        (lambda: ops.scatter([[0, 0, 0]], [1.0], (2, 2)), ShapeError, "K from 1 to 2"),
        (lambda: ops.slice(X, [0, 2], [2, 2]), IndexError, "2 elements from 2 on are not among"),
        (lambda: ops.slice(X, [0], [2]), ShapeError, "must be 2 integers"),
        (lambda: ops.zeros((2, -1)), ShapeError, "extents must be from 0 on"),
        (lambda: ops.zeros("a"), TypeError, "a shape is made of integers"),
        (lambda: ops.zeros(2, "float16"), TypeError, "zeros: dtype must be"),
        (lambda: ops.one_hot(X, 3, sparse=True), NotImplementedError, "no sparse tensors"),
        (lambda: ops.tile(X, 1.5), ValueError, "tile: repeats must be a whole number"),
        (lambda: ops.tril(X, k=0.5), TypeError, "tril: k must be an integer; got 0.5"),
        (lambda: fastnn.tensor(X).__setitem__(0, 1.0), TypeError, "a tensor does not change"),
        (lambda: ops.meshgrid([1], indexing="ab"), ValueError, "'xy' or 'ij'"),
        (lambda: ops.map(abs, np.ones((0, 2))), ValueError, "no rows"),
        (lambda: ops.flip(X, (0, -2)), ShapeError, "flip: axis names a dimension twice"),
        (lambda: ops.roll(X, 1.5), TypeError, "roll: shift must be an integer; got 1.5"),
        (lambda: ops.split(X, [1.5]), TypeError, "indices_or_sections must be an integer; got 1.5"),
        (lambda: ops.slice(X, [0.5, 0], [1, 1]), TypeError, "start_indices must be an integer"),
        (lambda: ops.transpose(X, (2, 3)), ShapeError, "transpose: axis 2 is not one of the 2"),
        (lambda: ops.transpose(X, (0, -2)), ShapeError, "transpose: axes must be a permutation"),
    ],
)  # fmt: skip
def test_errors_name_function_and_argument(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_axes_that_are_refused_leave_those_that_are_right():
    x = np.ones((7, 3, 2), "f4")  # of a shape of its own, for what is known of shapes is kept
    with pytest.raises(TypeError, match="transpose: axis must be an integer; got 0"):
        ops.transpose(x, (0.0, 2.0, 1.0))
    assert ops.transpose(x, (0, 2, 1)).shape == (7, 2, 3)


@pytest.mark.parametrize("function", [ops.concatenate, ops.stack, ops.vstack])
def test_rows_of_a_tensor_in_the_place_of_a_list_have_gradients_and_are_recorded(function):
    x = fastnn.tensor(np.arange(6.0).reshape(3, 2), requires_gradient=True)
    y = function(x)
    np.testing.assert_array_equal(y.numpy(), function(list(x.numpy())).numpy())
    ops.sum(y * y).backward()
    np.testing.assert_array_equal(x.gradient.numpy(), 2 * x.numpy())
    recorded = fastnn.record(lambda x: function(x * 1.0))(x)
    np.testing.assert_array_equal(recorded.numpy(), y.numpy())
