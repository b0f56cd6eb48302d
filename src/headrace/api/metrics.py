"""What the API counts and measures, for Prometheus. Every metric has the label `problem`; `api.state_metrics` has the
rest: champion, features, alerts, runs, backlogs.

| metric                                  | further labels     | meaning                                              |
|-----------------------------------------|--------------------|------------------------------------------------------|
| headrace_requests_total                 | path, status       | answered requests                                    |
| headrace_request_seconds                | path               | histogram of the time to the end of an answer        |
| headrace_errors_total                   | path, status       | of them those with a status of 400 or more           |
| headrace_predictions_total              | version            | predicted rows                                       |
| headrace_flags_total                    | flag, column       | flags; `column` is empty where a client chose it     |
| headrace_rollout_*                      | version            | see `api.rollout_metrics`                            |
| headrace_batch_rows                     |                    | histogram of the rows of a batch of waiting requests |
| headrace_batch_seconds                  | step               | histogram of the steps of a batch: read, score, log  |

One server may answer for several problems: they share one `Meters`, so `/metrics` of any of them has all. Several
processes on one port share their counters through the folder PROMETHEUS_MULTIPROC_DIR, as prometheus_client does it.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from headrace.serving.answers import ValidatedCall
from headrace.serving.batch_times import BatchTimes
from headrace.serving.flags import UNSEEN_CATEGORY

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STEP_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)


class CountedAnswer(Protocol):
    """What is counted of an answer: which version predicted, and its flags."""

    @property
    def model_version(self) -> str: ...

    @property
    def flags(self) -> Sequence[str]: ...


class State(Protocol):
    """Gives gauges of a problem when they are asked for: `state_metrics.ProblemState`."""

    def collect(self) -> Iterator[GaugeMetricFamily]: ...


class _States(Collector):
    """The gauges of all problems: a metric once, with the samples of each problem."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        merged: dict[str, GaugeMetricFamily] = {}
        for state in self.states:
            for family in state.collect():
                if family.name in merged:
                    merged[family.name].samples.extend(family.samples)
                else:
                    merged[family.name] = family
        return merged.values()


class Meters:
    """The counters and histograms of a server. Thread-safe.

    Args:
        shared: Folder in which several processes on one port share them; None: this process is the only one.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self._shared = shared
        own = CollectorRegistry()
        self.requests = Counter("headrace_requests", "Answered requests", ["problem", "path", "status"], registry=own)
        self.errors = Counter(
            "headrace_errors", "Requests answered by an error", ["problem", "path", "status"], registry=own
        )
        self.seconds = Histogram(
            "headrace_request_seconds", "Time to the end of an answer", ["problem", "path"], buckets=_BUCKETS_S,
            registry=own,
        )  # fmt: skip
        self.predictions = Counter("headrace_predictions", "Predicted rows", ["problem", "version"], registry=own)
        self.flags = Counter("headrace_flags", "Flags of answers", ["problem", "flag", "column"], registry=own)
        self.batch_rows = Histogram(
            "headrace_batch_rows", "Rows that were predicted and logged together", ["problem"], buckets=_ROW_BUCKETS,
            registry=own,
        )  # fmt: skip
        self.batch_seconds = Histogram(
            "headrace_batch_seconds", "Time of the steps of a batch", ["problem", "step"], buckets=_STEP_BUCKETS_S,
            registry=own,
        )  # fmt: skip
        self._registry = own
        self._states = _States()

    def add_state(self, state: State) -> None:
        """Add the state of a problem, which is read when the metrics are."""
        self._states.states.append(state)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        counted = self._registry
        if self._shared is not None:
            counted = CollectorRegistry()
            add_files: Any = MultiProcessCollector  # which has no types
            add_files(counted, path=str(self._shared))
        return generate_latest(counted) + generate_latest(self._states.registry)


class Metrics:
    """The metrics of one problem's application. Thread-safe.

    Args:
        problem: Name of the problem.
        meters: The counters of the server.
    """

    def __init__(self, problem: str, meters: Meters) -> None:
        self._problem = problem
        self._meters = meters
        #: Looking a metric up by its labels takes longer than counting.
        self._of_route: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._rows = meters.batch_rows.labels(problem)
        self._read, self._score, self._log = (
            meters.batch_seconds.labels(problem, step) for step in ("read", "score", "log")
        )

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request. path: of its route, so that clients cannot make up labels."""
        meters = self._meters
        known = self._of_route.get((path, status))
        if known is None:
            requests = meters.requests.labels(self._problem, path, str(status))
            known = self._of_route[path, status] = (requests, meters.seconds.labels(self._problem, path))
        known[0].inc()
        known[1].observe(seconds)
        if status >= 400:
            meters.errors.labels(self._problem, path, str(status)).inc()

    def count_answers(self, answers: Sequence[CountedAnswer]) -> None:
        """Count predicted rows and their flags."""
        for version, number in collections.Counter(answer.model_version for answer in answers).items():
            self._meters.predictions.labels(self._problem, version).inc(number)
        for answer in answers:
            for flag in answer.flags:
                kind, _, column = flag.partition(":")
                self._meters.flags.labels(self._problem, kind, column if kind == UNSEEN_CATEGORY else "").inc()

    def observe_batch(self, calls: Sequence[ValidatedCall], times: BatchTimes) -> None:
        """Observe a batch of calls that was answered."""
        self._rows.observe(sum(len(call.rows) for call in calls))
        self._read.observe((times.read_ns - times.started_ns) / 1e9)
        self._score.observe((times.scored_ns - times.read_ns) / 1e9)
        self._log.observe((times.logged_ns - times.scored_ns) / 1e9)

    def exposition(self) -> bytes:
        """Return the metrics of the server in Prometheus' text format."""
        return self._meters.exposition()
