"""What users write with tensors: powers, comparisons, formats, numbers; and that the library tells
tensors apart by identity."""

import operator

import mpmath
import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.errors import DTypeError, RecordingError, ShapeError
from fastnn.kernels.cpu import loops
from fastnn.operators import POWERS
from fastnn.tensor import Tensor
from tests.kernels.test_scalar import ULPS, extended
from tests.oracle import DTYPES
from tests.processors import ON_X86_64, call

COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
by_comparison = pytest.mark.parametrize("compare", COMPARISONS, ids=lambda c: c.__name__)


# ---- powers


def pairs(dtype, count):
    """Bases and exponents whose powers fill the range of the type; some bases next to one."""
    rng, largest = np.random.default_rng(0), 0.98 * np.log(np.finfo(dtype).max)
    logs = np.concatenate([rng.uniform(-scale, scale, count) for scale in (1e-4, 1, 0.9 * largest)])
    x = np.exp(logs).astype(dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = (rng.uniform(-largest, largest, x.size) / np.log(x.astype(float))).astype(dtype)
    ordinary = np.isfinite(y)
    return x[ordinary], y[ordinary]


@pytest.mark.parametrize("processor", ["this one", pytest.param("AVX2", marks=ON_X86_64)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_are_within_the_units_of_elementary_functions(dtype, processor):
    x, y = pairs(np.dtype(dtype), 100_000 if dtype == "float32" else 1_500)
    if processor == "this one":
        got = ops.power(x, y).numpy()
    else:
        got = np.empty_like(x)
        call(loops.flat_kernel(ops.power.formula), processor, x, y, got)
    if dtype == "float32":
        exact = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.longdouble)
    else:
        with mpmath.workdps(50):
            exact = np.array(
                [
                    extended(mpmath.mpf(float(a)) ** mpmath.mpf(float(b)))
                    for a, b in zip(x, y, strict=True)
                ]
            )
    error = np.abs(got.astype(np.longdouble) - exact) / np.spacing(exact.astype(dtype)).astype(
        np.longdouble
    )
    worst = int(error.argmax())
    assert error[worst] <= ULPS[dtype], f"{x[worst]!r}^{y[worst]!r} is {error[worst]:.2f} units off"


SPECIAL = np.array([-np.inf, -3.5, -1.0, -0.0, 0.0, 1.0, 1.5, 1e18, -1e-18, np.inf, np.nan])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "exponent", [*POWERS, 0, 5, -3, 1.5, np.float32(2), np.int64(3), np.float64(-1)]
)
def test_powers_of_constants_are_numpys_and_near_to_the_last_digit(exponent, dtype):
    x = SPECIAL.astype(dtype)
    with np.errstate(all="ignore"):
        expected = x ** float(exponent)
        got = (fastnn.tensor(x) ** exponent).numpy()
    assert got.dtype == dtype
    np.testing.assert_array_equal(
        np.signbit(got) & ~np.isnan(got), np.signbit(expected) & ~np.isnan(expected)
    )
    ordinary = ~(np.abs(expected) < np.finfo(dtype).tiny)  # what is subnormal is flushed to zero
    np.testing.assert_allclose(got[ordinary], expected[ordinary], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("exponent", [*POWERS, 0, 5, -3, 1.5, -0.5])
def test_gradients_of_powers(exponent):
    fastnn.gradcheck(lambda x: x**exponent, [[0.5, 1.0, 3.0]])
    if float(exponent).is_integer():
        fastnn.gradcheck(lambda x: x**exponent, [[-0.5, -1.0, -3.0]])
    if exponent in (0, 1, 2, 3, 4, 5):
        fastnn.gradcheck(lambda x: x**exponent, [[0.0]])


def test_both_sides_of_a_power():
    fastnn.gradcheck(lambda x, y: x**y, [[[0.5], [2.0]], [1.0, 2.5, -2.0]])
    fastnn.gradcheck(lambda y: 2**y, [[-1.0, 0.0, 3.0]])
    y = fastnn.tensor([1.0, 2.0])
    np.testing.assert_array_equal((10**y).numpy(), [10, 100])
    np.testing.assert_array_equal((np.array([3.0, 2.0]) ** y).numpy(), [3, 4])


def test_an_exponents_gradient_is_finite_where_the_base_is_not_positive():
    x, y = fastnn.tensor([0.0, -2.0, 0.0]), fastnn.tensor([2.0, 3.0, 0.0], requires_gradient=True)
    ops.sum(x**y).backward()
    np.testing.assert_array_equal(y.gradient.numpy(), 0)


def test_abs_and_its_gradient_at_zero():
    x = fastnn.tensor([-2.0, 0.0, 3.0], requires_gradient=True)
    ops.sum(abs(x)).backward()
    np.testing.assert_array_equal(abs(x).numpy(), [2, 0, 3])
    np.testing.assert_array_equal(x.gradient.numpy(), [-1, 0, 1])


# ---- comparisons

NUMBERS = [0.0, 1.0, -1.0, 2.5, np.nan, np.inf]
ARRAYS = {
    "float32": np.array(NUMBERS, "f4"),
    "float64": np.array(NUMBERS, "f8"),
    "int64": np.array([0, 1, -1, 2, 16777217, 2**40]),
    "bool": np.array([False, True, True, False, True, False]),
}


@by_comparison
@pytest.mark.parametrize(
    "other", [*ARRAYS, 1, 0.5, True, np.float32(1), np.int64(1), [0, 1, 0, 2, 16777216, 1]], ids=str
)
@pytest.mark.parametrize("own", ARRAYS)
def test_comparisons_are_numpys(own, other, compare):
    x = ARRAYS[own]
    values = ARRAYS[other] if isinstance(other, str) else other
    if isinstance(other, str) and {own, other} == {"float32", "float64"}:
        values = values.astype(own)  # an array is taken as the tensor's type, as in arithmetic
    for given in (values, fastnn.tensor(values)) if isinstance(other, str) else (values,):
        for got, expected in [
            (compare(fastnn.tensor(x), given), compare(x, np.asarray(values))),
            (compare(given, fastnn.tensor(x)), compare(np.asarray(values), x)),
        ]:
            assert isinstance(got, Tensor)
            assert got.dtype == "bool"
            np.testing.assert_array_equal(got.numpy(), expected)


@by_comparison
def test_comparisons_broadcast_and_are_recorded(compare):
    x, y = np.arange(12.0).reshape(3, 4) % 5, np.array([[2.0], [0.0], [3.0]])
    np.testing.assert_array_equal(compare(fastnn.tensor(x), y).numpy(), compare(x, y))
    # a fusion group, tile by tile
    big = np.random.default_rng(0).integers(0, 3, (200, 300)).astype("f4")
    step = fastnn.record(lambda x: compare(x * 2.0, 2.0) * x)
    np.testing.assert_array_equal(step(big).numpy(), compare(big * 2, 2) * big)
    with pytest.raises(ShapeError, match=r"shapes \(3\) and \(2\) do not broadcast"):
        compare(fastnn.tensor([1.0, 2.0, 3.0]), [1.0, 2.0])


def test_two_types_of_floats_are_not_compared_as_they_are_not_added():
    with pytest.raises(
        DTypeError, match=r"equal: x is float32 and y is float64\. Convert one of them"
    ):
        fastnn.tensor([1.0]) == fastnn.tensor(np.array([1.0]))  # noqa: B015


def test_what_is_no_array_is_equal_to_no_tensor():
    x = fastnn.tensor([1.0, 2.0])
    for other in (None, "auto", object(), {}, fastnn.layers.Layer):
        assert (x == other) is False
        assert (x != other) is True
        assert (other == x) is False
        with pytest.raises(TypeError, match="not supported"):
            x < other  # noqa: B015


def test_a_truth_times_numbers_keeps_some_and_passes_their_gradient():
    x, y = (
        fastnn.tensor([-1.0, 2.0, 3.0], requires_gradient=True),
        fastnn.tensor([4.0, 5.0, 6.0], requires_gradient=True),
    )
    for mask, z in ((x > 0.0, (x > 0.0) * y), (x > 0.0, y * (x > 0.0))):
        assert not mask.requires_gradient
        assert z.dtype == "float32"
        np.testing.assert_array_equal(z.numpy(), [0, 5, 6])
        x.gradient = y.gradient = None
        ops.sum(z).backward()
        assert x.gradient is None
        np.testing.assert_array_equal(y.gradient.numpy(), [0, 1, 1])


def test_truths_are_numbers_where_numbers_are_asked_for():
    x = fastnn.tensor(np.array([-1.0, 2.0, 3.0]))
    mask = x > 0.0
    # no float beside it: as of arrays
    assert (ops.mean(mask).item(), ops.mean(mask).dtype) == (np.float32(2 / 3), np.float32)
    np.testing.assert_array_equal((mask + 1).numpy(), [1, 2, 2])
    np.testing.assert_array_equal((x - mask).numpy(), [-1, 1, 2])
    np.testing.assert_array_equal((mask * (x < 3.0)).numpy(), [0, 1, 0])
    np.testing.assert_array_equal(
        layers.Dense(1, kernel_initializer="ones")(x[:, None] > 0).numpy(), [[0], [1], [1]]
    )
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits = np.eye(3, 2, dtype="f4")
    assert loss(mask, logits).item() == loss([0, 1, 1], logits).item()
    mean = fastnn.metrics.Mean()
    mean.update_state(fastnn.tensor([1, 2, 3]) == [1, 2, 0])
    assert mean.result() == pytest.approx(2 / 3)


# ---- identity


def test_tensors_are_keys_by_identity():
    x, y = fastnn.tensor([1.0, 2.0]), fastnn.tensor([1.0, 2.0])
    v = fastnn.Variable([1.0, 2.0])
    assert len({x, y, v}) == 3
    assert {x: 1, y: 2}[y] == 2
    assert hash(x) == object.__hash__(x)
    assert x in {x}
    assert y not in {x}


def test_the_library_never_asks_whether_two_tensors_are_equal(monkeypatch, tmp_path):
    """It would get elements, or go by values: whatever it does with variables, tensors and lists of
    them, it goes by identity."""

    def equal(self, other):
        if isinstance(other, Tensor):
            raise AssertionError("the library compared two tensors")
        return NotImplemented

    monkeypatch.setattr(Tensor, "__eq__", equal)
    monkeypatch.setattr(Tensor, "__ne__", equal)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(70, 4)).astype("f4"), rng.integers(0, 3, 70)
    hidden = [
        layers.Dense(8, activation="tanh"),
        layers.BatchNormalization(),
        layers.Dropout(0.2),
        layers.LayerNormalization(),
    ]
    model = fastnn.Sequential([fastnn.Input((4,)), *hidden, layers.Dense(3, activation="softmax")])
    for optimizer in (fastnn.optimizers.SGD(0.01, 0.9), "adam", "rmsprop"):
        model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
        stop = fastnn.callbacks.EarlyStopping(patience=1, restore_best_weights=True)
        model.fit(
            x, y, epochs=2, verbose=0, callbacks=[stop], validation_split=0.2, sample_weight=x[:, 0]
        )
        model.evaluate(x, y, verbose=0)
        model.predict(x)
        hidden[0].trainable = not hidden[0].trainable
    model.save_weights(tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
    model.set_weights(model.get_weights())

    class Shared(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.one = layers.Dense(4)
            self.table, self.list = (
                {"w": fastnn.Variable(np.ones(4))},
                [fastnn.Variable(np.ones(4))],
            )

        def call(self, x):
            return self.one(self.one(x)) * self.table["w"] + self.list[0]

    shared, sgd = Shared(), fastnn.optimizers.SGD(0.1)
    shared(x)
    sgd.build([*shared.trainable_variables, shared.table["w"], shared.list[0]])

    @fastnn.record
    def step(x):
        loss = ops.mean(shared(x) ** 2 + abs(shared(x)))
        loss.backward()
        sgd.step()
        return {"loss": loss, "same": [loss, loss]}

    for rows in (70, 70, 35):
        step(x[:rows])
    shared.list[0].assign(np.zeros(4))
    sgd.apply_gradients([(np.ones(4, "f4"), shared.list[0])])
    step.summary()


# ---- numbers and words


def test_one_element_is_a_number():
    for shape in ((), (1,), (1, 1)):
        x = fastnn.tensor(np.full(shape, 2.375, "f4"))
        assert (float(x), int(x), bool(x), x.item()) == (2.375, 2, True, 2.375)
        assert (f"{x:.2f}", f"{x:8.1e}|") == ("2.38", " 2.4e+00|")
    assert f"{fastnn.tensor(7):03d} {fastnn.tensor(True)}" == "007 True"
    assert f"{fastnn.tensor(0.5)}" == str(fastnn.tensor(0.5)) == "0.5"


@pytest.mark.parametrize("shape", [(2,), (2, 1), (0,)])
@pytest.mark.parametrize(
    ("convert", "kind", "message"),
    [
        (
            float,
            TypeError,
            r"float\(\) of a tensor of shape .*: it must have one element\. Use \.numpy\(\)",
        ),
        (int, TypeError, r"int\(\) of a tensor of shape"),
        ("{:.3f}".format, TypeError, r"format '\.3f' of a tensor of shape"),
        (
            bool,
            ValueError,
            r"the truth of a tensor of shape .* is ambiguous\. Use \.numpy\(\)\.any\(\)",
        ),
        (Tensor.item, ShapeError, "item: expected a tensor of one element"),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_several_elements_are_no_number(convert, kind, message, shape):
    with pytest.raises(kind, match=message):
        convert(fastnn.tensor(np.ones(shape)))


def test_words_are_numpys_and_say_while_recording_that_there_are_no_values():
    x = np.arange(4.0, dtype="f4").reshape(2, 2)
    t = fastnn.tensor(x)
    assert str(t) == f"{t}" == str(x)
    assert repr(t) == f"<tensor (2, 2) float32\n{x}>"
    words = []
    step = fastnn.record(lambda x: words.append(f"{x + 1} {x + 1!r}") or x + 1)
    step(x)
    assert words == ["<tensor (2, 2) float32, no values> <tensor (2, 2) float32, no values>"]
    for read in (
        lambda x: f"{ops.sum(x):.1f}",
        lambda x: bool(ops.sum(x) > 0),
        lambda x: 1.0 in x + 1,
    ):
        with pytest.raises(RecordingError, match="was read while it is being recorded"):
            fastnn.record(read)(x)


def test_in_looks_at_elements():
    x = fastnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert 3.0 in x
    assert 5.0 not in x


def test_numpys_reductions_take_tensors():
    t = fastnn.tensor([[1.0, 2.0], [3.0, 5.0]])
    for function in (
        np.sum,
        np.mean,
        np.min,
        np.max,
        np.std,
        np.var,
        np.prod,
        np.argmax,
        np.argmin,
    ):
        for axis in (None, 0):
            found = function(t, axis=axis)
            assert isinstance(found, fastnn.Tensor)
            np.testing.assert_allclose(found.numpy(), function(t.numpy(), axis=axis), rtol=1e-6)
    with pytest.raises(TypeError, match="mean: unknown argument dtype='float16'"):
        t.mean(dtype="float16")
