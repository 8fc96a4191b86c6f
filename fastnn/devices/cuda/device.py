"""A GPU: its memory, one stream of work, launches and graphs of launches.

Work is queued in the stream, whose parts are done one after another; `wait` ends when all of it is
done. Only one GPU is used, the first that the driver shows, in its primary context, which other
libraries in the process share: their arrays' addresses are good here, and ours there.
"""

import ctypes
from collections import deque
from collections.abc import Callable, Sequence
from ctypes import c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, NamedTuple

import numpy as np

from fastnn.compile.target import gpu_architecture
from fastnn.errors import CudaError, DeviceMemoryError
from fastnn.locks import lock

from .driver import Driver, opened

MULTIPROCESSORS, MAJOR, MINOR, L2_BYTES = 16, 75, 76, 38  # device attributes
NEEDED_CAPABILITY = (8, 0)  # asynchronous copies to shared memory
# A stream whose work and that of the default one, which PyTorch and CuPy use, wait for each other
BLOCKING = 0
PTX, ERROR_LOG, ERROR_LOG_BYTES = 1, 5, 6  # kinds of a linker's input and options
# What is sent is copied first, if it is no larger: then nobody waits for the stream.
MAX_COPIED_BYTES = 64 << 10
MAX_IN_FLIGHT = 256  # of such copies, which are kept until they have arrived


class Launch(NamedTuple):
    """A kernel's launch: the grid along x, y and z, a block's threads, and its parameters."""

    function: int
    grid: tuple[int, int, int]
    threads: int
    parameters: bytes


class Extra(ctypes.Structure):
    """How the driver takes all parameters as one piece of memory: `extra` of cuLaunchKernel."""

    _fields_ = (
        ("pointer_follows", c_void_p),  # 1
        ("parameters", ctypes.c_char_p),
        ("size_follows", c_void_p),  # 2
        ("size", c_void_p),
        ("end", c_void_p),
    )


