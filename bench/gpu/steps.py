"""Steps of training: are the weights the CPU's after some of them, and how long does one take."""

from typing import Any

import numpy as np

from . import peers
from .gpu import Gpu, Launch
from .table import Table

MATRICES_ATOL = 1e-4  # of weights of order 0.1, after steps of Adam of 1e-3
REPLAYED = 20  # graphs at a time
ALONE = 50  # times that a launch is put into a graph of its own
SHOWN = 12  # of the launches that take longest


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

    def free(self) -> None:
        del self.graph
        self.gpu.free([self.address])

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


def check_and_time(gpu: Gpu, table: Table, on_double: bool, checks_only: bool) -> None:
    for image in gpu.prepared.manifest["images"]:
        if (on_double or checks_only) and not image["is_small"]:
            continue
        step = Step(gpu, image)
        error = step.difference()
        launches = len(step.launches)
        table.add(
            f"{image['name']}: farthest weight from the CPU's, {image['steps']} steps",
            f"{error:.1e}",
            f"{launches} launches, {_depth(image['edges'])} one after another",
            is_wrong=not error <= MATRICES_ATOL,
        )
        if not checks_only:
            time_step(gpu, table, step, on_double)
        step.free()


def time_step(gpu: Gpu, table: Table, step: Step, on_double: bool) -> None:
    """A step replayed; each of its launches alone, which tells what to fuse or to make faster; the
    same step of PyTorch's."""
    name, times = step.image["name"], 1 if on_double else REPLAYED
    in_a_row = [[n - 1] if n else [] for n in range(len(step.launches))]
    graphs = {
        "in branches": step.graph,
        "one after another": gpu.device.graph(step.launches, in_a_row),
    }
    seconds = {}
    for how, graph in graphs.items():
        step.reset()
        seconds[how] = gpu.seconds(graph.launch, times=times)
        table.add(f"{name}: a step replayed {how}, us", f"{1e6 * seconds[how]:.1f}")
    alone = []
    for number, launch in enumerate(step.launches):
        count = 1 if on_double else ALONE
        graph = gpu.device.graph([launch] * count, [[n - 1] if n else [] for n in range(count)])
        step.reset()
        alone.append((gpu.seconds(graph.launch, repeats=3) / count, number))
    table.add(f"{name}: its launches one by one, us", f"{1e6 * sum(t for t, _ in alone):.1f}")
    for took, number in sorted(alone, reverse=True)[:SHOWN]:
        kernel = step.image["launches"][number]["kernel"].removeprefix("fastnn_cuda_")
        table.add(f"    {number:3} {kernel}"[:66], f"{1e6 * took:.2f}")
    if on_double:
        return
    own = min(seconds.values())
    for title, theirs in peers.steps(step.image):
        table.add(
            f"{name}: {title}, us",
            f"{1e6 * theirs:.1f}",
            f"ours takes {own / theirs:.2f} of it",
            is_missed=own >= theirs,
        )


def _depth(edges):
    """The longest chain of launches that wait for each other."""
    depth: list[int] = []
    for before in edges:
        depth.append(1 + max([depth[n] for n in before], default=0))
    return max(depth)
