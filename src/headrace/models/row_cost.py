"""Estimated time of one row's prediction, by family: what an ensemble may cost to serve is decided from these.

The estimates are constants, so that the same study gives the same ensemble on every machine. Only their ratios matter.
`make bench-ensemble` measures them beside these numbers, for 200 rounds and 120 features. The linear model's quantile
transform takes about a thousand times LightGBM's time for one row.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Encoding one row of a feature matrix, microseconds; once for all members.
ENCODE_US = 130.0
#: Predicting one encoded row, microseconds.
FAMILY_US = {"lightgbm": 40.0, "xgboost": 150.0, "catboost": 130.0, "linear": 40_000.0}
#: A family that is not built in.
_OTHER_US = 200.0


def family_us(family: str) -> float:
    """Return the estimated time in which a model of a family predicts one encoded row, microseconds."""
    return FAMILY_US.get(family, _OTHER_US)


def row_us(families: Iterable[str]) -> float:
    """Return the estimated time from a row of features to a prediction by models of these families, microseconds."""
    return ENCODE_US + sum(family_us(family) for family in families)
