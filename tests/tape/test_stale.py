"""Tapes are used as long as what was read while they were recorded is as it was, and no longer:
layers, losses, metrics."""

import copy
import gc
from collections import OrderedDict, deque

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, ops, optimizers
from fastnn.watch import MAX_STATES, READERS, Contents, _same

ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
TARGETS = ROWS[:, :2] * 0.5


# ---- what `call` may read, how it may change, and how models are used

# What holds the number: how to put it there, and how `call` reads it.
PLACES = {
    "attribute": (lambda m, v: setattr(m, "scale", v), lambda m: m.scale),
    "private attribute": (lambda m, v: setattr(m, "_scale", v), lambda m: m._scale),
    "attribute that is missing": (
        lambda m, v: setattr(m, "missing", v),
        lambda m: getattr(m, "missing", 1.0),
    ),
    "attribute by its name": (
        lambda m, v: setattr(m, "scale", v),
        lambda m: getattr(m, "sca" + "le"),
    ),
    "all attributes": (lambda m, v: setattr(m, "scale", v), lambda m: vars(m)["scale"]),
    "attribute of the class": (lambda m, v: setattr(type(m), "of_class", v), lambda m: m.of_class),
    "list of the class": (
        lambda m, v: m.list_of_class.__setitem__(0, v),
        lambda m: m.list_of_class[0],
    ),
    "attribute that hides the class's": (
        lambda m, v: setattr(m, "of_class", v),
        lambda m: m.of_class,
    ),
    "slot": (lambda m, v: setattr(m, "slot", v), lambda m: m.slot),
    "property": (lambda m, v: setattr(m, "_scale", v), lambda m: m.scale_by_property),
    "method": (
        lambda m, v: setattr(m, "scale_by_method", lambda: v),
        lambda m: m.scale_by_method(),
    ),
    "layer's attribute": (lambda m, v: setattr(m.inner, "scale", v), lambda m: m.inner.scale),
    "layer": (lambda m, v: setattr(m, "inner", Scale(v)), lambda m: m.inner.scale),
    "function": (lambda m, v: setattr(m, "function", lambda: v), lambda m: m.function()),
    "array": (lambda m, v: setattr(m, "array", np.full(1, v)), lambda m: float(m.array[0])),
    "NumPy number": (lambda m, v: setattr(m, "scale", np.float64(v)), lambda m: float(m.scale)),
    "list": (lambda m, v: m.values.__setitem__(0, v), lambda m: m.values[0]),
    "other list": (lambda m, v: setattr(m, "values", [v]), lambda m: m.values[0]),
    "list that grows": (lambda m, v: m.values.append(v), lambda m: m.values[-1]),
    "list in a list": (lambda m, v: m.nested[1].__setitem__(0, v), lambda m: m.nested[1][0]),
    "list in a tuple": (lambda m, v: m.pair[0].__setitem__(0, v), lambda m: m.pair[0][0]),
    "dictionary": (lambda m, v: m.table.__setitem__("a", v), lambda m: m.table["a"]),
    "dictionary that grows": (
        lambda m, v: m.table.__setitem__(v, 0),
        lambda m: max([k for k in m.table if k != "a"], default=1.0),
    ),
    "order of a dictionary": (
        lambda m, v: _reorder(m.table, v),
        lambda m: next(iter(m.table.values())),
    ),
    "list in a dictionary": (
        lambda m, v: m.lists["a"].__setitem__(0, v),
        lambda m: m.lists["a"][0],
    ),
    "dictionary in a list": (
        lambda m, v: m.tables[0].__setitem__("a", v),
        lambda m: m.tables[0]["a"],
    ),
    "set": (lambda m, v: m.numbers.add(v), lambda m: max(m.numbers)),
    "deque": (lambda m, v: m.deque.appendleft(v), lambda m: m.deque[0]),
    "ordered dictionary": (lambda m, v: m.ordered.__setitem__("a", v), lambda m: m.ordered["a"]),
    "layers in a list": (lambda m, v: m.blocks.append(Scale(v)), lambda m: m.blocks[-1].scale),
    "layers of all kinds": (
        lambda m, v: m.blocks.append(Scale(v)),
        lambda m: m.sublayers()[-1].scale,
    ),
}


def _reorder(table, value):
    table.clear()
    table.update({"b": value, "a": 1.0})


class Scale(layers.Layer):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, x):
        return x * float(self.scale)


