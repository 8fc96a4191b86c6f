"""Keras's namespace: what a Keras program finds under its import line."""

import copy
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

import fastnn.keras as keras
from fastnn.errors import DTypeError, ShapeError


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("layers.ConvLSTM2D", "keras.layers.ConvLSTM2D is in Keras 3.15.1, but not in fastnn yet"),
        ("layers.Dens", "did you mean 'Dense'"),
        ("ops.fft2", "keras.ops.fft2 is in Keras"),
        ("ops.matmull", "did you mean 'matmul'"),
        ("optimizers.schedules.Cosine", "did you mean 'CosineDecay'"),
        ("applications", "keras.applications is in Keras"),
        ("Sequentail", "did you mean 'Sequential'"),
        ("utils.get_file", "keras.utils.get_file is in Keras"),
    ],
)
def test_a_name_that_is_not_there_says_so(path, told):
    *modules, name = path.split(".")
    module = keras
    for inner in modules:
        module = getattr(module, inner)
    with pytest.raises(AttributeError, match=f"no attribute {name!r}|not in fastnn yet") as error:
        getattr(module, name)
    assert told in str(error.value)
    assert not hasattr(module, name)


def test_names_stand_for_what_fastnn_has():
    import fastnn

    assert keras.Layer is fastnn.layers.Layer
    assert keras.Variable is fastnn.Variable
    assert keras.models.load_model is keras.saving.load_model is fastnn.load_model
    assert keras.utils.Sequence is keras.utils.PyDataset
    assert "3.15" in keras.version() == keras.__version__
    names = Path(keras.__file__).with_name("names.txt").read_text()
    assert keras.__version__ in names.splitlines()[0]
    assert keras.backend.backend() == "fastnn"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: keras.config.set_epsilon(1e-3), ValueError),
        (lambda: keras.config.set_image_data_format("channels_first"), ValueError),
        (lambda: keras.config.set_dtype_policy("mixed_float16"), ValueError),
        (lambda: keras.random.randint((2,), 3, 3), ValueError),
        (lambda: keras.random.randint((2,), 0, 300, dtype="uint8"), ValueError),
        (lambda: keras.random.randint((2,), 0, 3, dtype="float32"), DTypeError),
        (lambda: keras.random.randint((2,), 0.5, 3), TypeError),
        (lambda: keras.random.categorical([0.0, 1.0], 2), ShapeError),
        (lambda: keras.random.dropout([[1.0]], 0.5, (1, 1, 1)), ShapeError),
        (lambda: keras.random.dropout([1.0], 1.5), ValueError),
        (lambda: keras.random.shuffle([1.0], axis=1), ValueError),
        (lambda: keras.random.normal((2,), seed="x"), TypeError),
        (lambda: keras.utils.pad_sequences([1, 2]), ValueError),
        (lambda: keras.utils.pad_sequences([[1]], padding="both"), ValueError),
        (lambda: keras.utils.pad_sequences([[1]], value="x"), ValueError),
        (lambda: keras.utils.pad_sequences([[[1, 2]], [[1]]]), ShapeError),
        (lambda: keras.utils.split_dataset(np.ones(3)), ValueError),
        (lambda: keras.utils.split_dataset(np.ones(3), 3), ValueError),
        (lambda: keras.utils.split_dataset(np.ones(3), 2, 2), ValueError),
        (lambda: keras.utils.split_dataset((np.ones(3), np.ones(4)), 2), ShapeError),
        (lambda: keras.Variable("zeros"), ValueError),
        (lambda: keras.callbacks.TensorBoard(embeddings_freq=1), ValueError),
        (lambda: keras.Variable(np.ones(3), shape=(2,)), ShapeError),
        (lambda: keras.Variable(lambda shape, dtype: np.ones(3), shape=(2,)), ShapeError),
        (lambda: keras.tree.map_structure(lambda a, b: a, [1, 2], [1]), ValueError),
        (lambda: keras.tree.assert_same_structure([1, [2]], [1, 2]), ValueError),
        (lambda: keras.tree.assert_same_structure([1], (1,)), ValueError),
        (lambda: keras.tree.pack_sequence_as([1, 2], [1]), ValueError),
        (lambda: keras.tree.assert_same_paths([1], {"a": 1}), ValueError),
    ],
)
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error, match=r".{20,}"):
        call()


