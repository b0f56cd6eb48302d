"""Model families, the design matrix they learn from, the bundle that is deployed, and its explanation."""
