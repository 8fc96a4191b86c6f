"""`fastnn.record`: what it can be made of, what it takes and what it returns, as in an eager call."""

import copy
import functools
import gc
import operator
import pickle
import random
import subprocess
import sys
import threading
import time
import weakref
from collections import OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import layers, ops
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
    step.recording([1.0]).tape.profile(0.001)
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
WEIGHTS = {dtype: fastnn.Variable(np.ones((1, 3)) / 3, dtype=dtype) for dtype in ("float32", "float64")}
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
def test_arguments_have_the_element_type_and_the_bits_that_they_have_eagerly(argument, function, floatx):
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
@pytest.mark.parametrize("argument", [a for a in ARRAYS if np.ndim(ARRAYS[a]) == 2 and "tensor" not in a and a != "huge"])
def test_models_take_arrays_of_any_type_recorded_as_they_do_eagerly(argument, dtype):
    model = fastnn.Sequential(
        [fastnn.layers.Dense(4, activation="tanh", dtype=dtype), fastnn.layers.Dense(1, dtype=dtype)], dtype=dtype
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
        return x[1:, 0], ops.reshape(x, (-1,)), x == x[0], x > bound, (x > bound) * w, x[::2] * w, abs(x * w) ** 2

    got, bound = step(x, 0.1), 0.1
    f4 = x.astype("f4")
    expected = x[1:, 0], x.reshape(-1), x == x[0], x > bound, (x > bound) * np.float32(2), f4[::2] * 2, (f4 * 2) ** 2
    for one, other in zip(got, expected, strict=True):
        same(one, fastnn.tensor(np.asarray(other, "i8" if other.dtype == "i4" else None)))


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
    with pytest.raises(DTypeError, match=r"float64 meets tensors that are float32.* call the step with an array that is float32"):
        step(np.array([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("read", [float, bool, lambda t: t.numpy(), lambda t: np.asarray(t)])
@pytest.mark.parametrize("value", [1.5, np.ones(1), fastnn.tensor([1.0]), [1.0]], ids=["float", "array", "tensor", "list"])
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
        return {"sum": batch["x"] * scale[0] + batch["inner"][1], "pair": pair.first - pair.second, "many": many[0] + many[1]}

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
        ({"a": 1}, {"a": True}, {1: 1}, {True: 1}, [], {}, ("a",), ["a"], Pair("a", "a"), ("a", "a")),
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


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([1j]), [[1.0], [1.0, 2.0]], np.array([None])])
def test_arrays_of_other_things_than_numbers_are_refused(value):
    with pytest.raises((DTypeError, ValueError), match=r"argument of .*(expected numbers|not of one length)"):
        fastnn.record(lambda x: x)(value)


# What it can be made of.


def double(x, times=2.0):
    """Twice x."""
    return x * times


class Doubler:
    def __init__(self, times=2.0):
        self.times = times

    def __call__(self, x):
        return x * self.times

    def method(self, x):
        return x * self.times

    @classmethod
    def of_class(cls, x):
        return x * 2.0

    @staticmethod
    def static(x):
        return x * 2.0


class TwiceModel(fastnn.Model):
    def call(self, x):
        return x * 2.0


KINDS = {
    "function": double,
    "lambda": lambda x: x * 2.0,
    "method": Doubler().method,
    "class method": Doubler.of_class,
    "static method": Doubler.static,
    "callable": Doubler(),
    "partial": functools.partial(double, times=2.0),
    "partial of a method": functools.partial(Doubler().method),
    "partial of a partial": functools.partial(functools.partial(double), times=2.0),
    "builtin": operator.methodcaller("__mul__", 2.0),
    "partial of a builtin": functools.partial(operator.mul, 2.0),
    "op": functools.partial(ops.multiply, 2.0),
    "model": TwiceModel(),
    "method of a model": TwiceModel().call,
    "recorded": fastnn.record(double),
    "layer": fastnn.layers.Activation(double),
}


@pytest.mark.parametrize("kind", KINDS)
def test_anything_that_can_be_called_can_be_recorded(kind):
    step = fastnn.record(KINDS[kind])
    for value in (1.0, 2.0):
        np.testing.assert_array_equal(step(np.full(2, value, "f4")), np.full(2, 2 * value))
    assert recordings(step) == 1
    assert step.name


def test_a_recorded_function_keeps_name_and_documentation():
    step = fastnn.record(double)
    assert (step.__name__, step.__doc__, step.__wrapped__, step.__module__) == ("double", "Twice x.", double, __name__)
    model = TwiceModel(name="twice")
    assert fastnn.record(model).name == "TwiceModel"
    assert not hasattr(fastnn.record(model), "_own_weights")


def generator(x):
    yield x


async def coroutine(x):
    return x


async def asynchronous(x):
    yield x


class GeneratorCall:
    def __call__(self, x):
        yield x


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (generator, "generator is a generator"),
        (coroutine, "coroutine is a coroutine"),
        (asynchronous, "asynchronous is an? asynchronous generator"),
        (GeneratorCall(), "GeneratorCall is a generator"),
        (GeneratorCall().__call__, "__call__ is a generator"),
        (functools.partial(generator, 1.0), "generator is a generator"),
        (3, "expected a function, .*; got 3"),
        (None, "expected a function, .*; got None"),
        (np.ones(2), "expected a function"),
        (property(lambda self: 1), "expected a function"),
    ],
)
def test_what_cannot_be_recorded_is_refused(what, message):
    with pytest.raises(TypeError, match=f"^record: {message}"):
        fastnn.record(what)


