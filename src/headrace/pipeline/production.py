"""Production on its own clock: the feed's next batch, the predictions that fall due, and how good they were."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from headrace.core.clock import floor_to_tick, iso, window_name
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.core.fingerprint import fingerprint
from headrace.core.replicas import read_replicas, write_replicas
from headrace.evaluate.metrics import METRICS
from headrace.lake import feed
from headrace.lake.keys import row_keys
from headrace.lake.predictions import Prediction, PredictionLog
from headrace.lake.store import Lake
from headrace.models.bundle import Bundle
from headrace.pipeline.context import Context
from headrace.pipeline.features import finished_matrix
from headrace.pipeline.ingest import Ingested, ingest
from headrace.pipeline.mending import mend_lake
from headrace.pipeline.origin import claim
from headrace.pipeline.release import champion_bundle
from headrace.pipeline.stage import Needs, Stage
from headrace.registry.ledger import Ledger, Record
from headrace.synthesis.language.definitions import row_columns, stored
from headrace.synthesis.spine.build import build_spine

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AdvanceReport:
    """One move of the production clock. note: what was mended on the way; empty where nothing was."""

    problem: str
    from_us: int
    to_us: int
    ingested: tuple[Ingested, ...]
    scored: int
    materialised: Mapping[str, int]
    note: str = ""

    @property
    def refused(self) -> tuple[Ingested, ...]:
        """Batches that went to quarantine."""
        return tuple(outcome for outcome in self.ingested if outcome.quarantined)

    def rows(self) -> list[dict[str, Any]]:
        """A table for people: one row per batch."""
        return [
            {
                "clock": iso(self.to_us),
                "table": outcome.table,
                "rows": outcome.rows,
                "outcome": f"quarantined: {'; '.join(outcome.reasons)}" if outcome.quarantined else "ingested",
            }
            for outcome in self.ingested
        ]


def feed_step(context: Context) -> tuple[int, int, tuple[Ingested, ...]]:
    """Ingest what the feed brings in the next step, then move the clock: last, so that a kill repeats the step."""
    problem = context.problem
    if problem.feed is None:
        raise DeclarationError(
            "has no feed to advance", where=problem.name, fix="declare feed=Replay(start=..., step=...)"
        )
    lake = Lake(context.root, problem.name)
    with FileLock(context.root / "lake" / f".{problem.name}.feed.lock"):
        start = lake.catch_up(problem.feed.step_us)
        if start is None:
            raise NotFoundError("nothing was loaded yet", where=problem.name, fix="run `make run-pipeline` first")
        claim(context)
        mend_lake(context)
        end = start + problem.feed.step_us
        outcomes = ingest(problem, context.root, feed.step(problem, start, end), arrival_us=end)
        lake.advance_clock(end)
    return start, end, outcomes


def advance(context: Context) -> AdvanceReport:
    """One step of production: ingest, score what fell due, refresh the online store."""
    from headrace.store.materialise import ahead_note, materialise

    start, end, outcomes = feed_step(context)
    scored = score_due(context)
    tick = floor_to_tick(end, context.problem.tick_us)
    note = ahead_note(context.root, context.problem)
    return AdvanceReport(
        problem=context.problem.name,
        from_us=start,
        to_us=end,
        ingested=outcomes,
        scored=scored,
        materialised=materialise(context.root, context.problem, tick),
        note=note,
    )


def score_due(context: Context) -> int:
    """Predict the spine rows whose cutoff fell due since the last time; how many. Twice at once predicts once.

    Features are read at each cutoff's own tick, as the online store held them then. A prediction's id is made of its
    row and the model version, so a repeat after a kill writes nothing twice.
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
    """Predict and log every spine row with cutoff in [since, until) by one version; how many rows there were."""
    problem, root = context.problem, context.root
    snapshot = Lake(root, problem.name).snapshot()
    spine = build_spine(problem, snapshot, start_us=since_us, end_us=until_us, now_us=now_us)
    if spine.num_rows:
        bundle = champion_bundle(context, record)
        PredictionLog(root, problem.name).append(_predict(context, bundle, record.version, spine, made_us=now_us))
    return int(spine.num_rows)


def _scored_path(context: Context) -> Path:
    return context.root / "predictions" / f"{context.problem.name}.scored.json"


def _scored_until(context: Context, record: Record) -> int:
    """Where the last scoring ended; at first, and where its rows are gone from the log, where training ended."""
    try:
        last = read_replicas(_scored_path(context))
    except NotFoundError:
        return record.at_us
    log, expected = PredictionLog(context.root, context.problem.name), int(last.get("rows", 0))
    if (found := log.scored()) < expected:
        _log.warning(
            "%s holds %d of %d scored predictions: it was lost, or an older one is in its place. What fell due since "
            "%s is predicted again; answers of the API that are not in it are lost",
            *(log.path, found, expected, iso(record.at_us)),
        )
        return record.at_us
    return int(last["until_us"])


