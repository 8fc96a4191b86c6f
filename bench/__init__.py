"""The benchmarks: `python -m bench` runs every case against every peer that is installed and prints
one table."""
