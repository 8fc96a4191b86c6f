"""A generative adversarial network: a generator draws, and a discriminator tells what is drawn from
what is real. Each learns from the other, in turn:

    discriminator:  minimise  -log D(x) - log(1 - D(G(z)))
    generator:      minimise  -log D(G(z))

x are rows of data; z, of normally distributed numbers, is what the generator makes a row of; D is
the sigmoid of the number that the discriminator gives. Goodfellow et al., "Generative adversarial
networks", 2014; the generator's loss is the one that does not saturate (section 3).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn import losses, ops, optimizers, random
from fastnn.autograd import no_grad
from fastnn.models import Model
from fastnn.tensor import Tensor
from fastnn.utils import unpack_x_y_sample_weight


class GAN(Model, aliases=None):
    """A generator and a discriminator that `fit` trains together.

    generator: a model of rows (N, ...) of noise, as wide as its input. discriminator: a model of
    rows as the generator gives, one number each, (N, 1): above 0 means real. `gan_networks.py` has
    some of both. `fit(x)` takes rows of data alone.

    Each step is two: `discriminator_step`, then `generator_step`, in which the discriminator's
    weights are not trainable. `fit` records both as one; in a loop of one's own each may be
    recorded by itself. A loss or gradient that is not finite raises FloatingPointError: of the
    discriminator's half, nothing has changed; of the generator's, which needs the discriminator as
    it then is, all is as after `discriminator_step`, and the generator's weights as before.

    >>> import fastnn
    >>> from fastnn.applications import GAN, dense_discriminator, dense_generator
    >>> gan = GAN(dense_generator(3, latent_dim=2), dense_discriminator(3))
    >>> gan.compile()
    >>> x = fastnn.random.uniform((64, 3), seed=0).numpy()
    >>> list(gan.fit(x, epochs=2, verbose=0).history)
    ['d_loss', 'g_loss']
    >>> gan.draw(5).shape
    (5, 3)
    """

    def __init__(self, generator: Model, discriminator: Model, **base: Any):
        super().__init__(**base)
        for name, model in (("generator", generator), ("discriminator", discriminator)):
            if not isinstance(model, Model) or getattr(model, "output_shape", None) is None:
                raise TypeError(
                    f"GAN: {name} must be a model whose input's shape is known, as "
                    f"Sequential([Input(...), ...]); got {model!r}"
                )
        drawn, seen = generator.output_shape, discriminator.input_shape
        if drawn != seen or discriminator.output_shape != (None, 1):
            raise ValueError(
                f"GAN: the discriminator must take what the generator gives, {drawn}, and give one "
                f"number a row, (None, 1); it takes {seen} and gives {discriminator.output_shape}"
            )
        self.generator, self.discriminator = generator, discriminator
        self.d_optimizer: Any = None
        self.g_optimizer: Any = None
        self.loss_fn: Any = None

    def compile(  # type: ignore[override]
        self,
        d_optimizer: Any = None,
        g_optimizer: Any = None,
        loss_fn: Any = None,
        run_eagerly: bool = False,
    ) -> None:
        """Say how to train.

        d_optimizer, g_optimizer: of the discriminator and of the generator, both or neither; Adam
        with a learning rate of 0.0002 and beta_1 of 0.5 unless given (Radford et al., 2016).
        loss_fn: of labels, 1 for real and 0 for drawn, and what the discriminator gives; binary
        cross-entropy of logits unless given. Mean squared error makes it a least squares GAN.
        """
        if (d_optimizer is None) != (g_optimizer is None):
            missing = "d_optimizer" if d_optimizer is None else "g_optimizer"
            raise ValueError(
                "GAN: compile takes an optimizer of the discriminator and one of the generator, or "
                f"neither, for the usual ones; got no {missing}"
            )
        super().compile(None, run_eagerly=run_eagerly)
        given = losses.BinaryCrossentropy(from_logits=True) if loss_fn is None else loss_fn
        self.loss_fn = losses.loss_of(given, "GAN: loss_fn")
        found = []
        for name, optimizer, model in (
            ("d_optimizer", d_optimizer, self.discriminator),
            ("g_optimizer", g_optimizer, self.generator),
        ):
            chosen = optimizers.get(optimizer, f"GAN: {name}")
            found.append(optimizers.Adam(2e-4, beta_1=0.5) if chosen is None else chosen)
            found[-1].build(model.trainable_variables)
        self.d_optimizer, self.g_optimizer = found

    @property
    def compiled(self) -> bool:
        return self.d_optimizer is not None

    def compiled_with(self) -> dict[str, Any]:
        names = ("d_optimizer", "g_optimizer", "loss_fn", "run_eagerly")
        return {name: getattr(self, name) for name in names}

    # ---- steps

    def train_step(self, data: Any) -> dict[str, Any]:
        """Both steps, on the rows of a batch."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        if y is not None or sample_weight is not None:
            raise ValueError("GAN: fit takes rows x alone; got targets or weights, too")
        return {"d_loss": self.discriminator_step(x), "g_loss": self.generator_step(x.shape[0])}

    def discriminator_step(self, x: Any) -> Tensor:
        """Teach the discriminator to tell rows x of data from as many drawn ones; its loss."""
        self._expect_compiled("discriminator_step")
        number = x.shape[0]
        with no_grad():
            drawn = self.generator(self._noise(number), training=True)
        y = np.repeat(np.array([[1.0], [0.0]], np.float32), number, axis=0)
        loss = self.loss_fn(y, self.discriminator(ops.concatenate([x, drawn], 0), training=True))
        loss.backward()
        self.d_optimizer.step()
        return loss

    def generator_step(self, number: int) -> Tensor:
        """Teach the generator to draw `number` rows that are taken for real; its loss."""
        self._expect_compiled("generator_step")
        y = np.ones((number, 1), np.float32)
        with frozen(self.discriminator):
            drawn = self.generator(self._noise(number), training=True)
            loss = self.loss_fn(y, self.discriminator(drawn, training=True))
            loss.backward()
        self.g_optimizer.step()
        return loss

    def _expect_compiled(self, what, kind="train"):
        if not self.compiled:
            raise RuntimeError(f"{what}: call compile(d_optimizer, g_optimizer) first")

    def _noise(self, number, seed=None):
        return random.normal((number, *self.generator.input_shape[1:]), seed=seed)

    def draw(self, number: int, seed: int | None = None) -> np.ndarray:
        """Rows that the generator draws. seed: of its noise, for the same rows again."""
        return self.generator.predict(self._noise(number, seed))


@contextmanager
def frozen(model: Model) -> Iterator[None]:
    """Within it a model's weights are not trainable: no gradient of theirs is computed.

    The weights, not the model: batch normalisation whose `trainable` is False would take its
    moving averages instead of the batch's, as in Keras.
    """
    variables = model.trainable_variables
    try:
        for variable in variables:
            variable.trainable = False
        yield
    finally:
        for variable in variables:
            variable.trainable = True
