"""What runs kernels and tapes: a folder for each kind of device."""
