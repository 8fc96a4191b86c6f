"""The GPU, by the driver that `prepare` copied: kernels by name, launches, how long they take."""

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from fastnn.compile.ptx_entry import NO_FAILURE
from fastnn.devices.cuda.device import Launch, device

from .store import Prepared

TICK_SECONDS = 5e-7  # of events' clocks: nothing can be said to take less
LINKERS = 8  # threads in which the driver compiles
STATUS = np.array([NO_FAILURE, 0], np.int64)  # nothing has failed
LINE = 256  # bytes, of which memory begins at multiples
EMPTY = b"""
.version 7.0
.target sm_80
.address_size 64
.entry empty(.param .u64 status, .param .u64 number)
.reqntid 32, 1, 1
{ ret; }
"""


class Gpu:
    """What a run does there."""

    def __init__(self, prepared: Prepared):
        self.prepared, self.device = prepared, device()
        self.functions: dict[str, int] = {}
        self.status = self.device.allocate(STATUS.nbytes)
        self.device.send(self.status, STATUS)
        self.address = self.nbytes = 0

    def room(self, nbytes: int) -> int:
        """Memory for one use after another."""
        if nbytes > self.nbytes:
            if self.nbytes:
                self.device.free(self.address)
            self.address, self.nbytes = self.device.allocate(nbytes), nbytes
        return self.address

    def compile(self, names: Iterable[str]) -> None:
        """Let the driver make machine code of kernels, several at a time."""

        def compiled(name):
            return name, self.device.machine_code(self.prepared.ptx(name), name)

        with ThreadPoolExecutor(LINKERS) as threads:
            for name, code in threads.map(compiled, names):
                for entry in re.findall(rb"\.entry (\w+)", self.prepared.ptx(name)):
                    self.functions[entry.decode()] = self.device.function(code, entry.decode())

    def empty(self) -> Launch:
        """A launch that does nothing."""
        if "empty" not in self.functions:
            code = self.device.machine_code(EMPTY, "empty")
            self.functions["empty"] = self.device.function(code, "empty")
        parameters = np.array([self.status, 0], np.int64).tobytes()
        return Launch(self.functions["empty"], (1, 1, 1), 32, parameters)

    def launches(
        self, made: Sequence[dict[str, Any]], addresses: Sequence[int], status: int | None = None
    ) -> list[Launch]:
        """What `prepare` wrote down, with its memories at these addresses."""
        found = []
        for launch in made:
            words = np.frombuffer(bytes.fromhex(launch["block"]), np.int64).copy()
            for slot, number, offset in launch["addresses"]:
                words[slot] = addresses[number] + offset
            words[-2] = self.status if status is None else status
            function = self.functions[launch["kernel"]]
            found.append(
                Launch(function, tuple(launch["grid"]), launch["threads"], words.tobytes())
            )
        return found

    def launch(self, launches: Iterable[Launch]) -> None:
        """Queue them, one after another."""
        for launch in launches:
            self.device.launch(*launch)

    def seconds_each(self, launches: Sequence[Launch], times: int, repeats: int = 5) -> float:
        """The least that these took, one after another, in a graph of so many times them: events
        around single launches would count how long the host needs for the next."""
        chain = [[n - 1] if n else [] for n in range(times * len(launches))]
        graph = self.device.graph([*launches] * times, chain)
        return self.seconds(graph.launch, repeats) / times

    def seconds(self, work: Callable[[], object], repeats: int = 5, times: int = 1) -> float:
        """The least that `work` took, of so many repeats; of `times` calls, one."""
        work()
        found = []
        for _ in range(repeats):
            start = self.device.event()
            for _ in range(times):
                work()
            found.append(start.seconds_until(self.device.event()) / times)
        return max(min(found), TICK_SECONDS)

    def free(self, addresses: Iterable[int]) -> None:
        """Give memory back, when what is queued is done."""
        for address in addresses:
            self.device.free(address)
        self.device.wait()

    def expect_no_failure(self) -> None:
        """Raise if a launch has reported something."""
        found = np.empty_like(STATUS)
        self.device.fetch(found, self.status)
        assert (found == STATUS).all(), f"a kernel reported {found}"


__all__ = ["LINE", "STATUS", "Gpu", "Launch"]
