"""Which device ops run on, and new variables lie on."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from fastnn.errors import nearest
from fastnn.tape.record import Context, context

DEVICES = ("cpu", "cuda")
ALIASES = {"cuda:0": "cuda", "gpu": "cuda", "gpu:0": "cuda", "cpu:0": "cpu"}  # Keras's, PyTorch's
VARIABLE = "FASTNN_DEVICE"


def named(name: str, value: object) -> str:
    """A device's name as fastnn spells it."""
    text = value.lower() if isinstance(value, str) else ""
    text = ALIASES.get(text, text)
    if text not in DEVICES:
        raise ValueError(
            f"{name}: expected 'cpu' or 'cuda'; got {value!r}; {nearest(str(value), DEVICES)}"
        )
    return text


def checked(name: str, value: object) -> str:
    """The name of a device that is there. Raises for others: nothing falls back silently."""
    text = named(name, value)
    if text == "cuda":
        from fastnn.devices.cuda.device import device as gpu

        gpu()  # raises if there is none, and says why
    return text


@contextmanager
def device(name: str) -> Iterator[None]:
    """Within it this thread's ops run on a device, and new layers have their weights there:
    `with fastnn.device("cuda"):`.

    name: "cpu" or "cuda" (NVIDIA's, compute capability 8.0 or more). Raises ValueError for another
    name, and CudaError, which says what is missing, if there is no such GPU. An op of tensors that
    lie on the GPU runs there whatever the device.

    >>> import fastnn
    >>> with fastnn.device("cpu"):
    ...     x = fastnn.tensor([1.0, 2.0])
    >>> x.device
    'cpu'
    """
    chosen = checked("device", name)
    before = vars(context).get("device")
    context.device = chosen
    try:
        yield
    finally:
        if before is None:
            del context.device
        else:
            context.device = before


def where_it_lies(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a method of a layer: it runs on the device that the layer lies on."""

    @wraps(method)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        arena = self._arena
        if arena is None or arena.device == context.device:
            return method(self, *arguments, **named)
        with device(arena.device):
            return method(self, *arguments, **named)

    return call


def set_device(name: str) -> None:
    """Let all threads' ops run on a device, unless within `fastnn.device`: "cpu" or "cuda". The
    environment variable FASTNN_DEVICE says so from the start.

    >>> import fastnn
    >>> fastnn.set_device("cpu")
    """
    Context.device = checked("set_device", name)


def get_device() -> str:
    """The device that this thread's ops run on.

    >>> import fastnn
    >>> fastnn.get_device()
    'cpu'
    """
    return context.device


def from_environment() -> None:
    """Take the device that FASTNN_DEVICE names. What uses it first opens it, and raises if there is
    none: to import the library, or to ask its doctor, needs no GPU."""
    if text := os.environ.get(VARIABLE, "").strip():
        Context.device = named(VARIABLE, text)
