"""Convolutions beyond what the registry's cases hold: bias and activation in one call, threads,
refusals."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.kernels import geometry
from fastnn.kernels.cpu.convolution import chosen
from fastnn.kernels.geometry import Convolution
from fastnn.ops.convolution import convolved


def drawn(*shapes):
    rng = np.random.default_rng(0)
    return [fastnn.tensor(rng.uniform(-1, 1, s), requires_gradient=True) for s in shapes]


def both(function, *tensors):
    """The result and all gradients."""
    for t in tensors:
        t.gradient = None
    y = function(*tensors)
    y.backward(np.cos(np.arange(y.size)).reshape(y.shape))
    return [y.numpy(), *[t.gradient.numpy() for t in tensors]]


@pytest.mark.parametrize("kernel", [(3, 3, 3, 20), (1, 1, 3, 20)])
@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_bias_and_activation_in_one_call(activation, kernel):
    x, w, bias = drawn((2, 5, 4, 3), kernel, kernel[-1:])
    f = getattr(ops, activation) if activation else lambda z: z
    same = {"padding": "same"}
    one = both(lambda *t: convolved(*t, **same, activation=activation), x, w, bias)
    three = both(lambda x, w, b: f(ops.conv(x, w, **same) + b), x, w, bias)
    for got, expected in zip(one, three, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_bits_do_not_depend_on_threads(batch):
    """Of one image threads divide the pixels. Eager calls are on one thread."""
    rng = np.random.default_rng(0)
    x, w = (fastnn.Variable(rng.normal(size=s)) for s in ((batch, 13, 11, 5), (3, 3, 5, 37)))
    above = fastnn.tensor(rng.normal(size=(batch, 7, 6, 37)).astype("float32"))

    def step(above):
        y = ops.conv(x, w, 2, "same")
        y.backward(above)
        return y, x.gradient, w.gradient

    found = []
    for threads in (1, 2, 3):
        fastnn.set_threads(threads)
        for f in (step, fastnn.record(step)):
            x.gradient = w.gradient = None
            found.append([t.numpy().tobytes() for t in f(above)])
    assert all(f == found[0] for f in found)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("shape", [(2, 0, 3), (0, 5, 3)])
def test_without_pixels_or_images_gradients_are_0(shape, padding):
    x, w = drawn(shape, (2, 3, 4))
    y, dx, dw = both(lambda x, w: ops.conv(x, w, padding=padding), x, w)
    assert y.size == dx.size == 0
    assert dx.shape == shape
    np.testing.assert_array_equal(dw, np.zeros(w.shape))


@pytest.mark.parametrize("kernel", [(3, 2, 5, 40), (3, 3, 1, 5)])
def test_an_image_has_the_bits_it_has_in_a_batch(kernel):
    """Though one is copied into the midst of zeros, and the pixels of many are sorted by their
    taps; and gradients are those of all."""
    (x,), w = drawn((50, 9, 8, 5)), drawn(kernel)[0]
    conv = Convolution(kernel[:2], (2, 1), (1, 1), ((1, 1), (0, 1)))
    for n, is_sorted in ((50, True), (1, False)):
        zeros, _ = chosen(np.asarray, geometry.forward, n, conv, (9, 8), 5, 40, 1)
        assert (zeros == ((0, 0), (0, 0))) == is_sorted
    attributes = {"strides": (2, 1), "padding": "same"}
    y, dx, dw = both(lambda x, w: ops.conv(x, w, **attributes), x, w)
    above, sums = np.split(np.cos(np.arange(y.size)).reshape(y.shape), 50), np.zeros(dw.shape)
    for n in range(50):
        one = fastnn.tensor(x.numpy()[n : n + 1], requires_gradient=True)
        w.gradient = None
        own = ops.conv(one, w, **attributes)
        own.backward(above[n])
        assert own.numpy().tobytes() == y[n].tobytes()
        assert one.gradient.numpy().tobytes() == dx[n].tobytes()
        sums += w.gradient.numpy()
    np.testing.assert_allclose(sums, dw, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("shapes", "attributes", "message"),
    [
        (((2, 3, 3, 2), (5, 1, 2, 4)), {},
         r"conv: the kernel's window \(5, 1\) is larger than the image \(3, 3\). Pass padding="),
        (((2, 3, 3, 2), (2, 2, 2, 4)), {"dilation_rate": 3}, r"window \(4, 4\)"),
        (((2, 3), (3, 2, 4)), {}, r"inputs must have 3 to 5 dimensions, .* got shape \(2, 3\)"),
        (((2, 5, 3), (3, 3, 3, 4)), {}, r"kernel must have 3 dimensions .* got shape"),
        (((2, 5, 3), (0, 3, 4)), {}, "each from 1 on"),
        (((2, 5, 0), (2, 1, 4)), {}, "inputs have 0 channels"),
        (((2, 5, 3), (2, 2, 4)), {}, "inputs have 3 channels, and kernel is for 2"),
        (((2, 5, 4), (2, 2, 3)), {}, "its 3 channels of the result"),
        (((2, 5, 3), (2, 3, 4)), {"strides": 0}, "strides must be a whole number from 1 on; got 0"),
        (((2, 5, 3), (2, 3, 4)), {"dilation_rate": (1, 2)}, "dilation_rate must be a whole"),
        (((2, 5, 3), (2, 3, 4)), {"padding": "full"}, "'same' or 'causal'; got 'full'"),
        (((2, 5, 5, 3), (2, 2, 3, 4)), {"padding": "causal"}, "one dimension of space; these have"),
        (((2, 5, 5, 3), (2, 2, 3, 4)), {"padding": ((1, 1),)}, "a pair .* each of 2"),
        (((2, 5, 3), (2, 3, 4)), {"padding": ((1, -1),)}, "padding must be a whole number"),
        (((2, 5, 3), (2, 3, 4)), {"data_format": "NCHW"}, "data_format must be 'channels_last' or"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(shapes, attributes, message):
    with pytest.raises(ValueError, match=message):
        ops.conv(*map(np.zeros, shapes), **attributes)


@pytest.mark.parametrize(
    ("name", "shapes", "attributes", "message"),
    [
        ("depthwise_conv", ((2, 5, 3), (2, 2, 1)), {}, r"last but one as long as .* got shape \(2"),
        ("depthwise_conv", ((2, 2, 3), (4, 3, 1)), {}, r"depthwise_conv: the kernel's window \(4"),
        ("separable_conv", ((2, 5, 3), (2, 3, 1), (2, 3, 4)), {}, "pointwise_kernel must have"),
        ("conv_transpose", ((2, 3), (2, 3)), {}, "one to three of space, the channels; got"),
        ("conv_transpose", ((2, 5, 3), (2, 3, 4)), {}, "channels of the inputs, which are 3; got"),
        ("conv_transpose", ((2, 5, 3), (2, 4, 3)), {"padding": "causal"}, "or 'same'; got"),
        ("conv_transpose", ((2, 5, 3), (2, 4, 3)), {"output_padding": 1, "strides": 1},
         r"output_padding must be less than strides; got \(1,\) for strides \(1,\)"),
        ("conv_transpose", ((2, 1, 3), (2, 4, 3)), {"output_padding": 0, "padding": "same"},
         r"the result would have extents \(0\). Pass output_padding=None"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_others_is_refused(name, shapes, attributes, message):
    with pytest.raises(ValueError, match=message):
        getattr(ops, name)(*map(np.zeros, shapes), **attributes)


@pytest.mark.parametrize(
    ("call", "shapes"),
    [
        (ops.separable_conv, ((0, 9, 2), (3, 2, 1), (1, 2, 5))),
        (lambda x, w: ops.depthwise_conv(x, w, padding="same"), ((2, 0, 2), (3, 2, 3))),
        (lambda q, k: ops.dot_product_attention(q, k, k, bias=np.zeros((2, 0), "f4")),
         ((1, 2, 2, 3), (1, 0, 2, 3))),
    ],
)  # fmt: skip
def test_recorded_steps_of_tensors_without_elements_are_as_eager_ones(call, shapes):
    """Their kernels are not called, and what comes of them is read all the same."""
    variables = [fastnn.Variable(np.ones(shape, "f4")) for shape in shapes]

    def step():
        y = call(*variables)
        ops.sum(y * y).backward()
        found = [y, *[v.gradient for v in variables]]
        for v in variables:
            v.gradient = None
        return found

    for found, expected in zip(fastnn.record(step)(), step(), strict=True):
        np.testing.assert_array_equal(found.numpy(), expected.numpy())