class Trainer:
    made = 0

    def __init__(self, start):
        self.weight = fastnn.Variable([start])

    @fastnn.record
    def step(self, x, times=1.0):
        """One step."""
        type(self).made += 1
        return self.weight * x * times

    @fastnn.record
    @classmethod
    def of_class(cls, x):
        return x * float(cls.made)

    @fastnn.record
    @staticmethod
    def static(x):
        return x + 1.0

    @staticmethod
    @fastnn.record
    def inner_static(x):
        return x + 1.0

    @classmethod
    def plain(cls):
        return cls.made


@pytest.mark.parametrize("base", [Trainer, "equal", "layer", "slots"])
def test_a_method_has_tapes_of_its_own_for_every_object(base):
    class Equal(Trainer):
        def __eq__(self, other):
            return True

        __hash__ = None

    class Layered(fastnn.layers.Layer):
        def __init__(self, start):
            super().__init__()
            self.weight = fastnn.Variable([start])

        step = Trainer.step
        made = 0

    class Slotted:
        __slots__ = ("__weakref__", "weight")
        __init__, step, made = Trainer.__init__, Trainer.step, 0

    kind = {Trainer: Trainer, "equal": Equal, "layer": Layered, "slots": Slotted}[base]
    kind.made, others = 0, len(Trainer.step._bound)
    objects = [kind(2.0), kind(3.0)]
    for _ in range(2):
        for o, weight in zip(objects, (2, 3), strict=True):
            assert o.step([5.0]).item() == 5 * weight
            assert o.step([5.0], times=2.0).item() == 10 * weight
    assert kind.made == 4
    assert objects[0].step.__doc__ == "One step."
    ended, function = weakref.ref(objects[0]), objects[0].step
    del objects[0]
    gc.collect()
    assert function([1.0]).item() == 2, "a bound method holds its object"
    del function, o
    gc.collect()
    assert ended() is None
    assert kind.step(objects[0], [1.0]).item() == 3
    assert len(Trainer.step._bound) == others + (base == "slots")


def test_class_and_static_methods():
    Trainer.made = 3
    for owner in (Trainer, Trainer(1.0)):
        assert owner.of_class([1.0]).item() == 3
        assert owner.static([1.0]).item() == 2
        assert owner.inner_static([1.0]).item() == 2


def test_an_object_that_allows_no_notice_of_its_end():
    class Closed:
        __slots__ = ()
        step = fastnn.record(lambda self, x: x)

    with pytest.raises(TypeError, match=r"add '__weakref__' to Closed\.__slots__"):
        Closed().step([1.0])


@fastnn.record
def of_module(x):
    return x + 1.0


def test_recorded_functions_can_be_copied_and_pickled():
    of_module([1.0])
    assert copy.deepcopy(of_module) is pickle.loads(pickle.dumps(of_module)) is copy.copy(of_module) is of_module
    holder = Doubler()
    holder.fast = fastnn.record(holder.method)
    holder.fast([1.0])
    for other in (copy.deepcopy(holder), pickle.loads(pickle.dumps(holder))):
        other.times = 3.0
        assert other.fast([1.0]).item() == 3
    assert holder.fast([1.0]).item() == 2
    function = pickle.loads(pickle.dumps(Trainer.step))
    assert function is Trainer.step


