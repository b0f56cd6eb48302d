"""The label history of a schedule in plain Python: every cutoff's label, at every instant at which it may change.

A label changes only when something becomes known of the rows that it may read: those that in some version belong to
the key and have their event between the cutoff and the horizon's end, and the entity's own row. The versions of these
rows are found in a dictionary by key; what becomes known of other rows is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from headrace.core.calendar import period_delay_us
from headrace.core.clock import BEFORE_ALL, NEVER, from_us
from headrace.schema import DUE, Every, HorizonLabel, Problem, Table
from headrace.schema.expressions import OPERATORS
from headrace.schema.label_history import LABEL_KNOWN, PAST_LABEL
from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS
from headrace.synthesis.oracle.observations import Observations
from headrace.synthesis.oracle.reading import Row, clock, known_from, primary_key, read_column


class Version(NamedTuple):
    """A version of a row, and since when it is seen.

    Attributes:
        row: the columns.
        at: the row's time that the label asks for: of the event, or until when the entity is observed; None if missing.
        key_known_us: since when it is known that there is this version.
        known_us: since when the columns are known that the label reads.
    """

    row: Row
    at: Any
    key_known_us: int
    known_us: int


#: All versions of one row, in the order of appending.
Versions = list[Version]


class LabelHistory:
    """The label history of a problem: a schedule with a label.

    Args:
        problem: the schedule.
        versions: all versions of a declared table's rows, in the order of appending.
    """

    def __init__(self, problem: Problem, versions: Callable[[Table], Sequence[Row]]) -> None:
        assert isinstance(problem.label_expression, HorizonLabel)  # the table is derived for nothing else
        assert isinstance(problem.spine, Every)
        self._problem, self._label, self._spine = problem, problem.label_expression, problem.spine
        self._versions = versions
        self._entity, links = problem.label_entity(self._label)
        self._table = problem.entity_set.table(self._label.table)
        self._columns = (links[0], *([self._table.time] if self._table.time else []), *self._label.columns)
        self._link = links[0]

    def rows(self, keys: Sequence[Any] | None = None) -> list[Row]:
        """All versions of the rows of some keys, in the order in which they become known; of all keys by default."""
        name = self._problem.spine_table.keys[0]
        found = self._active if keys is None else {key: self._active.get(key, []) for key in keys}
        pairs = [(cutoff, key) for key, known in found.items() for cutoff in self._cutoffs(known)]
        inside = {key: self._rows_inside(key) for key in found}
        rows: list[dict[str, Any]] = []
        for cutoff, key in sorted(pairs):
            before, read = None, inside[key].get(cutoff, [])
            for at in self._instants(key, cutoff, read):
                label = self._label_at(key, cutoff, read, at)
                if label != before:
                    row = {name: key, DUE: from_us(cutoff), PAST_LABEL: label, LABEL_KNOWN: from_us(at)}
                    rows.append(row | {"_arrival": BEFORE_ALL})
                before = label
        rows.sort(key=lambda row: row[LABEL_KNOWN])
        return [row | {"_order": rank} for rank, row in enumerate(rows)]

    @cached_property
    def _active(self) -> dict[Any, list[int]]:
        """By key: since when each row is known that makes the key active (us)."""
        table = self._problem.entity_set.table(self._spine.active)
        link = self._problem.schedule_link(self._spine)
        known_times = clock(self._problem, table, (*table.keys, link))
        by_key: dict[Any, list[int]] = {}
        for row in self._versions(table):
            if row[link] is not None:
                by_key.setdefault(row[link], []).append(known_from(table, known_times, row))
        return by_key

    def _cutoffs(self, active: Sequence[int]) -> set[int]:
        """Every multiple of the step until `within` after a row of the key became known."""
        step, cutoffs = self._spine.step_us, set()
        for known in active:
            if known < NEVER:
                first, last = known // step + 1, (known + self._spine.within_us) // step
                cutoffs |= {due * step for due in range(first, last + 1)}
        return cutoffs

    @cached_property
    def _events(self) -> dict[Any, list[Versions]]:
        """By key: the versions of each row that belongs to it in some version."""
        return self._by_key(self._table, self._link, str(self._table.time), self._columns)

    @cached_property
    def _entities(self) -> dict[Any, list[Versions]]:
        """By key: the versions of the entity's own row, where it tells until when the entity is observed."""
        if self._label.until is None or self._entity.parent is None:
            return {}
        name, link = self._entity.parent
        table = self._problem.entity_set.table(name)
        return self._by_key(table, link, self._label.until, (*table.keys, self._label.until))

    def _by_key(self, table: Table, link: str, time: str, columns: tuple[str, ...]) -> dict[Any, list[Versions]]:
        keys, known = clock(self._problem, table, table.keys), clock(self._problem, table, columns)
        by_row: dict[tuple[Any, ...], Versions] = {}
        for row in self._versions(table):
            at = read_column(self._problem, table, time, row)
            version = Version(row, at, known_from(table, keys, row), known_from(table, known, row))
            by_row.setdefault(primary_key(table, row), []).append(version)
        by_key: dict[Any, list[Versions]] = {}
        for versions in by_row.values():
            for key in {version.row[link] for version in versions}:
                by_key.setdefault(key, []).append(versions)
        return by_key

    def _rows_inside(self, key: Any) -> dict[int, list[Versions]]:
        """By cutoff: the rows of a key that have their event in [cutoff, cutoff + horizon) in some version."""
        step, horizon = self._spine.step_us, self._label.horizon_us
        inside: dict[int, list[Versions]] = {}
        for versions in self._events.get(key, []):
            events = {version.at for version in versions if version.at is not None}
            for due in {due for at in events for due in range((at - horizon) // step + 1, at // step + 1)}:
                inside.setdefault(due * step, []).append(versions)
        return inside

    def _instants(self, key: Any, cutoff: int, read: list[Versions]) -> list[int]:
        """The label's maturity, and each later instant at which anything becomes known of the rows that it reads."""
        mature = cutoff + self._label.horizon_us + self._delay_us()
        later = {mature}
        for versions in (*read, *self._entities.get(key, [])):
            for version in versions:
                later |= {version.key_known_us, version.known_us}
        return sorted(at for at in later if mature <= at < NEVER)

    def _delay_us(self) -> int:
        """How long after its event a row of the label's table is known, by the declaration (us)."""
        expressions = clock(self._problem, self._table, self._columns)
        late = max((item.offset_us for item in expressions if item.column == self._table.time), default=0)
        return max(0, late) + period_delay_us(self._table.resolution, self._table.tz)

    def _label_at(self, key: Any, cutoff: int, read: list[Versions], at: int) -> Any:
        """The label as known at an instant; None where it is not."""
        observations: list[tuple[int, Any]] = []
        end = cutoff + self._label.horizon_us
        own = [item for item in _latest(read, at) if item.row[self._link] == key and item.at is not None]
        for item in sorted(own, key=lambda item: (item.at, item.row["_order"])):
            if not cutoff <= item.at < end:
                continue
            if item.known_us > at:
                return None
            if self._holds(item.row):
                observations.append((item.at, self._read(self._label.of, item.row) if self._label.of else True))
        return None if self._observed_until(key, at) < end else self._value(observations)

    def _read(self, column: str, row: Row) -> Any:
        return read_column(self._problem, self._table, column, row)

    def _holds(self, row: Row) -> bool:
        where = self._label.where
        if where is None:
            return True
        value = self._read(where.column, row)
        return value is not None and bool(OPERATORS[where.operator](value, where.value))

    def _observed_until(self, key: Any, at: int) -> int:
        """Until when the entity is observed, as known at an instant (us)."""
        settled = [item for item in _latest(self._entities.get(key, []), at) if item.known_us <= at]
        return NEVER if not settled or settled[0].at is None else int(settled[0].at)

    def _value(self, observations: Observations) -> Any:
        value = AGGREGATION_TWINS[self._label.primitive](observations)
        if value is None or not self._label.operator:
            return value
        return bool(OPERATORS[self._label.operator](value, self._label.value))


def _latest(rows: list[Versions], at: int) -> Versions:
    """Of each row the version appended last among those that have come."""
    come = [[version for version in versions if version.key_known_us <= at] for versions in rows]
    return [versions[-1] for versions in come if versions]
