"""Names and configurations of losses, layers, optimizers, metrics, initializers, activations and
callbacks."""

import json
import sys
from types import FunctionType

import numpy as np
import pytest

import fastnn
from fastnn import (
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    registry,
    regularizers,
    saving,
)

KINDS = list(registry._kinds.values())
# those of the library: classes in examples of docstrings may have been defined as well
ENTRIES = {
    f"{kind.module}.{entry.__name__}": (kind, entry)
    for kind in KINDS
    for entry in kind.spellings.values()
    if getattr(sys.modules[entry.__module__], entry.__name__, None) is entry
}
ABSTRACT = (
    "Drawing",
    "Projected",
    "Trainer", "Model", "BuiltIn", "Elementwise", "Moments", "Binary", "Monitor", "MeanOfValues",
    "MeanOfLoss", "AtThresholds", "_Given", "_Count", "_Rate", "_Best", "_Scaled", "_Lookup",
    "Course", "Spatial", "_Adaptive", "_Windows", "_Global", "_UpSampling", "_ZeroPadding",
    "_Cropping", "Checking",
    "Convolution", "_Conv", "_ConvTranspose", "_DepthwiseConv", "_SeparableConv",
)  # fmt: skip
# What is made of functions; and, tested in tests/models, of what is not in its configuration.
ODD = ("LambdaCallback", "BackupAndRestore", "InputLayer", "Functional")
CLASSES = {
    name: found
    for name, found in ENTRIES.items()
    if isinstance(found[1], type) and found[1].__name__ not in ODD
    # whose steps, which are there once another test imports them, have tests of their own
    if found[0].module != "preprocessing"
}


@saving.register_keras_serializable()
def halved(epoch, rate):
    return rate / 2


# Of each argument another value than its default.
OTHER = {
    "activation": "tanh",
    "alpha": 0.75,
    "arguments": {"a": 2},
    "attention_axes": (1,),
    "axes": (1, 2),
    "average": "macro",
    "axis": 1,
    "baseline": 0.5,
    "beta": 0.75,
    "beta_1": 0.5,
    "beta_2": 0.75,
    "class_aggregation": "variance_weighted_average",
    "class_id": 1,
    "curve": "PR",
    "data_format": "channels_first",
    "dims": (2, 1),
    "beta_2_decay": -0.5,
    "boundaries": [10],
    "clip_threshold": 0.5,
    "clipnorm": 0.5,
    "decay_rate": 0.5,
    "decay_steps": 10,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 3,
    "end_learning_rate": 0.5,
    "delta": 2.0,
    "distribution": "uniform",
    "dropout": 0.25,
    "dtype": "float64",
    "bias_axes": "d",
    "noise_shape": (None, 1),
    "equation": "abc,cd->abd",
    "epsilon": 0.125,
    "epsilon_1": 0.125,
    "epsilon_2": 0.125,
    "factor": 0.25,
    "filename": "log.csv",
    "filepath": "weights.safetensors",
    "fn": losses.mean_squared_error,
    "first_decay_steps": 10,
    "function": activations.softsign,
    "gain": 0.5,
    "flash_attention": False,
    "gamma": 3.0,
    "gradient_accumulation_steps": 3,
    "ignore_class": -1,
    "initial_accumulator_value": 0.5,
    "initial_learning_rate": 0.5,
    "initial_value_threshold": 0.5,
    "head_dim": 3,
    "input_axes": [0],
    "input_dim": 5,
    "input_shape": (3,),
    "layer": layers.Dense(2, name="wrapped"),
    "key_dim": 3,
    "l1": 0.5,
    "l2": 0.25,
    "label_smoothing": 0.25,
    "label_weights": [0.25, 0.5],
    "l1_regularization_strength": 0.5,
    "l2_regularization_strength": 0.5,
    "l2_shrinkage_regularization_strength": 0.5,
    "layers": [layers.InputLayer((3,)), layers.Dense(2, "relu", name="first"), layers.Dropout(0.5)],
    "learning_rate": 0.25,
    "learning_rate_power": -0.25,
    "loss_scale_factor": 4.0,
    "m_mul": 0.5,
    "margin": 0.25,
    "mask": activations.softsign,
    "mask_value": 2.5,
    "log_dir": "other",
    "max_value": 6.0,
    "maxval": 0.5,
    "mean": 0.5,
    "min_delta": 0.5,
    "min_value": 0.25,
    "min_lr": 0.5,
    "minval": -0.5,
    "mode": "max",
    "momentum": 0.5,
    "monitor": "loss",
    "n": 3,
    "name": "other",
    "output_axes": [1, 2],
    "output_dim": 4,
    "negative_slope": 0.5,
    "num_classes": 3,
    "num_heads": 2,
    "num_key_value_heads": 2,
    "num_query_heads": 4,
    "num_labels": 2,
    "precision": 0.25,
    "power": 2.0,
    "q": 0.25,
    "output_shape": (3,),
    "rate": 0.25,
    "recall": 0.25,
    "reduction": "sum",
    "rho": 0.5,
    "save_freq": 3,
    "schedule": halved,
    "score_mode": "concat",
    "seed": 3,
    "separator": ";",
    "shared_axes": [1],
    "shape": (5,),
    "sensitivity": 0.25,
    "specificity": 0.25,
    "stddev": 0.5,
    "summation_method": "minoring",
    "target_class_ids": [1],
    "t_mul": 3.0,
    "target_shape": (2, -1),
    "threshold": 0.25,
    "thresholds": [0.25, 0.5],
    "top_k": 2,
    "units": 4,
    "value": 0.5,
    # of layers of sequences, images and volumes: one number is right for all, but for these
    "kernel_size": 3,
    "output_size": 3,
    "pool_size": 3,
    "strides": 4,
    "padding": "same",
    "dilation_rate": 2,
    "filters": 4,
    "groups": 2,
    "depth_multiplier": 2,
    "output_padding": 1,
    "interpolation": "bilinear",
    "size": 3,
    "cropping": 1,
    **{f"ZeroPadding{d}D.padding": 2 for d in (1, 2, 3)},
    "bin_boundaries": [0.5, 1.5],
    "encoding": "utf-8",  # the one there is, as of those below
    "idf_weights": None,
    "max_tokens": 10,
    "num_bins": 3,
    "num_tokens": 5,
    "offset": 0.5,
    "oov_method": "floormod",
    "output_mode": "one_hot",
    "salt": 3,
    "Rescaling.scale": 2.0,
    "sliding_window": 2,
    "sparse": False,
    "value_dim": 5,
    "variance": 0.5,
    "vocabulary_dtype": "int64",
    "Discretization.num_bins": None,  # or bin_boundaries
    "Hashing.mask_value": "mask",
    "IntegerLookup.invert": False,  # or another output_mode
    "IntegerLookup.mask_token": 7,
    "IntegerLookup.oov_token": 8,
    "IntegerLookup.salt": None,
    "IntegerLookup.vocabulary": [1, 2],
    "StringLookup.invert": False,
    "StringLookup.mask_token": "mask",
    "StringLookup.oov_token": "unknown",
    "StringLookup.vocabulary": ["a", "b"],
    "OrthogonalRegularizer.mode": "columns",
    "embeddings_freq": 0,  # TensorBoard takes nothing else
    "embeddings_metadata": None,
    "profile_batch": 0,
    "write_images": False,
    "write_steps_per_second": False,
    "VarianceScaling.mode": "fan_avg",
    "VarianceScaling.scale": 2.0,
    "update_freq": 3,
    "values": [0.5, 0.25],
    "verbose": 1,
    "warmup_steps": 3,
    "warmup_target": 0.5,
    "weight_decay": 0.5,
}


