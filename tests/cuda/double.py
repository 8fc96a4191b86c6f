"""A double of NVIDIA's driver, whose kernels the PTX interpreter runs: `device.use(Double())`.

It is as strict as a driver may be. Copies read and write the host's memory when the stream is
waited for, and no sooner. A launch must fit its kernel. Memory that was freed is nobody's. A
graph's nodes run in an order drawn at random from those that its edges allow. After an error that
loses the context every call reports it; so does every call in a forked child.

What the interpreter finds in a kernel (a race, a read of what was never written, an address out of
bounds) is raised as it is, with the line, where a GPU would go on or lose the context.
"""

import ctypes
import os
import re
import struct
import threading
from functools import cache, partial
from itertools import count
from typing import NamedTuple

import numpy as np

from fastnn.devices.cuda.driver import FUNCTIONS, LOSES_CONTEXT
from tests.ptx import Kernel, PTXError

from .memory import DeviceMemory, HostMemory

SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED = 0, 1, 2, 3
INVALID_DEVICE, INVALID_IMAGE, INVALID_CONTEXT, INVALID_PTX = 101, 200, 201, 218
INVALID_HANDLE, NOT_FOUND, NOT_READY, ILLEGAL_ADDRESS = 400, 500, 600, 700
NAMES = {
    1: "CUDA_ERROR_INVALID_VALUE",
    2: "CUDA_ERROR_OUT_OF_MEMORY",
    3: "CUDA_ERROR_NOT_INITIALIZED",
    100: "CUDA_ERROR_NO_DEVICE",
    101: "CUDA_ERROR_INVALID_DEVICE",
    200: "CUDA_ERROR_INVALID_IMAGE",
    201: "CUDA_ERROR_INVALID_CONTEXT",
    218: "CUDA_ERROR_INVALID_PTX",
    400: "CUDA_ERROR_INVALID_HANDLE",
    500: "CUDA_ERROR_NOT_FOUND",
    600: "CUDA_ERROR_NOT_READY",
    700: "CUDA_ERROR_ILLEGAL_ADDRESS",
    716: "CUDA_ERROR_MISALIGNED_ADDRESS",
    719: "CUDA_ERROR_LAUNCH_FAILED",
}
# what can be called without a current context
WITHOUT_CONTEXT = (
    *("cuInit", "cuDriverGetVersion", "cuGetErrorName", "cuDeviceGet", "cuDeviceGetName"),
    *("cuDeviceGetAttribute", "cuDevicePrimaryCtxRetain", "cuCtxGetCurrent", "cuCtxSetCurrent"),
    *("cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2"),
)
MAX_GRID = ((1 << 31) - 1, 65535, 65535)
STATUS_BYTES, MAX_PARAMETER_BYTES = 16, 4096
CUBIN = b"the double's machine code\n"


@cache
def parsed(text, name):
    """The interpreter's kernel of PTX, and the threads of a block that it asks for."""
    threads = re.search(r"\.reqntid (\d+)", text)
    return Kernel(text, name), int(threads[1]) if threads else None


class Node(NamedTuple):
    """A launch that fits its kernel."""

    kernel: Kernel
    grid: tuple
    threads: int
    slots: list
    before: tuple = ()  # in a graph: handles of the nodes that it waits for


class Refused(Exception):
    """Ends a call, which returns this status."""

    def __init__(self, status):
        self.status = status


class Event:
    reached = None  # when


class Linker(NamedTuple):
    log: int  # its address
    made: list  # the machine code


def value_of(argument):
    """Of a number that was packed by ctypes, the number."""
    return argument.value if isinstance(argument, ctypes._SimpleCData) else argument


def given(place, value):
    """Write a result to where a caller's pointer points."""
    place._obj.value = value
    return SUCCESS


