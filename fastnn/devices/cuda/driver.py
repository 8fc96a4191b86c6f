"""NVIDIA's driver by ctypes: the functions that fastnn calls, by name, and what their errors mean.

`use(library)` puts another object in its place: the tests have a double that runs PTX on the CPU.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from ctypes import c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, TypeVar

from fastnn.errors import CudaError, DeviceMemoryError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
NEEDED_VERSION = (11, 4)  # of CUDA, which the driver supports: cuGraphInstantiateWithFlags

# What each takes. Without it ctypes would cut off the upper half of an address.
LAUNCH = (c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p)
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (c_void_p,),
    "cuGetErrorName": (c_int, c_void_p),
    "cuDeviceGet": (c_void_p, c_int),
    "cuDeviceGetName": (c_void_p, c_int, c_int),
    "cuDeviceGetAttribute": (c_void_p, c_int, c_int),
    "cuDevicePrimaryCtxRetain": (c_void_p, c_int),
    "cuCtxGetCurrent": (c_void_p,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuCtxPushCurrent_v2": (c_void_p,),
    "cuCtxPopCurrent_v2": (c_void_p,),
    "cuStreamCreate": (c_void_p, c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuMemGetInfo_v2": (c_void_p, c_void_p),
    "cuMemAlloc_v2": (c_void_p, c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuPointerGetAttribute": (c_void_p, c_int, c_uint64),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuMemcpyDtoDAsync_v2": (c_uint64, c_uint64, c_size_t, c_void_p),
    "cuMemsetD8Async": (c_uint64, ctypes.c_ubyte, c_size_t, c_void_p),
    "cuLinkCreate_v2": (c_uint, c_void_p, c_void_p, c_void_p),
    "cuLinkAddData_v2": (
        *(c_void_p, c_int, c_void_p, c_size_t, c_void_p),
        *(c_uint, c_void_p, c_void_p),
    ),
    "cuLinkComplete": (c_void_p, c_void_p, c_void_p),
    "cuLinkDestroy": (c_void_p,),
    "cuModuleLoadData": (c_void_p, c_void_p),
    "cuModuleGetFunction": (c_void_p, c_void_p, c_void_p),
    "cuLaunchKernel": LAUNCH,
    "cuGraphCreate": (c_void_p, c_uint),
    "cuGraphAddKernelNode": (c_void_p, c_void_p, c_void_p, c_size_t, c_void_p),
    "cuGraphInstantiateWithFlags": (c_void_p, c_void_p, c_uint64),
    "cuGraphDestroy": (c_void_p,),
    "cuGraphLaunch": (c_void_p, c_void_p),
    "cuGraphExecDestroy": (c_void_p,),
    "cuEventCreate": (c_void_p, c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventSynchronize": (c_void_p,),
    "cuEventElapsedTime": (c_void_p, c_void_p, c_void_p),
    "cuEventDestroy_v2": (c_void_p,),
}

# CUresult, as far as they are told apart here
SUCCESS, OUT_OF_MEMORY, NOT_INITIALIZED, NO_DEVICE = 0, 2, 3, 100
# After these no call of the process works any more: memory on the GPU is gone.
LOSES_CONTEXT = frozenset([214, 220, 226, 700, 702, 709, 710, *range(714, 720), 721, 810])
FAULT = (
    "A kernel that was launched earlier {}. To find which: compute-sanitizer python YOUR_PROGRAM"
)
ADVICE = {
    NO_DEVICE: "The driver finds no GPU: `nvidia-smi` lists those it knows, CUDA_VISIBLE_DEVICES "
    "hides some, a container gets them by --gpus all",
    34: "This libcuda is a stub of CUDA's toolkit, only for linking: take its folder out of "
    "LD_LIBRARY_PATH",
    46: "Another process has this GPU to itself: `nvidia-smi` shows it",
    209: "The driver is too old for this GPU's code: install a newer one",
    214: "The GPU's memory has a fault that it could not correct: `nvidia-smi -q -d ECC`",
    221: "The driver's compiler, libnvidia-ptxjitcompiler, is not installed: it belongs to the "
    "driver; a container gets it with NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    222: "The driver is older than this code: install a newer one",
    223: "CUDA_DISABLE_PTX_JIT is set: unset it",
    700: FAULT.format("read or wrote memory that is not its own"),
    702: FAULT.format("ran for longer than a GPU that also has a display allows"),
    716: FAULT.format("read or wrote an address that its type may not have"),
    719: FAULT.format("failed"),
    802: "The system's GPUs are not ready: is nvidia-fabricmanager running?",
    803: "The driver's module in the kernel and its library are of different versions, as after an "
    "update: restart the machine",
    999: "After a machine has slept: `sudo modprobe -r nvidia_uvm && sudo modprobe nvidia_uvm`, or "
    "restart it",
}
Kind = TypeVar("Kind", bound="ctypes._SimpleCData[Any]")


class Driver:
    """The driver, initialised, in the process that opened it."""

    def __init__(self, library: Any):
        self.library, self.process = library, os.getpid()
        self.lost = ""  # what made the context useless, once something has
        self.call("cuInit", 0)
        version = self.asked(c_int, "cuDriverGetVersion").value
        self.version = version // 1000, version % 1000 // 10
        if self.version < NEEDED_VERSION:
            raise CudaError(
                "device 'cuda': NVIDIA's driver supports CUDA {}.{}; fastnn needs {}.{}. Install "
                "a newer driver.".format(*self.version, *NEEDED_VERSION)
            )

    def expect_usable(self) -> None:
        """Raise where no call can work any more."""
        if os.getpid() != self.process:
            raise CudaError(
                "device 'cuda': this process was forked from one that had used the GPU, and what "
                "it had there does not survive a fork. Start processes with multiprocessing's "
                "'spawn', or first use the GPU after the fork."
            )
        if self.lost:
            raise CudaError(
                f"device 'cuda': an earlier error ({self.lost}) has ended this process's use of "
                "the GPU; what lay on it is gone. Start a new process."
            )

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver; raises what it reports."""
        self.expect_usable()
        status = getattr(self.library, name)(*arguments)
        if status != SUCCESS:
            raise self._error(name, status)

    def asked(self, kind: Callable[[], Kind], name: str, *arguments: Any) -> Kind:
        """What a function writes to where its first argument points."""
        result = kind()
        self.call(name, ctypes.byref(result), *arguments)
        return result

    def error_name(self, status: int) -> str:
        """As NVIDIA spells it: CUDA_ERROR_OUT_OF_MEMORY."""
        text = ctypes.c_char_p()
        self.library.cuGetErrorName(status, ctypes.byref(text))
        return (text.value or b"an error it has no name for").decode()

    def _error(self, name, status):
        found = f"{self.error_name(status)} ({status}), from {name}"
        advice = ADVICE.get(status, "")
        if status == OUT_OF_MEMORY:
            return DeviceMemoryError(f"device 'cuda': {found}. {self._memory_advice()}")
        if status in LOSES_CONTEXT:
            self.lost = found
            advice = (advice and f"{advice}. ") + (
                "This process cannot use the GPU any more, and what lay on it is gone: start a new "
                "one"
            )
        elif status == NOT_INITIALIZED and name == "cuInit":
            advice = "This process was forked from one that had used the GPU. Start processes with "
            advice += "multiprocessing's 'spawn', or first use the GPU after the fork"
        elif (
            status == NO_DEVICE and (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None
        ):
            advice = f"CUDA_VISIBLE_DEVICES is {visible!r}, which hides every GPU: unset it"
        return CudaError(f"device 'cuda': {found}." + (f" {advice}." if advice else ""))

    def _memory_advice(self):
        free, total = c_size_t(), c_size_t()
        status = self.library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        known = f"{free.value / 1e9:.2f} of {total.value / 1e9:.2f} GB are free. "
        return (known if status == SUCCESS else "") + (
            "Take smaller batches or a smaller model, let go of tensors that are not needed, or "
            "end other processes that use the GPU (`nvidia-smi` lists them)."
        )


def opened() -> Any:
    """The driver's library."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise CudaError(
            f"device 'cuda': NVIDIA's driver is not installed here ({error}). It comes with the "
            "GPU's software (https://www.nvidia.com/drivers); a container gets it by --gpus all."
        ) from None
    for name, kinds in FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise CudaError(
                f"device 'cuda': NVIDIA's driver is too old: it has no {name}. fastnn needs one "
                "that supports CUDA {}.{}; install a newer one.".format(*NEEDED_VERSION)
            )
        function.argtypes = kinds
    return library