def other(cls, name):
    if name in ("clipvalue", "global_clipnorm"):  # or clipnorm
        return None
    if name.endswith("_initializer"):
        return initializers.RandomNormal(stddev=0.5, seed=1)
    if name.endswith("_regularizer"):
        return regularizers.L2(0.5)
    if name.endswith("_constraint"):
        return constraints.MaxNorm(0.5)
    for key in (f"{cls.__name__}.{name}", name):
        if key in OTHER:
            return OTHER[key]
    for kind in cls.__mro__:
        if "__init__" in vars(kind):
            code = registry.signature(vars(kind)["__init__"]).parameters.get(name)
            if code is not None:
                default = code.default
                assert isinstance(default, bool | int), f"OTHER needs a value for {name}"
                return not default if isinstance(default, bool) else default + 1
    raise AssertionError(name)


@pytest.mark.parametrize(("kind", "cls"), CLASSES.values(), ids=CLASSES)
def test_every_class_comes_back_from_its_configuration(kind, cls):
    names = set(registry.parameters(cls)) - {"weights"}  # which a layer only begins with
    made = cls(**{name: other(cls, name) for name in names})
    written = json.loads(json.dumps(kind.serialize(made)))
    assert set(written) == {"module", "class_name", "config", "registered_name"}
    config = written["config"]
    assert names <= set(config)
    for found in (
        kind.deserialize(written),
        kind.get(written),
        kind.get({"class_name": written["class_name"], "config": config}),
        cls.from_config(config),
        saving.deserialize_keras_object({**written, "module": f"keras.src.{kind.module}.some"}),
    ):
        assert type(found) is cls
        assert json.loads(json.dumps(kind.serialize(found))) == written
        assert type(found.get_config()) is dict


