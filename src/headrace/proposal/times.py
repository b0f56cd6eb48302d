"""Choose the event time of each raw table, and find the columns whose values come later than their row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.core.errors import DataError
from headrace.lake.time_like import LATE_NAME, TimeLike, time_like
from headrace.lake.times import TimeFormat, column_instants
from headrace.proposal.reading import RawTable

Ints = npt.NDArray[np.int64]

_EVENT_NAME = re.compile(r"start|creat|open|placed|order|date|time|stamp|year|begin|from|issued|when", re.IGNORECASE)
_PLANNED_NAME = re.compile(r"due|plan|sched|expect|deadline|promis", re.IGNORECASE)
_EARLY_NAME = re.compile(r"birth|born|found|since|join|creat|open|start|built|regist|sign", re.IGNORECASE)
_UNITS = ("instant", "date", "month", "year")
#: Share of rows in which a column's time is not before the row's own, for it to come later.
_LATER_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class Times:
    """What is proposed about the times of a table.

    Attributes:
        time: Event time column; None where no column has a time in every row.
        resolution: What the times tell; None for instants.
        naive: Whether times have no zone.
        known_at: Column -> time column at which it becomes known.
        ignore: Column -> why no feature may use it.
        cadence_us: Median time between distinct event times, microseconds; None without them.
        span_us: Time from the first to the last of them.
    """

    time: str | None = None
    resolution: str | None = None
    naive: bool = False
    known_at: Mapping[str, str] = field(default_factory=dict)
    ignore: Mapping[str, str] = field(default_factory=dict)
    cadence_us: int | None = None
    span_us: int = 0


def propose_times(table: RawTable, keys: Sequence[str]) -> Times:
    """Propose the times of a table."""
    rows = table.rows
    found = {name: like for name in rows.column_names if (like := time_like(name, rows[name])) is not None}
    usable = {name: like for name, like in found.items() if name.isidentifier()}
    instants = {name: _instants(rows, name) for name in usable}
    usable = {name: like for name, like in usable.items() if instants[name] is not None}
    full = [name for name in usable if rows[name].null_count == 0]
    if not full:
        return Times(ignore=_late_by_name(rows, found, keys))
    time = min(full, key=lambda name: (_rank(name, usable[name]), _mean(instants[name]), rows.column_names.index(name)))
    return _with_time(rows, time, usable, {n: v for n, v in instants.items() if v is not None}, keys)


def _rank(name: str, like: TimeLike) -> tuple[bool, int, bool]:
    return bool(LATE_NAME.search(name)), _UNITS.index(like.unit), not _EVENT_NAME.search(name)


def _mean(values: Ints | None) -> float:
    return float(values[values < NEVER].mean()) if values is not None else 0.0


def _with_time(
    rows: pa.Table, time: str, usable: Mapping[str, TimeLike], instants: Mapping[str, Ints], keys: Sequence[str]
) -> Times:
    event = instants[time]
    known_at: dict[str, str] = {}
    ignore: dict[str, str] = {}
    for name in usable:
        values = instants[name]
        known = values < NEVER
        planned = known.all() and _PLANNED_NAME.search(name)  # a plan is known with its row, whatever it is about
        if name == time or name in keys or planned or not known.any():
            continue
        later = float(np.mean(values[known] >= event[known])) >= _LATER_SHARE and bool(
            (values[known] > event[known]).any()
        )
        if not later:
            continue
        dependents = _dependents(rows, name, usable, keys)
        if _UNITS.index(usable[name].unit) > _UNITS.index(usable[time].unit):
            ignore |= dict.fromkeys(
                (name, *dependents), f"comes after {time}, and {name} tells only its {usable[name].unit}"
            )
        else:
            known_at |= dict.fromkeys((name, *dependents), name)
    distinct = np.unique(event)
    return Times(
        time=time,
        resolution=usable[time].resolution,
        naive=any(like.unit == "instant" and not like.zoned for name, like in usable.items()),
        known_at=known_at,
        ignore=ignore,
        cadence_us=int(np.median(np.diff(distinct))) if len(distinct) > 2 else None,
        span_us=int(distinct[-1] - distinct[0]),
    )


def _dependents(rows: pa.Table, name: str, usable: Mapping[str, TimeLike], keys: Sequence[str]) -> list[str]:
    """Columns that come with a later time: named after it, or missing in just the rows in which it is."""
    stem = re.sub(r"(?i)_?(at|on|date|time|year|day|ts|stamp)$", "", name)
    stem = stem if len(stem) >= 4 else name
    is_null = rows[name].is_null()
    found = []
    for other in rows.column_names:
        if other == name or other in keys or (other in usable and not other.startswith(stem)):
            continue
        together = rows[name].null_count and rows[other].null_count and rows[other].is_null().equals(is_null)
        if other.lower().startswith(stem.lower()) or together:
            found.append(other)
    return found


def _late_by_name(rows: pa.Table, found: Mapping[str, TimeLike], keys: Sequence[str]) -> dict[str, str]:
    """In a table without an event time: times that may come later than the row, and what is named after them."""
    ignore: dict[str, str] = {}
    for name in found:
        is_late = LATE_NAME.search(name) or (rows[name].null_count and not _EARLY_NAME.search(name))
        if name in keys or not is_late:
            continue
        ignore[name] = "may come later than its row, which has no time"
        ignore |= {
            other: f"comes with {name}"
            for other in _dependents(rows, name, {}, keys)
            if LATE_NAME.search(name) and other not in keys
        }
    return ignore


def _instants(rows: pa.Table, name: str) -> Ints | None:
    """Instants of a column [n], NEVER where missing; None where a value is no time."""
    try:
        column = column_instants(rows[name], TimeFormat(tz="UTC", any_date=True), name)
    except (DataError, pa.ArrowInvalid):
        return None
    return np.array(column.cast(pa.int64()).fill_null(NEVER).to_numpy(), dtype=np.int64)
