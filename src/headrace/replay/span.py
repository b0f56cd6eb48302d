"""The span of a problem's sources: where its history begins, the last cutoff with a label, where all is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.core.clock import BEFORE_ALL, NEVER
from headrace.lake import known_times
from headrace.lake.conform import conform, ignored_columns, required_columns
from headrace.pipeline.production.intake import history_end
from headrace.problems.sources.reading import SourceReader
from headrace.schema import Every, HorizonLabel, Problem


@dataclass(frozen=True, kw_only=True)
class Span:
    """Instants of a problem's sources, microseconds UTC.

    Attributes:
        first_us: The first cutoff (of a schedule: the first row of its active table), or where a later one of the
            tables of the spine and the label begins: production cannot start while one of them is empty.
        last_us: Rows with later cutoffs have no label.
        known_us: Everything in the sources is known before.
    """

    first_us: int
    last_us: int
    known_us: int


def source_span(problem: Problem) -> Span:
    """Read the span from the sources of the tables that the spine and the label need."""
    rows = {name: _rows(problem, name) for name in problem.history_tables}
    end = history_end(problem, rows)
    spine = problem.spine
    if isinstance(spine, Every):
        cutoffs = known_times.row_known(problem.entity_set.table(spine.active), rows[spine.active])
    else:
        cutoffs = known_times.instants(problem.entity_set.table(spine.table), rows[spine.table], problem.cutoff)
    cutoffs = cutoffs[(cutoffs > BEFORE_ALL) & (cutoffs < NEVER)]
    label = problem.label_expression
    last = end - label.horizon_us if isinstance(label, HorizonLabel) else int(np.minimum(cutoffs.max() + 1, end))
    return Span(first_us=max(int(cutoffs.min()), *_beginnings(problem, rows)), last_us=last, known_us=end)


def _beginnings(problem: Problem, rows: Mapping[str, pa.Table]) -> list[int]:
    known = (known_times.row_known(problem.entity_set.table(name), table) for name, table in rows.items())
    return [int(instants.min()) for instants in known if len(instants)]


def _rows(problem: Problem, name: str) -> pa.Table:
    table = problem.entity_set.table(name)
    rows = SourceReader.of(problem).rows(table)
    return conform(table, rows, required=required_columns(problem, name), ignored=ignored_columns(problem, table))
