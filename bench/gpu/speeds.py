"""How near kernels are to what the GPU can do: to its copy's bytes a second, to cuBLAS."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from . import peers
from .gpu import Gpu
from .table import Table

NODES = 400  # of a graph of empty launches
TIMES = 10  # that a kernel is launched, of which one is told
COPIED_BYTES, COPIED_BYTES_ON_DOUBLE = 1 << 31, 1 << 12
RANDOM_BYTES = 1 << 22  # drawn on the host; a large array repeats them
CUBLAS = 8192  # extent of the product that tells what float32 can do at best


class Ceilings(NamedTuple):
    """What the GPU can do at best; nothing is known of products where there is no PyTorch."""

    bytes_per_second: float  # read and written by a copy
    flops: float | None  # a second, of cuBLAS


def ceilings(gpu: Gpu, table: Table, on_double: bool) -> Ceilings:
    nbytes = COPIED_BYTES_ON_DOUBLE if on_double else COPIED_BYTES
    x, y = gpu.device.allocate(nbytes), gpu.device.allocate(nbytes)
    gpu.device.fill(x, nbytes)
    rate = 2 * nbytes / gpu.seconds(lambda: gpu.device.copy(y, x, nbytes), times=TIMES)
    gpu.free([x, y])
    table.add("copy, GB/s read and written", f"{rate / 1e9:.0f}")
    flops = None
    if not on_double and peers.is_there():
        flops = 2 * CUBLAS**3 / peers.product(CUBLAS, CUBLAS, CUBLAS, False, False)
        table.add(f"cuBLAS float32 without TF32, {CUBLAS}, Tflop/s", f"{flops / 1e12:.1f}")
    empty = gpu.empty()
    in_a_row = gpu.seconds_each([empty], NODES)
    table.add("a node of a graph, one after another, us", f"{1e6 * in_a_row:.2f}")
    graph = gpu.device.graph([empty] * NODES, [[]] * NODES)
    seconds = gpu.seconds(graph.launch) / NODES
    table.add("a node of a graph, side by side, us", f"{1e6 * seconds:.2f}")
    seconds = gpu.seconds(lambda: gpu.launch([empty] * NODES)) / NODES
    table.add("a launch, queued, us", f"{1e6 * seconds:.2f}")
    return Ceilings(rate, flops)


def place(gpu: Gpu, memory: dict[str, Any]) -> int:
    """New memory with the values that an entry says, or random ones."""
    dtype, count = np.dtype(memory["dtype"]), prod(memory["shape"])
    nbytes, rng = count * dtype.itemsize, np.random.default_rng(0)
    address = gpu.device.allocate(nbytes)
    if memory["values"] is not None:
        values = gpu.prepared.array(memory["values"], memory["shape"], memory["dtype"])
    else:
        drawn = min(count, RANDOM_BYTES // dtype.itemsize)
        below = memory["below"]
        values = rng.integers(0, below, drawn) if below else rng.uniform(0.1, 1, drawn)
    values = np.ascontiguousarray(values.astype(dtype))
    gpu.device.send(address, values)
    done = values.nbytes
    while done < nbytes:
        step = min(done, nbytes - done)
        gpu.device.copy(address + done, address, step)
        done += step
    return address


def time_kernels(gpu: Gpu, table: Table, best: Ceilings, on_double: bool) -> None:
    """Each entry as a share of the copy's bytes a second, or, if it is a product, of cuBLAS."""
    for entry in gpu.prepared.manifest["speeds"]["small" if on_double else "large"]:
        addresses = [place(gpu, memory) for memory in entry["memories"]]
        seconds = {}
        for tile, made in entry.get("tiles", {"": entry["launches"]}).items():
            launches = gpu.launches(made, addresses)
            seconds[tile] = gpu.seconds_each(launches, 1 if on_double else TIMES)
        gpu.expect_no_failure()
        gpu.free(addresses)
        if "tiles" in entry:
            _product(table, entry, seconds, on_double)
            continue
        share = entry["bytes"] / seconds[""] / best.bytes_per_second
        size = max([prod(m["shape"]) for m in entry["memories"]])
        table.add(
            f"{entry['title']}, {size:,} elements: share of the copy",
            f"{share:.2f}",
            f"{1e6 * seconds['']:.0f} us, {len(launches)} launches",
            is_missed=share < entry["to_reach"] and not on_double,
        )


def _product(table, entry, seconds, on_double):
    """The tile that is chosen for its shape against cuBLAS, and how long every tile takes."""
    (m, k, n, *_), own = entry["product"], seconds[entry["chosen"]]
    each = ", ".join([f"{tile} {1e6 * s:.1f}" for tile, s in seconds.items()])
    note = f"{2e-12 * m * k * n / own:.1f} Tflop/s by {entry['chosen']}; us by tile: {each}"
    if on_double or not peers.is_there():
        table.add(f"{entry['title']}: us", f"{1e6 * own:.1f}", note)
        return
    share = peers.product(*entry["product"]) / own
    is_missed = share < entry["to_reach"]
    table.add(f"{entry['title']}: share of cuBLAS", f"{share:.2f}", note, is_missed=is_missed)
