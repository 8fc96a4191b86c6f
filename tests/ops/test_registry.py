"""Every op against its float64 reference, and its gradient against complex steps through that
reference."""

import functools
import itertools

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.ops.record import in_place, registry
from tests.oracle import DTYPES, as_type, bound, cases, difference, draw, results, updated

STEP = 1e-20  # of the complex step: so small that its square vanishes, with no cancellation
CHECKED = 48  # elements of an input whose gradient is compared


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "number"), cases())
def test_result_is_the_references(name, number, dtype):
    op = registry[name]
    case = op.cases[number]
    dtype = case.attributes.get("dtype", dtype)
    arrays = as_type(draw(case, number), dtype)
    before = [a.copy() for a in arrays]
    references = results(op.reference(*as_type(arrays, "float64"), **case.attributes))
    for got, expected in zip(
        results(op(*arrays, **case.attributes)), map(np.asarray, references), strict=True
    ):
        assert got.shape == expected.shape
        assert got.dtype == (expected.dtype if expected.dtype.kind in "bi" else dtype)
        error = difference(got.numpy(), expected)
        finite = np.where(np.isfinite(expected), expected, 0.0)
        assert (error <= bound(op, finite, dtype, case.terms)).all(), f"largest error {error.max()}"
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="an input was written to")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "number"), cases(of=in_place))
def test_what_is_updated_in_place_is_the_references(name, number, dtype):
    op = in_place[name]
    case, drawn = op.cases[number], draw(op.cases[number], number)
    arrays = [a if i in op.float64 else as_type([a], dtype)[0] for i, a in enumerate(drawn)]
    expected = results(op.reference(*as_type(arrays, "float64"), **case.attributes))
    for got, e in zip(updated(op, case, arrays), expected, strict=True):
        error = np.abs(got.numpy().astype(np.float64) - e)
        assert (error <= bound(op, e, dtype, case.terms)).all()


def used_results():
    """(op, number of the case, which results a loss uses): every combination of an op's results."""
    return [
        (name, number, used)
        for name, number in cases(gradients=True)
        for count in range(1, registry[name].results + 1)
        for used in itertools.combinations(range(registry[name].results), count)
    ]


@pytest.mark.parametrize(("name", "number", "used"), used_results())
def test_gradient_is_the_complex_step(name, number, used):
    op = registry[name]
    case = op.cases[number]
    arrays = draw(case, number)
    if any(np.isnan(a).any() for a in arrays):
        pytest.skip("of NaN no gradient is promised")
    tensors = [
        fastnn.tensor(a, requires_gradient=a.dtype.kind == "f" and i not in op.constant)
        for i, a in enumerate(arrays)
    ]
    rng, outputs = np.random.default_rng(number), results(op(*tensors, **case.attributes))
    # uneven, so that errors cannot cancel
    used = [n for n in used if outputs[n].requires_gradient]  # those of integers have none
    if not used:
        return
    above = {n: rng.uniform(0.5, 1.5, outputs[n].shape) for n in used}
    if len(used) == 1:
        outputs[used[0]].backward(above[used[0]])
    else:
        functools.reduce(ops.add, [ops.sum(outputs[n] * above[n]) for n in used]).backward()
    for number_of_input, t in enumerate(tensors):
        if not t.requires_gradient:
            continue
        # None: no result used depends on it
        got = np.zeros(t.shape) if t.gradient is None else t.gradient.numpy()
        assert got.shape == t.shape
        for place in list(np.ndindex(t.shape))[:CHECKED]:
            stepped = as_type(arrays, "complex128")
            stepped[number_of_input][place] += STEP * 1j
            stepped_results = results(op.reference(*stepped, **case.attributes))
            expected = sum((np.imag(stepped_results[n]) * above[n]).sum() for n in used) / STEP
            assert abs(got[place] - expected) <= 1e-10 * (1 + abs(expected)) * case.terms, (
                number_of_input,
                place,
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name, op in registry.items() if op.edges])
def test_edges_are_numpys(name, dtype):
    """NaN, infinities, overflow and signed zeros come out as from NumPy in the same type, whatever
    stands beside them."""
    op = registry[name]
    values, tiny, eps = np.array(op.edges, dtype), np.finfo(dtype).tiny, np.finfo(dtype).eps
    arrays = [values] if op.arity == 1 else [a.ravel() for a in np.meshgrid(values, values)]
    with np.errstate(all="ignore"):
        expected = np.asarray(op.reference(*arrays)).astype(dtype)
        got = op(*arrays).numpy().astype(dtype)
        error = np.abs(got - expected)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    subnormal = (expected != 0) & (np.abs(expected) < tiny)  # may be flushed to zero
    special = (expected == 0) | np.isinf(expected)
    np.testing.assert_array_equal(got[special], expected[special])
    np.testing.assert_array_equal(np.signbit(got[special]), np.signbit(expected[special]))
    assert (np.abs(got[subnormal]) <= tiny).all()
    ordinary = np.isfinite(expected) & ~special & ~subnormal
    assert (error[ordinary] <= 4 * eps * np.abs(expected)[ordinary]).all()


@pytest.mark.parametrize("name", sorted(registry))
def test_every_op_is_public(name):
    assert getattr(ops, name) is registry[name]
    assert registry[name].__doc__


