"""LLVM: from a kernel's IR to object code.

The object holds one visible function, the kernel's entry point. All else is made internal, so that
LLVM removes what nothing reaches: Numba's error paths, reference counting, environments. One O3
pipeline sees the whole kernel.

Loops over intrinsics are vectorised in LLVM's way for library functions: each such intrinsic is a
function, with a variant for whole vectors that the vectoriser is told of; when it is done, both are
inlined.
"""

import re
from typing import Any

from fastnn.kernels.declare import Kernel

from . import entry_point
from .frontend import llvm_ir
from .lowering import VECTORISED
from .target import Processor

# what the object says of itself: how many bits the vectors of its optimised code have
VECTOR_NOTE = "fastnn: bits of a vector: "
USED = "llvm.compiler.used"


def compile_kernel(kernel: Kernel, dtype: str, name: str, processor: Processor) -> bytes:
    """The object code of `kernel` for an element type, its entry point called `name`."""
    machine, module = optimised(kernel, dtype, name, processor)
    return machine.emit_object(module)


def optimised(kernel: Kernel, dtype: str, name: str, processor: Processor) -> Any:
    """LLVM's machine and the kernel's module, ready to be written as object code or as assembly."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target, triple = processor.target, processor.triple
    ir_text = _with_vector_variants(llvm_ir(kernel, dtype, target, name, entry_point.build))
    module = binding.parse_assembly(ir_text)
    for definition in (*module.functions, *module.global_variables):
        if not definition.is_declaration and definition.name not in (name, USED):
            definition.linkage = "internal"
    machine = _machine(processor)
    if triple:
        module.triple, module.data_layout = triple, str(machine.target_data)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    # for short loops of known length, which are unrolled before loops are vectorised
    options.slp_vectorization = True
    passes = binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    if VECTORISED in ir_text:
        module = _with_vector_variants_inlined(str(module), passes)
    width = _vector_bits(str(module), 8 * target.vector_bytes)
    module.link_in(
        binding.parse_assembly(f'!llvm.ident = !{{!0}}\n!0 = !{{!"{VECTOR_NOTE}{width}"}}')
    )
    return machine, module


def _machine(processor):
    from llvmlite import binding

    architecture = (
        binding.Target.from_triple(processor.triple)
        if processor.triple
        else binding.Target.from_default_triple()
    )
    # On x86-64 position-independent code, of which our loader has little to relocate; elsewhere
    # LLVM loads it.
    kind = (
        {"reloc": "pic", "codemodel": "small"}
        if processor.target.architecture == "x86_64"
        else {"codemodel": "jitdefault", "jit": True}
    )
    return architecture.create_target_machine(
        cpu=processor.name, features=processor.features, opt=3, **kind
    )


def _with_vector_variants(ir_text):
    """Tell the vectoriser of functions that have a vector variant, by LLVM's vector function
    ABI."""
    variants = re.findall(
        rf'^define .*?@"?({re.escape(VECTORISED)}[^"(]*)\.(\d+)"?\((.*)\)', ir_text, flags=re.M
    )
    for name, lanes, vectors in variants:
        kinds = "v" * vectors.count("<")
        attribute = (
            f'"vector-function-abi-variant"="_ZGV_LLVM_N{lanes}{kinds}_{name}({name}.{lanes})"'
        )
        ir_text = re.sub(
            rf'^(.* call .*@"?{re.escape(name)}"?\([^)]*\)).*$',
            rf"\1 {attribute}",
            ir_text,
            flags=re.M,
        )
    if variants:
        used = ", ".join(f'ptr @"{name}.{lanes}"' for name, lanes, _ in variants)
        kind = f"[{len(variants)} x ptr]"
        ir_text += f'\n@{USED} = appending global {kind} [{used}], section "llvm.metadata"\n'
    return ir_text


def _with_vector_variants_inlined(ir_text, passes):
    """The module once loops are vectorised: calls of both forms become the instructions they
    are."""
    from llvmlite import binding

    ir_text = re.sub(rf"^@{re.escape(USED)} = .*$", "", ir_text, flags=re.M)
    # Their own attributes give way, and nobody else's: `call_noinline` makes functions that are to
    # stay whole.
    ir_text = re.sub(
        rf'^(define .*@"?{re.escape(VECTORISED)}.*) #\d+ ', r"\1 alwaysinline ", ir_text, flags=re.M
    )
    module, inliner = binding.parse_assembly(ir_text), binding.create_new_module_pass_manager()
    inliner.add_always_inliner_pass()
    inliner.run(module, passes)
    return module


def _vector_bits(ir_text, most):
    """How wide the vectors are that the optimised code works on: the widest, or 0 where it has
    none."""
    item_bits = {"float": 32, "double": 64, "i32": 32, "i64": 64}
    found = set(re.findall(r"<(\d+) x (float|double|i32|i64)>", ir_text))
    return max([min(int(n) * item_bits[kind], most) for n, kind in found], default=0)
