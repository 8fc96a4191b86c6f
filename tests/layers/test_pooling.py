"""Pooling, and layers that change the space of sequences and images: ties, NaN, masks, extents that
may be any, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import ShapeError
from fastnn.kernels.reference import pooling

IMAGE = np.zeros((1, 4, 4, 2), "f4")


def test_of_equal_elements_the_first_has_the_gradient():
    x = fastnn.tensor(np.zeros((1, 3, 3, 1)), requires_gradient=True)
    ops.sum(ops.max_pool(x, 2, strides=1)).backward()
    np.testing.assert_array_equal(x.gradient.numpy()[0, ..., 0], [[1, 1, 0], [1, 1, 0], [0, 0, 0]])


def test_nan_reaches_its_windows_alone():
    x = np.zeros((1, 4, 4, 1), "f4")
    x[0, 1, 0] = np.nan
    for pool in (ops.max_pool, ops.average_pool):
        t = fastnn.tensor(x, requires_gradient=True)
        y = pool(t, 2)
        np.testing.assert_array_equal(np.isnan(y.numpy()[0, ..., 0]), [[True, False], [False] * 2])
        y.backward(np.ones(y.shape, "f4"))
    y = ops.max_pool(np.full((1, 2, 2, 3), -np.inf, "f4"), 3, padding="same")
    assert (y.numpy() == -np.inf).all()  # padding is no element


def test_the_largest_integer_is_one_and_a_mean_is_a_float():
    x = np.random.default_rng(0).integers(-(2**62), 2**62, (2, 7, 6, 3))
    for dtype, options in [
        ("int64", {"pool_size": (3, 2), "strides": 2, "padding": "same"}),
        ("int32", {"pool_size": 2, "strides": (3, 1)}),
        ("uint8", {"pool_size": 3, "padding": "SAME", "data_format": "channels_first"}),
    ]:
        images = x.astype(dtype)
        found = ops.max_pool(images, **options)
        assert found.dtype == dtype
        reference = {**options, "padding": options.get("padding", "valid").lower()}
        np.testing.assert_array_equal(found.numpy(), pooling.max_pool(images, **reference))
    images = fastnn.tensor(x.astype("int32"))
    assert layers.MaxPooling2D()(images).dtype == layers.AdaptiveMaxPooling2D(2)(images).dtype
    assert layers.MaxPooling2D()(images).dtype == "int32"
    assert layers.AveragePooling2D()(images).dtype == "float32"


def test_of_no_pixels_there_are_no_results():
    """Or those that a window has beside its stride, as in Keras on JAX."""
    x = np.zeros((2, 0, 4, 3), "f4")
    for layer, shape in [
        (layers.MaxPooling2D(), (2, 0, 2, 3)),
        (layers.AveragePooling2D(padding="same"), (2, 0, 2, 3)),
        (layers.Conv2DTranspose(2, 3, padding="same"), (2, 0, 4, 2)),
        (layers.Conv2DTranspose(2, 3, bias_initializer="ones"), (2, 2, 6, 2)),
    ]:
        y = layer(x)
        assert y.shape == shape
        assert (y.numpy() == 1).all()


def test_an_infinite_element_is_of_its_own_windows_alone():
    x = np.zeros((1, 7, 1), "f4")
    x[0, 0] = np.inf
    found = layers.AdaptiveAveragePooling1D(3)(x).numpy().ravel()
    np.testing.assert_array_equal(found, [np.inf, 0, 0])


@pytest.mark.parametrize(
    "layer",
    [
        layers.MaxPooling1D(3, 8),
        layers.AveragePooling1D(2, 500, "same"),
        layers.UpSampling1D(2),
        layers.ZeroPadding1D(1),
        layers.Cropping1D(1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_extents_may_be_any(layer):
    assert layer(fastnn.Input((None, 3))).shape == (None, None, 3)


def test_masked_steps_do_not_count_in_a_mean():
    x = np.array([[[1.0], [2.0], [0.0]], [[5.0], [0.0], [0.0]]], "f4")
    masked = layers.Masking()(x)
    y = layers.GlobalAveragePooling1D()(masked)
    np.testing.assert_array_equal(y.numpy(), [[1.5], [5.0]])
    assert getattr(y, "_keras_mask", None) is None
    y = layers.GlobalAveragePooling1D(keepdims=True)(x, mask=np.array([[1, 0, 0], [0, 0, 0]], bool))
    np.testing.assert_array_equal(y.numpy(), [[[1.0]], [[np.nan]]])


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("training", [False, True])
def test_dropout_of_channels_is_of_one_rank_in_predictions_too(rate, training):
    x = np.ones((2, 3, 4), np.float32)
    for kind, expected in ((layers.SpatialDropout1D, 3), (layers.SpatialDropout2D, 4)):
        layer = kind(rate, name="drop")
        wrong = x if expected == 4 else x[None]
        for given in (wrong, fastnn.Input(wrong.shape[1:])):
            with pytest.raises(ShapeError, match=f"{kind.__name__} 'drop': expected {expected} d"):
                layer(given, training=training)


@pytest.mark.parametrize("kind", [layers.SpatialDropout2D, layers.SpatialDropout3D])
def test_whole_channels_are_dropped(kind):
    dimensions = 2 if kind is layers.SpatialDropout2D else 3
    for data_format in ("channels_last", "channels_first"):
        space = tuple(range(1, dimensions + 1) if data_format == "channels_last" else
                      range(2, dimensions + 2))  # fmt: skip
        shape = [40 if d not in space else 3 for d in range(dimensions + 2)]
        layer = kind(0.5, data_format, seed=0)
        y = layer(np.ones(shape, "f4"), training=True).numpy()
        assert (y == y.max(axis=space, keepdims=True)).all()
        assert {*np.unique(y)} == {0.0, 2.0}
        assert kind.from_config(layer.get_config()).data_format == data_format


def test_other_names_of_kerass():
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.GlobalAvgPool1D is layers.GlobalAveragePooling1D
    assert type(layers.deserialize({"class_name": "AvgPool1D", "config": {}})).__name__ == (
        "AveragePooling1D"
    )


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ops.max_pool(IMAGE, 0), ValueError, "max_pool: pool_size must be a whole number"),
        (lambda: ops.max_pool(IMAGE, (2, 2, 2)), ValueError, "from 1 on, or 2 of them"),
        (lambda: ops.max_pool(IMAGE, 2, 1.5), ValueError, "max_pool: strides must be"),
        (lambda: ops.max_pool(IMAGE, 2, padding="full"), ValueError, "'valid' or 'same'; got 'fu"),
        (lambda: ops.adaptive_max_pool(IMAGE, 0), ValueError, "max_pool: output_size must be"),
        (lambda: ops.adaptive_average_pool(IMAGE[:, :0], 2), ShapeError, "of no elements there"),
        (lambda: layers.AdaptiveMaxPooling1D((2, 3)), ValueError, "AdaptiveMaxPooling1D: output_s"),
        (lambda: ops.average_pool(IMAGE, 2, data_format="last"), ValueError, "data_format must be"),
        (lambda: ops.average_pool(IMAGE, 5), ShapeError, r"do not fit into \(1, 4, 4, 2\)"),
        (lambda: ops.max_pool(IMAGE[0, 0], 2), ShapeError, "3, 4 or 5 dimensions"),
        (lambda: layers.MaxPooling2D((2, 2, 2)), ValueError, "MaxPooling2D: pool_size must be"),
        (lambda: layers.MaxPooling1D(2, padding="causal"), ValueError, "padding must be 'valid'"),
        (lambda: layers.MaxPooling1D()(IMAGE), ShapeError, r"expected 3 dimensions, \(N, T, C\)"),
        (
            lambda: layers.GlobalMaxPooling2D("channels_first")(IMAGE[0]),
            ShapeError,
            r"expected 4 dimensions, \(N, C, H, W\)",
        ),
        (lambda: layers.UpSampling1D(0), ValueError, "UpSampling1D: size must be"),
        (lambda: layers.UpSampling2D(interpolation="lanczos3"), ValueError, "'nearest' or 'biline"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), ValueError, "ZeroPadding2D: padding must be"),
        (lambda: layers.ZeroPadding1D(-1), ValueError, "ZeroPadding1D: padding must be"),
        (lambda: layers.Cropping2D("1"), ValueError, "Cropping2D: cropping must be"),
        (lambda: layers.Cropping2D(2)(IMAGE), ShapeError, "leaves nothing of dimension 1"),
    ],
)
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
