"""Object code for every device, from the declarations of kernels to the cache on disk.

resolve.py        a kernel's declarations, for one element type and one processor
frontend.py       Numba: the kernel and its helpers as LLVM IR; entry_point.py its C function
lowering.py       what intrinsics are lowered with
backend.py        LLVM: vector variants, optimisation, machine code
target.py         which processor this is
names.py          what a kernel's object goes by
object_code.py    found in the cache (object_cache.py, temporary.py), or compiled
parallel.py       several processes compile; warmup.py compiles ahead
"""
