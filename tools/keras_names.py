"""`python -m tools.keras_names`, where Keras is installed, writes fastnn/keras/names.txt: Keras's
public names by namespace, of which errors and docs/keras.md tell what fastnn has not yet."""

import inspect
import textwrap
from importlib import import_module
from pathlib import Path

PATH = Path(__file__).parents[1] / "fastnn" / "keras" / "names.txt"
NAMESPACES = """
    activations backend callbacks config constraints initializers layers losses metrics models ops
    optimizers optimizers.schedules random regularizers saving tree utils
"""
# Keras's own older names and insides; and what is about other devices' libraries.
LEFT_OUT = {"src", "legacy"}


def text() -> str:
    """A paragraph for each namespace: its name, and the names in it."""
    keras = import_module("keras")
    lines = [f"# Public names of Keras {keras.__version__}, by python -m tools.keras_names"]
    for namespace in ("", *NAMESPACES.split()):
        module = import_module(f"keras.{namespace}".rstrip("."))
        names = {n for n in dir(module) if not n.startswith("_")} - LEFT_OUT
        if namespace:
            names = {n for n in names if not inspect.ismodule(getattr(module, n))}
        full = f"keras.{namespace}:".replace(".:", ":")
        lines += textwrap.wrap(f"{full} {' '.join(sorted(names))}", 100, subsequent_indent="  ")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
