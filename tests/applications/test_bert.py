"""BERT: what it computes and learns is what Hugging Face's transformers does."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.applications import BERT, BERTClassifier, BERTMaskedLM
from fastnn.callbacks import BackupAndRestore, Callback

from .goldens import make_bert

GOLDEN = Path(__file__).parent / "goldens" / "bert.npz"
HEADS = {"masked": (BERTMaskedLM, "labels", -100), "classifier": (BERTClassifier, "classes", None)}


@cache
def golden():
    with np.load(GOLDEN) as found:
        return dict(found)


def model_of(arrays, head):
    state = f"{head}/state/"
    weights = {n.removeprefix(state): a for n, a in arrays.items() if n.startswith(state)}
    return HEADS[head][0].from_huggingface(make_bert.CONFIG, weights)


def inputs_of(arrays):
    return {
        "input_ids": arrays["input_ids"],
        "attention_mask": arrays["attention_mask"],
        "token_type_ids": arrays["token_type_ids"],
    }


def huggingface_names(path):
    """Those of a weight's parts."""
    *layer, part = path.split("/")
    name = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
    found = ".".join([*layer, name.get(part, part)])
    if "attention.self" not in found:
        return [found]
    return [found.replace("self", f"self.{of}") for of in ("query", "key", "value")]


def check_parity(arrays, head):
    model = model_of(arrays, head)
    _, labels, ignored = HEADS[head]
    crossentropy = fastnn.losses.SparseCategoricalCrossentropy(True, ignored)
    x, y = inputs_of(arrays), arrays[labels]
    logits = model(x)
    seen = arrays["attention_mask"] > 0 if head == "masked" else slice(None)
    np.testing.assert_allclose(logits.numpy()[seen], arrays[f"{head}/logits"][seen], 0, 1e-5)
    loss = crossentropy(y, logits)
    loss.backward()
    norms = {n.split("/")[-1]: v for n, v in arrays.items() if n.startswith(f"{head}/norm/")}
    for path, variable in fastnn.weights.named(model).items():
        names = huggingface_names(path)
        gradient = variable.gradient.numpy()
        for name, part in zip(names, np.split(gradient, len(names), axis=-1), strict=True):
            np.testing.assert_allclose(np.linalg.norm(part), norms.pop(name), 1e-4, 1e-6, name)
        variable.gradient = None
    assert not norms
    optimizer = fastnn.optimizers.AdamW(
        make_bert.RATE, make_bert.DECAY, epsilon=1e-8, epsilon_after_correction=True
    )
    model.compile(optimizer, crossentropy)
    losses = [model.train_on_batch(x, y) for _ in range(make_bert.STEPS)]
    np.testing.assert_allclose(losses, arrays[f"{head}/losses"], 1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_a_tiny_model_computes_and_learns_what_hugging_faces_does(head):
    check_parity(golden(), head)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="compares with it")
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("seed", [1, 2])
def test_other_models(head, seed):
    check_parity(make_bert.golden(seed), head)


def small(seed=0, dropout=0.1):
    fastnn.utils.set_random_seed(seed)
    return BERT(50, 8, 2, 2, 12, dropout=dropout, max_position_embeddings=9)


def masked_rows(count=12):
    """Token ids, padded, and which of them to predict."""
    rng = np.random.default_rng(0)
    ids = np.where(
        np.arange(9) < rng.integers(4, 10, (count, 1)), rng.integers(1, 50, (count, 9)), 0
    )
    places = rng.integers(0, 4, (count, 2))
    labels = np.where(rng.random((count, 2)) < 0.8, np.take_along_axis(ids, places, 1), -1)
    return {"input_ids": ids, "masked_positions": places}, labels


CROSSENTROPY = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)


def test_padding_changes_no_logit_of_a_token():
    ids = masked_rows()[0]["input_ids"][:, :5]
    model = BERTMaskedLM(small())
    alone = model.predict(ids)
    longer = np.pad(ids, ((0, 0), (0, 4)))
    np.testing.assert_allclose(model.predict(longer)[:, :5], alone, 0, 1e-6)
    other = np.where(longer == 0, 7, longer)  # whatever stands there
    mask = {"input_ids": other, "attention_mask": longer != 0}
    is_token = longer != 0
    np.testing.assert_array_equal(model.predict(mask)[is_token], model.predict(longer)[is_token])
    classifier = BERTClassifier(model.backbone, 3)
    np.testing.assert_allclose(classifier.predict(longer), classifier.predict(ids), 0, 1e-6)


