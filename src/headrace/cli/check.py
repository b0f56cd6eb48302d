"""`headrace check`: every fault of a problem that can be known before anything runs, each in one line."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from headrace.core.errors import HeadraceError
from headrace.lake.conform import check_label, conform
from headrace.problems.catalogue import load_problem
from headrace.schema import HorizonLabel, Problem
from headrace.search.searchers import searcher_named
from headrace.synthesis.enumerate import enumerate_definitions
from headrace.synthesis.labels import label_values, require_two_values


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
    found += _columns(problem, tables) or _label(problem, tables)
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


def _label(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """What keeps the label from being learnt: it cannot be read, nowhere has a value, or is the same everywhere."""
    if isinstance(problem.label_expression, HorizonLabel) or problem.spine.table not in tables:
        return []  # a label with a horizon needs the history's end, which ingest tells
    try:
        values = label_values(problem, tables[problem.spine.table])
        require_two_values(problem, values[~np.isnan(values)])
    except HeadraceError as error:
        return [str(error)]
    return []


def check_problem(reference: str) -> None:
    """Print the verdict; exit code 1 when there is a fault."""
    problem = load_problem(reference)
    searcher_named(problem.searcher)
    found, tables = faults(problem)
    for fault in found:
        print(f"fault: {fault}")
    if found:
        sys.exit(1)
    definitions = enumerate_definitions(problem, {name: table.schema for name, table in tables.items()})
    for name, table in tables.items():
        print(f"{name}: {table.num_rows} rows, {table.num_columns} columns")
    print(f"{problem.name}: nothing wrong; {len(definitions)} candidate features")
