"""Every pointwise formula and its derivative, written once, for float32 and float64 and for every
device.

A formula takes and returns one number; the derivative below it takes what the formula's record
saves (its input x or its output y; both inputs of a function of two) and the upstream gradient, and
returns the gradient of the input. Both take the formula's attributes last; where they have
defaults, these are what it is fused into other kernels with.
"""
