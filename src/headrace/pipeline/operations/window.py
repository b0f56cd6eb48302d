"""What monitoring looks at: the champion's logged predictions of a window, and the reference that they are held to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headrace.core.clock import DAY
from headrace.core.errors import CorruptError, NotFoundError
from headrace.evaluate.metrics import METRICS
from headrace.lake.keys import Key, read_logged_key, read_value, row_keys, value_text
from headrace.lake.predictions import Prediction, PredictionLog
from headrace.lake.store import Lake, Snapshot
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION, Bundle
from headrace.monitor.evidence.columns import MIN_ROWS
from headrace.monitor.evidence.weekdays import same_weekdays, spacing_us
from headrace.monitor.evidence.window import WindowEvidence, window_evidence
from headrace.pipeline.context import Context
from headrace.pipeline.production.champion import champion_bundle
from headrace.registry.ledger_tables import Record
from headrace.schema import Every, Problem
from headrace.synthesis.language.definitions import Aggregate, Definition, Transform
from headrace.synthesis.spine.build import build_spine, labels_at, spine_key_types
from headrace.synthesis.transforms.calendar import CALENDAR

#: Fields of an instant say when it is. `time_since` says how the world is.
_CALENDAR = frozenset(primitive.name for primitive in CALENDAR) - {"time_since"}
#: Over all history these only grow: an older world has less of them, and nothing has changed.
_GROWING = frozenset({"sum", "count", "num_unique"})
_IMPORTANCE_ROWS = 500
#: A row without a label is given up when it is older than this share of the labels took to come.
_USUALLY = 0.99


@dataclass(frozen=True, kw_only=True)
class Current:
    """Logged predictions with cutoff in a window: features by slug, `_prediction`, and `_label` where it has come.

    cutoffs_us [n]. length_us: of the window. censored: rows whose label should have come by now.
    """

    table: pa.Table
    cutoffs_us: NDArray[np.int64]
    length_us: int
    censored: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the champion was made of. table: its reference profile, None where there is none (problems say why).

    held_out: rows that the model was not trained on (`_prediction`; newer: `_label`, `_cutoff`). metrics: measured on
    such rows. importance: slug -> share of the model's mean |SHAP|. lookback_us: slug -> how far it looks back, where
    that has an end. spacing_us: from one window of the reference to the next, None: as long as the window.
    """

    table: pa.Table | None
    kinds: Mapping[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    held_out: pa.Table | None = None
    metrics: Mapping[str, float] | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    lookback_us: Mapping[str, int] = field(default_factory=dict)
    spacing_us: int | None = None
    problems: tuple[str, ...] = ()


def current_window(
    context: Context, version: str, kinds: Mapping[str, str], start_us: int, end_us: int, now_us: int
) -> Current:
    """What one version predicted for cutoffs in [start, end), with the labels that have matured by `now_us`.

    A row that was asked for twice, on schedule and by request, counts once: as it was answered last.
    """
    problem = context.problem
    with PredictionLog(context.root, problem.name) as log:
        read_by_cutoff = log.read_by_cutoff(start_us, end_us, version=version)
    snapshot = Lake(context.root, problem.name).snapshot()
    types = spine_key_types(problem, snapshot) if read_by_cutoff else []
    chosen = {_name(row, types): row for row in read_by_cutoff}
    labels, censored = _labels(context, snapshot, chosen, start_us, end_us, now_us) if chosen else ({}, 0)
    columns = _features(list(chosen.values()), kinds)
    columns[PREDICTION] = pa.array([row.probability for row in chosen.values()], pa.float64())
    columns[LABEL] = pa.array([labels.get(key) for key in chosen], pa.float64())
    cutoffs = np.array([row.cutoff_us for row in chosen.values()], dtype=np.int64)
    return Current(table=pa.table(columns), cutoffs_us=cutoffs, length_us=end_us - start_us, censored=censored)


def _name(row: Prediction, types: Sequence[pa.DataType]) -> Key:
    """The spine row that a prediction is about; its own id where the request did not name one whole."""
    return read_logged_key(row.row_key, types) if len(row.row_key) == len(types) else (row.id,)


def _labels(
    context: Context,
    snapshot: Snapshot,
    asked_for: Mapping[Key, Prediction],
    start_us: int,
    end_us: int,
    now_us: int,
) -> tuple[dict[Key, float | None], int]:
    """Row key -> label as known now, None while it is not; and how many are overdue."""
    problem = context.problem
    if isinstance(problem.spine, Every):  # requests fall between the instants of its schedule, and have labels too
        spine, keys = _spine_of(context, problem.spine, snapshot, list(asked_for.values()), now_us), list(asked_for)
    else:
        spine = build_spine(problem, snapshot, start_us=start_us, end_us=end_us, now_us=now_us, engine=context.engine)
        keys = row_keys(spine, problem.spine_table.keys)
    asked = np.array([key in asked_for for key in keys], dtype=np.bool_)
    mature = spine["mature"].to_numpy() & asked
    cutoffs, known = spine["cutoff"].to_numpy(), spine["label_known"].to_numpy()
    usual_us = np.quantile((known - cutoffs)[mature], _USUALLY) if mature.any() else now_us - start_us
    overdue = asked & ~spine["mature"].to_numpy() & (cutoffs + usual_us < now_us)
    return dict(zip(keys, spine["label"].to_pylist(), strict=True)), int(overdue.sum())


def _spine_of(context: Context, spine: Every, snapshot: Snapshot, rows: Sequence[Prediction], now_us: int) -> pa.Table:
    """A scheduled problem's spine at just the logged rows [n], in their order."""
    problem = context.problem
    key = problem.spine_table.keys[0]
    kind = spine_key_types(problem, snapshot)[0]
    told = [value_text(read_value(row.join_keys[key], kind, key)) for row in rows]
    keys = pa.array(told, pa.string()).cast(kind)
    cutoffs = np.array([row.cutoff_us for row in rows], dtype=np.int64)
    return labels_at(problem, snapshot, pa.table({key: keys}), cutoffs, now_us, context.engine)


def _features(rows: Sequence[Prediction], kinds: Mapping[str, str]) -> dict[str, pa.Array]:
    """Columns as they were logged. A feature that no row has is left out: it is gone, which is more than null."""
    found = {}
    for name, kind in kinds.items():
        if any(name in row.features for row in rows):
            found[name] = _array([row.features.get(name) for row in rows], kind)
    return found


def _array(values: Sequence[float | str | None], kind: str) -> pa.Array:
    texts = any(isinstance(value, str) for value in values)  # where numbers were: evidence says so
    if kind != "categorical" and not texts:
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def held_to(context: Context, record: Record) -> Held:
    """The champion's side. A bundle or profile that is lost is told, not raised."""
    try:
        bundle = champion_bundle(context, record)
        table = bundle.read_reference()
    except (NotFoundError, CorruptError) as error:
        return Held(table=None, problems=(str(error),))
    kinds = {item.slug: item.kind for item in bundle.definitions if item.kind != "time"}
    names = [f"gate_{name}" for name in METRICS]
    metrics = {name.removeprefix("gate_"): bundle.metrics[name] for name in names if name in bundle.metrics}
    return Held(
        table=table,
        kinds=kinds,
        excluded=frozenset(item.slug for item in bundle.definitions if _tells_the_time(item)),
        held_out=_unseen(bundle.gate_rows()),
        metrics=metrics or None,
        importance=_importance(bundle, table),
        lookback_us={item.slug: _memory_us(item) for item in bundle.definitions},
    )


def _unseen(gate: pa.Table | None) -> pa.Table | None:
    """The gate's rows under the names of the reference's columns."""
    if not gate:
        return None
    names = {"prediction": PREDICTION, "label": LABEL, "cutoff": CUTOFF}
    taken = {ours: gate[theirs] for theirs, ours in names.items() if theirs in gate.column_names}
    return pa.table(taken)


def of_weekdays(held: Held, start_us: int, end_us: int) -> Held:
    """What a window of [start, end) is held to: rows of its weekdays, where it is not of whole weeks.

    All rows where too few are of those weekdays; that is told.
    """
    if held.table is None or not (end_us - start_us) % (7 * DAY):
        return held
    tables = [
        None if table is None else same_weekdays(table, start_us, end_us) for table in (held.table, held.held_out)
    ]
    if any(table is not None and table.num_rows < MIN_ROWS for table in tables):
        few = f"fewer than {MIN_ROWS} rows of the reference are of the window's weekdays: it is held to all of them"
        return replace(held, problems=(*held.problems, few))
    return replace(held, table=tables[0], held_out=tables[1], spacing_us=spacing_us(start_us, end_us))


def _tells_the_time(item: Definition) -> bool:
    """Whether a feature says when it is rather than how the world is: other values later are no evidence."""
    if isinstance(item, Transform):
        return item.primitive in _CALENDAR or all(_tells_the_time(part) for part in item.inputs)
    return isinstance(item, Aggregate) and item.lookback_us is None and item.primitive in _GROWING


def _memory_us(item: Definition) -> int:
    """The longest lookback in a feature; 0 where it has none, or all history."""
    if isinstance(item, Transform):
        return max((_memory_us(part) for part in item.inputs), default=0)
    return (item.lookback_us or 0) if isinstance(item, Aggregate) else 0


def _importance(bundle: Bundle, reference: pa.Table) -> dict[str, float]:
    design = bundle.encoder.encode(reference.slice(0, _IMPORTANCE_ROWS))
    size = np.abs(bundle.fitted.contributions(design)).mean(axis=0)
    whole = float(size.sum())
    return dict(zip(design.names, (size / whole).tolist(), strict=True)) if whole else {}


def judge(problem: Problem, current: Current, held: Held, *, seed: int = 0) -> WindowEvidence:
    """All evidence of a window, by the problem's drift tests, floors and margin."""
    watched = problem.monitoring
    return window_evidence(
        held.table,
        current.table,
        held.kinds,
        exclude=held.excluded,
        held_out=held.held_out,
        reference_metrics=held.metrics,
        cutoffs_us=current.cutoffs_us,
        length_us=held.spacing_us or current.length_us,
        lookback_us=held.lookback_us,
        metric=problem.metric,
        margin=watched.performance_margin,
        tests=watched.drift_tests,
        floors=watched.floors,
        fdr=watched.false_discovery_rate,
        censored=current.censored,
        seed=seed,
    )
