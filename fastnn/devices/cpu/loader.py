"""From object code to an address that can be called: by our own loader on x86-64, by LLVM
elsewhere."""

import ctypes
from functools import cache

from fastnn.compile.names import symbol
from fastnn.compile.object_code import MEMORY_FUNCTIONS, object_code
from fastnn.kernels.declare import Kernel

from . import elf

MEMORY_ADDRESSES = {
    name: ctypes.cast(ctypes.memset if name == "memset" else ctypes.memmove, ctypes.c_void_p).value
    or 0
    for name in MEMORY_FUNCTIONS
}
_addresses: dict[str, int] = {}  # of what is loaded, by symbol


def load(kernel: Kernel, dtype: str) -> int:
    """The address of a kernel's entry point for an element type, compiled if need be."""
    kernel.expect(dtype)
    name = symbol(kernel, dtype)
    if name not in _addresses:  # else it is the same function under another declaration
        code = object_code(kernel, dtype, name)
        _addresses[name] = elf.load(code, name, MEMORY_ADDRESSES) or load_by_llvm(code, name)
    return _addresses[name]


def load_by_llvm(code: bytes, name: str) -> int:
    """The address of the function `name`, once LLVM has loaded the object code."""
    from llvmlite import binding

    _engine().add_object_file(binding.ObjectFileRef.from_data(code))
    _engine().finalize_object()
    return _engine().get_function_address(name)


@cache
def _engine():
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for name, address in MEMORY_ADDRESSES.items():
        binding.add_symbol(name, address)
    machine = binding.Target.from_default_triple().create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
