"""Places on the globe in plain Python: latitude and longitude in degrees, a and b; a second place is c and d."""

from __future__ import annotations

import math

from headrace.synthesis.oracle.transforms.rows import Twin, of_numbers

_RADIUS_KM = 6371.0088


def _haversine(a: float, b: float, c: float, d: float) -> float:
    """Great-circle distance in km (Sinnott, 1984)."""
    half = math.sin((math.radians(c) - math.radians(a)) / 2) ** 2
    half += (
        math.cos(math.radians(a)) * math.cos(math.radians(c)) * math.sin((math.radians(d) - math.radians(b)) / 2) ** 2
    )
    return 2 * _RADIUS_KM * math.asin(math.sqrt(min(max(half, 0.0), 1.0)))


def _bearing(a: float, b: float, c: float, d: float) -> float:
    """Initial course of the great circle, degrees from north."""
    a, b, c, d = map(math.radians, (a, b, c, d))
    east = math.sin(d - b) * math.cos(c)
    north = math.cos(a) * math.sin(c) - math.sin(a) * math.cos(c) * math.cos(d - b)
    return math.degrees(math.atan2(east, north)) % 360


PLACE: dict[str, Twin] = {
    "haversine": of_numbers(_haversine),
    "manhattan": of_numbers(lambda a, b, c, d: _haversine(a, b, c, b) + _haversine(a, b, a, d)),
    "bearing": of_numbers(_bearing),
    "same_place": of_numbers(lambda a, b, c, d: (a, b) == (c, d)),
    "middle_latitude": of_numbers(lambda a, b, c, d: (a + c) / 2),
    "is_north": of_numbers(lambda a: a > 0),
}
