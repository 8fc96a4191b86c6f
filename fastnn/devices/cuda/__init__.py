"""NVIDIA's GPUs: the driver, memory, launches, graphs. No package of CUDA is needed."""
