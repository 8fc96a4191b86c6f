"""`python -m tools.keras_page` writes docs/keras.md from what there is: every public name of Keras
that fastnn has, what it differs in, which is what its documentation says of Keras, and the names
that fastnn has not yet."""

import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from fastnn import keras
from fastnn.ops.record import Op

PATH = Path(__file__).parents[1] / "docs" / "keras.md"
HEAD = f"""\
# Keras's names

Written by `python -m tools.keras_page`; not to be edited. Of each namespace of Keras
{keras.__version__}: the names that fastnn has, under the same ones in `fastnn.keras`; what each
differs in on purpose, or says of Keras besides, in the words of its documentation; the names that
are not there yet. How to bring a program over: [coming from Keras](coming_from/keras.md).
"""
# That arguments and defaults are Keras's is said of most, and is no difference.
SAME = re.compile(
    r"^(With )?(Arguments|Defaults|Its arguments|Keras's)[\w ,;]*(Keras's|arguments|defaults?|form)"
    r"[^:(]*$|, with Keras's defaults?\.$|^\W*(as|As) in Keras\.$"
)


def text() -> str:
    """The page, of what is there now."""
    found = [HEAD]
    total = have = 0
    for namespace, names in keras.names().items():
        part = section(namespace, names)
        total, have = total + len(names), have + part[1]
        found.append(part[0])
    found.insert(1, f"\nfastnn has {have} of {total} names.\n")
    return "".join(found)


def section(namespace: str, names: list[str]) -> tuple[str, int]:
    """What the page says of a namespace, and how many of its names are there."""
    module = import_module(f"fastnn.{namespace}")
    there = {name: getattr(module, name) for name in names if hasattr(module, name)}
    missing = [name for name in names if name not in there]
    lines = [f"\n## {namespace}\n\n{len(there)} of {len(names)}: {listed(there)}.\n"]
    said: dict[int, tuple[list[str], str]] = {}
    for name, value in there.items():
        sentences = "" if isinstance(value, ModuleType) else of_keras(value)
        if sentences:  # aliases together
            said.setdefault(id(value), ([], sentences))[0].append(name)
    if said:
        lines.append("\n")
    lines += [
        wrapped(f"- {listed(aliases)}: {words}", "  ") + "\n" for aliases, words in said.values()
    ]
    if missing:
        lines.append("\n" + wrapped(f"Not yet: {listed(missing)}.") + "\n")
    lines[0] = "\n".join(map(wrapped, lines[0].split("\n")))
    return "".join(lines), len(there)


def of_keras(value: Any) -> str:
    """The sentences of an object's documentation that name Keras."""
    doc = value.doc if isinstance(value, Op) else own_doc(value)
    doc = " ".join(doc.split(">>>")[0].split())
    sentences = re.split(r"(?<=[.])\s+(?=[A-Z`]|[a-z_]+:)", doc)
    return " ".join(s for s in sentences if "Keras" in s and not SAME.search(s))


def own_doc(value: Any) -> str:
    """The documentation of a class or function, not of what an object is an instance of."""
    return inspect.getdoc(value) or "" if callable(value) else ""


def listed(names: Any) -> str:
    """Names in code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def wrapped(line: str, indent: str = "") -> str:
    """A paragraph in lines. indent: of those after the first, as of an entry of a list."""
    return textwrap.fill(
        line, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    PATH.write_text(text())
