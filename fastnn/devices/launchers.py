"""Which kernels make an op's results, in which order, is said beside them, by the launchers in
`kernels/<device>/`."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from fastnn.kernels.declare import Kernel
from fastnn.ops.record import Op


def launcher(op: Op, device: str) -> Callable:
    """What `op.kernels`, such as "softmax.softmax", names in `kernels/<device>/`:
    `launcher(call, *inputs, *outputs, **attributes)`, with None for inputs that were left out.

    A kernel is its own launcher where one call does it all: it is called with the inputs, the
    attributes and the outputs, in the record's order. Where the record has a formula, the name is
    that of a function which makes the launcher, or the kernel, of the formula.
    """
    family, _, name = str(op.kernels).rpartition(".")
    try:
        found = getattr(import_module(f"fastnn.kernels.{device}.{family}"), name)
    except (ModuleNotFoundError, AttributeError):
        raise NotImplementedError(
            f"{op.name}: there is no kernel of it for the device {device!r}. Run it on the CPU: "
            "move what it is given there by x.to('cpu'), or the model by model.to('cpu')."
        ) from None
    if op.formula is not None:
        found = found(op.formula)
    return _one_call(op, found) if isinstance(found, Kernel) else found


def _one_call(op: Op, kernel: Kernel) -> Callable:
    arity, names, defaults = op.arity, op.names, op.defaults
    kinds = [float if p.dtype == "float" else int for p in kernel.parameters if p.letters is None]
    dimensions = [len(p.letters) for p in kernel.parameters if p.letters is not None]
    # A kernel of one dimension goes through arrays of any shape element by element.
    is_flat = (
        set(dimensions) == {1} and len({p.letters for p in kernel.parameters if p.letters}) == 1
    )

    def launch(call: Any, *tensors: Any, **attributes: Any) -> None:
        given = {**defaults, **attributes} if names else {}
        numbers = [kind(given[n]) for kind, n in zip(kinds, names, strict=True)]
        arrays = [t.flat() for t in tensors] if is_flat else tensors
        call(kernel, *arrays[:arity], *numbers, *arrays[arity:])

    return launch
