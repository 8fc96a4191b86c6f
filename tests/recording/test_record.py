"""`fastnn.record`: what it takes and what it returns, as in an eager call."""

import operator
import subprocess
import sys
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import ops, profiling
from fastnn.errors import DeadTensorError, DTypeError, RecordingError

RNG = np.random.default_rng(0)
Pair = namedtuple("Pair", ["first", "second"])


def recordings(step):
    return sum(len(found) for found in step.tapes.values())


def same(got, expected):
    """Whether two results have the same structure, types, shapes and bits."""
    assert type(got) is type(expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected)
        got, expected = list(got.values()), list(expected.values())
    if isinstance(expected, list | tuple):
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            same(a, b)
    elif expected is not None:
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_array_equal(got, expected)


# What it returns.

LEAVES = {
    "input": lambda x, w: x,
    "reshaped": lambda x, w: ops.reshape(x, (-1,)),
    "reshaped twice": lambda x, w: ops.reshape(ops.reshape(x, (-1,)), (3, 2)),
    "made": lambda x, w: x + 1.0,
    "reshape of made": lambda x, w: ops.reshape(x * 2.0, (3, 2)),
    "constant": lambda x, w: CONSTANT,
    "weight's reshape": lambda x, w: ops.reshape(w, (-1,)),
    "weight's gradient": lambda x, w: w.gradient,
    "nothing": lambda x, w: None,
}
CONSTANT = fastnn.tensor([1.0, 2.0])
STRUCTURES = st.recursive(
    st.sampled_from(sorted(LEAVES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Pair, inner, inner),
        st.dictionaries(st.sampled_from(["a", "b", 3]), inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2).map(OrderedDict),
    ),
    max_leaves=6,
)


def filled(structure, made):
    if isinstance(structure, str):
        return made[structure]
    if isinstance(structure, dict):
        return type(structure)((k, filled(v, made)) for k, v in structure.items())
    values = [filled(v, made) for v in structure]
    return Pair(*values) if isinstance(structure, Pair) else type(structure)(values)


@settings(max_examples=60, deadline=None)
@given(structure=STRUCTURES, one_object=st.booleans())
def test_any_structure_of_outputs_comes_back_and_keeps_its_values(structure, one_object):
    """Each leaf may be the same object several times, or made anew."""
    w = fastnn.Variable(np.ones((2, 3)), name="w")

    def step(x):
        ops.sum(w * x).backward()
        once = {name: leaf(x, w) for name, leaf in LEAVES.items()}

        class Made(dict):
            def __missing__(self, name):
                return once[name] if one_object else LEAVES[name](x, w)

        results = filled(structure, Made())
        w.gradient = None
        return results

    recorded, kept = fastnn.record(step), []
    for _ in range(3):
        x = fastnn.tensor(RNG.normal(size=(2, 3)).astype("f4"))
        kept.append((recorded(x), step(x)))
    w.assign(np.zeros((2, 3)))  # a reshape of it that was handed out eagerly is a view
    for got, expected in kept:
        if "weight's reshape" not in str(structure):
            same(got, expected)


def test_a_variable_that_is_returned_is_the_variable_and_its_reshape_is_not():
    w = fastnn.Variable([1.0, 2.0])
    step = fastnn.record(lambda: (w, {"w": w}, ops.reshape(w, (2, 1))))
    (same_one, inner, copied) = step()
    assert same_one is w
    assert inner["w"] is w
    w.assign([5.0, 6.0])
    np.testing.assert_array_equal(copied, [[1.0], [2.0]])
    np.testing.assert_array_equal(step()[2], [[5.0], [6.0]])


def test_other_dictionaries_and_lists_keep_their_types():
    class Batch(list):
        pass

    @fastnn.record
    def step(x):
        found = defaultdict(list)
        found["x"] = x
        return found, Batch([x, None])

    found, batch = step([1.0])
    assert type(found) is defaultdict
    assert found.default_factory is list
    assert type(batch) is Batch
    assert batch[1] is None


def test_a_list_that_the_function_goes_on_changing_is_returned_as_it_was():
    kept = []

    @fastnn.record
    def step(x):
        kept.append(x + 1.0)
        return kept[-1:] if len(kept) == 1 else kept

    assert len(step([1.0])) == 1
    kept.append("other")
    assert len(step([2.0])) == 1


def test_a_step_of_nothing():
    counted = fastnn.random.Generator(0)

    @fastnn.record
    def draws(x):
        counted.uniform((3,))

    assert fastnn.record(lambda: None)() is None
    assert fastnn.record(lambda x: x)(3.0).item() == 3.0
    assert draws(1.0) is None
    assert draws(1.0) is None
    assert counted.draws.value == 2
    step = fastnn.record(lambda x: x)
    step([1.0])
    profiling.profile(step.recording([1.0]).tape, 0.001)
    assert "0 calls" in step.summary()


