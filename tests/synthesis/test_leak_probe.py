"""The leak probe, on real data: everything known at or after an instant is changed, and no feature before it moves.

Changed is: every value that was known then or later (instants only ever to a later one, for they say when values are
known), a third of the rows that came then or later is dropped, and a third of all older rows gets a version that
arrives then or later and says something else everywhere. Rows asked at cutoffs up to that very instant must be the
same, and each of their features bit for bit. That the probe sees anything at all is tested too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace.core.clock import BEFORE_ALL, DAY, HOUR, NEVER, to_us
from headrace.lake import known_times
from headrace.lake.conform import conform
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem, Table
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.language.columns import ARRIVAL, ORDER
from headrace.synthesis.matrix.matrix import feature_matrix
from headrace.synthesis.spine.build import SPINE_COLUMNS, build_spine


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A problem, an instant near which it is asked, and how far around it data are taken (us).

    of: the column of which every tenth value is taken.
    """

    name: str
    at: str
    before: int = 9_000 * DAY
    after: int
    before_us: int
    of: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> Problem:
        return replace(load_problem(self.name), **self.more)


PROBES = (
    Probe(name="flights", at="2013-01-11T17:00:01Z", after=4 * DAY, before_us=6 * HOUR),
    Probe(
        name="flights",
        at="2013-01-08T13:00:01Z",
        after=2 * DAY,
        before_us=3 * HOUR,
        more={"depth": 2, "groupby": ("flights.tailnum",), "where": {"flights.origin": ("JFK",)}},
    ),
    Probe(name="nafld", at="1999-08-01", after=900 * DAY, before_us=400 * DAY, of="id"),
    Probe(name="nafld", at="2003-08-01", after=900 * DAY, before_us=200 * DAY, of="id"),
)


class World:
    """Tables as the lake tells them, rows in the order in which they came."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def table(self, name: str) -> pa.Table:
        rows = self._tables[name]
        return rows.append_column(ORDER, pa.array(np.arange(rows.num_rows)))


def loaded(probe: Probe) -> dict[str, pa.Table]:
    """The tables around the probe's instant, as a bootstrap load brings them."""
    found, at = {}, to_us(probe.at)
    for table in probe.problem.entity_set.tables:
        rows = conform(table, table.source.read())  # type: ignore[union-attr]
        if table.time is not None:
            event = rows[table.time].cast(pa.int64()).to_numpy()
            rows = rows.filter(pa.array((event > at - probe.before) & (event < at + probe.after)))
        if probe.of:
            rows = rows.filter(pa.array(rows[probe.of].to_numpy() % 10 == 0))
        found[table.name] = rows.append_column(ARRIVAL, pa.array(np.full(rows.num_rows, BEFORE_ALL)))
    return found


def changed(problem: Problem, table: Table, rows: pa.Table, instant: int, rng: np.random.Generator) -> pa.Table:
    """Rows after a world that goes on otherwise from an instant."""
    row_known = known_times.row_known(table, rows)
    later = known_times.later_columns(table)
    changed = rows
    for name in (item for item in rows.column_names if item not in (*table.keys, ARRIVAL)):
        seen = np.maximum(known_times.instants(table, rows, later[name]) if name in later else row_known, row_known)
        changed = other_values(changed, name, seen >= instant, rng)
    changed = changed.filter(pa.array((row_known < instant) | (rng.uniform(size=len(row_known)) < 2 / 3)))
    corrected = rows.filter(pa.array((row_known < instant) & (rng.uniform(size=len(row_known)) < 1 / 3)))
    asked_at = problem.cutoff.column if table.name == problem.spine.table else None  # moved, it is another question
    for name in (item for item in rows.column_names if item not in (*table.keys, ARRIVAL, asked_at)):
        corrected = other_values(corrected, name, np.ones(corrected.num_rows, dtype=np.bool_), rng, earliest=-30 * DAY)
    arrival = instant + rng.integers(0, 3, corrected.num_rows) * HOUR
    place = corrected.column_names.index(ARRIVAL)
    return pa.concat_tables([changed, corrected.set_column(place, ARRIVAL, pa.array(arrival))])


def other_values(
    rows: pa.Table, name: str, which: np.ndarray, rng: np.random.Generator, *, earliest: int = 0
) -> pa.Table:
    """Rows with other values in a column where `which`: shuffled, shifted, missing or there."""
    column = rows[name].combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type):
        shift = rng.integers(earliest, 30 * DAY, len(column))
        other = pc.add(column.cast(pa.int64()).fill_null(NEVER // 2), pa.array(shift))
        other = other.cast(column.type)
    else:
        other = column.take(pa.array(rng.permutation(len(column))))
        if pa.types.is_boolean(column.type):
            other = pc.invert(other)
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            other = pc.add(other, pa.scalar(3, column.type))
        other = pc.if_else(pa.array(rng.uniform(size=len(column)) < 0.2), pa.scalar(None, column.type), other)
    return rows.set_column(rows.column_names.index(name), name, pc.if_else(pa.array(which), other, column))


def seen(probe: Probe, tables: Mapping[str, pa.Table], until: int) -> tuple[pa.Table, pa.Table]:
    """Spine rows of a while up to and with an instant, without labels, and their features."""
    problem, world = probe.problem, World(tables)
    definitions = enumerate_definitions(problem, {name: rows.schema for name, rows in tables.items()})
    spine = build_spine(
        problem,
        world,
        start_us=until - probe.before_us,
        end_us=until + 1,
        now_us=until + probe.after,
        engine=LocalEngine(),
    )
    given = [name for name in spine.column_names if name not in SPINE_COLUMNS] + ["cutoff", "tick"]
    return spine.select(given), feature_matrix(problem, definitions, spine, world, LocalEngine())


def differing(one: pa.Table, other: pa.Table) -> list[str]:
    """Names of columns that are not bit for bit the same."""
    assert one.column_names == other.column_names
    return [
        name for name in one.column_names if not same_bits(one[name].combine_chunks(), other[name].combine_chunks())
    ]


def same_bits(one: pa.Array, other: pa.Array) -> bool:
    if not pa.types.is_floating(one.type):
        return bool(one.equals(other))
    numbers = [each.to_numpy(zero_copy_only=False).view(np.int64) for each in (one, other)]
    return bool(one.is_null().equals(other.is_null()) and np.array_equal(*numbers))


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: f"{probe.name}-{probe.at[:10]}")
def test_what_is_known_at_or_after_a_cutoff_changes_no_feature(probe: Probe) -> None:
    problem, tables, rng = probe.problem, loaded(probe), np.random.default_rng(0)
    until = to_us(probe.at)
    instant = build_spine(problem, World(tables), end_us=until, now_us=until, engine=LocalEngine())["cutoff"][
        -1
    ].as_py()

    def other_from(instant: int) -> dict[str, pa.Table]:
        tabled = {table.name: table for table in problem.entity_set.tables}
        return {name: changed(problem, tabled[name], rows, instant, rng) for name, rows in tables.items()}

    spine, features = seen(probe, tables, instant)
    spine_after, features_after = seen(probe, other_from(instant), instant)
    assert (spine.num_rows > 100, spine["cutoff"][-1].as_py()) == (True, instant)
    assert spine.equals(spine_after)
    assert differing(features, features_after) == []
    sooner = seen(probe, other_from(instant - probe.before_us), instant)[1]
    assert len(differing(features, sooner)) > features.num_columns / 2  # the probe is not blind
