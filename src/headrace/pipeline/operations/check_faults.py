"""Faults of a problem that can be known before anything runs: of its sources, its columns and its label."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headrace.core.clock import iso
from headrace.core.errors import HeadraceError
from headrace.lake.table_faults import table_faults
from headrace.pipeline.operations.check_rows import SourceTables, mature_rows
from headrace.problems.sources.reading import SourceReader
from headrace.schema import HorizonLabel, Problem, Relationship
from headrace.synthesis.history.joins import Join, check_joins
from headrace.synthesis.history.labels import require_two_values
from headrace.synthesis.spine.build import check_cutoff


def faults(problem: Problem) -> tuple[list[str], Mapping[str, pa.Table]]:
    """Return the faults of a problem's sources and columns, and the tables that could be read."""
    messages: list[str] = []
    tables: dict[str, pa.Table] = {}
    sources = SourceReader.of(problem)
    for table in problem.entity_set.tables:
        try:
            found, converted = table_faults(problem, table, sources.rows(table))
        except HeadraceError as error:
            messages.append(str(error))
            continue
        messages += found
        if converted is not None:
            tables[table.name] = converted
    absent = _columns(problem, tables)
    messages += [
        *absent,
        *_unknown_columns(problem, tables),
        *_label_time_faults(problem, tables.get(problem.spine.table)),
    ]
    if not absent:
        messages += _column_faults(problem, tables) or ([] if messages else _label(problem, tables))
    return messages, tables


def _columns(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    required = [(r.child_table, r.child_column) for r in problem.entity_set.relationships]
    required += [(problem.carrier, key) for key in problem.join_keys]
    label = problem.label_expression
    if isinstance(label, HorizonLabel):
        required += [(label.table, column) for column in label.columns]
    else:
        required += [(problem.spine.table, label.column)]
    required += [(problem.spine.table, problem.cutoff.column)]
    return [
        f"{table}: no column {column!r}. found: {', '.join(tables[table].column_names)}."
        for table, column in dict.fromkeys(required)
        if table in tables and column not in tables[table].column_names
    ]


def _label_time_faults(problem: Problem, spine: pa.Table | None) -> list[str]:
    """Return a fault where the label is declared as known at its cutoff."""
    column = problem.label_expression.column
    if not problem.label_is_foreknown or (spine is not None and column not in spine.column_names):
        return []
    return [
        f"{problem.spine.table}.{column}: the label is declared as known at its cutoff. "
        f'say when its answer comes, as in known_at={{"{column}": "{problem.cutoff.column} + 3d"}}.'
    ]


def _label(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return a fault where the label cannot be computed, has no value, or is constant."""
    horizon = isinstance(problem.label_expression, HorizonLabel)
    needed = len(tables) == len(problem.entity_set.tables) if horizon else problem.spine.table in tables
    if not needed:
        return []  # a source that cannot be read is reported already
    try:
        require_two_values(problem, mature_rows(problem, tables)["label"].to_numpy())
    except HeadraceError as error:
        feed = problem.feed
        return [
            str(error) if feed is None else f"{error} that is of what was known before the feed, {iso(feed.start_us)}."
        ]
    return []


def _unknown_columns(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return faults of columns in bounds and roles that their table does not have."""
    return [
        f"{table.name}: {field}: no column {column!r}. found: {', '.join(tables[table.name].column_names)}."
        for table in problem.entity_set.tables
        for field, columns in (("bounds", table.bounds), ("roles", table.roles))
        for column in columns
        if table.name in tables and column not in tables[table.name].column_names
    ]


def _column_faults(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return faults of a cutoff that is no time, and of relationships through which no row finds its parent."""
    faults = []
    try:
        if problem.spine.table in tables:
            check_cutoff(problem, tables[problem.spine.table].schema)
    except HeadraceError as error:
        faults.append(str(error))
    for item in problem.entity_set.relationships:
        if item.parent_table in tables and item.child_table in tables:
            try:
                faults += [join.message for join in _joins(problem, item, tables) if join.is_fault]
            except HeadraceError as error:
                faults.append(str(error))
    return faults


def _joins(problem: Problem, item: Relationship, tables: Mapping[str, pa.Table]) -> tuple[Join, ...]:
    return check_joins(problem, SourceTables(tables), (item,))