@pytest.mark.parametrize("value", [3, 2.5, "text", np.ones(2), [1, 2], object()])
def test_other_values_are_refused(value):
    with pytest.raises(RecordingError, match="a recorded step returns tensors"):
        fastnn.record(lambda: (None, value))()


def test_a_tensor_of_another_recorded_step_is_dead():
    kept = []
    fastnn.record(lambda x: kept.extend([x, x + 1.0]))([1.0])
    for dead in kept:
        for use in (lambda dead=dead: dead, lambda dead=dead: dead + 1.0):
            with pytest.raises(DeadTensorError, match="Return it from the step"):
                fastnn.record(use)()
        with pytest.raises(DeadTensorError, match="Return it from the step"):
            _ = dead * 2.0
        with pytest.raises(DeadTensorError, match="Return it from the step"):
            dead.numpy()


def test_what_eager_layers_and_ops_return_does_not_share_the_arrays_they_were_given():
    x = np.ones((2, 3), "f4")
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dropout(0.5)])
    results = [
        model(x),
        fastnn.layers.Dropout(0.5)(x),
        fastnn.layers.Activation("linear")(x),
        fastnn.activations.linear(x),
        ops.reshape(x, (3, 2)),
    ]
    x[:] = 7
    for y in results:
        assert y.numpy().max() == 1


# What it takes.

ARRAYS = {
    "float32": np.array([[1.5, -2.0, 0.1], [3.0, 4.0, 1e-3]], "f4"),
    "float64": np.array([[1.5, -2.0, 0.1], [3.0, 4.0, 1e-3]]),
    "float16": np.array([[1.5, -2.0, 0.1], [3.0, 4.0, 1e-3]], "f2"),
    "int32": np.array([[1, 2, 3], [4, 5, 6]], "i4"),
    "int64": np.array([[1, 2, 3], [4, 5, 6]]),
    "uint8": np.array([[1, 2, 3], [4, 5, 255]], "u1"),
    "bool": np.array([[True, False, True], [False, False, True]]),
    "big-endian": np.array([[1.5, -2.0, 0.1], [3.0, 4.0, 1e-3]], ">f4"),
    "lists": [[1.5, -2.0, 0.1], [3.0, 4.0, 1e-3]],
    "lists of integers": [[1, 2, 3], [4, 5, 6]],
    "tuples": ((0.1, 2.0, 3.0), (4.0, 5.0, 6.0)),
    "float": 0.1,
    "np.float64": np.float64(0.1),
    "np.float32": np.float32(0.1),
    "np.float16": np.float16(0.1),
    "0-d": np.array(0.1),
    "0-d float32": np.array(0.1, "f4"),
    "empty": np.empty((0, 3)),
    "columns": np.asfortranarray(RNG.normal(size=(4, 3))),
    "every other": RNG.normal(size=(4, 6))[::2, ::-2],
    "huge": np.full((2, 3), 1e300),
    "huge float": 1e300,
    "tensor": fastnn.tensor([[1.0, 2.0, 3.0]]),
    "float64 tensor": fastnn.tensor([[0.1, 2.0, 3.0]], "float64"),
}
ARRAYS["every other"].flags.writeable = False
WEIGHTS = {
    dtype: fastnn.Variable(np.ones((1, 3)) / 3, dtype=dtype) for dtype in ("float32", "float64")
}
FUNCTIONS = {
    "exp": lambda x: ops.exp(x),
    "reshape": lambda x: ops.exp(ops.reshape(x, (-1,))),
    "several": lambda x: ops.exp(ops.tanh(x)) + ops.sum(x),
    "a number": lambda x: ops.multiply(x, 0.1),
    "an array": lambda x: ops.add(x, np.full(3, 0.1, "f4")),
    "a float64 array": lambda x: ops.add(np.full(3, 0.1), x),
    "a weight": lambda x: ops.multiply(x, WEIGHTS["float32"]),
    "a float64 weight": lambda x: WEIGHTS["float64"] * x,
    "a loss": lambda x: fastnn.losses.MeanSquaredError()(x, ops.multiply(x, WEIGHTS["float64"])),
}


@pytest.fixture(params=["float32", "float64"])
def floatx(request):
    before = fastnn.config.floatx()
    fastnn.config.set_floatx(request.param)
    yield request.param
    fastnn.config.set_floatx(before)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("argument", ARRAYS)
