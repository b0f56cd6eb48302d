"""The application: endpoints that translate and delegate to `serving`, and its lifetime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, RedirectResponse

from headrace import __version__
from headrace.api.docs_page import PAGE
from headrace.api.errors import add_error_handlers
from headrace.api.examples import example_row, placeholder_row
from headrace.api.limits import BodyLimit
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
from headrace.core.clock import iso
from headrace.core.errors import HeadraceError
from headrace.schema import Problem
from headrace.serving.predictor import Policy
from headrace.serving.service import Service, open_service

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
    poll_s: float = POLL_S,
) -> FastAPI:
    """The API of a problem below a home folder. now: its production clock. poll_s: between looks at the ledger."""
    service = open_service(root, problem, tracking_uri, now, policy=policy)
    return build_app(service, example=lambda: example_row(root, problem, now()), poll_s=poll_s)


def build_app(
    service: Service, *, example: Callable[[], dict[str, Any] | None] = lambda: None, poll_s: float = POLL_S
) -> FastAPI:
    """The API around a service that is put together already. example: a row to show in the reference."""

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncIterator[None]:
        service.follower.start(poll_s)
        try:
            yield
        finally:
            service.follower.stop()
            service.log.close()

    problem = service.problem
    app = FastAPI(
        title=f"Headrace: {problem.name}",
        version=__version__,
        description=_DESCRIPTION.format(problem=problem.name, label=problem.label),
        lifespan=lifetime,
        docs_url=None,  # FastAPI's page loads its scripts from the internet; ours is one file
        redoc_url=None,
    )
    app.include_router(_predictions(service))
    app.include_router(_operations(service))
    app.add_middleware(BodyLimit)
    add_error_handlers(app)
    _add_docs(app, service, example)
    return app


def _predictions(service: Service) -> APIRouter:
    router = APIRouter(tags=["predict"], responses=failures(413, 422, 503))

    @router.post("/predict", summary="Predict one row")
    def predict(row: Annotated[Row, Body()]) -> Prediction:
        """Features are read for the row's entities as of now on the production clock."""
        (answer,) = service.predictor.predict([row], now_us=service.now())
        return Prediction.of(answer)

    @router.post("/predict/batch", summary="Predict several rows")
    def predict_batch(batch: Batch) -> Predictions:
        """All rows are answered by one model version and logged in one transaction; one wrong row refuses all."""
        answers = service.predictor.predict(batch.rows, now_us=service.now())
        return Predictions(predictions=[Prediction.of(answer) for answer in answers])

    return router


def _operations(service: Service) -> APIRouter:
    router = APIRouter(tags=["operate"])

    @router.get("/model", summary="The model that answers", responses=failures(503))
    def model() -> Model:
        """The version that answers, its metrics, and the columns that a request must carry."""
        loaded, record = service.follower.current, service.ledger.champion()
        own = record if record is not None and record.version == loaded.version else None
        return Model.of(service.problem.name, loaded.version, loaded.bundle.service, service.predictor.needs(), own)

    @router.get("/healthz", summary="Is the process alive?")
    def healthz() -> Health:
        """Answers whenever the process does, with or without a model."""
        return Health()

    @router.get(
        "/readyz", summary="Can it predict?", responses={503: {"model": Readiness, "description": "No model yet"}}
    )
    def readyz(response: Response) -> Readiness:
        """200 where predictions can be made, else 503; a champion that was refused is named with the reason."""
        found = readiness(service)
        if not found.ready:
            response.status_code = 503
        return found

    return router


def readiness(service: Service) -> Readiness:
    """What is ready and what is not."""
    now, record, refused = service.now(), service.ledger.champion(), service.follower.refused
    serving = service.follower.serving
    ages: dict[str, ViewAge] = {}
    if serving is not None:
        try:
            found = service.online.ages(service.follower.current.bundle.service, now)
            ages = {view: ViewAge.of(age) for view, age in found.items()}
        except HeadraceError:
            serving = None
    return Readiness(
        ready=serving is not None,
        problem=service.problem.name,
        clock=iso(now),
        champion=record.version if record else None,
        serving=service.follower.serving,
        refused=Refusal(version=refused.version, reason=refused.reason) if refused else None,
        features=ages,
    )


def _add_docs(app: FastAPI, service: Service, example: Callable[[], dict[str, Any] | None]) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @app.get("/", include_in_schema=False)
    def front() -> RedirectResponse:
        return RedirectResponse("/docs")

    def openapi() -> dict[str, Any]:
        """The schema, with a row to try: a real one where there is one. Made on demand, for both come and go."""
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        row = _example(service, example)
        if row is not None:
            for path, shown in (("/predict", row), ("/predict/batch", {"rows": [row, row]})):
                schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"] = shown
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _example(service: Service, example: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        needs = service.predictor.needs()
    except HeadraceError:
        needs = None
    row = example()
    if row is None:
        return placeholder_row(needs) if needs else None
    wanted = set(row) if needs is None else {*needs.names, *service.problem.spine_table.keys}
    return {name: value for name, value in row.items() if name in wanted or name == service.problem.spine_table.time}
