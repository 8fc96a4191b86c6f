"""What `fastnn.record` can be made of, and where it can be called."""

import copy
import functools
import gc
import operator
import pickle
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

RNG = np.random.default_rng(0)


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
    assert sum(len(found) for found in step.tapes.values()) == 1
    assert step.name


def test_a_recorded_function_keeps_name_and_documentation():
    step = fastnn.record(double)
    assert (step.__name__, step.__doc__, step.__wrapped__, step.__module__) == (
        "double",
        "Twice x.",
        double,
        __name__,
    )
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
    assert (
        copy.deepcopy(of_module)
        is pickle.loads(pickle.dumps(of_module))
        is copy.copy(of_module)
        is of_module
    )
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
        assert not any(
            np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)
        )
        assert (model(x, training=True).numpy() == 0).any()
        assert not (model(x).numpy() == 0).any()


@pytest.mark.parametrize("what", ["fit", "evaluate", "predict"])
def test_what_would_happen_in_no_replay_is_refused(what):
    """Also where the model has tapes for it."""
    model, x = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(1)]), np.ones((4, 3), "f4")
    model.compile("sgd", "mse")
    data = (x,) if what == "predict" else (x, x[:, :1])
    for warm in (False, True):
        if warm:
            getattr(model, what)(*data, verbose=0)
        with pytest.raises(
            fastnn.errors.RecordingError,
            match=f"{what}: called while .* is recorded.* model\\(x\\)",
        ):
            fastnn.record(lambda scale: getattr(model, what)(*data, verbose=0))(1.0)