def test_arguments_have_the_element_type_and_the_bits_that_they_have_eagerly(
    argument, function, floatx
):
    function, value = FUNCTIONS[function], ARRAYS[argument]
    try:
        expected = function(value)
    except (DTypeError, TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            fastnn.record(function)(value)
        return
    step = fastnn.record(function)
    for _ in range(2):
        same(step(value), expected)
    assert recordings(step) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "argument", [a for a in ARRAYS if np.ndim(ARRAYS[a]) == 2 and "tensor" not in a and a != "huge"]
)
def test_models_take_arrays_of_any_type_recorded_as_they_do_eagerly(argument, dtype):
    model = fastnn.Sequential(
        [
            fastnn.layers.Dense(4, activation="tanh", dtype=dtype),
            fastnn.layers.Dense(1, dtype=dtype),
        ],
        dtype=dtype,
    )
    optimizer, value = fastnn.optimizers.SGD(0.1), ARRAYS[argument]
    rows = np.shape(value)[0]

    def step(x, y):
        loss = ops.mean(ops.squared_difference(model(x), y))
        loss.backward()
        optimizer.step()
        return loss, model(x)

    model(value)
    optimizer.build(model.trainable_variables)
    start, y = model.get_weights(), RNG.normal(size=(max(rows, 1), 1))[:rows]
    if rows == 0:
        return
    expected = [step(value, y), model.get_weights()]
    model.set_weights(start)
    recorded = fastnn.record(step)
    got = [recorded(value, y), model.get_weights()]
    same(got, expected)


def test_what_is_computed_from_arrays_alone_still_takes_the_type_that_it_meets():
    x, y = RNG.normal(size=(5, 3)), RNG.integers(0, 4, size=(5, 1))
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(4, activation="softmax")])
    loss = fastnn.losses.SparseCategoricalCrossentropy()

    @fastnn.record
    def step(x, y, scale):
        rows = (x - ops.mean(x, axis=0)) * scale
        return loss(ops.reshape(y, (-1,)), model(rows)), rows, ops.reshape(y, (-1,))

    result, rows, labels = step(x, y, 0.5)
    assert rows.dtype == np.float64
    np.testing.assert_allclose(rows, (x - x.mean(0)) * 0.5, rtol=1e-14)
    expected = (x.astype("f4") - x.astype("f4").mean(0)) * np.float32(0.5)
    np.testing.assert_allclose(result.item(), loss(y, model(expected)).item(), rtol=1e-5)
    same(labels, fastnn.tensor(y.reshape(-1)))


@pytest.mark.parametrize("kind", ["i4", "f8", "?"])
def test_slices_powers_and_comparisons_of_arrays_are_those_of_numpy(kind):
    x, w = (RNG.normal(size=(4, 3)) * 3).astype(kind), fastnn.Variable(np.full(3, 2.0))

    @fastnn.record
    def step(x, bound):
        return (
            x[1:, 0],
            ops.reshape(x, (-1,)),
            x == x[0],
            x > bound,
            (x > bound) * w,
            x[::2] * w,
            abs(x * w) ** 2,
        )

    got, bound = step(x, 0.1), 0.1
    f4 = x.astype("f4")
    expected = (
        x[1:, 0],
        x.reshape(-1),
        x == x[0],
        x > bound,
        (x > bound) * np.float32(2),
        f4[::2] * 2,
        (f4 * 2) ** 2,
    )
    for one, other in zip(got, expected, strict=True):
        same(one, fastnn.tensor(np.asarray(other)))


def test_only_the_form_of_an_array_that_is_read_is_copied():
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(4)])
    step = fastnn.record(lambda x: model(x))
    (only,) = step.recording(np.ones((2, 3))).inputs
    assert only[1].dtype == np.float32


