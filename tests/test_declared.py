"""What constructors and calls say of their arguments is held to, and errors name the class that was
called."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.declared import declared_by
from fastnn.registry import _kinds

X = np.ones((2, 3), np.float32)
CLASSES = {
    f"{kind.module}.{name}": cls
    for kind in _kinds.values()
    for name, cls in kind.spellings.items()
    if isinstance(cls, type) and cls.__name__ == name and cls.__module__.startswith("fastnn.")
}


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_errors_of_a_constructor_name_the_class_and_the_argument(cls):
    name = cls.__name__
    if name not in ("LambdaCallback", "Functional"):  # which take any, or symbolic tensors
        with pytest.raises(TypeError, match=rf"^{name}\b.*('unheard_of'|no arguments)"):
            cls(unheard_of=1)
    if name != "Functional" and cls.__init__ is not object.__init__:
        with pytest.raises(TypeError, match=rf"^{name}\b"):
            cls(*[None] * 99)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: layers.Conv2D(4), r"Conv2D.__init__\(\) missing .* 'kernel_size'"),
        (lambda: layers.MultiHeadAttention(1, 2)(X), "MultiHeadAttention.__call__.* 'value'"),
        (lambda: layers.MaxPooling2D()(X[None, None], mask=X), "MaxPooling2D.call.* 'mask'"),
        (lambda: layers.Dense(unitz=3), "Dense: unknown argument 'unitz'; did you mean 'units'"),
        (lambda: layers.Dense(3, name=3), "Dense: name must be text; got 3"),
        (lambda: layers.Dense(3, "relu", "no"), "Dense: use_bias must be True or False; got 'no'"),
        (lambda: layers.Dense(3, trainable=None), "Dense: trainable must be True or False"),
        (lambda: layers.Dropout(0.5, seed="a"), "Dropout: seed: expected an integer; got 'a'"),
        (lambda: layers.Dense(3, name="d")(X, training="no"), "Dense 'd': training must be"),
        (
            lambda: layers.MultiHeadAttention(1, 2)(X[None], X[None], use_causal_mask="no"),
            "MultiHeadAttention 'multi_head.*: use_causal_mask must be True or False; got 'no'",
        ),
        (
            lambda: layers.Attention()([X[None], X[None]], None, None, [1]),
            r"Attention '.*: return_attention_scores must be True or False; got \[1\]",
        ),
        (lambda: ops.sum(X, 1, "no"), "sum: keepdims must be True or False; got 'no'"),
        (lambda: ops.matmul(X, X, transpose_b="no"), "matmul: transpose_b must be"),
        (lambda: ops.unique(X, "no"), "unique: sorted must be True or False"),
        (lambda: fastnn.losses.binary_crossentropy(X, X, "no"), "binary_c.*: from_logits must be"),
        (lambda: fastnn.optimizers.SGD(nesterov="no"), "SGD: nesterov must be True or False"),
        (lambda: fastnn.Variable(X, trainable="no"), "Variable: trainable must be True or False"),
        (lambda: fastnn.tensor(X, requires_gradient="no"), "tensor: requires_gradient must be"),
    ],
)
def test_what_is_neither_true_nor_false_no_name_or_no_seed_is_refused(use, message):
    with pytest.raises(TypeError, match=message):
        use()


@pytest.mark.parametrize("value", [True, np.True_, 1, np.int64(1)])
def test_numpys_booleans_and_1_are_flags(value):
    assert layers.Dense(2, use_bias=value).get_config()["use_bias"] == 1
    assert ops.sum(X, axis=1, keepdims=value).shape == (2, 1)
    layers.Dropout(0.5)(X, training=value)
    layer = layers.Dense(2, trainable=value)
    layer.trainable = value
    assert layer.trainable is True


def test_a_class_of_ones_own_may_mean_what_it_likes_by_its_arguments():
    class Mine(layers.Dense):
        def __init__(self, units, use_bias="both", **others):
            self.also = others.pop("also", None)
            super().__init__(units, use_bias=use_bias == "both", **others)

    assert Mine(3, "one", also=2).use_bias is False
    with pytest.raises(TypeError, match="Mine: trainable must be True or False"):
        Mine(3, trainable="no")
    assert declared_by(layers.Dense).are_all
    assert not declared_by(Mine).are_all


def test_copies_are_made_without_arguments():
    layer = layers.Conv2D(4, 3)
    for made in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert made.filters == 4


def test_a_programs_own_constructor_may_change_what_the_librarys_is_given():
    class Own(layers.Dense):
        def __init__(self, units, **named):
            super().__init__(units, use_bias=named.pop("use_bias", "y") == "y", **named)

    assert [Own(3, use_bias=one).use_bias for one in "yn"] == [True, False]
    with pytest.raises(TypeError, match="activaton"):
        Own(3, activaton="relu")

    class Later(layers.Dense):
        pass

    assert Later(3).units == 3
    Later.__init__ = lambda self, units, extra: layers.Dense.__init__(self, units + extra)
    assert Later(3, extra=2).units == 5


def test_a_programs_own_initializer_is_given_the_dtype_by_name_as_keras_gives_it():
    def halves(shape, value=0.5, *, dtype=None):
        return np.full(shape, value, dtype)

    for layer in (layers.Dense(2, kernel_initializer=halves), layers.PReLU(halves)):
        layer(X)
        assert {weight.numpy().max() for weight in layer.weights[:1]} == {0.5}
    assert fastnn.Variable(fastnn.random.normal, (2, 3)).shape == (2, 3)


def test_what_has_no_meaning_here_is_checked_and_taken():
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", steps_per_execution=4, jit_compile=False, auto_scale_loss=True)
    for wrong in ({"steps_per_execution": 0}, {"jit_compile": "no"}, {"auto_scale_loss": "no"}):
        with pytest.raises((TypeError, ValueError), match=f"compile: {next(iter(wrong))}"):
            model.compile("sgd", "mse", **wrong)


def test_numbers_that_are_none_are_refused():
    for call in (lambda: ops.arange(None), lambda: ops.full((2,), None)):
        with pytest.raises(TypeError, match=r"expected numbers|must be numbers"):
            call()
