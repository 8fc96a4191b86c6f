"""Sines, cosines, tangents and their inverses, element by element. Angles are in radians."""

import numpy as np

from fastnn.kernels.reference import elementwise as reference
from fastnn.kernels.scalar import trigonometric as scalar

from .elementwise import EXTREMES, elementwise

FINITE = (0.0, -0.0, 1.0, -1.0, 0.7853981, 3.1415927, -2.0, 1e-10, 1e3, -31415.9, 1e-30)
FAR = (1e7, -1e9, 1e22, -3e38)


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


sin = _made(
    scalar.sin,
    scalar.sin_gradient,
    np.sin,
    "The sine of x; NaN at infinity.",
    (*FINITE, *FAR),
    far=scalar.FAR_SIN,
    far_gradient=scalar.FAR_SIN_GRADIENT,
)
cos = _made(
    scalar.cos,
    scalar.cos_gradient,
    np.cos,
    "The cosine of x; NaN at infinity.",
    (*FINITE, *FAR),
    far=scalar.FAR_COS,
    far_gradient=scalar.FAR_COS_GRADIENT,
)
tan = _made(
    scalar.tan,
    scalar.tan_gradient,
    np.tan,
    "sin(x) / cos(x); NaN at infinity.",
    (*FINITE, *FAR),
    (-1.5, 1.5),
    saves="y",
    fusable=False,
    far=scalar.FAR_TAN,
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
