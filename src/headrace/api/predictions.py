"""The endpoints that predict: one row, or several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from headrace.api.bodies import BodyReader, json_route
from headrace.api.messages import (
    Batch,
    NumberPrediction,
    NumberPredictions,
    Prediction,
    ProbabilityPrediction,
    ProbabilityPredictions,
    Row,
    failures,
    prediction_of,
)
from headrace.api.metrics import Metrics
from headrace.serving.queue import PredictionQueue
from headrace.serving.service import Service
from headrace.store.online import AheadError

_Strict = Annotated[
    bool, Query(description="Refuse rows with unknown fields or unseen categories instead of flagging them.")
]


def predictions_router(service: Service, queue: PredictionQueue, metrics: Metrics, reader: BodyReader) -> APIRouter:
    """Build the endpoints.

    Args:
        service: what answers.
        queue: answers waiting calls together.
        metrics: counts predictions and their flags.
        reader: reads bodies within limits.
    """
    router = APIRouter(
        tags=["predict"], responses=failures(400, 408, 413, 415, 422, 503), route_class=json_route(reader)
    )
    binary = service.problem.label_expression.binary
    one, several = (ProbabilityPrediction, ProbabilityPredictions) if binary else (NumberPrediction, NumberPredictions)

    async def answers(rows: Sequence[dict[str, Any]], strict: bool) -> list[Prediction]:
        now_us = service.now()
        try:
            call = service.predictor.check(rows, now_us=now_us, strict=strict)
            results = await asyncio.wrap_future(queue.submit(call))
        except AheadError:
            later_us = service.now()
            if later_us <= now_us:
                raise
            # the clock and the online store moved on while the call waited
            call = service.predictor.check(rows, now_us=later_us, strict=strict)
            results = await asyncio.wrap_future(queue.submit(call))
        metrics.count_answers(results)
        return [prediction_of(answer, binary=binary) for answer in results]

    @router.post("/predict", summary="Predict one row", response_model=one)
    async def predict(row: Annotated[Row, Body()], strict: _Strict = False) -> Prediction:
        """Features are read for the row's entities as of now on the production clock."""
        (answer,) = await answers([row], strict)
        return answer

    @router.post("/predict/batch", summary="Predict several rows", response_model=several)
    async def predict_batch(batch: Batch, strict: _Strict = False) -> dict[str, list[Prediction]]:
        """All rows are answered by one model version and logged in one transaction; one wrong row refuses all."""
        return {"predictions": await answers(batch.rows, strict)}

    return router
