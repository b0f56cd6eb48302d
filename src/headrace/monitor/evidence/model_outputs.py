"""Compare predictions, labels and quality of a window with those of the reference, for `window_evidence`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.monitor.evidence.columns import ColumnEvidence, column_evidence
from headrace.monitor.evidence.dependence import label_blocks_of
from headrace.monitor.evidence.performance import Performance, performance
from headrace.monitor.evidence.values import as_numbers
from headrace.monitor.evidence.variance import Blocks


@dataclass(frozen=True, kw_only=True)
class ColumnOptions:
    """Options of `compare_column` that all columns of a window share."""

    tests: Sequence[str] | None
    floors: Mapping[str, float] | None
    blocks: Blocks | None
    seed: int


def compare_predictions(
    reference: pa.Table, current: pa.Table, held_out: pa.Table | None, alpha: float, options: ColumnOptions
) -> ColumnEvidence | None:
    """Compare predictions with those of the held-out rows, or with the reference's where there are none.

    `options.blocks` divides the rows of the reference. With held-out rows, the variance between windows therefore comes
    from the predictions of the reference; if it has none, rows are treated as independent.
    """
    expected, scatter = column_of(reference, PREDICTION), None
    if held_out is not None:
        expected, scatter = column_of(held_out, PREDICTION), expected
        if scatter is None:
            options = replace(options, blocks=None)
    values = column_of(current, PREDICTION)
    if expected is None or values is None:
        return None
    return column_evidence(PREDICTION, "numeric", expected, values, alpha=alpha, scatter=scatter, **vars(options))


def compare_labels(
    reference: pa.Table, current: pa.Table, metric: str, alpha: float, options: ColumnOptions
) -> ColumnEvidence | None:
    """Compare matured labels with those of the reference, by the default tests of their kind."""
    expected, blocks = label_blocks_of(reference, options.blocks)
    values = column_of(current, LABEL)
    if expected is None or values is None:
        return None
    kind = "categorical" if METRICS[metric].binary else "numeric"
    return column_evidence(
        LABEL, kind, expected, values.drop_null(), alpha=alpha, **vars(replace(options, tests=None, blocks=blocks))
    )


def compare_quality(
    reference: pa.Table | None,
    current: pa.Table,
    metrics: Mapping[str, float] | None,
    cutoffs_us: NDArray[np.int64] | None,
    metric: str,
    margin: float | None,
    alpha: float,
    seed: int,
) -> Performance | None:
    """Compare the quality on matured labels with that of the reference rows, or with metrics that are treated as exact.

    Args:
        reference: Rows with out-of-sample predictions, `_label` and `_cutoff` where known; None for none.
        current: Rows of the window [n].
        metrics: Metric -> value, where `reference` has no labels.
        cutoffs_us: Cutoffs of the current rows [n].
        metric: The problem's metric.
        margin: Smallest drop of `metric` that counts; `performance.MARGINS` where None.
        alpha: Significance level.
        seed: Of the bootstrap.
    """
    label, prediction = (_numbers(current, name) for name in (LABEL, PREDICTION))
    if label is None or prediction is None:
        return None
    reference_rows: dict[str, Any] = {}
    if reference is not None:
        cutoffs = column_of(reference, CUTOFF)
        reference_rows["reference_label"], reference_rows["reference_prediction"] = (
            _numbers(reference, name) for name in (LABEL, PREDICTION)
        )
        reference_rows["reference_cutoffs_us"] = None if cutoffs is None else cutoffs.to_numpy()
    return performance(
        label, prediction, **reference_rows, reference_metrics=metrics, cutoffs_us=cutoffs_us, metric=metric,
        margin=margin, alpha=alpha, seed=seed,
    )  # fmt: skip


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64] | None:
    column = column_of(table, name)
    return None if column is None else as_numbers(column)


def column_of(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    """Return a column, None where the table lacks it."""
    return table[name] if name in table.column_names else None
