"""Texts that a model continues token by token, keeping the keys and values of what it has read."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import checks, ops, random
from fastnn.apply import apply
from fastnn.autograd import no_grad
from fastnn.devices.arena import Arena
from fastnn.devices.base import StepFailed
from fastnn.devices.cpu.autotune import Autotuner
from fastnn.errors import DTypeError, NotFiniteError, ShapeError
from fastnn.ops.metrics import collect
from fastnn.ops.updates import check_finite
from fastnn.recording import record
from fastnn.tensor import Tensor
from fastnn.training.on_batch import expect_no_recording
from fastnn.variable import Variable

if TYPE_CHECKING:
    from .gpt import GPT2

CHUNK = 32  # tokens of a prompt that are read at once
EPOCHS = 1 << 60  # of a program: for ever


class Reader:
    """What a model has read of one text: of each block the keys and values (n_positions, n_embd).
    Its steps are recorded: reading is one native call, writing one for each token, without Python
    between them, since token and place are variables too."""

    def __init__(self, model: "GPT2", temperature: float = 1.0, top_k: int | None = None):
        self.model, self.temperature, self.top_k = model, temperature, top_k
        self.device = model.device
        arena, length = Arena(), model.n_positions

        def zeros(dtype, *shape):
            return Variable(np.zeros(shape), dtype=dtype, trainable=False, arena=arena)

        self.kept = [[zeros(model.dtype, length, model.n_embd) for _ in "kv"] for _ in model.h]
        self.text, self.place = zeros("int64", length + 1), zeros("int64", 1)
        self.draws = zeros(model.dtype, length)
        self.read, self._step = record(self._logits), record(self._next)

    def _logits(self, tokens: Any, position: Any) -> Tensor:
        """Of the last of the tokens (T,), which stand from a position (1,) on: (1, vocab_size)."""
        model, places = self.model, position + np.arange(tokens.shape[0])
        with no_grad():
            x = ops.expand_dims(model.wte(tokens) + model.wpe(places), 0)
            for block, kept in zip(model.h, self.kept, strict=True):
                x = block(x, keep=partial(_keep, kept, position, places))
            return model.logits(x[:, -1])

    def _next(self) -> None:
        """Write the token that follows the one at `place`, the likeliest or the one at which the
        sum of probabilities passes the share of all that was drawn, and step there."""
        logits = self._logits(ops.take(self.text, self.place, axis=0), self.place)
        apply(check_finite, (logits.flat(),), {})
        if self.temperature == 0:
            token = ops.argmax(logits, axis=-1)
        else:
            if self.top_k is not None:
                least = ops.top_k(logits, self.top_k)[0][:, -1:]
                logits = ops.where(logits < least, -np.inf, logits)
            logits = logits - ops.max(logits, axis=-1, keepdims=True)  # so that none overflows
            sums = ops.cumsum(ops.softmax(logits / self.temperature), axis=-1)
            share = ops.take(self.draws, self.place, axis=0) * sums[:, -1:]
            # none of those at the end that add nothing
            token = ops.sum((sums <= share) & (sums < sums[:, -1:]), axis=-1)
        place = self.place + 1
        apply(collect, (ops.cast(token, "int64"), place), {}, (self.text,))
        self.place.assign(place)

    def write(self, text: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """As many tokens as there are draws, that go on from a text (T,), which is read first."""
        last, done = len(text) - 1, 0
        while done < last:
            count = CHUNK if last - done >= CHUNK else 1
            self.read(text[done : done + count], np.array([done]))
            done += count
        self.place.assign([last])
        for variable, values in ((self.text, text[last:]), (self.draws, draws)):
            whole = np.zeros(variable.shape, variable.dtype)
            whole[last : last + len(values)] = values
            variable.assign(whole)
        recording, left = self._step.recording(), len(draws)
        recording.program.rewind()
        autotuner = Autotuner(recording.program)
        try:
            while left > 0:  # in slices, between which Ctrl-C is heard
                left -= autotuner.run(EPOCHS, left)
        except StepFailed as failed:
            error = failed.error()
            if isinstance(error, NotFiniteError):
                error = NotFiniteError("generate: logits are not finite; are the model's weights?")
            raise error from None
        return self.text.numpy()[len(text) : len(text) + len(draws)]


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
    expect_no_recording("generate")
    text = _tokens(prompt, model.vocab_size)
    count = checks.whole_number("generate: max_new_tokens", max_new_tokens, 0)
    temperature = checks.not_negative("generate: temperature", temperature)
    info = np.finfo(model.dtype)  # beyond whose numbers the limits are reached
    temperature = 0.0 if temperature < float(info.tiny) else min(temperature, float(info.max))
    if top_k is not None:
        top_k = min(checks.whole_number("generate: top_k", top_k, 1), model.vocab_size)
    draws = random.uniform((count,), seed=seed).numpy()
    reader, longest = _reader(model, temperature, top_k), model.n_positions
    while len(draws):
        seen = text if len(text) <= longest else text[-max(1, longest // 2) :]
        now, draws = np.split(draws, [longest + 1 - len(seen)])
        text = np.concatenate([text, reader.write(seen, now)])
    model._text_readers[:] = [reader]
    return text


def _reader(model, temperature, top_k):
    """That of the last text, if it fits and no other thread has it, or a new one."""
    try:
        reader = model._text_readers.pop()
    except IndexError:
        return Reader(model, temperature, top_k)
    wanted = temperature, top_k, model.device
    is_alike = (reader.temperature, reader.top_k, reader.device) == wanted
    return reader if is_alike else Reader(model, temperature, top_k)


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
