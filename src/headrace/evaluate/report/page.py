"""Render the report of a model version as one HTML file, for light and dark pages: no script, no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from headrace.charts.bars import Bar, bar_chart
from headrace.charts.lines import Axis, Series, line_chart
from headrace.charts.style import CHART_STYLE, COLOURS
from headrace.charts.ticks import label as text_of
from headrace.core.clock import SECOND, to_us
from headrace.evaluate.metric_words import METRIC_WORDS
from headrace.evaluate.metrics import METRICS, Floats, Metric
from headrace.evaluate.report import curves
from headrace.evaluate.report.groups import Group, by_period, by_slice


@dataclass(frozen=True, kw_only=True)
class FeatureUse:
    """A feature of the model.

    Attributes:
        name, words: Of its definition.
        shap: Its share of the sum of mean |SHAP| over all features.
        importance: How much worse the metric is when its values are shuffled; None where not measured.
    """

    name: str
    words: str
    shap: float
    importance: float | None = None


@dataclass(frozen=True, kw_only=True)
class ModelReport:
    """What the report of a version shows.

    Attributes:
        problem, version, label: Names, and the label's expression.
        metric: Name of the problem's metric.
        metrics: As the version has them: `gate_auc`, `tune_auc`.
        baseline: The metric of the best constant on the gate window; None where unknown.
        y, p: Labels and predictions of the gate window [n], by the fit before it.
        cutoffs_us: Their cutoffs [n], microseconds UTC.
        slices: Column -> values [k] of a sample of the gate window, for slices.
        sample_y, sample_p: Labels and predictions of that sample [k].
        windows: `Windows.describe()`.
        features: The features that the model uses most, by SHAP.
        family: Name of the model family.
        facts: Further facts: name -> value.
        config: Configuration of the model.
        tried: The best trials of the search, best first, and how many there were.
        trials: Number of trials by how they ended.
        picture: Beeswarm plot of SHAP values (PNG), None where there is none.
        figures: Title, caption and PNG of each further picture of the model.
    """

    problem: str
    version: str
    label: str
    metric: str
    metrics: Mapping[str, float]
    y: Floats
    p: Floats
    cutoffs_us: NDArray[np.int64]
    baseline: float | None = None
    slices: Mapping[str, Sequence[object]] = field(default_factory=dict)
    sample_y: Floats = field(default_factory=lambda: np.empty(0))
    sample_p: Floats = field(default_factory=lambda: np.empty(0))
    windows: Mapping[str, Any] = field(default_factory=dict)
    features: tuple[FeatureUse, ...] = ()
    family: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    tried: tuple[Mapping[str, Any], ...] = ()
    trials: Mapping[str, int] = field(default_factory=dict)
    picture: bytes | None = None
    figures: tuple[tuple[str, str, bytes], ...] = ()


@cache
def environment() -> Environment:
    """Return the environment of the templates of this folder."""
    return Environment(
        loader=PackageLoader("headrace.evaluate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template_digest() -> str:
    """Return the sha256 of the template, which is no Python code that a stage's key contains."""
    text, _, _ = environment().loader.get_source(environment(), "report.html")  # type: ignore[union-attr]
    return hashlib.sha256(text.encode()).hexdigest()


def render_report(report: ModelReport) -> str:
    """Render the report. Equal reports are equal bytes."""
    metric = METRICS[report.metric]
    period, periods = by_period(report.y, report.p, report.cutoffs_us, metric)
    sample = len(report.sample_y) > 0
    picture = base64.b64encode(report.picture).decode() if report.picture else ""
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            style=COLOURS + CHART_STYLE,
            binary=metric.binary,
            metric=metric,
            metric_words=METRIC_WORDS[report.metric],
            metric_rows=_metric_rows(report),
            charts=_probability_charts(report) if metric.binary else _number_charts(report),
            period=period,
            periods=periods,
            period_chart=_period_chart(period, periods, metric),
            slices=by_slice(report.slices, report.sample_y, report.sample_p, metric) if sample else (),
            shap_bars=bar_chart(
                "Share of mean |SHAP|: how much a feature moves predictions",
                [Bar(name=one.name, note=one.words, value=one.shap, text=f"{one.shap:.1%}") for one in report.features],
                name="feature",
                value="share",
            ),
            importance_bars=_importance_bars(report),
            picture=picture,
            figures=[(title, text, base64.b64encode(png).decode()) for title, text, png in report.figures],
            windows=_window_rows(report.windows),
            number=lambda value: f"{value:.4g}",
        )
    )


