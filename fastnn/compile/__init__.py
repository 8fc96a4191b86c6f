"""Object code for every device, from the declarations of kernels to the cache on disk.

resolve.py        a kernel's declarations, for one element type and one processor
frontend.py       Numba: the kernel and its helpers as LLVM IR
lowering.py       what intrinsics are lowered with
backend.py        LLVM: vector variants, optimisation, machine code; entry_point.py a C function
ptx.py            LLVM for GPUs: PTX; ptx_entry.py what a launch starts
target.py         which processor this is, and what LLVM calls a GPU
names.py          what a kernel's object goes by
object_code.py    found in the cache (object_cache.py, temporary.py), or compiled
parallel.py       several processes compile; warmup.py compiles ahead
"""