def test_variables_are_made_as_keras_makes_them():
    ones = keras.Variable("ones", (2, 3), "float64", trainable=False, name="w")
    assert (ones.numpy() == 1).all()
    assert (ones.dtype, ones.trainable, ones.name) == ("float64", False, "w")
    assert keras.Variable(keras.initializers.Constant(2.0), shape=(1,)).numpy() == [2.0]
    assert keras.Variable(lambda shape, dtype: np.full(shape, 3.0), shape=(1,)).numpy() == [3.0]
    assert keras.Variable(0, trainable=False).dtype == "int32"
    assert keras.Variable(np.arange(3), trainable=False).dtype == "int64"
    assert keras.Variable(0.5, trainable=False).dtype == "float32"
    assert keras.Variable([1, 2]).dtype == "float32"
    variable = keras.Variable([1.0])
    assert variable.value is variable


# ---- random numbers


def test_seeds_repeat_and_seed_generators_go_on():
    draws = {
        "truncated_normal": lambda seed: keras.random.truncated_normal((9,), seed=seed),
        "randint": lambda seed: keras.random.randint((9,), 0, 1000, seed=seed),
        "categorical": lambda seed: keras.random.categorical(np.zeros((3, 50)), 3, seed=seed),
        "dropout": lambda seed: keras.random.dropout(np.ones((50,), "float32"), 0.5, seed=seed),
        "shuffle": lambda seed: keras.random.shuffle(np.arange(50), seed=seed),
    }
    for name, draw in draws.items():
        assert np.array_equal(draw(3), draw(3)), name
        generator = keras.random.SeedGenerator(3)
        other = copy.deepcopy(generator)
        first, second = draw(generator).numpy(), draw(generator).numpy()
        assert np.array_equal(first, draw(3)), name
        assert not np.array_equal(first, second), name
        assert np.array_equal([draw(other).numpy() for _ in range(2)], [first, second]), name
    config = keras.random.SeedGenerator(3, name="s").get_config()
    assert config == {"seed": 3, "name": "s"}
    assert keras.random.SeedGenerator.from_config(config).seed == 3


def test_what_is_drawn_is_distributed_so():
    count = 40_000
    drawn = keras.random.truncated_normal((count,), 1.0, 2.0, "float64", seed=1).numpy()
    assert abs(drawn - 1).max() <= 4
    # the variance of a normal distribution within 2 is 0.7737413
    assert abs(drawn.mean() - 1) < 5 * 2 / count**0.5
    assert abs(drawn.var() / 4 - 0.7737413) < 5 * 0.7737413 * (2 / count) ** 0.5
    whole = keras.random.randint((count,), -2, 3, seed=1).numpy()
    assert whole.dtype == "int32"
    assert abs(np.bincount(whole + 2) / count - 0.2).max() < 5 * (0.16 / count) ** 0.5
    large = keras.random.randint((20,), (1 << 62) + 1, (1 << 62) + 3, "int64", seed=1).numpy()
    assert set(large - (1 << 62)) == {1, 2}
    shares = np.array([0.1, 0.2, 0.7])
    classes = keras.random.categorical(np.log(shares)[None], count, seed=1).numpy()[0]
    assert abs(np.bincount(classes) / count - shares).max() < 5 * (0.25 / count) ** 0.5
    dropped = keras.random.dropout(np.ones((count, 2), "float32"), 0.25, (None, 1), seed=1).numpy()
    assert (dropped[:, 0] == dropped[:, 1]).all()
    assert abs((dropped == 0).mean() - 0.25) < 5 * (0.19 / count) ** 0.5


def test_a_layer_of_ones_own_draws_in_a_recorded_fit():
    class Noise(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seeds = keras.random.SeedGenerator(1337)

        def call(self, x, training=False):
            if not training:
                return x
            shape = keras.ops.shape(x)
            noise = keras.random.truncated_normal(shape, stddev=0.1, seed=self.seeds)
            order = keras.random.shuffle(x, seed=self.seeds)
            return keras.random.dropout(x + noise + order, 0.5, seed=self.seeds)

    x = np.linspace(0, 1, 32, dtype="float32").reshape(16, 2)

    def weights(run_eagerly):
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((2,)), Noise(), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=run_eagerly)
        model.fit(x, x[:, :1], epochs=3, batch_size=4, verbose=0)
        return model.get_weights()

    for recorded, eager in zip(weights(False), weights(True), strict=True):
        assert np.array_equal(recorded, eager)


