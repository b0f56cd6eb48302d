"""The matrix of configurations and data sets that the portfolio of `headrace automl` is computed from."""
