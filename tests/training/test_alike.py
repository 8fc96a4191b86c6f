"""Batches like those before them are checked the quick way: it trains as the other one does, and
takes nothing that the other would refuse."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.training.checking import Checking

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 3)).astype("float32")
LABELS = np.arange(8) % 2
VALUES = RNG.uniform(size=(8, 1)).astype("float32")
WEIGHTS = RNG.uniform(0.5, 2, 8)


def network(loss=None, **compiled):
    fastnn.utils.set_random_seed(1)
    stack = [fastnn.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(2)]
    model = fastnn.Sequential(stack, name="network")
    loss = loss or fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **compiled)
    return model


@pytest.fixture
def looked_at(monkeypatch):
    """The batches that were checked from scratch."""
    found, whole = [], Checking._rows

    def rows(self, *given, **named):
        found.append(given)
        return whole(self, *given, **named)

    monkeypatch.setattr(Checking, "_rows", rows)
    return found


def split(*arrays):
    """Six batches of two rows, and one of one."""
    cut = [slice(n, n + 2) for n in (0, 2, 4, 6, 0, 4)] + [slice(6, 7)]
    return [tuple([a[part] for a in arrays]) for part in cut]


def whole(*arrays):
    return [np.concatenate(parts) for parts in zip(*split(*arrays), strict=True)]


def expect_same(model, other):
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


LIKE_FIRST = {
    "labels": (X, LABELS),
    "columns": (X, LABELS.reshape(-1, 1).astype("int32")),
    "small": (X.astype("float64"), LABELS.astype("uint8")),
    "weighted": (X, LABELS, WEIGHTS),
    "weights in a column": (X, LABELS, WEIGHTS.reshape(-1, 1).astype("float32")),
}


@pytest.mark.parametrize("arrays", LIKE_FIRST.values(), ids=LIKE_FIRST)
def test_what_is_known_is_not_asked_again(arrays, looked_at):
    model, other = network(), network()
    x, y, *weights = whole(*arrays)
    expected = other.fit(
        x, y, 2, shuffle=False, verbose=0, sample_weight=weights[0] if weights else None
    ).history
    looked_at.clear()
    assert model.fit(iter(split(*arrays)), verbose=0).history == expected
    assert len(looked_at) == 3  # the first one, which begins the epoch too, and the second
    expect_same(model, other)


STRANGE = {
    "backwards": lambda: (X[::-1][:2], LABELS[:2]),
    "in Fortran's order": lambda: (np.asfortranarray(X[:2]), LABELS[:2]),
    "every other": lambda: (X[::4], LABELS[::4]),
    "lists": lambda: (X[:2].tolist(), LABELS[:2].tolist()),
    "floats": lambda: (X[:2].astype("float64"), LABELS[:2].astype("float32")),
    "objects": lambda: (X[:2].astype(object), LABELS[:2]),
    "the other byte order": lambda: (X[:2].astype(">f4"), LABELS[:2].astype(">i8")),
    "a tensor": lambda: (fastnn.tensor(X[:2]), LABELS[:2]),
    "not to be written": lambda: (unwritable(X[:2]), unwritable(LABELS[:2])),
    "a column": lambda: (X[:2], LABELS[:2].reshape(2, 1)),
    "a list of parts": lambda: [X[:2], LABELS[:2]],
    "not aligned": lambda: (unaligned(X[:2]), LABELS[:2]),
}


def unwritable(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, "uint8")
    memory[1:] = array.view("uint8").reshape(-1)
    return np.frombuffer(memory.data, array.dtype, offset=1).reshape(array.shape)


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_others_are_taken_as_they_were(make):
    x, y = make()
    plain = np.asarray(x, "float32").copy(), np.asarray(y, "int64").reshape(-1)
    before, model, other = [(X[:2], LABELS[:2])] * 4, network(), network()
    found = model.fit(iter([*before, make(), *before]), verbose=0).history
    rows = [np.concatenate(parts) for parts in zip(*[*before, plain, *before], strict=True)]
    assert other.fit(*rows, 2, shuffle=False, verbose=0).history == found
    expect_same(model, other)


def put(array, value, place=1):
    array = array.copy()
    array[place] = value
    return array


NAN, INFINITE = np.nan, np.inf
WRONG = {
    "NaN": lambda: (put(X[:2], NAN), LABELS[:2]),
    "infinite": lambda: (put(X[:2], -INFINITE), LABELS[:2]),
    "too large": lambda: (put(X[:2].astype("float64"), 1e60), LABELS[:2]),
    "negative label": lambda: (X[:2], put(LABELS[:2], -1)),
    "label of no class": lambda: (X[:2], put(LABELS[:2], 2)),
    "huge label": lambda: (X[:2], np.array([0, 2**64 - 1], "uint64")),
    "half a label": lambda: (X[:2], np.array([0.5, 0.0], "float32")),
    "a column less": lambda: (X[:2, :2].copy(), LABELS[:2]),
    "no columns": lambda: (X[:2, 0].copy(), LABELS[:2]),
    "a dimension more": lambda: (X[:2, None], LABELS[:2]),
    "fewer labels": lambda: (X[:2], LABELS[:1]),
    "no rows": lambda: (X[:0], LABELS[:0]),
    "a number": lambda: (X[0, 0], LABELS[0]),
    "no dimensions": lambda: (np.array(1.0, "float32"), np.array(1)),
    "text": lambda: (np.array([["a"] * 3] * 2), LABELS[:2]),
    "objects": lambda: (np.array([[None] * 3] * 2), LABELS[:2]),
    "complex": lambda: (X[:2].astype("complex64"), LABELS[:2]),
    "dates": lambda: (X[:2].astype("int64").astype("datetime64[s]"), LABELS[:2]),
    "no targets": lambda: (X[:2],),
    "four parts": lambda: (X[:2], LABELS[:2], None, None),
    "a dictionary": lambda: ({"a": X[:2], "b": X[:2]}, LABELS[:2]),
    "no batch": lambda: None,
}


def raised(batches, **arguments):
    with pytest.raises(Exception) as found:  # noqa: PT011 (which, is compared)
        network().fit(iter(batches), verbose=0, **arguments)
    return type(found.value), str(found.value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_the_same_words(make):
    for before in ((X[:2], LABELS[:2]), (X[:2].astype("float64"), LABELS[:2].astype("uint64"))):
        assert raised([make()]) == raised([before] * 4 + [make()])


def test_wrong_weights_and_values():
    good = X[:2], LABELS[:2], WEIGHTS[:2]
    for wrong in (put(WEIGHTS[:2], NAN), WEIGHTS[:1], np.ones((2, 2)), "a"):
        batch = (*good[:2], wrong)
        assert raised([batch]) == raised([good] * 4 + [batch])
    model = network("mse")
    for wrong in (put(np.zeros((2, 2), "float32"), INFINITE), np.zeros((2, 2), complex)):
        for good in (np.zeros((2, 2), "float32"), np.zeros((2, 2), "int64")):
            with pytest.raises((ValueError, TypeError), match=r"^y"):
                model.fit(iter([(X[:2], good)] * 4 + [(X[:2], wrong)]), verbose=0)


def test_parts_that_come_or_go():
    plain, weighted = (X[:2], LABELS[:2]), (X[:2], LABELS[:2], WEIGHTS[:2])
    for first, other in ((plain, weighted), (weighted, plain)):
        kind, message = raised([first] * 4 + [other])
        assert kind is ValueError
        assert "x: every batch must have the parts of the first one, x, y" in message
        assert "sample_weight" in message


def test_large_batches_are_looked_through():
    x = np.zeros((4000, 3), "float32")
    good, bad = (x, np.zeros(4000, "int64")), (put(x, NAN, 3999), np.zeros(4000, "int64"))
    kind, message = raised([good] * 4 + [bad])
    assert kind is ValueError
    assert "x[3999, 0] = nan" in message


def test_targets_between_0_and_1_are_asked_for_in_every_batch():
    model = network("binary_crossentropy")
    good, bad = (X[:2], np.ones((2, 2))), (X[:2], np.full((2, 2), 3.0))
    with pytest.warns(UserWarning, match="should lie between 0 and 1"):
        model.fit(iter([good] * 4 + [bad]), verbose=0)


def test_a_loss_that_is_changed_is_asked_anew(looked_at):
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = network(loss)

    def batches():
        for _ in range(5):
            yield X[:2], LABELS[:2]
        loss.ignore_class = -1
        for _ in range(4):
            yield X[:2], np.array([-1, 0])

    model.fit(batches(), verbose=0)
    assert len(looked_at) == 4
    with pytest.raises(ValueError, match="labels must lie between 0 and 1"):
        network().fit(iter([(X[:2], np.array([-1, 0]))]), verbose=0)


class TwoHeads(fastnn.Model):
    """Predicts three classes, or two."""

    def __init__(self):
        super().__init__()
        self.three, self.two, self.classes = layers.Dense(3), layers.Dense(2), 3
        self.three.build((None, 3))
        self.two.build((None, 3))

    def call(self, x):
        return self.three(x) if self.classes == 3 else self.two(x)


@pytest.mark.filterwarnings("ignore:.*no gradient reaches")
def test_predictions_that_change_are_asked_anew():
    model = TwoHeads()
    model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))

    def batches():
        for number in range(8):
            if number == 5:
                model.classes = 2
            yield X[:2], np.array([0, 2])

    with pytest.raises(ValueError, match="labels must lie between 0 and 1, for predictions of 2"):
        model.fit(batches(), verbose=0)


def test_a_layer_that_is_frozen_meanwhile_stays_as_it_is():
    model, held = network(), []

    def batches():
        for number in range(8):
            if number == 4:
                model.layers[0].trainable = False
                held.append(model.layers[0].get_weights())
            yield X[:2], LABELS[:2]

    model.fit(batches(), verbose=0)
    for a, b in zip(model.layers[0].get_weights(), held[0], strict=True):
        np.testing.assert_array_equal(a, b)


def several(loss=("mse", "mse"), **compiled):
    fastnn.utils.set_random_seed(1)
    a, b = fastnn.Input((3,), name="a"), fastnn.Input((3,), name="b")
    hidden = layers.Dense(4, "tanh")(layers.Concatenate()([a, b]))
    outputs = [layers.Dense(1, name="c")(hidden), layers.Dense(2, name="d")(hidden)]
    model = fastnn.Model([a, b], outputs)
    model.compile("sgd", loss=list(loss), **compiled)
    return model


D = RNG.normal(size=(8, 2)).astype("float32")
STRUCTURES = {
    "lists": lambda x, c, d, w: ([x, x], [c, d]),
    "tuples": lambda x, c, d, w: ((x, 2 * x), (c, d)),
    "dictionaries": lambda x, c, d, w: ({"b": x, "a": 2 * x}, {"d": d, "c": c}),
    "weights": lambda x, c, d, w: ([x, x], [c, d], [w, 2 * w]),
    "named weights": lambda x, c, d, w: ([x, x], {"d": d, "c": c}, {"d": w, "c": 2 * w}),
    "one weight": lambda x, c, d, w: ([x, x], [c, d], w),
}


@pytest.mark.parametrize("make", STRUCTURES.values(), ids=STRUCTURES)
def test_structures(make, looked_at):
    rows = X, VALUES, D, WEIGHTS
    model, other = several(), several()
    x, y, *weights = make(*whole(*rows))
    named = {"sample_weight": weights[0]} if weights else {}
    expected = other.fit(x, y, 2, shuffle=False, verbose=0, **named).history
    looked_at.clear()
    assert model.fit(iter([make(*part) for part in split(*rows)]), verbose=0).history == expected
    assert len(looked_at) == 3
    expect_same(model, other)


def test_names_in_another_order_than_inputs():
    """Where the first batches cannot tell which array is which."""
    b, a = fastnn.Input((1,), name="b"), fastnn.Input((1,), name="a")
    model = fastnn.Model([b, a], [b * 1.0, a * 2.0 + layers.Dense(1)(b) * 0.0])
    model.compile("sgd", ["mae", "mae"])
    zeros, ones = np.zeros((2, 1), "float32"), np.ones((2, 1), "float32")
    same = ({"a": zeros, "b": zeros}, [zeros, zeros])
    told = ({"a": ones, "b": 3 * ones}, [zeros, zeros])
    expected = model.evaluate(*told, verbose=0)
    assert expected == [5.0, 3.0, 2.0]
    for batches, times in ([told] * 5, 5), ([same] * 4 + [told], 1):
        found = model.evaluate(iter(batches), verbose=0)
        np.testing.assert_allclose(found, np.array(expected) * times / 5, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*no gradient reaches")
def test_an_output_without_a_loss():
    model, other = several(("mse", None)), several(("mse", None))
    batches = [([x, x], [c, d]) for x, c, d in split(X, VALUES, D)]
    x, c, d = whole(X, VALUES, D)
    expected = other.fit([x, x], [c, d], 2, shuffle=False, verbose=0).history
    assert model.fit(iter(batches), verbose=0).history == expected


class Own(fastnn.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        loss = ops.mean(ops.square(self(x, training=True) - ops.cast(y["y"], "float32")))
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


def test_steps_of_a_models_own(looked_at):
    def model():
        fastnn.utils.set_random_seed(1)
        made = Own()
        made.compile("sgd")
        return made

    x, c = whole(X, VALUES)
    expected = model().fit(x, {"y": c}, 2, shuffle=False, verbose=0).history
    looked_at.clear()
    batches, other = [(x, {"y": c}) for x, c in split(X, VALUES)], model()
    assert other.fit(iter(batches), verbose=0).history == expected
    assert len(looked_at) == 3
    # integers among them are another tape
    batches = [(X[:2], {"y": np.zeros((2, 1), kind)}) for kind in ("f4", "i8", "i4", "f4", "i8")]
    other.fit(iter(batches), verbose=0)
    with pytest.raises(ValueError, match=r"^y\['y'\]"):
        other.fit(iter([*batches, (X[:2], {"y": np.full((2, 1), NAN, "f4")})]), verbose=0)


def test_class_weights_and_preprocessing():
    from fastnn.preprocessing import MinMax

    for named in ({"class_weight": {0: 3.0, 1: 0.5}}, {}):
        model, other = network(), network()
        model.preprocessing = other.preprocessing = MinMax().fit(X)
        x, y = whole(X, LABELS)
        expected = other.fit(x, y, 2, shuffle=False, verbose=0, **named).history
        assert model.fit(iter(split(X, LABELS)), verbose=0, **named).history == expected
        expect_same(model, other)


@pytest.mark.parametrize("eagerly", [False, True])
def test_rows_of_other_shapes_are_other_steps(eagerly):
    """As of texts of different lengths: what one step was recorded for no other is run with."""

    def model():
        fastnn.utils.set_random_seed(1)
        stack = [fastnn.Input((None, 3)), layers.Dense(4), layers.GlobalAveragePooling1D()]
        made = fastnn.Sequential([*stack, layers.Dense(1)])
        made.compile("sgd", "mse", run_eagerly=eagerly)
        return made

    lengths = (5, 2, 5, 5, 900, 2, 2, 5, 900, 7)
    batches = [(RNG.normal(size=(4, n, 3)).astype("float32"), VALUES[:4]) for n in lengths]
    one, other = model(), model()
    losses = [one.train_on_batch(*batch) for batch in batches]
    history = other.fit(iter(batches), verbose=0).history
    np.testing.assert_allclose(history["loss"], [np.mean(losses)], rtol=1e-6)
    expect_same(one, other)
    expected = [one.test_on_batch(*batch) for batch in batches]
    np.testing.assert_allclose(other.evaluate(iter(batches), verbose=0), np.mean(expected), 1e-6)


def test_torch_and_files(tmp_path, looked_at):
    mapped = np.memmap(tmp_path / "x", "float32", "w+", shape=X.shape)
    mapped[:] = X
    kinds = [(mapped, LABELS)]
    torch = pytest.importorskip("torch")
    kinds.append((torch.from_numpy(X.copy()), torch.from_numpy(LABELS.copy())))
    expected = network().fit(*whole(X, LABELS), 2, shuffle=False, verbose=0).history
    for arrays in kinds:
        looked_at.clear()
        assert network().fit(iter(split(*arrays)), verbose=0).history == expected
        assert len(looked_at) == 3
    wrong = torch.from_numpy(put(X[:2], NAN)), torch.from_numpy(LABELS[:2].copy())
    assert "x[1, 0] = nan" in raised([*split(*kinds[1])[:4], wrong])[1]


def test_one_batch_refilled_again_and_again():
    x, y = X[:2].copy(), LABELS[:2].copy()

    def refilled():
        for part, labels in split(X, LABELS)[:6]:
            x[:], y[:] = part, labels
            yield x, y

    expected = network().fit(iter(split(X, LABELS)[:6]), verbose=0).history
    assert network().fit(refilled(), verbose=0).history == expected


def test_single_steps_are_those_of_an_epoch(looked_at):
    model, other = network(), network()
    other.fit(*whole(X, LABELS), 2, shuffle=False, verbose=0)
    for batch in split(X, LABELS):
        model.train_on_batch(*batch)
    expect_same(model, other)
    assert len(looked_at) == 3
    tested = [model.test_on_batch(*batch) for batch in split(X, LABELS)]
    sizes = [len(batch[0]) for batch in split(X, LABELS)]
    means = np.average(tested, axis=0, weights=sizes)
    np.testing.assert_allclose(other.evaluate(*whole(X, LABELS), 2, verbose=0), means, rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_single_steps_say_what_is_wrong_in_the_same_words(make):
    batch, found = make(), []
    if not isinstance(batch, tuple) or len(batch) > 3:
        return
    for before in (0, 4):
        model = network()
        for call in (model.train_on_batch, model.test_on_batch):
            for _ in range(before):
                call(X[:2], LABELS[:2])
            with pytest.raises(Exception) as error:  # noqa: PT011 (which, is compared)
                call(*batch)
            found.append((type(error.value), str(error.value)))
    assert found[:2] == found[2:]


def test_single_steps_see_what_changes_between_them():
    """Each change after steps that are ready to be run again, and after none."""

    def freeze(model):
        model.layers[0].trainable = False

    def compile_anew(model):
        model.compile("sgd", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))

    def other_optimizer(model):
        model.optimizer = fastnn.optimizers.SGD(0.5)

    def eagerly(model):
        model.run_eagerly = True

    batch = X[:2], LABELS[:2]
    for change in (freeze, compile_anew, other_optimizer, eagerly):
        results = []
        for single in (True, False):
            model = network()
            for _ in range(4):
                model.train_on_batch(*batch)
            change(model)
            for _ in range(3):
                if single:
                    results.append(model.train_on_batch(*batch))
                else:
                    model.fit(*batch, 2, verbose=0, shuffle=False)
            results.append(model.get_weights())
        for a, b in zip(results[-1], results[3], strict=True):
            np.testing.assert_array_equal(a, b)


def test_single_steps_of_several_kinds_by_turns():
    """Others' forms, weights of rows and of classes, training and testing, each like itself."""
    model, other = network(), network()
    calls = [
        lambda m: m.train_on_batch(X[:2], LABELS[:2]),
        lambda m: m.train_on_batch(X[:3], LABELS[:3], WEIGHTS[:3]),
        lambda m: m.train_on_batch(X[:2], LABELS[:2], class_weight={0: 3.0}),
        lambda m: m.test_on_batch(X[:5], LABELS[:5]),
        lambda m: m.train_on_batch(X[:2].tolist(), LABELS[:2]),
        lambda m: m.test_on_batch(X[:5], LABELS[:5], WEIGHTS[:5], return_dict=True),
    ]
    for _ in range(4):
        for call in calls:
            other._programs.clear()  # as if each were the first
            assert call(model) == call(other)
    expect_same(model, other)
    for variable in model.trainable_variables:
        assert variable.gradient is None
