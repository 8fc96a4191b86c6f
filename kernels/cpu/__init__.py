"""Kernels for the processor, by family."""
