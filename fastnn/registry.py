"""Losses, layers, optimizers, metrics, initializers, activations and callbacks: their names, and
how they are written as configurations and made from them again.

A configuration is what JSON can say, in Keras 3's form: {"module", "class_name", "config",
"registered_name"}, of which "class_name" and "config" are enough. It is made from the constructor's
arguments as they are now, and read by calling the constructor. Reading runs no other code, and
imports none but fastnn's: a name must be one of fastnn's, of what was registered, or of
`custom_objects`.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import Parameter, signature
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from fastnn.declared import expect_declared, is_ours
from fastnn.errors import nearest

T = TypeVar("T")
PLAIN = (bool, int, float, str, type(None))
LIBRARIES = ("fastnn", "keras", "tf_keras", "tensorflow", "builtins")  # modules in configurations
# What Keras writes of arguments that fastnn has not, where they change nothing; so do None and
# False.
NEUTRAL = {
    "axis": -1,
    "dtype": "float32",
    "ema_momentum": 0.99,
    "label_smoothing": 0.0,
    "momentum": 0.0,
    "reduction": "sum_over_batch_size",
    "renorm_momentum": 0.99,
}

_kinds: dict[str, "Kind"] = {}  # by the name of their module
_registered: dict[str, Any] = {}  # what users registered, by "package>name"
functions: dict[str, Any] = {}  # those of `fastnn.ops`, by name
_used_names: dict[str, int] = {}
_custom: ContextVar[dict[str, Any]] = ContextVar("custom objects")


def snake_case(name: str) -> str:
    """BatchNormalization: batch_normalization; SpatialDropout1D: spatial_dropout1d, as in Keras."""
    return re.sub(r"(?<=[a-z])([A-Z])|(?<=[A-Z0-9])([A-Z])(?=[a-z])", r"_\1\2", name).lower()


def unique_name(base: str) -> str:
    """dense, dense_1, ...: a name for what was given none, counted through the process as Keras
    does."""
    number = _used_names[base] = _used_names.get(base, -1) + 1
    return f"{base}_{number}" if number else base


def reset_names() -> None:
    """Let names count from the start."""
    _used_names.clear()


class Kind:
    """The classes, or functions, of a kind, by every name they have.

    name, module: "loss", "losses". base: of the classes; None if there are functions. spelled: the
    name of a class as users write it. wrap: makes one of a function. nothing: what None stands for.
    of_array: makes one of an array.
    """

    def __init__(
        self,
        name: str,
        module: str,
        spelled: Callable[[str], str] = snake_case,
        wrap: Callable[[Any], Any] | None = None,
        nothing: Any = None,
        of_array: Callable[[Any], Any] | None = None,
    ):
        self.name, self.module, self.spelled, self.wrap = name, module, spelled, wrap
        self.nothing, self.of_array = nothing, of_array
        self.base: type | None = None
        self._names: dict[str, Any] = {}  # as users write them
        self._spellings: dict[str, Any] = {}  # and those of classes
        self._later: list[Callable[[], Any]] = []  # imports of what has not been used
        _kinds[module] = self

    def import_later(self, load: Callable[[], Any]) -> None:
        """Call this where a name is not among those that are imported."""
        self._later.append(load)

    def _import_all(self):
        for load in self._later:
            load()
        self._later = []

    @property
    def names(self) -> dict[str, Any]:
        """All, as users write them."""
        self._import_all()
        return self._names

    @property
    def spellings(self) -> dict[str, Any]:
        """All, and those of classes."""
        self._import_all()
        return self._spellings

    def add(self, entry: T, *aliases: str) -> T:
        """Let a class or function be found by its name."""
        own: str = entry.__name__  # type: ignore[attr-defined]
        spelled = self.spelled(own) if isinstance(entry, type) else own
        self._names.update(dict.fromkeys((spelled, *aliases), entry))
        self._spellings.update(dict.fromkeys((own, spelled, *aliases), entry))
        return entry

    def find(self, name: str, argument: str = "", others: Sequence[str] = ()) -> Any:
        """The class or function of a name. argument, others: whose it is, and what it might be
        besides, for the error."""
        custom = {**_registered, **_custom.get({})}
        found = custom.get(name) or self._imported(name)
        if found is None and self._later:
            self._import_all()
            found = self._imported(name)
        if found is None:
            raise ValueError(
                f"{argument and argument + ': '}unknown {self.name} {name!r}; "
                f"{nearest(name, [*self.names, *others])}"
            )
        return found

    def _imported(self, name):
        return self._spellings.get(name) or self._names.get(self.spelled(name))

    def get(self, identifier: Any, argument: str = "") -> Any:
        """The object that an identifier stands for: itself, or one made of a name, a class or a
        configuration. argument: whose it is, for the error.

        >>> import fastnn
        >>> fastnn.optimizers.get("adam").beta_1
        0.9
        """
        if identifier is None:
            return self.nothing
        found = identifier
        if isinstance(identifier, str):
            found = self.find(identifier, argument)
        elif isinstance(identifier, dict):
            found = _read(identifier, self, argument)
        if isinstance(found, type) and self.base is not None and issubclass(found, self.base):
            found = found()
        if self.base is not None and isinstance(found, self.base):
            return found
        if self.of_array is not None and hasattr(type(found), "__array__"):
            return self.of_array(found)
        if self.wrap is None or not callable(found) or isinstance(found, type):
            raise TypeError(
                f"{argument or self.name}: expected {self._expected()}; got {identifier!r}"
            )
        return self.wrap(found)

    def _expected(self):
        base = [f"a fastnn.{self.module}.{self.base.__name__}"] if self.base else []
        ways = ["a name", "a configuration", *base, *(["a function"] if self.wrap else [])]
        ways += ["an array"] * (self.of_array is not None)
        return f"{', '.join(ways[:-1])} or {ways[-1]}"

    def serialize(self, instance: Any) -> Any:
        """The configuration of an object; a function's is its name.

        >>> import fastnn
        >>> fastnn.initializers.serialize(fastnn.initializers.Ones())["class_name"]
        'Ones'
        """
        return serialize(instance)

    def deserialize(self, config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
        """The object of a configuration. custom_objects: a user's classes and functions, by the
        names they have in it, beside those registered."""
        with custom_object_scope(custom_objects or {}):
            return self.get(config)


def kind(module: str) -> Kind:
    """That of a module, for what comes before it."""
    return _kinds[module]


class Configured:
    """What has a configuration. The constructor's arguments are attributes of the same names."""

    _kind: Kind
    unwritten: tuple[str, ...] = ()  # arguments that it leaves out where they are None

    def __init_subclass__(cls, aliases: tuple[str, ...] | None = (), **named: Any) -> None:
        super().__init_subclass__(**named)
        if "_kind" in vars(cls):
            cls._kind.base = cls
        elif aliases is not None and cls.__module__.startswith("fastnn."):
            cls._kind.add(cls, *aliases)
            _call_by_its_name(cls)

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        if arguments or named:  # a copy is made with none
            expect_declared(cls, arguments, named)
        return super().__new__(cls)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as they are now, as what JSON can say: `from_config` makes
        an equal object of them."""
        return arguments_of(self, type(self).get_config is Configured.get_config)

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """An object of such a configuration, Keras's too where fastnn has what it says."""
        known, arguments = parameters(cls), {}
        for name, value in config.items():
            value = _nested(value)
            if name in known:
                arguments[name] = value
            elif not (value is None or value is False or value == NEUTRAL.get(name)):
                raise ValueError(
                    f"{cls.__name__}: its configuration has {name}={value!r}, which it does not "
                    f"take; {nearest(name, known)}"
                )
        return cls(**arguments)


