"""The backward pass: from a loss to its gradients, and where each goes."""

import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from fastnn import ops
from fastnn.apply import apply
from fastnn.errors import DTypeError, ShapeError, shape_text
from fastnn.ops.matmul import fused_gradients, matmul
from fastnn.ops.movement import copy
from fastnn.ops.record import Op
from fastnn.ops.reduce import add_to
from fastnn.tape.record import context, has_gradient
from fastnn.tensor import Node, Tensor, copied, tensor
from fastnn.variable import Rows, Variable


@contextmanager
def no_grad() -> Iterator[None]:
    """Within it ops remember nothing for gradients: for evaluation.

    >>> import fastnn
    >>> x = fastnn.tensor([1.0, 2.0], requires_gradient=True)
    >>> with fastnn.no_grad():
    ...     y = x * x
    >>> y.requires_gradient
    False
    """
    before, context.gradients = context.gradients, False
    try:
        yield
    finally:
        context.gradients = before


def backward(loss: Tensor, gradient: Tensor | None = None) -> None:
    """Walk back from `loss`, latest op first; see `Tensor.backward`."""
    if gradient is None:
        if loss.size != 1:
            raise ShapeError(
                f"backward: the loss must be one number; got shape {shape_text(loss.shape)}. Take "
                "its mean, or pass gradient=."
            )
        gradient = tensor(np.ones(loss.shape), loss.dtype)
    elif gradient.shape != loss.shape:
        raise ShapeError(
            f"backward: gradient must have the loss's shape {shape_text(loss.shape)}; got "
            f"{shape_text(gradient.shape)}"
        )
    elif gradient.dtype != loss.dtype:
        raise DTypeError(
            f"backward: gradient must be {loss.dtype}, as the loss is; got {gradient.dtype}. "
            f"Convert it: gradient.astype('{loss.dtype}')."
        )
    if not loss.requires_gradient:
        raise ValueError(
            "backward: nothing this was computed from requires a gradient (was it made within "
            "no_grad()?)"
        )
    with no_grad():
        gradients = Gradients(gradient)
        gradients.deliver(loss, gradient)
        if context.step is not None:
            context.step.checked.append(loss)
        while gradients.waiting:
            _, node = heapq.heappop(gradients.waiting)
            gradients.node = node
            for i in node.op.constant:
                if gradients.wants(i):
                    raise ValueError(
                        f"{node.op.name}: input {i} has no gradient; detach it: "
                        "fastnn.tensor(x.numpy())"
                    )
            before, context.layers = context.layers, node.layers
            try:
                node.op.gradient(
                    gradients,
                    tuple(gradients.arrived.pop(node)),
                    node.inputs,
                    node.outputs_as_tensors(),
                    **node.attributes,
                )
            finally:
                context.layers = before


class Product(NamedTuple):
    """A gradient a b^T that is not made yet: the kernel that makes it also applies the derivative
    of the activation whose upstream gradient it is."""

    a: Tensor
    b: Tensor
    layers: tuple[str, ...]  # in which it belongs

    def made(self) -> Tensor:
        before, context.layers = context.layers, self.layers
        try:
            return matmul(self.a, self.b, transpose_b=True)
        finally:
            context.layers = before


