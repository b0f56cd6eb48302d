"""The metrics that a problem may name, and which of them measure a label that is true or false.

`headrace.evaluate.metrics` computes them. A quantile is named by its level: `quantile_0.9`.
"""

from __future__ import annotations

BINARY_METRICS = ("auc", "average_precision", "log_loss", "brier", "ndcg")
METRICS = (*BINARY_METRICS, "rmse", "mae", "rmsle")
#: How the names of quantile losses begin.
QUANTILE = "quantile_"


def quantile_level(name: str) -> float | None:
    """The level of `quantile_0.9`, above 0 and below 1; None where a name is no quantile loss."""
    if not isinstance(name, str) or not name.startswith(QUANTILE):
        return None
    try:
        level = float(name.removeprefix(QUANTILE))
    except ValueError:
        return None
    return level if 0 < level < 1 else None


def is_metric(name: str) -> bool:
    """Whether a problem may name it."""
    return name in METRICS or quantile_level(name) is not None
