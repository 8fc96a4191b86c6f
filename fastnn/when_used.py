"""Modules of a package that are imported when one of their names is used: what few programs need
costs the others nothing at start-up, where a module takes some 0.3 ms."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

from fastnn.registry import Kind

OURS = {"TYPE_CHECKING", "names_when_used"}  # in a package's globals


def names_when_used(
    scope: dict[str, Any], modules: dict[str, str], kind: Kind | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package.

    scope: the package's globals, in which everything else stands by now. modules: of the package,
    or "fastnn.path" of another, and the names that each has. kind: of these classes, which finds
    them by their names in strings and configurations.
    """
    package = scope["__name__"]
    module_of = {name: module for module, names in modules.items() for name in names.split()}

    def load(module: str) -> Any:
        found = import_module(module if "." in module else f"{package}.{module}")
        scope.update({name: getattr(found, name) for name in modules[module].split()})
        return found

    def getattribute(name: str) -> Any:
        if name in module_of:
            load(module_of[name])
            return scope[name]
        if name in modules:
            return load(name)
        if "_missing" in scope:  # of fastnn.keras, which has more to say
            return scope["_missing"](name)
        message = f"module {package!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=import_module(package))

    def names() -> list[str]:
        return sorted({*scope, *module_of} - OURS)

    if kind is not None:
        kind.import_later(lambda: [load(module) for module in modules])
    return getattribute, names, [n for n in names() if n[0] != "_" and not _is_module(scope.get(n))]


def _is_module(value):
    return isinstance(value, ModuleType)
