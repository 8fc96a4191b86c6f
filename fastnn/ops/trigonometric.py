"""Sines, cosines, tangents and their inverses, element by element. Angles are in radians."""

import numpy as np

from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import trigonometric as scalar

from .elementwise import EXTREMES, elementwise

FINITE = (0.0, -0.0, 1.0, -1.0, 0.7853981, 3.1415927, -2.0, 1e-10, 1e3, -31415.9, 1e-30)
LARGE = "NaN from 6.5 million on (float64: 3.5e15), where floats are further apart than the period."


def _made(
    formula, gradient, reference, doc, edges=EXTREMES, domain=(-4.0, 4.0), flops=30, **record
):
    return elementwise(
        formula,
        gradient=gradient,
        reference=reference,
        edges=edges,
        domain=domain,
        few=True,
        flops=flops,
        doc=doc,
        **record,
    )


sin = _made(scalar.sin, scalar.sin_gradient, np.sin, f"The sine of x; {LARGE}", FINITE)
cos = _made(scalar.cos, scalar.cos_gradient, np.cos, f"The cosine of x; {LARGE}", FINITE)
tan = _made(
    scalar.tan,
    scalar.tan_gradient,
    np.tan,
    f"sin(x) / cos(x); {LARGE}",
    FINITE,
    (-1.5, 1.5),
    saves="y",
    fusable=False,
)
arcsin = _made(
    scalar.arcsin,
    scalar.arcsin_gradient,
    np.arcsin,
    "The inverse of sin, from -pi/2 to pi/2; NaN beyond 1 and -1.",
    domain=(-0.9, 0.9),
)
arccos = _made(
    scalar.arccos,
    scalar.arccos_gradient,
    np.arccos,
    "The inverse of cos, from 0 to pi; NaN beyond 1 and -1.",
    domain=(-0.9, 0.9),
)
arctan = _made(
    scalar.arctan, scalar.arctan_gradient, np.arctan, "The inverse of tan, from -pi/2 to pi/2."
)
arctan2 = _made(
    scalar.arctan2,
    (scalar.arctan2_gradient_y, scalar.arctan2_gradient_x),
    reference.arctan2,
    "The angle of the point (y, x), given its ordinate y first: from -pi to pi, as C has it for "
    "zeros and infinities.",
)
