"""What Keras and fastnn both have and write as configurations, with arguments left out and given:
`make(library)` with `library` the module keras or fastnn.keras."""

MOMENTS = {"beta_1": 0.5, "beta_2": 0.75}
OPTIMIZERS = {  # arguments of their own
    "SGD": {"momentum": 0.5, "nesterov": True},
    "Adam": {**MOMENTS, "epsilon": 0.125, "amsgrad": True},
    "AdamW": {**MOMENTS, "epsilon": 0.125, "amsgrad": True},
    "Adamax": {**MOMENTS, "epsilon": 0.125},
    "Nadam": {**MOMENTS, "epsilon": 0.125},
    "Lamb": {**MOMENTS, "epsilon": 0.125},
    "Lion": MOMENTS,
    "RMSprop": {"rho": 0.5, "momentum": 0.5, "epsilon": 0.125, "centered": True},
    "Adagrad": {"initial_accumulator_value": 0.5, "epsilon": 0.125},
    "Adadelta": {"rho": 0.5, "epsilon": 0.125},
    "Adafactor": {
        "beta_2_decay": -0.5,
        "epsilon_1": 0.125,
        "epsilon_2": 0.25,
        "clip_threshold": 0.5,
        "relative_step": False,
    },
    "Ftrl": {
        "learning_rate_power": -0.25,
        "initial_accumulator_value": 0.5,
        "l1_regularization_strength": 0.5,
        "l2_regularization_strength": 0.25,
        "l2_shrinkage_regularization_strength": 0.125,
        "beta": 0.5,
    },
}
OF_ALL_OPTIMIZERS = {
    "weight_decay": 0.5,
    "clipnorm": 0.5,
    "use_ema": True,
    "ema_momentum": 0.5,
    "ema_overwrite_frequency": 3,
    "loss_scale_factor": 4.0,
    "gradient_accumulation_steps": 3,
    "name": "other",
}

