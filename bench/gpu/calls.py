"""The calls that are checked on the GPU: those of every op's record, forward and backward, as the
CPU makes them, with its results."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import fastnn.apply
from fastnn import ops
from fastnn.compile.target import processor
from fastnn.kernels.cuda import gemm_microkernel, matmul, matmul_gradient
from fastnn.ops.elementwise import gradient_from_output
from fastnn.ops.record import Case, Op, in_place, registry
from tests.oracle import as_type, draw, results, updated

from .launches import Launches, launches_of

FLOATS, INTEGERS = ("float32", "float64"), ("int64", "int32", "uint8", "bool")
KEPT = 4  # calls for each set of kernels
# Whose results have the CPU's bits. Others sum in another order, or the CPU does for some shapes:
# theirs are held to the op's tolerance.
EXACT = ("loops.elementwise", "movement.", "random.", "updates.")
# Shapes of pointwise ops, beside their records' small ones: several blocks
PRODUCTS = ((33, 17, 65), (129, 40, 132))  # (M, K, N), whatever the tile
LARGE, BROADCAST = (4099,), [((33, 127), (127,)), ((33, 127), (33, 1))]


class Call(NamedTuple):
    """An op as it was launched: arrays of its inputs (None for those left out), of its outputs
    before and after, and the GPU's launches for it."""

    op: Op
    inputs: list[np.ndarray | None]
    before: list[np.ndarray]
    after: list[np.ndarray]
    launches: Launches

    @property
    def elements(self) -> int:
        return sum([a.size for a in (*self.inputs, *self.after) if a is not None])

    @property
    def tolerance(self) -> tuple[float, float]:
        """What |GPU - CPU| may be: the first, and the second times |CPU|. (0, 0): nothing."""
        if f"{self.op.kernels}.".startswith(EXACT):
            return 0.0, 0.0
        dtype = next((a.dtype for a in self.after if a.dtype.kind == "f"), None)
        if dtype is None:
            return 0.0, 0.0
        terms = max([a.size for a in (*self.inputs, *self.after) if a is not None])
        each = 2 * float(np.finfo(dtype).eps) * terms**0.5  # both differ from the reference
        return each * self.op.tolerance.absolute, each * self.op.tolerance.relative


@contextmanager
def noted(calls: list[Call], without_kernel: set[str]) -> Iterator[None]:
    """Within it every op that the CPU runs is added to `calls`, or, where it has no kernel for the
    GPU, by name to `without_kernel`."""
    on_cpu = fastnn.apply.launch

    def launch(op, inputs, outputs, attributes, device="cpu"):
        if op.kernels is None:
            return
        before = [_array(x) for x in inputs], [_array(y) for y in outputs]
        on_cpu(op, inputs, outputs, attributes, device)
        try:
            launches = launches_of(op, inputs, outputs, attributes)
        except NotImplementedError:
            without_kernel.add(op.name)
            return
        if launches.made:
            calls.append(Call(op, *before, [_array(y) for y in outputs], launches))

    fastnn.apply.launch = launch
    try:
        yield
    finally:
        fastnn.apply.launch = on_cpu


def _array(tensor):
    return None if tensor is None else tensor.buffer.array(tensor.shape, tensor.dtype).copy()


def every_call(is_wanted: Callable[[str], bool]) -> tuple[list[Call], set[str]]:
    """Of the ops whose names are wanted: every case of its record in each type. And the names of
    those that have no kernel."""
    assert processor().target.vector_bytes <= 32, "the CPU's bits are those of 256-bit vectors"
    calls: list[Call] = []
    without_kernel: set[str] = set()
    with noted(calls, without_kernel):
        for name, op in registry.items():
            for number, case in enumerate((*op.cases, *_larger(op))) if is_wanted(name) else ():
                _run(op, case, number)
        for name, op in in_place.items():
            for number, case in enumerate(op.cases if is_wanted(name) else ()):
                for dtype in FLOATS:
                    arrays = draw(case, number)
                    kinds = [None if i in op.float64 else dtype for i in range(len(arrays))]
                    arrays = [
                        a if d is None else as_type([a], d)[0]
                        for a, d in zip(arrays, kinds, strict=True)
                    ]
                    updated(op, case, arrays)
        if is_wanted("matmul"):
            _products()
    return calls, without_kernel