@pytest.mark.parametrize(("kind", "entry"), ENTRIES.values(), ids=ENTRIES)
def test_every_name_finds_what_it_names(kind, entry):
    names = [name for name, found in kind.names.items() if found is entry]
    for name in [entry.__name__, *names]:
        assert kind.find(name) is entry
    assert registry._kinds[kind.module] is kind
    module = sys.modules[f"fastnn.{kind.module}"]
    assert module.get.__self__ is module.serialize.__self__ is module.deserialize.__self__ is kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.module)
def test_every_class_of_the_library_is_registered(kind):
    def below(cls):
        for inner in cls.__subclasses__():
            yield inner
            yield from below(inner)

    for cls in below(kind.base) if kind.base else ():
        module = sys.modules.get(cls.__module__)
        if cls.__module__.startswith("fastnn.applications."):
            continue  # imported when used: some are registered, and all are found by their module
        if cls.__module__.startswith("fastnn.") and getattr(module, cls.__name__, None) is cls:
            is_abstract = cls.__name__ in ABSTRACT
            assert is_abstract or kind.find(cls.__name__) is cls


@pytest.mark.parametrize(
    ("get", "identifier", "expected"),
    [
        (losses.get, "MSE", FunctionType),
        (losses.get, losses.MeanSquaredError, losses.MeanSquaredError),
        (optimizers.get, "RMSprop", optimizers.RMSprop),
        (optimizers.get, "ADAM", optimizers.Adam),
        (metrics.get, "mae", metrics.MeanAbsoluteError),
        (initializers.get, "GlorotUniform", initializers.GlorotUniform),
        (layers.get, "ReLU", layers.ReLU),
        (losses.get, lambda y, p: p, FunctionType),
        (metrics.get, metrics.Mean, metrics.Mean),
        (activations.get, "swish", FunctionType),
        (initializers.get, lambda shape, dtype: np.zeros(shape), FunctionType),
        (losses.get, None, type(None)),
        (activations.get, None, FunctionType),
        (activations.get, {"class_name": "ReLU", "config": {"max_value": 6.0}}, layers.ReLU),
    ],
)
def test_what_get_takes(get, identifier, expected):
    found = get(identifier)
    assert type(found) is expected
    if expected is not FunctionType:
        assert get(found) is found


def test_a_configuration_has_the_arguments_as_they_are_now():
    adam = optimizers.Adam()
    adam.learning_rate, adam.beta_1 = 0.5, 0.25
    layer = layers.Dense(2)
    layer.trainable = False
    assert (adam.get_config()["learning_rate"], adam.get_config()["beta_1"]) == (0.5, 0.25)
    assert layer.get_config()["trainable"] is False
    assert layers.Dense.from_config(layer.get_config()).trainable is False


def test_a_built_model_comes_back_built_with_the_same_names_of_weights(tmp_path):
    model = fastnn.Sequential([layers.Dense(3), layers.BatchNormalization(), layers.Dense(1)])
    x = np.ones((2, 4), "float32")
    expected = model.predict(x)
    model.save_weights(tmp_path / "w.safetensors")
    found = layers.deserialize(json.loads(json.dumps(layers.serialize(model))))
    assert found.input_shape == (None, 4)
    assert [layer.name for layer in found.layers] == [layer.name for layer in model.layers]
    found.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(found.predict(x), expected)


# ---- what Keras 3 writes

KERAS_DENSE = json.loads(
    """{"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "trainable":
    true, "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"},
    "registered_name": null}, "units": 3, "activation": "relu", "use_bias": true,
    "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform", "config":
    {"seed": null}, "registered_name": null}, "bias_initializer": {"module": "keras.initializers",
    "class_name": "Zeros", "config": {}, "registered_name": null}, "kernel_regularizer": null,
    "bias_regularizer": null, "kernel_constraint": null, "bias_constraint": null},
    "registered_name": null, "build_config": {"input_shape": [null, 4]}}"""
)
KERAS_INPUT = {
    "module": "keras.layers",
    "class_name": "InputLayer",
    "config": {
        "batch_shape": [None, 4],
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
        "name": "input_layer",
    },
    "registered_name": None,
}


def test_keras_models_are_read():
    config = {"name": "s", "trainable": True, "dtype": KERAS_DENSE["config"]["dtype"]}
    config |= {"layers": [KERAS_INPUT, KERAS_DENSE], "build_input_shape": [None, 4]}
    model = layers.deserialize({"module": "keras", "class_name": "Sequential", "config": config})
    assert model.output_shape == (None, 3)
    assert model.layers[0].activation is activations.relu


