"""Training, evaluation and prediction: data checked (`data`), steps made programs (`epoch`), run in
slices (`pace`, `driver`)."""
