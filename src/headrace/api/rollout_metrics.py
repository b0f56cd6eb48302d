"""Metrics of a problem's rollout by version, read when Prometheus asks; none while no rollout is under way.

| metric                               | meaning                                                                   |
|--------------------------------------|---------------------------------------------------------------------------|
| headrace_rollout_share               | share of the entities that the version answers                            |
| headrace_rollout_requests            | rows that the challenger scored or failed to score, in this process       |
| headrace_rollout_answered            | rows among them that it answered                                          |
| headrace_rollout_errors              | rows that it failed to score                                              |
| headrace_rollout_dropped             | rows that it did not score, because too many waited                       |
| headrace_rollout_scoring_p99_seconds | 99th percentile of scoring times of the same rows, of both versions       |

All have the labels problem and version. Counts begin with the rollout, and anew with the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from headrace.serving.service import Service

_COUNTS = ("requests", "answered", "errors", "dropped")


@dataclass(frozen=True, kw_only=True, eq=False)
class RolloutState:
    """Reads the counts of a rollout.

    Attributes:
        service: What answers.
    """

    service: Service

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        active = self.service.rollout.active if self.service.rollout is not None else None
        if active is None:
            return
        step, counts = active.step, active.counts.values()
        yield self._gauge("share", "Share of the entities", {step.version: step.share, step.champion: 1 - step.share})
        for name in _COUNTS:
            yield self._gauge(name, f"Rows of the challenger: {name}", {step.version: getattr(counts, name)})
        times = {step.version: counts.challenger_p99_s, step.champion: counts.champion_p99_s}
        known = {version: seconds for version, seconds in times.items() if seconds is not None}
        yield self._gauge("scoring_p99_seconds", "99th percentile of scoring times", known)

    def _gauge(self, name: str, text: str, rows: Mapping[str, float]) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"headrace_rollout_{name}", text, labels=("problem", "version"))
        for version, value in rows.items():
            gauge.add_metric((self.service.problem.name, version), value)
        return gauge
