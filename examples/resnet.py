"""A ResNet learns to tell ten kinds of clothes apart, in grey images of 28 x 28.

The set is a part of Fashion-MNIST, 10,000 images to learn from and 2,000 to be tested with. In each
epoch half of the images are flipped, and all are moved by up to two pixels. The model is written to
resnet.fastnn.
"""

import time
from pathlib import Path

import numpy as np
from common import expect_whole, finish, reading, save, start

from fastnn.applications import ResNet
from fastnn.losses import SparseCategoricalCrossentropy
from fastnn.optimizers import AdamW
from fastnn.optimizers.schedules import CosineDecay

KINDS = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
         "boot")  # fmt: skip
DEPTH, EPOCHS, BATCH = 8, 20, 64
RATE, DECAY, WARMUP = 3e-3, 0.05, 0.15  # a part of the steps, in which the rate rises
MOVED = 2  # pixels, at most
BAR = 0.88  # with the whole set
FILE = "fashion_mnist*.npz"
HELD = (
    "x_train and x_test, bytes (N, H, W), and y_train and y_test, their kinds from 0 to "
    f"{len(KINDS) - 1}"
)


def read(path: Path) -> list[np.ndarray]:
    """Images and kinds, to learn from and for testing."""
    with reading(path, HELD):
        found = np.load(path)
        x, y, x_test, y_test = arrays = [
            found[f"{a}_{part}"] for part in ("train", "test") for a in "xy"
        ]
        for images, kinds in ((x, y), (x_test, y_test)):
            of_images = images.dtype == np.uint8 and images.ndim == 3 and images.size > 0
            if not of_images or images.shape[1:] != x.shape[1:]:
                raise ValueError(f"images are {images.dtype} {images.shape}")
            if kinds.dtype.kind not in "iu" or kinds.shape != images.shape[:1]:
                raise ValueError(f"kinds of {len(images)} images are {kinds.dtype} {kinds.shape}")
            if not 0 <= kinds.min() <= kinds.max() < len(KINDS):
                raise ValueError(f"kinds go from {kinds.min()} to {kinds.max()}")
    return arrays


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images (N, H, W, 1), flipped or not, and moved by up to MOVED pixels."""
    number, height, width, _ = images.shape
    wider = np.pad(images, ((0, 0), (MOVED, MOVED), (MOVED, MOVED), (0, 0)))
    down, right = rng.integers(0, 2 * MOVED + 1, (2, number, 1))
    rows, columns = down + np.arange(height), right + np.arange(width)
    columns = np.where(rng.random((number, 1)) < 0.5, columns[:, ::-1], columns)
    return wider[np.arange(number)[:, None, None], rows[:, :, None], columns[:, None, :]]


def main() -> None:
    given = start(__doc__, "fashion_mnist", FILE)
    x, y, x_test, y_test = read(next(given.data.glob(FILE)))
    x, x_test = (np.float32(images[..., None]) / 255 for images in (x, x_test))
    epochs = 1 if given.quick else EPOCHS
    steps = epochs * -(-len(x) // BATCH)

    model = ResNet.small(DEPTH, len(KINDS), x.shape[1:])
    warmup = int(WARMUP * steps)
    rate = CosineDecay(
        RATE / 25, steps - warmup, alpha=0.01, warmup_target=RATE, warmup_steps=warmup
    )
    optimizer = AdamW(rate, DECAY)
    optimizer.exclude_from_weight_decay([v for v in model.weights if v.ndim < 2])
    model.compile(optimizer, SparseCategoricalCrossentropy(from_logits=True), ["accuracy"])
    print(f"{model.count_params():,} weights, {len(x):,} images, {steps:,} steps of {BATCH}")
    print("epoch    loss  accuracy  of the test", flush=True)
    rng, began = np.random.default_rng(given.seed), time.perf_counter()
    for epoch in range(epochs):
        history = model.fit(moved(x, rng), y, BATCH, epoch + 1, initial_epoch=epoch, verbose=0)
        expect_whole(history)
        _, accuracy = model.evaluate(x_test, y_test, verbose=0)
        losses, learned = (history.history[name][-1] for name in ("loss", "accuracy"))
        print(f"{epoch + 1:5}  {losses:6.3f}  {learned:8.3f}  {accuracy:11.3f}", flush=True)
    seconds = time.perf_counter() - began

    right = model.predict(x_test).argmax(axis=1) == y_test
    for number, kind in enumerate(KINDS):
        print(f"{kind:9} {right[y_test == number].mean():.3f}")
    save(model, "resnet")
    finish("resnet", "test accuracy", right.mean(), BAR, seconds, steps)


if __name__ == "__main__":
    main()
