"""Whether training rows fit below a memory limit: in memory, or else in files while models are fitted.

A limit below which a model family cannot fit is refused before any row is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from headrace.core.errors import DataError
from headrace.core.memory import release_unused_memory, resident_bytes
from headrace.pipeline.context import Context

#: Bytes of a value of the training set in memory, measured (`make bench-memory ONLY=fit`): in Arrow, in the design
#: matrix and in one fold of it 16, the rest while they are read and encoded.
VALUE_BYTES = 25.0
#: Bytes of a value that LightGBM holds while it fits rows in files: bins of the training and the validation rows, by
#: row and by column. Other families copy the rows, as double precision, and once more while they prepare them.
_BINNED_BYTES, _COPIED_BYTES = 2.5, 24.0
#: Rows from which LightGBM chooses its bins, 8 bytes a value, which it holds in addition.
_SAMPLED_ROWS, _SAMPLED_BYTES = 200_000, 8.0


def fits_in_memory(context: Context, rows: int, features: int, *, value_bytes: float = VALUE_BYTES) -> bool:
    """Return whether there is no limit, or training rows fit below it.

    Args:
        context: With the limit, if there is one.
        rows: Of the training set.
        features: Of the training set.
        value_bytes: What a value takes.
    """
    if context.max_memory is None:
        return True
    release_unused_memory()
    return resident_bytes() + value_bytes * rows * features <= context.max_memory


def require_fit_memory(context: Context, rows: int, features: int, families: Sequence[str]) -> None:
    """Raise DataError where a family cannot fit training rows in files; the error says which limit would do.

    Args:
        context: With the limit, if there is one.
        rows: Of the training set.
        features: Of the training set.
        families: That may be fitted.
    """
    if context.max_memory is None:
        return
    sampled = _SAMPLED_BYTES * min(rows, _SAMPLED_ROWS) * features
    needed = {name: (_value_bytes(name) * rows * features) + sampled for name in families}
    family = max(needed, key=needed.__getitem__)
    enough = (resident_bytes() + needed[family]) / 1e6
    if enough * 1e6 > context.max_memory:
        others = sorted(set(families) - {"lightgbm"})
        leaner = "families=('lightgbm',), which takes a tenth, " if others and "lightgbm" in families else ""
        raise DataError(
            f"max_memory of {context.max_memory / 1e6:,.0f} MB is not enough to fit {family}: {rows:,} training rows "
            f"of {features} features take about {needed[family] / 1e6:,.0f} MB",
            where=context.problem.name,
            fix=f"give at least {enough * 1.05:,.0f} MB, or use {leaner}fewer rows "
            "(splits=Splits(max_train_rows=...)) or fewer features (max_features=...)",
            enough_mb=enough,
        )


def _value_bytes(family: str) -> float:
    return _BINNED_BYTES if family == "lightgbm" else _COPIED_BYTES
