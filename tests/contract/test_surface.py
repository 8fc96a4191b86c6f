"""The public surface: names, documentation, and the command line."""

import importlib
import importlib.metadata
import inspect
import pkgutil
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest

import fastnn

# programs, and kernels, which have tests of their own
SKIPPED = ("fastnn.__main__", "fastnn.article", "fastnn.kernels")
MODULES = [
    m.name
    for m in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if not any(m.name == s or m.name.startswith(f"{s}.") for s in SKIPPED)
]
SHARED = [
    "activations",
    "callbacks",
    "config",
    "constraints",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "ops",
    "optimizers",
    "random",
    "regularizers",
    "utils",
]


# ---- names and documentation


@pytest.mark.parametrize("name", SHARED)
def test_the_keras_namespace_holds_the_same_modules(name):
    module = getattr(fastnn, name)
    assert getattr(fastnn.keras, name) is module
    assert importlib.import_module(f"fastnn.keras.{name}") is module


def test_keras_import_lines_work():
    lines = """
        import fastnn.keras as keras
        from fastnn import keras as other
        from fastnn.keras import Input, Model, Sequential, layers
        from fastnn.keras.layers import Activation, BatchNormalization, Dense, InputLayer
        from fastnn.keras.layers import ReLU, Softmax
        from fastnn.keras.losses import BinaryCrossentropy, MeanSquaredError
        from fastnn.keras.losses import SparseCategoricalCrossentropy
        from fastnn.keras.metrics import BinaryAccuracy, CategoricalAccuracy, Mean
        from fastnn.keras.metrics import SparseCategoricalAccuracy
        from fastnn.keras.optimizers import SGD, Adam, RMSprop
        from fastnn.keras.optimizers.schedules import CosineDecay
        from fastnn.keras.callbacks import Callback, EarlyStopping, History
        from fastnn.keras.initializers import GlorotUniform, RandomNormal, RandomUniform
        from fastnn.keras.utils import clear_session, plot_model, set_random_seed
        from fastnn.keras import KerasTensor, Layer, Loss, Metric, Optimizer, Variable
        from fastnn.keras.models import clone_model, load_model, model_from_json
        import fastnn as tf
        from fastnn.keras import activations
        """
    names = {}
    exec(inspect.cleandoc(lines), names)
    assert names["keras"] is names["other"] is names["tf"].keras
    assert names["Dense"] is fastnn.layers.Dense
    assert names["CosineDecay"] is fastnn.optimizers.schedules.CosineDecay
    assert names["keras"].Sequential is names["Sequential"] is fastnn.Sequential


# ---- what is imported when it is used

LATE = """
import sys, fastnn, fastnn.keras
assert sys.modules.get("random") is not fastnn.random, "other packages' imports are left alone"
def late(name): return f"fastnn.{name}" in sys.modules
assert not any(map(late, ["layers.merging", "metrics.auc", "callbacks.monitor", "saving.models"]))
assert not {"json", "hashlib", "shutil", "tempfile"} & set(sys.modules)
assert {"Add", "add", "BatchNormalization", "Dense"} <= set(dir(fastnn.layers))
assert fastnn.metrics.get("auc").name == "auc" and fastnn.callbacks.get("early_stopping")
assert fastnn.layers.deserialize({"class_name": "Dropout", "config": {"rate": 0.5}}).rate == 0.5
import fastnn.keras.layers.merging as merging
assert merging is fastnn.layers.merging and merging.Add is fastnn.keras.layers.Add
assert merging.__spec__.name == "fastnn.layers.merging"
assert fastnn.keras.models.load_model is fastnn.load_model is fastnn.saving.load_model
from fastnn.keras.layers import *
assert Subtract is fastnn.layers.Subtract
"""


def test_what_few_programs_need_is_imported_when_it_is_used():
    subprocess.run([sys.executable, "-c", LATE], check=True)


