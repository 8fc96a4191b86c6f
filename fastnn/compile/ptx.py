"""LLVM's NVPTX: from a kernel's IR to PTX, with no CUDA package.

Numba types and lowers a kernel as for the processor (frontend.py); llvmlite's wheels hold LLVM's
back end for NVIDIA's GPUs, and the driver makes machine code of its text. No product is contracted
with a sum, division and square root are rounded as IEEE has it, and denormal numbers are flushed to
zero in float32, as on the CPU: formulas give the CPU's bits.
"""

import re
from typing import Any

from fastnn.kernels.declare import Kernel, Target

from . import ptx_entry
from .frontend import llvm_ir
from .ptx_entry import BATCHED

TRIPLE = "nvptx64-nvidia-cuda"
TARGET = Target(16, 255, "nvptx64")  # 16 bytes are loaded at once; a thread has 255 registers
# Of what LLVM is not to find in the text: calls, memory of a thread's own, functions from outside.
REFUSED = (".extern", ".func", ".local")


def compile_kernel(kernel: Kernel, dtype: str, name: str, architecture: str) -> str:
    """The PTX of `kernel` for an element type and an architecture such as "sm_90"."""
    machine, module = optimised(kernel, dtype, name, architecture)
    text = machine.emit_assembly(module)
    if found := [word for word in REFUSED if re.search(rf"^\s*{re.escape(word)}\b", text, re.M)]:
        raise RuntimeError(
            f"kernel {kernel.name} for {dtype}: its PTX has {', '.join(found)}. On a GPU a kernel "
            "must not call the C library, raise, allocate, or index an array of stack_array by a "
            "number that is not known when it is compiled."
        )
    return text


def optimised(kernel: Kernel, dtype: str, name: str, architecture: str) -> Any:
    """LLVM's machine and the kernel's module, ready to be written as PTX."""
    from llvmlite import binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    ir_text = _with_attributes(llvm_ir(kernel, dtype, TARGET, name, ptx_entry.build), kernel)
    module = binding.parse_assembly(ir_text)
    machine = _target().create_target_machine(cpu=architecture, features="", opt=3)
    module.triple, module.data_layout = TRIPLE, str(machine.target_data)
    for definition in (*module.functions, *module.global_variables):
        if not definition.is_declaration and definition.name not in (name, name + BATCHED):
            definition.linkage = "internal"
    options = binding.create_pipeline_tuning_options(speed_level=3)
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine, module


def _target() -> Any:
    from llvmlite import binding

    try:
        return binding.Target.from_triple(TRIPLE)
    except RuntimeError as error:
        raise RuntimeError(
            "device 'cuda': this llvmlite was built without LLVM's NVPTX back end, which its "
            "wheels on PyPI have: pip install --force-reinstall llvmlite"
        ) from error


def _with_attributes(ir_text, kernel):
    """Every function but the entry point is inlined: a call that stayed would put a thread's arrays
    into memory. And every one flushes denormal numbers: of others LLVM would inline none."""

    def attributes(line):
        text = line.group(0).rstrip(" {")
        if "ptx_kernel" in text:
            text += f' "nvvm.reqntid"="{kernel.threads}"'
            if kernel.resident_blocks:
                text += f' "nvvm.minctasm"="{kernel.resident_blocks}"'
        else:
            text = re.sub(r" (?:noinline|alwaysinline)\b", "", text) + " alwaysinline"
        return text + ' "denormal-fp-math-f32"="preserve-sign" {'

    # Numba lowers a square root as a call of the C library's.
    ir_text = re.sub(r"@sqrt(f?)\(", lambda m: f"@llvm.sqrt.{'f32' if m[1] else 'f64'}(", ir_text)
    return re.sub(r"^define .*$", attributes, ir_text, flags=re.M)