@pytest.mark.parametrize(
    ("get", "name", "config"),
    [
        (losses.get, "BinaryCrossentropy", {"reduction": "sum_over_batch_size", "axis": -1,
                                            "label_smoothing": 0.0, "from_logits": True}),
        (metrics.get, "MeanSquaredError", {"name": "m", "dtype": KERAS_DENSE["config"]["dtype"]}),
        (optimizers.get, "Adam", {"learning_rate": 0.5, "weight_decay": None, "use_ema": False,
                                  "ema_momentum": 0.99, "amsgrad": False, "clipnorm": None}),
        (optimizers.get, "RMSprop", {"momentum": 0.0, "centered": False, "rho": 0.5}),
        (layers.get, "Dropout", {"rate": 0.5, "noise_shape": None}),
    ],
)  # fmt: skip
def test_keras_arguments_that_change_nothing_are_taken(get, name, config):
    assert type(get({"class_name": name, "config": config})).__name__ == name


# ---- users' own


@saving.register_keras_serializable("tests")
class Scaled(layers.Layer):
    def __init__(self, factor, inner=None, **base):
        super().__init__(**base)
        self.factor, self.inner = factor, inner

    def call(self, x):
        return self.factor * (x if self.inner is None else self.inner(x))


@saving.register_keras_serializable("tests", name="double")
def doubled(x):
    return x + x


class Older(layers.Layer):
    """With a get_config of its own, as Keras's guides have it."""

    def __init__(self, factor, **base):
        super().__init__(**base)
        self._factor = factor

    def get_config(self):
        return {**super().get_config(), "factor": self._factor}


def test_users_own_classes_and_functions():
    layer = Scaled(2.0, inner=Scaled(3.0, layers.Dense(2, doubled)), dtype="float64")
    written = json.loads(json.dumps(layers.serialize(layer)))
    assert written["registered_name"] == "tests>Scaled"
    found = layers.deserialize(written)
    assert found.inner.inner.activation is doubled
    assert (found.factor, found.inner.factor, found.dtype) == (2.0, 3.0, "float64")
    assert activations.get("tests>double") is doubled
    assert saving.get_registered_name(doubled) == "tests>double"
    loss = losses.FunctionLoss(doubled)
    assert losses.deserialize(losses.serialize(loss)).function is doubled


def test_custom_objects_are_found_by_their_names():
    written = layers.serialize(Older(2.0))
    assert written["registered_name"] == "Older"
    assert layers.deserialize(written, {"Older": Older})._factor == 2.0
    with saving.custom_object_scope({"Older": Older}):
        assert layers.get(written)._factor == 2.0
        assert saving.deserialize_keras_object([written])[0]._factor == 2.0
    with pytest.raises(ValueError, match=r"'Older' of the module .* is not known here"):
        layers.deserialize(written)


class Forgetful(losses.Loss):
    def __init__(self, factor):
        super().__init__()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Forgetful(2).get_config(), "Forgetful has no attribute 'factor', which its"),
        (lambda: layers.Dense.from_config({"unit": 3}), "Dense: its .* unit=3.*mean 'units'"),
        (
            lambda: optimizers.get({"class_name": "Adam", "config": {"nesterov": True}}),
            "Adam: its configuration has nesterov=True, which it does not take; known are",
        ),
        (lambda: losses.get({"class_name": "MeanSquared", "config": {}}), "unknown class 'MeanSq"),
        (lambda: losses.get({"config": {}}), "configuration: expected a class_name"),
        (lambda: losses.get("tests>Scaled"), "loss: expected a name, .*Loss or a function; got"),
        (lambda: layers.get(3), "layer: expected a name, a configuration or a fastnn.layers.Layer"),
        (
            lambda: layers.Dense(2, kernel_initializer="ons"),
            "^Dense: kernel_initializer: unknown initializer 'ons'; did you mean 'ones'",
        ),
        (
            lambda: saving.deserialize_keras_object({"class_name": "MeanSquaredError"}),
            "'MeanSquaredError' is one of losses and metrics",
        ),
        (lambda: losses.serialize(losses.FunctionLoss(lambda y, p: p)), "cannot be written"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize(
    "config",
    [
        {"module": "os", "class_name": "function", "config": "system"},
        {"module": "builtins", "class_name": "function", "config": "eval"},
        {"module": "keras.layers", "class_name": "__lambda__", "config": {"code": "4wEAAAA="}},
        {"module": "keras.layers", "class_name": "Lambda", "config": {"function": "x"}},
        {"module": "subprocess", "class_name": "Popen", "config": {"args": "true"}},
        {"module": "tests.some", "class_name": "Mine", "config": {}, "registered_name": "a>Mine"},
    ],
)
def test_reading_a_configuration_imports_and_runs_nothing(config):
    before = set(sys.modules)
    for read in (layers.deserialize, activations.get, saving.deserialize_keras_object):
        with pytest.raises(ValueError, match=r"unknown|is not known"):
            read(config)
    assert set(sys.modules) == before


def test_the_decorator_wants_what_can_be_written():
    with pytest.raises(TypeError, match="Plain has no get_config"):

        @saving.register_keras_serializable()
        class Plain:
            pass
