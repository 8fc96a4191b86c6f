"""What kernels compute, in NumPy: slow, plain, for float64 and, where analytic, for
complex numbers.

They are the specification, and the oracle of the tests. Gradients are checked against complex steps
through them, so nothing here takes an absolute value or a real part except to choose a branch.
"""
