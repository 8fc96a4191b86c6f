"""GPT-2: what it sees, what it keeps, what it writes."""

import copy
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn.applications import GPT2
from fastnn.applications.generation import Reader
from fastnn.errors import DTypeError, RecordingError, ShapeError

TOKENS = np.random.default_rng(0).integers(0, 11, (3, 8))


def small(dropout=0.0, **given):
    fastnn.utils.set_random_seed(0)
    return GPT2(
        **{"vocab_size": 11, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3} | given,
        dropout=dropout,
    )


def compiled(model):
    optimizer = fastnn.optimizers.AdamW(1e-2, 0.1, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay([v for v in model.weights if v.ndim < 2])
    model.compile(optimizer, fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def test_a_later_token_changes_no_earlier_logit():
    model = small()
    before = model.predict(TOKENS)
    for place in range(8):
        changed = TOKENS.copy()
        changed[:, place] = (changed[:, place] + 1) % 11
        after = model.predict(changed)
        assert (after[:, :place] == before[:, :place]).all()
        assert (after[:, place:] != before[:, place:]).any(axis=-1).all()


def test_a_saved_model_is_loaded_by_a_process_that_knows_nothing_of_it(tmp_path):
    model = small()
    model.save(tmp_path / "gpt.fastnn")
    np.save(tmp_path / "tokens.npy", TOKENS)
    program = (
        "import numpy as np, fastnn\n"
        "model = fastnn.load_model('gpt.fastnn')\n"
        "np.save('logits.npy', model.predict(np.load('tokens.npy')))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    assert (np.load(tmp_path / "logits.npy") == model.predict(TOKENS)).all()
    again = GPT2.from_config(model.get_config())
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]


# ---- writing


def test_logits_of_a_text_read_in_parts_are_those_of_the_whole():
    model, text = small(), TOKENS[0]
    reader, whole = Reader(model), model.predict(text[None])[0]
    for start, stop in [(0, 3), (3, 4), (4, 8)]:
        (found,) = reader.read(text[start:stop], np.array([start])).numpy()
        np.testing.assert_allclose(found, whole[stop - 1], atol=1e-6)


def test_what_is_written_follows_from_the_seed():
    model, prompt = small(initializer_range=0.5), [1, 2]
    texts = [model.generate(prompt, 30, seed=seed) for seed in (0, 0, 1)]
    assert texts[0].shape == (32,)
    assert texts[0][:2].tolist() == prompt
    assert (texts[0] == texts[1]).all()
    assert (texts[0] != texts[2]).any()
    assert 0 <= texts[0].min() <= texts[0].max() < 11


def test_a_second_text_is_recorded_no_more_and_sees_new_weights(recordings):
    model = compiled(small(initializer_range=0.5))
    first = model.generate(TOKENS[0, :4], 9, seed=0)
    before = len(recordings)
    assert (model.generate(TOKENS[0, :4], 9, seed=0) == first).all()
    assert len(recordings) == before
    model.fit(TOKENS, np.roll(TOKENS, -1, 1), epochs=5, verbose=0)
    again = model.generate(TOKENS[0, :4], 9, seed=0)
    assert (again != first).any()
    copied = copy.deepcopy(model)
    assert (copied.generate(TOKENS[0, :4], 9, seed=0) == again).all()
    assert (model.generate(TOKENS[0, :4], 9, temperature=0.1, seed=0) != again).any()


def test_the_likeliest_token_is_taken_without_heat_or_of_one():
    model = small(initializer_range=0.5)
    cold = model.generate([1, 2], 6, temperature=0)
    for n in range(2, 8):
        assert cold[n] == model.predict(cold[None, :n])[0, -1].argmax()
    for given in ({"top_k": 1}, {"temperature": 1e-30}, {"temperature": 1e-60}):
        assert (model.generate([1, 2], 6, **given) == cold).all()


def test_at_any_heat_all_that_are_allowed_are_alike():
    """Those that tie with the last of the likeliest are; nothing warns of numbers out of range."""
    model = small(initializer_range=0.5)
    for heat in (1e30, 1e300):
        drawn = model.generate([1], 400, temperature=heat, seed=0)[1:]
        assert np.bincount(drawn, minlength=11).min() > 15
        allowed = np.argsort(model.predict(np.array([[1]]))[0, 0])[-3:]
        texts = [model.generate([1], 1, temperature=heat, top_k=3, seed=s)[1] for s in range(60)]
        assert {*texts} == {*allowed}
    model.wte.embeddings.assign(np.zeros(model.wte.embeddings.shape))  # all logits are the same
    assert len({*model.generate([1], 200, top_k=2, seed=0)}) == 11


def test_a_long_text_is_seen_from_its_last_half_context_on():
    model = small(initializer_range=0.5)
    long = model.generate(TOKENS[0], 1, temperature=0)
    assert long[8] == model.predict(TOKENS[:1])[0, -1].argmax()
    longer = model.generate(long, 1, temperature=0)  # 9 tokens: the last 4 are seen
    assert longer[9] == model.predict(long[None, -4:])[0, -1].argmax()


def test_models_of_float64_write():
    model = small(dtype="float64", initializer_range=0.5)
    text = model.generate([1, 2], 6, temperature=0)
    assert text[-1] == model.predict(text[None, :-1])[0, -1].argmax()
    assert model.generate([1], 4, seed=0).shape == (5,)


def test_a_model_is_part_of_a_functional_one(tmp_path):
    tokens = fastnn.Input((None,), dtype="int64")
    model = fastnn.Model(tokens, fastnn.layers.Softmax()(small()(tokens)))
    assert model.output_shape == (None, None, 11)
    for length in (3, 8):
        assert model.predict(TOKENS[:, :length]).shape == (3, length, 11)
    model.save(tmp_path / "m.fastnn")
    again = fastnn.load_model(tmp_path / "m.fastnn")
    assert (again.predict(TOKENS) == model.predict(TOKENS)).all()


def test_a_callback_may_write():
    model, texts = compiled(small()), []
    write = fastnn.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: texts.append(model.generate([1], 5, seed=0))
    )
    model.fit(TOKENS, np.roll(TOKENS, -1, 1), epochs=2, verbose=0, callbacks=[write])
    assert len(texts) == 2
    assert (texts[-1] == model.generate([1], 5, seed=0)).all()


def test_logits_that_are_not_finite_write_nothing():
    model = small()
    model.wpe.embeddings.assign(np.nan)
    with pytest.raises(FloatingPointError, match="generate: logits are not finite"):
        model.generate([1, 2], 3)
    with pytest.raises(RecordingError, match="generate: called while"):
        fastnn.record(lambda x: model.generate([1], 1))(1.0)


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        (([], 1), ShapeError, "at least 1"),
        (([[1]], 1), ShapeError, "at least 1"),
        (([1.0], 1), DTypeError, "whole numbers"),
        (([1, 11], 1), IndexError, "from 0 to 10; got 11"),
        (([-1], 1), IndexError, "got -1"),
        (([1], -1), ValueError, "max_new_tokens"),
        (([1], 1, -1.0), ValueError, "temperature"),
        (([1], 1, 1.0, 0), ValueError, "top_k"),
    ],
)
def test_what_cannot_be_continued_is_refused(arguments, error, told):
    with pytest.raises(error, match=told):
        small().generate(*arguments)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"n_head": 5}, "n_head must divide n_embd; got 5 and 12"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"dropout": 1.5}, "dropout"),
    ],
)
def test_what_is_no_model_is_refused(given, told):
    with pytest.raises(ValueError, match=told):
        small(**given)


