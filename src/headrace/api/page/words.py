"""Words of the page: metrics with where they were measured, times, ages and states, as people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.core.clock import DAY, HOUR, MINUTE, from_us
from headrace.evaluate.metric_words import METRIC_WORDS
from headrace.evaluate.metrics import METRICS
from headrace.schema.metrics import QUANTILE, quantile_level
from headrace.store.online import Age

#: Beginning of a metric's name -> where it was measured.
PLACES = {"gate": "Gate window", "tune": "Search"}
PLACE_MEANINGS = {
    "gate": "newest rows before the model was made, which the search never saw",
    "tune": "mean over the folds of the search",
}
_PERIOD = re.compile(r"^\d{4}-\d{2}")
_STATES = {
    "FRESH": "fresh",
    "STALE": "stale: older than two refreshes",
    "MISSING": "never written",
    "AHEAD": "later than the production clock: not served",
}


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    """One metric of a version: its name in words, what it says, and its values by place.

    Attributes:
        name: Short name.
        title, meaning: Words.
        direction: "higher is better" or "lower is better".
        values: Place -> value as text, in the order of the places.
        main: Whether the problem is optimised for it.
    """

    name: str
    title: str
    meaning: str
    direction: str
    values: Mapping[str, str]
    main: bool = False


def metric_rows(metrics: Mapping[str, float], main: str) -> tuple[MetricRow, ...]:
    """Return the metrics of a version by metric, the problem's own first.

    Args:
        metrics: As the ledger has them: `gate_auc`, `tune_auc`, `2013-05_auc`.
        main: The problem's metric.
    """
    by_name: dict[str, dict[str, float]] = {}
    for full, value in metrics.items():
        place, name = _parts(full)
        if name:
            by_name.setdefault(name, {})[place] = value
    names = sorted(by_name, key=lambda name: (name != main, list(METRICS).index(name)))
    return tuple(
        MetricRow(
            name=name,
            title=METRIC_WORDS[name].title,
            meaning=METRIC_WORDS[name].meaning,
            direction="higher is better" if METRICS[name].greater_is_better else "lower is better",
            values={place: f"{value:.4g}" for place, value in by_name[name].items()},
            main=name == main,
        )
        for name in names
    )


def places(rows: tuple[MetricRow, ...]) -> tuple[str, ...]:
    """Return where metrics were measured: the gate, then periods of production, then the search."""
    found = dict.fromkeys(place for row in rows for place in row.values)
    return tuple(sorted(found, key=lambda place: ({"gate": 0, "tune": 2}.get(place, 1), place)))


def place_title(place: str) -> str:
    """Return the heading of a place: `Gate window`, or `In production, 2013-05`."""
    return PLACES.get(place, f"In production, {place.replace('--', ' to ')}")


def day(instant_us: int) -> str:
    """Return the day of an instant, UTC."""
    return f"{from_us(instant_us):%Y-%m-%d}"


def moment(instant_us: int) -> str:
    """Return an instant to the minute, UTC."""
    return f"{from_us(instant_us):%Y-%m-%d %H:%M} UTC"


def span(duration_us: int) -> str:
    """Return a duration in words: `2 days`, `3 hours`, `5 minutes`."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if duration_us >= unit:
            count = round(duration_us / unit)
            return f"{count} {name}" + ("" if count == 1 else "s")
    return "less than a minute"


def age_words(age: Age) -> str:
    """Return the state of a view in words."""
    words = _STATES[age.status]
    return f"{words}, {span(age.age_us)} old" if age.status == "FRESH" and age.age_us is not None else words


def _parts(full: str) -> tuple[str, str]:
    """Return (place, metric) of a name such as `gate_auc`; ("", "") for a count or an unknown name."""
    place, _, level = full.rpartition(f"_{QUANTILE}")
    names = (*METRICS, f"{QUANTILE}{level}") if place and quantile_level(f"{QUANTILE}{level}") else tuple(METRICS)
    for name in names:
        place = full.removesuffix(f"_{name}")
        if place != full and (place in PLACES or _PERIOD.match(place)):
            return place, name
    return "", ""
