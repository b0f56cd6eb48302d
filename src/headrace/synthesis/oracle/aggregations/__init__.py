"""Twins of the aggregations: each in plain Python, a function of observations. One file a family, one line here."""

from __future__ import annotations

from headrace.synthesis.oracle.aggregations.categories import CATEGORIES
from headrace.synthesis.oracle.aggregations.days import DAYS
from headrace.synthesis.oracle.aggregations.decay import DECAY
from headrace.synthesis.oracle.aggregations.extremes import EXTREMES
from headrace.synthesis.oracle.aggregations.gaps import GAPS
from headrace.synthesis.oracle.aggregations.moments import MOMENTS
from headrace.synthesis.oracle.aggregations.order import ORDER
from headrace.synthesis.oracle.aggregations.positions import POSITIONS
from headrace.synthesis.oracle.aggregations.recent import RECENT
from headrace.synthesis.oracle.aggregations.steps import STEPS
from headrace.synthesis.oracle.aggregations.sums import SUMS
from headrace.synthesis.oracle.aggregations.trend import TREND
from headrace.synthesis.oracle.aggregations.truths import TRUTHS
from headrace.synthesis.oracle.observations import Twin

#: The twin of each aggregation by name; those of registered families are added.
AGGREGATION_TWINS: dict[str, Twin] = {
    **SUMS,
    **MOMENTS,
    **EXTREMES,
    **POSITIONS,
    **RECENT,
    **ORDER,
    **CATEGORIES,
    **TRUTHS,
    **GAPS,
    **STEPS,
    **DAYS,
    **DECAY,
    **TREND,
}