def _metric_rows(report: ModelReport) -> list[tuple[str, str, str, str]]:
    """(title, meaning, gate, search) of each metric, the problem's own first."""

    def shown(place: str, name: str) -> str:
        value = report.metrics.get(f"{place}_{name}")
        return "–" if value is None else f"{value:.4g}"

    names = [name for name in dict.fromkeys((report.metric, *METRICS)) if f"gate_{name}" in report.metrics]
    names.sort(key=lambda name: name != report.metric)
    words = ((name, METRIC_WORDS[name]) for name in names)
    return [(one.title, one.meaning, shown("gate", name), shown("tune", name)) for name, one in words]


def _probability_charts(report: ModelReport) -> list[str]:
    roc, hits = curves.roc_curve(report.y, report.p), curves.precision_recall_curve(report.y, report.p)
    groups = curves.calibration(report.y, report.p)
    share = float(report.y.mean())
    limit = min(1.0, 1.05 * max((*groups.x, *groups.y, 0.05)))
    return [
        line_chart(
            "ROC curve",
            [
                Series(name="model", x=roc.x, y=roc.y, kind="line"),
                Series(name="coin", x=(0.0, 1.0), y=(0.0, 1.0), tone="other", kind="line", dashed=True),
            ],
            x=Axis(label="negatives flagged", scale="share", low=0, high=1),
            y=Axis(label="positives found", scale="share", low=0, high=1),
            description="Share of positives found by the share of negatives flagged with them, over all thresholds.",
        ),
        line_chart(
            "Precision and recall",
            [
                Series(name="model", x=hits.x, y=hits.y, kind="line"),
                Series(name="any row", x=(0.0, 1.0), y=(share, share), tone="other", kind="line", dashed=True),
            ],
            x=Axis(label="positives found (recall)", scale="share", low=0, high=1),
            y=Axis(label="hits among flagged (precision)", scale="share", low=0, high=1),
            description="Share of hits among the flagged rows by the share of positives found.",
        ),
        line_chart(
            "Calibration",
            [
                Series(name="ten groups", x=groups.x, y=groups.y),
                Series(name="perfect", x=(0.0, limit), y=(0.0, limit), tone="other", kind="line", dashed=True),
            ],
            x=Axis(label="mean prediction", scale="share", low=0, high=limit),
            y=Axis(label="share that is true", scale="share", low=0, high=limit),
            description="Ten groups of rows by prediction: share of true labels beside the mean prediction.",
        ),
    ]


def _number_charts(report: ModelReport) -> list[str]:
    groups, errors = curves.calibration(report.y, report.p), curves.residuals(report.y, report.p)
    low, high = min((*groups.x, *groups.y)), max((*groups.x, *groups.y))
    return [
        line_chart(
            "Predictions and labels",
            [
                Series(name="ten groups", x=groups.x, y=groups.y),
                Series(name="perfect", x=(low, high), y=(low, high), tone="other", kind="line", dashed=True),
            ],
            x=Axis(label="mean prediction"),
            y=Axis(label="mean label"),
            description="Ten groups of rows by prediction: mean label beside the mean prediction.",
        ),
        bar_chart(
            "Residuals: label less prediction",
            [
                Bar(name=text_of(x), value=y, text=f"{y:.1%}", note=f"{count:,} rows")
                for x, y, count in zip(errors.x, errors.y, errors.counts, strict=True)
            ],
            name="residual",
            value="share of rows",
        ),
    ]


def _period_chart(period: str, groups: Sequence[Group], metric: Metric) -> str:
    if len(groups) < 2:
        return ""
    days = [to_us(group.name if period == "week" else f"{group.name}-01") / SECOND for group in groups]
    return line_chart(
        f"{METRIC_WORDS[metric.name].title[0].upper()}{METRIC_WORDS[metric.name].title[1:]} by {period}",
        [Series(name=metric.name, x=days, y=[group.value for group in groups])],
        x=Axis(label=f"begin of the {period}", scale="date"),
        y=Axis(label=metric.name),
        description=f"The metric on the rows of each {period} of the gate window.",
    )


def _importance_bars(report: ModelReport) -> str:
    measured = [one for one in report.features if one.importance is not None]
    if not measured:
        return ""
    ranked = sorted(measured, key=lambda one: -(one.importance or 0.0))
    return bar_chart(
        f"Importance: loss of {report.metric} when the feature's values are shuffled",
        [
            Bar(name=one.name, value=max(one.importance or 0.0, 0.0), text=f"{one.importance:+.4f}")
            for one in ranked
        ],
        name="feature",
        value="loss",
    )  # fmt: skip


def _window_rows(windows: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(name, first instant, end, rows) of train, tune and gate, as far as they are known."""
    edges = ("train_from", "tune_from", "gate_from", "until")
    found = []
    for name, start, end in zip(("train", "tune", "gate"), edges, edges[1:], strict=False):
        if start in windows and end in windows:
            rows = windows.get(f"{name}_rows")
            count = f"{rows:,}" if isinstance(rows, int) else "–"
            found.append((name, str(windows[start]), str(windows[end]), count))
    return found
