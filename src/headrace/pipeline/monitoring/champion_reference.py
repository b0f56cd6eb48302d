"""What a monitored window is compared with: the champion's reference profile, and its metrics on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from headrace.core.clock import DAY
from headrace.core.errors import CorruptError, NotFoundError
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import CUTOFF, LABEL, PREDICTION, Bundle
from headrace.models.entity_keys import ENTITY
from headrace.monitor.evidence.columns import MIN_ROWS
from headrace.monitor.evidence.weekdays import same_weekdays, spacing_us
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.feature_sources import columns_read
from headrace.pipeline.production.champion import champion_bundle
from headrace.registry.ledger_tables import Record
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Transform
from headrace.synthesis.transforms.calendar import CALENDAR

#: Fields of an instant say when it is. `time_since` says how the world is.
_CALENDAR = frozenset(primitive.name for primitive in CALENDAR) - {"time_since"}
#: Over all history these only grow: an earlier history has less of them, and nothing has changed.
_GROWING = frozenset({"sum", "count", "num_unique"})
_IMPORTANCE_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class ChampionReference:
    """The reference side of a comparison.

    Attributes:
        table: the champion's reference profile. None where there is none; `problems` says why.
        kinds: slug -> kind of each feature.
        excluded: features whose change is no evidence, because they say when it is.
        held_out: rows that the model was not trained on (`_prediction`; in newer bundles `_label` and `_cutoff`).
        metrics: measured on such rows.
        importance: slug -> share of the model's mean |SHAP|.
        lookback_us: slug -> the longest lookback of a feature, 0 where it has none.
        entities: slug -> columns of `table` with the entities whose rows share the feature.
        reads: slug -> columns (`planes.seats`) that a feature is computed from.
        spacing_us: from one window of the reference to the next. None: the length of the current window.
        trained_until_us: the instant that the champion's training data end at; None where unknown.
        trained_rows: how many rows it was trained on; None where unknown.
        bundle: the champion's bundle, None where it is lost.
        held_out_rows: a sample of the gate's rows with features. None in older bundles.
        problems: what is missing, for people.
    """

    table: pa.Table | None
    kinds: Mapping[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    held_out: pa.Table | None = None
    metrics: Mapping[str, float] | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    lookback_us: Mapping[str, int] = field(default_factory=dict)
    entities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    spacing_us: int | None = None
    trained_until_us: int | None = None
    trained_rows: int | None = None
    bundle: Bundle | None = field(default=None, repr=False, compare=False)
    held_out_rows: pa.Table | None = field(default=None, repr=False, compare=False)
    problems: tuple[str, ...] = ()


def champion_reference(context: Context, record: Record) -> ChampionReference:
    """Read the reference of a champion. A lost bundle or profile is one of its `problems`, and raises nothing."""
    try:
        bundle = champion_bundle(context, record)
        table, held_out_rows = bundle.read_reference(), bundle.read_held_out()
    except (NotFoundError, CorruptError) as error:
        return ChampionReference(table=None, problems=(str(error),))
    names = [f"gate_{name}" for name in dict.fromkeys((context.problem.metric, *METRICS))]
    metrics = {name.removeprefix("gate_"): bundle.metrics[name] for name in names if name in bundle.metrics}
    return replace(
        described_reference(bundle.definitions, table, _held_out(bundle.gate_rows()), context.problem.carrier),
        metrics=metrics or None,
        importance=_importance(bundle, table),
        trained_until_us=_whole(bundle.windows.get("trained_until_us")),
        trained_rows=_whole(bundle.facts.get("rows")),
        bundle=bundle,
        held_out_rows=held_out_rows,
    )


def described_reference(
    definitions: Sequence[Definition], table: pa.Table, held_out: pa.Table | None, carrier: str
) -> ChampionReference:
    """Build a reference from a model's features, its reference profile and rows that it was not trained on.

    Args:
        definitions: the features.
        table: the reference profile.
        held_out: rows that the model was not trained on.
        carrier: the table whose columns come with a request.
    """
    return ChampionReference(
        table=table,
        kinds={item.slug: item.kind for item in definitions if item.kind != "time"},
        excluded=frozenset(item.slug for item in definitions if depends_on_time_alone(item)),
        held_out=held_out,
        lookback_us={item.slug: longest_lookback_us(item) for item in definitions},
        entities={item.slug: entities_of(item, table.column_names) for item in definitions},
        reads=columns_read(definitions, carrier),
    )


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None


def restrict_to_weekdays(reference: ChampionReference, start_us: int, end_us: int) -> ChampionReference:
    """Restrict a reference to the weekdays of a window [start, end) that is not of whole weeks.

    Where too few of its rows are of those weekdays, all rows stay, and `problems` says so.
    """
    if reference.table is None or not (end_us - start_us) % (7 * DAY):
        return reference
    tables = [
        None if table is None else same_weekdays(table, start_us, end_us)
        for table in (reference.table, reference.held_out)
    ]
    if any(table is not None and table.num_rows < MIN_ROWS for table in tables):
        few = f"fewer than {MIN_ROWS} rows of the reference are of the window's weekdays: it is compared with all rows"
        return replace(reference, problems=(*reference.problems, few))
    return replace(reference, table=tables[0], held_out=tables[1], spacing_us=spacing_us(start_us, end_us))


def _held_out(gate: pa.Table | None) -> pa.Table | None:
    """The gate's rows under the names of the reference's columns."""
    if not gate:
        return None
    names = {"prediction": PREDICTION, "label": LABEL, "cutoff": CUTOFF}
    return pa.table({ours: gate[theirs] for theirs, ours in names.items() if theirs in gate.column_names})


def depends_on_time_alone(item: Definition) -> bool:
    """Whether a feature says when it is rather than how the world is: other values later are no evidence."""
    if isinstance(item, Transform):
        return item.primitive in _CALENDAR or all(depends_on_time_alone(part) for part in item.inputs)
    return isinstance(item, Aggregate) and item.lookback_us is None and item.primitive in _GROWING


def longest_lookback_us(item: Definition) -> int:
    """The longest lookback in a feature; 0 where it has none, or all history."""
    if isinstance(item, Transform):
        return max((longest_lookback_us(part) for part in item.inputs), default=0)
    return (item.lookback_us or 0) if isinstance(item, Aggregate) else 0


def entities_of(item: Definition, columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of digests (`entity_keys`) of a feature's entities; of a row's own column, of all of them."""
    every = tuple(name for name in columns if name.startswith(ENTITY))
    own = {ENTITY + name for name in _entities(item)}
    return tuple(name for name in every if name in own) or every


def _entities(item: Definition) -> set[str]:
    if isinstance(item, Transform):
        return {name for part in item.inputs for name in _entities(part)}
    return {item.entity} if isinstance(item, Aggregate | Direct) else set()


def _importance(bundle: Bundle, reference: pa.Table) -> dict[str, float]:
    """Slug -> share of the model's mean |SHAP| over some rows of the reference."""
    design = bundle.encoder.encode(reference.slice(0, _IMPORTANCE_ROWS))
    size = np.abs(bundle.fitted.contributions(design)).mean(axis=0)
    total = float(size.sum())
    return dict(zip(design.names, (size / total).tolist(), strict=True)) if total else {}
