"""Keras's names for what fastnn has: `import fastnn.keras as keras`, or `from fastnn.keras.layers
import Dense`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from fastnn import (
    activations,
    callbacks,
    config,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    random,
    regularizers,
    saving,
    utils,
)
from fastnn.devices.choice import device
from fastnn.errors import nearest
from fastnn.initializers import Initializer
from fastnn.layers import Input, Layer
from fastnn.losses import Loss
from fastnn.metrics import Metric
from fastnn.models import Model, Sequential
from fastnn.optimizers import Optimizer
from fastnn.regularizers import Regularizer
from fastnn.symbolic import KerasTensor
from fastnn.variable import Variable

__version__ = "3.15.1"  # of the Keras whose names these are
IMPORTED_WHEN_USED = ("backend", "tree")


def version() -> str:
    """The version of Keras whose names these are.

    >>> import fastnn.keras as keras
    >>> keras.version()
    '3.15.1'
    """
    return __version__


@contextmanager
def name_scope(name: str, **options: Any) -> Iterator[None]:
    """A scope in which Keras begins the paths of variables with `name`. Here a variable's name is
    its layer's and its own, whatever the scope.

    >>> import fastnn.keras as keras
    >>> with keras.name_scope("encoder"):
    ...     layer = keras.layers.Dense(1, name="first")
    >>> layer.name
    'first'
    """
    if not isinstance(name, str):
        raise TypeError(f"name_scope: name must be a string; got {name!r}")
    yield


def names() -> dict[str, list[str]]:
    """Keras's public names, by namespace: those that fastnn has not yet, too."""
    from pathlib import Path  # here, for it is for errors and tools alone

    found: dict[str, list[str]] = {}
    for line in Path(__file__).with_name("names.txt").read_text().splitlines()[1:]:
        if not line.startswith(" "):
            namespace, _, line = line.partition(":")
            found[namespace] = []
        found[namespace] += line.split()
    return found


def _missing(module: ModuleType, namespace: str, name: str) -> Any:
    """What a namespace says of a name that it has not: `__getattr__` of its module, or what that
    ends with."""
    message = f"module {module.__name__!r} has no attribute {name!r}"
    if name.startswith("_"):
        raise AttributeError(message, name=name, obj=module)
    listed = names().get(namespace, [])
    known = getattr(module, "__all__", None) or [n for n in listed if n in dir(module)]
    hint = nearest(name, known)
    if name in listed:  # and so no slip: all that is there would be a long list
        message = f"{namespace}.{name} is in Keras {__version__}, but not in fastnn yet"
        hint = hint if hint.startswith("did you mean") else "docs/keras.md lists what is there"
    raise AttributeError(f"{message}; {hint}", name=name, obj=module)


class _Same:
    """Finds the modules of fastnn by import statements that name them within fastnn.keras: they
    would be imported once more."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not name.startswith(f"{__name__}.") or name.split(".")[2] not in _namespaces:
            return None
        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(f"fastnn.{spec.name.removeprefix(f'{__name__}.')}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = module.__spec__.loader_state  # type: ignore[union-attr]


_namespaces = {n for n, value in vars().items() if getattr(value, "__name__", "") == f"fastnn.{n}"}
for _name in (*_namespaces, "optimizers.schedules"):
    _module = sys.modules[f"fastnn.{_name}"]
    _last = "_missing" if hasattr(_module, "__getattr__") else "__getattr__"  # see when_used.py
    vars(_module)[_last] = partial(_missing, _module, f"keras.{_name}")
sys.meta_path.insert(0, _Same())  # type: ignore[arg-type]  # importlib.abc takes 1 ms


def __getattr__(name: str) -> Any:
    if name in IMPORTED_WHEN_USED:
        return import_module(f"{__name__}.{name}")
    if name == "InputSpec":
        return layers.InputSpec
    return _missing(sys.modules[__name__], "keras", name)


def __dir__() -> list[str]:
    return sorted([*globals(), *IMPORTED_WHEN_USED, "InputSpec"])