class Double:
    """A GPU with `memory` bytes. `fails` gives functions the status that they return instead of
    doing anything: `fails["cuInit"] = 100`. At the launch of that number (from 0, nodes of graphs
    counted too) `lose_at` lets a kernel read an illegal address. `checks=False` interprets three
    times as fast. No driver has its version, so that what it makes of PTX is found in the cache by
    no GPU."""

    def __init__(self, memory=1 << 24, capability=(8, 0), version=99000, checks=True, seed=0):
        self.memory, self.version, self.checks = DeviceMemory(memory), version, checks
        self.attributes = {
            13: 1_000_000,
            36: 1_000_000,
            37: 256,
            16: 4,
            38: 1 << 20,
            75: capability[0],
            76: capability[1],
        }
        self.fails, self.lose_at, self.lost = {}, None, 0
        self.launches, self.calls, self.stats = 0, {}, {}  # how many; of each name; by kernel
        self.handles, self.numbers, self.queue, self.process = {}, count(), [], None
        self.random, self.clock = np.random.default_rng(seed), 0
        self.thread = threading.local()

    def __getattr__(self, name):
        if name not in FUNCTIONS:
            raise AttributeError(f"the driver has no {name} that fastnn says it calls")
        return partial(self._called, name)

    def _called(self, name, *arguments):
        """A call by its name, held to what holds for all of them."""
        kinds = FUNCTIONS[name]
        assert len(kinds) == len(arguments), f"{name} takes {len(kinds)} arguments"
        for kind, argument in zip(kinds, arguments, strict=True):
            kind.from_param(argument)
            if isinstance(argument, int):
                assert int(kind(argument).value or 0) == argument, f"{name}: {argument} is cut off"
        self.calls[name] = self.calls.get(name, 0) + 1
        if name == "cuGetErrorName":
            return self._cuGetErrorName(*arguments)
        if name == "cuInit" and self.process is None:
            self.process = os.getpid()
        if self.process != os.getpid():
            return NOT_INITIALIZED
        if name in self.fails:
            return self._failed(self.fails[name])
        if self.lost and name != "cuCtxGetCurrent":
            return self.lost
        if name not in WITHOUT_CONTEXT and not self._stack():
            return INVALID_CONTEXT
        try:
            return getattr(self, f"_{name}")(*map(value_of, arguments))
        except Refused as refused:
            return self._failed(refused.status)
        except (PTXError, AssertionError):
            self._failed(ILLEGAL_ADDRESS)
            raise

    def _failed(self, status):
        if status in LOSES_CONTEXT:
            self.lost, self.queue = status, []
        return status

    def _new(self, place, kind, thing=None):
        number = 0x1000 + next(self.numbers)
        self.handles[number] = kind, thing
        return given(place, number)

    def _of(self, handle, kind):
        """What a handle stands for, if it is of this kind."""
        found, thing = self.handles.get(handle, (None, None))
        if found != kind:
            raise Refused(INVALID_HANDLE)
        return thing

    # ---- driver, device, context

    def _cuInit(self, flags):
        return SUCCESS if flags == 0 else INVALID_VALUE

    def _cuDriverGetVersion(self, place):
        return given(place, self.version)

    def _cuGetErrorName(self, status, place):
        if status not in NAMES:
            return INVALID_VALUE
        return given(place, NAMES[status].encode())

    def _cuDeviceGet(self, place, number):
        return given(place, number) if number == 0 else INVALID_DEVICE

    def _cuDeviceGetName(self, text, size, device):
        text.value = b"Double"[: size - 1]
        return SUCCESS

    def _cuDeviceGetAttribute(self, place, which, device):
        return given(place, self.attributes[which])

    def _cuDevicePrimaryCtxRetain(self, place, device):
        return self._new(place, "context")

    def _stack(self):
        if not hasattr(self.thread, "contexts"):
            self.thread.contexts = []
        return self.thread.contexts

    def _cuCtxGetCurrent(self, place):
        stack = self._stack()
        return given(place, stack[-1] if stack else None)

    def _cuCtxSetCurrent(self, context):
        self._stack()[-1:] = [] if context is None else [context]
        return SUCCESS

    def _cuCtxPushCurrent_v2(self, context):
        self._stack().append(context)
        return SUCCESS

    def _cuCtxPopCurrent_v2(self, place):
        return given(place, self._stack().pop()) if self._stack() else INVALID_CONTEXT

    # ---- memory

    def _cuMemGetInfo_v2(self, free, total):
        given(free, self.memory.total - self.memory.used)
        return given(total, self.memory.total)

    def _cuMemAlloc_v2(self, place, nbytes):
        if nbytes == 0:
            return INVALID_VALUE
        address = self.memory.allocate(nbytes)
        return OUT_OF_MEMORY if address is None else given(place, address)

    def _cuMemFree_v2(self, address):
        return SUCCESS if self.memory.free(address) else INVALID_VALUE

    def _cuPointerGetAttribute(self, place, which, address):
        return given(place, 0) if self.memory.span(address, 1) else INVALID_VALUE

    def _spans(self, pieces, status):
        """Where pieces of memory lie, (address, bytes) each of one allocation."""
        spans = [self.memory.span(*piece) for piece in pieces]
        if None in spans:
            raise Refused(status)
        return spans

    def _queued(self, stream, work, *pieces):
        """Queue work on pieces of memory, that must be there now and then."""
        self._of(stream, "stream")
        self._spans(pieces, INVALID_VALUE)
        self.queue.append(lambda: work(*self._spans(pieces, ILLEGAL_ADDRESS)))
        return SUCCESS

    def _cuMemcpyHtoDAsync_v2(self, to, source, nbytes, stream):
        source = HostMemory(source, nbytes)

        def work(span):
            self.memory.mem[span], self.memory.init[span] = source.bytes(), True

        return self._queued(stream, work, (to, nbytes))

    def _cuMemcpyDtoHAsync_v2(self, to, source, nbytes, stream):
        to = HostMemory(to, nbytes)

        def work(span):
            is_known = self.memory.init[span].all() or not self.checks
            assert is_known, "a copy to the host of what was never written"
            to.bytes()[:] = self.memory.mem[span]

        return self._queued(stream, work, (source, nbytes))

    def _cuMemcpyDtoDAsync_v2(self, to, source, nbytes, stream):
        def work(to, source):
            self.memory.mem[to] = self.memory.mem[source]
            self.memory.init[to] = self.memory.init[source]

        return self._queued(stream, work, (to, nbytes), (source, nbytes))

    def _cuMemsetD8Async(self, address, byte, nbytes, stream):
        def work(span):
            self.memory.mem[span], self.memory.init[span] = byte, True

        return self._queued(stream, work, (address, nbytes))

    # ---- streams and events

    def _cuStreamCreate(self, place, flags):
        return self._new(place, "stream")

    def _cuStreamSynchronize(self, stream):
        self._of(stream, "stream")
        while self.queue:
            self.queue.pop(0)()
        return SUCCESS

    def _cuEventCreate(self, place, flags):
        return self._new(place, "event", Event())

    def _cuEventRecord(self, event, stream):
        event = self._of(event, "event")
        event.reached = None

        def work():
            event.reached = self.clock

        return self._queued(stream, work)

    def _cuEventSynchronize(self, event):
        event = self._of(event, "event")
        while self.queue and event.reached is None:
            self.queue.pop(0)()
        return SUCCESS

    def _cuEventElapsedTime(self, place, start, stop):
        """A launch takes a millisecond here."""
        start, stop = self._of(start, "event").reached, self._of(stop, "event").reached
        return NOT_READY if None in (start, stop) else given(place, float(stop - start))

    def _cuEventDestroy_v2(self, event):
        return self._destroyed(event, "event")

    def _destroyed(self, handle, kind):
        self._of(handle, kind)
        assert not self.queue, f"a {kind} is destroyed that queued work may need"
        del self.handles[handle]
        return SUCCESS

    # ---- kernels

    def _cuLinkCreate_v2(self, count, options, values, place):
        assert list(options) == [5, 6], "the log of errors and its size"
        return self._new(place, "linker", Linker(values[0], []))

    def _cuLinkAddData_v2(self, linker, kind, text, size, name, *options):
        linker = self._of(linker, "linker")
        assert (kind, text[size - 1 :]) == (1, b"\0"), "PTX, which ends in a zero byte"
        target = re.search(rb"^\.target sm_(\d+)", text, re.M)
        capability = 10 * self.attributes[75] + self.attributes[76]
        if b".entry" not in text or target is None or int(target[1]) > capability:
            log = b"ptxas error: no kernel for this GPU\0"
            ctypes.memmove(linker.log, log, len(log))
            return INVALID_PTX
        linker.made.append(ctypes.create_string_buffer(CUBIN + text[:-1], size - 1 + len(CUBIN)))
        return SUCCESS

    def _cuLinkComplete(self, linker, code, size):
        (made,) = self._of(linker, "linker").made
        given(size, len(made))
        return given(code, ctypes.addressof(made))

    def _cuLinkDestroy(self, linker):
        for made in self._of(linker, "linker").made:  # who reads it later reads something else
            ctypes.memset(made, 0, len(made))
        del self.handles[linker]
        return SUCCESS

    def _cuModuleLoadData(self, place, code):
        if not code.startswith(CUBIN):
            return INVALID_IMAGE
        return self._new(place, "module", code[len(CUBIN) :].decode())

    def _cuModuleGetFunction(self, place, module, name):
        text, name = self._of(module, "module"), name.decode()
        if f".entry {name}(" not in text:
            return NOT_FOUND
        return self._new(place, "function", parsed(text, name))

    def _node(self, function, grid, block, shared, parameters, extra, before=()):
        """A launch that fits its kernel."""
        kernel, threads = self._of(function, "function")
        words = (ctypes.c_void_p * 5).from_address(extra)
        size = ctypes.c_size_t.from_address(words[3]).value
        fits = (
            (words[0], words[2], words[4], parameters, shared) == (1, 2, None, None, 0)
            and size == 8 * len(kernel.param_types) <= MAX_PARAMETER_BYTES
            and block == (threads, 1, 1)
            and all(0 < n <= most for n, most in zip(grid, MAX_GRID, strict=True))
        )
        if not fits:
            raise Refused(INVALID_VALUE)
        data = ctypes.string_at(words[1], size)
        slots = [
            struct.unpack_from("d" if kind == "f64" else "q", data, offset)[0]
            for offset, kind in kernel.param_types
        ]
        return Node(kernel, grid, threads, slots, before)

    def _cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra):
        place = ctypes.addressof(extra._obj)
        node = self._node(function, (gx, gy, gz), (bx, by, bz), shared, parameters, place)
        return self._queued(stream, partial(self._run, node))

    def _run(self, node):
        number, self.launches, self.clock = self.launches, self.launches + 1, self.clock + 1
        if number == self.lose_at:
            raise Refused(ILLEGAL_ADDRESS)
        status = type("Word", (), {"ptr": node.slots[-2], "nbytes": STATUS_BYTES})
        checks = dict.fromkeys(("races", "uninit", "profile"), self.checks)
        self.stats[node.kernel.name] = node.kernel.launch(
            node.grid, node.threads, node.slots, dev=self.memory, ignore_races=[status], **checks
        )

    # ---- graphs

    def _cuGraphCreate(self, place, flags):
        return self._new(place, "graph", {})  # of nodes, by their handle

    def _cuGraphAddKernelNode(self, place, graph, before, count, node):
        nodes, node = self._of(graph, "graph"), node._obj
        handles = tuple(before[n] for n in range(count))
        if len(set(handles)) < count or not set(handles) <= set(nodes):
            return INVALID_VALUE
        grid = node.grid_x, node.grid_y, node.grid_z
        block = node.block_x, node.block_y, node.block_z
        made = self._node(
            *(node.function, grid, block, node.shared_bytes, node.parameters, node.extra, handles)
        )
        self._new(place, "node")
        nodes[place._obj.value] = made
        return SUCCESS

    def _cuGraphInstantiateWithFlags(self, place, graph, flags):
        return self._new(place, "executable graph", dict(self._of(graph, "graph")))

    def _cuGraphDestroy(self, graph):
        self._of(graph, "graph")
        del self.handles[graph]
        return SUCCESS

    def _cuGraphExecDestroy(self, graph):
        return self._destroyed(graph, "executable graph")

    def _cuGraphLaunch(self, graph, stream):
        nodes = self._of(graph, "executable graph")
        return self._queued(stream, lambda: [self._run(node) for node in self._any_order(nodes)])

    def _any_order(self, nodes):
        """A graph's nodes in an order that its edges allow, drawn anew each time."""
        waiting, done = list(nodes), set()
        while waiting:
            ready = [handle for handle in waiting if done.issuperset(nodes[handle].before)]
            handle = ready[self.random.integers(len(ready))]
            waiting.remove(handle)
            done.add(handle)
            yield nodes[handle]
