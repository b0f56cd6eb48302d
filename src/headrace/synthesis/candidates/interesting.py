"""Interesting values: the conditions that `where="auto"` stands for.

Of a column of categories or truth values (except keys) with at most MOST_VALUES different values: the MOST most
frequent ones, each at least RARE of all values; of equally frequent ones those first by name. Counted over every row
of the snapshot that training sees, whatever its label.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from headrace.schema import Problem
from headrace.schema.problem import AUTO
from headrace.synthesis.language.columns import Kinds, aggregated_tables
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import read_columns
from headrace.synthesis.language.values import as_array, categories, numbers, texts

MOST_VALUES, MOST, RARE = 50, 3, 0.05


def with_interesting_values(problem: Problem, kinds: Kinds, tables: Tables) -> Problem:
    """The problem, with each "auto" of its `where` replaced by values."""
    if problem.where == AUTO:
        automatic = list(_columns(problem, kinds))
    else:
        assert not isinstance(problem.where, str)
        automatic = [name for name, values in problem.where.items() if values == AUTO]
    if not automatic:
        return problem if problem.where != AUTO else replace(problem, where={})
    frequent_values = {name: frequent(tables, name, kinds) for name in automatic}
    given = {} if isinstance(problem.where, str) else problem.where
    where = {name: frequent_values.get(name, values) for name, values in (given or frequent_values).items()}
    return replace(problem, where={name: values for name, values in where.items() if values})


def _columns(problem: Problem, kinds: Kinds) -> Iterator[str]:
    tables = [table for entity in problem.all_entities for table, _ in aggregated_tables(problem, entity)]
    derived = {item.table.name for item in problem.entity_set.derived}
    for table in dict.fromkeys(item.name for item in tables if item.name not in derived):
        for (where, column), kind in kinds.items():
            own = column in problem.entity_set.table(table).keys
            if where == table and kind in ("categorical", "boolean") and not own:
                yield f"{table}.{column}"


def frequent(tables: Tables, name: str, kinds: Kinds) -> tuple[str | float, ...]:
    """The interesting values of a column, the most frequent first; none where there are too many different ones."""
    table, column = name.split(".")
    values = as_array(read_columns(tables, table, [column])[column])
    names: list[str | float]
    if kinds[table, column] == "categorical":
        codes, sorted_names = categories(texts(values))
        names, codes = sorted_names.to_pylist(), codes[codes >= 0]
    else:
        floats = numbers(values)
        distinct, codes = np.unique(floats[~np.isnan(floats)], return_inverse=True)
        names, codes = distinct.tolist(), codes.reshape(-1)
    if len(names) > MOST_VALUES or not len(codes):
        return ()
    counts = np.bincount(codes, minlength=len(names))
    best = np.argsort(-counts, kind="stable")[:MOST]
    return tuple(names[index] for index in best if counts[index] >= RARE * len(codes))
