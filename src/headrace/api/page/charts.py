"""Charts of the page: quality and drift by monitored window, from the decisions of the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace.charts.lines import Axis, Series, line_chart
from headrace.core.clock import SECOND
from headrace.evaluate.metric_words import METRIC_WORDS
from headrace.evaluate.metrics import METRICS
from headrace.monitor.outbox.outbox import Entry
from headrace.monitor.policy.decision import Decision

_MAX_WINDOWS = 60


def quality_chart(history: Sequence[Entry], versions: Mapping[str, Mapping[str, float]], metric: str) -> str:
    """Draw the problem's metric by window, beside its value on the champion's gate window.

    Args:
        history: Decisions by the end of their window.
        versions: Version -> metrics.
        metric: The problem's metric.
    """
    measured = [one.decision for one in history if metric in one.decision.costs][-_MAX_WINDOWS:]
    gates = [versions.get(decision.champion or "", {}).get(f"gate_{metric}") for decision in measured]
    known = [(decision, gate) for decision, gate in zip(measured, gates, strict=True) if gate is not None]
    sign = METRICS[metric].sign
    x = [decision.end_us / SECOND for decision, _ in known]
    title = f"Quality: {METRIC_WORDS[metric].title}"
    return line_chart(
        title,
        [
            Series(name="in production", x=x, y=[gate - sign * decision.costs[metric] for decision, gate in known]),
            Series(name="at the gate", x=x, y=[gate for _, gate in known], tone="other", kind="line", dashed=True),
        ],
        x=Axis(label="end of the window", scale="date"),
        y=Axis(label=f"{metric}, {'higher' if sign > 0 else 'lower'} is better"),
        description=f"{title} of each monitored window whose labels are known, and of the champion's gate window.",
    )


def drift_chart(history: Sequence[Entry]) -> str:
    """Draw the share of tested features that drifted, by window."""
    measured = [one.decision for one in history if one.decision.measured and one.decision.judged][-_MAX_WINDOWS:]
    return line_chart(
        "Drift: share of features that drifted",
        [
            Series(
                name="drifted",
                x=[decision.end_us / SECOND for decision in measured],
                y=[drifted_features(decision) / decision.judged for decision in measured],
            )
        ],
        x=Axis(label="end of the window", scale="date"),
        y=Axis(label="of the tested features", scale="share", low=0.0, high=None),
        description="Share of the tested features whose distribution differs from the champion's reference.",
    )


def drifted_features(decision: Decision) -> int:
    """Count the features of a window that drifted."""
    return sum(finding.about == "feature" for finding in decision.drifted)