@pytest.mark.parametrize(
    "layout", ["reversed", "every other", "Fortran", "read-only", "integers", "nested lists"]
)
def test_any_layout_of_memory_is_taken(layout):
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    x = {
        "reversed": whole[::-1, ::-1],
        "every other": whole[::2, ::3],
        "Fortran": np.asfortranarray(whole),
        "read-only": whole.view(),
        "integers": whole.astype(np.int32),
        "nested lists": whole.tolist(),
    }[layout]
    if layout == "read-only":
        x.flags.writeable = False
    expected = np.asarray(x, np.float32) + 1
    got = ops.add(x, 1.0)
    assert got.dtype == "float32"
    np.testing.assert_array_equal(got.numpy(), expected)


def test_an_input_that_may_be_left_out_may_be_none():
    x, w = np.eye(2, 3), np.arange(12.0).reshape(3, 4)
    for given in ((x, w, None), (x, w, None, "relu")):
        np.testing.assert_array_equal(ops.linear(*given).numpy(), w[:2])
    labels, none = fastnn.tensor([0, 2]), (None,) * 3
    np.testing.assert_array_equal(
        ops.softmax_cross_entropy(x, labels, *none).numpy(),
        ops.softmax_cross_entropy(x, labels).numpy(),
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.add(np.ones((2, 3)), np.ones((4,))),
         r"add: shapes \(2, 3\) and \(4\) do not broadcast"),
        (lambda: ops.matmul(np.ones((2, 3)), np.ones((4, 2))),
         r"matmul: the columns of a .* got \(2, 3\) and \(4, 2\)"),
        (lambda: ops.matmul(np.ones((5, 2, 3)), np.ones((5, 3, 2)), transpose_a=True),
         r"matmul: the columns of a .* got \(5, 3, 2\) and \(5, 3, 2\) after transposing"),
        (lambda: ops.matmul(np.ones((5, 2, 3)), np.ones((4, 3, 2))),
         r"matmul: the dimensions before the last two do not broadcast; got shapes \(5, 2, 3\)"),
        (lambda: ops.matmul(2.0, np.ones((3, 2))),
         "matmul: a must have at least one dimension; got a number. Use multiply"),
        (lambda: ops.linear(np.ones((2, 3)), np.ones((3, 4)), np.ones(3)),
         r"linear: bias must have shape \(4\); got \(3\)"),
        (lambda: ops.linear(np.ones((2, 3)), np.ones((3, 4)), activation="rellu"),
         "did you mean 'relu'"),
        (lambda: ops.clipped_binary_cross_entropy(np.ones((3, 1)), np.ones(3)),
         r"clipped_binary_cross_entropy: target must have shape \(3, 1\); got \(3\)"),
        (lambda: ops.linear(np.ones((2, 3)), None), "expected numbers"),
        (lambda: ops.softmax(1.0), r"softmax: x must have a dimension that is named by axis"),
        (lambda: ops.log_softmax(np.ones(3), axis=1), "log_softmax: axis 1 is not one of"),
        (lambda: ops.glu(np.ones(3)), r"glu: x must have an even extent along axis 0; got shape"),
        (lambda: ops.sum(np.ones((2, 3)), axis=2), "sum: axis 2 is not one of the 2 dimensions"),
        (lambda: ops.mean(np.ones((2, 3)), axis=(0, -2)),
         r"mean: axis names a dimension twice: \(0, -2\), of shape \(2, 3\)"),
        *[(lambda a=a: ops.sum(np.ones((2, 3)), axis=a),
        "sum: axis must be an integer, several") for a in ("0", 1.5, (0, None))],
        (lambda: ops.reshape(np.ones((2, 3)), (4,)), r"reshape: \(2, 3\) has 6 elements"),
        (lambda: ops.transpose(np.ones((2, 3)), (0, 0)), "permutation of the 2 dimensions"),
        (lambda: ops.exp(np.array(["a"])), "expected numbers; got element type"),
        (lambda: ops.exp(np.array([{}])), r"expected numbers; got objects such as \{\}"),
        (lambda: ops.add(fastnn.tensor(np.ones(3, "f4")), fastnn.tensor(np.ones(3))),
         "x is float32 and y is float64"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), fastnn.tensor([0.0, 1.0])),
         "labels must be int64; got float"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), fastnn.tensor([0, 1]), np.ones((2, 3))),
         "p, row_max and exp_sum are given together, .* got no row_max"),
        (lambda: ops.softmax_cross_entropy(
            np.ones((2, 3)), fastnn.tensor([0, 1]), np.ones((2, 3)), np.ones(1), np.ones(2)),
         r"row_max must have shape \(2\); got \(1\)"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), fastnn.tensor([0, 3])),
         r"softmax_cross_entropy: index 3 at \(1\) is out of range"),
        (lambda: ops.batch_norm(np.ones((0, 3)), np.ones(3), np.ones(3)),
         r"x must have shape \(1, any\); got \(0, 3\)"),
    ],
)  # fmt: skip
def test_errors_name_op_argument_and_shapes(call, message):
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        call()


def test_tolerance_of_batch_norm_holds_far_from_zero():
    """Mean 1e4 and deviation 1: the variance comes from differences to the mean, not from a
    difference of squares."""
    rng = np.random.default_rng(0)
    x = rng.normal(1e4, 1, (256, 5)).astype("float32")
    y = ops.batch_norm(x, np.ones(5, "f4"), np.zeros(5, "f4"))[0].numpy()
    expected, *_ = registry["batch_norm"].reference(x.astype("f8"), np.ones(5), np.zeros(5))
    # x itself is known to eps 1e4; nothing is lost on top of that.
    assert np.abs(y - expected).max() <= 2 * np.finfo("f4").eps * np.abs(expected).max()
