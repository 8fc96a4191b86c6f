"""ResNets: their sizes, learning, the same bits recorded, on threads, resumed and loaded."""

import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.applications import ResNet
from fastnn.callbacks import BackupAndRestore, Callback
from fastnn.errors import ShapeError

RNG = np.random.default_rng(0)
Y = np.arange(32) % 2
X = RNG.normal(size=(32, 9, 8, 1)).astype("float32") + 2 * Y[:, None, None, None] * np.eye(9, 8)[
    ..., None
].astype("float32")


def made(seed=0, run_eagerly=False):
    fastnn.utils.set_random_seed(seed)
    model = ResNet(2, (9, 8, 1), "basic", (4, 6), (1, 1), 4, 3)
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(fastnn.optimizers.Adam(0.01), loss, run_eagerly=run_eagerly)
    return model


def fit(model, epochs=4, **named):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, **named).history["loss"]


def expect_equal(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("make", "count"),
    [  # of torchvision's resnet18 and resnet50, and of the paper's section 4.2, with projections
        pytest.param(lambda: ResNet(layer_type="basic"), 11_689_512, marks=pytest.mark.slow),
        pytest.param(lambda: ResNet(), 25_557_032, marks=pytest.mark.slow),
        (lambda: ResNet.small(20, 10, (32, 32, 3)), 272_474),
    ],
)
def test_as_many_weights_are_learned_as_elsewhere(make, count):
    assert sum(v.size for v in make().trainable_weights) == count


def test_recorded_steps_and_those_on_two_threads_have_the_bits_of_eager_ones():
    found, losses = [], []
    for threads, eagerly in ((1, True), (1, False), (2, False)):
        fastnn.set_threads(threads)
        found.append(made(run_eagerly=eagerly))
        losses.append(fit(found[-1]))
    assert losses[0] == losses[1] == losses[2]
    assert losses[0][-1] < losses[0][0]
    expect_equal(found[0], found[1])
    expect_equal(found[0], found[2])


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


def test_a_saved_model_is_loaded_by_a_process_that_knows_nothing_of_it(tmp_path):
    model = made()
    fit(model, 1)
    model.save(tmp_path / "resnet.fastnn")
    np.save(tmp_path / "images.npy", X)
    program = (
        "import numpy as np, fastnn\n"
        "model = fastnn.load_model('resnet.fastnn')\n"
        "np.save('logits.npy', model.predict(np.load('images.npy')))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (np.load(tmp_path / "logits.npy") == model.predict(X)).all()
    again = ResNet.from_config(model.get_config())
    assert again.get_config() == model.get_config()


def test_what_does_not_fit_is_named():
    for given, message in (
        ({"layer_type": "basi"}, "layer_type must be 'basic' or 'bottleneck'; got 'basi'"),
        ({"stem_size": 5}, "stem_size must be 3 or 7; got 5"),
        ({"num_classes": -1}, "num_classes must be a whole number from 0 on"),
        ({"hidden_sizes": (8, 8)}, r"an entry for each stage; got \(8, 8\) and \(3, 4, 6, 3\)"),
        ({"hidden_sizes": (8, 2), "depths": (1, 1)}, "at least 4"),
    ):
        with pytest.raises(ValueError, match=f"ResNet: .*{message}"):
            ResNet(image_shape=(32, 32, 3), **given)
    with pytest.raises(ValueError, match="ResNet: depths"):
        ResNet(image_shape=(32, 32, 3), depths=(1.5,))
    for shape in ((28, 28), (28, 28, None)):
        with pytest.raises(ShapeError, match="ResNet: image_shape must be"):
            ResNet(image_shape=shape)
    with pytest.raises(ValueError, match="depth must be 6 n \\+ 2, as 8, 20 or 56; got 18"):
        ResNet.small(18, 10, (32, 32, 3))
