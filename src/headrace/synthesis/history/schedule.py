"""The rows of a scheduled spine: every entity at every multiple of the step before which it had been active."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.schema import Every, Problem, TimeExpression
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import ARRIVAL, clock_of
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import read_in_parts, schema_of
from headrace.synthesis.language.values import Ints

_NO_INSTANTS: Ints = np.empty(0, dtype=np.int64)


def scheduled_rows(problem: Problem, spine: Every, snapshot: Tables, now_us: int) -> tuple[pa.Array, Ints]:
    """Keys [n] and cutoffs in us [n] of the schedule, by (cutoff, key), by activity known at `now_us`."""
    link = problem.schedule_link(spine)
    table = problem.entity_set.table(spine.active)
    clock = clock_of(problem, table, (*table.keys, link))
    names = [*dict.fromkeys([link, *(TimeExpression.parse(text).column for text in clock), ARRIVAL])]
    keys, cutoffs = pa.array([], plain(schema_of(snapshot, spine.active).empty_table()[link]).type), _NO_INSTANTS
    for rows in read_in_parts(snapshot, spine.active, names):
        known = effective_known(table, clock, rows)
        active = known <= now_us
        values, known = plain(rows[link]).filter(pa.array(active)), known[active]
        more, at = _active_steps(spine, values, known)
        keys, cutoffs = _distinct_pairs(pa.concat_arrays([keys, more]), np.concatenate([cutoffs, at]))
    order = np.lexsort((rank(keys), cutoffs))
    return keys.take(pa.array(order)), cutoffs[order]


def _active_steps(spine: Every, values: pa.Array, known: Ints) -> tuple[pa.Array, Ints]:
    """Keys [n] and multiples of the step in us [n] within the period after activities at `known`; each pair once."""
    codes, _ = encode_rows([values])
    present = codes >= 0
    codes, known = codes[present], known[present]
    first, last = known // spine.step_us + 1, (known + spine.within_us) // spine.step_us
    steps = np.maximum(last - first + 1, 0)
    entity = np.repeat(codes, steps)
    at = np.repeat(first, steps) + np.arange(len(entity)) - np.repeat(np.cumsum(steps) - steps, steps)
    pairs = np.unique(np.column_stack([at * spine.step_us, entity]), axis=0)
    return _distinct(values).take(pa.array(pairs[:, 1])), pairs[:, 0]


def _distinct_pairs(keys: pa.Array, at: Ints) -> tuple[pa.Array, Ints]:
    codes, _ = encode_rows([keys])
    pairs = np.unique(np.column_stack([at, codes]), axis=0)
    return _distinct(keys).take(pa.array(pairs[:, 1])), pairs[:, 0]


def rank(values: pa.Array) -> Ints:
    """The rank of each value [n] in ascending order, from 1; equal values in the order of their positions."""
    return np.array(pc.rank(values, sort_keys="ascending", tiebreaker="first").to_numpy(), dtype=np.int64)


def _distinct(values: pa.Array) -> pa.Array:
    """The values by their codes, those of `encode_rows`."""
    codes, many = encode_rows([values])
    first = np.zeros(many, dtype=np.int64)
    first[codes[codes >= 0][::-1]] = np.flatnonzero(codes >= 0)[::-1]
    return values.take(pa.array(first))