class Gradients:
    """What an op's gradient rule is given: it says which op makes which input's gradient, and this
    decides where it goes.

    Memory that is the variable's own if it has no gradient yet, `+=` if it has; what was broadcast
    is summed; what is not wanted is not computed.
    """

    def __init__(self, given: Tensor):
        self.given = given.buffer  # of the upstream gradient that `backward` was given
        # gradients of a node's results, so far
        self.arrived: dict[Node, list[Tensor | Product | None]] = {}
        self.waiting: list = []  # heap of (-number, node)
        self.node: Any = None

    def wants(self, index: int) -> bool:
        """Whether input `index` needs a gradient."""
        return self.node.inputs[index].requires_gradient

    def run(self, op: Op, *inputs: Tensor, **attributes: Any) -> Any:
        """An intermediate result of the rule."""
        op, inputs = _with_product(op, inputs)
        return apply(op, inputs, attributes)

    def pass_on(self, index: int, gradient: Tensor) -> None:
        """The gradient of input `index` is this one."""
        if self.wants(index):
            self.deliver(self.node.inputs[index], gradient)

    def gradient(self, index: int, op: Op, *inputs: Tensor, **attributes: Any) -> None:
        """The gradient of input `index` is what `op` makes."""
        self.gradients((index,), op, *inputs, **attributes)

    def gradients(
        self, indices: Sequence[int | None], op: Op, *inputs: Tensor, **attributes: Any
    ) -> Any:
        """The gradients of several inputs are the outputs of `op`. One for which None stands is an
        intermediate result, and returned; `op` may then add to the gradients only if there is no
        more than one."""
        if not any([i is None or self.wants(i) for i in indices]):
            return None
        op, inputs = _with_product(op, inputs)
        targets = [None if i is None else self.node.inputs[i] for i in indices]
        specs = op.infer(*inputs, **attributes)
        slots = [
            None if t is None else _own_slot(t, shape)
            for t, (shape, _) in zip(targets, specs, strict=False)
        ]
        taken = [s is not None and has_gradient(t) for s, t in zip(slots, targets, strict=True)]
        if any(taken) and op.accumulates:
            attributes["accumulate"] = True
            for target, is_taken in zip(targets, taken, strict=True):
                if is_taken and target is not None:
                    target.dense_gradient()
        else:
            slots = [None if is_taken else s for s, is_taken in zip(slots, taken, strict=True)]
        outputs, rest = apply(op, inputs, attributes, slots, specs), None
        for target, slot, output in zip(
            targets, slots, outputs if len(targets) > 1 else [outputs], strict=True
        ):
            if target is None:
                rest = output
            elif slot is not None:
                target._gradient = slot
            elif target.requires_gradient:
                self.deliver(target, output)
        return rest

    def of_rows(self, index: int, rows: Tensor, dy: Tensor) -> bool:
        """The gradient of input `index` is dy in these rows and nothing elsewhere; whether it is
        kept so."""
        target = self.node.inputs[index]
        if not isinstance(target, Variable) or not target.sparse_gradient:
            return False
        if not target.requires_gradient:
            return True
        before = target._gradient if has_gradient(target) else Rows([])
        if isinstance(before, Rows):
            own = copied(dy) if dy.buffer is self.given else dy
            target._gradient = Rows([*before.pairs, (rows, own)])  # type: ignore[assignment]
        return isinstance(before, Rows)

    def product(self, index: int, a: Tensor, b: Tensor) -> None:
        """The gradient of input `index` is a b^T."""
        node = self.node.inputs[index].node
        if (
            node is None
            or not node.requires_gradient
            or node in self.arrived
            or not node.op.fusable_into_matmul_gradient(**node.attributes)
        ):
            self.gradient(index, matmul, a, b, transpose_b=True)
        else:
            self.arrive(node, 0, Product(a, b, context.layers))

    def arrive(self, node: Node, place: int, gradient: Tensor | Product) -> None:
        """Add a gradient to what has arrived at `node` for its result number `place`."""
        if node not in self.arrived:
            self.arrived[node] = [None] * node.op.results
            heapq.heappush(self.waiting, (-node.number, node))
        earlier = self.arrived[node][place]
        if earlier is not None:
            gradient = ops.add(
                *[g.made() if isinstance(g, Product) else g for g in (earlier, gradient)]
            )
        self.arrived[node][place] = gradient

    def deliver(self, target: Tensor, gradient: Tensor) -> None:
        """Add a gradient to what `target` has."""
        if gradient.shape != target.shape:
            gradient = sum_to(gradient, target.shape)
        node = target.node
        if node is not None and node.requires_gradient:
            self.arrive(node, target.place, gradient)
        elif isinstance(target, Variable):
            slot = target.mirror("gradient")
            if isinstance(target._gradient, Rows):
                target.dense_gradient()
            apply(add_to if has_gradient(target) else copy, (gradient,), {}, (slot,))
            target._gradient = slot
        else:
            # What was given from outside may be written over there.
            own = copied(gradient) if gradient.buffer is self.given else gradient
            there = target.gradient
            target._gradient = own if there is None else ops.add(there, own)


def _with_product(op, inputs):
    """An op and its inputs, of which the last, a gradient, may be a product not made yet."""
    if not inputs or not isinstance(inputs[-1], Product):
        return op, inputs
    *others, last = inputs
    return fused_gradients[op], (*others, last.a, last.b)


def _own_slot(target, shape):
    """The memory of a variable's gradient, if a gradient of this shape may be written straight into
    it."""
    if isinstance(target, Variable) and target.requires_gradient and shape == target.shape:
        return target.mirror("gradient")
    return None


def sum_to(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The gradient of what was broadcast from `shape`: summed over the dimensions that were
    repeated."""
    added = gradient.ndim - len(shape)
    repeated = [
        d + added
        for d, extent in enumerate(shape)
        if extent == 1 and gradient.shape[d + added] != 1
    ]
    total = ops.sum(gradient, axis=(*range(added), *repeated), keepdims=True)
    return ops.reshape(total, shape)
