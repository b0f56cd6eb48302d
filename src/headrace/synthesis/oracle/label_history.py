"""The label history of a schedule in plain Python: every cutoff's label, at every instant at which it may change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.core.calendar import period_delay_us
from headrace.core.clock import BEFORE_ALL, NEVER, from_us
from headrace.schema import DUE, Every, HorizonLabel, Problem, Table
from headrace.schema.expressions import OPERATORS
from headrace.schema.label_history import LABEL_KNOWN, PAST_LABEL
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.observations import Observations
from headrace.synthesis.oracle.reading import Row, clock, known_from, read_column


def label_history(problem: Problem, versions: Callable[[Table], Sequence[Row]]) -> list[Row]:
    """All versions of the rows of the label history, in the order in which they become known.

    Args:
        problem: a schedule with a label.
        versions: all versions of a declared table's rows, in the order of appending.
    """
    return _LabelHistory(problem, versions).rows()


class _LabelHistory:
    def __init__(self, problem: Problem, versions: Callable[[Table], Sequence[Row]]) -> None:
        assert isinstance(problem.label_expression, HorizonLabel)  # the table is derived for nothing else
        assert isinstance(problem.spine, Every)
        self._problem, self._label, self._spine = problem, problem.label_expression, problem.spine
        self._versions = versions
        self._entity, links = problem.label_entity(self._label)
        self._table = problem.entity_set.table(self._label.table)
        self._columns = (links[0], *([self._table.time] if self._table.time else []), *self._label.columns)
        self._link = links[0]

    def rows(self) -> list[Row]:
        """All versions, in the order in which they become known."""
        name = self._problem.spine_table.keys[0]
        rows: list[dict[str, Any]] = []
        for key, cutoff in sorted(self._pairs(), key=lambda pair: (pair[1], pair[0])):
            before = None
            for at in self._instants(cutoff):
                label = self._label_at(key, cutoff, at)
                if label != before:
                    row = {name: key, DUE: from_us(cutoff), PAST_LABEL: label, LABEL_KNOWN: from_us(at)}
                    rows.append(row | {"_arrival": BEFORE_ALL})
                before = label
        rows.sort(key=lambda row: row[LABEL_KNOWN])
        return [row | {"_order": rank} for rank, row in enumerate(rows)]

    def _pairs(self) -> set[tuple[Any, int]]:
        """Each key with every multiple of the step until `within` after a row of it became known."""
        table, step = self._problem.entity_set.table(self._spine.active), self._spine.step_us
        link = self._problem.schedule_link(self._spine)
        pairs = set()
        for row in self._versions(table):
            known = self._known(table, (*table.keys, link), row)
            if row[link] is not None and known < NEVER:
                first, last = known // step + 1, (known + self._spine.within_us) // step
                pairs |= {(row[link], due * step) for due in range(first, last + 1)}
        return pairs

    def _instants(self, cutoff: int) -> list[int]:
        """The label's maturity, and each later instant at which anything at all becomes known."""
        mature = cutoff + self._label.horizon_us + self._delay_us()
        table, later = self._table, {mature}
        for row in self._versions(table):
            later |= {self._known(table, table.keys, row), self._known(table, self._columns, row)}
        if self._label.until is not None and self._entity.parent is not None:
            parent = self._problem.entity_set.table(self._entity.parent[0])
            for row in self._versions(parent):
                later |= {self._known(parent, parent.keys, row)}
                later |= {self._known(parent, (*parent.keys, self._label.until), row)}
        return sorted(at for at in later if mature <= at < NEVER)

    def _delay_us(self) -> int:
        """How long after its event a row of the label's table is known, by the declaration (us)."""
        expressions = clock(self._problem, self._table, self._columns)
        late = max((item.offset_us for item in expressions if item.column == self._table.time), default=0)
        return max(0, late) + period_delay_us(self._table.resolution, self._table.tz)

    def _known(self, table: Table, columns: tuple[str, ...], row: Row) -> int:
        return known_from(table, clock(self._problem, table, columns), row)

    def _read(self, table: Table, column: str, row: Row) -> Any:
        return read_column(self._problem, table, column, row)

    def _label_at(self, key: Any, cutoff: int, at: int) -> Any:
        """The label as known at an instant; None where it is not."""
        table, end = self._table, cutoff + self._label.horizon_us
        observations: list[tuple[int, Any]] = []
        for event, row in sorted(self._events(table, key, at), key=lambda item: (item[0], item[1]["_order"])):
            if cutoff <= event < end:
                if self._known(table, self._columns, row) > at:
                    return None
                if self._holds(table, row):
                    observations.append((event, self._read(table, self._label.of, row) if self._label.of else True))
        return None if self._observed_until(key, at) < end else self._value(observations)

    def _events(self, table: Table, key: Any, at: int) -> list[tuple[int, Row]]:
        rows = [row for row in self._latest(table, at) if row[self._link] == key]
        events = [(self._read(table, str(table.time), row), row) for row in rows]
        return [(event, row) for event, row in events if event is not None]

    def _latest(self, table: Table, at: int) -> list[Row]:
        """Of each row the version appended last among those that have come."""
        latest: dict[tuple[Any, ...], Row] = {}
        for row in self._versions(table):
            if self._known(table, table.keys, row) <= at:
                latest[tuple(row[name] for name in table.keys)] = row
        return list(latest.values())

    def _holds(self, table: Table, row: Row) -> bool:
        where = self._label.where
        if where is None:
            return True
        value = self._read(table, where.column, row)
        return value is not None and bool(OPERATORS[where.operator](value, where.value))

    def _observed_until(self, key: Any, at: int) -> int:
        """Until when the entity is observed, as known at an instant (us)."""
        if self._label.until is None or self._entity.parent is None:
            return NEVER
        table = self._problem.entity_set.table(self._entity.parent[0])
        own = [row for row in self._latest(table, at) if row[self._entity.parent[1]] == key]
        settled = [row for row in own if self._known(table, (*table.keys, self._label.until), row) <= at]
        until = self._read(table, self._label.until, settled[0]) if settled else None
        return NEVER if until is None else int(until)

    def _value(self, observations: Observations) -> Any:
        value = AGGREGATION_TWINS[self._label.primitive](observations)
        if value is None or not self._label.operator:
            return value
        return bool(OPERATORS[self._label.operator](value, self._label.value))
