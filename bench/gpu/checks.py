"""Whether every kernel gives the CPU's results on the GPU."""

from typing import Any, NamedTuple

import numpy as np

from .gpu import LINE, STATUS, Gpu

GUARD = 0xA5  # fills what lies between arrays, and what is to be written over


class Result(NamedTuple):
    """Of one call: how many results it has, how many have the CPU's bits; what is wrong."""

    results: int
    alike: int
    wrong: str


def check(gpu: Gpu, case: dict[str, Any], shift: int) -> Result:
    """A call with every array `shift` elements after a multiple of 256 bytes."""
    place, top = [], LINE  # the status comes first
    for memory in case["memories"]:
        dtype = np.dtype(memory["dtype"])
        place.append(top + shift * dtype.itemsize)
        nbytes = int(np.prod(memory["shape"])) * dtype.itemsize
        top = -(-(place[-1] + nbytes + 1) // LINE) * LINE
    host, own = np.full(top, GUARD, np.uint8), np.zeros(top, bool)
    own[: STATUS.nbytes] = True
    host[: STATUS.nbytes] = STATUS.view(np.uint8)

    def part(of, memory, start):
        """The bytes of a memory."""
        dtype = np.dtype(memory["dtype"])
        return of[start : start + int(np.prod(memory["shape"])) * dtype.itemsize]

    for memory, start in zip(case["memories"], place, strict=True):
        if memory["values"] is not None:
            values = gpu.prepared.array(memory["values"], memory["shape"], memory["dtype"])
            part(host, memory, start)[:] = np.frombuffer(values.tobytes(), np.uint8)
        if memory["values"] is None or memory["expected"] is not None:
            part(own, memory, start)[:] = True
    address = gpu.room(top)
    gpu.device.send(address, host)
    gpu.launch(gpu.launches(case["launches"], [address + p for p in place], address))
    found = np.empty_like(host)
    gpu.device.fetch(found, address)
    wrong = []
    if (found[: STATUS.nbytes] != host[: STATUS.nbytes]).any():
        wrong.append(f"it reports {found[:16].view(np.int64)[0]:#x}")
    if (found != host)[~own].any():
        wrong.append("it writes where it may not")
    results = alike = 0
    for number, (memory, start) in enumerate(zip(case["memories"], place, strict=True)):
        if memory["expected"] is None:
            continue
        expected = gpu.prepared.array(memory["expected"], memory["shape"], memory["dtype"])
        got = np.frombuffer(part(found, memory, start).tobytes(), expected.dtype)
        results += 1
        alike += got.tobytes() == expected.tobytes()
        if said := difference(got.reshape(expected.shape), expected, *case["tolerance"]):
            wrong.append(f"array {number}: {said}")
    return Result(results, alike, "; ".join(wrong))


def difference(got: np.ndarray, expected: np.ndarray, absolute: float, relative: float) -> str:
    """What is wrong, or nothing. Without a tolerance the bits must be alike, but for those of
    NaN."""
    if expected.dtype.kind != "f":
        wrong = got != expected
    else:
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(got.astype(np.float64) - expected)
            wrong = ~(error <= absolute + relative * np.abs(expected))
        alike = (got == expected) & (np.signbit(got) == np.signbit(expected))
        alike |= np.isnan(got) & np.isnan(expected)
        wrong = ~alike if absolute == relative == 0 else wrong & ~alike
    if not wrong.any():
        return ""
    at = tuple(map(int, np.argwhere(wrong)[0]))
    return f"{wrong.sum()} of {wrong.size} differ, at {at} {got[at]!r} for {expected[at]!r}"
