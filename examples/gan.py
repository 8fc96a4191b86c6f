"""A generative adversarial network learns to draw the handwritten digits of scikit-learn.

    python examples/gan.py [--seed N] [--device cpu|cuda] [--quick]

It shows how training goes and what is drawn, and writes gan.fastnn, the generator, and gan.png. The
distance is Frechet's, between the normal distributions with the means and covariances of the
pixels of 2,000 drawn digits and of the data. Which digits are drawn is told by a logistic
regression that has learned the data.
"""

import sys
import time

import numpy as np
from common import expect_whole, finish, save, save_png, start

from fastnn import layers
from fastnn.applications import GAN, dense_discriminator, dense_generator
from fastnn.callbacks import Callback
from fastnn.models import Sequential
from fastnn.optimizers import Adam
from fastnn.optimizers.schedules import CosineDecay

EPOCHS, QUICK_EPOCHS, LINES, BATCH, RATE = 200, 10, 10, 64, 1e-3
DRAWN, SIDE, MOST = 2000, 8, 0.25  # of a kind of digit at most this share
BAR = 2.0
SHADES = " .:-=+*#%@"


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|m_a - m_b|^2 + tr(A + B - 2 (A B)^1/2), of the means m and covariances A, B of rows."""
    a, b = (rows.astype(np.float64) for rows in (a, b))
    apart, (of_a, of_b) = a.mean(0) - b.mean(0), (np.cov(rows.T) for rows in (a, b))
    values, vectors = np.linalg.eigh(of_a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T  # the eigenvalues of A B are root B root's
    both = np.sqrt(np.linalg.eigvalsh(root @ of_b @ root).clip(0)).sum()
    return float(apart @ apart + np.trace(of_a) + np.trace(of_b) - 2 * both)


def logistic_regression(x: np.ndarray, digits: np.ndarray) -> Sequential:
    """Probabilities of digits, of rows of pixels."""
    model = Sequential([layers.Input(x.shape[1:]), layers.Dense(10, activation="softmax")])
    model.compile(Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
    expect_whole(model.fit(x, digits, epochs=50, verbose=0))
    print(f"the digits are told apart: {model.evaluate(x, digits, verbose=0)[1]:.1%}")
    return model


def beside(images: np.ndarray) -> np.ndarray:
    """Images (rows, columns, 8, 8) as one."""
    rows, columns = images.shape[:2]
    edged = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return edged.transpose(0, 2, 1, 3).reshape(rows * (SIDE + 2), columns * (SIDE + 2))


def as_text(image: np.ndarray) -> str:
    """Pixels from 0 to 1 as characters, two of them wide."""
    shades = np.array(list(SHADES))[np.rint(image * (len(SHADES) - 1)).astype(int)]
    return "\n".join("".join(np.repeat(line, 2)).rstrip() for line in shades)


class Progress(Callback):
    """A line of every so many epochs."""

    def __init__(self, x: np.ndarray, every: int):
        super().__init__()
        self.x, self.every = x, every
        print("epoch  discriminator  generator  distance", flush=True)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.every == 0 and logs is not None:
            distance = frechet_distance(self.model.draw(DRAWN, seed=0), self.x)
            print(
                f"{epoch + 1:5}  {logs['d_loss']:13.3f}  {logs['g_loss']:9.3f}  {distance:8.2f}",
                flush=True,
            )


def main() -> None:
    given = start(__doc__)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        sys.exit("the digits come with scikit-learn: pip install 'fastnn-numba[sklearn]'")
    x, digits = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    tells = logistic_regression(x, digits)

    epochs = QUICK_EPOCHS if given.quick else EPOCHS
    steps = epochs * -(-len(x) // BATCH)
    gan = GAN(dense_generator(SIDE * SIDE), dense_discriminator(SIDE * SIDE))
    gan.compile(*[Adam(CosineDecay(RATE, steps, alpha=0.02), beta_1=0.5) for _ in range(2)])
    print(f"{gan.count_params():,} weights, {steps:,} steps of {BATCH} digits")
    began = time.perf_counter()
    history = gan.fit(
        x, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[Progress(x, epochs // LINES)]
    )
    seconds = time.perf_counter() - began
    expect_whole(history)

    drawn = gan.draw(DRAWN, seed=given.seed)
    seen = tells.predict(drawn).argmax(axis=1)
    shares = np.bincount(seen, minlength=10) / DRAWN
    images = drawn.reshape(-1, SIDE, SIDE)
    shown = np.array([images[np.resize(np.flatnonzero(seen == d), 8)] for d in np.unique(seen)])
    print(as_text(beside(shown[:5, :1].swapaxes(0, 1))))
    print(as_text(beside(shown[5:, :1].swapaxes(0, 1))))
    print("digit  " + "  ".join(f"{d:4}" for d in range(10)))
    print("share  " + "  ".join(f"{share:4.2f}" for share in shares))
    save(gan.generator, "gan")
    save_png("gan.png", np.kron(beside(shown), np.ones((4, 4))))
    finish("gan", "Frechet distance", frechet_distance(drawn, x), BAR, seconds, steps)
    if not given.quick and not (shares.min() > 0 and shares.max() <= MOST):
        sys.exit(f"not every digit is drawn, or one more than {MOST:.0%} of the time")


if __name__ == "__main__":
    main()
