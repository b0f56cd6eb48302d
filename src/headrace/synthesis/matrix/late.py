"""What late and corrected rows would have changed: features of past rows as they were, and as they would have been.

A version of a row is late when it arrived after everything that it tells had become known by the declaration. Forgiven,
it counts from its declared known times on, as if it had arrived in time; the engine then says what would have been
different. Tables without time cannot be late: nothing declares since when their rows hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.schema import Problem, Table, TimeExpression
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.known_time import expression_instants
from headrace.synthesis.language.columns import ARRIVAL, ORDER, clock_of
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.values import Flags, Floats, Ints, as_array
from headrace.synthesis.matrix.aligned import differs, places, row_names
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import build_spine


@dataclass(frozen=True, kw_only=True)
class LateTable:
    """The late versions of a table. new: rows that had not come before. corrected: versions of rows that had.

    middle_us, longest_us: how late (median, maximum).
    """

    table: str
    new: int
    corrected: int
    middle_us: int
    longest_us: int


@dataclass(frozen=True, kw_only=True)
class ChangedFeature:
    """A feature that would have been different. rows: in how many rows, `share` of all.

    appeared, vanished: of these, missing as it was, missing in time. mean_change, largest_change: of |in time - as it
    was| where both are numbers, in the feature's unit; spreads: mean_change in standard deviations of the feature.
    """

    name: str
    slug: str
    rows: int
    share: float
    appeared: int
    vanished: int
    mean_change: float | None
    largest_change: float | None
    spreads: float | None


@dataclass(frozen=True, kw_only=True)
class LateReport:
    """rows: past training rows that were compared. changes [rows]: how many features of each would be different.

    added, gone: rows that there would only be in time, that there would not be in time (a cutoff or an activity was
    late). keys [rows]: key and cutoff. was, in_time [rows]: the features. features: the changed, most moved first.
    """

    tables: tuple[LateTable, ...]
    features: tuple[ChangedFeature, ...]
    rows: int
    changes: Ints
    added: int
    gone: int
    keys: pa.Table
    was: pa.Table
    in_time: pa.Table

    @property
    def changed(self) -> Ints:
        """Indices of the rows that would have been different."""
        return np.flatnonzero(self.changes)


class _Forgiven:
    """A snapshot whose late rows arrived in time."""

    def __init__(self, snapshot: Tables, late: Mapping[str, Flags]) -> None:
        self._snapshot = snapshot
        self._late = late

    def table(self, name: str) -> pa.Table:
        rows, late = self._snapshot.table(name), self._late[name]
        if not late.any():
            return rows
        arrival = np.where(late, BEFORE_ALL, _arrivals(rows))
        return rows.set_column(rows.column_names.index(ARRIVAL), ARRIVAL, pa.array(arrival))


def late_report(
    problem: Problem,
    definitions: Sequence[Definition],
    snapshot: Tables,
    engine: Engine,
    *,
    now_us: int,
    since_us: int | None = None,
    grace_us: int = 0,
) -> LateReport:
    """Mature rows as they were against as they would have been, had no row come late.

    since_us: only what arrived from then on is forgiven. grace_us: what came no later than that was in time.
    """
    lateness = {
        table.name: _lateness(problem, table, snapshot.table(table.name)) for table in problem.entity_set.tables
    }
    late = {name: late_us > grace_us for name, late_us in lateness.items()}
    if since_us is not None:
        late = {name: flags & (_arrivals(snapshot.table(name)) >= since_us) for name, flags in late.items()}
    tables = [_late_table(problem, snapshot, name, flags, lateness[name]) for name, flags in late.items()]
    in_time = _Forgiven(snapshot, late)
    mine, theirs = (_training_rows(problem, tables, now_us, engine) for tables in (snapshot, in_time))
    place = places(problem, mine, theirs)
    ours = np.flatnonzero(place >= 0)
    gone, added = mine.num_rows - len(ours), theirs.num_rows - len(ours)
    mine, theirs = mine.take(pa.array(ours)), theirs.take(pa.array(place[ours]))
    was = feature_matrix(problem, definitions, mine, snapshot, engine)
    moot = not any(flags.any() for flags in late.values())
    would = was if moot else feature_matrix(problem, definitions, theirs, in_time, engine)
    moved = {item.slug: differs(was[item.slug], would[item.slug]) for item in definitions}
    features = [
        _changed(item, was[item.slug], would[item.slug], moved[item.slug])
        for item in definitions
        if moved[item.slug].any()
    ]
    changes: Ints = np.zeros(mine.num_rows, dtype=np.int64)
    for flags in moved.values():
        changes += flags
    return LateReport(
        tables=tuple(table for table in tables if table.new or table.corrected),
        features=tuple(sorted(features, key=lambda item: (-item.share * (item.spreads or 1.0), item.slug))),
        rows=mine.num_rows,
        changes=changes,
        added=added,
        gone=gone,
        keys=mine.select(row_names(problem)),
        was=was,
        in_time=would,
    )


def _training_rows(problem: Problem, snapshot: Tables, now_us: int, engine: Engine) -> pa.Table:
    spine = build_spine(problem, snapshot, end_us=now_us, now_us=now_us, engine=engine)
    return spine.filter(spine["mature"])


def _arrivals(rows: pa.Table) -> Ints:
    return np.array(as_array(rows[ARRIVAL]).to_numpy(zero_copy_only=False), dtype=np.int64)


def _lateness(problem: Problem, table: Table, rows: pa.Table) -> Ints:
    """How long after everything that it tells was known each version arrived [rows], us; never below 0."""
    due = np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64)
    for text in clock_of(problem, table, [name for name in rows.column_names if name not in (ARRIVAL, ORDER)]):
        at = expression_instants(table, TimeExpression.parse(text), rows)
        due = np.maximum(due, np.where(at < NEVER, at, BEFORE_ALL))
    arrival = _arrivals(rows)
    told = (due > BEFORE_ALL) & (arrival > BEFORE_ALL)
    return np.where(told, np.maximum(arrival - np.where(told, due, 0), 0), 0)


def _late_table(problem: Problem, snapshot: Tables, name: str, late: Flags, lateness: Ints) -> LateTable:
    """Counts; a version is a correction where the row has an earlier one."""
    rows = snapshot.table(name)
    codes, _ = encode_rows([plain(rows[column]) for column in problem.entity_set.table(name).keys])
    _, first = np.unique(codes, return_index=True)  # rows are in the order of their versions
    fresh = np.zeros(len(codes), dtype=np.bool_)
    fresh[first] = True
    by = lateness[late]
    return LateTable(
        table=name,
        new=int((late & fresh).sum()),
        corrected=int((late & ~fresh).sum()),
        middle_us=int(np.median(by)) if len(by) else 0,
        longest_us=int(by.max(initial=0)),
    )


def _changed(definition: Definition, was: pa.ChunkedArray, would: pa.ChunkedArray, where: Flags) -> ChangedFeature:
    before, after = np.asarray(pc.is_null(was)), np.asarray(pc.is_null(would))
    moved = _moved(was, would, where & ~before & ~after) if pa.types.is_floating(was.type) else np.empty(0)
    spread = float(pc.stddev(was).as_py() or 0.0) if len(moved) else 0.0
    mean = float(moved.mean()) if len(moved) else None
    return ChangedFeature(
        name=definition.name,
        slug=definition.slug,
        rows=int(where.sum()),
        share=float(where.mean()),
        appeared=int((where & before).sum()),
        vanished=int((where & after).sum()),
        mean_change=mean,
        largest_change=float(moved.max()) if len(moved) else None,
        spreads=None if mean is None or spread == 0.0 else mean / spread,
    )


def _moved(was: pa.ChunkedArray, would: pa.ChunkedArray, chosen: Flags) -> Floats:
    keep = pa.array(chosen)
    change: Floats = np.abs(would.filter(keep).to_numpy() - was.filter(keep).to_numpy())
    return change
