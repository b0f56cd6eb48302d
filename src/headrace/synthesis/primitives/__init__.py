"""The catalogue of primitives: one line each. A new one is one entry here and its function in its family's file."""

from __future__ import annotations

from headrace.core.errors import DeclarationError
from headrace.synthesis.primitives.aggregation import Aggregation
from headrace.synthesis.primitives.aggregations.categories import CATEGORIES
from headrace.synthesis.primitives.aggregations.days import DAYS
from headrace.synthesis.primitives.aggregations.decay import DECAY
from headrace.synthesis.primitives.aggregations.extremes import EXTREMES
from headrace.synthesis.primitives.aggregations.gaps import GAPS
from headrace.synthesis.primitives.aggregations.moments import MOMENTS
from headrace.synthesis.primitives.aggregations.order import BEYOND, ORDER
from headrace.synthesis.primitives.aggregations.positions import POSITIONS
from headrace.synthesis.primitives.aggregations.steps import STEPS
from headrace.synthesis.primitives.aggregations.trend import TREND
from headrace.synthesis.primitives.aggregations.truths import TRUTHS
from headrace.synthesis.primitives.transform import TransformPrimitive, by_name
from headrace.synthesis.primitives.transforms.arithmetic import ARITHMETIC
from headrace.synthesis.primitives.transforms.calendar import CALENDAR
from headrace.synthesis.primitives.transforms.compare import COMPARE
from headrace.synthesis.primitives.transforms.elapsed import ELAPSED
from headrace.synthesis.primitives.transforms.numeric import NUMERIC
from headrace.synthesis.primitives.transforms.place import PLACE
from headrace.synthesis.primitives.transforms.text import TEXTS

AGGREGATIONS: dict[str, Aggregation] = {
    primitive.name: primitive
    for family in (MOMENTS, EXTREMES, POSITIONS, ORDER, BEYOND, CATEGORIES, TRUTHS, GAPS, STEPS, DAYS, DECAY, TREND)
    for primitive in family
}
TRANSFORMS: dict[str, TransformPrimitive] = by_name(CALENDAR, ELAPSED, NUMERIC, ARITHMETIC, COMPARE, PLACE, TEXTS)


def aggregation(name: str) -> Aggregation:
    """The aggregation of that name."""
    if name not in AGGREGATIONS:
        raise DeclarationError(f"no aggregation primitive {name!r}", found=AGGREGATIONS)
    return AGGREGATIONS[name]


def transform(name: str) -> TransformPrimitive:
    """The transform of that name."""
    if name not in TRANSFORMS:
        raise DeclarationError(f"no transform primitive {name!r}", found=TRANSFORMS)
    return TRANSFORMS[name]


__all__ = ["AGGREGATIONS", "TRANSFORMS", "Aggregation", "TransformPrimitive", "aggregation", "transform"]