def test_what_is_no_text_is_refused():
    with pytest.raises(ShapeError, match=r"from 1 to 8, its n_positions.*got .*9"):
        small()(np.zeros((2, 9), int))
    with pytest.raises(IndexError, match=r"wte.*(0, 1)"):
        small()([[0, 11]])


# ---- training


def test_one_thread_or_two_give_the_same_bits():
    found = []
    for threads in (1, 2):
        fastnn.set_threads(threads)
        model = compiled(small(dropout=0.1))
        model.fit(TOKENS, np.roll(TOKENS, -1, 1), batch_size=2, epochs=3, verbose=0)
        found.append(model.get_weights())
    fastnn.set_threads(None)
    assert all((a == b).all() for a, b in zip(*found, strict=True))


def test_training_that_was_stopped_goes_on_with_the_same_bits(tmp_path):
    class Stop(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise RuntimeError("stopped")

    def train(*callbacks):
        model = compiled(small(dropout=0.1))
        model.fit(
            TOKENS, np.roll(TOKENS, -1, 1), batch_size=2, epochs=4, verbose=0, callbacks=callbacks
        )
        return model.get_weights()

    backup = fastnn.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(RuntimeError, match="stopped"):
        train(backup, Stop())
    resumed, whole = train(backup), train()
    assert all((a == b).all() for a, b in zip(resumed, whole, strict=True))
