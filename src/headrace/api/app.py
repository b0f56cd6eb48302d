"""The application: endpoints that translate and delegate to `serving`, and its lifetime."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, RedirectResponse

from headrace import __version__
from headrace.api.bodies import BodyReader, json_route
from headrace.api.docs_page import PAGE
from headrace.api.errors import add_error_handlers, failure
from headrace.api.examples import example_row, placeholder_row
from headrace.api.hosts import HostCheck
from headrace.api.messages import (
    Batch,
    Health,
    Model,
    Prediction,
    Predictions,
    Readiness,
    Refusal,
    Row,
    ViewAge,
    failures,
)
from headrace.core.clock import MINUTE, iso
from headrace.core.errors import HeadraceError
from headrace.core.guard import NoForeignPages
from headrace.core.hosts import LOOPBACK
from headrace.schema import Problem
from headrace.serving.answers import Policy
from headrace.serving.queue import PredictionQueue
from headrace.serving.readiness import ReadinessCheck
from headrace.serving.service import Service, open_service
from headrace.store.online import AheadError

T = TypeVar("T")
_log = logging.getLogger(__name__)

POLL_S = 0.5

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
) -> FastAPI:
    """The API of a problem below a home folder. now: its production clock. poll_s: between looks at the ledger."""
    service = open_service(root, problem, tracking_uri, now, policy=policy)
    return build_app(service, example=lambda: example_row(root, problem, now()), hosts=hosts, poll_s=poll_s)


def build_app(
    service: Service,
    *,
    example: Callable[[], dict[str, Any] | None] = lambda: None,
    hosts: Sequence[str] = LOOPBACK,
    poll_s: float = POLL_S,
) -> FastAPI:
    """The API around a service that is put together already.

    Args:
        service: what answers.
        example: gives a row to show in the reference.
        hosts: names that a request may address the server by.
        poll_s: seconds between looks at the ledger.
    """

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncIterator[None]:
        service.follower.start(poll_s)
        try:
            yield
        finally:
            queue.stop()
            service.follower.stop()
            service.log.close()

    problem = service.problem
    queue = PredictionQueue(lambda calls: service.predictor.answer(calls))
    app = FastAPI(
        title=f"Headrace: {problem.name}",
        version=__version__,
        description=_DESCRIPTION.format(problem=problem.name, label=problem.label),
        lifespan=lifetime,
        docs_url=None,  # FastAPI's page loads its scripts from the internet; ours is one file
        redoc_url=None,
    )
    app.include_router(_predictions(service, queue))
    app.include_router(_operations(service))
    app.add_middleware(NoForeignPages, refusal=failure(403, "foreign_page", "a page of another origin sent this"))
    app.add_middleware(HostCheck, hosts=hosts)
    add_error_handlers(app)
    _add_docs(app, service, example)
    return app


def _predictions(service: Service, queue: PredictionQueue) -> APIRouter:
    router = APIRouter(
        tags=["predict"], responses=failures(400, 408, 413, 415, 422, 503), route_class=json_route(BodyReader())
    )

    async def answers(rows: Sequence[dict[str, Any]]) -> list[Prediction]:
        now_us = service.now()
        try:
            results = await asyncio.wrap_future(queue.submit(service.predictor.check(rows, now_us=now_us)))
        except AheadError:
            later_us = service.now()
            if later_us <= now_us:
                raise
            # the clock and the online store moved on while the call waited
            results = await asyncio.wrap_future(queue.submit(service.predictor.check(rows, now_us=later_us)))
        return [Prediction.of(answer) for answer in results]

    @router.post("/predict", summary="Predict one row")
    async def predict(row: Annotated[Row, Body()]) -> Prediction:
        """Features are read for the row's entities as of now on the production clock."""
        (answer,) = await answers([row])
        return answer

    @router.post("/predict/batch", summary="Predict several rows")
    async def predict_batch(batch: Batch) -> Predictions:
        """All rows are answered by one model version and logged in one transaction; one wrong row refuses all."""
        return Predictions(predictions=await answers(batch.rows))

    return router


def _operations(service: Service) -> APIRouter:
    check = ReadinessCheck(service)
    router = APIRouter(tags=["operate"])

    @router.get("/model", summary="The model that answers", responses=failures(503))
    def model() -> Model:
        """The version that answers, its metrics, and the columns that a request must carry."""
        loaded, record = service.follower.current, service.ledger.champion()
        own = record if record is not None and record.version == loaded.version else None
        return Model.of(service.problem.name, loaded.version, loaded.bundle.service, service.predictor.needs(), own)

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Health:
        """Answers whenever the process does, with or without a model."""
        return Health()

    @router.get("/readyz", summary="Can it predict?", responses={503: {"model": Readiness, "description": "It cannot"}})
    def readyz(response: Response) -> Readiness:
        """200 where predictions would be given, else 503 with what stands in the way (no model, a prediction log that
        cannot be written, a damaged store); a champion that was refused is named with the reason."""
        state = readiness(service, check.obstacles())
        if not state.ready:
            response.status_code = 503
        return state

    return router


def readiness(service: Service, obstacles: list[str]) -> Readiness:
    """What is ready and what is not. What cannot be read is null."""
    now, record = _or_none(service.now), _or_none(service.ledger.champion)
    refused, serving = service.follower.refused, service.follower.serving
    ages: dict[str, ViewAge] = {}
    if serving is not None and now is not None:
        instant = now
        view_ages = _or_none(lambda: service.online.ages(service.follower.current.bundle.service, instant))
        ages = {view: ViewAge.of(age) for view, age in (view_ages or {}).items()}
    return Readiness(
        ready=not obstacles,
        obstacles=obstacles,
        problem=service.problem.name,
        clock=None if now is None else iso(now),
        champion=record.version if record else None,
        serving=serving,
        refused=Refusal(version=refused.version, reason=refused.reason) if refused else None,
        features=ages,
    )


def _or_none(read: Callable[[], T]) -> T | None:
    """What a file of ours holds; None where it is away or damaged, for readiness has an answer all the same."""
    try:
        return read()
    except Exception as error:
        _log.warning("readiness: %s", error)
        return None


def _add_docs(app: FastAPI, service: Service, example: Callable[[], dict[str, Any] | None]) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/", include_in_schema=False)
    def front() -> RedirectResponse:
        return RedirectResponse("/docs")

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
        now = _or_none(service.now)
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