def _call_by_its_name(cls):
    """Let Python's errors about arguments name a class, and none within that it is made of: its
    constructor and `call` are functions of their own, of the same code."""
    for name in ("__init__", "__call__", "call"):
        owner = next((kind for kind in cls.__mro__ if name in vars(kind)), cls)
        inner = vars(owner).get(name)
        is_base = "_kind" in vars(owner) or cls._kind._spellings.get(owner.__name__) is owner
        if owner is cls or not is_ours(inner) or (is_base and name != "__init__"):
            continue
        made = FunctionType(
            inner.__code__, inner.__globals__, name, inner.__defaults__, inner.__closure__
        )
        made.__kwdefaults__, made.__annotations__ = inner.__kwdefaults__, inner.__annotations__
        made.__doc__, made.__module__ = inner.__doc__, inner.__module__
        made.__qualname__ = f"{cls.__name__}.{name}"
        setattr(cls, name, made)


def arguments_of(configured: Any, strict: bool, left_out: Sequence[str] = ()) -> dict[str, Any]:
    """The constructor's arguments as they are now, in a configuration. strict: whether each must be
    an attribute; else the class's own get_config adds those that are not."""
    config, given = {}, _given(configured)
    for name in parameters(type(configured)):
        if name in left_out:
            continue
        if hasattr(configured, name):
            if name in configured.unwritten and getattr(configured, name) is None:
                continue
            config[name] = serialize(getattr(configured, name))
        elif name in given:
            config[name] = serialize(given[name])
        elif strict:
            raise TypeError(
                f"{type(configured).__name__} has no attribute {name!r}, which its configuration "
                f"needs: keep the argument as self.{name}, or define get_config"
            )
    return config


