"""Any input: the same results however it lies in memory; whatever it is, finite results or an
error."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fastnn
from fastnn import layers
from tests.contract.test_bad_input import ROWS, ArrayLike, X, classifier, compiled, network

WIDE = np.random.default_rng(1).integers(-4, 5, (2 * ROWS, 6)).astype("float32")
WHOLE = WIDE[::2, ::2]
LAYOUTS = {
    "strided": lambda: WHOLE,
    "reversed": lambda: np.ascontiguousarray(WHOLE[::-1, ::-1])[::-1, ::-1],
    "Fortran": lambda: np.asfortranarray(WHOLE),
    "read-only": lambda: np.frombuffer(WHOLE.tobytes(), "float32").reshape(WHOLE.shape),
    "integers": lambda: WHOLE.astype("int32"),
    "small integers": lambda: WHOLE.astype("int8"),
    "list": lambda: WHOLE.astype(int).tolist(),
    "tuples": lambda: tuple(map(tuple, WHOLE.tolist())),
    "float64": lambda: WHOLE.astype("float64"),
    "float16": lambda: WHOLE.astype("float16"),
    "big endian": lambda: WHOLE.astype(">f4"),
    "objects": lambda: ArrayLike(WHOLE),
    "tensor": lambda: fastnn.tensor(np.ascontiguousarray(WHOLE)),
}


@pytest.mark.parametrize("batch_size", [8, ROWS])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_bits_of_a_plain_array_and_is_not_written_to(layout, batch_size):
    plain = np.ascontiguousarray(WHOLE)
    results = []
    for x in (plain, LAYOUTS[layout]()):
        before = np.array(x, copy=True)
        y = x[:, :1] if isinstance(x, np.ndarray) else plain[:, :1]
        fastnn.utils.set_random_seed(0)
        model = network(optimizer="adam")
        history = model.fit(
            x, y, batch_size, 2, 0, validation_data=(x, y), sample_weight=plain[:, 0] ** 2
        ).history
        predicted = [model.predict(x, batch_size) for _ in range(2)]
        results.append(
            [history, model.evaluate(x, y, batch_size, 0), *[p.tobytes() for p in predicted]]
        )
        np.testing.assert_array_equal(np.asarray(x), before)
    assert results[0] == results[1]


@pytest.mark.parametrize("batch_size", [8, ROWS])
def test_predictions_belong_to_the_caller(batch_size):
    model = network()
    first = model.predict(X, batch_size)
    kept = first.copy()
    model.predict(-X, batch_size)
    np.testing.assert_array_equal(first, kept)
    first[:] = 0
    np.testing.assert_array_equal(model.predict(X, batch_size), kept)


# ---- anything at all

ELEMENTS = st.one_of(
    st.floats(-100, 100), st.sampled_from([0.0, 1.0, 2.0, 1e15, 1e300, np.inf, np.nan])
)
SHAPES = st.one_of(
    st.tuples(st.integers(0, 6), st.just(3)),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
TYPES = [
    "?",
    "b",
    "B",
    "i",
    "l",
    "L",
    "e",
    "f",
    "d",
    "g",
    "F",
    "D",
    "O",
    "S9",
    "U9",
    "m8[s]",
    "M8[s]",
    ">f8",
    "i,f",
]
ANYTHING = st.one_of(
    SHAPES.flatmap(lambda shape: hnp.arrays("d", shape, elements=ELEMENTS)),
    st.none(),
    st.text(),
    ELEMENTS,
)
MODELS = {
    "numbers": network,
    "classes": classifier,
    "unbuilt": lambda: compiled(fastnn.Sequential([layers.Dense(2), layers.BatchNormalization()])),
}


@pytest.mark.parametrize("kind", MODELS)
@settings(max_examples=150, deadline=None)
@given(
    x=ANYTHING,
    y=ANYTHING,
    types=st.tuples(*[st.sampled_from(TYPES)] * 2),
    batch_size=st.sampled_from([-1, 1, 2, 7, None]),
)
def test_anything_is_taken_with_finite_results_or_refused(kind, x, y, types, batch_size):
    with np.errstate(all="ignore"):
        x, y = (
            a.astype(t) if isinstance(a, np.ndarray) else a
            for a, t in zip((x, y), types, strict=True)
        )
    model = MODELS[kind]()
    for call in (
        lambda: model.fit(x, y, batch_size, verbose=0).history["loss"],
        lambda: model.predict(x, batch_size),
    ):
        with suppress(ValueError, TypeError, FloatingPointError):
            assert np.isfinite(call()).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
