"""Report what late and corrected rows would have changed: features as they were, and as they would have been in time.

A version of a row is late when it arrived after all its values had become known by the declaration. Forgiven, it counts
from its declared known times on, as if it had arrived in time; the engine computes the features again. Tables without
time cannot be late: nothing declares since when their rows hold.
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
    """The late versions of a table.

    Attributes:
        table: its name.
        new: how many rows arrived for the first time.
        corrected: how many versions of rows that had arrived before.
        middle_us: median lateness.
        longest_us: maximum lateness.
    """

    table: str
    new: int
    corrected: int
    middle_us: int
    longest_us: int


@dataclass(frozen=True, kw_only=True)
class ChangedFeature:
    """A feature that would have been different in time.

    Attributes:
        name: of the definition.
        slug: of the definition.
        rows: in how many rows it differs.
        share: of all rows.
        appeared: in how many it was missing, and is not in time.
        vanished: in how many it is missing in time only.
        mean_change: mean of |in time - as it was| where both are numbers, in the feature's unit.
        largest_change: maximum of the same.
        spreads: mean_change in standard deviations of the feature.
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
    """Past training rows, as they were and as they would have been.

    Attributes:
        tables: those with late versions.
        features: those that differ, the most changed first.
        rows: how many rows were compared.
        changes: how many features of each row differ [rows].
        added: how many rows there are only in time (a cutoff or an activity was late).
        gone: how many rows there are not in time.
        keys: key and cutoff [rows].
        was: the features as they were [rows].
        in_time: the features as they would have been [rows].
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
    """A snapshot in which late rows arrived in time."""

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
    """Compare mature rows as they were with what they would have been, had no row arrived late.

    Args:
        problem: declares the tables.
        definitions: the features to compare.
        snapshot: the tables.
        engine: computes the features.
        now_us: rows with a mature label then are compared.
        since_us: only versions that arrived from then on are forgiven; None: all.
        grace_us: versions that arrived no later than this after they were due were in time.
    """
    lateness = {
        table.name: _lateness(problem, table, snapshot.table(table.name)) for table in problem.entity_set.tables
    }
    late = {name: late_us > grace_us for name, late_us in lateness.items()}
    if since_us is not None:
        late = {name: flags & (_arrivals(snapshot.table(name)) >= since_us) for name, flags in late.items()}
    tables = [_late_table(problem, snapshot, name, flags, lateness[name]) for name, flags in late.items()]
    in_time = _Forgiven(snapshot, late)
    before, after = (_training_rows(problem, tables, now_us, engine) for tables in (snapshot, in_time))
    place = places(problem, before, after)
    shared = np.flatnonzero(place >= 0)
    gone, added = before.num_rows - len(shared), after.num_rows - len(shared)
    before, after = before.take(pa.array(shared)), after.take(pa.array(place[shared]))
    was = feature_matrix(problem, definitions, before, snapshot, engine)
    nothing_late = not any(flags.any() for flags in late.values())
    would = was if nothing_late else feature_matrix(problem, definitions, after, in_time, engine)
    differs_in = {item.slug: differs(was[item.slug], would[item.slug]) for item in definitions}
    features = [
        _changed(item, was[item.slug], would[item.slug], differs_in[item.slug])
        for item in definitions
        if differs_in[item.slug].any()
    ]
    changes: Ints = np.zeros(before.num_rows, dtype=np.int64)
    for flags in differs_in.values():
        changes += flags
    return LateReport(
        tables=tuple(table for table in tables if table.new or table.corrected),
        features=tuple(sorted(features, key=lambda item: (-item.share * (item.spreads or 1.0), item.slug))),
        rows=before.num_rows,
        changes=changes,
        added=added,
        gone=gone,
        keys=before.select(row_names(problem)),
        was=was,
        in_time=would,
    )


def _training_rows(problem: Problem, snapshot: Tables, now_us: int, engine: Engine) -> pa.Table:
    spine = build_spine(problem, snapshot, end_us=now_us, now_us=now_us, engine=engine)
    return spine.filter(spine["mature"])


def _arrivals(rows: pa.Table) -> Ints:
    return np.array(as_array(rows[ARRIVAL]).to_numpy(zero_copy_only=False), dtype=np.int64)


def _lateness(problem: Problem, table: Table, rows: pa.Table) -> Ints:
    """How long after all its values were known each version arrived, in us [rows]; never below 0."""
    due = np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64)
    for text in clock_of(problem, table, [name for name in rows.column_names if name not in (ARRIVAL, ORDER)]):
        at = expression_instants(table, TimeExpression.parse(text), rows)
        due = np.maximum(due, np.where(at < NEVER, at, BEFORE_ALL))
    arrival = _arrivals(rows)
    both = (due > BEFORE_ALL) & (arrival > BEFORE_ALL)
    return np.where(both, np.maximum(arrival - np.where(both, due, 0), 0), 0)


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
    change = _absolute_change(was, would, where & ~before & ~after) if pa.types.is_floating(was.type) else np.empty(0)
    spread = float(pc.stddev(was).as_py() or 0.0) if len(change) else 0.0
    mean = float(change.mean()) if len(change) else None
    return ChangedFeature(
        name=definition.name,
        slug=definition.slug,
        rows=int(where.sum()),
        share=float(where.mean()),
        appeared=int((where & before).sum()),
        vanished=int((where & after).sum()),
        mean_change=mean,
        largest_change=float(change.max()) if len(change) else None,
        spreads=None if mean is None or spread == 0.0 else mean / spread,
    )


def _absolute_change(was: pa.ChunkedArray, would: pa.ChunkedArray, chosen: Flags) -> Floats:
    flags = pa.array(chosen)
    change: Floats = np.abs(would.filter(flags).to_numpy() - was.filter(flags).to_numpy())
    return change
