"""Predict validated rows with one version: read their stored features, compute the model's inputs, predict.

A version with a plan (`serving.inputs`) computes its inputs as NumPy arrays. Others (another online store, a model that
takes Arrow tables only, features that are instants) compute them as an Arrow table, with the same values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.core.clock import floor_to_tick
from headrace.serving.answers import Online, Version
from headrace.serving.inputs import InputPlan, PreparedRows
from headrace.serving.request import RequestRow, row_columns_as_arrays
from headrace.store.online import Age, FeatureRow
from headrace.synthesis.primitives.finish import finish


@dataclass(frozen=True, kw_only=True)
class ScoredRow:
    """One predicted row.

    Attributes:
        request_row: The row.
        ages: View -> age of its stored features.
        features: Model inputs by slug.
        value: The model's output.
        version: The version that predicted.
    """

    request_row: RequestRow
    ages: Mapping[str, Age]
    features: Mapping[str, Any]
    value: float
    version: Version


def score_rows(
    online: Online,
    version: Version,
    rows: Sequence[RequestRow],
    now_us: int,
    after_read: Callable[[], None] = lambda: None,
) -> list[ScoredRow]:
    """Predict rows as of `now_us` on the production clock; raises as `Online.read`.

    Args:
        online: Stored features.
        version: The version that predicts.
        rows: The rows.
        now_us: The present on the production clock.
        after_read: Called when the stored features were read.
    """
    if not rows:
        return []
    tick_us = floor_to_tick(now_us, version.tick_us)
    if version.plan is not None and version.rows is not None:
        prepared, ages = version.rows.read([item.keys for item in rows], now_us, tick_us)
        after_read()
        return _by_plan(version, version.plan, prepared, ages, rows, tick_us)
    feature_rows = online.read(version.loaded.bundle.service, [item.keys for item in rows], now_us)
    after_read()
    return _by_table(version, feature_rows, rows, now_us, tick_us)


def _by_plan(
    version: Version,
    plan: InputPlan,
    prepared: PreparedRows,
    ages_of_rows: Sequence[Mapping[str, Age]],
    rows: Sequence[RequestRow],
    tick_us: int,
) -> list[ScoredRow]:
    inputs = plan.complete(prepared, [item.columns for item in rows], tick_us)
    values = np.asarray(version.loaded.bundle.fitted.predict(inputs.design), dtype=np.float64).tolist()
    return [
        ScoredRow(request_row=item, ages=ages, features=features, value=value, version=version)
        for item, ages, features, value in zip(rows, ages_of_rows, inputs.features, values, strict=True)
    ]


def _by_table(
    version: Version, feature_rows: Sequence[FeatureRow], rows: Sequence[RequestRow], now_us: int, tick_us: int
) -> list[ScoredRow]:
    bundle = version.loaded.bundle
    matrix = _matrix(version, rows, feature_rows, now_us, tick_us)
    values = np.asarray(bundle.predict(matrix), dtype=np.float64)
    features = zip(*(column.to_pylist() for column in matrix.columns), strict=True)
    return [
        ScoredRow(
            request_row=item,
            ages=row.ages,
            features=dict(zip(matrix.column_names, row_features, strict=True)),
            value=float(value),
            version=version,
        )
        for item, row, row_features, value in zip(rows, feature_rows, features, values, strict=True)
    ]


def _matrix(
    version: Version, rows: Sequence[RequestRow], feature_rows: Sequence[FeatureRow], now_us: int, tick_us: int
) -> pa.Table:
    values = {
        slug: pa.array([row.values[slug] for row in feature_rows], type=kind) for slug, kind in version.stored.items()
    }
    cutoffs, ticks = (np.full(len(rows), instant, dtype=np.int64) for instant in (now_us, tick_us))
    own = row_columns_as_arrays(version.needs, rows)
    return finish(version.loaded.bundle.definitions, values, own, ticks, cutoffs)