def reader(read):
    """A new class of models, each with its own class attributes, whose `call` reads
    `read(model)`."""

    class Reader(fastnn.Model):
        __slots__ = ("slot",)
        of_class = 1.0

        def __init__(self):
            super().__init__()
            self.scale = self._scale = self.slot = 1.0
            type(self).list_of_class = [1.0]
            self.function, self.array = lambda: 1.0, np.ones(1)
            self.values, self.nested, self.pair = [1.0], [0, [1.0]], ([1.0], 2)
            self.table, self.lists, self.tables, self.numbers = (
                {"a": 1.0},
                {"a": [1.0]},
                [{"a": 1.0}],
                {1.0},
            )
            self.deque, self.ordered = deque([1.0]), OrderedDict(a=1.0)
            self.steps = 0
            self.dense = layers.Dense(2, kernel_initializer="ones")
            self.inner = Scale(1.0)
            self.blocks = [Scale(1.0)]

        @property
        def scale_by_property(self):
            return self._scale

        def scale_by_method(self):
            return self._scale

        def call(self, x):
            return self.dense(x) * float(read(self))

    return Reader()


def predictions(model):
    return model.predict(ROWS)


def predictions_of_some(model):
    return model.predict(ROWS, batch_size=3)


def evaluation(model):
    return np.array(model.evaluate(ROWS, TARGETS, verbose=0))


def fit(model):
    if not model.built:
        model(ROWS)
    model.set_weights([np.ones(w.shape) for w in model.get_weights()])
    model.fit(ROWS, TARGETS, epochs=2, verbose=0, shuffle=False, batch_size=3)
    return np.concatenate([w.reshape(-1) for w in model.get_weights()])


def step(model):
    if not hasattr(model, "recorded_step"):
        model.recorded_step = fastnn.record(lambda x: model(x))
    return model.recorded_step(ROWS).numpy()


def eagerly(how, model):
    """What a use of the model gives without tapes."""
    if how is step:
        return model(ROWS).numpy()
    model.run_eagerly = True
    try:
        return how(model)
    finally:
        model.run_eagerly = False


def compiled(model):
    model.compile("sgd", "mse", metrics=["mse"])
    return model


@pytest.mark.parametrize("how", [predictions, predictions_of_some, evaluation, fit, step])
@pytest.mark.parametrize("place", PLACES)
def test_a_change_of_what_call_reads_is_seen_and_no_other(how, place, recordings):
    put, read = PLACES[place]
    model = compiled(reader(read))
    before = how(model)
    np.testing.assert_array_equal(before, eagerly(how, model))
    for value in (2.0, 3.0):
        put(model, value)
        after = how(model)
        np.testing.assert_array_equal(after, eagerly(how, model))
        assert (after != before).any(), "the change was not seen"
        del recordings[:]
        model.steps += 1
        model.unheard_of = model.steps
        np.testing.assert_array_equal(how(model), after)
        if place != "all attributes":
            assert not recordings, "recorded anew though nothing that is read had changed"
        before = after


@pytest.mark.parametrize("how", [predictions, predictions_of_some, evaluation, fit, step])
@pytest.mark.parametrize(
    "place",
    [
        "attribute",
        "private attribute",
        "list",
        "list in a list",
        "dictionary",
        "layer's attribute",
        "slot",
    ],
)
def test_states_that_come_back_find_their_tapes(how, place, recordings):
    put, read = PLACES[place]
    model = compiled(reader(read))
    expected = {}
    for value in (1.0, 2.0):
        put(model, value)
        expected[value] = how(model)
    del recordings[:]
    for value in (1.0, 2.0, 2.0, 1.0, 2.0):
        put(model, value)
        np.testing.assert_array_equal(how(model), expected[value])
    assert not recordings


def test_only_so_many_tapes_are_kept_of_one_look():
    model = compiled(reader(lambda m: m.scale))
    for n in range(3 * MAX_STATES):
        model.scale = 1.0 + n
        np.testing.assert_array_equal(model.predict(ROWS), model(ROWS).numpy())
        step(model)
    assert [len(found) for found in model.recorded_step.tapes.values()] == [MAX_STATES]
    assert max(len(found) for found in model._programs.values()) == MAX_STATES
    gc.collect()
    model.scale = -1.0
    step(model)
    assert len(vars(model)[READERS].found) <= 3 * MAX_STATES + 1


def test_an_attribute_that_is_deleted_or_comes_to_be_is_seen():
    model = reader(lambda m: m.scale if hasattr(m, "extra") else -1.0)
    for change in (
        lambda: None,
        lambda: setattr(model, "extra", None),
        lambda: delattr(model, "extra"),
    ):
        change()
        np.testing.assert_array_equal(model.predict(ROWS), model(ROWS).numpy())


