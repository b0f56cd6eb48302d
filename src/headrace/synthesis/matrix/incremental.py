"""A feature matrix carried over: after a batch, only what the batch can have changed is computed again.

A value at tick t depends on what was known before t alone, and among that on the rows of its own entity. So a row of
the spine keeps its values, bit for bit, unless a new version of a row became known before its tick and names its entity
(or an older version of that same row did). What is stacked sees rows of rows: there only the time is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import NEVER
from headrace.schema import Problem
from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.columns import ARRIVAL
from headrace.synthesis.language.definitions import (
    Aggregate,
    Definition,
    Direct,
    Grouped,
    Transform,
    row_columns,
    stored,
)
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.inputs import hops, relative
from headrace.synthesis.language.values import Flags, Ints, as_array
from headrace.synthesis.matrix.aligned import differs, places
from headrace.synthesis.matrix.laid import laid
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.planning.plan import Group, make_plan


class Columns(Protocol):
    """A matrix of which columns are read one by one: a table, or a file."""

    def __getitem__(self, slug: str, /) -> pa.ChunkedArray: ...


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was computed before: definitions, the spine's rows, and their matrix [rows]."""

    definitions: tuple[Definition, ...]
    spine: pa.Table
    matrix: Columns


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The matrix of a spine [rows], as what is new of it and where the rest stands.

    fresh: the rows that were computed. source: where each row of the spine stands, among those of the past, then the
    fresh ones. whole: the columns that the past does not have.
    """

    definitions: tuple[Definition, ...]
    past: Past
    fresh: pa.Table
    source: Ints
    whole: pa.Table

    @property
    def again(self) -> int:
        """How many rows were computed; the others are taken over."""
        return int(self.fresh.num_rows)

    @property
    def matrix(self) -> pa.Table:
        """All of it, laid out."""
        columns = {}
        for slug in (item.slug for item in self.definitions):
            if slug in self.whole.column_names:
                columns[slug] = self.whole[slug]
                continue
            both = pa.chunked_array([as_array(self.past.matrix[slug]), as_array(self.fresh[slug])])
            columns[slug] = laid(both, self.source).combine_chunks()
        return pa.table(columns)


def carry_over(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    news: Mapping[str, pa.Table],
    past: Past,
    engine: Engine,
) -> Carried:
    """What `feature_matrix` gives, from what it gave before.

    news: by table the versions in the snapshot that were not there when the past was computed. The tables' types must
    be those of then.
    """
    place = _standing(problem, definitions, spine, snapshot, news, past)
    known = {item.slug: item for item in past.definitions}
    shared = [item for item in definitions if known.get(item.slug) == item]
    wholly = [item for item in definitions if known.get(item.slug) != item]
    again = np.flatnonzero(place < 0)
    fresh = feature_matrix(problem, shared, spine.take(pa.array(again)), snapshot, engine)
    whole = feature_matrix(problem, wholly, spine, snapshot, engine)
    source = place.copy()
    source[again] = past.spine.num_rows + np.arange(len(again))
    return Carried(definitions=tuple(definitions), past=past, fresh=fresh, source=source, whole=whole)


def _standing(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    news: Mapping[str, pa.Table],
    past: Past,
) -> Ints:
    """Where each row of a spine stands in the past [rows]; -1 where it was not there or is not what it was."""
    place = places(problem, spine, past.spine)
    ticks = np.asarray(spine["tick"].to_numpy(), dtype=np.int64)
    late = np.flatnonzero((place >= 0) & (ticks > _first_arrival(news.values())))
    changed: Flags = np.zeros(spine.num_rows, dtype=np.bool_)
    if len(late):
        changed[late] = touched(problem, definitions, spine.take(pa.array(late)), snapshot, news)
    at = pa.array(np.maximum(place, 0))
    if past.spine.num_rows:
        for name in ("tick", *problem.join_keys, *(item.column for item in row_columns(definitions))):
            changed |= differs(spine[name], past.spine[name].take(at))
    return np.where(changed, -1, place)


def touched(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    news: Mapping[str, pa.Table],
) -> Flags:
    """Rows of a spine [rows] of which a stored value may have changed by new versions of rows."""
    ticks = np.asarray(spine["tick"].to_numpy(), dtype=np.int64)
    sources = Sources(problem, snapshot)
    found: Flags = np.zeros(spine.num_rows, dtype=np.bool_)
    for group in make_plan(problem, stored(definitions)).groups:
        still = all(group.is_constant(column_plan) for column_plan in group.columns)
        found |= ticks > (_since_by_key(sources, group, spine, news) if still else _since(group, news))
    return found


def _since(group: Group, news: Mapping[str, pa.Table]) -> int:
    """The first arrival of anything new in the tables that a group reads."""
    inside = [item for column_plan in group.columns for item in column_plan.relative]
    tables = {group.table, *_hopped(group.keys), *(name for item in inside for name in _tables(item))}
    return _first_arrival(news[name] for name in tables if name in news)


def _first_arrival(tables: Iterable[pa.Table]) -> int:
    return min((pc.min(rows[ARRIVAL]).as_py() for rows in tables if rows.num_rows), default=NEVER)


def _hopped(keys: Sequence[str]) -> Iterator[str]:
    for key in keys:
        yield from (table for table, _ in hops(key)[1])


def _tables(definition: Definition) -> Iterator[str]:
    """Every table that a definition reads, however deep."""
    below: Sequence[Definition] = ()
    if isinstance(definition, Transform):
        below = definition.inputs
    elif isinstance(definition, Grouped):
        yield definition.table
        below = (definition.value,)
    elif isinstance(definition, Direct | Aggregate):
        yield definition.table
        below = relative(definition)
        if isinstance(definition, Aggregate):
            yield from _hopped(definition.keys)
    for item in below:
        yield from _tables(item)


def _since_by_key(sources: Sources, group: Group, spine: pa.Table, news: Mapping[str, pa.Table]) -> Ints:
    """Since when a new version may matter to each row of the spine [rows]; NEVER where none can."""
    since = np.full(spine.num_rows, NEVER, dtype=np.int64)
    new = news.get(group.table)
    if new is None or not new.num_rows:
        return since
    table = sources.problem.entity_set.table(group.table)
    rows = sources.rows(group.table)
    changed, mine = encode_pairs(
        [plain(new[column]) for column in table.keys], [plain(rows.data[column]) for column in table.keys]
    )
    by_row = _earliest(changed, effective_known(table, group.clock, new))
    row = np.flatnonzero(mine >= 0)  # every version of a row that has a new one
    codes, asked = encode_pairs(
        [plain(rows.raw(column)).take(pa.array(row)) for column in group.keys],
        [plain(spine[column]) for column in group.join_keys],
    )
    by_key = _earliest(codes, by_row[mine[row]])
    there = np.flatnonzero(asked >= 0)
    since[there] = by_key[asked[there]]
    return since


def _earliest(codes: Ints, instants: Ints) -> Ints:
    """The earliest instant of each code [codes]."""
    found = np.full(int(codes.max(initial=-1)) + 1, NEVER, dtype=np.int64)
    np.minimum.at(found, codes[codes >= 0], instants[codes >= 0])
    return found
