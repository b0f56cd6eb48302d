"""Effective known time: when production could first have used a value.

It is the latest of the declared known times of the columns used (the keys that lead to the value among them) and the
arrival of the batch that brought the row. A null known time never comes. A table with a resolution gives an instant
only to the day (or hour): such a value is known when that day has ended.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.core.clock import NEVER, parse_duration
from headrace.schema import Table, TimeExpression
from headrace.synthesis.language.columns import ARRIVAL
from headrace.synthesis.language.values import Ints, as_array, instants


def expression_instants(table: Table, expression: TimeExpression, rows: pa.Table) -> Ints:
    """The instants of a time expression [n], NEVER where its column is null; declared resolution applied."""
    at = instants(rows[expression.column])
    known = at != NEVER
    if table.resolution is not None:
        unit_us = parse_duration(table.resolution)
        at = at - at % unit_us + unit_us
    return np.where(known, at + expression.offset_us, NEVER)


def effective_known(table: Table, clock: tuple[str, ...], rows: pa.Table) -> Ints:
    """Effective known time of each row in us [n], on a clock (see `columns.clock_of`)."""
    known = np.array(as_array(rows[ARRIVAL]).to_numpy(zero_copy_only=False), dtype=np.int64)
    for text in clock:
        known = np.maximum(known, expression_instants(table, TimeExpression.parse(text), rows))
    return known
