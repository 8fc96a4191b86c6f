"""What layers say of their inputs."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.errors import DTypeError, ShapeError
from fastnn.layers import InputSpec


class Checked(layers.Layer):
    def __init__(self, spec):
        super().__init__()
        self.input_spec = spec

    def call(self, inputs):
        return next(iter(inputs.values())) if isinstance(inputs, dict) else inputs


def ones(*shape):
    return np.ones(shape, "f4")


@pytest.mark.parametrize(
    ("spec", "taken", "refused", "kind", "message"),
    [
        (InputSpec(ndim=2), ones(3, 4), ones(3), ShapeError, r"must have 2 dimensions; .* \(3\)"),
        (InputSpec(min_ndim=2), ones(3, 4, 5), ones(3), ShapeError, "2 dimensions at least"),
        (InputSpec(max_ndim=2), ones(3, 4), ones(3, 4, 5), ShapeError, "2 dimensions at most"),
        (InputSpec(axes={-1: 4}), ones(3, 4), ones(3, 5), ShapeError, "extent 4 along axis -1"),
        (InputSpec(axes={2: 4}), ones(3, 3, 4), ones(3, 4), ShapeError, "extent 4 along axis 2"),
        (InputSpec(shape=(None, 4)), ones(3, 4), ones(3, 5), ShapeError, r"shape \(any, 4\); got"),
        (InputSpec(shape=(None, 4, 1), allow_last_axis_squeeze=True), ones(3, 4), ones(3, 5),
         ShapeError, r"must have shape \(any, 4, 1\)"),
        (InputSpec(dtype="float32"), ones(3), np.ones(3, bool), DTypeError, "must be float32"),
        (InputSpec(dtype="float64"), None, ones(3), DTypeError, "must be float64; got float32"),
    ],
)  # fmt: skip
def test_inputs_that_are_not_what_is_said_are_refused(spec, taken, refused, kind, message):
    layer = Checked(spec)
    if taken is not None:
        assert layer(taken).shape == taken.shape
    if spec.dtype == "float32":  # arrays are converted
        refused = fastnn.tensor(refused)
        layer.dtype = np.dtype("float64")
    with pytest.raises(kind, match=f"layer '{layer.name}': the input .*{message}"):
        layer(refused)
    assert InputSpec.from_config(spec.get_config()).get_config() == spec.get_config()


def test_symbolic_inputs_may_have_any_extent():
    layer = Checked(InputSpec(shape=(32, None, 4)))
    x = fastnn.Input((7, 4))
    model = fastnn.Model(x, layer(x))
    assert model(ones(32, 7, 4)).shape == (32, 7, 4)
    with pytest.raises(ShapeError, match=r"must have shape \(32, any, 4\); got shape \(5, 7, 4\)"):
        model(ones(5, 7, 4))
    with pytest.raises(ShapeError, match=r"got shape \(any, 7, 5\)"):
        layer(fastnn.Input((7, 5)))


def test_several_inputs():
    layer = Checked([InputSpec(ndim=2, name="a"), InputSpec(ndim=1, name="b")])
    assert layer({"a": ones(3, 4), "b": ones(3)}).shape == (3, 4)
    with pytest.raises(ShapeError, match="input b must have 1 dimensions"):
        layer({"a": ones(3, 4), "b": ones(3, 4)})
    with pytest.raises(ValueError, match="the input 'b' is missing"):
        layer({"a": ones(3, 4)})
    with pytest.raises(ValueError, match="takes 2 inputs; got 1"):
        layer([ones(3, 4)])


def test_specs_that_cannot_be_are_refused():
    with pytest.raises(TypeError, match="axes must be a dictionary"):
        InputSpec(axes=[1])
    with pytest.raises(ValueError, match="axis 3 of 2 dimensions at most"):
        InputSpec(ndim=2, axes={3: 4})
