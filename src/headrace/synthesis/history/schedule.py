"""The rows of a scheduled spine: every entity at every multiple of the step before which it had been active."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.schema import Every, Problem
from headrace.synthesis.history.keys import encode_rows, plain
from headrace.synthesis.history.known_time import effective_known
from headrace.synthesis.language.columns import clock_of
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.values import Ints


def scheduled_rows(problem: Problem, spine: Every, snapshot: Tables, now_us: int) -> tuple[pa.Array, Ints]:
    """Keys [n] and cutoffs in us [n] of the schedule, by (cutoff, key), by activity known at `now_us`."""
    link = problem.schedule_link(spine)
    table, rows = problem.entity_set.table(spine.active), snapshot.table(spine.active)
    known = effective_known(table, clock_of(problem, table, (*table.keys, link)), rows)
    values = plain(rows[link])
    codes, _ = encode_rows([values])
    active = (known <= now_us) & (codes >= 0)
    codes, known, first = codes[active], known[active], known[active] // spine.step_us + 1
    last = (known + spine.within_us) // spine.step_us
    steps = np.maximum(last - first + 1, 0)
    entity = np.repeat(codes, steps)
    at = np.repeat(first, steps) + np.arange(len(entity)) - np.repeat(np.cumsum(steps) - steps, steps)
    pairs = np.unique(np.column_stack([at * spine.step_us, entity]), axis=0)
    keys = _distinct(values).take(pa.array(pairs[:, 1]))
    order = np.lexsort((rank(keys), pairs[:, 0]))
    return keys.take(pa.array(order)), pairs[order, 0]


def rank(values: pa.Array) -> Ints:
    """The rank of each value [n] in ascending order, from 1; equal values in the order of their positions."""
    return np.array(pc.rank(values, sort_keys="ascending", tiebreaker="first").to_numpy(), dtype=np.int64)


def _distinct(values: pa.Array) -> pa.Array:
    """The values by their codes, those of `encode_rows`."""
    codes, many = encode_rows([values])
    first = np.zeros(many, dtype=np.int64)
    first[codes[codes >= 0][::-1]] = np.flatnonzero(codes >= 0)[::-1]
    return values.take(pa.array(first))
