"""Traces, structured logs and records of flow runs, for operators: what happened, in which request or run."""