def test_a_recorded_function_within_a_step_is_called_as_it_is():
    counted = fastnn.random.Generator(0)

    @fastnn.record
    def inner(x):
        return w * x + 0.0 * counted.uniform(())

    @fastnn.record
    def outer(x):
        loss = ops.sum(inner(x))
        loss.backward()
        return loss, w.gradient

    class Inner(fastnn.Model):
        @fastnn.record
        def call(self, x, training=False):
            return self.dropout(self.dense(x), training=training)

        def __init__(self):
            super().__init__()
            self.dense, self.dropout = fastnn.layers.Dense(1), fastnn.layers.Dropout(0.5)

    w = fastnn.Variable([2.0])
    for n in range(1, 3):
        loss, gradient = outer(np.array([float(n)]))
        assert (loss.item(), gradient.item()) == (2 * n, n)
        w.gradient = None
        assert counted.draws.value == n
    x = RNG.normal(size=(64, 3)).astype("f4")
    for eagerly in (False, True):
        model = Inner()
        model.compile("sgd", "mse", run_eagerly=eagerly)
        model(x)
        before = model.get_weights()
        model.fit(x, x[:, :1], verbose=0)
        assert not any(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
        assert (model(x, training=True).numpy() == 0).any()
        assert not (model(x).numpy() == 0).any()


# Random numbers that are drawn elsewhere.


class Holder:
    def __init__(self, inner):
        self.inner = inner


class Noisy(fastnn.layers.Layer):
    def __init__(self, generator):
        super().__init__()
        self._generators = [generator]

    def call(self, x):
        return x * float(self._generators[0].normal())


GENERATORS = {
    "Generator": np.random.default_rng(0),
    "RandomState": np.random.RandomState(0),
    "Mersenne": np.random.Generator(np.random.MT19937(0)),
}
PYTHONS = random.Random(0)
of_globals = np.random.default_rng(1)


def draws_from_a_global(x):
    return x * of_globals.normal()


def calls_one_that_does(x):
    return draws_from_a_global(x)


def through(kind, generator):
    """Ways by which a function comes to a generator."""
    draw = generator.normal if hasattr(generator, "normal") else generator.random

    class Own:
        def __init__(self):
            self.generator = generator

        def method(self, x):
            return self.inner(x)

        def inner(self, x):
            return x * draw()

        __call__ = method

    def default(x, g=generator):
        return x * draw()

    return {
        "closure": lambda x: x * generator.normal() if hasattr(generator, "normal") else x * generator.random(),
        "bound method": lambda x: x * draw(),
        "method's object": Own().method,
        "callable": Own(),
        "partial": functools.partial(lambda g, x: x * draw(), generator),
        "default": default,
        "attribute": functools.partial(lambda h, x: x * h.inner.inner.normal(), Holder(Holder(generator))),
        "dictionary": lambda x, found={"a": [generator]}: x * draw(),
    }[kind]


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(
    "kind", ["closure", "bound method", "method's object", "callable", "partial", "default", "attribute", "dictionary"]
)
def test_draws_are_refused_however_the_generator_is_reached(kind, generator):
    with pytest.raises(RecordingError, match=r"test_record\.py:\d+.*fastnn\.random"):
        fastnn.record(through(kind, GENERATORS[generator]))([1.0])


@pytest.mark.parametrize("kind", ["closure", "method's object", "dictionary"])
def test_draws_from_pythons_are_refused_however_they_are_reached(kind):
    with pytest.raises(RecordingError, match=r"test_record\.py:\d+.*fastnn\.random"):
        fastnn.record(through(kind, PYTHONS))([1.0])


def test_draws_in_models_arguments_and_functions_that_are_called_are_refused():
    generator = GENERATORS["Generator"]
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1), Noisy(generator)])
    x = np.ones((1, 1), "f4")
    for step in (model, lambda x: model(x), calls_one_that_does):
        with pytest.raises(RecordingError, match=r"test_record\.py:\d+.*fastnn\.random"):
            fastnn.record(step)(x)
    with pytest.raises(RecordingError, match=r"test_record\.py:\d+.*fastnn\.random"):
        fastnn.record(lambda x, g: x * float(g["g"].normal()))(x, {"g": generator})


