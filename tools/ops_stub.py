"""`python -m tools.ops_stub` writes fastnn/ops/__init__.pyi, from which editors and type checkers
know the ops: inputs by name, attributes with their defaults, documentation."""

import inspect
import math
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastnn import ops
from fastnn.ops.functions import functions
from fastnn.ops.record import Op

PATH = Path(ops.__file__).with_name("__init__.pyi")
COLUMNS = 100
HEAD = '''\
"""The ops. Written by `python -m tools.ops_stub` from their records: not to be edited."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from numpy.typing import ArrayLike

from fastnn.tensor import Tensor

from .record import Op as Op
from .record import registry as registry

Operand: TypeAlias = Tensor | ArrayLike

__all__: list[str]
linalg: Any  # all ops by their names, as in Keras
nn: Any
numpy: Any
'''


def text() -> str:
    """The stub of the ops that are registered now."""
    named = sorted(ops.registry.items())
    aliases = sorted((alias, name) for name, op in named for alias in op.aliases)
    return "".join(
        [
            HEAD,
            *[f"\n{signature(op)}" for _, op in named],
            *[f"\n{of_function(f)}" for _, f in sorted(functions.items())],
            *[f"\n{alias} = {name}\n" for alias, name in aliases],
        ]
    )


def signature(op: Op) -> str:
    """An op as a function: inputs and attributes are given by position or by name; attributes by
    name alone where an input may be left out."""
    inputs = [
        f"{x}: Operand" if n < op.required else f"{x}: Operand | None = None"
        for n, x in enumerate(op.inputs)
    ]
    own = inspect.signature(type(op).__call__).parameters.values()
    attributes = [
        *[attribute(op, name) for name in op.names],
        *[_written(p) for p in own if p.kind is p.KEYWORD_ONLY],
    ]
    required_last = ["=" in a for a in attributes] != sorted("=" in a for a in attributes)
    by_name = attributes and (required_last or any("=" in i for i in inputs))
    arguments = [*inputs, *(["*"] if by_name else []), *attributes]
    result = "Tensor" if op.results == 1 else f"tuple[{', '.join(['Tensor'] * op.results)}]"
    return written(op.name, arguments, result, op.doc)


def written(name: str, arguments: list[str], result: str, doc: str) -> str:
    """A function without a body."""
    line = f"def {name}({', '.join(arguments)}) -> {result}:"
    if len(line) > COLUMNS:
        inner = ",\n    ".join(arguments)
        line = f"def {name}(\n    {inner},\n) -> {result}:"
    lines = textwrap.wrap(f'"""{doc}"""', COLUMNS - 4)
    return "\n    ".join([line, *lines]) + "\n"


def of_function(function: Callable) -> str:
    """A function of ops as it is written, its documentation as far as the example."""
    parameters = inspect.signature(function).parameters.values()
    result = inspect.signature(function).return_annotation
    named = "Any" if result is Any else result if isinstance(result, str) else _name(result)
    doc = " ".join((inspect.getdoc(function) or "").split(">>>")[0].split())
    return written(function.__name__, [_written(p) for p in parameters], named, doc)


def _name(kind):
    return kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)


def _written(parameter):
    return str(parameter).replace("typing.", "").replace("collections.abc.", "")


def attribute(op: Op, name: str) -> str:
    """An attribute with its type, as far as its default tells, and the default."""
    if name not in op.defaults:
        return f"{name}: Any"
    default = op.defaults[name]
    kind = type(default).__name__ if isinstance(default, bool | int | float | str) else "Any"
    written = "..." if default in (math.inf, -math.inf) else repr(default)
    return f"{name}: {kind} = {written}"


if __name__ == "__main__":
    PATH.write_text(text())
