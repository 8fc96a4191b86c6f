"""Steps of training: are the weights the CPU's after some of them, and how long does one take."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from . import peers
from .gpu import STATUS, Gpu, Launch
from .speeds import Ceilings
from .table import Table

WEIGHTS_ATOL = 1e-4  # of weights of order 0.1, after steps of Adam of 1e-3
TIMES = 20  # that a step, or one of its launches, is done at once
SHOWN = 12  # of the launches that take longest
# To reach: how much of PyTorch's time a step may take, and of what cuBLAS's flops would allow
RATIO = {
    "article-10": {"PyTorch eager": 0.1},
    "mlp-128": {"PyTorch in a CUDA graph": 1.0},
}
SHARE_OF_FLOOR = {"mlp-8192": 0.6}


class Step:
    """An image on the GPU."""

    def __init__(self, gpu: Gpu, image: dict[str, Any]):
        self.gpu, self.image = gpu, image
        with np.load(gpu.prepared.folder / f"{image['name']}.npz") as file:
            self.memory = file["memory"]
        self.address = gpu.device.allocate(self.memory.nbytes)
        self.moved = self.address - image["base"]
        self._move(self.memory[: self.memory.size // 8 * 8].view(np.int64))
        self.reset()
        self.launches = [self._launch(launch) for launch in image["launches"]]
        self.graph = gpu.device.graph(self.launches, image["edges"])
        # of the last launch, which moves counters on: its table and rows, and the status's address
        self.counters = np.frombuffer(self.launches[-1].parameters, np.int64)

    def _move(self, words: np.ndarray) -> None:
        """Change the words that are addresses of the image's memory. No other word looks like one:
        as floats they would be denormal."""
        base = self.image["base"]
        words[(words >= base) & (words < base + self.memory.nbytes)] += self.moved

    def _launch(self, launch: dict[str, Any]) -> Launch:
        words = np.frombuffer(bytes.fromhex(launch["block"]), np.int64).copy()
        self._move(words)
        function = self.gpu.functions[launch["kernel"]]
        return Launch(function, tuple(launch["grid"]), launch["threads"], words.tobytes())

    def reset(self) -> None:
        """Put its memory back to before the first step."""
        self.gpu.device.send(self.address, self.memory)

    def stand_still(self) -> None:
        """From now on a step leaves the counters as they are, so that it can be done any number of
        times: the rows of the first batch, the first step of Adam."""
        place, count = self.counters[0] - self.address, self.counters[1]
        pairs = self.memory[place : place + 16 * count].view(np.int64).reshape(-1, 2)
        pairs[:, 1] = 0
        self.reset()

    def has_failed(self) -> bool:
        """Whether a launch has reported something: those that commit then do nothing."""
        found = np.empty_like(STATUS)
        self.gpu.device.fetch(found, self.counters[3])
        return bool((found != STATUS).any())

    def difference(self) -> float:
        """After its steps, how far the farthest weight is from the CPU's."""
        for _ in range(self.image["steps"]):
            self.graph.launch()
        found = []
        for address, shape, dtype, start in self.image["weights"]:
            expected = self.gpu.prepared.array(start, shape, dtype)
            got = np.empty_like(expected)
            self.gpu.device.fetch(got, address + self.moved)
            found.append(float(np.abs(got - expected).max()))  # NaN if one is
        return max(found) if np.isfinite(found).all() else float("nan")


def check(gpu: Gpu, table: Table, only_small: bool) -> list[Step]:
    """Are the weights the CPU's after some steps; the steps, to be timed."""
    steps = []
    for image in gpu.prepared.manifest["images"]:
        if only_small and not image["is_small"]:
            continue
        steps.append(step := Step(gpu, image))
        error = step.difference()
        table.add(
            f"{image['name']}: farthest weight from the CPU's, {image['steps']} steps",
            f"{error:.1e}",
            f"{len(step.launches)} launches, {_depth(image['edges'])} one after another",
            is_wrong=not error <= WEIGHTS_ATOL,
        )
    return steps


def time_step(table: Table, step: Step, best: Ceilings, on_double: bool, may_compile: bool) -> None:
    """A step replayed; each of its launches alone, which tells what to fuse or to make faster; the
    same step of PyTorch's."""
    gpu, image, name = step.gpu, step.image, step.image["name"]
    step.stand_still()
    times = 1 if on_double else TIMES
    branches = gpu.seconds(step.graph.launch, times=times)
    table.add(f"{name}: a step replayed in branches, us", f"{1e6 * branches:.1f}")
    in_a_row = gpu.seconds_each(step.launches, 1)
    table.add(f"{name}: a step replayed one after another, us", f"{1e6 * in_a_row:.1f}")
    if step.has_failed():
        table.add(f"{name}: a launch reports something", "", is_wrong=True)
    alone = []
    for number, launch in enumerate(step.launches):
        step.reset()
        alone.append((gpu.seconds_each([launch], times, repeats=3), number))
    table.add(f"{name}: its launches one by one, us", f"{1e6 * sum(t for t, _ in alone):.1f}")
    for took, number in sorted(alone, reverse=True)[:SHOWN]:
        kernel = image["launches"][number]["kernel"].removeprefix("fastnn_cuda_")
        table.add(f"    {number:3} {kernel}"[:66], f"{1e6 * took:.2f}")
    own = min(branches, in_a_row)
    if best.flops is not None:
        share = flops_of(image) / best.flops / own
        is_missed = name in SHARE_OF_FLOOR and share < SHARE_OF_FLOOR[name]
        table.add(f"{name}: share of cuBLAS's flops", f"{share:.2f}", is_missed=is_missed)
    if on_double:
        return
    for title, theirs in peers.steps(image, may_compile):
        most = RATIO.get(name, {}).get(title, math.inf)
        table.add(
            f"{name}: {title}, us",
            f"{1e6 * theirs:.1f}",
            f"ours takes {own / theirs:.2f} of it",
            is_missed=own > most * theirs,
        )


def flops_of(image: dict[str, Any]) -> float:
    """Of a step's products: forward, both gradients, but for that of the input."""
    pairs = [k * n for k, n in pairwise(image["widths"])]
    return 2.0 * image["batch"] * (3 * sum(pairs) - pairs[0])


def _depth(edges):
    """The longest chain of launches that wait for each other."""
    depth: list[int] = []
    for before in edges:
        depth.append(1 + max([depth[n] for n in before], default=0))
    return max(depth)