def _predict(context: Context, bundle: Bundle, version: str, spine: pa.Table, *, made_us: int) -> Sequence[Prediction]:
    problem = context.problem
    matrix = finished_matrix(context, bundle.service, bundle.definitions, spine)
    probability = bundle.predict(matrix)
    keys = row_keys(spine, problem.spine_table.keys)
    joins = row_keys(spine, problem.join_keys)
    requested = [item.column for item in row_columns(bundle.definitions) if item.column in spine.column_names]
    requests = spine.select(list(dict.fromkeys(requested))).to_pylist()
    features = _plain(matrix)
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


def _plain(matrix: pa.Table) -> list[dict[str, float | str | None]]:
    """Rows as the log keeps them: a missing feature is None, never NaN."""
    columns = [
        pc.if_else(pc.is_finite(column), column, None) if pa.types.is_floating(column.type) else column
        for column in matrix.columns
    ]
    rows: list[dict[str, float | str | None]] = pa.table(columns, names=matrix.column_names).to_pylist()
    return rows


def quality(context: Context, version: str, since_us: int, until_us: int, now_us: int) -> dict[str, float]:
    """Metrics of logged predictions with cutoff in [since, until) whose labels are mature now, and their counts."""
    problem = context.problem
    logged = PredictionLog(context.root, problem.name).probabilities(since_us, until_us, version=version)
    spine = build_spine(
        problem, Lake(context.root, problem.name).snapshot(), start_us=since_us, end_us=until_us, now_us=now_us
    )
    mature = spine.filter(spine["mature"])
    label = mature["label"].to_numpy()
    rows = row_keys(mature, problem.spine_table.keys)
    predicted = np.array([logged.get(key, np.nan) for key in rows], dtype=np.float64)
    seen = np.isfinite(predicted)
    found = {"predictions": float(len(logged)), "labelled": float(seen.sum())}
    if seen.any() and (not problem.label_expression.binary or len(np.unique(label[seen])) == 2):
        found |= {
            name: metric.value(label[seen], predicted[seen])
            for name, metric in METRICS.items()
            if metric.binary == problem.label_expression.binary
        }
    return found


def _replay(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    """The first steps of the feed, lived through by the new champion: its quality in production, measured.

    A champion that learnt from these steps (retrained since) is not measured on them. The metrics bear the window's
    name, so that other windows of one version have a place beside them.
    """
    from headrace.registry.aliases import mirror

    problem = context.problem
    if problem.feed is None:
        return {"metrics": {}, "refused": []}
    lake, start, end = Lake(context.root, problem.name), problem.feed.start_us, problem.feed.end_us
    refused: list[Ingested] = []
    while (clock := lake.clock()) is not None and clock < end:
        refused += [outcome for outcome in feed_step(context)[2] if outcome.quarantined]
    refused += _bring_last_labels(context, end)
    score_due(context)
    now = lake.clock()
    record = Ledger(context.root, problem.name).champion()
    assert now is not None  # ingest has been
    if record is None:  # the gate refused it, and nobody was before it
        return {"metrics": {}, "refused": _told(refused)}
    if int(champion_bundle(context, record).windows["trained_until_us"]) > start:
        return {"metrics": {}, "refused": _told(refused)}
    measured = quality(context, record.version, start, end, now)
    if not measured["predictions"]:
        # Another version lived through this window; this one is measured on the same rows, at the same ticks.
        score_window(context, record, start, end, now)
        measured = quality(context, record.version, start, end, now)
    metrics = {f"{window_name(start, end)}_{name}": value for name, value in measured.items()}
    Ledger(context.root, problem.name).record_metrics(record.version, metrics)
    mirror(context.root, problem.name, context.tracking_uri)  # MLflow's copy knows them too
    return {"metrics": metrics, "refused": _told(refused)}


def _bring_last_labels(context: Context, end_us: int) -> list[Ingested]:
    """Ingest what becomes known at the very instant that the replay ends; a label is mature at its known time.

    Steps are half open, so it would come with the next one, of which there is none. Should there be one after all, it
    brings the same rows again, which changes nothing. Features at that instant see what was known before it.
    """
    with FileLock(context.root / "lake" / f".{context.problem.name}.feed.lock"):
        if Lake(context.root, context.problem.name).clock() != end_us:
            return []
        last = feed.step(context.problem, end_us, end_us + 1)
        outcomes = ingest(context.problem, context.root, last, arrival_us=end_us)
    return [outcome for outcome in outcomes if outcome.quarantined]


def _told(refused: Sequence[Ingested]) -> list[dict[str, Any]]:
    return [{"table": outcome.table, "reasons": list(outcome.reasons)} for outcome in refused]


def _replayed(context: Context, facts: Mapping[str, Any]) -> bool:
    problem = context.problem
    if problem.feed is None:
        return True
    clock = Lake(context.root, problem.name).clock()
    record = Ledger(context.root, problem.name).champion()
    return (
        clock is not None
        and clock >= problem.feed.end_us
        and record is not None
        and set(facts["metrics"]) <= set(record.metrics)
    )


REPLAY = Stage(
    name="replay",
    run=_replay,
    needs=("promote",),
    code=("headrace.lake", "headrace.synthesis"),
    parameters=lambda context: {"feed": context.problem.feed},
    standing=_replayed,
)
