"""Frames and Series of pandas and polars, and arrays of objects: taken as numbers, or refused with
the column's name."""

import datetime

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import DTypeError

pandas = pytest.importorskip("pandas")
ROWS = 12
NUMBERS = np.linspace(-1, 1, ROWS).astype("f4")
TRUTHS = np.arange(ROWS) % 3 == 0
PLAIN = np.stack([NUMBERS, TRUTHS, ~TRUTHS], axis=1).astype("f4")
DAYS = pandas.date_range("2020-01-01", periods=ROWS)


def frame(**columns):
    return pandas.DataFrame({"height": NUMBERS.astype("f8"), "a": TRUTHS, "b": ~TRUTHS} | columns)


TAKEN = {
    "get_dummies": lambda: pandas.get_dummies(
        pandas.DataFrame({"n": NUMBERS, "kind": np.where(TRUTHS, "t", "u")})
    )[["n", "kind_t", "kind_u"]],
    "booleans and floats": frame,
    "nullable": lambda: frame().astype({"height": "Float32", "a": "boolean", "b": "Int8"}),
    "a nullable beside others": lambda: frame(a=pandas.array(TRUTHS, "Int64")),
    "integers and booleans": lambda: frame(b=(~TRUTHS).astype("i8")),
    "objects": lambda: np.array(
        [[float(n), bool(t), np.bool_(not t)] for n, t in zip(NUMBERS, TRUTHS, strict=True)], object
    ),
    "lists": lambda: [[float(n), bool(t), not t] for n, t in zip(NUMBERS, TRUTHS, strict=True)],
    "rows in another order of memory": lambda: pandas.concat(
        [frame()[["height"]], frame()[["a", "b"]]], axis=1
    ),
}


def network(loss="mse"):
    fastnn.utils.set_random_seed(0)
    model = fastnn.Sequential(
        [fastnn.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)]
    )
    model.compile("adam", loss, ["mae"])
    return model


def outcome(x, y, weights, test):
    model = network()
    history = model.fit(x, y, 5, 2, 0, validation_data=(x, y, test), sample_weight=weights).history
    return (
        history,
        model.evaluate(x, y, verbose=0),
        model.predict(x).tobytes(),
        model.predict(x, batch_size=5).tobytes(),
    )


@pytest.mark.parametrize("kind", TAKEN)
def test_frames_give_the_bits_of_plain_arrays(kind):
    x = TAKEN[kind]()
    expected = outcome(PLAIN, PLAIN[:, 0], PLAIN[:, 1], PLAIN[:, 2])
    y, weights, test = (
        pandas.Series(column) for column in (PLAIN[:, 0], TRUTHS, pandas.array(~TRUTHS, "boolean"))
    )
    assert outcome(x, y, weights, test) == expected
    np.testing.assert_array_equal(fastnn.tensor(x, "float32").numpy(), PLAIN)
    np.testing.assert_array_equal(ops.add(x, 1.0).numpy(), PLAIN + 1)
    np.testing.assert_array_equal(fastnn.losses.MeanAbsoluteError()(x, PLAIN + 1).item(), 1)


def test_labels_of_objects_and_booleans_are_labels():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    found = [
        model.evaluate(PLAIN, y, verbose=0)
        for y in (
            TRUTHS.astype(int),
            TRUTHS,
            TRUTHS.tolist(),
            TRUTHS.astype(object),
            pandas.Series(TRUTHS, dtype="boolean"),
        )
    ]
    assert all(f == found[0] for f in found)


