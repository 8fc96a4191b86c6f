"""Optimizers and schedules as Keras and fastnn make them alike, and what is done with them."""

import numpy as np

STEPS, SHAPES = 5, ((2, 3), (3,), ())
ALL = {"weight_decay": 0.1, "clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.5}
ACCUMULATED = {"gradient_accumulation_steps": 2, "ema_overwrite_frequency": 2, **ALL}
OPTIMIZERS = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, **ALL}),
    "value": ("SGD", {"learning_rate": 0.1, "clipvalue": 0.2, "loss_scale_factor": 4.0}),
    "global": ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.5, "loss_scale_factor": 4.0}),
    "accumulated": ("SGD", {"learning_rate": 0.1, "momentum": 0.5, **ACCUMULATED}),
    "adam": ("Adam", {"learning_rate": 0.05, "epsilon": 1e-3}),
    "amsgrad": ("Adam", {"learning_rate": 0.05, "beta_2": 0.5, "amsgrad": True, **ALL}),
    "adamw": ("AdamW", {"learning_rate": 0.05}),
    "adamax": ("Adamax", {"learning_rate": 0.05, "beta_2": 0.5}),
    "nadam": ("Nadam", {"learning_rate": 0.05}),
    "nadam accumulated": ("Nadam", {"learning_rate": 0.05, **ACCUMULATED}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.05}),
    "centered": ("RMSprop", {"learning_rate": 0.05, "centered": True, "epsilon": 1e-3}),
    "general": ("RMSprop", {"learning_rate": 0.05, "centered": True, "momentum": 0.9}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0, "epsilon": 1e-3}),
    "ftrl": ("Ftrl", {"learning_rate": 0.3}),
    "ftrl, all": (
        "Ftrl",
        {
            "learning_rate": 0.3,
            "learning_rate_power": -0.7,
            "l1_regularization_strength": 0.1,
            "l2_regularization_strength": 0.2,
            "l2_shrinkage_regularization_strength": 0.3,
            "beta": 0.1,
        },
    ),
    "lion": ("Lion", {"learning_rate": 0.05, **ALL}),
    "lamb": ("Lamb", {"learning_rate": 0.05, **ACCUMULATED}),
    "adafactor": ("Adafactor", {"learning_rate": 0.1, **ALL}),
}
SCHEDULED = range(41)
SCHEDULES = {
    "exponential": ("ExponentialDecay", (0.1, 7, 0.5), {}),
    "staircase": ("ExponentialDecay", (0.1, 7, 0.5), {"staircase": True}),
    "piecewise": ("PiecewiseConstantDecay", ([3, 8], [0.1, 0.2, 0.3]), {}),
    "polynomial": ("PolynomialDecay", (0.1, 10, 0.01, 2.0), {}),
    "cycle": ("PolynomialDecay", (0.1, 5, 0.01, 0.5), {"cycle": True}),
    "inverse time": ("InverseTimeDecay", (0.1, 7, 0.5), {"staircase": True}),
    "cosine": ("CosineDecay", (0.1, 10, 0.2), {}),
    "warm-up": (
        "CosineDecay",
        (0.0, 10),
        {"warmup_target": 0.3, "warmup_steps": 5, "alpha": 0.1},
    ),
    "restarts": ("CosineDecayRestarts", (0.1, 5), {}),
    "restarts, all": ("CosineDecayRestarts", (0.1, 3, 1.5, 0.9, 0.05), {}),
}


def drawn(number):
    """The values of variables, and the gradients of each step."""
    rng = np.random.default_rng(number)

    def one():
        return [rng.normal(size=shape).astype("float32") for shape in SHAPES]

    return one(), [one() for _ in range(STEPS)]
