"""Copies and pickles of everything public that holds memory: by themselves, with the same values,
going on with the same bits."""

import copy
import inspect
import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, initializers, layers, losses, metrics, ops, optimizers, random
from fastnn.buffer import Buffer
from tests.test_registry import other as another

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 4)).astype("float32")
Y = RNG.normal(size=(70, 4)).astype("float32")


def doubled_difference(y_true, y_pred):
    return 2.0 * ops.squared_difference(y_pred, y_true)


class Tied(fastnn.Model):
    """One layer called twice, dropout, moving statistics, a generator, a constant and a reshaped
    view of a weight."""

    def __init__(self, **base):
        super().__init__(**base)
        self.inner, self.norm, self.drop = (
            layers.Dense(4, "tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
        )
        self.others = [self.inner, {"last": layers.Dense(4)}]
        self.ratio, self.noise = fastnn.tensor([0.5]), random.Generator(3)

    def call(self, x):
        return self.others[1]["last"](self.drop(self.norm(self.inner(self.inner(x))) * self.ratio))


def compiled(model, optimizer="adam"):
    model.compile(optimizer, "mse", metrics=["mse"])
    return model


def adapted(layer):
    layer.adapt(X)
    return layer


def sequential():
    return compiled(
        fastnn.Sequential(
            [fastnn.Input((4,)), layers.Dense(40, "relu"), layers.Dropout(0.2), layers.Dense(4)]
        ),
        optimizers.Adam(use_ema=True),
    )


def fitted(model, epochs=2, **fit):
    history = model.fit(
        X, Y, epochs=epochs, verbose=0, **{"batch_size": 16, "validation_split": 0.2, **fit}
    )
    return [np.array(history.history["loss"]), *model.get_weights()]


# ---- every public class: how to make one where class() does not, how it is used, and what it does
# next

MODULES = (fastnn, layers, losses, metrics, optimizers, initializers, callbacks, random)
# what writes files; what needs a package
NOT_MEANT = {callbacks.ModelCheckpoint, callbacks.BackupAndRestore, callbacks.TensorBoard}
CLASSES = {
    value
    for module in MODULES
    for name in dir(module)
    if inspect.isclass(value := getattr(module, name))
    and not name.startswith("_")
    and value not in NOT_MEANT
    if module is fastnn
    or value.__module__ == module.__name__
    or value.__module__.startswith(f"{module.__name__}.")
}
MAKE = {
    fastnn.Tensor: lambda: fastnn.tensor(X, requires_gradient=True),
    fastnn.Variable: lambda: fastnn.Variable(X, name="x"),
    fastnn.Model: lambda: compiled(Tied()),
    fastnn.Sequential: sequential,
    layers.MultiHeadAttention: lambda: layers.MultiHeadAttention(2, 3, dropout=0.5),
    layers.InputLayer: lambda: layers.InputLayer((4,)),
    layers.EinsumDense: lambda: layers.EinsumDense("abc,cd->abd", (None, 3)),
    layers.GroupNormalization: lambda: layers.GroupNormalization(2),
    layers.Normalization: lambda: adapted(layers.Normalization()),
    layers.Discretization: lambda: adapted(layers.Discretization(num_bins=3)),
    layers.CategoryEncoding: lambda: layers.CategoryEncoding(2),
    layers.IntegerLookup: lambda: layers.IntegerLookup(vocabulary=[1]),
    layers.StringLookup: lambda: layers.StringLookup(vocabulary=["a", "c"]),
    losses.FunctionLoss: lambda: losses.FunctionLoss(doubled_difference),
    optimizers.SGD: lambda: optimizers.SGD(0.1, momentum=0.9),
    callbacks.CallbackList: lambda: callbacks.CallbackList([], sequential(), {}),
    callbacks.History: lambda: callbacks.History({"epochs": 2}, 7),
    callbacks.CSVLogger: lambda: callbacks.CSVLogger(os.devnull),
    callbacks.EarlyStopping: lambda: callbacks.EarlyStopping(restore_best_weights=True, patience=3),
}
STEPS = X.reshape(70, 2, 2)
INPUTS = {  # of layers that do not take X
    **dict.fromkeys((layers.CategoryEncoding, layers.IntegerLookup), (X > 0).astype("int64")),
    **dict.fromkeys((layers.Hashing, layers.StringLookup), np.array([["a", "b"], ["c", "a"]])),
    layers.Embedding: (X > 0).astype("int64"),
    **dict.fromkeys((layers.EinsumDense, layers.Permute, layers.TimeDistributed), STEPS),
}
IMAGES = {n: RNG.normal(size=(2, *(5,) * n, 4)).astype("float32") for n in (1, 2, 3)}
KINDS = sorted(CLASSES, key=lambda c: f"{c.__module__}.{c.__name__}")
ABSTRACT = {
    layers.Layer,
    layers.Wrapper,
    losses.Loss,
    metrics.Metric,
    optimizers.Optimizer,
    initializers.Initializer,
}


def needed(kind):
    """Of the arguments that have no default, what tests of configurations give them; and a seed."""
    parameters = inspect.signature(kind).parameters.values()
    return {
        p.name: copy.deepcopy(another(kind, p.name))
        for p in parameters
        if (p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD) or p.name == "seed"
    }


def made(kind, seed=5):
    """One that has been used: layers are built, optimizers have moments, metrics totals."""
    if seed is not None:
        fastnn.utils.set_random_seed(seed)
    one = MAKE[kind]() if kind in MAKE else kind(**needed(kind))
    next_of(one)
    return one


def all_made():
    """One of every kind. The process's generator is seeded before them: what was in use then would
    be seeded anew."""
    fastnn.utils.set_random_seed(5)
    return [made(kind, None) for kind in KINDS]


def next_of(one):
    """Use it, and give what came of that."""
    if type(one) in ABSTRACT:
        return [[v for v in vars(one).values() if isinstance(v, bool | float | int)]]
    if isinstance(one, layers.InputSpec):
        return [repr(one)]
    if isinstance(one, fastnn.Model):
        return [*fitted(one), one.optimizer.iterations, one.predict(X)]
    if isinstance(one, layers.Layer):
        if isinstance(one, layers.heads.Projected):
            return [one(STEPS, STEPS, training=True).numpy(), *one.get_weights()]
        several = isinstance(one, layers.merging.Merge | layers.Attention)
        dimensions = re.search(r"(\d)D", type(one).__name__)
        default = X if dimensions is None else IMAGES[int(dimensions[1])]
        inputs = [STEPS, STEPS] if several else INPUTS.get(type(one), default)
        return [one(inputs, training=True).numpy(), *one.get_weights()]
    if isinstance(one, optimizers.Optimizer):
        if not one.built:
            one.build([fastnn.Variable(X), fastnn.Variable(X.astype("float64"))])
        one.apply([X, 0 * X])
        return [*(v.numpy() for v in one._trainable_variables), one.learning_rate, one.iterations]
    if type(one) in (metrics.Mean, metrics.Sum):
        return [one(X).numpy()]
    if isinstance(one, metrics.Metric | losses.Loss):
        y_true = [0, 1, 0] if one.takes_labels else np.eye(3)[:, ::-1]
        return [one(y_true, np.eye(3, dtype="float32")).numpy()]
    if isinstance(one, initializers.Initializer):
        return [one((3, 2)).numpy()]
    if isinstance(one, random.Generator):
        return [one.uniform((5,)).numpy(), one.spawn().normal((3,)).numpy(), one.seed]
    if isinstance(one, callbacks.Callback):
        return fitted(one.model or sequential(), callbacks=[one]) + getattr(one, "best_weights", [])
    if isinstance(one, callbacks.CallbackList):
        return [one.callbacks]
    if isinstance(one, callbacks.History):
        one.extend(len(one.epoch), ["loss"], [[0.5]])
        return [one.history["loss"], one.epoch, one.params, one.seed]
    assert isinstance(one, fastnn.Tensor)
    if isinstance(one, fastnn.Variable):
        one.assign(one.numpy() + 1)
    ops.sum(one * one).backward()
    return [one.numpy(), one.gradient.numpy(), one.requires_gradient, one.dtype]


def assert_same(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def expected():
    return {kind: next_of(made(kind)) for kind in KINDS}


# ---- the ways

WAYS = {"deepcopy": copy.deepcopy, "pickle": lambda one: pickle.loads(pickle.dumps(one))}
HOLD_MEMORY = (fastnn.Tensor, fastnn.Variable, fastnn.Model, optimizers.Adam, random.Generator)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def memory_of(one):
    """(first byte, last byte + 1) of all memory found in it."""
    found, seen, waiting = [], {}, [one]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        if isinstance(value, np.ndarray | Buffer):
            array = (
                value
                if isinstance(value, np.ndarray)
                else value.bytes()
                if value.owner is not None
                else np.empty(0)
            )
            start = array.__array_interface__["data"][0]
            found += [(start, start + array.nbytes)] if array.nbytes else []
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            waiting += value
        elif type(value).__module__.split(".")[0] in ("fastnn", "tests"):
            waiting += vars(value).values() if hasattr(value, "__dict__") else []
            names = [
                n
                for c in type(value).__mro__
                for n in getattr(c, "__slots__", ())
                if n != "__weakref__"
            ]
            waiting += [getattr(value, n) for n in names if hasattr(value, n)]
    return sorted(found)


def assert_apart(one, other):
    theirs = memory_of(other)
    for start, end in memory_of(one):
        assert not any(start < last and first < end for first, last in theirs)


@every_way
@every_kind
def test_a_copy_goes_on_as_the_original_would_and_by_itself(kind, way, expected):
    one = made(kind)
    other = way(one)
    assert type(other) is type(one)
    assert getattr(other, "name", None) == getattr(one, "name", None)
    assert_apart(one, other)
    assert_same(next_of(other), expected[kind])
    assert_same(next_of(one), expected[kind])  # as if there had been no copy
    assert_apart(one, other)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", HOLD_MEMORY, ids=lambda kind: kind.__name__)
def test_every_protocol_of_pickle(kind, protocol, expected):
    assert_same(next_of(pickle.loads(pickle.dumps(made(kind), protocol))), expected[kind])


@every_kind
def test_a_shallow_copy_is_safe(kind, expected):
    """Of what holds memory itself, memory of its own; layers and models with the same variables."""
    one = made(kind)
    other = copy.copy(one)
    assert type(other) is type(one)
    if isinstance(one, layers.Layer):
        assert [id(v) for v in other.weights] == [id(v) for v in one.weights]
    elif isinstance(one, optimizers.Optimizer):
        assert other._trainable_variables == one._trainable_variables
        other.learning_rate = 7.0
        assert one.learning_rate != 7.0
        other.apply([X, X]) if one.built else None
        assert one.iterations == (1 if one.built else 0)
    elif isinstance(one, fastnn.Tensor | metrics.Metric | random.Generator):
        assert_apart(one, other)
        assert_same(next_of(other), expected[kind])


# ---- other processes


def test_originals_can_be_freed():
    """In a process of its own: what would still lie in freed memory ends it."""
    program = """
        import gc
        from tests.models.test_copies import KINDS, WAYS, assert_same, copy, made, next_of
        gc.freeze()  # what is there before them: each collection then takes a millisecond
        for kind in KINDS:
            expected = next_of(made(kind))
            for way in [*WAYS.values(), copy.copy]:
                one = made(kind)
                other = way(one)
                del one
                gc.collect()
                assert_same(next_of(other), expected)
        print("whole")
        """
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(program)], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")


@pytest.fixture(scope="module")
def expected_of_all():
    return [next_of(one) for one in all_made()]


def assert_all_same(got, expected):
    for one, other in zip(got, expected, strict=True):
        assert_same(one, other)


def test_spawned_workers(expected_of_all):
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert_all_same(pool.map(next_of, all_made()), expected_of_all)


def in_a_process(program, path):
    done = subprocess.run(
        [sys.executable, "-c", inspect.cleandoc(program), str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return pickle.loads(path.read_bytes())


def test_forked_workers(tmp_path, expected_of_all):
    program = """
        import multiprocessing, pathlib, pickle, sys
        from tests.models.test_copies import all_made, next_of
        all_made()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map(next_of, all_made())
        pathlib.Path(sys.argv[1]).write_bytes(pickle.dumps(found))
        """
    assert_all_same(in_a_process(program, tmp_path / "found.pickle"), expected_of_all)


def test_joblibs_workers(expected_of_all):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")

    # loky's pickler takes classes that no module has, and functions without a name
    class Local(fastnn.Model):
        def __init__(self):
            super().__init__()
            # over 1 MB: as a file
            self.wide, self.last = layers.Dense(700, lambda x: ops.relu(x)), layers.Dense(700)

        def call(self, x):
            return self.last(self.wide(x))

    assert_all_same(
        joblib.Parallel(n_jobs=2)(joblib.delayed(next_of)(one) for one in all_made()),
        expected_of_all,
    )
    one = Local()
    y = one(X).numpy()
    (got,) = joblib.Parallel(n_jobs=2)([joblib.delayed(lambda model: model(X).numpy())(one)])
    np.testing.assert_array_equal(got, y)


def test_through_a_file(tmp_path, expected_of_all):
    """Into another process and back, each time going on."""
    program = """
        import pathlib, pickle, sys
        from tests.models.test_copies import next_of
        path = pathlib.Path(sys.argv[1])
        ones = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps((ones, [next_of(one) for one in ones])))
        """
    path = tmp_path / "ones.pickle"
    originals = all_made()
    path.write_bytes(pickle.dumps(originals))
    ones, found = in_a_process(program, path)
    assert_all_same(found, expected_of_all)
    assert_all_same(map(next_of, originals), expected_of_all)
    assert_all_same(map(next_of, ones), map(next_of, originals))


def test_joblib_files(tmp_path):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    model = made(fastnn.Model)
    joblib.dump(model, tmp_path / "model.joblib")
    assert_same(next_of(joblib.load(tmp_path / "model.joblib")), next_of(model))


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_the_copy_of_a_result_says_that_it_has_no_gradient(duplicate):
    variable = fastnn.Variable([2.0])
    loss, leaf = (
        duplicate(fastnn.ops.sum(variable * variable)),
        duplicate(fastnn.tensor([1.0], requires_gradient=True)),
    )
    assert (loss.requires_gradient, leaf.requires_gradient) == (False, True)
    with pytest.raises(ValueError, match="nothing this was computed from requires a gradient"):
        loss.backward()
