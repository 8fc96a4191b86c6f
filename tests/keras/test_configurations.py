"""Configurations against Keras's: what it wrote is read, and what fastnn writes says the same."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn.registry import NEUTRAL
from tests.keras.goldens import spatial
from tests.keras.goldens.configurations import CONFIGURATIONS

CONFIGURATIONS = {**CONFIGURATIONS, **spatial.CONFIGURATIONS}

GOLDENS = json.loads(
    (Path(__file__).parent / "goldens" / "configurations.json").read_text(encoding="utf-8")
)
# What fastnn writes on purpose that Keras does not, by class: a Dense says what input it was given
# a shape for. (What Keras 3.15 forgets of others, 3.16 writes.)
OURS = {
    "AdditiveAttention": {"score_mode"},
    "Adam": {"epsilon_after_correction"},
    "AdamW": {"epsilon_after_correction"},
    "CosineSimilarity": {"axis"},
    "ELU": {"alpha"},  # which Keras 3.15 forgets
    "Huber": {"delta"},
    "Identity": {"gain"},
    "Dense": {"input_shape"},
    **{f"SpatialDropout{d}D": {"trainable"} for d in (1, 2, 3)},  # which Keras 3.15 forgets
    "Sequential": {"build_input_shape", "compile_config"},
}


@pytest.fixture(autouse=True)
def names_from_the_start(monkeypatch):
    monkeypatch.setattr("fastnn.registry._used_names", {})


def written(value):
    return json.loads(json.dumps(fastnn.saving.serialize_keras_object(value)))


def expect_same(ours, golden):
    """That a configuration of fastnn's says what Keras's does."""
    if isinstance(golden, dict) and golden.get("class_name") in ("function", "DTypePolicy"):
        config = golden["config"]  # fastnn: the name
        golden = config if isinstance(config, str) else config["name"]
    if isinstance(golden, list):
        assert len(ours) == len(golden)
        for one, other in zip(ours, golden, strict=True):
            expect_same(one, other)
    elif isinstance(golden, dict):
        name = golden["class_name"]
        assert ours["class_name"] == name
        assert ours["registered_name"] == golden["registered_name"]
        found, expected = ours["config"], golden["config"]
        assert set(found) - set(expected) <= OURS.get(name, set())
        for key in set(expected) - set(found):
            value = expected[key]
            assert value is None or value is False or value == NEUTRAL[key], key
        for key in set(found) & set(expected):
            if key == "learning_rate":  # which Keras keeps in float32
                assert np.float32(found[key]) == np.float32(expected[key])
            else:
                expect_same(found[key], expected[key])
    else:
        assert ours == golden


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_are_kerass(name):
    expect_same(written(CONFIGURATIONS[name](fastnn.keras)), GOLDENS[name])


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_keras_wrote_is_read(name):
    golden = GOLDENS[name]
    found = fastnn.saving.deserialize_keras_object(golden)
    assert type(found) is type(CONFIGURATIONS[name](fastnn.keras))
    expect_same(written(found), golden)
    module = getattr(fastnn, golden["module"].removeprefix("keras."), None)
    if hasattr(module, "deserialize"):
        expect_same(written(module.deserialize(golden)), golden)


def test_a_model_keras_had_built_comes_back_built():
    model = fastnn.layers.deserialize(GOLDENS["Sequential of all"])
    assert model.input_shape == (None, 4)
    assert model.output_shape == (None, 1)


def test_every_class_has_a_golden():
    """But those of functions, which Keras keeps to itself, and bases; a functional model's is in
    tests/models."""
    names = "initializers regularizers constraints losses metrics optimizers layers"
    kinds = [getattr(fastnn, name) for name in names.split()]
    known = {
        entry.__name__
        for kind in kinds
        for entry in kind.get.__self__.spellings.values()
        if vars(sys.modules[entry.__module__]).get(entry.__name__) is entry  # no example's own
        and isinstance(entry, type)
        and entry.__module__.startswith("fastnn.")
    }
    golden = {g["class_name"] for g in GOLDENS.values() if isinstance(g, dict)}
    bases = {"Merge", "Wrapper"}
    of_data = {  # whose arguments are not all Keras's; they come back in tests/layers
        "Rescaling", "Normalization", "Discretization", "CategoryEncoding", "Hashing",
        "StringLookup", "IntegerLookup",
    }  # fmt: skip
    functions = {"FunctionLoss", "MeanMetricWrapper", "Functional", "Lambda"}
    assert known - golden == functions | bases | of_data
