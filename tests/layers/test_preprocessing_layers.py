"""Layers that prepare data. Numbers are Keras 3.15's (JAX) for the same calls, unless they follow
from the formula."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import RecordingError, ShapeError


def test_rescaling_takes_images_and_channels():
    image = np.array([[[0, 255], [51, 102]]], np.uint8)
    y = layers.Rescaling([1 / 255, 2.0], offset=[0.0, -1.0])(image)
    np.testing.assert_allclose(y.numpy(), [[[0, 509], [0.2, 203]]], rtol=1e-6)


def test_normalization_of_given_numbers():
    layer = layers.Normalization(mean=[1.0, 2.0], variance=[4.0, 0.0])
    np.testing.assert_allclose(layer([[3.0, 2.0]]).numpy(), [[1.0, 0.0]])
    back = layers.Normalization(mean=3.0, variance=4.0, invert=True)
    np.testing.assert_allclose(back([[1.0, -1.0]]).numpy(), [[5.0, 1.0]])
    middle = layers.Normalization(axis=(1, 2), mean=[1.0, 2.0], variance=[1.0, 4.0])
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    expected = (x - np.reshape([1, 2], (1, 1, 2, 1))) / np.reshape([1, 2], (1, 1, 2, 1))
    np.testing.assert_allclose(middle(x).numpy(), expected)


def test_normalization_learns_batches_as_one_array():
    x = np.random.default_rng(0).normal(1e4, 2.0, (101, 3)).astype("f4")
    for data in (x, [x[:7], x[7:50], x[50:]], ((x[i : i + 30], 0) for i in range(0, 101, 30))):
        layer = layers.Normalization()
        layer.adapt(data)
        np.testing.assert_allclose(layer.get_weights()[0], x.astype("f8").mean(0), rtol=1e-6)
        np.testing.assert_allclose(layer.get_weights()[1], x.astype("f8").var(0), rtol=1e-6)
    single = layers.Normalization(axis=None)
    single.adapt([np.ones((2, 2)), np.zeros((1, 2))])
    np.testing.assert_allclose(single([[3.0, 2.0]]).numpy(), [[4.949748, 2.828427]], rtol=1e-6)


def test_normalization_refuses():
    with pytest.raises(ValueError, match="both or neither"):
        layers.Normalization(mean=1.0)
    with pytest.raises(ShapeError, match="same shape"):
        layers.Normalization(mean=[1.0], variance=[[1.0]])
    with pytest.raises(ShapeError, match="axis must name"):
        layers.Normalization(axis=3).adapt(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="must be known"):
        layers.Normalization()(fastnn.Input((None,)))
    with pytest.raises(ValueError, match="NaN"):
        layers.Normalization().adapt([[np.nan]])
    with pytest.raises(ValueError, match="no batch"):
        layers.Normalization().adapt(iter([]))
    layer = layers.Normalization()
    layer.adapt(np.ones((2, 2)))
    with pytest.raises(ShapeError, match="as it was built for"):
        layer.adapt(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="as it was built for"):
        layer(np.ones((2, 3)))


X = np.array([[-1.0, 0.0, 0.5], [2.0, 3.0, np.nan]], "f4")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("int", [[0, 1, 1], [3, 3, 3]]),
        ("multi_hot", [[1, 1, 0, 0], [0, 0, 0, 1]]),
        ("count", [[1, 2, 0, 0], [0, 0, 0, 3]]),
    ],
)
def test_discretization(mode, expected):
    layer = layers.Discretization(bin_boundaries=[0.0, 1.0, 2.0], output_mode=mode)
    np.testing.assert_array_equal(layer(X).numpy(), expected)


def test_discretization_counts_as_numpy():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 7)).astype("f4")
    for size in (0, 1, 2, 7, 8, 30):
        bounds = np.sort(rng.choice(x.reshape(-1), size))
        layer = layers.Discretization(bounds.tolist())
        np.testing.assert_array_equal(layer(x).numpy(), np.digitize(x, bounds))


def test_discretization_learns_quantiles():
    layer = layers.Discretization(num_bins=4)
    with pytest.raises(ValueError, match="call adapt"):
        layer([1.0])
    layer.adapt(np.arange(100.0))
    np.testing.assert_allclose(layer.bin_boundaries, [24, 49, 74])
    layer = layers.Discretization(num_bins=3)
    layer.adapt(np.array([x]) for x in [5.0, 1, 9, 2, 6, 1, 2])
    np.testing.assert_allclose(layer.bin_boundaries, [4 / 3, 4])
    for wrong in ({}, {"num_bins": 2, "bin_boundaries": [1.0]}, {"bin_boundaries": [2.0, 1.0]}):
        with pytest.raises(ValueError, match="bin_boundaries"):
            layers.Discretization(**wrong)


def test_category_encoding():
    x = np.array([[0, 1], [3, 3]])
    modes = {"multi_hot": [[1, 1, 0, 0], [0, 0, 0, 1]], "count": [[1, 1, 0, 0], [0, 0, 0, 2]]}
    for mode, expected in modes.items():
        layer = layers.CategoryEncoding(4, output_mode=mode)
        np.testing.assert_array_equal(layer(x).numpy(), expected)
        np.testing.assert_array_equal(layer([[4, -1]]).numpy(), np.zeros((1, 4)))
        np.testing.assert_array_equal(layer(2).numpy(), [0, 0, 1, 0])
    one_hot = layers.CategoryEncoding(4, output_mode="one_hot")
    np.testing.assert_array_equal(one_hot(x).numpy(), np.eye(4)[x])
    np.testing.assert_array_equal(one_hot([[0], [1]]).numpy(), np.eye(4)[[0, 1]])
    weighted = layers.CategoryEncoding(3, output_mode="count")
    y = weighted([[0, 1, 1]], count_weights=[[0.5, 1.0, 2.0]])
    np.testing.assert_array_equal(y.numpy(), [[0.5, 3, 0]])
    with pytest.raises(ShapeError, match="count_weights"):
        weighted([[0, 1, 1]], count_weights=[0.5])
    with pytest.raises(ValueError, match="num_tokens is needed"):
        layers.CategoryEncoding()
    with pytest.raises(ValueError, match="did you mean"):
        layers.CategoryEncoding(3, output_mode="onehot")


def test_integer_lookup():
    layer = layers.IntegerLookup(vocabulary=[30, 10, 20], mask_token=0, num_oov_indices=2)
    np.testing.assert_array_equal(layer([0, 10, 20, 30, 5, 6]).numpy(), [0, 4, 5, 3, 2, 1])
    assert layer.get_vocabulary() == [0, -1, -1, 30, 10, 20]
    assert layer.get_vocabulary(include_special_tokens=False) == [30, 10, 20]
    counted = layers.IntegerLookup(vocabulary=[10, 20], mask_token=0, output_mode="count")
    np.testing.assert_array_equal(counted([[10, 0, 7, 10]]).numpy(), [[1, 2, 0]])
    back = layers.IntegerLookup(vocabulary=[10, 20, 30], invert=True, mask_token=0)
    np.testing.assert_array_equal(back([0, 1, 2, 3, 4, 9, -3]).numpy(), [0, -1, 10, 20, 30, -1, -1])
    learned = layers.IntegerLookup(max_tokens=4)
    learned.adapt(np.array([[5, 5, 3], [3, 7, 9]]))
    assert learned.get_vocabulary() == [-1, 5, 3, 9]
    with pytest.raises(ValueError, match="not in the vocabulary"):
        layers.IntegerLookup(vocabulary=[10], num_oov_indices=0)([10, 5])


def test_string_lookup(tmp_path):
    layer = layers.StringLookup(mask_token="")
    layer.adapt(["b", "a", "a", "", "c"])
    assert layer.get_vocabulary() == ["", "[UNK]", "a", "c", "b"]
    assert layer.vocabulary_size() == 5
    np.testing.assert_array_equal(layer([["", "a"], ["q", "b"]]).numpy(), [[0, 2], [1, 4]])
    padded = layers.StringLookup(
        6, vocabulary=["a", "b"], pad_to_max_tokens=True, output_mode="count"
    )
    np.testing.assert_array_equal(padded([["a", "a", "x"]]).numpy(), [[1, 2, 0, 0, 0, 0]])
    back = layers.StringLookup(vocabulary=["a", "b"], invert=True)
    assert back([[0, 1, 2, 5]]).tolist() == [["[UNK]", "a", "b", "[UNK]"]]
    (tmp_path / "terms.txt").write_text("a\nb\n")
    filed = layers.StringLookup(vocabulary=str(tmp_path / "terms.txt"))
    again = layers.StringLookup.from_config(filed.get_config())
    np.testing.assert_array_equal(again(np.array([b"b", "z"], object)).numpy(), [2, 0])
    many = layers.StringLookup(vocabulary=["a"], num_oov_indices=3)
    found = many([f"word {i}" for i in range(60)]).numpy()
    assert sorted(set(found.tolist())) == [0, 1, 2]


def test_lookups_refuse():
    with pytest.raises(ValueError, match="more than once"):
        layers.StringLookup(vocabulary=["a", "a"])
    with pytest.raises(ValueError, match="no vocabulary yet"):
        layers.StringLookup()(["a"])
    with pytest.raises(ValueError, match="was given"):
        layers.StringLookup(vocabulary=["a"]).adapt(["b"])
    with pytest.raises(TypeError, match="expected strings"):
        layers.StringLookup(vocabulary=["a"])([1, 2])
    with pytest.raises(NotImplementedError, match="tf_idf"):
        layers.StringLookup(output_mode="tf_idf")
    with pytest.raises(TypeError, match="before a model"):
        layers.StringLookup(vocabulary=["a"])(fastnn.Input((1,)))
    with pytest.raises(ValueError, match="which loading does not read"):
        layers.StringLookup.from_config({"vocabulary": "/etc/passwd"})

    layer = layers.StringLookup(vocabulary=["a"])
    step = fastnn.record(lambda x: x * layer(["a"]))
    with pytest.raises(RecordingError, match="is recorded: call"):
        step(fastnn.tensor([1.0]))


def test_hashing_is_the_same_everywhere():
    layer = layers.Hashing(10)
    assert layer(["a", "b", "ä", ""]).numpy().tolist() == [8, 8, 4, 6]
    assert layer([1, 2]).numpy().tolist() == layer(["1", "2"]).numpy().tolist()
    many = layer(np.arange(2000)).numpy()
    assert np.bincount(many, minlength=10).min() > 150
    salted = layers.Hashing(10, salt=7)(np.arange(2000)).numpy()
    assert (salted != many).mean() > 0.8
    with pytest.raises(ValueError, match="salt must be one or two whole numbers"):
        layers.Hashing(10, salt=1.5)
    masked = layers.Hashing(3, mask_value=5)(np.arange(100)).numpy()
    assert masked[5] == 0
    assert (np.delete(masked, 5) > 0).all()
    hot = layers.Hashing(3, output_mode="one_hot")([["a"], ["b"]])
    assert hot.shape == (2, 3)


def a_model():
    """Of each layer that can be within one; what is learned is learned."""
    numbers, category = fastnn.Input((2,)), fastnn.Input((1,), dtype="int64")
    normal, bins = layers.Normalization(), layers.Discretization(num_bins=3, output_mode="one_hot")
    known = layers.IntegerLookup(mask_token=0)
    data = np.random.default_rng(0).normal(3.0, 2.0, (50, 2)).astype("f4")
    normal.adapt(data)
    bins.adapt(data)
    known.adapt(np.array([7, 7, 9, 11]))
    parts = [
        normal(layers.Rescaling(2.0)(numbers)),
        layers.Flatten()(bins(numbers)),
        layers.CategoryEncoding(5)(known(category)),
    ]
    model = fastnn.Model([numbers, category], layers.Dense(1)(layers.Concatenate()(parts)))
    return model, [data, np.resize([7, 9, 3, 11, 0], (50, 1))]


def test_in_a_saved_model(tmp_path):
    model, x = a_model()
    model.compile("adam", "mse")
    model.fit(x, np.ones((50, 1)), epochs=2, verbose=0)
    eager, expected = model(x).numpy(), model.predict(x, verbose=0)
    np.testing.assert_array_equal(eager, expected)  # recorded equals eager
    model.save(tmp_path / "m.fastnn")
    again = fastnn.load_model(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(again.predict(x, verbose=0), expected)
    kinds = {type(layer): layer for layer in again.layers}
    assert kinds[layers.IntegerLookup].get_vocabulary() == [0, -1, 7, 11, 9]
    assert len(kinds[layers.Discretization].bin_boundaries) == 2


@pytest.mark.parametrize(
    "layer",
    [
        layers.Rescaling([1.0, 2.0]),
        layers.Normalization(mean=[1.0], variance=[2.0], axis=1),
        layers.StringLookup(5, vocabulary=["a"], salt=3, mask_token=""),
        layers.Hashing(4, mask_value="x", salt=(1, 2)),
    ],
)
def test_configurations(layer):
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()
