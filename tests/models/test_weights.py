"""Files of weights: others read them, we read others', names last, and a broken file changes
nothing."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import files, layers, weights
from fastnn.errors import ShapeError


def network(**base):
    inner = fastnn.Sequential(
        [layers.Dense(3), layers.BatchNormalization()], name=base.pop("inner", None)
    )
    return fastnn.Sequential(
        [fastnn.Input((2,)), inner, layers.Dense(2, use_bias=False), layers.Dense(1, **base)]
    )


NAMES = [
    "sequential/dense/kernel",
    "sequential/dense/bias",
    "sequential/batch_normalization/gamma",
    "sequential/batch_normalization/beta",
    "sequential/batch_normalization/moving_mean",
    "sequential/batch_normalization/moving_variance",
    "dense/kernel",
    "dense_1/kernel",
    "dense_1/bias",
]


def arrays(names, model, dtype="float32"):
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=w.shape).astype(dtype)
        for name, w in zip(names, model.weights, strict=True)
    }


def assert_weights(model, expected):
    for got, e in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(got, e)


# ---- the format


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_others_read_ours(dtype, tmp_path):
    fastnn.config.set_floatx(dtype)
    model = network()
    model.save_weights(tmp_path / "w.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert sorted(found) == sorted(NAMES)
    assert {a.dtype for a in found.values()} == {np.dtype(dtype)}
    assert_weights(model, [found[name] for name in NAMES])
    head = (tmp_path / "w.safetensors").read_bytes()
    assert int.from_bytes(head[:8], "little") % 8 == 0, "the numbers are not aligned"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metadata", [None, {"format": "np"}])
def test_we_read_others(dtype, metadata, tmp_path):
    fastnn.config.set_floatx(dtype)
    model = network()
    values = arrays(NAMES, model, dtype)
    safetensors.numpy.save_file(values, tmp_path / "w.safetensors", metadata)
    model.load_weights(str(tmp_path / "w.safetensors"))
    assert_weights(model, values.values())


def test_weights_of_another_element_type_are_converted(tmp_path):
    model = network()
    values = arrays(NAMES, model, "float64")
    safetensors.numpy.save_file(values, tmp_path / "w.safetensors")
    model.load_weights(tmp_path / "w.safetensors")
    assert_weights(model, [v.astype("float32") for v in values.values()])


def test_the_numbers_and_predictions_come_back_to_the_bit(tmp_path):
    model, other = network(), network()
    x = np.random.default_rng(0).normal(size=(20, 2))
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], verbose=0)
    model.save_weights(tmp_path / "w.safetensors")
    assert (other.predict(x) != model.predict(x)).any()
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


# ---- names


def test_names_given_by_the_user_are_in_the_file():
    model = network(name="last", inner="body")
    expected = [n.replace("sequential", "body").replace("dense_1", "last") for n in NAMES]
    assert list(weights.named(model)) == expected


class Own(layers.Layer):
    def build(self, input_shape):
        self.twins = [self.add_weight((2,), name="twin") for _ in range(2)]
        self.inner = layers.Dense(1)

    def call(self, x):
        return self.inner(x * self.twins[0] + self.twins[1])


def test_names_do_not_clash_and_do_not_depend_on_what_was_built_before():
    for _ in range(2):
        model = fastnn.Sequential([Own(), Own()])
        model(np.ones((1, 2)))
        names = list(weights.named(model))
        assert names == [
            f"{own}/{w}"
            for own in ("own", "own_1")
            for w in ("twin", "twin_1", "dense/kernel", "dense/bias")
        ]


PROCESS = """
import sys, fastnn
from fastnn import layers
for _ in range(3):
    fastnn.Sequential([layers.Dense(1), layers.BatchNormalization()])
