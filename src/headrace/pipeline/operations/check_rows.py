"""The rows that a first run would see, of tables that are not in the lake yet."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL
from headrace.lake.feed import known_before
from headrace.pipeline.production.intake import history_end
from headrace.schema import Problem
from headrace.synthesis.engines import engine_of
from headrace.synthesis.language.columns import ARRIVAL, ORDER
from headrace.synthesis.spine.build import build_spine


def mature_rows(problem: Problem, tables: Mapping[str, pa.Table]) -> pa.Table:
    """Return the training rows of a first run."""
    if problem.feed is not None:
        start = problem.feed.start_us
        tables = {name: known_before(problem.entity_set.table(name), rows, start) for name, rows in tables.items()}
    until = first_history_end(problem, tables)
    spine = build_spine(problem, SourceTables(tables), end_us=until, now_us=until, engine=engine_of(problem))
    return spine.filter(spine["mature"])


def first_history_end(problem: Problem, tables: Mapping[str, pa.Table]) -> int:
    """Return the end of the history of a first run: the start of the feed, else the end of the sources."""
    if problem.feed is not None:
        return problem.feed.start_us
    return history_end(problem, {name: tables[name] for name in problem.history_tables})


class SourceTables:
    """The tables as a bootstrap load would bring them into the lake."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = tables

    def table(self, name: str) -> pa.Table:
        """Return the rows of a table, all known before everything."""
        rows = self._tables[name]
        come = pa.array(np.full(rows.num_rows, BEFORE_ALL, dtype=np.int64))
        order = pa.array(np.arange(rows.num_rows, dtype=np.int64))
        return rows.append_column(ARRIVAL, come).append_column(ORDER, order)