class KernelNode(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS, of cuGraphAddKernelNode's first version."""

    _fields_ = (
        ("function", c_void_p),
        *[(f"grid_{axis}", c_uint) for axis in "xyz"],
        *[(f"block_{axis}", c_uint) for axis in "xyz"],
        ("shared_bytes", c_uint),
        ("parameters", c_void_p),
        ("extra", c_void_p),
    )


class Owned:
    """Something of the driver's that is given back some time after nothing refers to it."""

    given_back_by = ""

    def __init__(self, device: "Device", handle: int):
        self.device, self.handle = device, handle

    def __del__(self):
        # Whoever collects garbage may be in the middle of a call: the device does it later.
        self.device.unused.append((self.given_back_by, self.handle))


class Graph(Owned):
    """Launches that the GPU orders by itself, as their edges allow."""

    given_back_by = "cuGraphExecDestroy"

    def launch(self) -> None:
        """Queue all of it."""
        self.device.call("cuGraphLaunch", self.handle, self.device.stream)


class Event(Owned):
    """A place in the stream, which notes when it is reached."""

    given_back_by = "cuEventDestroy_v2"

    def seconds_until(self, later: "Event") -> float:
        """From this one to a later one, which is waited for."""
        self.device.call("cuEventSynchronize", later.handle)
        milliseconds = self.device.asked(
            ctypes.c_float, "cuEventElapsedTime", self.handle, later.handle
        )
        return milliseconds.value / 1e3


class Device:
    """The GPU, by its driver."""

    def __init__(self, driver: Driver):
        self.driver = driver
        number = driver.asked(c_int, "cuDeviceGet", 0).value
        name = ctypes.create_string_buffer(256)
        driver.call("cuDeviceGetName", name, len(name), number)
        self.number, self.name = number, name.value.decode()
        self.capability = self.attribute(MAJOR), self.attribute(MINOR)
        if self.capability < NEEDED_CAPABILITY:
            raise CudaError(
                "device 'cuda': the {} has compute capability {}.{}; fastnn needs {}.{} or later "
                "(Ampere, of 2020). Use the device 'cpu'.".format(
                    self.name, *self.capability, *NEEDED_CAPABILITY
                )
            )
        self.architecture, self.version = gpu_architecture(self.capability), driver.version
        self.functions: dict[str, list[int]] = {}  # loaded kernels, by the name of their code
        self.multiprocessors = self.attribute(MULTIPROCESSORS)
        self.unused: deque[tuple[str, int]] = deque()  # to be given back: function, handle
        self.lock = lock()  # of what is in flight
        self.in_flight: list[np.ndarray] = []  # host memory of copies that are queued
        self.context = driver.asked(c_void_p, "cuDevicePrimaryCtxRetain", number).value
        self.stream = self.asked(c_void_p, "cuStreamCreate", BLOCKING).value

    def attribute(self, which: int) -> int:
        """A CUdevice_attribute."""
        return self.driver.asked(c_int, "cuDeviceGetAttribute", which, self.number).value

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver in this GPU's context. A thread that has another library's
        keeps it."""
        driver = self.driver
        current = driver.asked(c_void_p, "cuCtxGetCurrent").value
        if current == self.context:
            driver.call(name, *arguments)
        elif current is None:  # a thread that has used none
            driver.call("cuCtxSetCurrent", self.context)
            driver.call(name, *arguments)
        else:
            driver.call("cuCtxPushCurrent_v2", self.context)
            try:
                driver.call(name, *arguments)
            finally:
                driver.library.cuCtxPopCurrent_v2(ctypes.byref(c_void_p()))

    def asked(self, kind: Callable[[], Any], name: str, *arguments: Any) -> Any:
        """What a function writes to where its first argument points."""
        result = kind()
        self.call(name, ctypes.byref(result), *arguments)
        return result

    # ---- memory

    def memory(self) -> tuple[int, int]:
        """Its bytes: (free, all)."""
        free, total = c_size_t(), c_size_t()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value, total.value

    def allocate(self, nbytes: int) -> int:
        """The address of new memory, a multiple of 256; what is in it is not known."""
        try:
            return self.asked(c_uint64, "cuMemAlloc_v2", max(nbytes, 1)).value
        except DeviceMemoryError:
            if not self.unused:
                raise
            self.wait()
            return self.asked(c_uint64, "cuMemAlloc_v2", max(nbytes, 1)).value

    def free(self, address: int) -> None:
        """Give memory back once what is queued now is done. It may be called whenever garbage is
        collected, and raises nothing."""
        self.unused.append(("cuMemFree_v2", address))

    def send(self, address: int, array: np.ndarray) -> None:
        """Queue a copy from the host's memory, which may be changed as soon as this returns."""
        if array.nbytes == 0:
            return
        is_copied = array.nbytes <= MAX_COPIED_BYTES
        held = array.copy(order="C") if is_copied else np.ascontiguousarray(array)
        self._queue_copy(held, "cuMemcpyHtoDAsync_v2", address, held.ctypes, held.nbytes)
        if not is_copied or len(self.in_flight) > MAX_IN_FLIGHT:
            self.wait()

    def fetch(self, array: np.ndarray, address: int) -> None:
        """Fill a contiguous array of the host with what is at an address, once all that is queued
        is done."""
        if not array.flags.c_contiguous or not array.flags.writeable:
            raise ValueError("fetch: expected a contiguous array that can be written")
        if array.nbytes:
            self._queue_copy(array, "cuMemcpyDtoHAsync_v2", array.ctypes, address, array.nbytes)
        self.wait()

    def _queue_copy(self, held, name, to, source, nbytes):
        with self.lock:
            # first: whatever happens, an array is not freed before its copy is done
            self.in_flight.append(held)
            self.call(name, to, source, nbytes, self.stream)

    def copy(self, to: int, source: int, nbytes: int) -> None:
        """Queue a copy within the GPU's memory."""
        if nbytes:
            self.call("cuMemcpyDtoDAsync_v2", to, source, nbytes, self.stream)

    def fill(self, address: int, nbytes: int, byte: int = 0) -> None:
        """Queue that all bytes there become `byte`."""
        if nbytes:
            self.call("cuMemsetD8Async", address, byte, nbytes, self.stream)

    def wait(self) -> None:
        """Until all that is queued is done. Gives back what was unused before."""
        with self.lock:
            arrived, self.in_flight = self.in_flight, []
            unused = [self.unused.popleft() for _ in range(len(self.unused))]
        try:
            self.call("cuStreamSynchronize", self.stream)
            arrived = []
            while unused:
                self.call(*unused.pop())
        finally:  # what an interrupt has left to the next
            with self.lock:
                self.in_flight += arrived
                self.unused.extend(unused)

    # ---- kernels

    def machine_code(self, ptx: bytes, name: str) -> bytes:
        """What the driver's compiler makes of PTX for this GPU: a cubin."""
        text, log = ptx + b"\0", ctypes.create_string_buffer(4096)
        options = (c_int * 2)(ERROR_LOG, ERROR_LOG_BYTES)
        values = (c_void_p * 2)(ctypes.addressof(log), len(log))
        linker, code, size = c_void_p(), c_void_p(), c_size_t()
        self.call("cuLinkCreate_v2", 2, options, values, ctypes.byref(linker))
        try:
            self.call(
                "cuLinkAddData_v2", linker, PTX, text, len(text), name.encode(), 0, None, None
            )
            self.call("cuLinkComplete", linker, ctypes.byref(code), ctypes.byref(size))
            return ctypes.string_at(code, size.value)
        except DeviceMemoryError:
            raise
        except CudaError as error:
            said = log.value.decode(errors="replace").strip()
            raise CudaError(f"{error}\n{name}: {said}" if said else str(error)) from None
        finally:
            if not self.driver.lost:
                self.call("cuLinkDestroy", linker)

    def function(self, code: bytes, name: str) -> int:
        """The kernel called `name` of a cubin, loaded for as long as the process runs."""
        module = self.asked(c_void_p, "cuModuleLoadData", code)
        return self.asked(c_void_p, "cuModuleGetFunction", module, name.encode()).value

    def launch(self, function: int, grid: tuple, threads: int, parameters: bytes) -> None:
        """Queue a launch. A grid has at least one block; along y and z at most 65,535."""
        size = c_size_t(len(parameters))
        extra = Extra(1, parameters, 2, ctypes.addressof(size), None)
        self.call(
            *("cuLaunchKernel", function, *grid, threads, 1, 1, 0),
            *(self.stream, None, ctypes.byref(extra)),
        )

    def graph(self, launches: Sequence[Launch], edges: Sequence[Sequence[int]]) -> Graph:
        """A graph of these launches; `edges` has, of each, the numbers of those before it that it
        waits for."""
        nodes: list[int] = []
        graph = self.asked(c_void_p, "cuGraphCreate", 0)
        try:
            for launch, before in zip(launches, edges, strict=True):
                size = c_size_t(len(launch.parameters))
                extra = Extra(1, launch.parameters, 2, ctypes.addressof(size), None)
                blocks = (launch.threads, 1, 1)
                node = KernelNode(
                    launch.function, *launch.grid, *blocks, 0, None, ctypes.addressof(extra)
                )
                waits = (c_void_p * len(before))(*[nodes[n] for n in before]) if before else None
                made = self.asked(
                    *(c_void_p, "cuGraphAddKernelNode", graph, waits, len(before)),
                    ctypes.byref(node),
                )
                nodes.append(made.value)
            made = self.asked(c_void_p, "cuGraphInstantiateWithFlags", graph, 0)
            return Graph(self, made.value)
        finally:
            if not self.driver.lost:
                self.call("cuGraphDestroy", graph)

    def event(self) -> Event:
        """A place in the stream, behind all that is queued."""
        made = Event(self, self.asked(c_void_p, "cuEventCreate", 0).value)
        self.call("cuEventRecord", made.handle, self.stream)
        return made


_library: Any = None  # in the place of NVIDIA's
_device: Device | None = None
_making = lock()


def use(library: Any) -> None:
    """From now on call the functions of another object; of None, NVIDIA's driver again."""
    global _library, _device
    _library, _device = library, None


def device() -> Device:
    """The GPU, which is opened when it is first asked for. Raises where there is none, and says
    what to do."""
    global _device
    if _device is not None:
        return _device
    with _making:
        if _device is None:
            _device = Device(Driver(opened() if _library is None else _library))
        return _device
