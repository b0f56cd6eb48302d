"""Compute stored definitions row by row in plain Python, as the definition of truth that engines are tested against.

For a query (key, t): of every row, the version that is in effect is the latest appended among those known before t. It
counts from the first instant since which the row's used columns have had their present values. The rows of this key
that count from an instant in [t - lookback, t) are aggregated exactly (fractions), in the order of that instant.

Stacked definitions are evaluated again at the same t: for each of those rows its value, and whether its condition
holds. The oracle shares only definitions (`synthesis.language`) with the engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa

from headrace.schema import Problem, Table
from headrace.schema.expressions import OPERATORS
from headrace.schema.label_history import LABEL_HISTORY
from headrace.synthesis.language.definitions import (
    Aggregate,
    Definition,
    Direct,
    Grouped,
    RowColumn,
    Stored,
    Transform,
    leaves,
)
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.inputs import grouped_columns, hops, join_columns, used_columns, value_of
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.finish import finish_row, microseconds
from headrace.synthesis.oracle.label_history import LabelHistory
from headrace.synthesis.oracle.reading import Row, clock, known_from, primary_key, read_column
from headrace.synthesis.oracle.running import RUNNING_TWINS

_TYPES = {"categorical": pa.string(), "time": pa.int64()}


class EffectiveRow(NamedTuple):
    """The version of a row that is in effect at t: since when it has these values, its append rank, event and columns.

    Attributes:
        since_us: first instant since which the used columns have had their present values.
        rank: append rank of the version, which breaks ties.
        event_us: event time, where lookbacks are on event time.
        row: the columns.
    """

    since_us: int
    rank: int
    event_us: int | None
    row: Row


class ConsideredRow(NamedTuple):
    """A row under an entity's key, with the instant that it counts from, and why it is left out.

    Attributes:
        effective: the version in effect.
        at_us: the instant that it counts from.
        left_out: the reason why it does not count; empty where it does.
        value: what is aggregated of it.
    """

    effective: EffectiveRow
    at_us: int
    left_out: str
    value: Any


class Oracle:
    """An `Engine` that computes each value separately."""

    def compute(self, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables) -> pa.Table:
        """See `language.engine.Engine`."""
        evaluator = RowEvaluator(problem, snapshot)
        columns = {}
        for definition in definitions:
            names = problem.entity(definition.entity).join_keys
            values = [
                evaluator.stored_value(definition, tuple(query[name] for name in names), query["tick"])
                for query in keys.to_pylist()
            ]
            columns[definition.slug] = pa.array(values, type=_TYPES.get(definition.kind, pa.float64()))
        return pa.table(columns)


class RowEvaluator:
    """Evaluates definitions over one snapshot of a problem's tables, and tells which rows they are made from."""

    def __init__(self, problem: Problem, snapshot: Tables) -> None:
        self._problem = problem
        self._snapshot = snapshot
        self._rows: dict[tuple[str, tuple[Any, ...]], list[Row]] = {}
        self._known: dict[tuple[str, tuple[str, ...], tuple[Any, ...]], list[int]] = {}
        self._effective: dict[tuple[str, tuple[str, ...], int, bool, tuple[Any, ...]], list[EffectiveRow]] = {}
        self._parents: dict[tuple[str, tuple[str, ...], int], dict[tuple[Any, ...], EffectiveRow]] = {}
        self._under: dict[tuple[Any, ...], dict[tuple[Any, ...], list[EffectiveRow]]] = {}
        self._values: dict[tuple[Stored, tuple[Any, ...], int], Any] = {}

    def stored_value(self, definition: Stored, key: tuple[Any, ...], tick: int) -> Any:
        """The value of a Direct or an Aggregate for an entity's key at a tick (us); computed once."""
        if None in key:
            return None
        query = (definition, key, tick)
        if query not in self._values:
            self._values[query] = (
                self._parent_value(definition, key, tick)
                if isinstance(definition, Direct)
                else self._aggregate(definition, key, tick)
            )
        return self._values[query]

    def _aggregate(self, definition: Aggregate, key: tuple[Any, ...], tick: int) -> Any:
        considered = self.considered_rows(definition, key, tick)
        observations = [(item.at_us, item.value) for item in considered if not item.left_out]
        value = AGGREGATION_TWINS[definition.primitive](observations)
        return value[definition.part or 0] if isinstance(value, list) else value

    def considered_rows(self, definition: Aggregate, key: tuple[Any, ...], tick: int) -> list[ConsideredRow]:
        """The rows under an entity's key at a tick, those that count and those left out, in the order of counting."""
        table = self._problem.entity_set.table(definition.table)
        value = value_of(definition, definition.kind)
        considered = []
        for effective in self._rows_under(definition, key, tick):
            at = effective.since_us if effective.event_us is None else effective.event_us
            left_out = self._reason_left_out(definition, effective, at, tick)
            read = True if value is None else None
            if value is not None and not left_out:
                read = self.relative_value(table, value, effective.row, tick)
            considered.append(ConsideredRow(effective, at, left_out, None if left_out else read))
        return considered

    def later_versions(self, definition: Aggregate, key: tuple[Any, ...], tick: int) -> list[tuple[int, Row]]:
        """Versions under an entity's key that become known at or after a tick: (when, the row), sorted by time."""
        if any("." in name for name in definition.keys):
            return []
        table = self._problem.entity_set.table(definition.table)
        columns = used_columns(definition, definition.keys)
        by_time = self._by_time(table, columns, self._only(definition, key))
        later = [
            (known, row)
            for known, row in by_time
            if known >= tick and tuple(row[name] for name in definition.keys) == key
        ]
        return sorted(later, key=lambda item: item[0])

    def parent_row(self, definition: Direct, key: tuple[Any, ...], tick: int) -> EffectiveRow | None:
        """The row that a Direct reads at a tick; None where there is none."""
        table = self._problem.entity_set.table(definition.table)
        return self._rows_by_primary_key(table, used_columns(definition, table.keys), tick).get(key)

    def relative_value(self, table: Table, definition: Definition, row: Row, tick: int) -> Any:
        """The value of a definition relative to a row of a table, at a tick (us)."""
        if isinstance(definition, RowColumn):
            return read_column(self._problem, table, definition.column, row)
        if isinstance(definition, Grouped):
            return self._running_value(table, definition, row, tick)
        if isinstance(definition, Transform):
            values = {leaf: self.relative_value(table, leaf, row, tick) for leaf in leaves(definition)}
            columns = {leaf.column: value for leaf, value in values.items() if isinstance(leaf, RowColumn)}
            others = {leaf.slug: value for leaf, value in values.items() if not isinstance(leaf, RowColumn)}
            return finish_row(definition, others, columns, tick)
        return self.stored_value(definition, tuple(row[name] for name in join_columns(definition.entity)), tick)

    def _parent_value(self, definition: Direct, key: tuple[Any, ...], tick: int) -> Any:
        table = self._problem.entity_set.table(definition.table)
        value, parent = value_of(definition, definition.kind), self.parent_row(definition, key, tick)
        return None if value is None or parent is None else self.relative_value(table, value, parent.row, tick)

    def _running_value(self, table: Table, definition: Grouped, row: Row, tick: int) -> Any:
        """A group's running value at a row, from the effective rows of its key up to this one."""
        rows = self._effective_rows(table, grouped_columns(definition), tick)
        own = self._rows_by_primary_key(table, grouped_columns(definition), tick).get(primary_key(table, row))
        if own is None:
            return None
        key = [own.row[name] for name in definition.keys]
        group = [item for item in rows if [item.row[name] for name in definition.keys] == key and item[:2] <= own[:2]]
        observations = [(item.since_us, self.relative_value(table, definition.value, item.row, tick)) for item in group]
        return None if None in key else RUNNING_TWINS[definition.primitive](observations)

    def _reason_left_out(self, definition: Aggregate, effective: EffectiveRow, at: int, tick: int) -> str:
        if definition.lookback_us is not None and at < tick - definition.lookback_us:
            return "before the lookback"
        if at >= tick:
            return "its event is not before the tick"
        return "" if self._meets_condition(definition, effective, tick) else "the condition does not hold"

    def _meets_condition(self, definition: Aggregate, effective: EffectiveRow, tick: int) -> bool:
        where = definition.where
        if where is None:
            return True
        table = self._problem.entity_set.table(definition.table)
        value = self.relative_value(table, where.on, effective.row, tick)
        return value is not None and bool(OPERATORS[where.operator](value, where.value))

    def _key(self, table: Table, keys: Sequence[str], row: Row, tick: int) -> tuple[Any, ...]:
        """The entity that a row belongs to, by its own columns or by those of its parents' rows."""
        values = []
        for key in keys:
            column, path = hops(key)
            value = row[column]
            for name, column in path:
                parent = self._problem.entity_set.table(name)
                rows = self._rows_by_primary_key(parent, tuple(dict.fromkeys((*parent.keys, column))), tick)
                value = rows[value,].row[column] if (value,) in rows else None
            values.append(value)
        return tuple(values)

    def _rows_by_primary_key(
        self, table: Table, columns: tuple[str, ...], tick: int
    ) -> dict[tuple[Any, ...], EffectiveRow]:
        """The row in effect at a tick by its primary key; found once."""
        query = (table.name, columns, tick)
        if query not in self._parents:
            rows = self._effective_rows(table, columns, tick)
            self._parents[query] = {primary_key(table, item.row): item for item in rows}
        return self._parents[query]

    def _rows_under(self, definition: Aggregate, key: tuple[Any, ...], tick: int) -> list[EffectiveRow]:
        """The rows in effect at a tick that belong to an entity's key, oldest first; found once for all keys."""
        table = self._problem.entity_set.table(definition.table)
        used, on_event = used_columns(definition, definition.keys), definition.on == "event"
        only = self._only(definition, key)
        query = (table.name, definition.keys, used, tick, on_event, only)
        if query not in self._under:
            under: dict[tuple[Any, ...], list[EffectiveRow]] = {}
            for item in self._effective_rows(table, used, tick, on_event, only):
                under.setdefault(self._key(table, definition.keys, item.row, tick), []).append(item)
            self._under[query] = under
        return self._under[query].get(key, [])

    def _only(self, definition: Aggregate, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """The key alone where it is the schedule's entity whose label history is aggregated; else empty, for all."""
        of_entity = definition.table == LABEL_HISTORY and definition.keys == self._problem.spine_table.keys[:1]
        return key if of_entity else ()

    @cached_property
    def _label_history(self) -> LabelHistory:
        return LabelHistory(self._problem, self._versions)

    def _versions(self, table: Table, only: tuple[Any, ...] = ()) -> list[Row]:
        """All versions of a table's rows; of the label history those of one key, if asked."""
        if (table.name, only) not in self._rows:
            if table.name == LABEL_HISTORY:
                self._rows[table.name, only] = self._label_history.rows(only or None)
            else:
                self._rows[table.name, only] = self._snapshot.table(table.name).to_pylist()
        return self._rows[table.name, only]

    def _by_time(self, table: Table, columns: tuple[str, ...], only: tuple[Any, ...]) -> list[tuple[int, Row]]:
        """All versions with the instant since which some columns of theirs are known; computed once."""
        rows, query = self._versions(table, only), (table.name, columns, only)
        if query not in self._known:
            known_times = clock(self._problem, table, columns)
            self._known[query] = [known_from(table, known_times, row) for row in rows]
        return list(zip(self._known[query], rows, strict=True))

    def _effective_rows(
        self,
        table: Table,
        columns: tuple[str, ...],
        tick: int,
        on_event: bool = False,
        only: tuple[Any, ...] = (),
    ) -> list[EffectiveRow]:
        """Every row in effect at a tick, by the values of some columns, oldest first; computed once."""
        query = (table.name, columns, tick, on_event, only)
        if query not in self._effective:
            self._effective[query] = self._find_effective_rows(table, columns, tick, on_event, only)
        return self._effective[query]

    def _find_effective_rows(
        self, table: Table, columns: tuple[str, ...], tick: int, on_event: bool, only: tuple[Any, ...]
    ) -> list[EffectiveRow]:
        by_row: dict[tuple[Any, ...], list[tuple[int, int, Row]]] = {}
        for known, row in self._by_time(table, columns, only):
            if known < tick:
                by_row.setdefault(primary_key(table, row), []).append((known, row["_order"], row))
        rows = [self._effective_row(table, columns, versions, on_event) for versions in by_row.values()]
        if on_event:
            by_event = [(item.event_us, item) for item in rows if item.event_us is not None]
            return [item for _, item in sorted(by_event, key=lambda pair: (pair[0], *pair[1][:2]))]
        return sorted(rows, key=lambda item: item[:2])

    def _effective_row(
        self, table: Table, columns: tuple[str, ...], versions: list[tuple[int, int, Row]], on_event: bool
    ) -> EffectiveRow:
        """The last of a row's versions, and since when these columns (and its event, if used) have had its values."""
        changes: list[tuple[Any, EffectiveRow]] = []
        for instant in sorted({known for known, _, _ in versions}):
            _, rank, row = max((item for item in versions if item[0] <= instant), key=lambda item: item[1])
            event = microseconds(row[table.time]) if on_event and table.time else None
            values = ([read_column(self._problem, table, name, row) for name in columns], event)
            if not changes or changes[-1][0] != values:
                changes.append((values, EffectiveRow(instant, rank, event, row)))
        return changes[-1][1]
