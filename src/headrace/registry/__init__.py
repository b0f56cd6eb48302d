"""What was trained and what is deployed: runs and model versions in MLflow, and our own promotion ledger."""
