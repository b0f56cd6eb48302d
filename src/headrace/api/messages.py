"""What goes over the wire, as pydantic models: their descriptions are the API's reference."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from headrace.core.clock import SECOND, iso
from headrace.registry.ledger_tables import Record
from headrace.serving.answers import Answer
from headrace.serving.explain import RowExplanation
from headrace.serving.request import RequestSchema
from headrace.store.online import Age

MAX_ROWS = 1000


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise PydanticCustomError("scalar", "must be a text, a number, true, false or null")


Value = Annotated[
    Any,
    PlainValidator(_scalar),
    WithJsonSchema({"anyOf": [{"type": kind} for kind in ("string", "number", "boolean", "null")]}),
]
Row = Annotated[
    dict[str, Value],
    Field(description="One row: every join key, and every column that the model needs (`GET /model` lists them)."),
]


class Batch(BaseModel):
    """Several rows to predict at once."""

    rows: list[Row] = Field(min_length=1, max_length=MAX_ROWS, description=f"At most {MAX_ROWS:,} rows.")


class ViewAge(BaseModel):
    """How fresh the features of one view were."""

    status: Literal["FRESH", "STALE", "MISSING", "AHEAD"] = Field(
        description="AHEAD: refreshed after the production clock's now; predictions are refused until it is repaired."
    )
    tick: str | None = Field(description="When the view was last refreshed, on the production clock.")
    age_s: float | None = Field(description="Seconds since then; negative where the view is AHEAD.")

    @classmethod
    @lru_cache(maxsize=4096)
    def of(cls, age: Age) -> ViewAge:
        """Made once for an age: all rows of a batch share those of their views."""
        return cls(
            status=age.status,
            tick=None if age.tick_us is None else iso(age.tick_us),
            age_s=None if age.age_us is None else age.age_us / SECOND,
        )


class Contribution(BaseModel):
    """What one feature adds to a prediction."""

    feature: str
    words: str = Field(description="Its meaning.")
    value: float | str | None
    shap: float = Field(description="Its Shapley value, in the explanation's unit.")


class Explanation(BaseModel):
    """Why a prediction is what it is: baseline and all Shapley values add up to the raw prediction."""

    unit: str = Field(description="log-odds of a probability, else the label's column.")
    baseline: float = Field(description="Raw prediction of the average row.")
    contributions: list[Contribution] = Field(description="Of all features, the largest first.")

    @classmethod
    def of(cls, explanation: RowExplanation) -> Explanation:
        contributions = [Contribution(**vars(item)) for item in explanation.contributions]
        return cls(unit=explanation.unit, baseline=explanation.baseline, contributions=contributions)


class _Circumstances(BaseModel):
    """What is said about every answer; it is in the prediction log already."""

    id: str = Field(description="Its id in the prediction log.")
    model_version: str = Field(description="The version of the registered model that answered.")
    made_at: str = Field(description="On the production clock.")
    features: dict[str, ViewAge] = Field(description="Feature view -> how fresh its values were.")
    flags: list[str] = Field(
        description="What is unusual: `lead_time_unusual` (asked much earlier or later than in training), "
        "`unknown_field:NAME` (ignored), `unseen_category:NAME` (a text that training never saw: missing to the model)."
    )
    reason: str = Field(description="Which features are not fresh; empty where all are.")
    explanation: Explanation | None = Field(default=None, description="Only where `explain` asks for it.")


class _ProbabilityValue(BaseModel):
    probability: float | None = Field(description="Of the label being true. Null where the policy abstains.")


class _NumberValue(BaseModel):
    prediction: float | None = Field(description="The predicted number. Null where the policy abstains.")


# The value comes first in an answer: fields of the last base come first.
class ProbabilityPrediction(_Circumstances, _ProbabilityValue):
    """One answer for a label that is a condition."""


class NumberPrediction(_Circumstances, _NumberValue):
    """One answer for a label that is a number."""


class ProbabilityPredictions(BaseModel):
    """Answers in the order of the rows, all of one model version."""

    predictions: list[ProbabilityPrediction]


class NumberPredictions(BaseModel):
    """Answers in the order of the rows, all of one model version."""

    predictions: list[NumberPrediction]


Prediction = ProbabilityPrediction | NumberPrediction


def prediction_of(answer: Answer, *, binary: bool, explanation: RowExplanation | None = None) -> Prediction:
    """The form of an answer. binary: whether the label is a condition. Without explanation, it has no such field."""
    circumstances: dict[str, Any] = {
        "id": answer.id,
        "model_version": answer.model_version,
        "made_at": iso(answer.made_us),
        "features": {view: ViewAge.of(age) for view, age in answer.features.items()},
        "flags": list(answer.flags),
        "reason": answer.reason,
    }
    if explanation is not None:
        circumstances["explanation"] = Explanation.of(explanation)
    if binary:
        return ProbabilityPrediction(probability=answer.value, **circumstances)
    return NumberPrediction(prediction=answer.value, **circumstances)


class Model(BaseModel):
    """The version that answers now, and what a request for it must carry."""

    problem: str
    version: str
    service: str = Field(description="Its feature service.")
    promoted_at: str | None = Field(description="On the production clock; null where the ledger has moved on.")
    reason: str = Field(description="Why it was promoted.")
    metrics: dict[str, float]
    join_keys: list[str] = Field(description="Columns that find the entities.")
    columns: dict[str, str] = Field(description="The row's own columns that the model needs: name -> kind.")

    @classmethod
    def of(cls, problem: str, version: str, service: str, needs: RequestSchema, record: Record | None) -> Model:
        return cls(
            problem=problem,
            version=version,
            service=service,
            promoted_at=iso(record.at_us) if record else None,
            reason=record.reason if record else "",
            metrics=dict(record.metrics) if record else {},
            join_keys=list(needs.join_keys),
            columns=dict(needs.columns),
        )


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Refusal(BaseModel):
    """A champion that could not be taken over: the version before it goes on serving."""

    version: str
    reason: str


class Readiness(BaseModel):
    """Whether predictions can be made now, and with what."""

    ready: bool
    obstacles: list[str] = Field(description="Why a prediction would be refused now; empty where it would be given.")
    problem: str
    clock: str | None = Field(description="The production clock; null where it cannot be read.")
    champion: str | None = Field(description="The champion in the ledger.")
    serving: str | None = Field(description="The version that answers.")
    refused: Refusal | None
    features: dict[str, ViewAge] = Field(description="Feature view -> how old its last refresh is.")


class Fault(BaseModel):
    """What is wrong, where, what else was there, and what to do."""

    code: str
    what: str
    where: str = ""
    found: list[str] = []
    fix: str = ""


class Failure(BaseModel):
    """Every error has this form."""

    error: Fault


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an endpoint, for its reference."""
    meaning = {
        400: "Not addressed to this server, or not finished",
        408: "The body did not arrive in time",
        413: "The body is too large",
        415: "The body is not declared as JSON",
        422: "The request is wrong",
        503: "Not now",
    }
    return {status: {"model": Failure, "description": meaning[status]} for status in statuses}
