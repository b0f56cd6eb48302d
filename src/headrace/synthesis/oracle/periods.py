"""The end of a day, month or year on a local calendar, in plain Python: what the oracle takes as known times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from headrace.core.clock import from_us, to_us

_LENGTHS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def period_end(at_us: int, resolution: str, tz: str | None) -> int:
    """The first instant (us) after the period that holds `at_us`; the later one where a clock shows it twice."""
    zone = ZoneInfo(tz) if tz is not None else UTC
    local = from_us(at_us).astimezone(zone).replace(tzinfo=None)
    digits = "".join(letter for letter in resolution if letter.isdigit())
    count, unit = int(digits), resolution.replace(digits, "").strip()
    if unit in ("mo", "y"):
        count *= 12 if unit == "y" else 1
        month = (local.year - 1970) * 12 + local.month - 1
        month = (month // count + 1) * count
        end = datetime(1970 + month // 12, month % 12 + 1, 1)
    else:
        length = timedelta(seconds=count * _LENGTHS[unit])
        end = datetime(1970, 1, 1) + ((local - datetime(1970, 1, 1)) // length + 1) * length
    readings = [end.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    shown = [at for at in readings if at.astimezone(zone).replace(tzinfo=None) == end]
    if shown:
        return to_us(max(shown))
    at = min(readings)  # the clock skips it: the first minute after the gap
    while at.astimezone(zone).replace(tzinfo=None) < end:
        at += timedelta(minutes=1)
    return to_us(at)
