"""Metrics of a problem that are read when Prometheus asks: champion, features, alerts, runs, backlogs.

| metric                                              | further labels | meaning                                     |
|-----------------------------------------------------|----------------|---------------------------------------------|
| headrace_ready                                      |                | 1 where a version answers                   |
| headrace_champion                                   | version        | 1 for the version that answers              |
| headrace_champion_age_seconds                       | version        | time since its promotion, production clock  |
| headrace_champion_refused                           | version        | 1 for a champion that could not be loaded   |
| headrace_queue_rows                                 |                | rows that wait for prediction and log       |
| headrace_journal_bytes                              |                | disk that the prediction journal takes      |
| headrace_journal_limit_bytes                        |                | beyond it, no prediction is given           |
| headrace_feature_age_seconds                        | view           | age of the last refresh, production clock   |
| headrace_feature_fresh                              | view           | 1 where the view is fresh                   |
| headrace_feature_materialised_timestamp_seconds     | view           | tick of the last refresh, since 1970        |
| headrace_production_clock_seconds                   |                | the production clock, since 1970            |
| headrace_alerts_open                                | kind           | alerts that nobody has acknowledged         |
| headrace_alerts_undelivered                         |                | messages that a receiver still lacks        |
| headrace_retrains_open                              |                | decided retrains that have no outcome       |
| headrace_outbox_oldest_seconds                      |                | age of the oldest of both, wall clock       |
| headrace_ledger_aliases_pending                     |                | aliases whose write in MLflow is unfinished |
| headrace_flow_last_run_timestamp_seconds            | flow           | end of the flow's last run, wall clock      |
| headrace_flow_last_run_completed                    | flow           | 1 where it completed, 0 where it failed     |
| headrace_flow_last_run_seconds                      | flow           | its length                                  |
| headrace_flow_last_success_timestamp_seconds        | flow           | end of the last run that completed          |
| headrace_unreadable                                 | what           | 1 for what could not be read                |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily

from headrace.core.clock import SECOND
from headrace.core.errors import HeadraceError
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.outbox import Outbox
from headrace.prediction_log.journal import PredictionJournal
from headrace.serving.service import Service
from headrace.telemetry.flow_runs import last_runs

_log = logging.getLogger(__name__)

#: Aliases of MLflow that the ledger writes.
_ALIASES = ("champion", "challenger", "previous")
Gauges = Iterator[GaugeMetricFamily]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProblemState:
    """Reads the state of a problem. What cannot be read is left out and named by `headrace_unreadable`.

    Attributes:
        service: What answers.
        queued_rows: Returns the number of rows that wait.
        root: Home folder, for the outbox and the runs; None: a service without them.
        wall_us: Wall clock, microseconds UTC.
    """

    service: Service
    queued_rows: Callable[[], int]
    root: Path | None
    wall_us: Callable[[], int]

    def collect(self) -> Gauges:
        """Yield the gauges."""
        unreadable: list[str] = []
        parts: Mapping[str, Callable[[], Gauges]] = {
            "ledger": self._champion,
            "store": self._features,
            "journal": self._journal,
            **({"outbox": self._outbox, "runs": self._runs} if self.root is not None else {}),
        }
        for what, part in parts.items():
            try:
                yield from list(part())
            except (HeadraceError, OSError, ValueError) as error:
                _log.warning("metrics: %s: %s", what, error)
                unreadable.append(what)
        yield self._gauge("queue_rows", "Rows that wait for prediction and log", self.queued_rows())
        yield self._by("what", "unreadable", "1 for what could not be read", dict.fromkeys(unreadable, 1.0))

    def _gauge(self, name: str, text: str, value: float) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"headrace_{name}", text, labels=("problem",))
        gauge.add_metric((self.service.problem.name,), value)
        return gauge

    def _by(self, label: str, name: str, text: str, rows: Mapping[str, float]) -> GaugeMetricFamily:
        """Return a gauge with a value for each value of a label."""
        gauge = GaugeMetricFamily(f"headrace_{name}", text, labels=("problem", label))
        for own, value in rows.items():
            gauge.add_metric((self.service.problem.name, own), value)
        return gauge

    def _champion(self) -> Gauges:
        follower, ledger = self.service.follower, self.service.ledger
        version, refused = follower.serving, follower.refused
        yield self._gauge("ready", "1 where a version answers", float(version is not None))
        yield self._by("version", "champion", "The version that answers", {version: 1.0} if version else {})
        failed = {refused.version: 1.0} if refused is not None else {}
        yield self._by("version", "champion_refused", "A champion that could not be loaded", failed)
        record = ledger.champion()
        age_s = {} if record is None else {record.version: (self.service.now() - record.at_us) / SECOND}
        yield self._by("version", "champion_age_seconds", "Time since its promotion", age_s)
        pending = sum(ledger.alias_state(name).writing is not None for name in _ALIASES)
        yield self._gauge("ledger_aliases_pending", "Aliases whose write in MLflow is unfinished", pending)

    def _journal(self) -> Gauges:
        log = self.service.log
        if isinstance(log, PredictionJournal):
            yield self._gauge("journal_bytes", "Disk that the prediction journal takes", log.used_bytes)
            yield self._gauge("journal_limit_bytes", "Beyond it, no prediction is given", log.limit_bytes)

    def _features(self) -> Gauges:
        now_us = self.service.now()
        yield self._gauge("production_clock_seconds", "The production clock", now_us / SECOND)
        if self.service.follower.serving is None:
            return
        ages = self.service.online.ages(self.service.follower.current.bundle.service, now_us)
        age_s = {view: age.age_us / SECOND for view, age in ages.items() if age.age_us is not None}
        ticks_s = {view: age.tick_us / SECOND for view, age in ages.items() if age.tick_us is not None}
        fresh = {view: float(age.status == "FRESH") for view, age in ages.items()}
        yield self._by("view", "feature_age_seconds", "Age of the last refresh", age_s)
        yield self._by("view", "feature_materialised_timestamp_seconds", "Tick of the last refresh", ticks_s)
        yield self._by("view", "feature_fresh", "1 where the view is fresh", fresh)

    def _outbox(self) -> Gauges:
        assert self.root is not None
        outbox = Outbox(self.root, self.service.problem.name)
        entries = outbox.history()
        waiting = [one for one in queued_alerts(outbox) if one.delivered_us is None]
        unseen = [one.decision.kind for one in entries if not one.acknowledged]
        counts = {kind: float(unseen.count(kind)) for kind in ("alert", "retrain")}
        yield self._by("kind", "alerts_open", "Alerts that nobody has acknowledged", counts)
        retrains = [one for one in entries if one.decision.kind == "retrain" and one.outcome is None]
        yield self._gauge("alerts_undelivered", "Messages that a receiver still lacks", len(waiting))
        yield self._gauge("retrains_open", "Decided retrains that have no outcome", len(retrains))
        since = [one.put_us for one in waiting] + [one.put_us for one in retrains]
        oldest_s = (self.wall_us() - min(since)) / SECOND if since else 0.0
        yield self._gauge("outbox_oldest_seconds", "Age of the oldest message or retrain that waits", oldest_s)

    def _runs(self) -> Gauges:
        assert self.root is not None
        runs = last_runs(self.root, self.service.problem.name).values()
        ended_s = {run.flow: run.ended_us / SECOND for run in runs}
        completed = {run.flow: float(run.outcome == "completed") for run in runs}
        length_s = {run.flow: (run.ended_us - run.started_us) / SECOND for run in runs}
        success_s = {run.flow: run.success_us / SECOND for run in runs if run.success_us is not None}
        yield self._by("flow", "flow_last_run_timestamp_seconds", "End of the last run", ended_s)
        yield self._by("flow", "flow_last_run_completed", "1 where the last run completed", completed)
        yield self._by("flow", "flow_last_run_seconds", "Length of the last run", length_s)
        yield self._by("flow", "flow_last_success_timestamp_seconds", "End of the last completed run", success_s)
