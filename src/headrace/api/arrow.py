"""The endpoint for batches in Arrow's stream format: columns in, columns out, for clients that have data frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from headrace.api.bodies import BodyReader
from headrace.api.errors import RequestRefused
from headrace.api.messages import failures
from headrace.api.metrics import Metrics
from headrace.api.predictions import answer_rows
from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.serving.answers import Answer, AnswerQueue
from headrace.serving.service import Service

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
#: Rows of one batch.
MAX_ARROW_ROWS = 10_000


def arrow_router(service: Service, queue: AnswerQueue, metrics: Metrics, reader: BodyReader) -> APIRouter:
    """Build the endpoint.

    Args:
        service: What answers.
        queue: Answers waiting calls together.
        metrics: Counts predictions and their flags.
        reader: Reads bodies within limits.
    """
    router = APIRouter(tags=["predict"], responses=failures(400, 408, 413, 415, 422, 503))
    column = "probability" if service.problem.label_expression.binary else "prediction"

    @router.post("/predict/arrow", summary="Predict a table", response_class=Response)
    async def predict_arrow(
        request: Request,
        strict: Annotated[bool, Query(description="Refuse unknown fields and unseen categories.")] = False,
    ) -> Response:
        """A stream of Arrow record batches with the columns of a row. The answer is one with the columns
        probability or prediction, id, model_version, made_at, flags and reason, in the order of the rows."""
        _require_arrow(request)
        rows = await run_in_threadpool(read_rows, await reader.read(request))
        _, answers = await answer_rows(service, queue, rows, strict=strict)
        metrics.count_answers(answers)
        return Response(_encoded(answers, column), media_type=MEDIA_TYPE)

    return router


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a stream, with values as JSON would have them.

    Raises:
        RequestRefused: The body is no such stream.
        DataError: It has no rows, too many, or columns that are no plain values.
    """
    try:
        table = pa.ipc.open_stream(body).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        raise RequestRefused(422, "bad_request", "the body is not a valid stream of Arrow record batches") from None
    if not 1 <= table.num_rows <= MAX_ARROW_ROWS:
        fix = f"send 1 to {MAX_ARROW_ROWS:,} rows"
        raise DataError("the number of rows is wrong", where="request", found=[f"{table.num_rows:,}"], fix=fix)
    if len(set(table.column_names)) < table.num_columns:
        raise DataError("two columns share a name", where="request", found=table.column_names)
    columns = [_values(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    try:
        return [_plain(value) for value in column.to_pylist()]
    except (TypeError, ValueError, OverflowError):
        fix = "send texts, numbers, truth values, dates and times"
        raise DataError(f"a column of type {column.type} is not taken", where=f"request, {name}", fix=fix) from None


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; NaN is missing."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(value)


def _require_arrow(request: Request) -> None:
    kinds = request.headers.getlist("content-type")
    if kinds == [MEDIA_TYPE] and "content-encoding" not in request.headers:
        return
    fix = f"send Content-Type: {MEDIA_TYPE}, and no Content-Encoding"
    raise RequestRefused(415, "unsupported_media_type", "the body must be declared as Arrow", found=kinds, fix=fix)


def _encoded(answers: Sequence[Answer], column: str) -> bytes:
    table = pa.table(
        {
            column: pa.array([item.value for item in answers], pa.float64()),
            "id": pa.array([item.id for item in answers], pa.string()),
            "model_version": pa.array([item.model_version for item in answers], pa.string()),
            "made_at": pa.array([iso(item.made_us) for item in answers], pa.string()),
            "flags": pa.array([list(item.flags) for item in answers], pa.list_(pa.string())),
            "reason": pa.array([item.reason for item in answers], pa.string()),
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded
