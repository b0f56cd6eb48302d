"""`headrace check`: every fault of a problem that can be known before anything runs, each in one line."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.core.errors import HeadraceError
from headrace.lake.conform import check_label, conform
from headrace.pipeline.ingest import history_end
from headrace.problems.catalogue import load_problem
from headrace.schema import HorizonLabel, Problem
from headrace.search.searchers import searcher_named
from headrace.synthesis import across
from headrace.synthesis.columns import ARRIVAL, ORDER, column_kinds
from headrace.synthesis.enumerate import every_definition
from headrace.synthesis.labels import label_values, require_two_values
from headrace.synthesis.spine import build_spine


def faults(problem: Problem) -> tuple[list[str], Mapping[str, pa.Table]]:
    """What is wrong with the sources and the columns that the declaration names, and the tables that could be read."""
    found: list[str] = []
    tables: dict[str, pa.Table] = {}
    for table in problem.entity_set.tables:
        try:
            if isinstance(table.source, str) or not hasattr(table.source, "read"):
                raise HeadraceError("source was not resolved", where=table.name)
            rows = table.source.read()
            if table.name == problem.spine.table:
                check_label(problem, rows)
            tables[table.name] = conform(table, rows, allow_empty=False)
        except HeadraceError as error:
            found.append(str(error))
    found += _columns(problem, tables) or [*_foreknown(problem), *_label(problem, tables)]
    return found, tables


def _columns(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    wanted = [(r.child_table, r.child_column) for r in problem.entity_set.relationships]
    wanted += [(problem.carrier, key) for key in problem.join_keys]
    label = problem.label_expression
    if isinstance(label, HorizonLabel):
        wanted += [(label.table, column) for column in label.columns]
    else:
        wanted += [(problem.spine.table, label.column)]
    wanted += [(problem.spine.table, problem.cutoff.column)]
    return [
        f"{table}: no column {column!r}. found: {', '.join(tables[table].column_names)}."
        for table, column in dict.fromkeys(wanted)
        if table in tables and column not in tables[table].column_names
    ]


def _foreknown(problem: Problem) -> list[str]:
    """A label that its own declaration lets features of earlier rows see too soon."""
    if not problem.label_is_foreknown:
        return []
    column = problem.label_expression.column
    return [
        f"{problem.spine.table}.{column}: the label is declared as known at its cutoff. "
        f'say when its answer comes, as in known_at={{"{column}": "{problem.cutoff.column} + 3d"}}.'
    ]


def _label(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """What keeps the label from being learnt: it cannot be read, nowhere has a value, or is the same everywhere."""
    try:
        if isinstance(problem.label_expression, HorizonLabel):
            _horizon(problem, tables)
        elif problem.spine.table in tables:
            values = label_values(problem, tables[problem.spine.table])
            require_two_values(problem, values[~np.isnan(values)])
    except HeadraceError as error:
        return [str(error)]
    return []


def _horizon(problem: Problem, tables: Mapping[str, pa.Table]) -> None:
    """Raises for a label with a horizon that has no value, or one only, by the end of what the sources tell."""
    if len(tables) == len(problem.entity_set.tables):  # a source that cannot be read is told already
        until = history_end(problem, {name: tables[name] for name in problem.history_tables})
        spine = build_spine(problem, _Read(tables), end_us=until, now_us=until)
        require_two_values(problem, spine["label"].drop_null().to_numpy())


class _Read:
    """Tables as a bootstrap load would bring them into the lake, which is not there yet."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def table(self, name: str) -> pa.Table:
        rows = self._tables[name]
        come = pa.array(np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64))
        order = pa.array(np.arange(rows.num_rows, dtype=np.int64))
        return rows.append_column(ARRIVAL, come).append_column(ORDER, order)


def _offered(problem: Problem, tables: Mapping[str, pa.Table]) -> str:
    """How many features would be tried, what the cap cuts, and what the paths that go up and down again would cost."""
    schemas, rows = {name: table.schema for name, table in tables.items()}, _Read(tables)
    every, cap = len(every_definition(problem, schemas, rows)), problem.max_candidates
    said = f"{min(every, cap)} candidate features"
    said += f" ({every - cap} more are cut by max_candidates={cap})" if every > cap else ""
    up_and_down = across.across_definitions(problem, column_kinds(problem, schemas), rows)
    left = [item for item in up_and_down if not item.offered]
    if up_and_down:
        most = max((item.asked for item in up_and_down if item.offered), default=0.0)
        offered = len(up_and_down) - len(left)
        said += f"\n{offered} go up and down again, for which up to {most:,.0f} rows are asked each"
    if left:
        least = min(left, key=lambda item: item.asked)
        said += f"; {len(left)} are left out, for they would ask more than {across.MOST_ASKED:,},"
        said += f" as {least.definition.name} {least.asked:,.0f}"
    return said


def check_problem(reference: str) -> None:
    """Print the verdict; exit code 1 when there is a fault."""
    problem = load_problem(reference)
    searcher_named(problem.searcher)
    found, tables = faults(problem)
    for fault in found:
        print(f"fault: {fault}")
    if found:
        sys.exit(1)
    offered = _offered(problem, tables)
    for name, table in tables.items():
        print(f"{name}: {table.num_rows} rows, {table.num_columns} columns")
    print(f"{problem.name}: nothing wrong; {offered}")
