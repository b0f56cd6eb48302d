"""Distances between places on the globe: latitude and longitude in degrees, a and b; a second place is c and d."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headrace.synthesis.language.definitions import Kind
from headrace.synthesis.language.values import Floats
from headrace.synthesis.transforms.transform import of_numbers

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
_TWO_PLACES: tuple[Kind, ...] = ("numeric",) * 4
_RADIANS = np.pi / 180


def _haversine(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Great-circle distance in km (Sinnott, 1984)."""
    latitude_a, longitude_a, latitude_b, longitude_b = (np.radians(item) for item in (a, b, c, d))
    across = np.sin((latitude_b - latitude_a) / 2) ** 2
    along = np.cos(latitude_a) * np.cos(latitude_b) * np.sin((longitude_b - longitude_a) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(across + along, 0.0, 1.0))), dtype=np.float64)


def _manhattan(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Along the meridian, then along the parallel of the first place."""
    return _haversine(a, b, c, b) + _haversine(a, b, a, d)


def _bearing(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """Initial course of the great circle."""
    along = np.sin((d - b) * _RADIANS) * np.cos(c * _RADIANS)
    up = np.cos(a * _RADIANS) * np.sin(c * _RADIANS)
    down = np.sin(a * _RADIANS) * np.cos(c * _RADIANS) * np.cos((d - b) * _RADIANS)
    return np.asarray(np.degrees(np.arctan2(along, up - down)) % 360, dtype=np.float64)


def _same(a: Floats, b: Floats, c: Floats, d: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray((a == c) & (b == d))


PLACE = (
    of_numbers("haversine", "km from (a, b) to (c, d) along the great circle", _haversine, (_TWO_PLACES,), cost=1.0),
    of_numbers(
        "manhattan", "km from (a, b) to (c, d) along a meridian and a parallel", _manhattan, (_TWO_PLACES,), cost=2.0
    ),
    of_numbers("bearing", "degrees from north of the course from (a, b) to (c, d)", _bearing, (_TWO_PLACES,), cost=1.0),
    of_numbers("same_place", "whether (a, b) is (c, d)", _same, (_TWO_PLACES,), result="boolean"),
    of_numbers(
        "middle_latitude", "the latitude half way from (a, b) to (c, d)", lambda a, b, c, d: (a + c) / 2, (_TWO_PLACES,)
    ),
    of_numbers("is_north", "whether the latitude a is north of the equator", lambda a: a > 0, result="boolean"),
)
