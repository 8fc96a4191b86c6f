"""Object code of kernels: made by Numba's front end and LLVM, and kept on disk."""