def test_the_gradient_of_an_array_among_the_arguments():
    w = fastnn.Variable(np.full(3, 2.0))

    @fastnn.record
    def step(x):
        x.requires_gradient = True
        ops.sum(w * x * x).backward()
        return x.gradient

    np.testing.assert_array_equal(step(np.array([1, 2, 3], "f4")), [4, 8, 12])
    np.testing.assert_array_equal(step(fastnn.tensor([2.0, 2.0, 3.0])), [8, 8, 12])
    with pytest.raises(
        DTypeError,
        match=r"float64 meets tensors that are float32.* call the step with an array that is "
        r"float32",
    ):
        step(np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("read", [float, bool, lambda t: t.numpy(), lambda t: np.asarray(t)])
@pytest.mark.parametrize(
    "value",
    [1.5, np.ones(1), fastnn.tensor([1.0]), [1.0]],
    ids=["float", "array", "tensor", "list"],
)
def test_reading_an_input_while_recording_is_refused(read, value):
    with pytest.raises(RecordingError, match="was read while it is being recorded"):
        fastnn.record(lambda x: ops.exp(x) * float(read(x)))(value)


def test_keyword_arguments_in_another_order_find_the_same_tape():
    step = fastnn.record(lambda **named: named["a"] - named["b"] * 2.0)
    a, b = np.ones(2, "f4"), np.full(2, 3.0, "f4")
    np.testing.assert_array_equal(step(a=a, b=b), [-5, -5])
    np.testing.assert_array_equal(step(b=b, a=a), [-5, -5])
    assert recordings(step) == 1


def test_arguments_may_hold_arrays_in_lists_tuples_and_dictionaries():
    @fastnn.record
    def step(batch, pair, many, scale):
        assert type(pair) is Pair
        return {
            "sum": batch["x"] * scale[0] + batch["inner"][1],
            "pair": pair.first - pair.second,
            "many": many[0] + many[1],
        }

    for n in range(1, 4):
        x, y = (RNG.normal(size=3).astype("f4") for _ in range(2))
        batch = {"x": x, "inner": ("name", y)} if n % 2 else {"inner": ("name", y), "x": x}
        got = step(batch, Pair(x, float(n)), [x, fastnn.tensor(y)], (2.0, y))
        np.testing.assert_array_equal(got["sum"], x * 2 + y)
        np.testing.assert_array_equal(got["pair"], x - np.float32(n))
        np.testing.assert_array_equal(got["many"], x + y)
    assert recordings(step) == 1
    step({"x": x, "inner": ("other", y)}, Pair(x, 1.0), [x, fastnn.tensor(y)], (2.0, y))
    assert recordings(step) == 2


@pytest.mark.parametrize(
    "values",
    [
        (1, True, np.int64(1), np.True_, 1.0, "1", b"1", None),
        (0, False, -0.0, "", None, np.int32(0), np.int8(0)),
        (
            {"a": 1},
            {"a": True},
            {1: 1},
            {True: 1},
            [],
            {},
            ("a",),
            ["a"],
            Pair("a", "a"),
            ("a", "a"),
        ),
    ],
)
def test_constants_that_are_equal_but_not_alike_have_tapes_of_their_own(values):
    calls = []

    @fastnn.record
    def step(x, value):
        calls.append(value)
        return x + 1.0

    for _ in range(2):
        for value in values:
            step([1.0], value)
    assert recordings(step) == len(calls) == len(values)
    for got, value in zip(calls, values, strict=True):
        if not isinstance(value, float | list) or value == ["a"]:
            assert type(got) is type(value)
            assert got == value


def test_other_objects_are_constants_and_variables_are_themselves():
    w, optimizer = fastnn.Variable([1.0, 2.0]), fastnn.optimizers.SGD(1.0)
    optimizer.build([w])
    calls = []

    @fastnn.record
    def step(weight, x, by, how, slices):
        calls.append(how)
        assert weight is w
        ops.sum(weight * x).backward()
        by.step()
        return how(weight, x)

    for _ in range(2):
        step(w, np.array([1.0, 1.0]), optimizer, operator.add, frozenset([1]))
    np.testing.assert_array_equal(w, [-1, 0])
    step(w, np.array([1.0, 1.0]), optimizer, operator.sub, frozenset([1]))
    assert calls == [operator.add, operator.sub]


def test_an_array_that_a_step_finds_elsewhere_is_a_constant():
    found = {dtype: np.ones(2, dtype) for dtype in ("f4", "f8", "i4")}
    step = fastnn.record(lambda x: [ops.add(x, a) for a in found.values()])
    x = fastnn.tensor([1.0, 2.0])
    step(x)
    for array in found.values():
        array[:] = 5
    for y in step(x):
        np.testing.assert_array_equal(y, [2, 3])


@pytest.mark.parametrize(
    "value", [np.array(["a"]), np.array([1j]), [[1.0], [1.0, 2.0]], np.array([None])]
)
def test_arrays_of_other_things_than_numbers_are_refused(value):
    with pytest.raises(
        (DTypeError, ValueError), match=r"argument of .*(expected numbers|not of one length)"
    ):
        fastnn.record(lambda x: x)(value)


def test_a_tape_holds_what_its_recording_has_copied():
    program = """
import gc, numpy as np, fastnn, fastnn.profiling
from fastnn.devices.cpu.program import Program
x = np.arange(2.0**22, dtype="f4")
tape = fastnn.record(lambda x: fastnn.ops.sum(x, axis=0) * 2.0).recording(x.reshape(2, -1)).tape
gc.collect()
others = [np.full(2**21, np.nan, "f4") for _ in range(8)]
Program([(tape, 1)]).run(1)
result = tape.array(tape.instructions[-1].arguments[-1]).ravel()
np.testing.assert_array_equal(result, 2 * x.reshape(2, -1).sum(0))
fastnn.profiling.profile(tape, 0.01)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
