"""The prediction API for the model folder of `headrace automl`, over the table's columns.

Of the endpoints of a problem's API it has `/predict`, `/predict/batch`, `/model`, `/example`, `/healthz`, `/readyz`,
`/metrics`, `/docs` (where `/` leads) and `/openapi.json`; it has no `/predict/arrow`, `/invocations`, `/ping` or
`/events`, and no page. The label `problem` of its metrics is the target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from headrace import __version__
from headrace.api.access.check import AccessCheck
from headrace.api.access.control import AccessControl, access_control
from headrace.api.bodies import BodyReader, json_route
from headrace.api.docs_page import PAGE
from headrace.api.errors import add_error_handlers, failure, unexpected
from headrace.api.hosts import HostCheck
from headrace.api.messages import Batch, Health, Row, failures
from headrace.api.metrics import CONTENT_TYPE, Meters, Metrics
from headrace.api.requests import NO_FASTAPI_TELEMETRY, ObservedRequests
from headrace.core.clock import iso
from headrace.core.errors import HeadraceError
from headrace.core.guard import NoForeignPages
from headrace.core.hosts import LOOPBACK, allowed_hosts
from headrace.core.settings import settings
from headrace.prediction_log.log import PredictionLog
from headrace.serving.queue import PredictionQueue
from headrace.serving.table import TableAnswer, TableCall, TablePredictor

_Strict = Annotated[bool, Query(description="Refuse rows with unknown fields instead of flagging them.")]
_DESCRIPTION = """\
Predictions of **{target}** by an ensemble of `headrace automl`.

