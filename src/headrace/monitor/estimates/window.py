"""All estimates of one window, and what they say in sentences, for alerts, reports, the command line and artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.core.clock import DAY, HOUR, MINUTE, format_duration, iso
from headrace.monitor.estimates.attribution import Attribution
from headrace.monitor.estimates.delay import NEARLY_ALL, LabelDelay
from headrace.monitor.estimates.disagreement import Disagreement
from headrace.monitor.estimates.expected import COST
from headrace.monitor.estimates.performance import PerformanceEstimate
from headrace.monitor.estimates.slices import DailyLoss, Slice

#: Metrics in sentences, at most.
_MAX_METRICS, _MAX_NAMES = 2, 3


@dataclass(frozen=True, kw_only=True)
class WindowEstimates:
    """The estimates of a window. A part without input is None or empty, and `notes` says why.

    Attributes:
        rows: Number of predictions.
        performance: Estimated metrics, the problem's first.
        currency: Unit of the metric `cost`.
        delay: Maturity of the labels.
        disagreement: Of champion and shadow.
        attribution: Attribution drift.
        slices: Slices whose loss grew, the worst first.
        daily: Mean loss by day of all rows and of the worst slice, from some windows before this one on; for pictures.
        shift_costs: Drifted feature -> expected increase of the mean loss by its shift, and its standard error.
        loss: Name of the loss of `slices` and `shift_costs`.
        notes: Remarks for people.
    """

    rows: int = 0
    performance: tuple[PerformanceEstimate, ...] = ()
    currency: str = ""
    delay: LabelDelay | None = None
    disagreement: Disagreement | None = None
    attribution: Attribution | None = None
    slices: tuple[Slice, ...] = ()
    daily: tuple[DailyLoss, ...] = ()
    shift_costs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    loss: str = ""
    notes: tuple[str, ...] = ()

    def metric(self, name: str) -> PerformanceEstimate | None:
        """Return the estimate of one metric, None where it was not estimated."""
        return next((one for one in self.performance if one.metric == name), None)

    def sentences(self) -> tuple[str, ...]:
        """Return what the estimates say, one sentence each, the most important first."""
        return (
            *_money(self),
            *_performance(self),
            *_slices(self),
            *_maturity(self),
            *_attribution(self),
            *_shadow(self),
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able facts."""
        return {
            "rows": self.rows,
            "performance": [one.to_json() for one in self.performance],
            "currency": self.currency,
            "delay": self.delay.to_json() if self.delay else None,
            "disagreement": self.disagreement.to_json() if self.disagreement else None,
            "attribution": self.attribution.to_json() if self.attribution else None,
            "slices": [one.to_json() for one in self.slices],
            "daily": [one.to_json() for one in self.daily],
            "shift_costs": {name: list(value) for name, value in self.shift_costs.items()},
            "loss": self.loss,
            "notes": list(self.notes),
        }


def _performance(estimates: WindowEstimates) -> Iterator[str]:
    for one in [one for one in estimates.performance if one.metric != COST][:_MAX_METRICS]:
        text = (
            f"Estimated {one.metric} of all {estimates.rows:,} predictions: {one.value:.3g} "
            f"({one.low:.3g} to {one.high:.3g}), {one.reference:.3g} on the gate"
        )
        if one.realised is not None:
            text += f"; measured on the {one.matured:.0%} with a label: {one.realised:.3g}"
        yield text


def _money(estimates: WindowEstimates) -> Iterator[str]:
    cost = estimates.metric(COST)
    if cost is None:
        return
    unit = f" {estimates.currency}" if estimates.currency else ""
    # Matured labels see what estimates cannot: a change of the relation between features and label.
    if cost.realised is not None:
        rate, source = cost.realised, f"by the {cost.matured:.0%} of labels that came"
    else:
        rate, source = cost.value, f"estimated, {cost.low:.3g} to {cost.high:.3g} a prediction"
    more = (rate - cost.reference) * estimates.rows
    yield (
        f"Wrong decisions cost {rate:.3g}{unit} a prediction ({source}), {cost.reference:.3g} on the gate: "
        f"{abs(more):,.0f}{unit} {'more' if more > 0 else 'less'} for the {estimates.rows:,} predictions of the window"
    )


def _slices(estimates: WindowEstimates) -> Iterator[str]:
    if not estimates.slices:
        return
    worst = estimates.slices[0]
    since = f", since {iso(worst.since_us)[:10]}" if worst.since_us is not None else ""
    others = f"; {len(estimates.slices) - 1} more slices got worse" if len(estimates.slices) > 1 else ""
    same = f" (the same rows: {', '.join(worst.same_rows[:_MAX_NAMES])})" if worst.same_rows else ""
    yield (
        f"Worst slice: {worst.name}{same}: {estimates.loss} {worst.loss:.3g}, {worst.reference_loss:.3g} on the gate"
        f"{since} ({worst.rows:,} rows){others}"
    )


def _maturity(estimates: WindowEstimates) -> Iterator[str]:
    delay = estimates.delay
    if delay is None:
        return
    text = f"Labels: {delay.matured:.0%} of the window have come"
    if delay.matured >= NEARLY_ALL:
        pass
    elif delay.complete_us is None:
        text += f"; {NEARLY_ALL:.0%} are not expected to come ({delay.missing:.0%} of past labels never did)"
    else:
        text += f"; {NEARLY_ALL:.0%} are expected by {iso(delay.complete_us - delay.complete_us % MINUTE)}"
    unit = HOUR if (delay.median_us or 0) >= DAY else MINUTE
    median = None if delay.median_us is None else round(delay.median_us / unit) * unit
    yield text + (f"; half come within {format_duration(median)}" if median else "")


def _attribution(estimates: WindowEstimates) -> Iterator[str]:
    found = estimates.attribution
    if found is None or not found.shifts:
        return
    names = [f"{one.name} ({one.share:.0%}, was {one.reference:.0%})" for one in found.shifts[:_MAX_NAMES]]
    more = len(found.shifts) - _MAX_NAMES
    yield (
        f"The model leans on other features: {', '.join(names)}"
        + (f" and {more} more" if more > 0 else "")
        + f"; similarity of the ranking {found.ndcg:.2f}"
    )


def _shadow(estimates: WindowEstimates) -> Iterator[str]:
    found = estimates.disagreement
    if found is None:
        return
    text = f"Champion and shadow differ by {found.mean:.3g} on average ({found.low:.3g} to {found.high:.3g})"
    if found.reference is not None:
        text += f", {found.reference:.3g} on the reference"
    if found.decisions is not None:
        text += f"; {found.decisions:.1%} of decisions differ"
    yield text
