"""What holds every library to as many threads and as wide vectors as fastnn has. Set before a
library is imported, fastnn and NumPy among them: most read it once."""

import os

VECTOR_BITS_VARIABLE = "FASTNN_VECTOR_BITS"
THREADS_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "FASTNN_NUM_THREADS",
)
# By the bits of a vector. What has 128 bits has no FMA in these libraries, where fastnn uses it if
# there is one.
INSTRUCTIONS = {
    128: {
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
    256: {
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
}


def limits(threads: int = 1, bits: int | None = None) -> dict[str, str]:
    """Variables of the environment; bits: of vectors, those that FASTNN_VECTOR_BITS asks for unless
    given."""
    bits = bits or int(os.environ.get(VECTOR_BITS_VARIABLE) or 0)
    return (
        dict.fromkeys(THREADS_VARIABLES, str(threads))
        | ({VECTOR_BITS_VARIABLE: str(bits)} if bits else {})
        | INSTRUCTIONS.get(bits, {})
    )
