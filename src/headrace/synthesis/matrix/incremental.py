"""Update a feature matrix after a batch: compute again only what the batch can have changed.

A value at tick t depends only on what was known before t, and only on the rows of its own entity. So a row of the spine
keeps its values, bit for bit, unless a new version of a row became known before its tick and has its entity's key (or
an older version of that same row did). Stacked definitions read rows of rows: for these only the time is compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
from headrace.synthesis.language.definitions import Definition, row_columns, stored
from headrace.synthesis.language.engine import Engine, Tables
from headrace.synthesis.language.values import Flags, Ints, as_array
from headrace.synthesis.matrix.aligned import differs, places
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.matrix.slices import take_slices
from headrace.synthesis.planning.plan import Group, make_plan


class Columns(Protocol):
    """A matrix of which columns are read one by one: a table, or a file."""

    def __getitem__(self, slug: str, /) -> pa.ChunkedArray: ...


@dataclass(frozen=True, kw_only=True)
class Past:
    """An earlier matrix.

    Attributes:
        definitions: its columns.
        spine: its rows.
        matrix: its values.
    """

    definitions: tuple[Definition, ...]
    spine: pa.Table
    matrix: Columns


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The matrix of a spine, as its computed rows and the positions of all others in the earlier matrix.

    Attributes:
        definitions: its columns.
        past: the earlier matrix.
        fresh: the computed rows, of the columns that the earlier matrix has too.
        source: the position of each row of the spine [rows], among those of the earlier matrix followed by `fresh`.
        whole: all rows of the columns that the earlier matrix does not have.
    """

    definitions: tuple[Definition, ...]
    past: Past
    fresh: pa.Table
    source: Ints
    whole: pa.Table

    @property
    def again(self) -> int:
        """How many rows were computed; the others come from the earlier matrix."""
        return int(self.fresh.num_rows)

    @property
    def matrix(self) -> pa.Table:
        """The whole matrix as one table."""
        columns = {}
        for slug in (item.slug for item in self.definitions):
            if slug in self.whole.column_names:
                columns[slug] = self.whole[slug]
                continue
            both = pa.chunked_array([as_array(self.past.matrix[slug]), as_array(self.fresh[slug])])
            columns[slug] = take_slices(both, self.source).combine_chunks()
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
    """Compute what `feature_matrix` computes, from an earlier matrix.

    Args:
        problem: declares the tables, of the same types as then.
        definitions: the columns.
        spine: the rows.
        snapshot: the tables.
        news: by table the versions in the snapshot that were not there when the earlier matrix was computed.
        past: the earlier matrix.
        engine: computes what has to be computed.
    """
    place = _unchanged_positions(problem, definitions, spine, snapshot, news, past)
    known = {item.slug: item for item in past.definitions}
    shared = [item for item in definitions if known.get(item.slug) == item]
    wholly = [item for item in definitions if known.get(item.slug) != item]
    again = np.flatnonzero(place < 0)
    fresh = feature_matrix(problem, shared, spine.take(pa.array(again)), snapshot, engine)
    whole = feature_matrix(problem, wholly, spine, snapshot, engine)
    source = place.copy()
    source[again] = past.spine.num_rows + np.arange(len(again))
    return Carried(definitions=tuple(definitions), past=past, fresh=fresh, source=source, whole=whole)


def _unchanged_positions(
    problem: Problem,
    definitions: Sequence[Definition],
    spine: pa.Table,
    snapshot: Tables,
    news: Mapping[str, pa.Table],
    past: Past,
) -> Ints:
    """The position of each row of a spine in the earlier matrix [rows]; -1 where it is new or may have changed."""
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
    """Rows of a spine [rows] with a stored value that new versions of rows may have changed."""
    ticks = np.asarray(spine["tick"].to_numpy(), dtype=np.int64)
    sources = Sources(problem, snapshot)
    changed: Flags = np.zeros(spine.num_rows, dtype=np.bool_)
    for group in make_plan(problem, stored(definitions)).groups:
        derived = problem.entity_set.sources(group.table) != (group.table,)
        constant = not derived and all(group.is_constant(column_plan) for column_plan in group.columns)
        changed |= ticks > (_since_by_key(sources, group, spine, news) if constant else _since(problem, group, news))
    return changed


def _since(problem: Problem, group: Group, news: Mapping[str, pa.Table]) -> int:
    """The first arrival of a new version in the tables that a group reads, in us."""
    declared = {source for name in group.tables for source in problem.entity_set.sources(name)}
    return _first_arrival(news[name] for name in declared if name in news)


def _first_arrival(tables: Iterable[pa.Table]) -> int:
    return min((pc.min(rows[ARRIVAL]).as_py() for rows in tables if rows.num_rows), default=NEVER)


def _since_by_key(sources: Sources, group: Group, spine: pa.Table, news: Mapping[str, pa.Table]) -> Ints:
    """The instant from which a new version may change each row of the spine, in us [rows]; NEVER where none can."""
    since = np.full(spine.num_rows, NEVER, dtype=np.int64)
    new = news.get(group.table)
    if new is None or not new.num_rows:
        return since
    table = sources.problem.entity_set.table(group.table)
    rows = sources.rows(group.table)
    new_codes, row_codes = encode_pairs(
        [plain(new[column]) for column in table.keys], [plain(rows.data[column]) for column in table.keys]
    )
    by_row = _earliest(new_codes, effective_known(table, group.clock, new))
    row = np.flatnonzero(row_codes >= 0)  # every version of a row that has a new one
    codes, spine_codes = encode_pairs(
        [plain(rows.raw(column)).take(pa.array(row)) for column in group.keys],
        [plain(spine[column]) for column in group.join_keys],
    )
    by_key = _earliest(codes, by_row[row_codes[row]])
    with_key = np.flatnonzero(spine_codes >= 0)
    since[with_key] = by_key[spine_codes[with_key]]
    return since


def _earliest(codes: Ints, instants: Ints) -> Ints:
    """The earliest instant of each code in us [codes]."""
    earliest = np.full(int(codes.max(initial=-1)) + 1, NEVER, dtype=np.int64)
    np.minimum.at(earliest, codes[codes >= 0], instants[codes >= 0])
    return earliest
