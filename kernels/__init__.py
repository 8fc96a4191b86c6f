"""The kernels: Python functions on arrays that are compiled once a machine.

Nothing below this folder imports `fastnn` (beyond this package) or, at import, Numba: the
declarations in `declare.py` keep plain Python functions, and `fastnn.devices.cpu` makes of them
object code or, with `FASTNN_INTERPRET=1`, functions on NumPy arrays.

Shapes are written in letters: N rows of a batch, C columns (channels, classes), K the summed
dimension of a product, M rows of a product, n the elements of a flat array.
"""
