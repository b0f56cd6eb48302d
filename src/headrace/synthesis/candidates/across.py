"""Candidates that go up and down again: aggregates of what the rows that share a parent with a row say.

    carrier.MEAN(flights.tailnum.MEAN(flights.arr_delay by tailnum), 2h by carrier)

Such a value changes with every row that shares the parent (`plan.fans_out`), so it is evaluated for every row in a
query's lookback. The number of these is estimated before anything is computed, from how often each key occurs; a
feature is a candidate over the longest lookback within MOST_PAIRS pairs, or, if there is none, not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.schema import Entity, Every, Problem, Table
from headrace.synthesis.candidates.spans import every_span
from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import ARRIVAL, Kinds, aggregated_columns, aggregated_tables, known_at_cutoff
from headrace.synthesis.language.definitions import Aggregate
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import read_columns
from headrace.synthesis.language.values import Ints

#: (query, row) pairs of one feature. One costs about a microsecond.
MOST_PAIRS = 2_000_000
_INNER = {"numeric": "mean", "boolean": "percent_true"}


@dataclass(frozen=True, kw_only=True)
class Across:
    """A feature that goes up and down again.

    Attributes:
        definition: over the longest lookback within the limit, or over the shortest.
        pairs: estimated number of (query, row) pairs that are evaluated.
    """

    definition: Aggregate
    pairs: float

    @property
    def is_candidate(self) -> bool:
        """Whether the pairs are within the limit."""
        return self.pairs <= MOST_PAIRS


def across_definitions(problem: Problem, kinds: Kinds, tables: Tables) -> tuple[Across, ...]:
    """All features of this sort where the problem's depth is 2 or more."""
    if problem.deepest < 2:
        return ()
    features: list[Across] = []
    for entity in problem.all_entities:
        for table, keys in aggregated_tables(problem, entity):
            values = list(_values(problem, kinds, table, keys))
            if values:
                spans = _estimated_pairs(problem, entity, table, keys, tables)
                lookback_us, pairs = next((item for item in spans if item[1] <= MOST_PAIRS), spans[-1])
                for value in values:
                    outer = _outer(entity, table, keys, value, lookback_us)
                    features.append(Across(definition=outer, pairs=pairs))
    return tuple(features)


def _outer(entity: Entity, table: Table, keys: tuple[str, ...], value: Aggregate, lookback_us: int | None) -> Aggregate:
    return Aggregate(
        entity=entity.name,
        table=table.name,
        keys=keys,
        column="",
        primitive="mean",
        lookback_us=lookback_us,
        kind="numeric",
        value=value,
    )


def _values(problem: Problem, kinds: Kinds, table: Table, keys: tuple[str, ...]) -> Iterator[Aggregate]:
    """Means of outcomes, and counts, of the children of a row's other parents."""
    for up in problem.entity_set.parents(table.name):
        if up.child_column in keys:
            continue
        for down in problem.entity_set.children(up.parent_table):
            child, by = problem.entity_set.table(down.child_table), (down.child_column,)
            base = Aggregate(
                entity=up.child_column,
                table=child.name,
                keys=by,
                column="",
                primitive="count",
                lookback_us=None,
                kind="numeric",
            )
            yield base
            for column, kind in aggregated_columns(problem, child, by, kinds):
                given = child == problem.spine_table and known_at_cutoff(problem, column)
                if kind in _INNER and not given:
                    yield replace(base, column=column, primitive=_INNER[kind])


def _estimated_pairs(
    problem: Problem, entity: Entity, table: Table, keys: tuple[str, ...], tables: Tables
) -> list[tuple[int | None, float]]:
    """(lookback, estimated pairs), the longest lookback first: queries times rows of each key, in proportion to time.

    Queries are counted as the rows of the table that carries the entity's join keys, on a schedule once every step.
    """
    times = [] if table.row_known is None else [ARRIVAL, table.row_known.column]
    rows = read_columns(tables, table.name, [*dict.fromkeys([*keys, *times])])
    carrier = read_columns(tables, problem.carrier, entity.join_keys)
    row_codes, query_codes = encode_pairs(
        [plain(rows[name]) for name in keys], [plain(carrier[name]) for name in entity.join_keys]
    )
    many = int(max(row_codes.max(initial=-1), query_codes.max(initial=-1))) + 1
    pairs = float(np.dot(_counts(row_codes, many), _counts(query_codes, many)))
    spans = sorted(every_span(problem, table), key=lambda item: (item is not None, -(item or 0)))
    if table.row_known is None:
        return [(None, pairs)]
    span = _span_us(table, rows)
    pairs *= max(1.0, span / problem.spine.step_us) if isinstance(problem.spine, Every) else 1.0
    return [(item, pairs if item is None else pairs * min(1.0, item / span)) for item in spans]


def _counts(codes: Ints, many: int) -> npt.NDArray[np.float64]:
    return np.bincount(codes[codes >= 0], minlength=many).astype(np.float64)


def _span_us(table: Table, rows: pa.Table) -> int:
    """The time between the first and the last known row of a table, in us."""
    assert table.row_known is not None
    known = effective_known(table, (str(table.row_known),), rows)
    known = known[known < NEVER]
    return max(int(known.max() - known.min()), 1) if len(known) else 1
