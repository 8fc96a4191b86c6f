"""Calls every public function and class of a namespace with one argument at a time replaced by
what nobody meant, and prints what went wrong, a line of JSON each:

    FASTNN_INTERPRET=1 python -m tests.contract.hostile ops

A process of its own, in which nothing is compiled; test_hostile.py looks at what it prints.
"""

import inspect
import json
import resource
import signal
import sys
from contextlib import suppress
from functools import reduce

import numpy as np

import fastnn
from fastnn import keras
from fastnn.applications import dense_discriminator, dense_generator
from fastnn.ops import registry
from fastnn.ops.functions import functions, tested
from tests.oracle import as_type, draw

HOSTILE = {
    "None": None,
    "'a'": "a",
    "nan": float("nan"),
    "[]": [],
    "object()": object(),
    "-1": -1,
    "True": True,
    "2**62": 2**62,
    "10**30": 10**30,
    "{}": {},
    "0": 0,
    "1.5": 1.5,
    "(None,)": (None,),
    "function": lambda x: x,
    "complex": 1j,
    "inf": float("inf"),
    "(1, 1, 1, 1, 1)": (1, 1, 1, 1, 1),
}
# what may be given for flags, names and seeds without an error
TAKEN = {
    "flag": {"True", "0"},
    "name": {"None", "'a'"},
    "seed": {"None", "-1", "2**62", "10**30", "0"},
}
REFUSALS = (
    TypeError, ValueError, IndexError, OverflowError, FloatingPointError, RuntimeError, OSError,
)  # fmt: skip
MAX_SECONDS = 4  # of the processor, for one call
X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)
P = np.array([[0.2, 0.8], [0.7, 0.3]], "float32")
# what an argument without default is given, by its name
GIVEN = {
    "units": 2, "rate": 0.5, "n": 2, "dims": (1,), "target_shape": (3,), "input_dim": 4,
    "max_value": 1.0,
    "output_dim": 2, "equation": "ab,bc->ac", "output_shape": (2,), "function": lambda x: x,
    "num_bins": 3, "scale": 2.0, "stddev": 0.1, "axes": 1, "layer": fastnn.layers.Dense(2),
    "k": 2, "fn": lambda y, p: (y - p) ** 2, "num_classes": 2, "target_class_ids": [0, 1],
    "sensitivity": 0.5, "specificity": 0.5, "precision": 0.5, "recall": 0.5, "num_heads": 2,
    "key_dim": 2, "head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1, "filters": 2,
    "kernel_size": 1, "pool_size": 1, "output_size": 1, "size": 1, "padding": 1, "cropping": 0,
    "threshold": 0.5,
    "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "first_decay_steps": 5,
    "boundaries": [1], "values": [0.1, 0.2], "monitor": "loss", "filepath": "x.fastnn",
    "filename": "x.csv", "backup_dir": "x", "schedule": lambda e: 0.1, "x": X, "shape": (2, 3),
    "y_true": P, "y_pred": P, "value": 1.0, "logits": P, "num_samples": 2, "minval": 0,
    "maxval": 2, "inputs": X, "seed": 1, "identifier": "x", "config": {}, "sequences": [[1]],
    "dtype": "float32", "data": X, "dataset": X, "name": "relu", "obj": 1, "learning_rate": 0.1,
}  # fmt: skip
# of what its name alone does not tell
OF_ITS_OWN = {
    "CategoryEncoding": {"num_tokens": 3}, "Discretization": {"bin_boundaries": [0.0]},
    "Input": {"shape": (3,)}, "InputLayer": {"shape": (3,)}, "split_dataset": {"left_size": 0.5},
    "to_categorical": {"x": [0, 1]}, "glu": {"x": P},
    "threshold": {"threshold": 0.5, "default_value": 0.0},
    "Variable": {"initializer": X}, "categorical_generalized_cross_entropy": {"q": 0.5},
    "gradcheck": {"function": lambda x: x, "inputs": [X]}, "Pipeline": {"steps": ["min_max"]},
    "reshape": {"newshape": (-1,)}, "expand_dims": {"axis": 0}, "argpartition": {"kth": 1},
    "top_k": {"k": 1}, "in_top_k": {"k": 1}, "moveaxis": {"source": 0, "destination": 0},
    "swapaxes": {"axis1": 0, "axis2": 0}, "roll": {"shift": 1}, "tile": {"repeats": 1},
    "repeat": {"repeats": 1}, "pad": {"pad_width": 1}, "full_like": {"fill_value": 1.0},
    "one_hot": {"num_classes": 9}, "multi_hot": {"num_classes": 9}, "scatter": {"shape": (9,)},
    "quantile": {"q": 0.5}, "percentile": {"q": 50}, "tensordot": {"axes": 0},
    "conv": {"inputs": np.ones((1, 5, 5, 1), "float32")},
    "BERT": {
        "vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 8, "max_position_embeddings": 8,
    },
    "GPT2": {"vocab_size": 9, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 2},
    "ResNet": {
        "num_classes": 2, "image_shape": (8, 8, 1), "layer_type": "basic", "hidden_sizes": (2,),
        "depths": (1,), "embedding_size": 2, "stem_size": 3,
    },
    "dense_generator": {"columns": 3, "latent_dim": 2, "hidden": (4,)},
    "dense_discriminator": {"columns": 3, "hidden": (4,)},
    "conv_generator": {"shape": (4, 4, 1), "latent_dim": 2, "filters": (2,)},
    "conv_discriminator": {"shape": (4, 4, 1), "filters": (2,)},
    "GAN": {
        "generator": dense_generator(3, latent_dim=2, hidden=(4,)),
        "discriminator": dense_discriminator(3, hidden=(4,)),
    },
}  # fmt: skip
LABELS = [0, 1]
WITH_LABELS = {
    "sparse_categorical_crossentropy", "categorical_generalized_cross_entropy", "circle",
    "SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy", "Circle",
    "sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy",
    "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy",
}  # fmt: skip
INTERNAL = ("accumulate", "draw_offset", "arena")  # what no user gives
LEFT_OUT = {
    "meshgrid",  # takes any number of arrays
    # what they do is for the whole process, or a file's, a terminal's, a window's
    "clear_session", "disable_interactive_logging", "enable_interactive_logging", "plot_model",
    "set_threads", "device", "set_device", "load_model", "save_model", "load_weights",
    "save_weights", "model_from_json", "version", "names", "custom_object_scope",
    "CustomObjectScope", "get_custom_objects", "get", "serialize", "deserialize", "clone_model",
    "register_keras_serializable", "get_registered_name", "get_registered_object",
    "serialize_keras_object", "deserialize_keras_object", "KerasTensor", "Functional", "Model",
    "Sequential", "Layer", "Loss", "Metric", "Optimizer", "Regularizer", "Constraint",
    "Initializer", "Callback", "CallbackList", "LearningRateSchedule", "Wrapper", "PyDataset",
    "BERTClassifier", "BERTMaskedLM",
    "set_floatx", "set_epsilon", "set_random_seed", "set_image_data_format", "is_keras_tensor",
}  # fmt: skip


