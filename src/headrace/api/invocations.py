"""The endpoints of MLflow's scoring server, for clients that call models there: the same bodies, the same answers.

MLflow's protocol: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally, "Inference Server Specification".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from headrace.api.bodies import BodyReader, json_route
from headrace.api.messages import MAX_ROWS, failures
from headrace.api.metrics import Metrics
from headrace.api.predictions import answer_rows
from headrace.core.errors import DataError
from headrace.serving.answers import AnswerQueue
from headrace.serving.service import Service

_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class Invocation(BaseModel):
    """Predictions in the order of the rows."""

    predictions: list[float | None] = Field(description="Probabilities of a true label, or numbers.")


def invocations_router(service: Service, queue: AnswerQueue, metrics: Metrics, reader: BodyReader) -> APIRouter:
    """Build the endpoints.

    Args:
        service: What answers.
        queue: Answers waiting calls together.
        metrics: Counts predictions and their flags.
        reader: Reads bodies within limits.
    """
    router = APIRouter(
        tags=["MLflow"], responses=failures(400, 408, 413, 415, 422, 503), route_class=json_route(reader)
    )

    @router.post("/invocations", summary="Predict rows as MLflow's scoring server does")
    async def invocations(body: Annotated[dict[str, Any], Body()]) -> Invocation:
        """`dataframe_split`, `dataframe_records`, `inputs` (columns, or rows) or `instances` (rows)."""
        _, answers = await answer_rows(service, queue, rows_of(body), strict=False)
        metrics.count_answers(answers)
        return Invocation(predictions=[item.value for item in answers])

    async def ping() -> PlainTextResponse:
        """An empty line, as MLflow's scoring server answers; as text, for it is not JSON."""
        return PlainTextResponse("\n")

    router.add_api_route(
        "/ping", ping, summary="Is the process alive?", response_class=PlainTextResponse, route_class_override=APIRoute
    )
    return router


def rows_of(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a body of MLflow's scoring server; DataError for one of another form."""
    forms = [name for name in _FORMS if name in body]
    if len(forms) != 1 or len(body) != 1:
        raise DataError(
            "expected one form of rows", where="request", found=list(body), fix=f"send {' or '.join(_FORMS)}"
        )
    rows = _split(body[forms[0]]) if forms[0] == "dataframe_split" else _records(body[forms[0]], forms[0])
    if not 1 <= len(rows) <= MAX_ROWS:
        fix = f"send 1 to {MAX_ROWS:,} rows"
        raise DataError("the number of rows is wrong", where="request", found=[f"{len(rows):,}"], fix=fix)
    return rows


def _split(content: Any) -> list[dict[str, Any]]:
    columns, data = (content.get(name) for name in ("columns", "data")) if isinstance(content, dict) else (None, None)
    is_table = (
        isinstance(columns, list)
        and isinstance(data, list)
        and all(isinstance(name, str) for name in columns)
        and all(isinstance(row, list) and len(row) == len(columns) for row in data)
    )
    if not is_table:
        fix = "send {'columns': [names], 'data': [[values], ...]}, each row as long as the columns"
        raise DataError("is no table", where="request, dataframe_split", fix=fix)
    return [dict(zip(columns, row, strict=True)) for row in data]  # type: ignore[arg-type, union-attr]


def _records(content: Any, form: str) -> list[dict[str, Any]]:
    if form == "inputs" and isinstance(content, dict):
        columns = list(content.values())
        if columns and all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
            return [dict(zip(content, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return content
    raise DataError("are no rows", where=f"request, {form}", fix="send a list of objects: column -> value")
