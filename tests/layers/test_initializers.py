"""Initial weights."""

import numpy as np
import pytest

import fastnn
from fastnn import initializers, layers
from fastnn.errors import ShapeError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("initializer", "low", "high", "mean", "deviation"),
    [
        ("zeros", 0, 0, 0, 0),
        ("ones", 1, 1, 1, 0),
        ("glorot_uniform", -0.1, 0.1, 0, 0.1 / 3**0.5),  # sqrt(6 / (200 + 400)) = 0.1
        ("random_uniform", -0.05, 0.05, 0, 0.05 / 3**0.5),
        ("random_normal", -0.3, 0.3, 0, 0.05),
        (initializers.RandomUniform(1.0, 3.0), 1, 3, 2, 1 / 3**0.5),
        (initializers.RandomNormal(5.0, 2.0), -7, 17, 5, 2),
    ],
    ids=["zeros", "ones", "glorot", "uniform", "normal", "uniform from 1 to 3", "normal about 5"],
)
def test_initializers_keep_their_limits_and_moments(initializer, low, high, mean, deviation, dtype):
    fastnn.config.set_floatx(dtype)
    fastnn.utils.set_random_seed(0)
    values = initializers.get(initializer)((200, 400)).numpy()
    assert values.shape == (200, 400)
    assert values.dtype == dtype
    assert low <= values.min()
    assert values.max() <= high
    few = 6 / np.sqrt(values.size)  # six deviations of the estimates
    assert abs(values.mean(dtype="f8") - mean) <= few * deviation + np.finfo(dtype).eps
    assert abs(values.std(dtype="f8") - deviation) <= few * deviation


def test_an_initializer_with_a_seed_repeats_itself_and_one_without_does_not():
    seeded, fresh = initializers.GlorotUniform(seed=3), initializers.GlorotUniform()
    a, b = (seeded((4, 5)).numpy() for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert (fresh((4, 5)).numpy() != fresh((4, 5)).numpy()).any()
    assert (initializers.GlorotUniform(seed=4)((4, 5)).numpy() != a).any()


def test_every_initializer_has_a_name_that_finds_it():
    for name, kind in initializers.KIND.names.items():
        assert type(initializers.get(name)) is kind
        assert type(initializers.get(kind)) is kind
        assert kind()((2, 3)).shape == (2, 3)


def test_a_weight_of_the_wrong_shape_is_refused():
    with pytest.raises(ShapeError, match=r"initializer of kernel gave shape \(3\), not \(2, 4\)"):
        layers.Dense(4, kernel_initializer=lambda shape, dtype: np.zeros(3))([[1.0, 2.0]])