@pytest.mark.parametrize("name", ["callbacks", "layers", "metrics", "optimizers"])
def test_every_class_of_a_kind_is_a_name_of_its_package(name):
    module = getattr(fastnn, name)
    found = {  # and not made by an example in a docstring, which another test runs
        e
        for e in module.KIND.names.values()
        if e.__module__.startswith("fastnn.")
        and getattr(sys.modules[e.__module__], e.__name__, None) is e
    }
    listed = {id(getattr(module, n)) for n in module.__all__}
    assert {e.__name__ for e in found if id(e) not in listed} <= {
        "Functional",
        "Merge",
        "Model",
        "Sequential",
    }
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.filterwarnings("ignore:binary_crossentropy")
def test_the_articles_program_runs(capsys):
    names = runpy.run_module("fastnn.article")
    assert len(names["model"].history.history["loss"]) == 100
    assert capsys.readouterr().out.count("Epoch ") == 100


def public(module):
    """(qualified name, class, function or method) of everything public that is defined in a
    module."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value) or inspect.isfunction(value):
            yield f"{module.__name__}.{name}", value


@pytest.mark.parametrize("name", [*MODULES, "fastnn"])
def test_everything_public_says_what_it_is(name):
    module = importlib.import_module(name)
    assert module.__doc__, "the module"
    assert [name for name, value in public(module) if not inspect.getdoc(value)] == []


# ---- the command line


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "fastnn", *arguments], capture_output=True, text=True
    )


def test_the_doctor_names_versions_processor_and_cache():
    done = command("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(
        line.split(maxsplit=1) for line in done.stdout.splitlines() if not line.startswith("extra")
    )
    assert list(lines) == ["versions", "system", "processor", "threads", "kernels", "cache", "cuda"]
    for package in ("numpy", "numba", "llvmlite"):
        assert f"{package} {importlib.import_module(package).__version__}" in lines["versions"]
    assert re.fullmatch(
        r"[\w.+-]+, vectors of \d+ bits(, as FASTNN_VECTOR_BITS has it)?", lines["processor"]
    )
    assert re.fullmatch(r"at most \d+, as .+ has it; \d+ processors", lines["threads"])
    assert re.fullmatch(r".+, \d+ kernels, [\d.]+ MB|none: it cannot be written", lines["cache"])
    assert re.match(
        r".+, compute capability \d+\.\d+, [\d.]+ of [\d.]+ GB free, driver for CUDA \d+\.\d+$"
        r"|NVIDIA's driver |.*\(\d+\), from cu\w+\.|the .* compute capability",
        lines["cuda"],
    )


def test_the_doctor_tells_what_extras_lack():
    """As the metadata of an installed fastnn has it; a checkout alone has none."""
    named = {
        name for name, *_ in re.findall(r"^extra ([\w-]+) +(\S.*)$", command("doctor").stdout, re.M)
    }
    try:
        expected = set(importlib.metadata.metadata("fastnn-numba").get_all("Provides-Extra"))
    except importlib.metadata.PackageNotFoundError:
        expected = set()
    assert named == expected


@pytest.mark.parametrize("arguments", [["docter"], [], ["doctor", "--loud"]])
def test_an_unknown_command_is_answered_with_those_there_are(arguments):
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "{demo,doctor,warmup}" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_what_each_command_does():
    done = command("--help")
    assert done.returncode == 0
    assert all(re.search(rf"\b{name}\b +\w", done.stdout) for name in ("demo", "doctor", "warmup"))


def test_the_digits_are_learned(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    from fastnn.demo import digits

    monkeypatch.chdir(tmp_path)
    assert digits() >= 0.97
    out = capsys.readouterr().out
    assert out.count("test accuracy") == 6
    assert "history of the last split" in out
    confusion = np.array(
        [
            [int(n) for n in re.findall(r"\d+", line)]
            for line in out.splitlines()
            if re.match(r" ?\[+\s*\d", line)
        ]
    )
    assert confusion.shape == (10, 10)
    assert confusion.sum() == 1797
    assert np.trace(confusion) / 1797 >= 0.97


def test_without_scikit_learn_the_digits_say_how_to_get_it(monkeypatch):
    from fastnn.demo import digits

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit, match=r"pip install 'fastnn-numba\[demo\]'"):
        digits()
