"""Reuse the label history of an earlier call, for engines that read the same or a longer history again.

A version of a past label depends only on rows that name its entity: those of the schedule's activity, of the label's
table and of the entity's own. So when tables grew at their end, the versions of entities that no new row names, now or
in an older version of that row, are those of before. Only the others are derived again. What is returned equals a full
derivation, row by row; it is no statement about a tick, because every version carries the instant since which it is
known.

The results of the last `CAPACITY` problems are held in memory, with the tables that they were derived from.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.fingerprint import fingerprint
from headrace.schema import Every, HorizonLabel, Problem
from headrace.schema.label_history import LABEL_KNOWN
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.label_history import label_history_rows
from headrace.synthesis.language.columns import ORDER
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import TablesInFiles
from headrace.synthesis.language.values import Flags

#: Problems whose label history is held, and bytes of a table of theirs, at most.
CAPACITY, LARGEST_BYTES = 2, 128 << 20


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A label history, and the tables that it was derived from by name."""

    sources: Mapping[str, pa.Table]
    rows: pa.Table


_entries: OrderedDict[str, _Entry] = OrderedDict()
_lock = threading.Lock()


def cached_label_history(problem: Problem, snapshot: Tables) -> pa.Table:
    """Return what `label_history.label_history_rows` derives.

    Safe for several threads, of which one derives at a time.
    """
    spine, label = problem.spine, problem.label_expression
    assert isinstance(spine, Every)  # the table is derived for nothing else
    assert isinstance(label, HorizonLabel)
    links = _links(problem, spine, label)
    key = _identity(problem, links)
    if any(_is_too_large(snapshot, name) for name in links):
        return label_history_rows(problem, snapshot)
    sources = {name: snapshot.table(name) for name in links}
    with _lock:
        entry = _entries.get(key)
        rows = label_history_rows(problem, snapshot) if entry is None else _updated(problem, snapshot, entry, links)
        _entries[key] = _Entry(sources=sources, rows=rows)
        _entries.move_to_end(key)
        while len(_entries) > CAPACITY:
            _entries.popitem(last=False)
    return rows


def _is_too_large(snapshot: Tables, name: str) -> bool:
    """Whether a table is not held for a later call."""
    return (
        isinstance(snapshot, TablesInFiles) and snapshot.is_large(name) and snapshot.table_bytes(name) > LARGEST_BYTES
    )


def forget() -> None:
    """Drop everything that is held, for measurements and tests."""
    with _lock:
        _entries.clear()


def _identity(problem: Problem, links: Mapping[str, tuple[str, ...]]) -> str:
    """Fingerprint of what a derivation reads of a problem, apart from rows."""
    tables = [problem.entity_set.table(name) for name in links]
    declared = [(item.name, item.keys, item.time, str(item.known), dict(item.known_at)) for item in tables]
    texts = [(name, keys, time, known, {k: str(v) for k, v in at.items()}) for name, keys, time, known, at in declared]
    return fingerprint([problem.name, repr(problem.spine), repr(problem.label_expression), links, texts])


def _updated(problem: Problem, snapshot: Tables, entry: _Entry, links: Mapping[str, tuple[str, ...]]) -> pa.Table:
    """The label history of a snapshot, from that of an entry where every table only grew at its end."""
    named: list[pa.Array] = []
    for name, columns in links.items():
        before, now = entry.sources[name], snapshot.table(name)
        if now is before:
            continue
        if not _begins_with(now, before):
            return label_history_rows(problem, snapshot)
        if now.num_rows > before.num_rows:
            named += _entities_of_new_rows(problem, name, columns, now, before.num_rows)
    if not named:
        return entry.rows
    kind = entry.rows[problem.spine_table.keys[0]].type
    changed = pc.unique(pa.concat_arrays([each.cast(kind) for each in named]).drop_null())
    again = label_history_rows(problem, _RowsOfEntities(problem, snapshot, links, changed))
    key = problem.spine_table.keys[0]
    unchanged = entry.rows.filter(pc.invert(pc.is_in(entry.rows[key], changed)))
    again = again.filter(pc.is_in(again[key], changed)).cast(unchanged.schema)
    return _in_order(pa.concat_tables([unchanged, again]), key)


def _begins_with(rows: pa.Table, first: pa.Table) -> bool:
    """Whether a table begins with the rows of another one; missing numbers are equal."""
    if rows.schema != first.schema or rows.num_rows < first.num_rows:
        return False
    pairs = zip(rows.slice(0, first.num_rows).columns, first.columns, strict=True)
    return all(
        one.equals(other)
        or (pa.types.is_floating(one.type) and np.array_equal(one.to_numpy(), other.to_numpy(), equal_nan=True))
        for one, other in pairs
    )


class _RowsOfEntities:
    """The tables of a snapshot without rows of which no version names one of some entities."""

    def __init__(
        self, problem: Problem, snapshot: Tables, links: Mapping[str, tuple[str, ...]], entities: pa.Array
    ) -> None:
        self._problem, self._snapshot, self._links, self._entities = problem, snapshot, links, entities

    def table(self, name: str) -> pa.Table:
        """The rows of a table."""
        rows = self._snapshot.table(name)
        named = np.zeros(rows.num_rows, dtype=np.bool_)
        for link in self._links[name]:
            named |= pc.is_in(plain(rows[link]).cast(self._entities.type), self._entities).to_numpy(False)
        return rows.filter(pa.array(_with_other_versions(self._problem, name, rows, named)))


def _links(problem: Problem, spine: Every, label: HorizonLabel) -> dict[str, tuple[str, ...]]:
    """The columns that name an entity, by the tables that a derivation reads."""
    entity, links = problem.label_entity(label)
    found = {spine.active: [problem.schedule_link(spine)]}
    found.setdefault(label.table, []).append(links[0])
    if label.until is not None and entity.parent is not None:
        found.setdefault(entity.parent[0], []).append(entity.parent[1])
    return {name: tuple(dict.fromkeys(columns)) for name, columns in found.items()}


def _with_other_versions(problem: Problem, name: str, rows: pa.Table, chosen: Flags) -> Flags:
    """Which rows [n] are chosen, or a version of the same row as a chosen one."""
    codes, _ = encode_rows([plain(rows[key]) for key in problem.entity_set.table(name).keys])
    return chosen | np.isin(codes, codes[chosen & (codes >= 0)])


def _entities_of_new_rows(
    problem: Problem, name: str, links: Sequence[str], rows: pa.Table, start: int
) -> list[pa.Array]:
    """The entities that rows from a position on name, and those that other versions of the same rows named."""
    named = _with_other_versions(problem, name, rows, np.arange(rows.num_rows) >= start)
    return [plain(rows[link]).filter(pa.array(named)) for link in links]


def _in_order(rows: pa.Table, key: str) -> pa.Table:
    """Rows by (known time, cutoff, key), with their positions as the order of appending."""
    by = [(LABEL_KNOWN, "ascending"), ("due", "ascending"), (key, "ascending")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=by)).combine_chunks()
    position = rows.column_names.index(ORDER)
    return rows.set_column(position, ORDER, pa.array(np.arange(rows.num_rows, dtype=np.int64)))
