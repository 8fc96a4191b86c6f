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
        ("glorot_normal", -0.1314, 0.1314, 0, (2 / 600) ** 0.5),  # 2 deviations, truncated
        ("he_uniform", -(0.03**0.5), 0.03**0.5, 0, 0.1),  # inputs 200
        ("he_normal", -0.2275, 0.2275, 0, 0.1),
        ("lecun_uniform", -(0.015**0.5), 0.015**0.5, 0, 0.005**0.5),
        ("lecun_normal", -0.1608, 0.1608, 0, 0.005**0.5),
        ("truncated_normal", -0.1, 0.1, 0, 0.05 * 0.8796256610342398),
        (initializers.VarianceScaling(4.0, "fan_out", "untruncated_normal"), -1, 1, 0, 0.1),
        (initializers.Constant(0.5), 0.5, 0.5, 0.5, 0),
        (initializers.RandomUniform(1.0, 3.0), 1, 3, 2, 1 / 3**0.5),
        (initializers.RandomNormal(5.0, 2.0), -7, 17, 5, 2),
    ],
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


def test_windows_count_for_inputs_and_outputs_and_axes_say_otherwise():
    assert initializers.compute_fans((3, 5, 7, 11)) == (3 * 5 * 7, 3 * 5 * 11)
    assert initializers.compute_fans((4,)) == (4, 4)
    assert initializers.compute_fans(()) == (1, 1)
    assert initializers.compute_fans((32, 4, 16), [0], [1, 2]) == (32, 64)
    limit = (6 / (32 + 64)) ** 0.5
    x = initializers.GlorotUniform(1, [0], [1, 2])((32, 4, 16)).numpy()
    assert 0.95 * limit < np.abs(x).max() < limit


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 2, 5)])
def test_orthogonal_rows_or_columns(shape):
    x = initializers.Orthogonal(2.0, seed=1)(shape, "float64").numpy().reshape(-1, shape[-1])
    products = x.T @ x if x.shape[0] >= x.shape[1] else x @ x.T
    np.testing.assert_allclose(products, 4 * np.eye(len(products)), atol=1e-14)


def test_identity_and_arrays():
    np.testing.assert_array_equal(initializers.Identity(3)((2, 3)).numpy(), 3 * np.eye(2, 3))
    layer = layers.Dense(2, kernel_initializer=np.eye(2), bias_initializer=fastnn.tensor([1.0, 2]))
    np.testing.assert_array_equal(layer([[3.0, 4.0]]).numpy(), [[4, 6]])
    found = layers.Dense.from_config(layer.get_config())
    np.testing.assert_array_equal(found([[3.0, 4.0]]).numpy(), [[4, 6]])


def test_a_generator_as_seed_draws_on():
    generator = fastnn.random.Generator(3)
    a, b = (initializers.HeNormal(seed=generator)((4, 5)).numpy() for _ in range(2))
    assert (a != b).any()
    again = initializers.HeNormal(seed=fastnn.random.Generator(3))((4, 5)).numpy()
    np.testing.assert_array_equal(a, again)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initializers.VarianceScaling(0), "scale must be a finite number above 0; got 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), "unknown mode 'fan'; did you mean"),
        (lambda: initializers.VarianceScaling(distribution="x"), "unknown distribution 'x'"),
        (lambda: initializers.Identity()((3,)), r"Identity: makes matrices.*got \(3\)"),
        (lambda: initializers.Orthogonal()((3,)), r"Orthogonal: makes matrices.*got \(3\)"),
        (lambda: initializers.Constant([1, 2])((3,)), r"shape \(2\) do not make.*shape \(3\)"),
        (lambda: initializers.get(3), "a function or an array; got 3"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


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
