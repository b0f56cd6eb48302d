"""Find, in the tables of a RelBench data set, how users and items are linked, as kinds of interactions.

| kind    | rows                                                        | example (rel-f1: drivers, circuits)       |
|---------|-------------------------------------------------------------|-------------------------------------------|
| direct  | of a table with foreign keys to both                        | reviews of customers and products         |
| own     | of the items' (or users') table, with a key to the other    | posts of their owner                      |
| parent  | with a key to the users, and to rows with a key to the items | results of drivers, of races, of circuits |
| sibling | of two tables that share a parent                           | conditions and sponsors of a study        |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import BEFORE_ALL
from headrace.problems.relbench.manifest import DatasetManifest, LinkManifest
from headrace.problems.relbench.sources import as_position, as_time, read_columns, row_count
from headrace.recommendation.interactions import Interactions, Ints, interactions_of

#: Most pairs of one kind, and kinds beside the labels.
_MOST_PAIRS, _MOST_KINDS = 20_000_000, 6


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Reads key columns of the tables as positions of parent rows, -1 where there is none, and the rows' times."""

    dataset: DatasetManifest
    hidden: frozenset[tuple[str, str]]

    def rows(self, table: str) -> int:
        """The number of rows."""
        return row_count(self._path(table))

    def column(self, table: str, column: str) -> Ints:
        """Positions of parents [n]."""
        values = as_position(read_columns(self._path(table), [column])[column], str(self._path(table)))
        return np.asarray(values.fill_null(-1).to_numpy(), dtype=np.int64)

    def times(self, table: str) -> Ints:
        """When each row is known [n], us: before all, where the table has no time; never, where the row has none."""
        name = self.dataset.tables[table].time_col
        if name is None:
            return np.full(self.rows(table), BEFORE_ALL, dtype=np.int64)
        column = as_time(read_columns(self._path(table), [name])[name], str(self._path(table))).cast("int64")
        return np.asarray(column.fill_null(np.iinfo(np.int64).max).to_numpy(), dtype=np.int64)

    def links(self, table: str) -> list[tuple[str, str]]:
        """The foreign keys that may be read: (column, parent)."""
        fkeys = self.dataset.tables[table].fkeys.items()
        return [(column, parent) for column, parent in fkeys if (table, column) not in self.hidden]

    def _path(self, table: str) -> Path:
        return self.dataset.folder / "db" / f"{table}.parquet"


def relations(task: LinkManifest, dataset: DatasetManifest) -> tuple[Interactions, ...]:
    """Find the kinds of interactions beside the labels, direct ones first."""
    keys = Keys(dataset=dataset, hidden=frozenset(task.remove_columns))
    users, items = keys.rows(task.user_table), keys.rows(task.item_table)
    found: list[Interactions] = []
    for name, user, item, at in _pairs(task, keys):
        if len(found) == _MOST_KINDS:
            break
        kind = interactions_of(name, user, item, at, users, items)
        if len(kind):
            found.append(kind)
    return tuple(found)


Pairs = tuple[str, Ints, Ints, Ints]


def _pairs(task: LinkManifest, keys: Keys) -> Iterator[Pairs]:
    yield from _direct(task, keys)
    yield from _parent(task, keys)
    yield from _sibling(task, keys)


def _sides(keys: Keys, table: str, side: str) -> list[tuple[str, Ints]]:
    """Columns of a table that name rows of `side`: its foreign keys, and the row itself where it is that table."""
    columns = [(column, keys.column(table, column)) for column, parent in keys.links(table) if parent == side]
    return columns + ([("row", np.arange(keys.rows(table)))] if table == side else [])


def _direct(task: LinkManifest, keys: Keys) -> Iterator[Pairs]:
    for table in keys.dataset.tables:
        parents = {parent for _, parent in keys.links(table)} | {table}
        if not {task.user_table, task.item_table} <= parents:
            continue
        for user_name, user in _sides(keys, table, task.user_table):
            for item_name, item in _sides(keys, table, task.item_table):
                if user_name != item_name:
                    yield f"{table}.{user_name}.{item_name}", user, item, keys.times(table)


def _parent(task: LinkManifest, keys: Keys) -> Iterator[Pairs]:
    """A table with one key to the users (or items), and one to a table with a key to the others."""
    for table in keys.dataset.tables:
        for middle_name, middle in keys.links(table):
            if middle in (table, task.user_table, task.item_table):
                continue
            for near, far in ((task.user_table, task.item_table), (task.item_table, task.user_table)):
                ends = [column for column, parent in keys.links(table) if parent == near]
                through = [column for column, parent in keys.links(middle) if parent == far]
                for end in ends[:1]:
                    for link in through[:1]:
                        place = keys.column(table, middle_name)
                        reached = _take(keys.column(middle, link), place)
                        pair = (keys.column(table, end), reached)
                        user, item = pair if near == task.user_table else pair[::-1]
                        yield f"{table}.{end}.{middle}.{link}", user, item, keys.times(table)


def _sibling(task: LinkManifest, keys: Keys) -> Iterator[Pairs]:
    """Two tables with a key to the same parent: one has a key to the users, the other to the items."""
    tables = keys.dataset.tables
    for one in tables:
        for other in tables:
            shared = {parent for _, parent in keys.links(one)} & {parent for _, parent in keys.links(other)}
            for parent in sorted(shared - {task.user_table, task.item_table}):
                ends = [
                    next((column for column, to in keys.links(table) if to == side), None)
                    for table, side in ((one, task.user_table), (other, task.item_table))
                ]
                if one == other or None in ends:
                    continue
                left, right = (
                    keys.column(table, next(column for column, to in keys.links(table) if to == parent))
                    for table in (one, other)
                )
                joined = _join(left, right, keys.rows(parent))
                if joined is None:
                    continue
                first, second = joined
                at = np.maximum(keys.times(one)[first], keys.times(other)[second])
                user, item = keys.column(one, str(ends[0]))[first], keys.column(other, str(ends[1]))[second]
                yield f"{one}.{parent}.{other}", user, item, at


def _take(values: Ints, place: Ints) -> Ints:
    """Values at places [n]; -1 where the place is none."""
    valid = (place >= 0) & (place < len(values))
    return np.where(valid, values[np.where(valid, place, 0)], -1) if len(values) else np.full(len(place), -1)


def _join(left: Ints, right: Ints, parents: int) -> tuple[Ints, Ints] | None:
    """Rows of both sides with the same parent; None where there are too many."""
    order = np.argsort(right, kind="stable")
    order = order[right[order] >= 0]
    starts = np.searchsorted(right[order], np.arange(parents + 1))
    rows = np.flatnonzero((left >= 0) & (left < parents))
    sizes: NDArray[np.int64] = starts[left[rows] + 1] - starts[left[rows]]
    if not 0 < sizes.sum() <= _MOST_PAIRS:
        return None
    first = np.repeat(rows, sizes)
    within = np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return first, order[np.repeat(starts[left[rows]], sizes) + within]
