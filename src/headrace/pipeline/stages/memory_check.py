"""Refuse a memory limit below which a stage that fits models cannot hold its rows, before it reads any."""

from __future__ import annotations

from headrace.core.errors import DataError
from headrace.core.memory import resident_bytes
from headrace.pipeline.context import Context

#: Bytes of a value of the training set: in Arrow (8.2), in the design matrix (4), and in one fold of it (4).
VALUE_BYTES = 16.2


def require_training_memory(context: Context, rows: int, features: int) -> None:
    """Raise DataError where the training rows do not fit below the limit; the error says which limit would do.

    Args:
        context: With the limit, if there is one.
        rows: Of the training set.
        features: Of the training set.
    """
    if context.max_memory is None:
        return
    needed = VALUE_BYTES * rows * features
    enough = (resident_bytes() + needed) / 1e6
    if enough * 1e6 > context.max_memory:
        raise DataError(
            f"max_memory of {context.max_memory / 1e6:,.0f} MB is not enough to fit models: {rows:,} training rows of "
            f"{features} features take about {needed / 1e6:,.0f} MB",
            where=context.problem.name,
            fix=f"give at least {enough * 1.05:,.0f} MB, or use fewer rows (splits=Splits(max_train_rows=...)) or "
            "features (max_features=...)",
            enough_mb=enough,
        )
