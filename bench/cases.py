"""What is timed, and what is to be reached. `registry_cases` adds one of every op there is."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from math import prod
from typing import Any

import numpy as np

from .families import FAMILIES, FASTER
from .kinds import (
    FLOAT,
    STREAMS_OF_UPDATE,
    Both,
    Case,
    Chain,
    Decay,
    Fit,
    FitBatches,
    Loop,
    Memory,
    OpCall,
    Predict,
    Process,
    Product,
    Record,
    Table,
    Tested,
    Update,
)


def mlp(*widths: int, rows: int, batch: int, epochs: int, norm: bool = False, **reach: Any) -> Fit:
    name = "-".join(map(str, widths))
    title = (
        f"MLP {name}, batch {batch}, {'batch normalisation, ' * norm}Adam, an epoch of {rows} rows"
    )
    name = f"mlp-{name}{'-norm' * norm}"
    return Fit(
        name=name,
        title=title,
        widths=widths,
        rows=rows,
        batch=batch,
        epochs=epochs,
        norm=norm,
        units=epochs,
        **reach,
    )


def from_batches(case: Fit, **reach: Any) -> FitBatches:
    """The same rows from a generator."""
    given = {f.name: getattr(case, f.name) for f in fields(case)}
    named = {"name": f"batches-{case.name}", "title": f"{case.title} from a generator"}
    return FitBatches(**{**given, **named, "limits_of_two": None, **reach})


def product(size: int) -> Product:
    repeats = max(1, (1 << 30) // size**3)
    title = f"`matmul`, {size} x {size}, natively"
    return Product(name=f"product-{size}", title=title, size=size, units=repeats, limits_of_two={})


def op(
    name: str,
    *inputs: Any,
    streams: tuple[int, int, int] = (1, 1, 0),
    elements: int | None = None,
    attributes: Mapping[str, Any] = {},
    kind: type[OpCall] = OpCall,
    **reach: Any,
) -> OpCall:
    largest = max((i for i in inputs if isinstance(i, tuple)), key=prod)
    return kind(
        name=f"{name}-{'x'.join(map(str, largest))}",
        title=f"`{name}`, {' x '.join(f'{n:,}' for n in largest)}",
        op=name,
        inputs=inputs,
        streams=streams,
        elements=elements or prod(largest),
        attributes=attributes,
        **reach,
    )


def loop(name: str, *shape: int, limits: Mapping[str, float] = {}) -> Loop:
    """An op of one input."""
    positive = name in ("log", "sqrt")

    def draw(rng):
        x = rng.normal(size=shape).astype(FLOAT)
        return np.abs(x) + FLOAT.type(0.01) if positive else x

    return Loop(
        name=f"loop-{name}",
        title=f"`{name}` in cache, {' x '.join(f'{n:,}' for n in shape)}",
        op=name,
        inputs=(draw,),
        streams=(1, 1, 0),
        elements=prod(shape),
        limits=limits,
        units=100,
    )


def both(
    name: str,
    *inputs: Any,
    result: Any = None,
    streams=(1, 1, 0),
    streams_back=(2, 1, 0),
    of_columns: bool = False,
    attributes: Mapping = {},
) -> Both:
    """An op and its gradient, faster than PyTorch's."""
    shape = inputs[0]
    return Both(
        name=f"both-{name}-{'x'.join(map(str, shape))}",
        title=f"`{name}` and its gradient, {' x '.join(f'{n:,}' for n in shape)}",
        op=name,
        inputs=inputs,
        result=shape if result is None else result,
        streams=streams,
        streams_back=streams_back,
        of_columns=of_columns,
        elements=prod(shape),
        attributes=attributes,
        units=often(prod(shape)),
        limits=FASTER,
        limits_of_two=FASTER,
    )


