"""The lookbacks of a RelBench task: multiples of its label period, and the whole history."""

from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.core.clock import DAY, LONGEST, SECOND, format_duration
from headrace.core.errors import DataError
from headrace.problems.relbench.manifest import DatasetManifest, TaskManifest
from headrace.problems.relbench.sources import as_time

#: Multiples of the label's period.
_MULTIPLES = (1, 4, 16)
#: Lookbacks of a task whose label has no period: an existing column.
_DAYS = (30, 120, 480)


def timedelta_us(task: TaskManifest) -> int:
    """The period of a task's label; a second for a column of the entity's own row, a day where the task names none."""
    if task.kind == "autocomplete":
        return SECOND
    return DAY if task.timedelta is None else period_us(task.timedelta, str(task.folder))


def period_us(timedelta: str, where: str) -> int:
    """A period as pandas writes it ("60 days"), in us.

    Raises:
        DataError: It is none, or not between a microsecond and a thousand years.
    """
    import pandas as pd

    try:
        period = int(pd.Timedelta(timedelta).value) // 1_000
    except ValueError:
        raise DataError(f"timedelta {timedelta!r} is no period", where=where) from None
    if not 0 < period <= LONGEST:
        raise DataError(f"timedelta {timedelta!r} is not between a microsecond and a thousand years", where=where)
    return period


def history_days(dataset: DatasetManifest) -> int:
    """Days from the first row of the database to the test timestamp, at least one."""
    import pandas as pd

    end = pd.Timestamp(dataset.test_timestamp)
    end_us = int((end.tz_localize("UTC") if end.tzinfo is None else end).value) // 1_000
    starts = [end_us - DAY]
    for name, table in dataset.tables.items():
        if table.time_col is not None:
            path = dataset.folder / "db" / f"{name}.parquet"
            column = as_time(pq.read_table(path, columns=[table.time_col])[table.time_col], str(path))
            first = pc.min(column.cast(pa.int64())).as_py()
            starts += [] if first is None else [int(first)]
    return max(1, math.ceil((end_us - min(starts)) / DAY))


def lookbacks_of(period_us: int, days: int) -> tuple[str, ...]:
    """Lookbacks, shortest first: multiples of the period that are shorter than the history, and the history."""
    days = min(days, LONGEST // DAY)
    steps = [number * period_us for number in _MULTIPLES] if period_us > SECOND else [day * DAY for day in _DAYS]
    lengths = [step for step in steps if step < days * DAY]
    return tuple(format_duration(length) for length in (*lengths, days * DAY))
