"""The endpoint for batches in Arrow's stream format: columns in, columns out, for clients that have data frames."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from headrace.api.arrow_messages import has_compressed_buffers
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
#: Values of all columns and rows together. Null columns take no byte of a body.
MAX_ARROW_VALUES = 2_000_000
#: Bytes of all texts together, each as often as rows have it: a dictionary has it once.
MAX_ARROW_TEXT = 16 * 1024 * 1024

#: Types of columns that are taken.
_TAKEN: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_timestamp,
    pa.types.is_date,
)


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
        if has_compressed_buffers(body):
            fix = "write the stream without compression"
            raise RequestRefused(422, "bad_request", "the body has compressed buffers", fix=fix)
        table = pa.ipc.open_stream(body).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, struct.error):
        raise RequestRefused(422, "bad_request", "the body is not a valid stream of Arrow record batches") from None
    if not 1 <= table.num_rows <= MAX_ARROW_ROWS:
        fix = f"send 1 to {MAX_ARROW_ROWS:,} rows"
        raise DataError("the number of rows is wrong", where="request", found=[f"{table.num_rows:,}"], fix=fix)
    if len(set(table.column_names)) < table.num_columns:
        raise DataError("two columns share a name", where="request", found=table.column_names)
    if table.num_rows * table.num_columns > MAX_ARROW_VALUES:
        found = [f"{table.num_rows:,} rows of {table.num_columns:,} columns"]
        raise DataError("too many values", where="request", found=found, fix="send fewer rows at once")
    for field in table.schema:
        _require_plain(field)
    if sum(map(_text_size, table.columns)) > MAX_ARROW_TEXT:
        raise DataError("the texts are too long together", where="request", fix="send fewer rows at once")
    columns = [_values(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def _require_plain(field: pa.Field) -> None:
    """Check that a column has plain values, in a plain layout: others can be much larger than their bytes."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if not any(is_kind(kind) for is_kind in _TAKEN):
        raise _not_taken(field.name, field.type)


def _text_size(column: pa.ChunkedArray) -> int:
    """Bytes of the texts of a column, each as often as rows have it."""
    size = 0
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type) and _is_text(chunk.type.value_type):
            lengths = pc.binary_length(chunk.dictionary).cast(pa.int64()).take(chunk.indices)
        elif _is_text(chunk.type):
            lengths = pc.binary_length(chunk).cast(pa.int64())
        else:
            continue
        size += pc.sum(lengths).as_py() or 0
    return size


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
        return [_plain(value) for value in column.to_pylist()]
    except (TypeError, ValueError, OverflowError, LookupError):  # an unknown time zone is a LookupError
        raise _not_taken(name, column.type) from None


def _not_taken(name: str, kind: pa.DataType) -> DataError:
    fix = "send texts, numbers, truth values, dates and times"
    return DataError(f"a column of type {kind} is not taken", where=f"request, {name}", fix=fix)


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
