"""Warnings of `headrace check` about time: tables without one that hold times, windows shorter than the cadence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import DAY, HOUR, MINUTE, SECOND, format_duration
from headrace.lake.time_like import LATE_NAME, time_like
from headrace.schema import Problem


def untimed_warnings(problem: Problem, tables: Mapping[str, pa.Table]) -> list[str]:
    """Return a warning per table without a time in which a column holds times that are not ignored."""
    found = []
    for table in problem.entity_set.tables:
        if table.time is not None or table.name not in tables:
            continue
        rows = tables[table.name]
        names = [
            name
            for name in rows.column_names
            if not problem.ignores(table.name, name)
            and table.roles.get(name) not in ("ignore", "id", "numeric", "categorical")
            and name not in table.keys
            and _may_come_later(name, rows[name])
        ]
        if names:
            found.append(
                f"{table.name}: no time is declared, so all its values count as known for ever, and it has times: "
                f"{', '.join(names)}. declare time={names[0]!r} or known_at, or ignore what comes later than its row"
            )
    return found


def _may_come_later(name: str, column: pa.ChunkedArray) -> bool:
    """Whether a column holds times; of years, only those with a late name (`deathYear`, not a year of manufacture)."""
    like = time_like(name, column)
    return like is not None and (like.unit != "year" or LATE_NAME.search(name) is not None)


def cadence_warnings(problem: Problem, cutoffs: npt.NDArray[np.int64]) -> list[str]:
    """Return a warning where a monitored window is shorter than the time between the rows.

    Args:
        problem: The problem.
        cutoffs: Cutoffs of its training rows [n], microseconds.
    """
    cadence = cadence_us(cutoffs)
    monitoring = problem.monitoring
    if cadence is None or monitoring.window_us >= cadence:
        return []
    text = format_duration(-(-cadence // DAY) * DAY)
    return [
        f"monitoring: a window of {monitoring.window} is shorter than the time between the rows, {in_words(cadence)}: "
        f'most windows will be empty. declare monitoring=Monitoring(window="{text}", every="{text}")'
    ]


def cadence_us(cutoffs: npt.NDArray[np.int64]) -> int | None:
    """The median time between distinct cutoffs, microseconds; None with fewer than three of them."""
    distinct = np.unique(cutoffs)
    return int(np.median(np.diff(distinct))) if len(distinct) > 2 else None


def in_words(length_us: int) -> str:
    """A length to about three digits, in the largest unit that it has: `365 days`."""
    for name, unit in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if length_us >= 2 * unit:
            return f"{length_us / unit:.3g} {name}"
    return f"{length_us / SECOND:.3g} seconds"
