"""Element types: which one several give, casts, and what each op makes of them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import dtypes, ops
from fastnn.devices.cpu.memory import allocate
from fastnn.dtypes import result_type
from fastnn.emit import emit
from fastnn.errors import DTypeError
from fastnn.kernels.cpu import movement
from fastnn.tensor import Tensor
from tests.oracle import draw, results

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "keras" / "goldens" / "result_type.json").read_text()
)
KINDS = {f"Python {kind.__name__}": kind for kind in (bool, int, float)} | {
    dtype.name: dtype for dtype in dtypes.ANY
}
ARRAYS = {
    "float32": np.array([0, 1, -1, 2.5, np.nan, np.inf], "f4"),
    "float64": np.array([0, 1, -1, 2.5, np.nan, np.inf]),
    "int64": np.array([0, 1, -1, 2, 16777217, 2**40]),
    "int32": np.array([0, 1, -1, 2, 16777217, -(2**31)], "i4"),
    "uint8": np.array([0, 1, 2, 127, 128, 255], "u1"),
    "bool": np.array([False, True, True, False, True, False]),
}


@pytest.mark.parametrize("floatx", ["float32", "float64"])
@pytest.mark.parametrize(("x", "y"), [*itertools.product(KINDS, KINDS)])
def test_types_give_together_what_they_give_in_keras(x, y, floatx):
    if {x, y} == {"float32", "float64"}:
        with pytest.raises(DTypeError, match=r"float32 and float64 .* x\.astype\('float32'\)"):
            result_type(KINDS[x], KINDS[y])
    else:
        assert result_type(KINDS[x], KINDS[y], floatx=floatx) == GOLDEN[floatx][x][y]


def test_of_many_types_the_order_does_not_matter():
    for some in itertools.product(KINDS.values(), repeat=3):
        if not dtypes.mixes_floats(some):
            assert len({result_type(*order) for order in itertools.permutations(some)}) == 1


def test_the_table_is_numpys():
    for t in dtypes.TABLE:
        assert (t.dtype.name, t.dtype.itemsize, t.dtype) == (t.name, t.nbytes, np.dtype(t.letter))
        assert t.accumulation.itemsize >= t.nbytes


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("own", ARRAYS)
def test_types_are_cast_eagerly_and_recorded(own, threads):
    fastnn.set_threads(threads)
    for to in ARRAYS:
        array = ARRAYS[own]
        if to[0] in "iu":  # of what an integer cannot hold nothing is promised
            limits = np.iinfo(to)
            array = array[(array >= limits.min) & (array <= limits.max)]
        array = np.tile(array, 5000)
        expected = array.astype(to)
        for got in (
            fastnn.tensor(array).astype(to),
            fastnn.record(lambda x, to=to: x.astype(to))(fastnn.tensor(array)),
        ):
            assert got.dtype == to
            np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        ("int16", "astype: dtype must be float32, float64, int64, int32, uint8 or bool; got int16"),
        ("flaot32", "astype: unknown dtype 'flaot32'; did you mean 'float32'?"),
        (complex, "astype: dtype must be .*; got complex128"),
    ],
)
def test_a_cast_to_another_type_says_which_there_are(dtype, message):
    with pytest.raises(DTypeError, match=message):
        fastnn.tensor([1.0]).astype(dtype)


def test_a_casts_gradient_goes_through():
    x = fastnn.tensor([1.0, 2.0], requires_gradient=True)
    ops.sum(x.astype("float64") ** 2).backward()
    assert x.gradient.dtype == "float32"
    np.testing.assert_array_equal(x.gradient.numpy(), [2, 4])
    assert not x.astype("int32").requires_gradient


@pytest.mark.parametrize("dtype", ARRAYS)
def test_tensors_of_every_type(dtype):
    x = ARRAYS[dtype].reshape(2, 3)
    t = fastnn.tensor(x)
    assert (t.dtype, fastnn.tensor([[1], [0]], dtype=dtype).dtype) == (dtype, dtype)
    for got, expected in [
        (t, x),
        (t[1, ::-1], x[1, ::-1]),
        (t[[1, 0, 1]], x[[1, 0, 1]]),
        (t[:, fastnn.tensor([2, 0], dtype="int32")], x[:, [2, 0]]),
        (t[t == t], x[x == x]),
        (ops.take(t, np.array([2, 1], "u1"), axis=1), x[:, [2, 1]]),
        (t.T, x.T),
        (ops.reshape(t, (3, 2)), x.reshape(3, 2)),
    ]:
        assert got.dtype == dtype
        np.testing.assert_array_equal(got.numpy(), expected)


@pytest.mark.parametrize("dtype", ARRAYS)
@pytest.mark.parametrize("columns", [1, 5, 40])
def test_rows_of_every_type_are_gathered(dtype, columns):
    x = np.resize(ARRAYS[dtype], (7, columns))
    order = np.array([6, 1, 0, 3])
    got = ops.gather(fastnn.tensor(x), order, np.array([1]), rows=3)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.numpy(), x[order[1:]])


def test_integers_have_no_gradients():
    with pytest.raises(DTypeError, match="floats alone have gradients; got int64"):
        fastnn.tensor([1, 2], requires_gradient=True)
    with pytest.raises(DTypeError, match=r"variable 'n': int32 has no gradient .* trainable=False"):
        fastnn.Variable([1], dtype="int32", name="n")
    assert fastnn.Variable([1], dtype="int32", trainable=False).dtype == "int32"


INTEGER_DTYPES = {
    name: [dtype.name for dtype in op.dtypes if dtype not in dtypes.FLOATS]
    for name, op in sorted(ops.registry.items())
    if not op.indices and not op.compares
}
# `make test` takes each op in one type, the next op in the next.
INTEGER_OPS = [
    pytest.param(name, dtype, marks=() if n == number % len(types) else pytest.mark.slow)
    for number, (name, types) in enumerate(INTEGER_DTYPES.items())
    for n, dtype in enumerate(types)
]


@pytest.mark.parametrize(("name", "dtype"), INTEGER_OPS)
def test_ops_of_integers_give_what_numpy_gives(name, dtype):
    op = ops.registry[name]
    for number, case in enumerate(op.cases):
        arrays = [
            np.abs(np.where(np.isfinite(x), x, 0.0) * 9).astype(dtype) for x in draw(case, number)
        ]
        found = results(op(*map(fastnn.tensor, arrays), **case.attributes))
        references = results(op.reference(*arrays, **case.attributes))
        for got, expected in zip(found, map(np.asarray, references), strict=True):
            assert got.dtype in (dtype, expected.dtype)  # NumPy sums int32 in int64
            np.testing.assert_array_equal(got.numpy(), expected)
            assert not got.requires_gradient


X = {name: fastnn.tensor(np.array([3, 0, 2]).astype(name)) for name in ARRAYS}


@pytest.mark.parametrize(
    ("call", "expected", "dtype"),
    [
        (lambda: X["int64"] + 1, [4, 1, 3], "int64"),
        (lambda: X["int64"] + 0.5, [3.5, 0.5, 2.5], "float32"),
        (lambda: 2 - X["int32"], [-1, 2, 0], "int32"),
        (lambda: X["int32"] * X["int64"], [9, 0, 4], "int64"),
        (lambda: X["int32"] * X["float64"], [9, 0, 4], "float64"),
        (lambda: X["int64"] * X["float32"], [9, 0, 4], "float32"),
        (lambda: X["uint8"] + np.array([1, 2, 3], "i4"), [4, 2, 5], "int32"),
        (lambda: X["uint8"] + 254, [1, 254, 0], "uint8"),
        (lambda: X["int64"] * np.array([0.5, 1, 1]), [1.5, 0, 2], "float64"),
        (lambda: X["float32"] * np.array([0.5, 1, 1]), [1.5, 0, 2], "float32"),
        (lambda: X["bool"] + X["bool"], [True, False, True], "bool"),
        (lambda: X["bool"] * X["uint8"], [3, 0, 2], "uint8"),
        (lambda: X["bool"] + 1, [2, 1, 2], "int32"),
        (lambda: -X["bool"], [-1, 0, -1], "int32"),
        (lambda: 1.0 * X["bool"], [1, 0, 1], "float32"),
        (lambda: X["int64"] / 2, [1.5, 0, 1], "float32"),
        (lambda: X["int64"] ** 2, [9, 0, 4], "int64"),
        (lambda: X["int64"] ** 1, [3, 0, 2], "int64"),
        (lambda: ops.sqrt(X["int64"] * X["int64"]), [3, 0, 2], "float32"),
        (lambda: ops.exp(X["bool"] * X["bool"]) * 0.0, [0, 0, 0], "float32"),
        (lambda: ops.sum(X["int64"]), 5, "int64"),
        (lambda: ops.sum(X["int32"]), 5, "int32"),
        (lambda: ops.sum(X["uint8"]), 5, "int32"),
        (lambda: ops.sum(X["bool"]), 2, "int32"),
        (lambda: ops.mean(X["uint8"]), 5 / 3, "float32"),
        (lambda: ops.mean(X["bool"]), 2 / 3, "float32"),
        (lambda: X["float32"][X["uint8"] > 0], [3, 2], "float32"),
        (lambda: ops.matmul(X["int64"][None], np.ones((3, 1), "f4"))[0], [5], "float32"),
        (lambda: ops.matmul(X["int64"], X["int32"]), 13, "int64"),
        (lambda: ops.matmul(X["uint8"], X["uint8"]), 13, "int32"),
    ],
)  # fmt: skip
def test_types_that_meet(call, expected, dtype):
    got = call()
    assert got.dtype == dtype
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: X["float32"] + X["float64"], DTypeError,
         r"add: x is float32 and y is float64\. Convert one of them"),
        (lambda: X["uint8"] + 256, OverflowError, r"256 is no uint8: .* x\.astype\('int64'\)"),
        (lambda: ops.linear(X["int64"][None], X["int64"][:, None]), DTypeError,
         r"linear: x must be float32 or float64; got int64\. .* x\.astype\('float32'\)"),
        (lambda: ops.take(X["float32"], X["float32"]), DTypeError,
         "take: indices must be .* got float32"),
    ],
)  # fmt: skip
def test_types_that_are_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("columns", [1, 2, 5, 17, 31, 40])
@pytest.mark.parametrize("dtype", ARRAYS)
def test_rows_are_gathered_into_their_own_memory_alone(dtype, columns):
    size, rows, guard = np.dtype(dtype).itemsize, 3, 1024
    memory = allocate(rows * columns * size + guard)
    content = memory.array((memory.nbytes,), np.dtype("uint8"))
    content[:] = 77
    source = fastnn.tensor(np.ones((rows, columns), dtype))
    order, cursor = fastnn.tensor(np.arange(rows)), fastnn.tensor(np.zeros(1, np.int64))
    batch = Tensor(memory, (rows, columns), np.dtype(dtype))
    emit("gather", movement.gather_rows, (source, order, cursor, batch))
    np.testing.assert_array_equal(batch.numpy(), np.ones((rows, columns)))
    assert (content[-guard:] == 77).all()