inner = fastnn.Sequential([layers.Dense(3), layers.BatchNormalization()])
model = fastnn.Sequential([fastnn.Input((2,)), inner, layers.Dense(2, use_bias=False),
layers.Dense(1)])
model.load_weights(sys.argv[1])
print([w.tolist() for w in model.get_weights()])
"""


def test_another_process_reads_them_whatever_it_built_before(tmp_path):
    model = network()
    model.save_weights(tmp_path / "w.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, tmp_path / "w.safetensors"], capture_output=True, text=True
    )
    assert not done.stderr
    assert json.loads(done.stdout) == [w.tolist() for w in model.get_weights()]


# ---- writing


def test_an_existing_file_is_replaced(tmp_path):
    for model in (network(), network()):
        model.save_weights(tmp_path / "w.safetensors")
        values = safetensors.numpy.load_file(tmp_path / "w.safetensors")
        assert_weights(model, [values[name] for name in NAMES])
    assert os.listdir(tmp_path) == ["w.safetensors"]


@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    ("place", "moment"), [(os, "fsync"), (os, "replace"), (fastnn.Variable, "numpy")]
)
def test_a_write_that_fails_leaves_the_old_file_whole(place, moment, error, tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    network().save_weights(path)
    before = path.read_bytes()

    def fail(*_):
        raise error

    monkeypatch.setattr(place, moment, fail)
    with pytest.raises(type(error)):
        network().save_weights(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["w.safetensors"]


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".keras", ".pt", ".pth", ".npz", ".H5"])
@pytest.mark.parametrize("call", ["save_weights", "load_weights"])
def test_names_of_other_formats_are_refused_with_the_way_out(call, suffix, tmp_path):
    with pytest.raises(
        ValueError,
        match=rf"^{call}: .* safetensors files; got 'w{suffix}'. Call it w.safetensors.$",
    ):
        getattr(network(), call)(tmp_path / f"w{suffix}")
    assert os.listdir(tmp_path) == []


def test_files_that_cannot_be_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing"):
        network().save_weights(tmp_path / "missing" / "w.safetensors")
    with pytest.raises(FileNotFoundError, match=r"^load_weights: there is no file .*w\.safetens"):
        network().load_weights(tmp_path / "w.safetensors")
    one = network()
    for call in (one.save, one.save_weights, one.load_weights, fastnn.load_model):
        for path, error in ((tmp_path, ValueError), ("", ValueError), (None, TypeError)):
            with pytest.raises(error, match=f"^{call.__name__}: expected the path of a file; got"):
                call(path)
    with pytest.raises(ValueError, match="has no weights yet: call it once"):
        fastnn.Sequential([layers.Dense(1)]).save_weights(tmp_path / "w.safetensors")


# ---- files that do not fit


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda v: v.pop("dense_1/bias"), ValueError,
         r"is of another model: it lacks 'dense_1/bias'; known are dense/kernel, "),
        (lambda v: v.update(extra=np.ones(1, "f4")), ValueError,
         r"it holds 'extra', which the model has not"),
        (lambda v: v.update({"dense/kernel": np.ones((2, 3), "f4")}), ShapeError,
         r"'dense/kernel' has shape \(3, 2\); .*\(2, 3\)"),
        (lambda v: v.update({"dense_1/bias": np.array(1, "f4")}), ShapeError,
         r"'dense_1/bias' has shape \(1\); .* holds \(\)"),
        (lambda v: v.update({"dense_1/bias": np.ones(1, "f2")}), ValueError,
         r"'dense_1/bias' is of type 'F16'; fastnn reads F32"),
        (lambda v: v.clear(), ValueError, "it lacks 'sequential/dense/kernel'"),
    ],
    ids=["missing", "unknown", "transposed", "no dimensions", "half precision", "empty"],
)  # fmt: skip
def test_a_file_of_another_model_changes_nothing(change, kind, message, tmp_path):
    model = network()
    before, values = model.get_weights(), arrays(NAMES, model)
    change(values)
    safetensors.numpy.save_file(values, tmp_path / "w.safetensors")
    with pytest.raises(kind, match=message):
        model.load_weights(tmp_path / "w.safetensors")
    assert_weights(model, before)


# ---- files that are broken


class Broken:
    """A model with two weights, its file, and the file's table."""

    def __init__(self, folder):
        self.path = folder / "w.safetensors"
        self.model = fastnn.Sequential(
            [fastnn.Input((2,)), layers.Dense(2, bias_initializer="ones")]
        )
        self.model.save_weights(self.path)
        self.whole, self.weights = self.path.read_bytes(), self.model.get_weights()
        end = 8 + int.from_bytes(self.whole[:8], "little")
        self.table, self.numbers = json.loads(self.whole[8:end]), self.whole[end:]

    def file(self, table, numbers=None, length=None):
        head = table if isinstance(table, bytes) else json.dumps(table).encode()
        return (
            (len(head) if length is None else length).to_bytes(8, "little")
            + head
            + (numbers or self.numbers)
        )

    def with_bias(self, **entry):
        return self.file({**self.table, "dense/bias": {**self.table["dense/bias"], **entry}})

    def load(self, content):
        """Whether it was loaded; either way the weights are what they should be."""
        self.path.write_bytes(content)
        self.model.set_weights(self.weights)
        expected, refusal = self.weights, ""
        try:
            self.model.load_weights(self.path)
        except ValueError as error:
            refusal = str(error)
        else:
            found = safetensors.numpy.load(content)
            expected = [found["dense/kernel"], found["dense/bias"]]
        assert_weights(self.model, expected)
        assert not refusal or str(self.path) in refusal
        return not refusal


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    return Broken(tmp_path_factory.mktemp("weights"))


