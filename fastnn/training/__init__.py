"""Training, evaluation and prediction: data checked (`data`, `outputs`), steps (`step`) recorded
and made programs (`segments`, `programs`, `epoch`), run in slices (`driver`, `predict`)."""
