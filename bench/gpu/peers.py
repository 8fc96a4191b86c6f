"""PyTorch on the same GPU, where it is installed: cuBLAS's products, and the same training step,
eager, in a CUDA graph and compiled."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

try:
    import torch
    from torch import nn
    from torch.nn import functional
except ImportError:
    torch = None  # type: ignore[assignment]

TIMES = 10  # that a product is made, of which one is told


def is_there() -> bool:
    return torch is not None and torch.cuda.is_available()


def seconds(work: Callable[[], object], repeats: int = 10) -> float:
    """The least of several."""
    work()
    found = []
    for _ in range(repeats):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        stop.record()
        stop.synchronize()
        found.append(start.elapsed_time(stop) / 1e3)
    return min(found)


def product(m: int, k: int, n: int, transpose_a: bool, transpose_b: bool) -> float:
    """cuBLAS's time for float32, without TF32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    a = torch.randn((k, m) if transpose_a else (m, k), device="cuda")
    b = torch.randn((n, k) if transpose_b else (k, n), device="cuda")
    c = torch.empty((m, n), device="cuda")
    a, b = a.T if transpose_a else a, b.T if transpose_b else b

    def work():
        for _ in range(TIMES):
            torch.mm(a, b, out=c)

    return seconds(in_graph(work).replay, 5) / TIMES


def in_graph(work: Callable[[], object]) -> Any:
    """A CUDA graph of it."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def steps(image: dict[str, Any], may_compile: bool) -> Iterator[tuple[str, float]]:
    """(how, seconds) of an image's step."""
    if not is_there():
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    step = _step(image)
    yield "PyTorch eager", seconds(step, 30)
    yield "PyTorch in a CUDA graph", seconds(in_graph(step).replay, 30)
    if not may_compile:
        return
    try:
        compiled = torch.compile(_step(image), mode="reduce-overhead")
        for _ in range(3):
            compiled()
    except Exception as error:  # of Triton's or of a compiler's that is missing
        print(f"torch.compile: {str(error)[:100]}", flush=True)
        return
    yield "PyTorch compiled", seconds(compiled, 30)


def _step(image):
    """The step of the same model, as a function."""
    widths, stack = image["widths"], []
    for k, n in pairwise(widths):
        norm = [nn.BatchNorm1d(n, eps=1e-3, momentum=0.01)] if image["norm"] else []
        stack += [nn.Linear(k, n), *norm, nn.ReLU()]
    del stack[-1 - len(norm) :]  # none after the last
    model = nn.Sequential(*stack).cuda()
    rows, classes = image["batch"], widths[-1]
    x = torch.randn(rows, widths[0], device="cuda")
    if classes == 1:
        y, loss_of = torch.rand(rows, 1, device="cuda"), functional.binary_cross_entropy_with_logits
    else:
        y, loss_of = torch.randint(0, classes, (rows,), device="cuda"), functional.cross_entropy
    if image["optimizer"] == "adam":
        optimizer = torch.optim.Adam(model.parameters(), capturable=True, fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x), y).backward()
        optimizer.step()

    return step