def targets(namespace):
    """(name, callable, arguments by name, whose None and default values are left out)."""
    if namespace == "ops":
        for name, op in registry.items():
            case = min(op.cases, key=lambda c: sum(a.size for a in draw(c, 0) if a.size) or 1e9)
            inputs = dict(zip(op.inputs, as_type(draw(case, 0), "float32"), strict=False))
            needed = {**case.attributes, **OF_ITS_OWN.get(name, {})}
            others = {n: op.defaults.get(n) for n in op.names if n not in (*needed, *INTERNAL)}
            yield name, op, {**inputs, **needed}, others
        for name, t in tested.items():
            if name in LEFT_OUT:
                continue
            arrays = as_type(draw(t.cases[0], 0), "float32")
            first = [list(arrays)] if t.takes_list else arrays
            parameters = inspect.signature(t.function).parameters
            names = [p for p in parameters if p != "self"]
            given = {**dict(zip(names, first, strict=False)), **t.cases[0].attributes}
            others = {n: parameters[n].default for n in names if n not in given}
            yield name, functions[name], given, others
        return
    module = reduce(getattr, namespace.split(".")[namespace == "fastnn" :], fastnn)
    listed = [n for n in keras.names().get(f"keras.{namespace}", dir(module)) if n in dir(module)]
    found = {id(getattr(module, n)): n for n in listed if n[0] != "_" and n not in LEFT_OUT}
    for name in found.values():
        value = getattr(module, name)
        if not callable(value) or not value.__module__.startswith("fastnn"):
            continue
        own = OF_ITS_OWN.get(name, {})
        if namespace == "layers" and name.islower() and name != "get":  # a layer's call
            own = {"inputs": [X, X]}
        parameters = [
            p
            for p in inspect.signature(value).parameters.values()
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        ]
        given = {p.name: GIVEN.get(p.name) for p in parameters if p.default is p.empty} | own
        if "y_true" in given and name in WITH_LABELS:
            given["y_true"] = LABELS
        yield (
            name,
            value,
            given,
            {p.name: p.default for p in parameters if p.name not in (*given, *INTERNAL)},
        )


