"""The policy: what to do about the evidence of a window (nothing, alert, retrain), and why."""