CONFIGURATIONS = {
    # activations
    **{
        f"activations {name}": lambda k, name=name: getattr(k.activations, name)
        for name in (
            "linear",
            "relu",
            "sigmoid",
            "tanh",
            "exponential",
            "elu",
            "gelu",
            "silu",
            "softplus",
            "softsign",
            "hard_sigmoid",
            "softmax",
        )
    },
    # initializers
    "Zeros": lambda k: k.initializers.Zeros(),
    "Ones": lambda k: k.initializers.Ones(),
    "RandomUniform": lambda k: k.initializers.RandomUniform(),
    "RandomUniform of all": lambda k: k.initializers.RandomUniform(-0.5, 0.25, seed=3),
    "RandomNormal": lambda k: k.initializers.RandomNormal(),
    "RandomNormal of all": lambda k: k.initializers.RandomNormal(0.5, 0.25, seed=3),
    "GlorotUniform": lambda k: k.initializers.GlorotUniform(),
    "GlorotUniform of all": lambda k: k.initializers.GlorotUniform(seed=3),
    **{
        name: lambda k, name=name: getattr(k.initializers, name)()
        for name in (
            "Constant",
            "Identity",
            "TruncatedNormal",
            "VarianceScaling",
            "GlorotNormal",
            "LecunUniform",
            "LecunNormal",
            "HeUniform",
            "HeNormal",
            "Orthogonal",
        )
    },
    "Constant of all": lambda k: k.initializers.Constant(0.5),
    "TruncatedNormal of all": lambda k: k.initializers.TruncatedNormal(0.5, 0.25, seed=3),
    "VarianceScaling of all": lambda k: k.initializers.VarianceScaling(
        2.0, "fan_avg", "uniform", 3, [0], [1, 2]
    ),
    "HeNormal of all": lambda k: k.initializers.HeNormal(3, [0], [1, 2]),
    "Orthogonal of all": lambda k: k.initializers.Orthogonal(0.5, seed=3),
    # regularizers, constraints
    "L1": lambda k: k.regularizers.L1(0.5),
    "L2": lambda k: k.regularizers.L2(0.5),
    "L1L2": lambda k: k.regularizers.L1L2(0.5, 0.25),
    "OrthogonalRegularizer": lambda k: k.regularizers.OrthogonalRegularizer(0.5, "columns"),
    "MaxNorm": lambda k: k.constraints.MaxNorm(),
    "MaxNorm of all": lambda k: k.constraints.MaxNorm(0.5, 1),
    "NonNeg": lambda k: k.constraints.NonNeg(),
    "UnitNorm": lambda k: k.constraints.UnitNorm(1),
    "MinMaxNorm": lambda k: k.constraints.MinMaxNorm(0.25, 0.5, 0.75, 1),
    # losses
    **{
        name: lambda k, name=name: getattr(k.losses, name)()
        for name in (
            "MeanSquaredError",
            "MeanAbsoluteError",
            "MeanAbsolutePercentageError",
            "MeanSquaredLogarithmicError",
            "CosineSimilarity",
            "Huber",
            "LogCosh",
            "Hinge",
            "SquaredHinge",
            "CategoricalHinge",
            "KLDivergence",
            "Poisson",
            "BinaryCrossentropy",
            "BinaryFocalCrossentropy",
            "CategoricalCrossentropy",
            "CategoricalFocalCrossentropy",
            "CategoricalGeneralizedCrossEntropy",
            "SparseCategoricalCrossentropy",
            "Dice",
            "Tversky",
            "Circle",
        )
    },
    "MeanSquaredError of all": lambda k: k.losses.MeanSquaredError("sum", "other"),
    "Huber of all": lambda k: k.losses.Huber(0.5, "mean_with_sample_weight", "other"),
    "BinaryCrossentropy of all": lambda k: k.losses.BinaryCrossentropy(
        True, 0.25, 1, "sum", "other"
    ),
    "BinaryFocalCrossentropy of all": lambda k: k.losses.BinaryFocalCrossentropy(
        True, 0.5, 3.0, True, 0.25, 1, "sum", "other"
    ),
    "CategoricalCrossentropy of all": lambda k: k.losses.CategoricalCrossentropy(
        True, 0.25, 1, "none", "other"
    ),
    "CategoricalFocalCrossentropy of all": lambda k: k.losses.CategoricalFocalCrossentropy(
        0.5, 3.0, True, 0.25, 1, "mean", "other"
    ),
    "SparseCategoricalCrossentropy of all": lambda k: k.losses.SparseCategoricalCrossentropy(
        True, -1, "sum", name="other"
    ),
    "Dice of all": lambda k: k.losses.Dice("sum", "other", (1, 2)),
    "Tversky of all": lambda k: k.losses.Tversky(0.25, 0.75, "sum", "other", (1, 2)),
    "Circle of all": lambda k: k.losses.Circle(40.0, 0.5, False, "sum", "other"),
    # metrics
    **{
        name: lambda k, name=name: getattr(k.metrics, name)()
        for name in (
            "Mean",
            "Sum",
            "Accuracy",
            "BinaryAccuracy",
            "CategoricalAccuracy",
            "SparseCategoricalAccuracy",
            "TopKCategoricalAccuracy",
            "SparseTopKCategoricalAccuracy",
            "TruePositives",
            "FalsePositives",
            "TrueNegatives",
            "FalseNegatives",
            "Precision",
            "Recall",
            "AUC",
            "FBetaScore",
            "F1Score",
            "RootMeanSquaredError",
            "PearsonCorrelation",
            "ConcordanceCorrelation",
            "LogCoshError",
            "R2Score",
            "BinaryIoU",
        )
    },
    # as of losses
    **{
        f"metrics {name}": lambda k, name=name: getattr(k.metrics, name)("other", "float64")
        for name in (
            "MeanSquaredError",
            "MeanAbsoluteError",
            "MeanAbsolutePercentageError",
            "MeanSquaredLogarithmicError",
            "CosineSimilarity",
            "KLDivergence",
            "Poisson",
            "Hinge",
            "SquaredHinge",
            "CategoricalHinge",
            "BinaryCrossentropy",
            "CategoricalCrossentropy",
            "SparseCategoricalCrossentropy",
        )
    },
    "Mean of all": lambda k: k.metrics.Mean(name="other"),
    "BinaryAccuracy of all": lambda k: k.metrics.BinaryAccuracy("other", threshold=0.25),
    "TopKCategoricalAccuracy of all": lambda k: k.metrics.TopKCategoricalAccuracy(3, "other"),
    "SparseTopKCategoricalAccuracy of all": lambda k: k.metrics.SparseTopKCategoricalAccuracy(
        3, "other", "float64", True
    ),
    "TruePositives of all": lambda k: k.metrics.TruePositives([0.25, 0.75], "other"),
    "Precision of all": lambda k: k.metrics.Precision(0.25, 2, 1, "other", "float64"),
    "SensitivityAtSpecificity": lambda k: k.metrics.SensitivityAtSpecificity(0.25, 50, 1),
    "SpecificityAtSensitivity": lambda k: k.metrics.SpecificityAtSensitivity(0.25, 50, 1),
    "PrecisionAtRecall": lambda k: k.metrics.PrecisionAtRecall(0.25, 50, 1),
    "RecallAtPrecision": lambda k: k.metrics.RecallAtPrecision(0.25, 50, 1),
    "AUC of all": lambda k: k.metrics.AUC(
        100, "PR", "majoring", "other", None, None, True, 2, None, True
    ),
    "FBetaScore of all": lambda k: k.metrics.FBetaScore("macro", 2.0, 0.25, "other"),
    "F1Score of all": lambda k: k.metrics.F1Score("micro", 0.25, "other"),
    "R2Score of all": lambda k: k.metrics.R2Score(None, 2, "other"),
    "BinaryCrossentropy metric of all": lambda k: k.metrics.BinaryCrossentropy(
        "other", None, True, 0.25
    ),
    "CategoricalCrossentropy metric of all": lambda k: k.metrics.CategoricalCrossentropy(
        "other", None, True, 0.25, 1
    ),
    "SparseCategoricalCrossentropy metric of all": lambda k: (
        k.metrics.SparseCategoricalCrossentropy("other", None, True, -1, 1)
    ),
    "BinaryIoU of all": lambda k: k.metrics.BinaryIoU([1], 0.25, "other"),
    "IoU": lambda k: k.metrics.IoU(3, [0, 2], "other", "float32", 1, False, False, 1),
    "MeanIoU": lambda k: k.metrics.MeanIoU(3, "other", "float32", 1, False, False, 1),
    "OneHotIoU": lambda k: k.metrics.OneHotIoU(3, [0, 2], "other", "float32", 1, True, 1),
    "OneHotMeanIoU": lambda k: k.metrics.OneHotMeanIoU(3, "other", "float32", 1, True, 1),
    # optimizers
    **{name: lambda k, name=name: getattr(k.optimizers, name)() for name in OPTIMIZERS},
    **{
        f"{name} of all": lambda k, name=name, own=own: getattr(k.optimizers, name)(
            0.25, **own, **OF_ALL_OPTIMIZERS
        )
        for name, own in OPTIMIZERS.items()
    },
    # layers
    "Dense": lambda k: k.layers.Dense(4),
    "Dense of all": lambda k: k.layers.Dense(
        4,
        "tanh",
        use_bias=False,
        kernel_initializer=k.initializers.RandomNormal(stddev=0.5, seed=1),
        bias_initializer="ones",
        kernel_regularizer=k.regularizers.L2(0.5),
        bias_regularizer=k.regularizers.L1L2(0.5),
        activity_regularizer=k.regularizers.L2(0.25),
        kernel_constraint="max_norm",
        bias_constraint="non_neg",
        name="other",
        trainable=False,
        dtype="float64",
    ),
    "Activation": lambda k: k.layers.Activation("softsign"),
    "Activation of all": lambda k: k.layers.Activation(
        "relu", name="other", trainable=False, dtype="float64"
    ),
    "ReLU": lambda k: k.layers.ReLU(),
    "ReLU of all": lambda k: k.layers.ReLU(6.0, 0.5, 0.25, name="other", dtype="float64"),
    "LeakyReLU": lambda k: k.layers.LeakyReLU(),
    "LeakyReLU of all": lambda k: k.layers.LeakyReLU(0.5, name="other", dtype="float64"),
    "ELU": lambda k: k.layers.ELU(),
    "PReLU": lambda k: k.layers.PReLU(),
    "PReLU of all": lambda k: k.layers.PReLU(
        k.initializers.Constant(0.5),
        k.regularizers.L1L2(0.5),
        "non_neg",
        [1, 2],
        name="other",
        dtype="float64",
    ),
    "Softmax": lambda k: k.layers.Softmax(),
    "Softmax of all": lambda k: k.layers.Softmax(1, name="other", dtype="float64"),
    "BatchNormalization": lambda k: k.layers.BatchNormalization(),
    "BatchNormalization of all": lambda k: k.layers.BatchNormalization(
        axis=1,
        momentum=0.5,
        epsilon=0.125,
        center=False,
        scale=False,
        beta_initializer="ones",
        gamma_initializer=k.initializers.RandomNormal(stddev=0.5, seed=1),
        beta_regularizer=k.regularizers.L2(0.5),
        gamma_constraint="non_neg",
        moving_mean_initializer="ones",
        moving_variance_initializer="zeros",
        name="other",
        dtype="float64",
    ),
    "LayerNormalization": lambda k: k.layers.LayerNormalization(),
    "LayerNormalization of all": lambda k: k.layers.LayerNormalization(
        axis=1,
        epsilon=0.125,
        center=False,
        scale=False,
        beta_initializer="ones",
        gamma_initializer=k.initializers.RandomNormal(stddev=0.5, seed=1),
        gamma_regularizer=k.regularizers.L2(0.5),
        beta_constraint="non_neg",
        name="other",
        dtype="float64",
    ),
    "MultiHeadAttention": lambda k: k.layers.MultiHeadAttention(2, 3),
    "MultiHeadAttention of all": lambda k: k.layers.MultiHeadAttention(
        2,
        3,
        4,
        0.25,
        False,
        5,
        (1,),
        6,
        use_gate=True,
        seed=3,
        kernel_initializer="ones",
        activity_regularizer="l2",
        bias_constraint="non_neg",
    ),
    "GroupQueryAttention": lambda k: k.layers.GroupQueryAttention(3, 4, 2, name="other"),
    "GroupQueryAttention of all": lambda k: k.layers.GroupQueryAttention(
        3,
        4,
        2,
        0.25,
        False,
        6,
        name="other",
        use_gate=True,
        seed=3,
        kernel_constraint="non_neg",
    ),
    "Attention": lambda k: k.layers.Attention(),
    "Attention of all": lambda k: k.layers.Attention(True, "concat", 0.25, 3),
    "AdditiveAttention": lambda k: k.layers.AdditiveAttention(),
    "AdditiveAttention of all": lambda k: k.layers.AdditiveAttention(False, 0.25, seed=3),
    "Dropout": lambda k: k.layers.Dropout(0.25),
    "Dropout of all": lambda k: k.layers.Dropout(0.25, seed=3, name="other", dtype="float64"),
    **{
        name: lambda k, name=name: getattr(k.layers, name)()
        for name in (
            "Add",
            "Subtract",
            "Multiply",
            "Average",
            "Maximum",
            "Minimum",
            "Concatenate",
            "Identity",
            "Masking",
            "GroupNormalization",
            "RMSNormalization",
            "UnitNormalization",
            "ActivityRegularization",
        )
    },
    "GroupNormalization of all": lambda k: k.layers.GroupNormalization(
        2,
        1,
        0.125,
        center=False,
        scale=False,
        beta_initializer="ones",
        gamma_initializer=k.initializers.RandomNormal(stddev=0.5, seed=1),
        gamma_regularizer=k.regularizers.L2(0.5),
        beta_constraint="non_neg",
        name="other",
    ),
    "RMSNormalization of all": lambda k: k.layers.RMSNormalization(1, 0.125, name="other"),
    "UnitNormalization of all": lambda k: k.layers.UnitNormalization((1, 2), name="other"),
    "ActivityRegularization of all": lambda k: k.layers.ActivityRegularization(0.5, 0.25),
    **{
        name: lambda k, name=name: getattr(k.layers, name)(0.25, seed=3)
        for name in ("SpatialDropout1D", "GaussianNoise", "GaussianDropout", "AlphaDropout")
    },
    "EinsumDense": lambda k: k.layers.EinsumDense("ab,bc->ac", 4),
    "EinsumDense of all": lambda k: k.layers.EinsumDense(
        "abc,cd->abd",
        (None, 4),
        "tanh",
        "d",
        kernel_initializer=k.initializers.RandomNormal(stddev=0.5, seed=1),
        bias_initializer="ones",
        kernel_regularizer=k.regularizers.L2(0.5),
        bias_constraint="non_neg",
        name="other",
    ),
    "Concatenate of all": lambda k: k.layers.Concatenate(1, name="other", trainable=False),
    "Dot": lambda k: k.layers.Dot(axes=1),
    "Dot of all": lambda k: k.layers.Dot((1, 2), True, name="other"),
    "Masking of all": lambda k: k.layers.Masking(2.5, name="other"),
    "Embedding": lambda k: k.layers.Embedding(5, 2, mask_zero=True),
    "Flatten": lambda k: k.layers.Flatten(),
    "Permute": lambda k: k.layers.Permute((2, 1)),
    "RepeatVector": lambda k: k.layers.RepeatVector(3),
    "Reshape": lambda k: k.layers.Reshape((3, -1)),
    "TimeDistributed": lambda k: k.layers.TimeDistributed(k.layers.Dense(2, name="inner")),
    "InputLayer": lambda k: k.layers.InputLayer((5,)),
    "InputLayer of all": lambda k: k.layers.InputLayer((5, 2), name="other", dtype="float64"),
    "Sequential": lambda k: k.Sequential([k.layers.Dense(3, "relu"), k.layers.Dropout(0.5)]),
    "Sequential of all": lambda k: k.Sequential(
        [
            k.layers.InputLayer((4,)),
            k.layers.Dense(3, "relu", name="first"),
            k.layers.BatchNormalization(),
            k.layers.Dense(1),
        ],
        name="other",
    ),
}