def test_every_truncated_file_is_refused(broken):
    assert broken.load(broken.whole)
    assert [end for end in range(len(broken.whole)) if broken.load(broken.whole[:end])] == []
    assert not broken.load(broken.whole + b"\0")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda b: b.file(b.table, length=(1 << 64) - 1),
         "its table should have 18446744073709551615 bytes"),
        (lambda b: b.file(b.table, length=0), "not JSON"),
        (lambda b: b.file(b"\xff\xfe\x00"), "not JSON"),
        (lambda b: b.file(b"{" * 3), "not JSON"),
        (lambda b: b.file(b'{"a":' * 100_000), "not JSON"),
        (lambda b: b.file(b"9" * 10_000), "not JSON"),
        (lambda b: b.file([1]), "not one of safetensors"),
        (lambda b: b.file({"dense/kernel": 1, "dense/bias": None}), "not one of safetensors"),
        (lambda b: b.with_bias(shape=[-2]), r"'dense/bias' has shape \(-2,\)"),
        (lambda b: b.with_bias(shape=[-1, -2]), r"'dense/bias' has shape \(-1, -2\)"),
        (lambda b: b.with_bias(shape=[2.0]), r"'dense/bias' has shape \(2.0,\)"),
        (lambda b: b.with_bias(shape=[True, 2]), r"'dense/bias' has shape \(True, 2\)"),
        (lambda b: b.with_bias(shape=["2"]), r"'dense/bias' has shape \('2',\)"),
        (lambda b: b.with_bias(shape=None), "not one of safetensors"),
        (lambda b: b.with_bias(shape=[3]), "'dense/bias' does not lie where"),
        (lambda b: b.with_bias(shape=[1 << 62, 4]), "'dense/bias' does not lie where"),
        (lambda b: b.with_bias(shape=[1] * 70 + [2]), "dimension"),
        (lambda b: b.with_bias(dtype="F16"),
         "'dense/bias' is of type 'F16'; fastnn reads F32, F64"),
        (lambda b: b.with_bias(dtype=["F32"]), "not one of safetensors"),
        (lambda b: b.with_bias(data_offsets=[16, 28]), "'dense/bias' does not lie where"),
        (lambda b: b.with_bias(data_offsets=[12, 20]), "'dense/bias' does not lie where"),
        (lambda b: b.with_bias(data_offsets=[24, 16]), "'dense/bias' does not lie where"),
        (lambda b: b.with_bias(data_offsets=[-8, 0]), "'dense/bias' has shape"),
        (lambda b: b.with_bias(data_offsets=[16]), "unpack"),
        (lambda b: b.with_bias(data_offsets=[16, 20, 24]), "unpack"),
        (lambda b: b.with_bias(data_offsets=["16", "24"]), "not one of safetensors"),
        (lambda b: b.file({**b.table, "twice": b.table["dense/bias"]}),
         "'twice' does not lie where"),
        (lambda b: b.file({"dense/kernel": b.table["dense/kernel"]}),
         "8 bytes follow the last weight"),
    ],
)  # fmt: skip
def test_a_table_that_lies_is_refused(broken, content, why):
    with pytest.raises(
        ValueError, match=rf"w\.safetensors is not a whole safetensors file: .*{why}"
    ):
        broken.path.write_bytes(content(broken)) and files.read(broken.path)
    assert not broken.load(content(broken))


@settings(max_examples=400, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=3))
def test_any_bytes_load_as_others_read_them_or_are_refused(broken, places):
    content = bytearray(broken.whole)
    for place, byte in places:
        content[place % len(content)] = byte
    broken.load(bytes(content))
