"""What runs kernels and tapes: memory, calls, programs."""
