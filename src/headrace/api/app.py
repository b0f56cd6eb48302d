"""The application: endpoints that translate and delegate to `serving`, and its lifetime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse

from headrace import __version__
from headrace.api.access.check import AccessCheck
from headrace.api.access.control import AccessControl
from headrace.api.arrow import arrow_router
from headrace.api.bodies import BodyReader
from headrace.api.docs_page import PAGE
from headrace.api.errors import add_error_handlers, failure
from headrace.api.events import events_router
from headrace.api.examples import example_row, placeholder_row
from headrace.api.fast import FastPredictions
from headrace.api.hosts import HostCheck
from headrace.api.invocations import invocations_router
from headrace.api.metrics import Meters, Metrics
from headrace.api.operations import operations_router, or_none
from headrace.api.page.links import Links
from headrace.api.page.routes import page_router
from headrace.api.predictions import predictions_router
from headrace.api.requests import NO_FASTAPI_TELEMETRY, ObservedRequests, batch_observer
from headrace.api.rollout_metrics import RolloutState
from headrace.api.state_metrics import ProblemState
from headrace.core.clock import MINUTE
from headrace.core.errors import HeadraceError
from headrace.core.guard import NoForeignPages
from headrace.core.hosts import LOOPBACK
from headrace.prediction_log.journal import PredictionJournal, Sync
from headrace.schema import Problem
from headrace.serving.answers import AnswerQueue, Policy
from headrace.serving.queue import PredictionQueue
from headrace.serving.service import Service, open_service
from headrace.serving.turn_queue import TurnQueue
from headrace.streaming.gateway import EventGateway

POLL_S = 0.5
#: Longest time that a server waits for its first model before it answers, by 503 as long as there is none.
FIRST_LOOK_S = 60.0

_DESCRIPTION = """\
Predictions for **{problem}**: `{label}`.

A request names a row's entities (join keys) and the columns of the row itself. Stored features come from the online
store, each with its age; the answer is in a durable log before it leaves. A newly promoted champion takes over within a
second, without a restart.
"""


def create_app(
    root: Path,
    problem: Problem,
    tracking_uri: str,
    now: Callable[[], int],
    *,
    policy: Policy = "default",
    hosts: Sequence[str] = LOOPBACK,
    poll_s: float = POLL_S,
    links: Links | None = None,
    log_sync: Sync | None = None,
    access: AccessControl | None = None,
    meters: Meters | None = None,
    form_key: bytes | None = None,
) -> FastAPI:
    """The API of a problem below a home folder, with its page.

    Args:
        root: home folder.
        problem: the problem.
        tracking_uri: MLflow's address.
        now: the problem's production clock.
        policy: what to do with features that are not fresh.
        hosts: names that a request may address the server by.
        poll_s: seconds between looks at the ledger.
        links: addresses of the other services, for the page.
        log_sync: when answers are on disk (`prediction_log.journal`); None: they are written to the log itself.
        access: demands API keys; None for an open server.
        meters: counters of the server, where it has several problems.
        form_key: secret of the page's forms, which all processes of a server share.
    """
    service = open_service(root, problem, tracking_uri, now, policy=policy, log_sync=log_sync)
    app = build_app(
        service,
        example=lambda: example_row(root, problem, now()),
        hosts=hosts,
        poll_s=poll_s,
        access=access,
        root=root,
        meters=meters,
    )
    if problem.feed is None:
        app.include_router(events_router(EventGateway(root, problem)))
    app.include_router(page_router(service, root, links or Links(), _wall_us, form_key=form_key))
    return app


def build_app(
    service: Service,
    *,
    example: Callable[[], dict[str, Any] | None] = lambda: None,
    hosts: Sequence[str] = LOOPBACK,
    poll_s: float = POLL_S,
    access: AccessControl | None = None,
    root: Path | None = None,
    meters: Meters | None = None,
) -> FastAPI:
    """The API around a service that is put together already.

    Args:
        service: what answers.
        example: gives a row to show in the reference.
        hosts: names that a request may address the server by.
        poll_s: seconds between looks at the ledger.
        access: demands API keys; None for an open server.
        root: home folder, for metrics of its outbox and runs.
        meters: counters of the server, where it has several problems.
    """

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncIterator[None]:
        service.start(poll_s)
        try:
            # connections are accepted from here on: beside another process on the port, with a model that answers
            await asyncio.to_thread(service.follower.wait_for_first_look, FIRST_LOOK_S)
            yield
        finally:
            queue.stop()
            service.close()

    problem = service.problem
    queue = _queue(service)
    app = FastAPI(
        title=f"Headrace: {problem.name}",
        version=__version__,
        description=_DESCRIPTION.format(problem=problem.name, label=problem.label),
        lifespan=lifetime,
        docs_url=None,  # FastAPI's page loads its scripts from the internet; ours is one file
        redoc_url=None,
        telemetry=NO_FASTAPI_TELEMETRY,
    )
    meters = meters or Meters()
    metrics = Metrics(problem.name, meters)
    meters.add_state(ProblemState(service=service, queued_rows=lambda: queue.rows, root=root, wall_us=_wall_us))
    meters.add_state(RolloutState(service=service))
    service.predictor.observer = batch_observer(problem.name, metrics)
    reader = BodyReader()
    for router in (predictions_router, arrow_router, invocations_router):
        app.include_router(router(service, queue, metrics, reader))
    app.include_router(operations_router(service, metrics, lambda: _example(service, example)))
    app.add_middleware(FastPredictions, service=service, queue=queue, metrics=metrics, reader=reader)
    app.add_middleware(NoForeignPages, refusal=failure(403, "foreign_page", "a page of another origin sent this"))
    if access is not None:
        app.add_middleware(AccessCheck, control=access, problem=service.problem.name)
    app.add_middleware(HostCheck, hosts=hosts)
    app.add_middleware(ObservedRequests, problem=problem.name, metrics=metrics)
    add_error_handlers(app)
    _add_docs(app, service, example)
    return app


def _queue(service: Service) -> AnswerQueue:
    """Return what answers calls together: in the event loop where the log does not wait for a database."""
    predictor = service.predictor  # its methods are looked up for each batch
    if isinstance(service.log, PredictionJournal):
        return TurnQueue(lambda calls: predictor.write(calls), lambda calls: predictor.answer(calls), service.log)
    return PredictionQueue(lambda calls: predictor.answer(calls))


def _wall_us() -> int:
    return time.time_ns() // 1000


def _add_docs(app: FastAPI, service: Service, example: Callable[[], dict[str, Any] | None]) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @lru_cache(maxsize=1)
    def schema_with_example(version: str | None, minute: int) -> dict[str, Any]:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        row = _example(service, example)
        if row is not None:
            for path, example_body in (("/predict", row), ("/predict/batch", {"rows": [row, row]})):
                schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"] = example_body
        return schema

    def openapi() -> dict[str, Any]:
        """The schema, with a row to try: a real one where there is one. Made anew as champions and batches come."""
        now = or_none(service.now)
        return schema_with_example(service.follower.serving, 0 if now is None else now // MINUTE)

    app.openapi = openapi  # type: ignore[method-assign]


def _example(service: Service, example: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        needs = service.predictor.needs()
    except HeadraceError:
        needs = None
    row = example()
    if row is None:
        return placeholder_row(needs) if needs else None
    names = set(row) if needs is None else {*needs.names, *service.problem.spine_table.keys}
    return {name: value for name, value in row.items() if name in names or name == service.problem.spine_table.time}
