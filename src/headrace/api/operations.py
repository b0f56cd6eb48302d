"""The endpoints for operation: the model, whether it can answer, a row to try, and the counters of Prometheus."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from headrace.api.messages import Health, Model, Readiness, Refusal, Row, ViewAge, failures
from headrace.api.metrics import CONTENT_TYPE, Metrics
from headrace.core.clock import iso
from headrace.core.errors import NotFoundError
from headrace.serving.readiness import ReadinessCheck
from headrace.serving.service import Service

T = TypeVar("T")
_log = logging.getLogger(__name__)


def operations_router(service: Service, metrics: Metrics, example: Callable[[], dict[str, Any] | None]) -> APIRouter:
    """Build the endpoints.

    Args:
        service: what answers.
        metrics: what was counted.
        example: gives a row to try; None where there is none.
    """
    check = ReadinessCheck(service)
    router = APIRouter(tags=["operate"])

    @router.get("/model", summary="The model that answers", responses=failures(503))
    def model() -> Model:
        """The version that answers, its metrics, and the columns that a request must carry."""
        loaded, record = service.follower.current, service.ledger.champion()
        own = record if record is not None and record.version == loaded.version else None
        return Model.of(service.problem.name, loaded.version, loaded.bundle.service, service.predictor.needs(), own)

    @router.get("/example", summary="A row to try", responses=failures(503))
    def example_row() -> Row:
        """A row as it would be asked for now: send it to `/predict`."""
        row = example()
        if row is None:
            raise NotFoundError("there is no row to show yet", where=service.problem.name, fix="run `headrace run`")
        return row

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Health:
        """Answers whenever the process does, with or without a model."""
        return Health()

    @router.get(
        "/readyz", summary="Can it predict?", response_model=Readiness,
        responses={503: {"model": Readiness, "description": "It cannot"}},
    )  # fmt: skip
    def readyz(request: Request, response: Response) -> Any:
        """200 where predictions would be given, else 503 with what stands in the way (no model, a prediction log that
        cannot be written, a damaged store); a champion that was refused is named with the reason. Where keys are
        demanded, a request without one gets the status and `ready` alone."""
        state = readiness(service, check.obstacles())
        if not state.ready:
            response.status_code = 503
        if request.scope.get("headrace.key", "open") is None:
            return JSONResponse({"ready": state.ready}, 200 if state.ready else 503)
        return state

    @router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    def prometheus() -> Response:
        """Requests, times, errors, flags, the champion and the age of features, in Prometheus' text format."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    return router


def readiness(service: Service, obstacles: list[str]) -> Readiness:
    """What is ready and what is not. What cannot be read is null."""
    now, record = or_none(service.now), or_none(service.ledger.champion)
    refused, serving = service.follower.refused, service.follower.serving
    ages: dict[str, ViewAge] = {}
    if serving is not None and now is not None:
        instant = now
        view_ages = or_none(lambda: service.online.ages(service.follower.current.bundle.service, instant))
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


def or_none(read: Callable[[], T]) -> T | None:
    """What a file of ours holds; None where it is away or damaged, for readiness has an answer all the same."""
    try:
        return read()
    except Exception as error:
        _log.warning("readiness: %s", error)
        return None