# ---- utilities


def test_sequences_are_padded_as_keras_pads_them():
    pad = keras.utils.pad_sequences
    given = [[1], [2, 3], [], [4, 5, 6]]
    assert pad(given).tolist() == [[0, 0, 1], [0, 2, 3], [0, 0, 0], [4, 5, 6]]
    post = pad(given, maxlen=2, padding="post", truncating="post", value=-1)
    assert post.tolist() == [[1, -1], [2, 3], [-1, -1], [4, 5]]
    assert pad([[[1, 2]], [[3, 4], [5, 6]]]).tolist() == [[[0, 0], [1, 2]], [[3, 4], [5, 6]]]
    assert pad([["a"], ["b", "c"]], dtype=object, value="-").tolist() == [["-", "a"], ["b", "c"]]
    assert pad([[0.5]], dtype="float32").dtype == "float32"
    assert pad([]).shape == (0, 0)


def test_arrays_are_split():
    x, y = np.arange(10), np.arange(20).reshape(10, 2)
    left, right = keras.utils.split_dataset({"x": x, "y": y}, left_size=0.75)
    assert (len(left["x"]), len(right["y"])) == (8, 2)  # round(7.5)
    assert right["x"].tolist() == [8, 9]
    left, right = keras.utils.split_dataset((x, y), 3, 4, shuffle=True, seed=1)
    assert (left[1] == left[0][:, None] * 2 + [0, 1]).all()
    assert (len(left[0]), len(right[0])) == (3, 4)
    assert not set(left[0]) & set(right[0])
    again, _ = keras.utils.split_dataset((x, y), 3, 4, shuffle=True, seed=1)
    assert np.array_equal(again[0], left[0])


def test_names_are_counted_anew_after_clear_session():
    keras.utils.clear_session()
    assert keras.layers.Dense(1).name == "dense"
    assert keras.layers.Dense(1).name == "dense_1"
    keras.backend.clear_session()
    assert keras.layers.Dense(1).name == "dense"


def test_custom_objects_are_found():
    def twice(x):
        return x + x

    with keras.saving.CustomObjectScope({"twice": twice}):
        assert keras.activations.get("twice") is twice
        assert keras.saving.get_registered_object("twice") is twice
    assert keras.saving.get_registered_object("twice") is None
    assert keras.saving.get_registered_object("twice", {"twice": twice}) is twice
    keras.utils.get_custom_objects()["twice"] = twice
    try:
        assert keras.layers.Dense(1, activation="twice").activation is twice
    finally:
        del keras.utils.get_custom_objects()["twice"]


def test_weights_are_not_replaced_unless_told(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    path = tmp_path / "w.safetensors"
    keras.saving.save_weights(model, path)
    with pytest.raises(FileExistsError):
        model.save_weights(path, overwrite=False)
    keras.saving.load_weights(model, path)


def test_structures_are_walked_as_keras_walks_them():
    tree = keras.tree
    nested = {"b": [1, (2, None)], "a": {"z": 3}}
    assert tree.flatten(nested) == [3, 1, 2, None]
    assert [path for path, _ in tree.flatten_with_path(nested)] == [
        ("a", "z"), ("b", 0), ("b", 1, 0), ("b", 1, 1)
    ]  # fmt: skip
    assert tree.pack_sequence_as(nested, [4, 5, 6, 7]) == {"b": [5, (6, 7)], "a": {"z": 4}}
    assert tree.map_structure(lambda leaf: leaf, nested, none_is_leaf=False) == nested
    assert tree.lists_to_tuples(nested) == {"b": (1, (2, None)), "a": {"z": 3}}
    assert tree.map_structure_up_to([0, 0], lambda a, b: (a, b), [[1], 2], [3, [4]]) == [
        ([1], 3), (2, [4])
    ]  # fmt: skip
    none = lambda s: tree.MAP_TO_NONE if s == 1 else None  # noqa: E731
    assert tree.traverse(none, [1, [1, 2]]) == [None, [None, 2]]
    assert tree.map_shape_structure(tuple, [[None, 3], {"a": (2,)}]) == [(None, 3), {"a": (2,)}]
    ordered = OrderedDict([("b", "x"), ("a", None)])
    tree.assert_same_structure({"a": 1, "b": 2}, ordered)
    assert tree.flatten(ordered) == ["x", None]
