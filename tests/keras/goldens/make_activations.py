"""Writes activations.json: values and gradients of Keras's activation functions.

    KERAS_BACKEND=jax python -m tests.keras.goldens.make_activations

where Keras 3.15 and JAX are installed.
"""

import json
from pathlib import Path

X = [-1e30, -40.0, -3.5, -1.5, -0.75, -0.25, 0.25, 0.75, 1.5, 3.5, 6.5, 40.0, 1e30]
# of functions of several dimensions, whose gradient is that of the sum of y weighted by W
ROWS = [[0.25, -1.5, 3.0, 0.5], [2.0, 2.25, -0.5, 1.75]]
W = [[1.0, -2.0, 0.5, 0.25], [0.75, 3.0, -1.0, 2.0]]
ELEMENTWISE = [
    ("relu", {}),
    ("relu", {"negative_slope": 0.5, "max_value": 6.0, "threshold": 1.0}),
    ("leaky_relu", {}),
    ("relu6", {}),
    ("elu", {"alpha": 0.5}),
    ("celu", {}),
    ("celu", {"alpha": 0.5}),
    ("selu", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("silu", {}),
    ("mish", {}),
    ("softplus", {}),
    ("squareplus", {}),
    ("squareplus", {"b": 0.5}),
    ("softsign", {}),
    ("sparse_plus", {}),
    ("soft_shrink", {}),
    ("soft_shrink", {"threshold": 1.0}),
    ("hard_shrink", {}),
    ("tanh_shrink", {}),
    ("threshold", {"threshold": 0.5, "default_value": -2.0}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_tanh", {}),
    ("log_sigmoid", {}),
    ("sparse_sigmoid", {}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("exponential", {}),
    ("linear", {}),
]
OF_ROWS = [
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 0}),
    ("glu", {}),
    ("glu", {"axis": 0}),
]


def main() -> None:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from keras import activations, config

    config.set_floatx("float64")
    found = []
    for name, arguments in [*ELEMENTWISE, *OF_ROWS]:

        def weighted(x, w, name=name, arguments=arguments):
            y = getattr(activations, name)(x, **arguments)
            return jnp.sum(y * w), y

        is_of_rows = (name, arguments) in OF_ROWS
        x, w = jnp.array(ROWS if is_of_rows else X), jnp.array(W if is_of_rows else 1.0)
        if name == "glu":
            w = w[:, :2] if not arguments else w[:1]
        gradient, y = jax.grad(weighted, has_aux=True)(x, w)
        row = {"name": name, "arguments": arguments, "x": x, "w": w, "y": y, "gradient": gradient}
        found.append({k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()})
    text = ",\n".join(json.dumps(row) for row in found)
    Path(__file__).with_name("activations.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
