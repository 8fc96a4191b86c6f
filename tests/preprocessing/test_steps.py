"""Steps of preprocessing by themselves: against NumPy, and what they refuse."""

import json

import numpy as np
import pytest

from fastnn import preprocessing
from fastnn.errors import DTypeError, ShapeError
from fastnn.preprocessing import Clean, Labels, MinMax, OneHot, Pipeline, Standardize, Table, clean

NAN, INF = float("nan"), float("inf")
X = np.random.default_rng(0).normal(3, 2, (40, 3))


class Frame:
    """As much of a frame as counts."""

    def __init__(self, columns):
        self._columns = columns
        self.columns = list(columns)
        self.dtypes = ["float64"] * len(columns)

    def __getitem__(self, name):
        return np.asarray(self._columns[name])


def test_min_max_is_the_formula():
    step, x = MinMax((-1, 2)).fit(X), X * 1.5
    lo, hi = X.min(axis=0), X.max(axis=0)
    np.testing.assert_allclose(
        step.transform(x), (x - lo) / (hi - lo) * 3 - 1, rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(step.inverse_transform(step.transform(x)), x, rtol=1e-5, atol=1e-6)
    clipped = MinMax((-1, 2), clip=True).fit(X).transform(x)
    assert clipped.min() == -1
    assert clipped.max() == 2
    assert clipped.dtype == np.float32


def test_standardized_columns_have_mean_0_and_deviation_1():
    y = Standardize().fit_transform(X * 1e6)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize(("step", "expected"), [(MinMax(), 0.0), (Standardize(), 0.0)])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e300, -7.0])
def test_a_column_of_one_value_divides_by_nothing(step, expected, constant):
    assert (step.fit_transform(np.full((5, 2), constant)) == expected).all()


def test_one_scale_of_all_columns_takes_images():
    images = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_allclose(
        MinMax(per_column=False).fit_transform(images), images / 23, rtol=1e-6
    )
    assert Standardize().fit_transform(images).shape == images.shape


def test_missing_values_are_no_part_of_a_scale_and_stay():
    y = MinMax().fit_transform([[0.0], [NAN], [4.0], [None]])
    np.testing.assert_array_equal(y.ravel(), [0, NAN, 1, NAN])


@pytest.mark.parametrize(
    ("missing", "value", "filled"),
    [
        ("mean", None, 3.0),
        ("median", None, 2.0),
        ("most_frequent", None, 1.0),
        ("constant", -1, -1.0),
    ],
)
def test_clean_fills(missing, value, filled):
    x = [[1.0], [NAN], [1.0], [INF], [3.0], [7.0]]
    y = Clean(missing, value).fit_transform(x).ravel()
    np.testing.assert_array_equal(y, [1, filled, 1, filled, 3, 7])


def test_clean_fills_text():
    chain = Pipeline([Clean("most_frequent"), OneHot()])
    np.testing.assert_array_equal(chain.fit_transform(["b", None, "a", "b"])[1], [0, 1])
    with pytest.raises(ValueError, match="column 0 is text, which has no mean"):
        Clean().fit(["a", "b"])


def test_clean_drops_rows_of_a_whole_data_set():
    x, y, w = clean(
        [[1.0, 2.0], [NAN, 2.0], [1.0, 2.0], [1.0, 2.0], [5.0, INF]],
        [0, 1, 0, 1, 1],
        [1, 2, 3, 1, 5],
    )
    # weights of rows 0 and 2 differ
    np.testing.assert_array_equal(x, [[1, 2], [1, 2], [1, 2]])
    np.testing.assert_array_equal(y, [0, 0, 1])
    np.testing.assert_array_equal(w, [1, 3, 1])
    x, y = clean([[1.0], [2.0]], [NAN, 1.0])
    assert (x.tolist(), y.tolist()) == ([[2.0]], [1.0])


def test_one_hot():
    step = OneHot().fit([["red", 2], ["blue", 1], [None, 2]])
    np.testing.assert_array_equal(
        step.transform([["blue", 2.0], [None, 1]]), [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]]
    )
    with pytest.raises(ValueError, match="column 1 has 3 in row 0, which is none of the 2 values"):
        step.transform([["red", 3]])
    assert OneHot("zeros").fit(["a"]).transform(["b"]).tolist() == [[0.0]]


def test_labels():
    labels = Labels().fit(np.array(["b", "c", "a"]))
    assert labels.classes == ["a", "b", "c"]
    assert labels.transform(["c", "a"]).tolist() == [2, 0]
    assert labels.inverse_transform(np.eye(3)) == ["a", "b", "c"]
    assert labels.inverse_transform([1]) == ["b"]
    assert Labels().fit([3, 9]).inverse_transform([[0.2], [0.7]]) == [3, 9]
    with pytest.raises(ValueError, match="'z' in row 1 is none of the 3 classes"):
        labels.transform(["a", "z"])
    with pytest.raises(ValueError, match="class 3 is none of 0 to 2"):
        labels.inverse_transform([3])
    with pytest.raises(ShapeError, match="expected whole numbers"):
        labels.inverse_transform(np.ones((2, 4)))


