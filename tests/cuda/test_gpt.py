"""GPT-2 on the GPU's double: what it computes, learns and writes is what it does on the CPU."""

import numpy as np
import pytest

import fastnn
from fastnn.applications import GPT2

TOKENS = np.random.default_rng(0).integers(0, 11, (2, 5))


@pytest.mark.slow
def test_it_learns_and_writes_as_on_the_cpu(gpu):
    found = []
    for device in ("cpu", "cuda"):
        fastnn.utils.set_random_seed(0)
        model = GPT2(11, 6, n_embd=8, n_layer=1, n_head=2, dropout=0.1, initializer_range=0.3)
        model.to(device)
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(fastnn.optimizers.AdamW(1e-2, global_clipnorm=1.0), loss)
        model.fit(TOKENS, np.roll(TOKENS, -1, 1), epochs=1, verbose=0)
        found.append((model.predict(TOKENS), model.generate([1, 2], 6, temperature=0)))
    (logits, text), (others, written) = found
    np.testing.assert_allclose(logits, others, atol=1e-4)
    assert (text == written).all()
