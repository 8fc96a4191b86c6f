"""What functions and constructors say of their arguments, by name and annotation, is held to before
they run: flags, names, seeds, and that there is an argument of such a name. One place for all."""

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from inspect import CO_VARKEYWORDS
from types import UnionType
from typing import Any, NamedTuple, TypeVar

from fastnn.checks import flag, seed, text
from fastnn.errors import nearest

F = TypeVar("F", bound=Callable[..., Any])
Check = Callable[[str, Any], Any]
Checks = dict[str, tuple[Check, bool]]  # by the argument's name; whether it may be None, too


class Declared(NamedTuple):
    """What a class says of its constructor's arguments.

    names: of all, those that it passes on to its base's among them; positional: of those that may
    be given by position; are_all: whether there are no others, which a program's own constructor
    may take, or one that takes any."""

    names: Sequence[str]
    positional: Sequence[str]
    checks: Checks
    are_all: bool


def is_ours(function: Any) -> bool:
    """Whether a function is the library's: a program's own may mean something else by its
    annotations."""
    return str(getattr(function, "__module__", "")).startswith("fastnn.")


def checks_of(function: Any) -> Checks:
    """How arguments of a function of the library's are checked."""
    if not is_ours(function):
        return {}
    found = {n: _check_of(n, kind) for n, kind in function.__annotations__.items() if n != "return"}
    return {name: check for name, check in found.items() if check is not None}


def _check_of(name, annotation):
    kind, may_be_none = annotation, False
    if isinstance(annotation, UnionType) and annotation.__args__[1:] == (type(None),):
        kind, may_be_none = annotation.__args__[0], True
    if kind is bool:
        return flag, may_be_none
    if (name, kind) == ("name", str):
        return text, True  # as everywhere in Keras: the default is taken
    return (seed, may_be_none) if (name, kind) == ("seed", int) else None


def expect(owner: str, checks: Checks, given: Iterable[tuple[str, Any]]) -> None:
    """Raise for arguments, (name, value), that are not what they must be."""
    for name, value in given:
        if name in checks:
            check, may_be_none = checks[name]
            if value is not None or not may_be_none:
                check(f"{owner}: {name}", value)


def as_declared(function: F) -> F:
    """The same function, which raises for flags, names and seeds that are none."""
    checks = checks_of(function)
    if not checks:
        return function
    names = function.__code__.co_varnames  # type: ignore[attr-defined]
    owner = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def call(*args, **named):
        expect(owner, checks, zip(names, args, strict=False))
        expect(owner, checks, named.items())
        return function(*args, **named)

    return call  # type: ignore[return-value]


def declared_by(cls: type) -> Declared:
    """What a class says, which it keeps."""
    init, found = vars(cls).get("_declared", (None, None))
    if found is None or init is not cls.__init__:  # type: ignore[misc]
        found = _declared(cls)
        cls._declared = cls.__init__, found  # type: ignore[attr-defined, misc]
    return found  # type: ignore[no-any-return]


def _declared(cls):
    names: dict[str, None] = {}
    positional, checks, is_open = None, {}, False
    for kind in cls.__mro__[:-1]:
        init = vars(kind).get("__init__")
        if init is None:
            continue
        code = getattr(init, "__code__", None)
        if code is None or not is_ours(init):
            # a program's own, which may change what it is given before the library's takes it
            return Declared((), (), {}, False)
        own = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
        positional = own[: code.co_argcount - 1] if positional is None else positional
        checks.update({n: check for n, check in checks_of(init).items() if n not in names})
        names.update(dict.fromkeys(own))
        is_open = bool(code.co_flags & CO_VARKEYWORDS)
        if not is_open:
            break
    return Declared(tuple(names), positional or (), checks, not is_open)


def expect_declared(cls: type, arguments: tuple, named: dict[str, Any]) -> None:
    """Raise for arguments of a constructor that are not what it says they are."""
    if cls.__init__ is object.__init__:  # type: ignore[misc]
        raise TypeError(f"{cls.__name__} takes no arguments")
    names, positional, checks, are_all = declared_by(cls)
    for name in named if are_all else ():
        if name not in names:
            raise TypeError(f"{cls.__name__}: unknown argument {name!r}; {nearest(name, names)}")
    expect(cls.__name__, checks, zip(positional, arguments, strict=False))
    expect(cls.__name__, checks, named.items())


def expect_flags(layer: Any, given: dict[str, Any]) -> None:
    """Raise for what a call of a layer is given by name and is not what its `call` says."""
    kind = type(layer)
    if "_call_checks" not in vars(kind):
        kind._call_checks = checks_of(kind.call)
    if kind._call_checks:
        expect(f"{kind.__name__} {layer.name!r}", kind._call_checks, given.items())