def _given(configured):
    """What an object's constructor was given, by name, if the object knows."""
    arguments, named = vars(configured).get("_given", ((), {}))
    kind = type(configured)
    try:
        bound = signature(kind.__init__).bind(configured, *arguments, **named)
    except TypeError:
        return {}
    bound.apply_defaults()
    return bound.arguments


def parameters(cls: type) -> list[str]:
    """The names of a constructor's arguments, and of those that it passes on to its base's."""
    found: dict[str, None] = {}
    for kind in cls.__mro__:
        if "__init__" in vars(kind):
            given = list(signature(vars(kind)["__init__"]).parameters.values())[1:]
            named = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
            found.update({p.name: None for p in given if p.kind in named})
            if not any([p.kind is Parameter.VAR_KEYWORD for p in given]):
                break
    return list(found)


def serialize(value: Any) -> Any:
    """What JSON can say of a value in a configuration: numbers, strings, lists, tuples and
    dictionaries as they are, of objects and functions how they are found again."""
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, list | tuple):
        values = [serialize(v) for v in value]
        return tuple(values) if isinstance(value, tuple) else values
    if isinstance(value, dict):
        return {name: serialize(v) for name, v in value.items()}
    if hasattr(value, "get_config") and not isinstance(value, type):
        return _written(type(value), type(value).__name__, value.get_config())
    is_ours = functions.get(str(getattr(value, "__name__", ""))) is value
    if is_ours:
        config = {"class_name": "function", "config": value.__name__}
        return {"module": "fastnn.ops", **config, "registered_name": value.__name__}
    if isinstance(value, FunctionType) and value.__name__ != "<lambda>":
        name = value.__name__
        if any([kind.names.get(name) is value for kind in _kinds.values()]):
            return name
        return _written(value, "function", name)
    raise TypeError(
        f"{value!r} cannot be written in a configuration: expected numbers, strings, lists and "
        "dictionaries, functions with a name, or objects with get_config"
    )


