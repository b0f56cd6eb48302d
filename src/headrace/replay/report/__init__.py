"""What people see of a replay: plots, the HTML report, the run in MLflow, artifacts of the flow."""
