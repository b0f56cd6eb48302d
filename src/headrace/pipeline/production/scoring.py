"""Predict the spine rows whose cutoff falls due, and log the predictions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from headrace.core.clock import iso
from headrace.core.errors import ConflictError, NotFoundError
from headrace.core.fingerprint import fingerprint
from headrace.core.replicas import read_replicas, write_replicas
from headrace.lake.keys import row_keys
from headrace.lake.store import Lake
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import champion_bundle, version_bundle
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.prediction_log.rows import shadow_id
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record
from headrace.registry.rollouts import Rollouts
from headrace.schema import Rollout
from headrace.serving.rollout.assignment import is_canary
from headrace.synthesis.language.definitions import row_columns, stored
from headrace.synthesis.spine.build import build_spine

#: Rows that are predicted and logged at once. Their features are read together, and are in memory as objects.
_SLICE_ROWS = 20_000

_log = logging.getLogger(__name__)


def score_due(context: Context) -> int:
    """Predict the spine rows whose cutoff fell due since the last scoring. Twice at once predicts once.

    Features are read at each cutoff's own tick, as the online store held them then. A prediction's id is made of its
    row and the model version, so a repeat after a kill writes nothing twice.

    Returns:
        How many rows were predicted.
    """
    problem, root = context.problem, context.root
    record = Ledger(root, problem.name).champion()
    if record is None:
        return 0
    with FileLock(root / "predictions" / f".{problem.name}.score.lock"):
        now = Lake(root, problem.name).clock()
        since = _scored_until(context, record)
        if now is None or now <= since:
            return 0
        count = score_window(context, record, since, now, now)
        rows = PredictionLog(root, problem.name).scored()
        write_replicas(_scored_path(context), {"until_us": now, "rows": rows})
    return count


def score_window(context: Context, record: Record, since_us: int, until_us: int, now_us: int) -> int:
    """Predict and log every spine row with cutoff in [since, until) by one version; returns how many there were."""
    problem, root = context.problem, context.root
    snapshot = Lake(root, problem.name).snapshot()
    spine = build_spine(problem, snapshot, start_us=since_us, end_us=until_us, now_us=now_us, engine=context.engine)
    if spine.num_rows:
        bundle, log = champion_bundle(context, record), PredictionLog(root, problem.name)
        for start in range(0, spine.num_rows, _SLICE_ROWS):  # what was appended before a kill is not appended again
            part = spine.slice(start, _SLICE_ROWS)
            rows = _predict(context, bundle, record.version, part, made_us=now_us)
            log.append(_with_challenger(context, record, rows, part, now_us))
    return int(spine.num_rows)


def _with_challenger(
    context: Context, record: Record, rows: Sequence[Prediction], spine: pa.Table, now_us: int
) -> Sequence[Prediction]:
    """During a rollout of this champion: the rows as the two versions share them, and the shadow predictions."""
    rollouts = Rollouts(Ledger(context.root, context.problem.name))
    step = rollouts.current()
    if step is None or step.champion != record.version:
        return rows
    try:
        bundle = version_bundle(context, step.version)
        own = _predict(context, bundle, step.version, spine, made_us=now_us)
    except Exception as error:  # whatever is wrong with a challenger, the champion's predictions are made
        _log.exception("the challenger, version %s of %s, is rolled back", step.version, context.problem.name)
        reason = f"it cannot score due rows: {getattr(error, 'what', type(error).__name__)}"
        with suppress(ConflictError):
            rollouts.advance(step, "rolled back", reason=reason, at_us=now_us)
        return rows
    by = (context.problem.rollout or Rollout()).by or context.problem.join_keys
    shared: list[Prediction] = []
    for champion, challenger in zip(rows, own, strict=True):
        canary = is_canary(step.id, [champion.join_keys.get(name) for name in by], step.share)
        answer, other = (challenger, champion) if canary else (champion, challenger)
        shared += [answer, replace(other, id=shadow_id(answer.id), source="shadow")]
    return shared


def _scored_path(context: Context) -> Path:
    return context.root / "predictions" / f"{context.problem.name}.scored.json"


def _scored_until(context: Context, record: Record) -> int:
    """Where the last scoring ended (us). At first, and where its rows are lost from the log: where training ended."""
    try:
        last = read_replicas(_scored_path(context))
    except NotFoundError:
        return record.at_us
    log, expected = PredictionLog(context.root, context.problem.name), int(last.get("rows", 0))
    if (found := log.scored()) < expected:
        _log.warning(
            "%s holds %d of %d scored predictions: it was lost, or an older one is in its place. What fell due since "
            "%s is predicted again; answers of the API that are not in it are lost",
            *(log.place, found, expected, iso(record.at_us)),
        )
        return record.at_us
    return int(last["until_us"])


def _predict(context: Context, bundle: Bundle, version: str, spine: pa.Table, *, made_us: int) -> Sequence[Prediction]:
    problem = context.problem
    matrix = feature_matrix(context, bundle.service, bundle.definitions, spine)
    probability = bundle.predict(matrix)
    keys = row_keys(spine, problem.spine_table.keys)
    joins = row_keys(spine, problem.join_keys)
    requested = [item.column for item in row_columns(bundle.definitions) if item.column in spine.column_names]
    requests = spine.select(list(dict.fromkeys(requested))).to_pylist()
    features = _log_rows(matrix)
    views = sorted({item.entity for item in stored(bundle.definitions)})
    ticks, cutoffs = spine["tick"].to_pylist(), spine["cutoff"].to_pylist()
    return [
        Prediction(
            id=fingerprint({"row": keys[i], "version": version})[:32],
            cutoff_us=cutoffs[i],
            made_us=made_us,
            model_version=version,
            join_keys=dict(zip(problem.join_keys, joins[i], strict=True)),
            request={name: str(value) for name, value in requests[i].items()},
            features=features[i],
            ticks=dict.fromkeys(views, ticks[i]),
            statuses=dict.fromkeys(views, "FRESH"),
            probability=float(probability[i]),
            source="score",
            row_key=keys[i],
        )
        for i in range(spine.num_rows)
    ]


def _log_rows(matrix: pa.Table) -> list[dict[str, float | str | None]]:
    """A feature matrix as rows of the prediction log: a missing feature is None, never NaN."""
    columns = [
        pc.if_else(pc.is_finite(column), column, None) if pa.types.is_floating(column.type) else column
        for column in matrix.columns
    ]
    rows: list[dict[str, float | str | None]] = pa.table(columns, names=matrix.column_names).to_pylist()
    return rows