def test_what_call_itself_assigns_is_a_note_that_leaves_the_tape_good(recordings):
    class Counting(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.calls, self.shapes, self.dense = 0, [], layers.Dense(2)

        def call(self, x):
            self.calls += 1
            self.shapes.append(x.shape)
            self.last = x.shape
            return self.dense(x)

    model = Counting()
    model.predict(ROWS)
    del recordings[:]
    model.predict(ROWS)
    assert not recordings


@pytest.mark.parametrize("how", [predictions, evaluation, fit, step])
def test_building_on_the_first_call_leaves_the_tape_good(how, recordings):
    class Unbuilt(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.stack = fastnn.Sequential(
                [layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.1)]
            )
            self.blocks = [layers.Dense(2)]

        def call(self, x):
            for block in (self.stack, *self.blocks):
                x = block(x)
            return x

    model = compiled(Unbuilt())
    if how is fit:
        model.fit(ROWS, TARGETS, verbose=0)
        del recordings[:]
        model.fit(ROWS, TARGETS, verbose=0)
    else:
        how(model)
        del recordings[:]
        how(model)
    assert not recordings


def test_layers_added_and_removed_are_seen():
    model = fastnn.Sequential([layers.Dense(3)])
    expected = []
    for change in (
        lambda: None,
        lambda: model.add(layers.ReLU()),
        lambda: model.add(layers.Dense(5)),
        model.pop,
    ):
        change()
        expected.append(model(ROWS).numpy())
        np.testing.assert_array_equal(model.predict(ROWS), expected[-1])
    np.testing.assert_array_equal(expected[-1], expected[1])


def test_a_step_that_asks_for_weights_sees_new_layers_and_ignores_counters(recordings):
    model = reader(lambda m: 1.0)
    model(ROWS)

    @fastnn.record
    def size():
        return sum([ops.sum(v * v) for v in model.weights], start=fastnn.tensor(0.0))

    assert size().item() == 6
    del recordings[:]
    model.steps += 1
    assert size().item() == 6
    assert not recordings
    model.blocks.append(layers.Dense(1, kernel_initializer="ones"))
    model.blocks[-1](ROWS)
    assert size().item() == 9
    model.head = layers.Dense(1, kernel_initializer="ones")
    model.head(ROWS)
    assert size().item() == 12


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (True, 1),
        (1, 1.0),
        (0.0, -0.0),
        (np.float32(1), np.float64(1)),
        ("a", b"a"),
        ([1], (1,)),
        ([True], [1]),
        ({1: 0}, {True: 0}),
    ],
)
def test_values_are_the_same_where_value_and_type_are(first, second):
    for one, other, expected in ((first, second, False), (first, copy.deepcopy(first), True)):
        noted = Contents(one) if isinstance(one, list | tuple | dict) else one
        assert _same(other, noted) == expected


def test_nan_is_the_same_and_what_contains_itself_has_contents():
    assert _same(float("nan"), float("nan"))
    table = [1]
    table.append(table)
    contents = Contents(table)
    assert contents.same(table)
    table[0] = 2
    assert not contents.same(table)


# ---- losses, metrics


class Weighted(losses.Loss):
    def __init__(self):
        super().__init__()
        self.factor, self.factors = 1.0, {"all": [1.0]}

    def call(self, y_true, y_pred):
        return ops.squared_difference(y_pred, y_true) * self.factor * self.factors["all"][0]


class Scaled(metrics.Mean):
    def __init__(self):
        super().__init__()
        self._factors = [1.0]

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(ops.squared_difference(y_pred, y_true) * self._factors[0])


@pytest.mark.parametrize(
    ("change", "hows"),
    [
        (lambda m: setattr(m.loss, "factor", 3.0), (evaluation, fit)),
        (lambda m: m.loss.factors["all"].__setitem__(0, 3.0), (evaluation, fit)),
        (lambda m: setattr(m, "loss", losses.MeanSquaredError()), (evaluation, fit)),
        (lambda m: m._metrics[0][0][0]._factors.__setitem__(0, 3.0), (evaluation,)),
        (lambda m: setattr(m, "optimizer", optimizers.SGD(0.3)), (fit,)),
    ],
)
def test_a_change_of_loss_metric_or_optimizer_is_seen(change, hows):
    model = reader(lambda m: 1.0)
    model.compile("sgd", Weighted(), metrics=[Scaled()])
    model.loss.factor = 2.0
    before = [how(model) for how in hows]
    change(model)
    for how, earlier in zip(hows, before, strict=True):
        after = how(model)
        np.testing.assert_array_equal(after, eagerly(how, model))
        assert (after != earlier).any()


def test_what_a_loss_reads_in_a_recorded_step_is_seen():
    loss = losses.BinaryCrossentropy()
    recorded = fastnn.record(lambda y, p: loss(y, p))
    for from_logits in (False, True, False):
        loss.from_logits = from_logits
        y, p = np.ones((2, 1), np.float32), np.full((2, 1), 0.75, np.float32)
        assert recorded(y, p).item() == loss(y, p).item()
