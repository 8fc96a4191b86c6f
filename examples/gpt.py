"""A GPT-2 of 0.8 million weights learns to write like Shakespeare, character by character.

    python examples/gpt.py [--data FOLDER] [--seed N] [--device cpu|cuda] [--quick]

It is trained as nanoGPT's configuration for a CPU: 4 layers, 4 heads, 128 wide, contexts of 64,
batches of 12, 2,000 steps. Validation is of all of the last tenth of the text, in contexts that
follow each other. The model is written to gpt.fastnn, its characters to gpt.json.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import expect_whole, finish, reading, save, start

import fastnn

CONTEXT, BATCH, STEPS, EPOCHS = 64, 12, 2000, 10
LEAST = 10 * (CONTEXT + 1)  # characters: one context of them is held out
BAR = 1.92  # nats a character, with the whole of tinyshakespeare; nanoGPT reaches 1.88
RATE, LAST_RATE, WARMUP = 1e-3, 1e-4, 100


def windows(tokens: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Contexts that begin at these places, and the token after each of theirs."""
    places = starts[:, None] + np.arange(CONTEXT)
    return tokens[places], tokens[places + 1]


def batches(tokens: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Contexts from anywhere in the text, without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield windows(tokens, rng.integers(len(tokens) - CONTEXT, size=BATCH))


def read(path: Path) -> str:
    with reading(path, f"text in UTF-8, at least {LEAST} characters"):
        text = path.read_text(encoding="utf-8")
        if len(text) < LEAST:
            raise ValueError(f"it has {len(text)}")
    return text


def main() -> None:
    given = start(__doc__, "tinyshakespeare", "input.txt")
    text = read(given.data / "input.txt")
    characters = sorted(set(text))
    tokens = np.searchsorted(characters, list(text))
    train, held_out = np.split(tokens, [int(0.9 * len(tokens))])
    validation = windows(held_out, np.arange(0, len(held_out) - CONTEXT, CONTEXT))
    steps = 30 if given.quick else STEPS
    print(f"{len(train):,} characters to learn from, {len(held_out):,} held out")

    model = fastnn.applications.GPT2(
        len(characters), CONTEXT, n_embd=128, n_layer=4, n_head=4, dropout=0.0
    )
    warmup = min(WARMUP, steps // 10)
    rate = fastnn.optimizers.schedules.CosineDecay(
        RATE / warmup, steps - warmup, LAST_RATE / RATE, warmup_target=RATE, warmup_steps=warmup
    )
    optimizer = fastnn.optimizers.AdamW(rate, 0.1, beta_2=0.99, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay([v for v in model.weights if v.ndim < 2])
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)

    begin = time.perf_counter()
    history = model.fit(
        batches(train, given.seed),
        epochs=EPOCHS,
        steps_per_epoch=steps // EPOCHS,
        validation_data=validation,
        validation_freq=EPOCHS if given.quick else 1,
        verbose=2,
    )
    seconds = time.perf_counter() - begin
    expect_whole(history)

    prompt = [characters.index("\n")] if "\n" in characters else tokens[:1]
    written = model.generate(prompt, 500, top_k=40, seed=given.seed)
    print("".join(np.array(characters)[written]))
    save(model, "gpt", characters)
    value = history.history["val_loss"][-1]
    finish("gpt", "validation, nats a character", value, BAR, seconds, steps)


if __name__ == "__main__":
    main()
