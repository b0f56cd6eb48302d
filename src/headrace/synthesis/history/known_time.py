"""Effective known time: when production could first have used a value.

It is the latest of the declared known times of the columns used (the keys that lead to the value among them) and the
arrival of the batch that brought the row. A null known time never comes. A table with a resolution gives an instant
only to the day (or hour, month, year): such a value is known when that day has ended on the table's local calendar.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.core.calendar import earliest_reading, period_delay_us, period_ends
from headrace.core.clock import NEVER
from headrace.schema import Table, TimeExpression
from headrace.synthesis.language.columns import ARRIVAL
from headrace.synthesis.language.values import Ints, as_array, instants


def expression_instants(table: Table, expression: TimeExpression, rows: pa.Table) -> Ints:
    """The instants of a time expression [n], NEVER where its column is null; declared resolution applied."""
    at = instants(rows[expression.column])
    known = at != NEVER
    if table.resolution is not None:
        at[known] = period_ends(at[known], table.resolution, table.tz)
    return np.where(known, at + expression.offset_us, NEVER)


def cutoff_instants(table: Table, expression: TimeExpression, rows: pa.Table) -> Ints:
    """The cutoffs of the rows [n], NEVER where the column is null.

    A local time that the clock shows twice is kept as the later instant, for what becomes known then. A prediction may
    have been made at the earlier one, so the cutoff takes that.
    """
    at = expression_instants(table, expression, rows)
    if table.tz is not None and table.resolution is None:
        known = at != NEVER
        at[known] = earliest_reading(at[known] - expression.offset_us, table.tz) + expression.offset_us
    return at


def declared_delay_us(table: Table, clock: tuple[str, ...]) -> int:
    """How long after its event a row is known on a clock, where that is declared (us)."""
    expressions = [TimeExpression.parse(text) for text in clock]
    late = max((item.offset_us for item in expressions if item.column == table.time), default=0)
    return max(0, late) + period_delay_us(table.resolution, table.tz)


def effective_known(table: Table, clock: tuple[str, ...], rows: pa.Table) -> Ints:
    """Effective known time of each row in us [n], on a clock (see `columns.clock_of`)."""
    known = np.array(as_array(rows[ARRIVAL]).to_numpy(zero_copy_only=False), dtype=np.int64)
    for text in clock:
        known = np.maximum(known, expression_instants(table, TimeExpression.parse(text), rows))
    return known
