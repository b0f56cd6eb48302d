"""The champion's logged predictions of a monitored window, with the labels that are mature by now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.lake.keys import Key, read_logged_key, read_value, row_keys, value_text
from headrace.lake.store import Lake, Snapshot
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION
from headrace.models.entity_keys import entity_columns
from headrace.monitor.evidence.persistence import HORIZONS
from headrace.pipeline.context import Context
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.schema import Every, Problem
from headrace.synthesis.spine.build import build_spine, labels_at, spine_key_types

#: A row without a label is censored when it is older than this share of the labels took to come.
_USUAL_SHARE = 0.99


@dataclass(frozen=True, kw_only=True)
class CurrentWindow:
    """Logged predictions with cutoff in a window.

    Attributes:
        table: features by slug, `_prediction`, `_label`, which is null until it is mature, and digests of entities'
            keys (`headrace.models.entity_keys`).
        cutoffs_us: [n].
        length_us: of the window.
        censored: rows whose label should have come by now.
        entities: entity -> the name of each row's [n], for people.
        start_us: start of the window.
        history: features, digests and `_cutoff` (us) of the version's rows in the windows before, for drift that
            persists; None where there are none.
    """

    table: pa.Table
    cutoffs_us: NDArray[np.int64]
    length_us: int
    censored: int
    entities: Mapping[str, Sequence[str]] = field(default_factory=dict)
    start_us: int | None = None
    history: pa.Table | None = None


def current_window(
    context: Context, version: str, kinds: Mapping[str, str], start_us: int, end_us: int, now_us: int
) -> CurrentWindow:
    """Read what one version predicted for cutoffs in [start, end).

    A row that was predicted twice, on schedule and by request, counts once, with its last prediction.

    Args:
        context: of the problem.
        version: whose predictions.
        kinds: slug -> kind of each feature.
        start_us: start of the window.
        end_us: its end.
        now_us: a label is mature if it was known before this instant.
    """
    problem = context.problem
    with PredictionLog(context.root, problem.name) as log:
        logged = log.read_by_cutoff(start_us, end_us, version=version)
        before_us = max(0, start_us - (max(HORIZONS) - 1) * (end_us - start_us))
        earlier = log.read_by_cutoff(before_us, start_us, version=version)
    snapshot = Lake(context.root, problem.name).snapshot()
    types = spine_key_types(problem, snapshot) if logged else []
    rows = {_spine_key(row, types): row for row in logged}
    labels, censored = _labels(context, snapshot, rows, start_us, end_us, now_us) if rows else ({}, 0)
    columns = _feature_columns(problem, list(rows.values()), kinds)
    columns[PREDICTION] = pa.array([row.probability for row in rows.values()], pa.float64())
    columns[LABEL] = pa.array([labels.get(key) for key in rows], pa.float64())
    cutoffs = np.array([row.cutoff_us for row in rows.values()], dtype=np.int64)
    return CurrentWindow(
        table=pa.table(columns),
        cutoffs_us=cutoffs,
        length_us=end_us - start_us,
        censored=censored,
        entities={entity.name: _entity_names(rows.values(), entity.join_keys) for entity in problem.all_entities},
        start_us=start_us,
        history=_history(problem, earlier, kinds),
    )


def _history(problem: Problem, logged: Sequence[Prediction], kinds: Mapping[str, str]) -> pa.Table | None:
    if not logged:
        return None
    columns = _feature_columns(problem, logged, kinds)
    return pa.table({**columns, CUTOFF: pa.array([row.cutoff_us for row in logged], pa.int64())})


def _feature_columns(problem: Problem, rows: Sequence[Prediction], kinds: Mapping[str, str]) -> dict[str, Any]:
    """Columns of features, and of digests of entities' keys."""
    keys = {name: [row.join_keys.get(name) for row in rows] for name in problem.join_keys}
    entities = {entity.name: entity.join_keys for entity in problem.all_entities}
    return {**_features(rows, kinds), **entity_columns(keys, entities)}


def _entity_names(rows: Iterable[Prediction], join_keys: Sequence[str]) -> list[str]:
    """The join keys of each row as a text for people; several are separated by commas."""
    return [", ".join(value_text(row.join_keys.get(key)) or "(none)" for key in join_keys) for row in rows]


def _spine_key(row: Prediction, types: Sequence[pa.DataType]) -> Key:
    """The spine row that a prediction is about; its own id where the request did not name one in full."""
    return read_logged_key(row.row_key, types) if len(row.row_key) == len(types) else (row.id,)


def _labels(
    context: Context,
    snapshot: Snapshot,
    rows: Mapping[Key, Prediction],
    start_us: int,
    end_us: int,
    now_us: int,
) -> tuple[dict[Key, float | None], int]:
    """Row key -> label as known now, None until it is mature; and how many rows are censored."""
    problem = context.problem
    if isinstance(problem.spine, Every):  # requests fall between the instants of its schedule, and have labels too
        spine, keys = _scheduled_spine(context, snapshot, list(rows.values()), now_us), list(rows)
    else:
        spine = build_spine(problem, snapshot, start_us=start_us, end_us=end_us, now_us=now_us, engine=context.engine)
        keys = row_keys(spine, problem.spine_table.keys)
    predicted = np.array([key in rows for key in keys], dtype=np.bool_)
    mature = spine["mature"].to_numpy() & predicted
    cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    usual_us = np.quantile((known - cutoffs)[mature], _USUAL_SHARE) if mature.any() else now_us - start_us
    censored = predicted & ~spine["mature"].to_numpy() & (cutoffs + usual_us < now_us)
    return dict(zip(keys, spine["label"].to_pylist(), strict=True)), int(censored.sum())


def _scheduled_spine(context: Context, snapshot: Snapshot, rows: Sequence[Prediction], now_us: int) -> pa.Table:
    """A scheduled problem's spine at just the logged rows [n], in their order."""
    problem = context.problem
    key = problem.spine_table.keys[0]
    kind = spine_key_types(problem, snapshot)[0]
    texts = [value_text(read_value(row.join_keys[key], kind, key)) for row in rows]
    keys = pa.array(texts, pa.string()).cast(kind)
    cutoffs = np.array([row.cutoff_us for row in rows], dtype=np.int64)
    return labels_at(problem, snapshot, pa.table({key: keys}), cutoffs, now_us, context.engine)


def _features(rows: Sequence[Prediction], kinds: Mapping[str, str]) -> dict[str, pa.Array]:
    """Columns as they were logged. A feature that no row has is left out: it is gone, which is more than null."""
    return {
        name: _array([row.features.get(name) for row in rows], kind)
        for name, kind in kinds.items()
        if any(name in row.features for row in rows)
    }


def _array(values: Sequence[float | str | None], kind: str) -> pa.Array:
    texts = any(isinstance(value, str) for value in values)  # in a numeric column, which the evidence reports
    if kind != "categorical" and not texts:
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())
