"""Two networks that learn from each other: what each step changes, recorded, saved, resumed."""

import copy

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers
from fastnn.applications import (
    GAN,
    conv_discriminator,
    conv_generator,
    dense_discriminator,
    dense_generator,
)
from fastnn.callbacks import BackupAndRestore, Callback

X = np.random.default_rng(0).uniform(size=(64, 3)).astype("float32")


def made(seed=0, dropout=0.4, **named):
    fastnn.utils.set_random_seed(seed)
    generator = dense_generator(3, latent_dim=2, hidden=(8,))
    gan = GAN(generator, dense_discriminator(3, hidden=(8,), dropout=dropout), **named)
    gan.compile(optimizers.Adam(0.01), optimizers.Adam(0.01))
    return gan


def expect_equal(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def fit(gan, epochs=4, **named):
    return gan.fit(X, batch_size=16, epochs=epochs, verbose=0, **named).history


def test_each_step_teaches_one_of_the_two_and_leaves_no_gradients():
    gan = made()
    parts = {"discriminator": gan.discriminator, "generator": gan.generator}
    for name, step, given in (
        ("discriminator", gan.discriminator_step, fastnn.tensor(X)),
        ("generator", gan.generator_step, 16),
    ):
        before = {n: [w.numpy() for w in m.trainable_weights] for n, m in parts.items()}
        assert float(step(given)) > 0
        for n, model in parts.items():
            moved = [
                (w.numpy() != b).any()
                for w, b in zip(model.trainable_weights, before[n], strict=True)
            ]
            assert all(moved) if n == name else not any(moved)
        assert all(w.gradient is None for w in gan.weights)
        assert gan.discriminator.trainable_weights == gan.discriminator.weights


def test_the_losses_are_those_of_the_paper():
    gan, x = made(dropout=0), fastnn.tensor(X)
    for step, given in ((gan.discriminator_step, x), (gan.generator_step, len(X))):
        random_before = fastnn.random.default.position()
        drawn = gan.generator(fastnn.random.normal((len(X), 2)), training=True).numpy()
        fastnn.random.default.go_to(random_before)
        p_real, p_drawn = (1 / (1 + np.exp(-gan.discriminator.predict(r))) for r in (X, drawn))
        expected = (
            (-np.log(p_real).mean() - np.log(1 - p_drawn).mean()) / 2
            if given is x
            else -np.log(p_drawn).mean()
        )
        np.testing.assert_allclose(float(step(given)), expected, rtol=1e-5)


def test_steps_toggled_in_a_loop_of_ones_own_are_recorded_once_each(recordings):
    eager, recorded = made(), made()
    expect_equal(eager, recorded)
    found = []
    for gan in (eager, recorded):
        fastnn.utils.set_random_seed(1)
        steps = [gan.discriminator_step, gan.generator_step]
        if gan is recorded:
            assert not recordings
            steps = [fastnn.record(step) for step in steps]
        for start in (0, 16, 32, 48):
            gan.discriminator.trainable = True
            found.append(float(steps[0](fastnn.tensor(X[start : start + 16]))))
            gan.discriminator.trainable = False
            found.append(float(steps[1](16)))
    assert len(recordings) == 2
    assert found[:8] == found[8:]
    expect_equal(eager, recorded)


def test_fit_records_both_as_one_step_with_the_bits_of_eager_steps(recordings):
    eager, recorded = made(), made()
    eager.compile(optimizers.Adam(0.01), optimizers.Adam(0.01), run_eagerly=True)
    histories = []
    for gan in (recorded, eager):
        fastnn.utils.set_random_seed(1)
        histories.append(fit(gan))
        assert recordings.count("training") == 1
    assert histories[0] == histories[1]
    expect_equal(eager, recorded)


def test_one_and_two_threads_give_the_same_bits():
    found = []
    for count in (1, 2):
        fastnn.set_threads(count)
        found.append(made())
        fit(found[-1])
    expect_equal(*found)


class Stop(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyError("stop")


def test_stopped_and_resumed_is_never_stopped(tmp_path):
    whole = made()
    expected = fit(whole)
    with pytest.raises(KeyError, match="stop"):
        fit(made(), callbacks=[BackupAndRestore(tmp_path), Stop()])
    resumed = made(seed=5)
    assert fit(resumed, callbacks=[BackupAndRestore(tmp_path)]) == expected
    expect_equal(whole, resumed)


def test_a_saved_one_goes_on_with_the_same_bits(tmp_path):
    gan = made(dropout=0, name="gan")
    fit(gan, 2)
    gan.save(tmp_path / "gan.fastnn")
    loaded = fastnn.load_model(tmp_path / "gan.fastnn")
    assert loaded.count_params() == gan.count_params()
    assert loaded.g_optimizer.iterations == gan.g_optimizer.iterations == 8
    np.testing.assert_array_equal(loaded.draw(5, seed=1), gan.draw(5, seed=1))
    histories = []
    for one in (gan, loaded):
        fastnn.utils.set_random_seed(1)
        histories.append(fit(one, 2))
    assert histories[0] == histories[1]
    expect_equal(gan, loaded)


def test_convolutional_ones_learn_what_digits_look_like():
    digits = pytest.importorskip("sklearn.datasets").load_digits().data
    x = (digits / 16).astype("float32").reshape(-1, 8, 8, 1)
    fastnn.utils.set_random_seed(0)
    gan = GAN(conv_generator((8, 8, 1), 16, (16, 8)), conv_discriminator((8, 8, 1), (8, 16)))
    gan.compile(optimizers.Adam(4e-3, beta_1=0.5), optimizers.Adam(4e-3, beta_1=0.5))
    apart = []
    for epochs in (0, 6):
        gan.fit(x, batch_size=64, epochs=epochs, verbose=0)
        drawn = gan.draw(500, seed=0)
        assert drawn.shape == (500, 8, 8, 1)
        apart.append(np.square(drawn.mean(axis=0) - x.mean(axis=0)).sum())
    assert apart[1] < apart[0] / 4
    with pytest.raises(ValueError, match=r"H and W must be multiples of 4; got \(10, 8, 1\)"):
        conv_generator((10, 8, 1))


class OfItsOwn(fastnn.Model):
    def call(self, x):
        return x


def test_what_does_not_fit_is_named():
    generator, discriminator = dense_generator(3), dense_discriminator(3)
    with pytest.raises(TypeError, match=r"GAN: generator must be a model whose input's shape"):
        GAN(fastnn.Sequential([layers.Dense(3)]), discriminator)
    with pytest.raises(TypeError, match=r"GAN: generator must be a model whose input's shape"):
        GAN(OfItsOwn(), discriminator)
    with pytest.raises(TypeError, match="GAN: discriminator must be a model"):
        GAN(generator, None)
    with pytest.raises(ValueError, match=r"take what the generator gives, \(None, 3\)"):
        GAN(generator, dense_discriminator(4))
    with pytest.raises(RuntimeError, match=r"fit: call compile\(d_optimizer, g_optimizer\) first"):
        GAN(generator, discriminator).fit(X, verbose=0)
    with pytest.raises(RuntimeError, match=r"generator_step: call compile"):
        GAN(generator, discriminator).generator_step(4)
    with pytest.raises(ValueError, match="GAN: fit takes rows x alone"):
        made().fit(X, X, verbose=0)
    with pytest.raises(TypeError, match=r"GAN does not define call"):
        made().predict(X)
    with pytest.raises(ValueError, match=r"GAN: g_optimizer"):
        GAN(generator, discriminator).compile("adam", "adm")
    with pytest.raises(ValueError, match=r"GAN: compile takes .* or neither.*got no g_optimizer"):
        GAN(generator, discriminator).compile("adam")


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("half", ["discriminator", "generator"])
def test_what_a_half_that_is_not_finite_leaves_is_defined(half, eagerly):
    """Of the discriminator's nothing is done; of the generator's the other has been done whole."""

    def loss(y, p):  # NaN from the second step on, when weights have moved
        found = fastnn.losses.binary_crossentropy(y, p, from_logits=True)
        is_of_half = (p.shape[0] == 32) == (half == "discriminator")
        return found + ops.log(1.5 - bad.view(())) if is_of_half else found

    bad = fastnn.Variable([1.0], trainable=False)
    gan, noise = made(dropout=0.0), fastnn.random.default
    gan.compile(optimizers.Adam(0.01), optimizers.Adam(0.01), loss, run_eagerly=eagerly)
    gan.train_on_batch(X[:16])
    other, position = copy.deepcopy(gan), noise.position()
    if half == "generator":
        fastnn.record(other.discriminator_step)(X[16:32])
    noise.go_to(position)
    bad.assign([2.0])
    with pytest.raises(FloatingPointError) as caught:
        gan.train_on_batch(X[16:32])
    said = "Weights are those before this step."
    if half == "generator":
        said = "this step had updated the 4 weights of 'adam', and moving averages; other weights"
    assert said in str(caught.value)
    expect_equal(gan, other)
    steps = 2 if half == "generator" else 1
    assert (gan.d_optimizer.iterations, gan.g_optimizer.iterations) == (steps, 1)
    bad.assign([1.0])
    gan.train_on_batch(X[16:32])