def used(made, namespace, name):
    """Use what was made."""
    match namespace:
        case "layers":
            with suppress(*REFUSALS):
                made(X)
        case "losses" | "metrics":
            made(LABELS if name in WITH_LABELS else P, P)
        case "optimizers":
            v = fastnn.Variable(X)
            made.apply([X], [v])
        case "optimizers.schedules":
            made(3)
        case "initializers":
            made((3, 2))
        case "regularizers" | "constraints":
            made(X)


class Hang(BaseException):
    """A call that does not end."""


def _hangs(number, frame):
    raise Hang(f"more than {MAX_SECONDS} s, in {frame.f_code.co_qualname}")


def call(function, arguments, namespace):
    signal.setitimer(signal.ITIMER_VIRTUAL, MAX_SECONDS)
    try:
        made = function(**arguments)
        if isinstance(function, type):
            used(made, namespace, function.__name__)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def walk(namespace):
    for name, function, given, others in targets(namespace):
        try:
            call(function, given, namespace)
        except Exception as error:
            yield name, "", "(as it is meant)", f"{type(error).__name__}: {error}"
            continue
        for argument in [a for a in (*given, *others) if a not in INTERNAL]:
            for word in HOSTILE:
                changed = {**given, argument: HOSTILE[word]}
                told = _wrong(
                    function, name, argument, changed, namespace, others.get(argument), word
                )
                if told:
                    yield name, argument, word, told


def _kind(function, argument, default):
    """ "flag", "name" or "seed", if an argument is one."""
    if isinstance(default, bool):
        return "flag"
    is_one = isinstance(function, type) and argument in ("name", "seed")
    return argument if is_one else None


def _wrong(function, name, argument, arguments, namespace, default, word):
    """What is wrong with what came of it."""
    try:
        call(function, arguments, namespace)
        kind = _kind(function, argument, default)
        if kind and word not in TAKEN[kind]:
            return f"taken for a {kind}"
    except (MemoryError, OSError):  # of files it is their names that count
        return None
    except REFUSALS as error:
        text = str(error).lower().replace("_", "")
        names = (argument, name, getattr(function, "__name__", name), "<lambda>()")
        if any(n.lower().replace("_", "") in text for n in names):
            return None
        return f"{type(error).__name__} without a name: {error}"
    except (Exception, Hang) as error:
        if name == "gradcheck" and isinstance(error, AssertionError):
            return None
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    np.seterr(all="ignore")
    signal.signal(signal.SIGVTALRM, _hangs)
    # memory that no test has: a MemoryError where it would be taken
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    for found in walk(sys.argv[1]):
        print(json.dumps(found), flush=True)
