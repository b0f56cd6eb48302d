"""What the API counts and measures, for Prometheus: requests, their times, errors, flags, champion, age of features.

| metric                                  | labels             | meaning                                              |
|-----------------------------------------|--------------------|------------------------------------------------------|
| headrace_requests_total                 | path, status       | answered requests                                    |
| headrace_request_seconds                | path               | histogram of the time to the end of an answer        |
| headrace_errors_total                   | path, status       | of them those with a status of 400 or more           |
| headrace_predictions_total              | version            | predicted rows                                       |
| headrace_flags_total                    | flag, column       | flags; `column` is empty where a client chose it     |
| headrace_champion                       | problem, version   | 1 for the version that answers                       |
| headrace_ready                          |                    | 1 where a version answers                            |
| headrace_feature_age_seconds            | view               | age of the last refresh, on the production clock     |
| headrace_feature_fresh                  | view               | 1 where the view is fresh                            |
| headrace_production_clock_seconds       |                    | the production clock, seconds since 1970             |
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace.core.clock import SECOND
from headrace.core.errors import HeadraceError
from headrace.serving.answers import Answer
from headrace.serving.flags import UNSEEN_CATEGORY
from headrace.serving.service import Service

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application. Thread-safe.

    Args:
        service: what answers; its state is read when the metrics are.
    """

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("headrace_requests", "Answered requests", ["path", "status"], registry=self._registry)
        self._errors = Counter(
            "headrace_errors", "Requests answered by an error", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "headrace_request_seconds", "Time to the end of an answer", ["path"], buckets=_BUCKETS_S,
            registry=self._registry,
        )  # fmt: skip
        self._predictions = Counter("headrace_predictions", "Predicted rows", ["version"], registry=self._registry)
        self._flags = Counter("headrace_flags", "Flags of answers", ["flag", "column"], registry=self._registry)
        self._registry.register(_ServiceState(service))

    def count_request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request. path: of its route, so that clients cannot make up labels."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)
        if status >= 400:
            self._errors.labels(path, str(status)).inc()

    def count_answers(self, answers: Sequence[Answer]) -> None:
        """Count predicted rows and their flags."""
        for answer in answers:
            self._predictions.labels(answer.model_version).inc()
            for flag in answer.flags:
                kind, _, column = flag.partition(":")
                self._flags.labels(kind, column if kind == UNSEEN_CATEGORY else "").inc()

    def exposition(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class MeasuredRequests:
    """ASGI middleware that counts requests and measures their time."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, observed)
        finally:
            path = getattr(scope.get("route"), "path", "(other)")
            self._metrics.count_request(path, status, time.perf_counter() - started)


class _ServiceState(Collector):
    """Reads the champion and the age of its features when they are asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[GaugeMetricFamily]:
        version = self._service.follower.serving
        yield GaugeMetricFamily("headrace_ready", "1 where a version answers", value=float(version is not None))
        champion = GaugeMetricFamily("headrace_champion", "The version that answers", labels=["problem", "version"])
        if version is not None:
            champion.add_metric([self._service.problem.name, version], 1.0)
        yield champion
        yield from self._freshness()

    def _freshness(self) -> Iterator[GaugeMetricFamily]:
        age_s = GaugeMetricFamily("headrace_feature_age_seconds", "Age of the last refresh", labels=["view"])
        fresh = GaugeMetricFamily("headrace_feature_fresh", "1 where the view is fresh", labels=["view"])
        try:
            now_us = self._service.now()
            ages = self._service.online.ages(self._service.follower.current.bundle.service, now_us)
        except (HeadraceError, OSError):  # no model, or a store that cannot be read: `/readyz` says which
            return
        for view, age in ages.items():
            if age.age_us is not None:
                age_s.add_metric([view], age.age_us / SECOND)
            fresh.add_metric([view], float(age.status == "FRESH"))
        clock = GaugeMetricFamily("headrace_production_clock_seconds", "The production clock", value=now_us / SECOND)
        yield from (age_s, fresh, clock)