A request names the columns of the training table; null is a missing value. The answer is in a durable log before it
leaves.
"""


class TablePrediction(BaseModel):
    """One answer. What does not apply to the target is left out."""

    probability: float | None = Field(default=None, description="Of the second class of a target with two classes.")
    prediction: str | float | bool | int | None = Field(default=None, description="The class, or the number.")
    probabilities: dict[str, float] | None = Field(default=None, description="Class -> probability.")
    quantiles: dict[str, float] | None = Field(default=None, description="Level -> quantile.")
    id: str = Field(description="Its id in the prediction log.")
    model_version: str = Field(description="Digest of the model folder's manifest.")
    made_at: str
    flags: list[str] = Field(description="`unknown_field:NAME` for fields that were ignored.")


class TablePredictions(BaseModel):
    """Answers in the order of the rows."""

    predictions: list[TablePrediction]


class TableModelCard(BaseModel):
    """The model that answers, and what a request must carry."""

    target: str
    version: str
    kind: str = Field(description="binary, multiclass, regression or quantile")
    columns: dict[str, str] = Field(description="Column -> number, category, text or date.")
    card: dict[str, Any] = Field(description="Rows, metric, validation, as the model card has them.")


class TableReadiness(BaseModel):
    """Whether predictions can be made now."""

    ready: bool
    obstacles: list[str]


@dataclass(frozen=True, kw_only=True)
class ServedTable:
    """Makes the application of a model folder in the process that serves it.

    Attributes:
        folder: Model folder.
        root: Home folder.
        host: Name or address that the server is bound to.
    """

    folder: Path
    root: Path
    host: str

    def __call__(self) -> FastAPI:
        configuration = settings().model_copy(update={"home": self.root})
        access = access_control(configuration, self.host)
        meters = Meters(configuration.metrics_folder)
        return create_table_app(self.folder, self.root, hosts=allowed_hosts(self.host), access=access, meters=meters)


def create_table_app(
    folder: Path,
    root: Path,
    *,
    hosts: Sequence[str] = LOOPBACK,
    access: AccessControl | None = None,
    meters: Meters | None = None,
) -> FastAPI:
    """Build the API of a model folder.

    Args:
        folder: Model folder.
        root: Home folder: the prediction log lies in `predictions/`.
        hosts: Names that a request may address the server by.
        access: Demands API keys, of those that are for all problems; None for an open server.
        meters: Counters that several processes share; None: this process has its own.

    Raises:
        CorruptError: A file of the folder was changed.
        NotFoundError: The folder has no model.
    """
    from headrace.core.fingerprint import file_digest

    log = PredictionLog(root, f"automl-{file_digest(folder / 'manifest.json')[:12]}")
    predictor = TablePredictor(folder, log)
    queue: PredictionQueue[TableCall, TableAnswer] = PredictionQueue(predictor.answer)
    metrics = Metrics(predictor.target, meters or Meters())

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> Any:
        yield
        queue.stop()
        log.close()

    app = FastAPI(
        title=f"Headrace: {predictor.target}", version=__version__, lifespan=lifetime, docs_url=None, redoc_url=None,
        telemetry=NO_FASTAPI_TELEMETRY, description=_DESCRIPTION.format(target=predictor.target),
    )  # fmt: skip
    app.state.predictor = predictor
    app.include_router(_predictions(predictor, queue, metrics))
    app.include_router(_operations(predictor, metrics))
    app.add_middleware(NoForeignPages, refusal=failure(403, "foreign_page", "a page of another origin sent this"))
    if access is not None:
        app.add_middleware(AccessCheck, control=access, problem=predictor.target)
    app.add_middleware(HostCheck, hosts=hosts)
    app.add_middleware(ObservedRequests, problem=predictor.target, metrics=metrics)
    add_error_handlers(app)
    app.add_exception_handler(Exception, unexpected)
    return app


def _predictions(
    predictor: TablePredictor, queue: PredictionQueue[TableCall, TableAnswer], metrics: Metrics
) -> APIRouter:
    router = APIRouter(
        tags=["predict"], responses=failures(400, 408, 413, 415, 422, 503), route_class=json_route(BodyReader())
    )

    async def answers(rows: Sequence[Mapping[str, Any]], strict: bool) -> list[TablePrediction]:
        found = await queue.answer(predictor.check(rows, strict=strict))
        metrics.count_answers(found)
        return [_prediction_of(answer) for answer in found]

    @router.post("/predict", summary="Predict one row", response_model_exclude_none=True)
    async def predict(row: Annotated[Row, Body()], strict: _Strict = False) -> TablePrediction:
        """A row has every column of the training table; null is a missing value."""
        (answer,) = await answers([row], strict)
        return answer

    @router.post("/predict/batch", summary="Predict several rows", response_model_exclude_none=True)
    async def predict_batch(batch: Batch, strict: _Strict = False) -> TablePredictions:
        """All rows are logged in one transaction; one wrong row refuses all."""
        return TablePredictions(predictions=await answers(batch.rows, strict))

    return router


def _operations(predictor: TablePredictor, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["operate"])

    @router.get("/model", summary="The model that answers")
    def model() -> TableModelCard:
        """The columns that a request must carry, and the model card."""
        return TableModelCard(
            target=predictor.target, version=predictor.version, kind=predictor.model.task.kind,
            columns=dict(predictor.columns), card=dict(predictor.model.facts),
        )  # fmt: skip

    @router.get("/example", summary="A row to try")
    def example() -> Row:
        """A row of the right columns and types, to replace the values of: the model folder has no rows."""
        return predictor.example()

    @router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    def prometheus() -> Response:
        """Requests, times, errors, predictions and flags, in Prometheus' text format."""
        return Response(metrics.exposition(), media_type=CONTENT_TYPE)

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Health:
        """Answers whenever the process does."""
        return Health()

    @router.get("/readyz", summary="Can it predict?", responses={503: {"model": TableReadiness}})
    def readyz(response: Response) -> TableReadiness:
        """200 where predictions would be given, else 503 with what stands in the way."""
        try:
            predictor.log.check_writable()
        except HeadraceError as error:
            response.status_code = 503
            return TableReadiness(ready=False, obstacles=[error.what])
        return TableReadiness(ready=True, obstacles=[])

    @router.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @router.get("/", include_in_schema=False)
    def front() -> RedirectResponse:
        return RedirectResponse("/docs")

    return router


def _prediction_of(answer: TableAnswer) -> TablePrediction:
    return TablePrediction(
        probability=answer.value if answer.probabilities else None,
        prediction=answer.prediction,
        probabilities=dict(answer.probabilities) or None,
        quantiles=dict(answer.quantiles) or None,
        id=answer.id,
        model_version=answer.model_version,
        made_at=iso(answer.made_us),
        flags=list(answer.flags),
    )
