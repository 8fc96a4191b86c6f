"""Texts that a model continues token by token, keeping the keys and values of what it has read."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks, ops, random
from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.devices.arena import Arena
from fastnn.errors import DTypeError, ShapeError
from fastnn.ops.metrics import collect
from fastnn.recording import record
from fastnn.tensor import Tensor
from fastnn.variable import Variable

if TYPE_CHECKING:
    from .gpt import GPT2

CHUNK = 32  # tokens that are read at once


class Reader:
    """What a model has read of one text: the keys and values of each block, (n_positions, n_embd).
    Its steps are recorded: each is one native call, whatever the place in the text."""

    def __init__(self, model: "GPT2"):
        empty, arena = np.zeros((model.n_positions, model.n_embd), model.dtype), Arena()
        self.model = model
        self.kept = [
            [Variable(empty, trainable=False, arena=arena) for _ in range(2)] for _ in model.h
        ]
        self.read, self.next = record(self.logits), record(self.token)

    def logits(self, tokens: Any, position: Any) -> Tensor:
        """Of each of the tokens (T,), which stand from a position (1,) on: (T, vocab_size)."""
        model, places = self.model, position + np.arange(tokens.shape[0])
        with no_grad():
            x = ops.expand_dims(model.wte(tokens) + model.wpe(places), 0)
            for block, kept in zip(model.h, self.kept, strict=True):
                x = block(x, keep=partial(_keep, kept, position, places))
            return ops.squeeze(model.logits(x), 0)

    def token(self, tokens: Any, position: Any, temperature: Any, draw: Any, top_k: Any) -> Tensor:
        """The token after those: the likeliest for temperature None, or the one at which the sum of
        probabilities passes the share `draw` of all, both (1,)."""
        with no_grad():
            logits = self.logits(tokens, position)[-1]
            if temperature is None:
                return ops.argmax(logits)
            if top_k is not None:
                least = ops.top_k(logits, top_k)[0][-1:]
                logits = ops.where(logits < least, -np.inf, logits)
            sums = ops.cumsum(ops.softmax(logits / temperature), axis=0)
            return ops.sum(sums[:-1] <= draw * sums[-1:])


def _keep(kept, position, places, *new):
    """Put new keys and values (1, T, C) into those kept, (L, C), from a position on: all of them,
    as (1, L, C), and which of the L each of the T may see, those up to its own."""
    for rows, added in zip(kept, new, strict=True):
        apply(collect, (ops.squeeze(added, 0), position), {}, (rows,))
    seen = np.arange(kept[0].shape[0]) <= ops.reshape(places, (-1, 1))
    return *[ops.expand_dims(rows, 0) for rows in kept], seen


def generate(
    model: "GPT2", prompt: Any, max_new_tokens: int, temperature: float, top_k: Any, seed: Any
) -> np.ndarray:
    """See `GPT2.generate`."""
    text = _tokens(prompt, model.vocab_size)
    count = checks.whole_number("generate: max_new_tokens", max_new_tokens, 0)
    heat = checks.not_negative("generate: temperature", temperature)
    if top_k is not None:
        top_k = min(checks.whole_number("generate: top_k", top_k, 1), model.vocab_size)
    draws = random.uniform((count, 1), seed=seed).numpy()
    reader, divisor = Reader(model), np.array([heat], draws.dtype) if heat else None
    done, start, read = len(text), 0, 0
    text = np.concatenate([text, np.zeros(count, np.int64)])
    for draw in draws:
        if done - start > model.n_positions:
            start = read = done - max(1, model.n_positions // 2)
        while read < done - 1:
            new = CHUNK if done - 1 - read >= CHUNK else 1
            reader.read(text[read : read + new], np.array([read - start]))
            read += new
        place = np.array([read - start])
        text[done] = reader.next(text[read:done], place, divisor, draw, top_k).numpy()
        read, done = done, done + 1
    return text


def _tokens(prompt: Any, vocab_size: int) -> np.ndarray:
    """A prompt as a new array, checked."""
    tokens = np.asarray(prompt)
    if tokens.ndim != 1 or not tokens.size:
        raise ShapeError(
            f"generate: the prompt must be tokens, shape (at least 1,); got {tokens.shape}"
        )
    if tokens.dtype.kind not in "iu":
        raise DTypeError(f"generate: the prompt must be whole numbers; got {tokens.dtype}")
    if tokens.min() < 0 or tokens.max() >= vocab_size:
        wrong = int(tokens.min()) if tokens.min() < 0 else int(tokens.max())
        raise IndexError(
            f"generate: tokens of the prompt must be from 0 to {vocab_size - 1}; got {wrong}"
        )
    return tokens.astype(np.int64)
