"""The metrics that a problem may name, and which of them measure a label that is true or false.

`headrace.evaluate.metrics` computes them.
"""

from __future__ import annotations

BINARY_METRICS = ("auc", "average_precision", "log_loss", "brier")
METRICS = (*BINARY_METRICS, "rmse", "mae")
