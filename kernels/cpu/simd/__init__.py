"""Instructions for whole vector registers, as LLVM IR beside a Python body that computes the
same."""
