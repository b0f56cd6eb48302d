"""Model families, their design matrix, the objective of a study, the model bundle that is deployed, explanations."""
