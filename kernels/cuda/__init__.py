"""Kernels for NVIDIA's GPUs: the families, launchers, arguments and meaning of `kernels/cpu/`.

A kernel is `kernel(arrays..., numbers...)`, run by every thread of every block. `threads` of its
declaration is the number of a block's threads; `split` is the grid: the letters whose extents
blocks share out, and how much of each one block takes, first along x, then along y. Any extent is
right, 0 and 1 too, and so is any alignment of an element's own size.
"""
