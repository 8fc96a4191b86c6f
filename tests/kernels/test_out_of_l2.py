"""Arrays out of L2, whose rows kernels take one by one: the results are those of their parts, which
are resident in L2."""

import numpy as np
import pytest

import fastnn
from fastnn import ops

# more than 2^20 elements, no multiple of a chunk, of eight, of two or of a vector
ROWS, COLUMNS = 8209, 131
# And more than 3 * 2^20, that are written by streaming stores: with columns beyond a tile, and with
# too many.
SHAPES = pytest.mark.parametrize(("rows", "columns"), [(ROWS, COLUMNS), (10469, 304), (3089, 1040)])
PARTS = (slice(0, 40), slice(40, None))


def values(*shape):
    return np.random.default_rng(len(shape)).normal(3, 1, shape).astype("f4")


def with_gradients(op, dy, *inputs, **attributes):
    variables = [fastnn.Variable(a) for a in inputs]
    y = op(*variables, **attributes)
    (y[0] if isinstance(y, tuple) else y).backward(dy)
    return [
        np.asarray(y[0] if isinstance(y, tuple) else y),
        *(np.asarray(v.gradient) for v in variables),
    ]


def assert_close(got, expected, terms):
    """Of sums of so many terms, each of the order of one, taken in two orders."""
    np.testing.assert_allclose(
        got,
        expected,
        rtol=0,
        atol=8 * np.sqrt(terms) * np.finfo("f4").eps * max(1, np.abs(expected).max()),
    )


@pytest.mark.parametrize("op", [ops.sum, ops.mean])
def test_a_sum_over_many_rows_is_that_of_its_columns(op):
    x = values(ROWS, COLUMNS)
    total = np.asarray(op(fastnn.tensor(x), axis=0))
    assert_close(
        total, np.concatenate([op(fastnn.tensor(x[:, part]), axis=0) for part in PARTS]), ROWS
    )
    three = np.asarray(op(fastnn.tensor(values(3, ROWS, COLUMNS)), axis=1))
    assert_close(
        three,
        np.stack([op(fastnn.tensor(part), axis=0) for part in values(3, ROWS, COLUMNS)]),
        ROWS,
    )


@SHAPES
def test_batch_norm_of_many_rows_is_that_of_its_columns(rows, columns):
    x, dy, gamma, beta = (
        values(rows, columns),
        values(rows, columns),
        values(columns),
        values(columns),
    )
    whole = with_gradients(ops.batch_norm, dy, x, gamma, beta)
    parts = [with_gradients(ops.batch_norm, dy[:, p], x[:, p], gamma[p], beta[p]) for p in PARTS]
    for got, *expected in zip(whole, *parts, strict=True):
        assert_close(got, np.concatenate(expected, axis=-1), rows)


@SHAPES
def test_layer_norm_of_many_rows_is_that_of_some_of_them(rows, columns):
    x, dy, gamma, beta = (
        values(rows, columns),
        values(rows, columns),
        values(columns),
        values(columns),
    )
    y, dx, dgamma, dbeta = with_gradients(ops.layer_norm, dy, x, gamma, beta)
    first, second = (
        with_gradients(ops.layer_norm, dy[p], x[p], gamma, beta)
        for p in (slice(0, 1000), slice(1000, None))
    )
    # of a row, whatever is around it
    np.testing.assert_array_equal(y, np.concatenate([first[0], second[0]]))
    assert_close(dx, np.concatenate([first[1], second[1]]), columns)
    assert_close(dgamma, first[2] + second[2], rows)
    assert_close(dbeta, first[3] + second[3], rows)


@SHAPES
def test_softmax_of_many_rows_is_that_of_some_of_them(rows, columns):
    x, dy = values(rows, columns), values(rows, columns)
    whole = with_gradients(ops.softmax, dy, x)
    parts = [with_gradients(ops.softmax, dy[p], x[p]) for p in (slice(0, 1000), slice(1000, None))]
    for got, *expected in zip(whole, *parts, strict=True):
        assert_close(got, np.concatenate(expected), columns)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_results_that_a_fusion_group_streams_are_those_of_its_calls(dtype):
    x = np.random.default_rng(0).normal(0, 1, (1 << 20) + 77).astype(dtype)
    x[[5, -3]] = np.nan, np.inf

    def three(x):
        y = ops.relu(x) + x
        return y, y * x

    x, step = fastnn.tensor(x), fastnn.record(three)
    for got, expected in zip(step(x), three(x), strict=True):
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    assert [i.name for i in step.recording(x).tape.instructions].count("streaming_copy") == 2


@pytest.mark.parametrize("shape", [(65, 131), (33, 300), (ROWS, COLUMNS), (10469, 304)])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_layers_gradients_of_many_elements_are_those_of_its_parts(activation, shape):
    """One kernel reads y and the upstream gradient for the derivative and the bias's sums, which
    are made twice here."""
    x, w, bias, dy = (
        values(shape[0], 5),
        values(5, shape[1]) - 3,
        values(shape[1]) - 3,
        values(*shape),
    )
    variables = [fastnn.Variable(a) for a in (x, w, bias)]
    y = ops.linear(*variables, activation=activation)
    y.backward(dy)
    once = np.asarray(variables[2].gradient)
    y64 = np.asarray(y, "f8")
    dz = dy * ((y64 > 0) if activation == "relu" else 1 - y64**2)
    assert_close(once, dz.sum(axis=0), shape[0])
    assert_close(variables[1].gradient, x.T.astype("f8") @ dz, shape[0])
    ops.linear(*variables, activation=activation).backward(dy)
    assert_close(variables[2].gradient, once + once, shape[0])


@pytest.mark.parametrize(
    ("rows", "columns", "above"), [(2100, 64, 1024), (ROWS, 20, 33), (129, 600, 530)]
)
def test_a_layers_gradients_below_a_product_are_those_of_its_parts(rows, columns, above):
    """A is packed if its rows are a page apart; threads divide rows, in chunks, or many columns;
    B^T is packed in several blocks."""
    x, w, bias, top, dy = (
        values(rows, 5),
        values(5, columns) - 3,
        values(columns) - 3,
        values(columns, above) - 3,
        values(rows, above),
    )
    variables = [fastnn.Variable(a) for a in (x, w, bias)]
    y = ops.linear(*variables, activation="relu")
    ops.matmul(y, top).backward(dy)
    dz = dy.astype("f8") @ top.T * (np.asarray(y) > 0)
    assert_close(variables[2].gradient, dz.sum(axis=0), rows)
    assert_close(variables[0].gradient, dz @ w.T, above)
    assert_close(variables[1].gradient, x.T.astype("f8") @ dz, rows)


def test_a_nan_or_inf_among_many_rows_stays_in_its_column_or_its_row():
    x, gamma, beta = values(ROWS, COLUMNS), values(COLUMNS), values(COLUMNS)
    x[5000, 7], x[7, 9] = np.nan, np.inf
    for total in (
        ops.sum(fastnn.tensor(x), axis=0),
        *with_gradients(ops.batch_norm, np.ones_like(x), x, gamma, beta)[:3],
    ):
        assert set(np.where(~np.isfinite(np.asarray(total)))[-1]) == {7, 9}
    for rows in with_gradients(ops.layer_norm, np.ones_like(x), x, gamma, beta)[:2]:
        assert set(np.where(~np.isfinite(rows))[0]) == {7, 5000}
