"""Copied models train on with the same bits; what is shared is shared within the copy; steps, ops
and tensors without memory."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, losses, ops, optimizers, random
from fastnn.errors import DeadTensorError, RecordingError
from fastnn.optimizers.runs import runs_of
from tests.models.test_copies import (
    RNG,
    WAYS,
    Tied,
    X,
    Y,
    assert_same,
    compiled,
    doubled_difference,
    every_way,
    fitted,
    made,
)

# ---- training


class Keeps(callbacks.Callback):
    """Pickles its model at the moments given, while it trains."""

    def __init__(self, *moments):
        self.moments, self.kept = moments, []

    def on_epoch_end(self, epoch, logs=None):
        self._keep(epoch)

    def on_train_batch_end(self, batch, logs=None):
        self._keep("batch")

    def _keep(self, moment):
        if moment in self.moments:
            self.kept.append(
                (pickle.dumps(self.model), copy.deepcopy(self.model), self.model.get_weights())
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "optimizer", ["adam", "rmsprop", optimizers.SGD(0.01, momentum=0.9, nesterov=True)]
)
def test_a_model_that_is_pickled_while_it_trains_goes_on_with_the_same_bits(optimizer, dtype):
    fastnn.config.set_floatx(dtype)
    fastnn.utils.set_random_seed(1)
    model, keeps = compiled(Tied(), copy.deepcopy(optimizer)), Keeps(1)
    fitted(model, 5, callbacks=[keeps])
    fastnn.config.set_floatx("float32")
    ((pickled, copied, _),) = keeps.kept
    for other in (pickle.loads(pickled), copied):
        assert other.dtype == dtype
        fitted(other, 3)
        assert_same(other.get_weights(), model.get_weights())
        assert other.optimizer.iterations == model.optimizer.iterations


def test_a_model_that_is_pickled_within_an_epoch_is_as_it_was_then():
    model, keeps = made(fastnn.Sequential), Keeps("batch")
    before = model.optimizer.iterations
    fitted(model, 1, callbacks=[keeps])
    for number, (pickled, copied, weights) in enumerate(keeps.kept, 1):
        for other in (pickle.loads(pickled), copied):
            assert other.optimizer.iterations == before + number
            assert_same(other.get_weights(), weights)


def test_a_seed_set_after_the_copy_holds_for_it_as_for_the_original():
    model = made(fastnn.Sequential)
    other = copy.deepcopy(model)
    found = []
    for one in (model, other):
        fastnn.utils.set_random_seed(9)
        found.append(fitted(one))
    assert_same(*found)
    # of before the seed: drawn anew, as the original does
    stale = pickle.loads(pickle.dumps(model))
    fastnn.utils.set_random_seed(11)
    again = fitted(stale)
    fastnn.utils.set_random_seed(11)
    assert_same(fitted(model), again)


@every_way
def test_pending_gradients_go_along(way):
    model = made(fastnn.Model)
    loss = losses.MeanSquaredError()
    loss(Y, model(X, training=True)).backward()
    other = way(model)
    for one in (model, other):  # added to what there is, in memory of its own
        loss(Y, one(X, training=True)).backward()
        assert len(runs_of([(v, v._gradient) for v in one.trainable_variables])) == 1
        one.optimizer.step()
    assert_same(model.get_weights(), other.get_weights())


# ---- what is shared stays shared, within the copy


@every_way
def test_the_copied_graph_has_the_same_aliases(way):
    model = made(fastnn.Model)
    first, inner, (other, variables) = way(
        [model.inner, model.inner.kernel, (model, model.trainable_variables)]
    )
    assert first is other.inner is other.others[0]
    assert inner is first.kernel
    assert (
        [id(v) for v in variables]
        == [id(v) for v in other.optimizer._trainable_variables]
        == [id(v) for v in other.trainable_variables]
    )
    assert {v.chunk for v in variables} == {other.inner.kernel.chunk}
    assert {chunk for chunk, _ in other.optimizer._memory} == {other.inner.kernel.chunk}
    assert other._arena.chunks[True] is other.inner.kernel.chunk
    assert len(other.weights) == len(model.weights)


@every_way
def test_views_of_a_tensor_stay_views(way):
    variable = fastnn.Variable([[1.0, 2.0]])
    other, flat = way((variable, ops.reshape(variable, (-1,))))
    other.assign([[3.0, 4.0]])
    np.testing.assert_array_equal(flat.numpy(), [3, 4])
    generator = way(random.Generator(1))
    generator.uniform((1,))
    assert generator.draws.value == generator.state.numpy()[1] == 1


@every_way
def test_updates_of_a_copied_model_are_one_instruction(way):
    model = compiled(
        fastnn.Sequential([fastnn.Input((4,)), *[layers.Dense(4) for _ in range(200)]])
    )
    fitted(model, 1)
    other = way(model)  # nor does the depth of a model make it too deep for pickle
    loss = losses.MeanSquaredError()

    @fastnn.record
    def step(x, y):
        loss(y, other(x, training=True)).backward()
        other.optimizer.step()

    step(X, Y)
    assert step.summary().split().count("adam") == 1
    new = [one.layers[0].add_weight((3,)) for one in (model, other)]  # which goes where none is
    assert new[0].offset == new[1].offset > max(v.offset for v in model.weights if v is not new[0])


def test_pickles_are_as_large_as_what_they_hold():
    model = fastnn.Sequential(
        [fastnn.Input((4,)), layers.Dense(300), layers.Dense(300), layers.Dense(4)]
    )
    weights = 4 * model.count_params()
    assert len(pickle.dumps(model)) < weights + 5000
    # not the model it is in
    assert len(pickle.dumps(model.layers[0])) < 4 * model.layers[0].count_params() + 2000
    fitted(compiled(model), 1)
    assert len(pickle.dumps(model)) < 3 * weights + 8000
    assert len(pickle.dumps(model.weights[0])) < model.weights[0].buffer.nbytes + 1000


def test_memory_is_freed_at_once():
    """No cycle keeps it until the garbage collector comes, in originals and copies."""
    one = made(optimizers.Adam)
    ones = [one, *[way(one) for way in WAYS.values()]]
    chunks = [weakref.ref(o._trainable_variables[0].chunk) for o in ones]
    gc.disable()
    try:
        del one
        ones.clear()
        assert [chunk() for chunk in chunks] == [None] * len(chunks)
    finally:
        gc.enable()


# ---- shallow copies of what consists of layers


def test_a_shallow_copy_of_a_layer_has_its_weights_and_a_list_of_its_own():
    unbuilt = layers.Dense(3)
    other = copy.copy(unbuilt)
    other(X)
    assert (len(other.weights), len(unbuilt.weights)) == (2, 0)
    model = made(fastnn.Sequential)
    twin = copy.copy(model)
    assert twin.optimizer is model.optimizer
    assert twin._programs is not model._programs
    assert twin._lock is not model._lock
    fitted(twin)
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    twin.add(layers.Dense(2))
    assert model.predict(X).shape == (70, 4)
    assert twin.predict(X).shape == (70, 2)


def test_a_shallow_copy_of_an_optimizer_has_moments_of_its_own():
    one = made(optimizers.Adam)
    other = copy.copy(one)
    theirs = [m.address for m in one._memory.values()]
    assert one._memory.keys() == other._memory.keys()
    assert not set(theirs) & {m.address for m in other._memory.values()}


# ---- tensors, steps, ops


@every_way
def test_the_history_of_a_tensor_is_the_originals(way):
    x = fastnn.tensor([1.0, 2.0], requires_gradient=True)
    y = x * x
    other = way(y)
    assert (y.node is not None, other.node, other.requires_gradient) == (True, None, False)
    assert other.dtype == y.dtype
    with pytest.raises(ValueError, match="nothing this was computed from requires a gradient"):
        ops.sum(other).backward()
    assert x.gradient is None


@every_way
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4)])
def test_tensors_of_every_type_and_shape(way, dtype, shape):
    one = fastnn.tensor(RNG.normal(size=shape).astype(dtype))
    other = way(one)
    assert (other.shape, other.dtype) == (one.shape, one.dtype)
    np.testing.assert_array_equal(other.numpy(), one.numpy())


def test_a_tensor_of_an_array_is_copied():
    array = X.copy()
    other = copy.deepcopy(fastnn.activations.linear(array))
    array[:] = 0
    np.testing.assert_array_equal(other.numpy(), X)


class Remembers(layers.Layer):
    not_recorded = ("last",)

    def call(self, x):
        self.last = x
        return x


@pytest.mark.parametrize("way", [copy.copy, *WAYS.values()], ids=["copy", *WAYS])
def test_a_tensor_without_memory_says_so(way):
    errors = []

    @fastnn.record
    def step(x):
        y = x + x
        with pytest.raises(RecordingError, match="while it is being recorded"):
            way(y)
        errors.append(y)
        return y

    step([1.0])
    with pytest.raises(DeadTensorError, match="its memory ended with the step"):
        way(errors[0])


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_layer_that_keeps_such_a_tensor_is_named(shuffle):
    model = compiled(
        fastnn.Sequential([fastnn.Input((4,)), Remembers(name="notes"), layers.Dense(4)])
    )
    fitted(model, 1, shuffle=shuffle)
    with pytest.raises(
        DeadTensorError,
        match=r"layer 'notes' cannot be copied: its last has no values; set it to None",
    ):
        pickle.dumps(model)
    model.layers[0].last = None
    assert_same(fitted(copy.deepcopy(model), shuffle=shuffle), fitted(model, shuffle=shuffle))


@fastnn.record
def doubled(x):
    return x + x


class Stepping(Tied):
    def __init__(self):
        super().__init__()
        self.step = fastnn.record(self.scaled)

    def scaled(self, x):
        return x * self.inner.kernel


@every_way
def test_recorded_steps(way):
    """Like functions: by name, or with the object they are methods of; tapes are made anew."""
    doubled([1.0])
    assert way(doubled) is doubled
    model = Stepping()
    model(X)
    before = model.step(np.ones(4)).numpy()
    other = way(model)
    assert (len(model.step.tapes), len(other.step.tapes)) == (1, 0)
    other.inner.kernel.assign(np.zeros((4, 4)))
    np.testing.assert_array_equal(other.step(np.ones(4)).numpy(), 0)
    np.testing.assert_array_equal(model.step(np.ones(4)).numpy(), before)
    assert way(other.step).function.__self__ is not other
    plain = way(fastnn.record(doubled_difference))
    np.testing.assert_array_equal(plain([1.0], [2.0]).numpy(), [2])


def test_what_has_no_name_is_copied_and_not_pickled():
    step = fastnn.record(lambda x: x + 1.0)
    np.testing.assert_array_equal(copy.deepcopy(step)([1.0]).numpy(), [2])
    layer = layers.Activation(lambda x: x + 1.0)
    np.testing.assert_array_equal(copy.deepcopy(layer)([1.0]).numpy(), [2])
    for one in (step, layer):
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
            pickle.dumps(one)


def test_ops_are_themselves_in_every_copy():
    for op in (ops.relu, ops.sum, ops.linear):
        assert copy.copy(op) is copy.deepcopy(op) is pickle.loads(pickle.dumps(op)) is op
    layer = pickle.loads(pickle.dumps(layers.Dense(2, activation=ops.relu)))
    assert layer.activation is ops.relu
