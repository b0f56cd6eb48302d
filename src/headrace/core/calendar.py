"""Calendar periods and local time: the end of the day, month or year of an instant, for what is known only then.

A month has 28 to 31 days and a local day 23 to 25 hours. Periods are therefore computed on the local calendar, never
as a number of microseconds. Where a fixed length is needed, `Period.longest_us` bounds it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from headrace.core.clock import DAY, HOUR, LONGEST, parse_duration
from headrace.core.errors import DeclarationError

if TYPE_CHECKING:  # declarations import this module, and load nothing heavy
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


_CALENDAR = re.compile(r"^\s*(\d+)\s*(mo|y)\s*$")
#: Days of the longest run of n consecutive months, n = 1 to 12.
_MOST_DAYS = (31, 62, 92, 123, 153, 184, 215, 245, 276, 306, 337, 366)
#: How much longer than its clock hours a local day can be: the largest shift of a zone's clock, dateline changes apart.
_LONGEST_SHIFT = 3 * HOUR


@dataclass(frozen=True, kw_only=True)
class Period:
    """A period of a calendar: whole months, or a fixed length.

    Attributes:
        months: Number of months; 0 for a fixed length.
        length_us: Fixed length, microseconds; 0 for months.
    """

    months: int = 0
    length_us: int = 0

    @property
    def longest_us(self) -> int:
        """The longest this period can be, microseconds, in UTC."""
        if not self.months:
            return self.length_us
        years, rest = divmod(self.months, 12)
        leap_days = -(-years // 4) if years else 0
        return (365 * years + leap_days + (_MOST_DAYS[rest - 1] if rest else 0)) * DAY


def parse_period(text: str) -> Period:
    """Read a duration (`"7d"`), or whole months or years (`"3mo"`, `"1y"`).

    Raises:
        DeclarationError: The text is neither.
    """
    match = _CALENDAR.match(text) if isinstance(text, str) else None
    if match is None:
        return Period(length_us=parse_duration(text))
    months = int(match.group(1)) * (12 if match.group(2) == "y" else 1)
    if not 0 < months <= LONGEST // (366 * DAY) * 12:
        raise DeclarationError(f"{text!r} is not a period", fix="write one month or more, and at most 900 years")
    return Period(months=months)


def parse_lookback(text: str) -> int:
    """Length of a lookback, microseconds. Months and years have the length of the longest such period: `"1y"` is 366 d.

    A lookback of 366 days before any instant holds the same day of the year before, and never the one of two years
    before; so rows that come once a year, month or quarter are counted as on the calendar.
    """
    return parse_period(text).longest_us


def period_delay_us(resolution: str | None, tz: str | None) -> int:
    """The longest time from an instant to the end of its period, microseconds; 0 without a resolution."""
    if resolution is None:
        return 0
    return parse_period(resolution).longest_us + (_LONGEST_SHIFT if tz is not None else 0)


def period_ends(instants_us: Ints, resolution: str, tz: str | None) -> Ints:
    """Return the end of the calendar period that holds each instant, on the local calendar.

    Args:
        instants_us: Instants [n], microseconds UTC.
        resolution: The period, such as `"1d"`, `"3mo"` or `"1y"`; periods are counted from 1970.
        tz: Zone of the calendar, None for UTC.

    Returns:
        The ends [n], microseconds UTC. An end that the zone's clock shows twice is the later one.
    """
    import numpy as np

    period = parse_period(resolution)
    local = to_local(instants_us, tz)
    if period.months:
        months = local.view("M8[us]").astype("M8[M]").astype(np.int64)
        next_period = months - months % period.months + period.months
        ends = next_period.astype("M8[M]").astype("M8[us]").astype(np.int64)
    else:
        ends = local - local % period.length_us + period.length_us
    return from_local(ends, tz, gap="latest")


def to_local(instants_us: Ints, tz: str | None) -> Ints:
    """The zone's clock at instants [n], as microseconds since its own 1970-01-01."""
    import numpy as np

    if tz is None:
        return np.array(instants_us, dtype=np.int64)
    import pyarrow as pa
    import pyarrow.compute as pc

    shown = pc.local_timestamp(pa.array(instants_us, pa.int64()).cast(pa.timestamp("us", tz=tz)))
    return np.array(shown.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def from_local(local_us: Ints, tz: str | None, *, gap: str = "raise", twice: str = "latest") -> Ints:
    """The instants [n] at which a zone's clock shows times.

    Args:
        local_us: What the clock shows, microseconds since its own 1970-01-01.
        tz: The zone, None for UTC.
        gap: What a time is that the clock skips: "raise", or "latest" for the end of the gap.
        twice: What a time is that the clock shows twice: "latest" or "earliest".

    Raises:
        ValueError: With `gap="raise"`, the clock never shows one of the times.
    """
    import numpy as np

    if tz is None:
        return np.array(local_us, dtype=np.int64)
    import pyarrow as pa
    import pyarrow.compute as pc

    naive = pa.array(local_us, pa.int64()).cast(pa.timestamp("us"))
    found = pc.assume_timezone(naive, tz, ambiguous=twice, nonexistent=gap)
    return np.array(found.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.int64)


def earliest_reading(instants_us: Ints, tz: str) -> Ints:
    """Of instants [n] whose local time the zone's clock shows twice the earlier one; the others unchanged."""
    import numpy as np

    return np.minimum(instants_us, from_local(to_local(instants_us, tz), tz, gap="latest", twice="earliest"))


@lru_cache(maxsize=64)
def check_zone(tz: str, where: str = "") -> None:
    """Require the name of a time zone.

    Raises:
        DeclarationError: There is none of that name; similar names are given.
    """
    import difflib
    import zoneinfo

    try:
        if isinstance(tz, str) and tz:
            ZoneInfo(tz)
            return
    except (KeyError, ValueError, OSError):
        pass
    names = sorted(zoneinfo.available_timezones())
    close = difflib.get_close_matches(str(tz), names, n=3, cutoff=0.5)
    raise DeclarationError(
        f"no time zone {tz!r}", where=where, found=close, fix='name one of the IANA list, as in tz="Europe/Zurich"'
    )
