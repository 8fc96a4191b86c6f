"""Convolutional layers: a model of them is trained, saved and loaded; what they are built of and
what they refuse."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import ShapeError

IMAGE = np.zeros((1, 6, 5, 4), "f4")


def convnet():
    """Keras's guide to a simple convnet, smaller."""
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential(
        [
            fastnn.Input((8, 8, 1)),
            layers.Conv2D(8, kernel_size=(3, 3), activation="relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(16, kernel_size=(3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        fastnn.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def test_a_convnet_learns_digits_and_is_saved(tmp_path):
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    x, y = digits.images[..., None] / 16, digits.target
    model = convnet()
    model.fit(x[:1500], y[:1500], batch_size=32, epochs=8, verbose=0)
    loss, accuracy = model.evaluate(x[1500:], y[1500:], verbose=0)
    assert accuracy > 0.85, loss
    model.save(tmp_path / "m.fastnn")
    again = fastnn.load_model(tmp_path / "m.fastnn")
    np.testing.assert_array_equal(again.predict(x[:9], verbose=0), model.predict(x[:9], verbose=0))


def test_recorded_steps_and_any_number_of_threads_give_the_same_bits():
    x = np.random.default_rng(0).random((40, 8, 8, 1), "f4")
    y = np.arange(40) % 10
    threads, found = fastnn.get_threads(), []
    try:
        for n in (1, 2):
            fastnn.set_threads(n)
            model = convnet()
            model.fit(x, y, batch_size=16, epochs=2, verbose=0)
            found.append(model.get_weights())
    finally:
        fastnn.set_threads(threads)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_functional_model_of_any_extents():
    x = fastnn.Input((None, None, 3))
    y = layers.SeparableConv2D(8, 3, strides=8, padding="same")(x)
    skip = layers.Conv2D(8, 1, strides=8)(x)
    model = fastnn.Model(x, layers.GlobalAveragePooling2D()(layers.add([y, skip])))
    assert y.shape == (None, None, None, 8)
    assert layers.Conv2DTranspose(2, 4, strides=2, padding="same")(y).shape == (None, None, None, 2)
    for extent in (16, 24):
        assert model.predict(np.ones((2, extent, 8, 3)), verbose=0).shape == (2, 8)


def test_weights_have_kerass_names_and_their_arguments():
    layer = layers.SeparableConv1D(
        2, 3, depth_multiplier=2, depthwise_initializer="ones", pointwise_constraint="non_neg",
        pointwise_regularizer="l2", bias_initializer=fastnn.initializers.Constant(2.0),
    )  # fmt: skip
    layer.build((None, 5, 4))
    assert [(w.name, w.shape) for w in layer.weights] == [
        ("depthwise_kernel", (3, 4, 2)), ("pointwise_kernel", (1, 8, 2)), ("bias", (2,)),
    ]  # fmt: skip
    assert (layer.depthwise_kernel.numpy() == 1).all()
    assert (layer.bias.numpy() == 2).all()
    assert layer.pointwise_kernel.constraint is not None
    assert layer.pointwise_kernel.regularizer is not None
    layer = layers.DepthwiseConv2D(2, use_bias=False, depthwise_regularizer="l1")
    layer.build((None, 5, 5, 4))
    assert [w.name for w in layer.weights] == ["kernel"]
    assert layer.kernel.regularizer is not None


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: layers.Conv2D(0, 3), ValueError, "Conv2D: filters must be a whole number from 1"),
        (lambda: layers.Conv2D(4, (3, 0)), ValueError, "Conv2D: kernel_size must be"),
        (lambda: layers.Conv2D(4, 3, strides=(1, 2, 3)), ValueError, "strides must be"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), ValueError, "'valid' or 'same'; got 'caus"),
        (lambda: layers.Conv1D(4, 3, groups=3), ValueError, "groups must divide filters; got 3"),
        (
            lambda: layers.Conv2D(6, 3, groups=3)(IMAGE),
            ShapeError,
            "groups must divide the channel",
        ),
        (lambda: layers.Conv2D(6, 3)(IMAGE[0]), ShapeError, "expected 4 dimensions"),
        (lambda: layers.Conv2D(6, 7)(IMAGE), ShapeError, "Pass padding='same'"),
        (lambda: layers.Conv2D(6, 3)(fastnn.Input((4, 4, None))), ShapeError, "must be known"),
        (
            lambda: layers.Conv2DTranspose(2, 3, 2, output_padding=2),
            ValueError,
            "output_padding must be smaller than strides",
        ),
        (
            lambda: layers.DepthwiseConv2D(3, depth_multiplier=0),
            ValueError,
            "depth_multiplier must",
        ),
        (lambda: layers.SeparableConv1D(2, 3, activation="rel"), ValueError, "did you mean 'relu'"),
    ],
)
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(4, 2),
        layers.Conv2DTranspose(4, 2),
        layers.DepthwiseConv2D(2),
        layers.SeparableConv2D(4, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_other_channels_than_it_was_built_for_are_refused(layer):
    layer(IMAGE[..., :2])
    with pytest.raises(ShapeError, match=r"expected 2 channels, as it was\s+built for; got 4"):
        layer(IMAGE)