def test_numbers_of_a_generator_of_the_steps_own_are_as_they_are_eagerly():
    def step(x):
        return x * float(np.random.default_rng(3).normal()) * random.Random(4).random()

    system = random.SystemRandom()
    expected = np.asarray(step(np.float32(1.0)), "f4")
    np.testing.assert_allclose(fastnn.record(lambda x: step(x) if system else x)(1.0), expected, rtol=1e-6)


DRAWS = {
    "numpy": lambda: np.random.normal(),
    "python": lambda: random.random(),
    "shared": lambda: GENERATORS["Generator"].normal(),
    "shared RandomState": lambda: GENERATORS["RandomState"].normal(),
}


class Others:
    """Another thread that draws all the time, or with pauses."""

    def __init__(self, draw, pause):
        self.draw, self.pause, self.stop = draw, pause, False
        self.thread = threading.Thread(target=self.work)

    def work(self):
        while not self.stop:
            self.draw()
            if self.pause:
                time.sleep(self.pause)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *error):
        self.stop = True
        self.thread.join()


def plain(x):
    shared = GENERATORS
    y = x + 1.0 if shared else x
    time.sleep(0.002)  # others are let in here, again and again
    z = y * 2.0
    for _ in range(30):
        z = z + float(np.ones(1000).sum() > 0)
    time.sleep(0.002)
    return z


@pytest.mark.parametrize("pause", [0.0, 0.0005])
@pytest.mark.parametrize("kind", DRAWS)
def test_what_other_threads_draw_meanwhile_is_theirs(kind, pause):
    with Others(DRAWS[kind], pause):
        for _ in range(2):
            assert fastnn.record(plain)([1.0]).item() == 34


@pytest.mark.parametrize("other", DRAWS)
@pytest.mark.parametrize("own", DRAWS)
def test_draws_of_this_thread_are_told_from_those_of_others(own, other):
    draw = DRAWS[own]
    with Others(DRAWS[other], 0.0), pytest.raises(RecordingError, match=rf"test_record\.py:{draw.__code__.co_firstlineno}:"):
        fastnn.record(lambda x: plain(plain(x) * draw()))([1.0])


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells which threads run")
def test_draws_that_no_line_names_are_told_where_there_is_nobody_else():
    hidden = functools.partial(operator.methodcaller("normal"), GENERATORS["Generator"])

    def step(x):
        x = plain(x)
        return x * hidden()

    line = step.__code__.co_firstlineno + 2
    with pytest.raises(RecordingError, match=rf"test_record\.py:{line}:"):
        fastnn.record(step)([1.0])


def test_a_line_that_fastnn_draws_in_is_innocent():
    step = fastnn.record(lambda x: plain(x) + fastnn.random.normal((1,)))
    with Others(DRAWS["numpy"], 0.0):
        step([1.0])


def test_a_draw_in_the_line_that_calls_the_step_is_told():
    with pytest.raises(RecordingError, match=r"test_record\.py:\d+.*fastnn\.random"):
        fastnn.record(lambda x: x * float(np.random.normal()))([1.0])


@pytest.mark.parametrize("what", ["fit", "evaluate", "predict"])
def test_what_would_happen_in_no_replay_is_refused(what):
    """Also where the model has tapes for it."""
    model, x = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)]), np.ones((4, 3), "f4")
    model.compile("sgd", "mse")
    data = (x,) if what == "predict" else (x, x[:, :1])
    for warm in (False, True):
        if warm:
            getattr(model, what)(*data, verbose=0)
        with pytest.raises(fastnn.errors.RecordingError, match=f"{what}: called while .* is recorded.* model\\(x\\)"):
            fastnn.record(lambda scale: getattr(model, what)(*data, verbose=0))(1.0)


def test_threads_that_begin_and_draw_do_not_make_a_recording_fail():
    """Some have no number yet when they are asked for their time; and one may be the first to import numpy.random."""
    program = """
import threading, numpy as np, fastnn
fastnn.record(lambda x: x * 2)([1.0])
going = True
def begin():
    while going:
        threads = [threading.Thread(target=lambda: np.random.rand()) for _ in range(8)]
        [t.start() for t in threads], [t.join() for t in threads]
beginners = [threading.Thread(target=begin) for _ in range(2)]
[t.start() for t in beginners]
try:
    for n in range(300):
        fastnn.record(lambda x: x * 2)([1.0])
finally:
    going = False
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