def test_logits_of_masked_places_are_those_of_all():
    x, _ = masked_rows()
    model = BERTMaskedLM(small())
    everywhere = model.predict(x["input_ids"])
    there = np.take_along_axis(everywhere, x["masked_positions"][:, :, None], 1)
    np.testing.assert_allclose(model.predict(x), there, 0, 1e-6)


class Stop(Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyError("stop")


def trained(seed=0, threads=1, callbacks=()):
    """Three epochs, with dropout."""
    fastnn.set_threads(threads)
    model = BERTMaskedLM(small(seed))
    model.compile("adam", CROSSENTROPY)
    x, labels = masked_rows()
    model.fit(x, labels, 4, 3, verbose=0, callbacks=list(callbacks))
    return model


def test_the_same_bits_by_two_threads_and_stopped_and_resumed(tmp_path):
    expected = trained().get_weights()
    with pytest.raises(KeyError, match="stop"):
        trained(callbacks=[BackupAndRestore(tmp_path), Stop()])
    resumed = trained(seed=5, callbacks=[BackupAndRestore(tmp_path)])
    for found in (trained(threads=2), resumed):
        for one, other in zip(found.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_saved_one_is_loaded(tmp_path):
    x, _ = masked_rows()
    for model in (BERTMaskedLM(small()), BERTClassifier(small(), 3)):
        model.save(tmp_path / "bert.fastnn")
        again = fastnn.load_model(tmp_path / "bert.fastnn")
        assert type(again) is type(model)
        assert again.get_config() == model.get_config()
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
    double = BERTClassifier(BERT(50, 8, 2, 2, 12, dtype="float64"), 3)
    assert {v.dtype.name for v in double.weights} == {"float64"}
    assert double.predict(x).dtype == "float64"
    assert again.count_params() == model.count_params() == 1568 + 72 + 27


def test_a_functional_model_of_it_takes_texts_of_any_length():
    ids = fastnn.Input((None,), dtype="int32")
    places = fastnn.Input((2,), dtype="int32")
    encoder = small()
    masked, classes = BERTMaskedLM(encoder), BERTClassifier(encoder, 3)
    words = {"input_ids": ids, "masked_positions": places}
    model = fastnn.Model([ids, places], [encoder(ids), masked(words), classes(ids), masked(ids)])
    assert model.output_shape == [(None, None, 8), (None, 2, 50), (None, 3), (None, None, 50)]
    for time in (2, 5):
        x, at = np.arange(3 * time).reshape(3, time), np.array([[0, 1]] * 3)
        found = model.predict([x, at])
        given = {"input_ids": x, "masked_positions": at}
        expected = encoder(x), masked(given), classes(x), masked(x)
        for y, e in zip(found, expected, strict=True):
            np.testing.assert_array_equal(y, e.numpy())


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"input_ids": np.full((2, 4), 50)}, IndexError, "out of range"),
        ({"input_ids": np.ones((2, 10))}, ValueError, "max_position_embeddings"),
        ({"masked_positions": np.full((2, 1), 4)}, IndexError, "out of range"),
        ({"padding": np.ones((2, 4))}, ValueError, "attention_mask"),
        ({"token_type_ids": np.full((2, 4), 2)}, IndexError, "out of range"),
    ],
)
def test_wrong_inputs_are_refused(change, error, text):
    model = BERTMaskedLM(small())
    with pytest.raises(error, match=text):
        model({"input_ids": np.ones((2, 4)), **change})


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="num_attention_heads"):
        BERT(50, 8, 2, 3, 12)
    for sizes in ((50, 8, 2**62), (2**50, 8, 2), (50, 2**40, 2)):
        with pytest.raises(ValueError, match="BERT: its sizes make some"):
            BERT(*sizes, 2, 12)
    with pytest.raises(TypeError, match="backbone must be a BERT; got 50"):
        BERTMaskedLM(50)
    arrays = {n.removeprefix("masked/state/"): a for n, a in golden().items() if "masked/s" in n}
    for change, error, text in [
        ({"num_hidden_layers": 3}, ValueError, "layer.2"),
        ({"num_hidden_layers": 1}, ValueError, "more blocks"),
        ({"vocab_size": 41}, ValueError, "predictions.bias"),
        ({"layer_norm_eps": 1e-5}, ValueError, "layer_norm_eps"),
    ]:
        with pytest.raises(error, match=text):
            BERTMaskedLM.from_huggingface({**make_bert.CONFIG, **change}, arrays)