def _written(entry, class_name, config):
    kind = getattr(entry, "_kind", None)
    is_ours = kind is not None and kind.spellings.get(class_name) is entry
    return {
        "module": f"fastnn.{kind.module}" if is_ours else entry.__module__,
        "class_name": class_name,
        "config": config,
        "registered_name": get_registered_name(entry) if not is_ours else None,
    }


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The object, or the nested lists and dictionaries of objects, of a configuration."""
    with custom_object_scope(custom_objects or {}):
        is_one = isinstance(config, dict) and "class_name" in config
        return _read(config, None) if is_one else _nested(config)


def _nested(value):
    if isinstance(value, list | tuple):
        values = [_nested(v) for v in value]
        return tuple(values) if isinstance(value, tuple) else values
    if not isinstance(value, dict):
        return value
    if "class_name" in value and "config" in value:
        # one that several kinds have is left to the constructor, which knows which it wants
        is_clear = value.get("module") or len(_kinds_with(value["class_name"])) < 2
        return _read(value, None) if is_clear else value
    return {name: _nested(v) for name, v in value.items()}


def _kinds_with(name):
    found = [(kind, kind.spellings.get(name)) for kind in _kinds.values()]
    return [kind for kind, entry in found if entry is not None and entry.__name__ == name]


def _read(config, kind, argument=""):
    """The object of a configuration; kind: the one that is wanted, if it does not say; argument:
    whose it is, for the error."""
    name, inner = config.get("class_name"), config.get("config", {})
    if name == "DTypePolicy":
        return inner["name"]
    if not isinstance(name, str):
        raise ValueError(f"{argument or 'configuration'}: expected a class_name; got {config!r}")
    if name == "function":
        name, inner = inner, None
    custom = {**_registered, **_custom.get({})}
    entry = custom.get(config.get("registered_name") or name, custom.get(name))
    if entry is None:
        entry = _of_library(name, str(config.get("module") or ""), kind)
    return entry if inner is None else entry.from_config(inner)


def _of_library(name, module, kind):
    package = module.partition(".")[0]
    if package and package not in LIBRARIES:
        raise ValueError(
            f"configuration: {name!r} of the module {module!r} is not known here: register it "
            "with fastnn.saving.register_keras_serializable, or pass it in custom_objects"
        )
    if ".ops." in f"{module}." and name in functions:
        return functions[name]
    if module.startswith("fastnn.applications."):
        from fastnn import applications  # whose modules are imported when they are used

        if name in applications.MODELS:
            return getattr(applications, name)
    named = [found for part, found in _kinds.items() if f".{part}." in f"{module}."]
    named = [found for found in named if name in found.spellings] or named
    kinds = named or ([kind] if kind and name in kind.spellings else _kinds_with(name))
    if not kinds:
        known = [n for k in ([kind] if kind else _kinds.values()) for n in k.names]
        raise ValueError(f"configuration: unknown class {name!r}; {nearest(name, known)}")
    if len(kinds) > 1:
        raise ValueError(
            f"configuration: {name!r} is one of {' and '.join(k.module for k in kinds)}: call "
            "deserialize of the one that is meant, or add a module to the configuration"
        )
    return kinds[0].find(name)


def named_function(name: str, argument: str) -> Any:
    """The function of tensors of a name: one that was registered, an activation, or one of
    `fastnn.ops`. argument: whose it is, for the error."""
    activations = _kinds["activations"].names
    custom = {**_registered, **_custom.get({})}
    for known in (custom, activations, functions):
        if callable(known.get(name)):
            return known[name]
    raise ValueError(
        f"{argument}: unknown function {name!r}; {nearest(name, {*activations, *functions})}"
    )


# ---- what users register


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """A decorator by which configurations find a class with get_config, or a function, as
    "package>name".

    >>> import fastnn
    >>> @fastnn.saving.register_keras_serializable("mine")
    ... def double(x):
    ...     return x + x
    >>> fastnn.activations.get("mine>double") is double
    True
    """

    def register(entry: T) -> T:
        if isinstance(entry, type) and not hasattr(entry, "get_config"):
            raise TypeError(
                f"register_keras_serializable: {entry.__name__} has no get_config, by which its "
                "objects would be written"
            )
        own: str = name or entry.__name__  # type: ignore[attr-defined]
        _registered[f"{package}>{own}"] = entry
        return entry

    return register


def get_custom_objects() -> dict[str, Any]:
    """The classes and functions that were registered, by name: what is put in is registered.

    >>> import fastnn
    >>> fastnn.saving.get_custom_objects()["third"] = lambda x: x / 3
    >>> fastnn.activations.get("third")(3.0)
    1.0
    >>> del fastnn.saving.get_custom_objects()["third"]
    """
    return _registered


def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None, module_objects: Any = None
) -> Any:
    """The class or function of a name, as custom_object_scope, `register_keras_serializable`, the
    custom objects given and the module's know it; None if none does."""
    known = {**(module_objects or {}), **(custom_objects or {}), **_registered, **_custom.get({})}
    return known.get(name)


def get_registered_name(entry: Any) -> str:
    """The name of a class or function in configurations: "package>name" if it is registered."""
    found = [name for name, known in _registered.items() if known is entry]
    return found[-1] if found else entry.__name__


@contextmanager
def custom_object_scope(custom_objects: dict[str, Any] | None) -> Iterator[None]:
    """Within it configurations find these classes and functions by these names."""
    token = _custom.set({**_custom.get({}), **(custom_objects or {})})
    try:
        yield
    finally:
        _custom.reset(token)