def attention(batch: int, length: int, depth: int, heads: int = 4) -> Both:
    """Causal, with all gradients: seven products of half the keys, two of them forward."""
    shape = batch, length, heads, depth
    return Both(
        name=f"attention-{length}x{depth}",
        title=f"causal `attention` and its gradient, {batch} x {heads} heads of {depth}, {length}",
        op="attention",
        inputs=(shape,) * 3,
        result=shape,
        streams=(1, 1, 0),
        streams_back=(2, 1, 0),
        of_columns=False,
        elements=prod(shape),
        attributes={"is_causal": True},
        flops=7 * prod(shape) * (length + 1),
        limits={"torch": 0.55, "jax": 0.45},
        limits_of_two={"torch": 0.55},
        of_floor=0.45,
    )


def convolutions(
    batch: int,
    extent: int,
    channels: int,
    filters: int,
    limit: float,
    size: int = 3,
    strides: int = 1,
    dilation_rate: int = 1,
    groups: int = 1,
) -> list[Case]:
    """Of square images, forward and with both gradients; limit: of PyTorch's time with these."""
    out = -(-extent // strides)
    name = f"{batch}x{extent}x{extent}x{channels}-{filters}"
    named = (("stride", strides), ("dilation", dilation_rate), ("group", groups))
    extras = [f"{what}-{n}" for what, n in named if n > 1]
    name = "-".join([name, *extras])
    title = f"{size} x {size}, {batch} x {extent} x {extent}, {channels} to {filters} channels"
    title = ", ".join([title, *[e.replace("-", " ") for e in extras]])
    kernel = size, size, channels // groups, filters
    flops = 2 * batch * out**2 * prod(kernel)
    shared: dict[str, Any] = {
        "op": "conv",
        "inputs": ((batch, extent, extent, channels), kernel),
        "streams": (1, 1, 0),
        "elements": batch * out**2 * filters,
        "attributes": {"strides": strides, "padding": "same", "dilation_rate": dilation_rate},
        "units": max(1, (1 << 24) // flops),
    }
    back = Both(
        name=f"both-conv-{name}",
        title=f"`conv` and its gradients, {title}",
        result=(batch, out, out, filters),
        streams_back=(2, 1, 0),
        of_columns=False,
        flops=3 * flops,
        limits={"torch": limit},
        limits_of_two={"torch": limit},
        **shared,
    )
    forward = Loop(name=f"conv-{name}", title=f"`conv`, {title}", **shared)
    return [forward, back]


def pooling(
    name: str, batch: int, extent: int, channels: int, size: int, strides: int, limit: float
) -> Both:
    out = (extent - size) // strides + 1
    shape = batch, extent, extent, channels
    title = f"{size} x {size}, stride {strides}, {' x '.join(map(str, shape))}"
    return Both(
        name=f"both-{name}-{size}-{strides}-{'x'.join(map(str, shape))}",
        title=f"`{name}` and its gradient, {title}",
        op=name,
        inputs=(shape,),
        result=(batch, out, out, channels),
        streams=(1, 0, 0),
        streams_back=(0, 1, 0),
        of_columns=False,
        elements=prod(shape),
        attributes={"pool_size": size, "strides": strides},
        units=often(prod(shape)),
        limits={"torch": limit},
        limits_of_two={"torch": limit},
    )


def chain(elements: int) -> Chain:
    title = f"relu(x tanh(2 x + 1) - 1/2), {elements:,}"
    return Chain(
        name=f"chain-{elements}",
        title=title,
        elements=elements,
        units=often(elements),
        limits=FASTER,
        limits_of_two=FASTER,
    )


def often(elements: int) -> int:
    """How often a run repeats it, to take about a millisecond: then threads do not sleep."""
    return max(1, (1 << 22) // elements)


def update(optimizer: str, parameters: int) -> Update:
    names = {
        "adam": "Adam's",
        "sgd": "SGD's",
        "adamw": "AdamW's",
        "nadam": "Nadam's",
    }
    return Update(
        name=optimizer,
        title=f"{names[optimizer]} update of {parameters:,} parameters",
        optimizer=optimizer,
        parameters=parameters,
        units=often(parameters),
        limits=FASTER,
        limits_of_two=FASTER,
    )


def state(rng: np.random.Generator) -> np.ndarray:
    """A generator's."""
    return np.array([rng.integers(1 << 40), 0])


def labels(rows: int, classes: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(0, classes, rows)


ARTICLE = Fit(
    name="article",
    title="the article's program, whole fit (10,000 steps)",
    widths=(10, 1),
    rows=1000,
    batch=10,
    epochs=100,
    optimizer="sgd",
    limits={"jax": 1 / 6, "torch": 1 / 300, "keras": 1 / 2000},
)
SMALL = {"jax": 1 / 2.4, "torch": 1 / 25}
SMALL_ON_TWO = {"jax": 1 / 3, "torch": 1 / 35}
OF_ROWS = mlp(
    20, 64, 64, 2, rows=3200, batch=32, epochs=20, limits=SMALL, limits_of_two=SMALL_ON_TWO
)
WIDE_LAYERS, THREE_LAYERS = (784, 512, 512, 10), (64, 64, 64, 10)
MOVED = (128, 512), (8192, 1024)
IN_CACHE = 1 << 16


CASES: list[Case] = [
    ARTICLE,
    OF_ROWS,
    from_batches(OF_ROWS, limits={"torch": 1 / 10}),
    mlp(*THREE_LAYERS, rows=1792, batch=32, epochs=20, limits=SMALL, limits_of_two=SMALL_ON_TWO),
    mlp(
        *WIDE_LAYERS,
        rows=6400,
        batch=128,
        epochs=4,
        limits={"jax": 0.95, "torch": 0.6},
        limits_of_two={},
    ),
    mlp(
        *WIDE_LAYERS,
        rows=6400,
        batch=128,
        epochs=4,
        norm=True,
        limits_of_two={"jax": 1 / 1.6, "torch": 1 / 2.8},
        of_floor=0.8,
    ),
    *[product(size) for size in (256, 512, 1024, 2048)],
    Memory(
        name="memory",
        title="peak memory, training 784-512-512-10, in MB",
        widths=WIDE_LAYERS,
        rows=6400,
        batch=128,
        epochs=2,
        limits={"torch": 0.6},
    ),
    Decay(
        name="decay",
        title="a step of 64-64-64-10 after 1,000,000 with weight decay",
        widths=THREE_LAYERS,
        batch=32,
        steps=1_000_000,
    ),
    Predict(
        name="predict",
        title="`predict` of one row, 64-64-64-10",
        widths=THREE_LAYERS,
        batch=1,
        seconds=8e-6,
    ),
    Record(
        name="record",
        title="recording and planning a step, 64-64-64-10",
        widths=THREE_LAYERS,
        batch=32,
    ),
    Record(
        name="record-deep", title="the same, 32 layers of 64", widths=(64,) * 32 + (10,), batch=32
    ),
    *FAMILIES,
    Process(
        name="import", title="a process that imports it", statement="IMPORT", beyond={"numpy": 0.06}
    ),
    Process(
        name="process",
        title="a process, to the end of the article's fit",
        statement="PROGRAM",
        seconds=0.2,
    ),
    op("add", (64,), (64,), streams=(2, 1, 0), seconds=10e-6),
    *[op("matmul", (n, n), (n, n), streams=(2, 1, 0)) for n in (64, 256, 512)],
    op("exp", (IN_CACHE,)),
    op("tanh", (IN_CACHE,)),
    *[loop(name, IN_CACHE, limits={"torch": 1 / 2}) for name in ("exp", "tanh", "sigmoid", "gelu")],
    *[loop(name, IN_CACHE) for name in ("log", "sqrt", "erf", "softplus", "gelu_tanh", "silu")],
    op("batch_norm", (512, 512), (512,), (512,)),
    op("softmax_cross_entropy", (4096, 10), labels(4096, 10), streams=(1, 0, 0)),
    # Memory-bound ops, resident in L2 and out of every cache.
    *[attention(1024 // length, length, depth) for length in (128, 256, 512) for depth in (32, 64)],
    *convolutions(32, 28, 1, 16, 1 / 1.4),
    *convolutions(32, 28, 16, 16, 1 / 1.15),
    *convolutions(32, 14, 32, 32, 1 / 1.15),
    *convolutions(32, 7, 64, 64, 1 / 1.15),
    *convolutions(8, 56, 64, 64, 1 / 1.15),
    *convolutions(32, 28, 16, 32, 1 / 1.4, strides=2),
    *convolutions(32, 28, 16, 16, 1 / 1.4, dilation_rate=2),
    *convolutions(32, 28, 32, 32, 1.0, groups=32),
    pooling("max_pool", 32, 28, 16, 2, 2, 1 / 4),
    pooling("max_pool", 32, 28, 16, 3, 2, 1 / 4),
    pooling("max_pool", 8, 56, 64, 2, 2, 1 / 4),
    pooling("average_pool", 32, 28, 16, 2, 2, 1.0),
    *[both("batch_norm", shape, shape[1:], shape[1:], of_columns=True) for shape in MOVED],
    *[both("layer_norm", shape, shape[1:], shape[1:]) for shape in MOVED],
    *[both("softmax", shape) for shape in MOVED],
    *[
        both(
            "softmax_cross_entropy",
            s,
            labels(*s),
            result=s[:1],
            streams=(1, 1, 0),
            streams_back=(1, 1, 0),
        )
        for s in MOVED
    ],
    *[
        both(
            "sum",
            s,
            result=s[1:],
            streams=(1, 0, 0),
            streams_back=(0, 1, 0),
            attributes={"axis": 0},
        )
        for s in MOVED
    ],
    *[
        both("dropout", (prod(s),), state, streams_back=(1, 1, 0), attributes={"rate": 0.5})
        for s in MOVED
    ],
    *[chain(prod(shape)) for shape in MOVED],
    op(
        "gather",
        (6400, 784),
        lambda rng: rng.permutation(6400),
        lambda rng: np.zeros(1, np.int64),
        elements=128 * 784,
        attributes={"rows": 128},
        kind=Loop,
        units=often(128 * 784),
        limits=FASTER,
        limits_of_two=FASTER,
    ),
    *[update(optimizer, 1_000_000) for optimizer in STREAMS_OF_UPDATE],
    Table(
        name="lazy-adam",
        title="256 x 39 rows of a table of 50,000 x 64, their gradient and Adam's update",
        rows=50_000,
        columns=64,
        taken=256 * 39,
        units=10,
        limits={"torch": 1 / 3},
        limits_of_two={},
    ),
]


def registry_cases() -> list[OpCall]:
    """Of every op: of a pointwise one its throughput in cache, of another one the largest of the
    record's own cases."""
    from fastnn.ops import registry

    named = {case.name for case in CASES}
    found = [pointwise(op) if op.edges else tested(op) for op in registry.values() if op.cases]
    return [case for case in found if case.name not in named]


def pointwise(op: Any) -> Loop:
    low, high = op.cases[-1].domain

    def draw(rng):
        return rng.uniform(low, high, IN_CACHE).astype(FLOAT)

    return Loop(
        name=f"loop-{op.name}",
        title=f"`{op.name}` in cache, {IN_CACHE:,}",
        op=op.name,
        inputs=(draw,) * op.arity,
        streams=(op.arity, 1, 0),
        elements=IN_CACHE,
        units=100,
    )


def tested(op: Any) -> Tested:
    def drawn(case):
        rng = np.random.default_rng(0)
        arrays = [
            np.asarray(i(rng) if callable(i) else rng.uniform(*case.domain, i)) for i in case.inputs
        ]
        return [a.astype(FLOAT) if a.dtype.kind == "f" else a for a in arrays]

    case = max(op.cases, key=lambda case: sum(a.size for a in drawn(case)))
    arrays = drawn(case)
    shape = max((a.shape for a in arrays), key=prod)
    return Tested(
        name=f"tested-{op.name}",
        title=f"`{op.name}`, {' x '.join(f'{n:,}' for n in shape)}",
        op=op.name,
        inputs=tuple(partial(lambda array, rng: array, a) for a in arrays),
        streams=(1, 1, 0),
        elements=prod(shape),
        attributes=case.attributes,
        units=1000,
    )
