"""Render the result on the test window as one HTML file: metrics by protocol, and quality by month or week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headrace.charts.lines import Axis, Series, line_chart
from headrace.charts.style import CHART_STYLE, COLOURS
from headrace.core.clock import SECOND, to_us
from headrace.evaluate.metrics import METRICS, Floats, Metric
from headrace.evaluate.report.groups import Group, by_period
from headrace.evaluate.report.page import environment

#: Rows whose periods are drawn; of more, every k-th is taken.
_MOST_ROWS = 50_000


@dataclass(frozen=True, kw_only=True)
class HoldoutPage:
    """What the page shows.

    Attributes:
        problem: Its name.
        metric: The problem's metric.
        y: Labels [n], NaN where not known.
        predicted: Protocol -> predictions [n].
        cutoffs_us: Cutoffs [n], microseconds UTC.
        facts: Name -> text.
        rows: (metric, a value for each protocol, value of the constant).
        notes: For people.
    """

    problem: str
    metric: str
    y: Floats
    predicted: Mapping[str, Floats]
    cutoffs_us: NDArray[np.int64]
    facts: Mapping[str, str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]


def render_holdout(page: HoldoutPage) -> str:
    """Render the page. Equal pages are equal bytes."""
    labelled = np.flatnonzero(np.isfinite(page.y))
    labelled = labelled[:: max(1, len(labelled) // _MOST_ROWS)]
    metric, periods = METRICS[page.metric], {}
    period = "month"
    for name, values in page.predicted.items():
        if len(labelled):
            period, periods[name] = by_period(page.y[labelled], values[labelled], page.cutoffs_us[labelled], metric)
    return (
        environment()
        .get_template("holdout.html")
        .render(
            page=page,
            style=COLOURS + CHART_STYLE,
            metric=metric,
            n_rows=len(page.y),
            n_labelled=int(np.isfinite(page.y).sum()),
            period=period,
            chart=_chart(period, periods, metric),
        )
    )


def _chart(period: str, periods: Mapping[str, Sequence[Group]], metric: Metric) -> str:
    """Draw the metric by period, a line for each protocol; empty where no protocol has two periods with a value."""
    series = []
    for number, (name, groups) in enumerate(periods.items()):
        defined = [group for group in groups if group.value is not None]
        if len(defined) > 1:
            days = [to_us(one.name if period == "week" else f"{one.name}-01") / SECOND for one in defined]
            values = [float(one.value or 0.0) for one in defined]
            series.append(Series(name=name, x=days, y=values, tone="other" if number else "main"))
    if not series:
        return ""
    return line_chart(
        f"{metric.name} by {period}",
        series,
        x=Axis(label=f"begin of the {period}", scale="date"),
        y=Axis(label=metric.name),
        description=f"The metric on the test rows of each {period}, under each protocol.",
    )