def test_a_table_finds_columns_by_name():
    data = {"age": [20.0, 60.0, None], "pet": ["dog", "cat", "dog"], "id": [1, 2, 3]}
    table = Table({"age": [Clean(), MinMax()], "pet": "one_hot"}, rest="drop").fit(data)
    expected = [[0, 0, 1], [1, 1, 0], [0.5, 0, 1]]
    np.testing.assert_array_equal(table.transform(data), expected)
    turned = Frame(dict(reversed(data.items())))
    np.testing.assert_array_equal(table.transform(turned), expected)
    with pytest.raises(ShapeError, match=r"of which \['pet', 'id'\] are missing"):
        table.transform({"age": [1.0]})
    with pytest.raises(ValueError, match="nothing is said of column 'id'"):
        Table({"age": MinMax(), "pet": OneHot()}).fit(data)
    with pytest.raises(ValueError, match="no column 'agee'; did you mean 'age'"):
        Table({"agee": MinMax()}).fit(data)


def test_columns_of_numbers_beside_text():
    data = {"a": [1.0, None, 3.0], "b": ["x", "y", None]}
    with pytest.raises(ValueError, match="column 'b' is text, which has no mean"):
        Clean("mean").fit(data)
    with pytest.raises(DTypeError, match="its result is still text: 'x' in row 0 of column 1"):
        Clean("most_frequent").fit(data).transform(data)
    table = Table({"a": [Clean(), MinMax()], "b": "one_hot"}).fit(data)
    with pytest.raises(DTypeError, match="got 'q' in row 0 of column 'a'"):
        table.transform({"a": ["q"], "b": ["x"]})


def test_a_table_that_is_told_nothing():
    y = Table().fit_transform([[1.0, "a"], [None, "b"], [3.0, None]])
    np.testing.assert_array_equal(y, [[0, 1, 0, 0], [0.5, 0, 1, 0], [1, 0, 0, 1]])


@pytest.mark.parametrize(
    "step",
    [
        MinMax((0, 2), clip=True),
        Standardize(),
        Clean("median"),
        Pipeline([Clean("constant", 0), MinMax()]),
        Table(),
        Table([(0, MinMax()), ([1, 2], [Clean(), Standardize()])]),
    ],
    ids=lambda s: type(s).__name__,
)
def test_a_copy_by_json_gives_the_same_bits(step):
    step.fit(X)
    config, state = json.loads(json.dumps([preprocessing.serialize(step), step.state()]))
    copy = preprocessing.deserialize(config)
    copy.set_state(state)
    np.testing.assert_array_equal(copy.transform(X[:7]), step.transform(X[:7]))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MinMax().transform(X), ValueError, "MinMax: not fitted yet"),
        (lambda: MinMax().fit(X).transform(X[:, :2]), ShapeError, r"on rows of shape \(3,\)"),
        (lambda: MinMax((1, 1)), ValueError, r"feature_range must be \(low, high\)"),
        (lambda: MinMax().fit([["a"]]), DTypeError, "got 'a' in row 0 of column 0. OneHot encodes"),
        (lambda: MinMax().fit(np.empty((0, 3))), ValueError, "no rows to learn from"),
        (lambda: MinMax().fit([[NAN]]), ValueError, r"columns \[0\] have no finite value"),
        (lambda: MinMax().fit(3.0), ShapeError, "must have rows"),
        (lambda: MinMax().fit(np.array(["2020-01-01"], "M8[D]")), DTypeError, "datetime64"),
        (lambda: Clean("most"), ValueError, "one of .* did you mean 'most_frequent'"),
        (lambda: Clean("constant"), ValueError, "value goes with missing='constant'"),
        (lambda: Clean().fit([[NAN]]), ValueError, "no value to take the mean of"),
        (lambda: Clean("drop").fit_transform([[NAN], [1.0]]), ValueError, "only training drops"),
        (lambda: OneHot("skip"), ValueError, "unknown must be 'error' or 'zeros'"),
        (lambda: Pipeline([]), ValueError, "expected steps"),
        (lambda: Table({"a": MinMax()}).fit(X), ValueError, "has no names: give places"),
        (lambda: Table({7: MinMax()}).fit(X), ValueError, "no column 7 of 3"),
        (lambda: Labels().fit(["a", None]), ValueError, "some labels are missing"),
        (lambda: Labels().fit(X), ShapeError, "expected a label a row"),
        (lambda: clean(X, [1, 2]), ShapeError, "argument 2 must have 40 rows"),
        (lambda: MinMax().fit({"a": [1], "b": [1, 2]}), ShapeError, "as many rows each"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
