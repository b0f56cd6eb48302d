"""The endpoints that predict: one row, or several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from starlette.concurrency import run_in_threadpool

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
from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.serving.answers import Answer, AnswerQueue
from headrace.serving.explain import MAX_EXPLAINED, RowExplanation, explain_rows
from headrace.serving.follow import LoadedVersion
from headrace.serving.service import Service
from headrace.store.online import AheadError

_Strict = Annotated[
    bool, Query(description="Refuse rows with unknown fields or unseen categories instead of flagging them.")
]
_Explain = Annotated[
    bool, Query(description=f"Add what each feature contributes to the prediction. At most {MAX_EXPLAINED} rows.")
]


def predictions_router(service: Service, queue: AnswerQueue, metrics: Metrics, reader: BodyReader) -> APIRouter:
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

    async def answers(rows: Sequence[dict[str, Any]], strict: bool, explain: bool) -> list[Prediction]:
        if explain and len(rows) > MAX_EXPLAINED:
            fix = f"send at most {MAX_EXPLAINED} rows, or leave explain out"
            raise DataError("too many rows to explain", where="request", found=[f"{len(rows):,}"], fix=fix)
        loaded, results = await answer_rows(service, queue, rows, strict=strict)
        metrics.count_answers(results)
        explanations = await run_in_threadpool(explained, service.problem, loaded, results) if explain else {}
        return [prediction_of(item, binary=binary, explanation=explanations.get(item.id)) for item in results]

    @router.post("/predict", summary="Predict one row", response_model=one, response_model_exclude_unset=True)
    async def predict(row: Annotated[Row, Body()], strict: _Strict = False, explain: _Explain = False) -> Prediction:
        """Features are read for the row's entities as of now on the production clock."""
        (answer,) = await answers([row], strict, explain)
        return answer

    @router.post(
        "/predict/batch", summary="Predict several rows", response_model=several, response_model_exclude_unset=True
    )
    async def predict_batch(
        batch: Batch, strict: _Strict = False, explain: _Explain = False
    ) -> dict[str, list[Prediction]]:
        """All rows are logged in one transaction; one wrong row refuses all. One model version answers, and during a
        canary the challenger for the rows of its share: each answer names its version."""
        return {"predictions": await answers(batch.rows, strict, explain)}

    return router


async def answer_rows(
    service: Service, queue: AnswerQueue, rows: Sequence[Mapping[str, Any]], *, strict: bool
) -> tuple[Mapping[str, LoadedVersion], list[Answer]]:
    """Predict rows and log them; return the versions that may have answered, and the answers.

    Raises:
        HeadraceError: As `Predictor.predict`.
    """
    now_us = service.now()
    try:
        call = service.predictor.check(rows, now_us=now_us, strict=strict)
        return call.loaded, await queue.answer(call)
    except AheadError:
        later_us = service.now()
        if later_us <= now_us:
            raise
        # the clock and the online store moved on while the call waited
        call = service.predictor.check(rows, now_us=later_us, strict=strict)
        return call.loaded, await queue.answer(call)


def explained(
    problem: Problem, loaded: Mapping[str, LoadedVersion], answers: Sequence[Answer]
) -> dict[str, RowExplanation]:
    """Return id -> explanation of the answers that have a value, each by the version that answered."""
    label, found = problem.label_expression, dict[str, RowExplanation]()
    for version, one in loaded.items():
        known = [(item, item.value) for item in answers if item.value is not None and item.model_version == version]
        if not known:
            continue
        explanations = explain_rows(
            one.bundle,
            [item.inputs for item, _ in known],
            [value for _, value in known],
            binary=label.binary,
            unit=label.column,
        )
        found |= {item.id: explanation for (item, _), explanation in zip(known, explanations, strict=True)}
    return found