def _products():
    """Products by every tile, whatever their shape would ask for; layers with every activation that
    is fused, and their gradients, each by some tile."""
    rng = np.random.default_rng(0)

    def drawn(dtype, *shape):
        return fastnn.Variable(rng.uniform(-1, 1, shape), dtype=dtype)

    for tile, dtype in itertools.product(gemm_microkernel.TILES, FLOATS):
        with forced(tile):
            for a_form, b_form in itertools.product((False, True), repeat=2):
                for m, k, n in PRODUCTS:
                    a = drawn(dtype, *((k, m) if a_form else (m, k)))
                    b = drawn(dtype, *((n, k) if b_form else (k, n)))
                    ops.matmul(a, b, transpose_a=a_form, transpose_b=b_form)
    tiles = itertools.cycle(gemm_microkernel.TILES)
    for dtype, activation in itertools.product(FLOATS, (None, *gradient_from_output)):
        with forced(next(tiles)):
            shapes = (18, 20), (20, 36), (36,), (36, 7)
            x, w, bias, top = [drawn(dtype, *shape) for shape in shapes]
            y = ops.matmul(ops.linear(x, w, bias, activation=activation), top)
            y.backward(rng.uniform(0.5, 1.5, y.shape).astype(dtype))


@contextmanager
def forced(tile: Any) -> Iterator[None]:
    """Within it products are made by a tile, where it is for their element type."""
    chosen = matmul.tile_for

    def tile_for(rows, columns, item_bytes):
        return tile if f"f{item_bytes}" in tile.dtypes else chosen(rows, columns, item_bytes)

    modules: tuple[Any, ...] = matmul, matmul_gradient
    for module in modules:
        module.tile_for = tile_for
    try:
        yield
    finally:
        for module in modules:
            module.tile_for = chosen


def _run(op, case, number):
    arrays = draw(case, number)
    for dtype in FLOATS:
        tensors = [
            fastnn.tensor(a, requires_gradient=a.dtype.kind == "f" and i not in op.constant)
            for i, a in enumerate(as_type(arrays, dtype))
        ]
        made = results(op(*tensors, **case.attributes))
        if made[0].dtype.kind == "f" and (op.gradient or op.composite):
            upstream = np.random.default_rng(number).uniform(0.5, 1.5, made[0].shape)
            made[0].backward(upstream.astype(dtype))
    kinds = {np.dtype(d).name for d in op.dtypes}
    for dtype in INTEGERS:
        if dtype in kinds and op.formula is not None:
            op(*[np.nan_to_num(10 * a).astype(dtype) for a in arrays], **case.attributes)


def _larger(op):
    """Cases of several blocks, of a pointwise op."""
    if op.formula is None or op.conditions:
        return []
    shapes = [(LARGE,) * op.arity]
    if op.arity == 2 and not op.formula.whole:
        shapes += BROADCAST
    drawn = op.cases[-1]
    return [Case(each, drawn.attributes, domain=drawn.domain) for each in shapes]


def spread(calls: list[Call]) -> list[Call]:
    """Some of these: of each set of kernels the largest, the smallest and others between."""
    by_kernels: dict[tuple[str, ...], list[Call]] = {}
    for call in calls:
        by_kernels.setdefault(tuple(sorted(call.launches.forms)), []).append(call)
    found = []
    for group in by_kernels.values():
        group.sort(key=lambda call: call.elements)
        places = {round(n * (len(group) - 1) / (KEPT - 1)) for n in range(KEPT)}
        found += [group[place] for place in sorted(places)]
    return found
