"""Layers of attention: masks that arrive with tensors, dropout, building, recorded training, what
is refused. Their numbers are compared with Keras's in tests/keras/test_attention.py."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import ShapeError
from fastnn.tensor import mask_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 6)).astype("float32")


def seeded(make):
    fastnn.utils.set_random_seed(3)
    return make()


def test_masks_arrive_from_an_embedding():
    """And go on with the query: later padding changes nothing of what is no padding."""
    tokens = fastnn.Input((None,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(tokens)
    y = layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    model = fastnn.Model(tokens, layers.GroupQueryAttention(3, 4, 2)(y, y))
    short, long = [[3, 5, 2, 0, 0, 0]], [[3, 5, 2]]
    found = model.predict(np.array(short * 2), verbose=0)
    expected = model(np.array(long)).numpy()
    np.testing.assert_allclose(found[0, :3], expected[0], atol=1e-6)
    assert mask_of(model(np.array(short))).numpy().tolist() == [[True] * 3 + [False] * 3]


def test_among_no_keys_a_query_finds_zeros():
    """So it is in Keras: the softmax of nothing has nothing, and the sum of nothing is 0."""
    none = X[:, :0]
    for layer in (layers.Attention(), layers.AdditiveAttention()):
        found, weights = layer([X, none], return_attention_scores=True)
        assert weights.shape == (3, 5, 0)
        np.testing.assert_array_equal(found.numpy(), np.zeros((3, 5, 6)))
    for layer in (layers.MultiHeadAttention(2, 3), layers.GroupQueryAttention(3, 4, 2)):
        np.testing.assert_array_equal(layer(X, none).numpy(), np.zeros(X.shape))
        found, weights = layer(X, none, return_attention_scores=True)
        assert weights.shape[1:] == (layer._heads[0], 5, 0)
        np.testing.assert_array_equal(found.numpy(), np.zeros(X.shape))


def test_no_query_sees_later_keys():
    for layer in (layers.MultiHeadAttention(2, 3), layers.GroupQueryAttention(3, 4, 2)):
        changed = X.copy()
        changed[:, 3:] += 1.0
        first, second = (layer(x, x, use_causal_mask=True).numpy() for x in (X, changed))
        np.testing.assert_array_equal(first[:, :3], second[:, :3])
        assert (first[:, 3:] != second[:, 3:]).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.5, seed=1),
        lambda: layers.GroupQueryAttention(3, 4, 2, dropout=0.5, seed=1),
        lambda: layers.Attention(dropout=0.5, seed=1),
    ],
)
def test_dropout_is_of_training_alone(make):
    layer, again = make(), make()
    call = (
        (lambda f, **n: f([X, X], **n))
        if isinstance(layer, layers.Attention)
        else (lambda f, **n: f(X, X, **n))
    )
    seeded(lambda: call(again))
    quiet = seeded(lambda: call(layer)).numpy()
    np.testing.assert_array_equal(call(layer, training=False).numpy(), quiet)
    noisy = call(layer, training=True).numpy()
    assert (noisy != quiet).any()
    np.testing.assert_array_equal(call(again, training=True).numpy(), noisy)
    assert (call(layer, training=True).numpy() != noisy).any()


def test_a_recorded_step_gives_the_bits_of_an_eager_one():
    def made():
        x = fastnn.Input((5, 6))
        y = layers.MultiHeadAttention(2, 3, dropout=0.25)(x, x, use_causal_mask=True)
        return fastnn.Model(x, layers.Add()([x, y]))

    found = []
    for run_eagerly in (False, True):
        model = seeded(made)
        model.compile("adam", "mse", run_eagerly=run_eagerly)
        model.fit(X, X[:, ::-1], epochs=3, batch_size=2, verbose=0)
        found.append(model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_is_built_by_shapes_as_kerass():
    layer = layers.MultiHeadAttention(2, 3, use_gate=True, output_shape=7)
    layer.build((None, 5, 6), (None, 4, 8))
    assert layer.built
    shapes = [w.shape for w in layer.weights]
    assert shapes == [(6, 2, 3), (2, 3), (8, 2, 3), (2, 3), (6, 2, 3), (2, 3), (8, 2, 3), (2, 3),
                      (2, 3, 7), (7,)]  # fmt: skip
    assert layer.compute_output_shape((None, 5, 6), (None, 4, 8)) == (None, 5, 7)
    other = layers.MultiHeadAttention.from_config(layer.get_config())
    other.build_from_config(layer.get_build_config())
    assert [w.shape for w in other.weights] == shapes
    kerass = layers.MultiHeadAttention.from_config(layer.get_config())
    kerass.build_from_config(
        {"shapes_dict": {"query_shape": [None, 5, 6], "value_shape": [None, 4, 8]}}
    )
    assert [w.shape for w in kerass.weights] == shapes


def test_the_activity_regularizer_is_of_the_projections():
    layer = layers.MultiHeadAttention(2, 3, activity_regularizer=fastnn.regularizers.L2(0.5))
    layer(X, X)
    assert len(layer.losses) == 4


def test_a_class_of_ones_own_attends_its_own_way():
    class Even(layers.MultiHeadAttention):
        def _compute_attention(self, query, key, value, attention_mask, training):
            assert attention_mask.shape == (1, 5, 5)
            return ops.broadcast_to(ops.mean(value, 1, keepdims=True), query.shape), None

    assert Even(2, 3)(X, X, use_causal_mask=True).shape == X.shape


def test_masks_may_be_lists_of_two_dimensions():
    layer = layers.MultiHeadAttention(2, 3)
    causal = layer(X, X, use_causal_mask=True).numpy()
    mask = np.tri(5, dtype=bool).tolist()
    np.testing.assert_array_equal(layer(X, X, attention_mask=mask).numpy(), causal)
    found, weights = layer(
        X, X, None, [[True] * 5] * 3, attention_mask=mask, return_attention_scores=True
    )
    np.testing.assert_allclose(found.numpy(), causal, atol=1e-6)
    assert weights.shape == (3, 2, 5, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: layers.MultiHeadAttention(0, 3),
            "num_heads must be a whole number from 1 on; got 0",
        ),
        (lambda: layers.MultiHeadAttention(2, 1.5), "key_dim must be a whole number"),
        (lambda: layers.MultiHeadAttention(2, 3, dropout=1.0), "dropout must lie between 0 and 1"),
        (
            lambda: layers.GroupQueryAttention(3, 4, 3),
            "multiple of num_key_value_heads; got 4 and 3",
        ),
        (
            lambda: layers.MultiHeadAttention(2, 3)(X, X[:, 0]),
            r"takes shapes of a query .* got \(any, 5, 6\) and",
        ),
        (lambda: layers.MultiHeadAttention(2, 3)(X, X, X[:, :2]), "with one S; got"),
        (
            lambda: layers.MultiHeadAttention(2, 3)(X, X, attention_mask=X[:, :2, :2] > 0),
            "mask must broadcast",
        ),
        (
            lambda: layers.GroupQueryAttention(3, 4, 2)(X[None], X[None]),
            "must have three dimensions",
        ),
        (
            lambda: layers.Attention(score_mode="sum"),
            "score_mode must be 'dot' or 'concat'; got 'sum'",
        ),
        (lambda: layers.Attention()(X), "inputs must be a list, of query and value"),
        (lambda: layers.Attention()([X]), "got a list of 1"),
        (lambda: layers.Attention()([X, X], mask=X), "mask must be a list"),
        (
            lambda: layers.Attention()([X, X[:, :, :2]]),
            r"key \(B, S, C\); got \(3, 5, 6\), \(3, 5, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((ValueError, ShapeError), match=message):
        call()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.MultiHeadAttention(2, 3, dropout=0.5, seed=1),
        lambda: layers.GroupQueryAttention(3, 4, 2, dropout=0.5, seed=1),
    ],
)
def test_one_call_gives_what_weights_in_memory_give(make, causal):
    """The same weights dropped, and nothing of a query that sees no key."""
    mask = RNG.uniform(size=(3, 5, 5)) > 0.6
    mask[1, 3] = False
    call = {"attention_mask": mask, "use_causal_mask": causal, "training": True}
    one, other = make(), make()
    found = seeded(lambda: one(X, X, **call)).numpy()
    expected, weights = seeded(lambda: other(X, X, return_attention_scores=True, **call))
    assert not weights.numpy()[1, :, 3].any()
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
