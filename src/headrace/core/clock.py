"""Instants and durations as int64 microseconds since 1970-01-01 UTC. Nothing here reads a clock.

Microseconds are what Parquet, Arrow and DuckDB all keep without loss. Windows are half open.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from headrace.core.errors import DeclarationError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

#: Earlier and later than any data: the arrival of a bootstrap load, the known time of what never comes.
BEFORE_ALL = -(2**62)
NEVER = 2**62

#: Of a duration: sums of instants and durations stay far below 64 bits.
LONGEST = 365_250 * DAY

_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "min": MINUTE, "h": HOUR, "d": DAY, "w": WEEK}
_CALENDAR = re.compile(r"^\s*\d+\s*(mo|y)\s*$")
_DURATION = re.compile(r"^\s*(\d+)\s*(us|ms|s|min|h|d|w)\s*$")


def parse_duration(text: str) -> int:
    """Microseconds of a duration such as `15min`, `2h`, `7d`."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None and isinstance(text, str) and _CALENDAR.match(text):
        raise DeclarationError(
            f"{text!r} has no fixed length, which is needed here",
            fix="write days, as in '30d' or '365d'; lookbacks and resolution take months and years",
        )
    if match is None or int(match.group(1)) == 0:
        raise DeclarationError(
            f"{text!r} is not a duration", fix=f"write a positive number and one of {', '.join(_UNITS)}, as in '7d'"
        )
    duration_us = int(match.group(1)) * _UNITS[match.group(2)]
    if duration_us > LONGEST:
        raise DeclarationError(f"{text!r} is longer than a thousand years", fix="write a shorter one")
    return duration_us


def format_duration(duration_us: int) -> str:
    """The shortest exact spelling of a duration: 7 days is `7d`, not `1w`."""
    for unit in ("d", "h", "min", "s"):
        if duration_us % _UNITS[unit] == 0:
            return f"{duration_us // _UNITS[unit]}{unit}"
    return f"{duration_us}us"


def to_us(instant: datetime | str) -> int:
    """Microseconds since the epoch of an aware datetime or an ISO string; a bare date is its midnight in UTC."""
    if isinstance(instant, str):
        parsed = datetime.fromisoformat(instant)
        instant = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None and len(parsed.isoformat()) >= 10 else parsed
    if instant.tzinfo is None:
        raise DeclarationError(f"{instant} has no time zone", fix="attach one, as in datetime(..., tzinfo=UTC)")
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def from_us(instant_us: int) -> datetime:
    """The aware UTC datetime of an instant."""
    return datetime.fromtimestamp(instant_us // SECOND, tz=UTC).replace(microsecond=instant_us % SECOND)


def iso(instant_us: int) -> str:
    """`2013-05-01T00:00:00Z`."""
    return from_us(instant_us).isoformat().replace("+00:00", "Z")


def window_name(start_us: int, end_us: int) -> str:
    """A name for [start, end), for people and file systems, that no other window has.

    `2013-05` for a calendar month, `2013-05-09` for a day, `2013-05-09--2014-02-01` for days, the last one included,
    and `2013-05-09T0600--2013-05-09T1830` in UTC for any other; seconds and microseconds where there are some.
    """
    start, end = from_us(start_us), from_us(end_us)
    if start_us % DAY or end_us % DAY:
        return f"{_compact(start)}--{_compact(end)}"
    if start.day == end.day == 1 and (end.year - start.year) * 12 + end.month - start.month == 1:
        return f"{start:%Y-%m}"
    last = from_us(end_us - DAY)
    return f"{start:%Y-%m-%d}" if last == start else f"{start:%Y-%m-%d}--{last:%Y-%m-%d}"


def _compact(instant: datetime) -> str:
    fine = "%S.%f" if instant.microsecond else "%S" if instant.second else ""
    return f"{instant:%Y-%m-%dT%H%M{fine}}"


def floor_to_tick(instant_us: int, tick_us: int) -> int:
    """The last tick at or before an instant; ticks are counted from the epoch."""
    return instant_us - instant_us % tick_us
