"""Tables of which the rows that were met alone have a gradient and are updated."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers
from fastnn.variable import Rows

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 30, (48, 5)), RNG.normal(size=(48, 1)).astype("float32")


def trained(optimizer, sparse=True, threads=1, x=X, **compiled):
    fastnn.set_threads(threads)
    fastnn.utils.set_random_seed(0)
    table = layers.Embedding(40, 3, sparse_gradient=sparse)
    model = fastnn.Sequential([table, layers.Flatten(), layers.Dense(1)])
    model.compile(optimizer, "mse", **compiled)
    model.fit(x, Y, batch_size=16, epochs=2, verbose=0)
    return model


def expect_equal(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_sgd_does_the_same_with_both():
    dense = trained(optimizers.SGD(0.1), sparse=False)
    expect_equal(trained(optimizers.SGD(0.1)), dense)
    expect_equal(trained(optimizers.SGD(0.1), threads=2), dense)


@pytest.mark.parametrize("clipping", [{}, {"clipnorm": 0.1}, {"global_clipnorm": 0.1}])
def test_recorded_steps_are_eager_ones_and_the_same_by_two_threads(clipping):
    first = trained(optimizers.Adam(0.1, **clipping))
    expect_equal(trained(optimizers.Adam(0.1, **clipping), run_eagerly=True), first)
    expect_equal(trained(optimizers.Adam(0.1, **clipping), threads=2), first)
    again = copy.deepcopy(first)
    for model in (first, again):
        fastnn.utils.set_random_seed(1)
        model.fit(X, Y, epochs=1, verbose=0)
    expect_equal(first, again)


@pytest.mark.parametrize(
    "kind", [optimizers.SGD, optimizers.Adam, optimizers.AdamW, optimizers.RMSprop, optimizers.Lion]
)
@pytest.mark.parametrize("given", [{}, {"clipvalue": 1e-3}, {"weight_decay": 0.1}])
def test_a_table_of_which_all_rows_are_met_is_updated_as_with_a_dense_gradient(kind, given):
    index = np.concatenate([RNG.permutation(7), RNG.integers(0, 7, 9)])
    found = []
    for sparse in (False, True):
        table = layers.Embedding(7, 2, weights=np.arange(14).reshape(7, 2), sparse_gradient=sparse)
        optimizer = kind(0.1, **given)
        optimizer.build(table.trainable_variables)
        for _ in range(3):
            ops.sum(table(index) ** 2).backward()
            assert isinstance(table.embeddings._gradient, Rows) == sparse
            optimizer.step()
        found.append([table.embeddings.numpy(), *[v.numpy() for v in optimizer.variables]])
    for dense, rows in zip(*found, strict=True):
        np.testing.assert_array_equal(rows, dense)


def test_rows_that_are_not_met_stay_as_they_are():
    table = layers.Embedding(6, 2, weights=np.ones((6, 2)), sparse_gradient=True)
    optimizer = optimizers.AdamW(0.1, weight_decay=0.5)
    optimizer.build(table.trainable_variables)
    for index in ([1, 4, 1], [4, 2]):
        ops.sum(table(index)).backward()
        optimizer.step()
    values = table.embeddings.numpy()[:, 0]
    momentum = next(v for v in optimizer.variables if v.name.endswith("momentum")).numpy()[:, 0]
    np.testing.assert_array_equal(values[[0, 3, 5]], 1.0)
    np.testing.assert_allclose(momentum, [0, 0.2, 0.1, 0, 0.19, 0], 1e-6)
    assert (values[[1, 2, 4]] < 0.95).all()


def test_the_gradient_is_that_of_all_rows_for_those_who_ask():
    table = layers.Embedding(4, 2, sparse_gradient=True)
    table.build((None,))

    @fastnn.record
    def step(index):
        ops.sum(table(index) * 2.0).backward()

    for run in (step, step, lambda index: ops.sum(table(index) * 2.0).backward()):
        table.embeddings.gradient = None
        run(np.array([1, 3, 1]))
        np.testing.assert_array_equal(table.embeddings.gradient[:, 0], [0, 4, 0, 2])
    ops.sum(table([[0, 2]])).backward()  # and adds to what is there
    np.testing.assert_array_equal(table.embeddings.gradient[:, 1], [1, 4, 1, 2])


def test_gradients_of_several_kinds_are_added():
    index, expected = np.array([[2, 0], [2, 3]]), None
    for sparse in (False, True):
        table = layers.Embedding(4, 2, weights=np.arange(8).reshape(4, 2), sparse_gradient=sparse)
        rows = table(index) ** 2
        tied = ops.matmul(ops.reshape(table(index[0]), (2, 2)), table.embeddings, transpose_b=True)
        for loss in (ops.sum(rows), ops.sum(tied), ops.sum(table(index))):
            loss.backward()
        found = table.embeddings.gradient.numpy()
        expected = found if expected is None else expected
    np.testing.assert_allclose(found, expected, 1e-6)


def test_a_recorded_step_adds_to_rows_that_it_meets():
    found = []
    for record in (fastnn.record, lambda function: function):
        table = layers.Embedding(5, 2, weights=np.ones((5, 2)), sparse_gradient=True)
        optimizer = optimizers.SGD(1.0)
        optimizer.build(table.trainable_variables)

        @record
        def step(index, table=table, optimizer=optimizer):
            ops.sum(table(index)).backward()
            optimizer.step()

        for before, index in [([1, 2], [2, 2]), ([4, 4], [0, 1]), ([3, 0], [3, 1])]:
            ops.sum(table(before)).backward()
            step(np.array(index))
        found.append(table.embeddings.numpy())
    np.testing.assert_array_equal(*found)
    np.testing.assert_array_equal(found[0][:, 0], [-1, -2, -2, -1, -1])


def test_what_does_not_go_with_it_is_refused():
    for optimizer, name in [
        (optimizers.SGD(use_ema=True), "use_ema"),
        (optimizers.Adam(gradient_accumulation_steps=2), "gradient_accumulation_steps"),
        (optimizers.Lamb(), "an update made of ops"),
    ]:
        with pytest.raises(ValueError, match=f"'embeddings' is sparse.*{name}.*=False"):
            trained(optimizer)
    table = layers.Embedding(4, 2, embeddings_constraint="non_neg", sparse_gradient=True)
    ops.sum(table([1])).backward()
    optimizer = optimizers.SGD()
    optimizer.build(table.trainable_variables)
    with pytest.raises(ValueError, match="a constraint"):
        optimizer.step()


def test_a_configuration_says_so():
    table = layers.Embedding(4, 2, sparse_gradient=True)
    assert table.get_config()["sparse_gradient"] is True
    assert layers.Embedding.from_config(table.get_config()).sparse_gradient
    assert "sparse_gradient" not in layers.Embedding(4, 2).get_config()


@pytest.mark.parametrize("is_sparse", [False, True])
def test_an_index_out_of_range_is_refused_in_training(is_sparse):
    model = fastnn.Sequential(
        [
            layers.Embedding(10, 3, sparse_gradient=is_sparse, name="words"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    x, y = np.array([[1, 2], [99, 3]]), np.ones((2, 1))
    message = r"step 1: take in layer 'words': index 99 at \(1, 0\) is out of range"
    for use in (model.train_on_batch, model.evaluate):
        with pytest.raises(IndexError, match=message) as raised:
            use(x, y)
        # as an error of another process comes
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    weights = model.get_weights()
    with pytest.raises(IndexError, match="training, epoch 1, step 2: take"):
        model.fit(np.concatenate([x * 0, x]), np.ones((4, 1)), 2, shuffle=False, verbose=0)
    assert not np.array_equal(weights[-1], model.get_weights()[-1])  # the first step was made
