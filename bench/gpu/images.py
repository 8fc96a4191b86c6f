"""Steps of training as images: the memory of a GPU just before the first step, and the launches of
its graph. A GPU that holds the same bytes does the same steps, wherever they lie."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import fastnn
from fastnn import layers
from fastnn.compile.ptx_entry import BATCHED
from fastnn.devices.arena import Arena
from fastnn.devices.cuda import code
from fastnn.devices.cuda.device import use
from tests.cuda.double import Double
from tests.ptx import GLOBAL_BASE

from .store import Writer

LEAST_NODES = 3  # of a step's graph


class Step(NamedTuple):
    """A model, and the steps of which the CPU makes the weights that are expected."""

    name: str
    widths: Sequence[int]
    batch: int
    steps: int
    optimizer: str = "adam"
    norm: bool = True
    is_small: bool = False  # small enough for the double


STEPS = (
    Step("small", (20, 24, 16, 3), 16, 4, is_small=True),
    Step("article", (10, 1), 10, 100, "sgd", norm=False, is_small=True),
    Step("mlp", (784, 512, 512, 10), 128, 4),
    Step("mlp", (784, 512, 512, 10), 8192, 1),
)


class Taken(Exception):
    """The image: what the memory holds, where weights lie, the graph's nodes."""

    def __init__(self, memory: np.ndarray, nodes: dict[int, Any]):
        self.memory, self.nodes = memory, nodes


class Camera(Double):
    """A double that ends a program when the graph of a step is first launched."""

    def _cuGraphLaunch(self, graph, stream):
        nodes = self._of(graph, "executable graph")
        if len(nodes) < LEAST_NODES:
            return super()._cuGraphLaunch(graph, stream)
        self._cuStreamSynchronize(stream)
        used = np.zeros(self.memory.top, np.uint8)
        for start, end in zip(self.memory.starts, self.memory.ends, strict=True):
            used[start:end] = self.memory.mem[start:end]
        raise Taken(used, nodes)


def model_of(step: Step) -> Any:
    """It, with the same weights each time."""
    fastnn.utils.set_random_seed(3)
    stack: list[Any] = [fastnn.Input((step.widths[0],))]
    for width in step.widths[1:-1]:
        norm = [layers.BatchNormalization()] if step.norm else []
        stack += [layers.Dense(width), *norm, layers.ReLU()]
    is_binary = step.widths[-1] == 1
    last = layers.Dense(step.widths[-1], activation="sigmoid" if is_binary else "softmax")
    model = fastnn.Sequential([*stack, last])
    loss = "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy"
    model.compile(step.optimizer, loss)
    return model


def data_of(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Rows for an epoch of so many steps; sixteen values, which a file holds in few bytes."""
    rng = np.random.default_rng(0)
    rows = step.batch * step.steps
    x = (rng.integers(0, 16, (rows, step.widths[0])) / 16).astype(np.float32)
    classes = step.widths[-1]
    if classes == 1:
        return x, (x.sum(1, keepdims=True) > step.widths[0] / 2).astype(np.float32)
    return x, rng.integers(0, classes, rows)


def images(
    architecture: str, folder: Path, writer: Writer, steps: Sequence[Step] = STEPS
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Each as `run` reads it, and the names of its kernels."""
    for step in steps:
        yield image(step, architecture, folder, writer)


def image(
    step: Step, architecture: str, folder: Path, writer: Writer
) -> tuple[dict[str, Any], list[str]]:
    x, y = data_of(step)
    expected = model_of(step)
    expected.fit(x, y, batch_size=step.batch, epochs=1, verbose=0)
    chunk, Arena.CHUNK_BYTES = Arena.CHUNK_BYTES, 1 << (14 if step.is_small else 22)
    capability = divmod(int(architecture.removeprefix("sm_")), 10)
    use(Camera(1 << (22 if step.is_small else 29), capability))
    try:
        with fastnn.device("cuda"):
            model = model_of(step)
            model.fit(x, y, batch_size=step.batch, epochs=1, verbose=0)
        raise AssertionError("no graph was launched")
    except Taken as taken:
        memory, nodes = taken.memory, taken.nodes
        weights = _weights(model, expected, writer)
    finally:
        Arena.CHUNK_BYTES = chunk
        use(None)
    name = f"{step.name}-{step.batch}"
    np.savez_compressed(folder / f"{name}.npz", memory=memory)
    handles = list(nodes)
    launches = [
        {
            "kernel": node.kernel.name,
            "grid": node.grid,
            "threads": node.threads,
            "block": _words(node).hex(),
            "addresses": [],
        }
        for node in nodes.values()
    ]
    described = {
        "name": name,
        "widths": step.widths,
        "batch": step.batch,
        "steps": step.steps,
        "optimizer": step.optimizer,
        "norm": step.norm,
        "is_small": step.is_small,
        "base": GLOBAL_BASE,
        "launches": launches,
        "edges": [[handles.index(h) for h in node.before] for node in nodes.values()],
        "weights": weights,
    }
    return described, [node.kernel.name.removesuffix(BATCHED) for node in nodes.values()]


def _words(node):
    """A launch's parameters, eight bytes each."""
    kinds = [np.float64 if kind == "f64" else np.int64 for _, kind in node.kernel.param_types]
    return b"".join([kind(slot).tobytes() for kind, slot in zip(kinds, node.slots, strict=True)])


def _weights(model, expected, writer):
    """Where the weights lie, and what they are to be. Biases before batch normalisation have no
    effect: their gradients are noise, which Adam makes large."""
    norm = layers.BatchNormalization
    noise = {id(a.bias) for a, b in pairwise(model.layers) if isinstance(b, norm)}
    found = []
    for variable, value in zip(model.weights, expected.get_weights(), strict=True):
        if id(variable) not in noise:
            address, values = variable.buffer.address.value, np.ascontiguousarray(value)
            found.append([address, value.shape, value.dtype.str, writer.add(values)])
    return found


def ptx(name: str, architecture: str) -> bytes:
    """That of a kernel of an image."""
    found = code.kept(architecture).read(name)
    assert found is not None
    return found
