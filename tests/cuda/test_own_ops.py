"""Ops of a user's own on the driver's double: the CPU's bits from the same text."""

import math

import numpy as np

import fastnn
from fastnn import ops


def slope(x, a=1.0):
    return 1 + math.sin(2 * a * x)


@fastnn.elementwise(derivative=slope)
def snake(x, a=1.0):
    return x + math.sin(a * x) ** 2 / a


def test_a_users_op_and_its_gradient_run_on_the_gpu(gpu):
    x = np.random.default_rng(0).normal(size=(67,)).astype("float32")

    def used(device):
        t = fastnn.tensor(x).to(device)
        t.requires_gradient = True
        y = snake(t, a=2.0)
        ops.sum(y).backward()
        return y.numpy(), t.gradient.numpy()

    for on_gpu, on_cpu in zip(used("cuda"), used("cpu"), strict=True):
        # 512-bit vectors have other last places
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=4e-7, atol=4e-7)
