"""Transforms of places on the globe."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.synthesis.primitives.transform import TransformPrimitive
from headrace.synthesis.values import Floats, Ints

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


def _haversine(inputs: list[npt.NDArray[Any]], _ticks_us: Ints) -> Floats:
    """Great-circle distance in km of (latitude, longitude, latitude, longitude) in degrees (Sinnott, 1984)."""
    latitude_a, longitude_a, latitude_b, longitude_b = (np.radians(item) for item in inputs)
    across = np.sin((latitude_b - latitude_a) / 2) ** 2
    along = np.cos(latitude_a) * np.cos(latitude_b) * np.sin((longitude_b - longitude_a) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(across + along, 0.0, 1.0))), dtype=np.float64)


PLACE = (TransformPrimitive(name="haversine", inputs=(("numeric",) * 4,), compute=_haversine),)