REFUSED = {
    "text": (
        {"a": ["x", *["y"] * (ROWS - 1)]},
        r"got text \('x'\) in row 0 of column 'a'\. Encode categories, as pandas\.get_dum",
    ),
    "text late": (
        {"b": [*[1.0] * 5, "1", *[1.0] * 6]},
        r"got text \('1'\) in row 5 of column 'b'.* parse numbers, as pandas\.to_n",
    ),
    "categories": (
        {"a": pandas.Categorical(["u", "v"] * (ROWS // 2))},
        r"got text \('u'\) in row 0 of column 'a'\. Encode categ",
    ),
    "dates": (
        {"b": DAYS},
        r"got a date \(2020-01-01 00:00:00\) in row 0 of column 'b'\. Make it a number: the days "
        r"since",
    ),
    "times between": (
        {"b": DAYS - DAYS[0]},
        r"got a date \(0 days 00:00:00\) in row 0 of column 'b'",
    ),
    "days of Python": (
        {"b": [datetime.date(2020, 1, 2)] * ROWS},
        r"got a date \(2020-01-02\) in row 0 of column 'b'",
    ),
    "none": (
        {"a": [True, None, *[False] * (ROWS - 2)]},
        r"got a missing value \(None\) in row 1 of column 'a'\. Fill it in, as x\.f",
    ),
    "NA": (
        {"a": pandas.array(["x", pandas.NA] * (ROWS // 2))},
        r"got text \('x'\) in row 0 of column 'a'",
    ),
    "dicts": ({"a": [{}] * ROWS}, r"got objects such as \{\} of column 'a'\. Convert it first"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_number_is_refused_with_its_column(kind):
    columns, message = REFUSED[kind]
    x = frame(**columns)
    for call in (
        lambda: network().fit(x, NUMBERS, verbose=0),
        lambda: network().predict(x),
        lambda: network().evaluate(x, NUMBERS),
    ):
        with pytest.raises(DTypeError, match=f"x: expected numbers; {message}"):
            call()
    with pytest.raises(DTypeError, match=f"tensor: expected numbers; {message}"):
        fastnn.tensor(x)
    name = next(iter(columns))
    with pytest.raises(DTypeError, match=r"y: expected numbers; got .* of column '[ab]'"):
        network().fit(PLAIN, x[name], verbose=0)


def test_a_frame_of_dates_alone_and_one_without_names():
    with pytest.raises(
        DTypeError, match=r"got a date \(2020-01-01T00:00:00.*\) in row 0 of column 'day'"
    ):
        fastnn.tensor(pandas.DataFrame({"day": DAYS}))
    with pytest.raises(DTypeError, match=r"in row 0 of column 1\. Encode"):
        fastnn.tensor(pandas.DataFrame([[1.0, "x"]]))
    with pytest.raises(DTypeError, match=r"got a missing value \(None\) in row 1\. Fill"):
        fastnn.tensor([1.0, None])


@pytest.mark.parametrize("kind", ["float64", "Float64"])
def test_missing_numbers_are_refused_with_their_column(kind):
    x = frame(height=pandas.Series([1.0, None, *[2.0] * (ROWS - 2)], dtype=kind)).drop(columns="a")
    x = x[["b", "height"]]
    message = (
        r"x has 1 values that are NaN.*: x\[1, 1\] = nan of column 'height'\. "
        r"Remove .* as in x\.fillna\(0\)"
    )
    if kind == "Float64":
        message = r"got a missing value \(<NA>\) in row 1 of column 'height'"
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    for call in (
        lambda: model.fit(x, NUMBERS, verbose=0),
        lambda: model.predict(x),
        lambda: model.predict(x),
    ):
        with pytest.raises((ValueError, DTypeError), match=message):
            call()
    model.predict(frame()[["b", "height"]])
    with pytest.raises((ValueError, DTypeError), match=message):
        model.predict(x)
    with pytest.raises(ValueError, match=r"y\[1, 0\] = nan of column 'height'"):
        model.fit(PLAIN[:, :2], x["height"].astype("float64"), verbose=0)


def test_polars():
    polars = pytest.importorskip("polars")
    x = polars.DataFrame({"height": NUMBERS, "a": TRUTHS, "b": ~TRUTHS})
    weights = polars.Series("w", TRUTHS)
    expected = outcome(PLAIN, PLAIN[:, 0], PLAIN[:, 1], PLAIN[:, 2])
    assert outcome(x, x["height"], weights, polars.Series(~TRUTHS)) == expected
    np.testing.assert_array_equal(fastnn.tensor(x, "float32").numpy(), PLAIN)
    for columns, message in [
        ({"a": ["x"] * ROWS}, r"got text \('x'\) in row 0 of column 'a'"),
        ({"b": [datetime.date(2020, 1, 2)] * ROWS}, "got a date of column 'b'"),
        (
            {"a": [True, None, *[False] * (ROWS - 2)]},
            r"missing value \(None\) in row 1 of column 'a'|nan of column 'a'",
        ),
        (
            {"height": [1.0, None, *[2.0] * (ROWS - 2)]},
            r"x\[1, 0\] = nan of column 'height'|missing value \(None\) in row 1 of column 'h",
        ),
    ]:
        with pytest.raises((ValueError, DTypeError), match=message):
            network().fit(
                x.with_columns(**{n: polars.Series(v) for n, v in columns.items()}),
                NUMBERS,
                verbose=0,
            )
