"""Values and protocols of the prediction service: a loaded version, a validated call, an answer, store and log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pyarrow as pa

from headrace.lake.predictions import Prediction
from headrace.schema import Problem
from headrace.serving.follow import LoadedVersion
from headrace.serving.request import ARROW_TYPES, RequestRow, RequestSchema
from headrace.store.online import Age, FeatureRow
from headrace.store.published import KeyType
from headrace.synthesis.language.definitions import stored

Policy = Literal["default", "abstain", "fail"]


LEAD_TIME_UNUSUAL = "lead_time_unusual"


class Online(Protocol):
    """Where stored features come from: `store.online.OnlineStore`, or another store's reader."""

    def read(self, service: str, keys: Sequence[Mapping[str, Any]], now_us: int) -> list[FeatureRow]: ...

    def ages(self, service: str, now_us: int) -> dict[str, Age]: ...


class Log(Protocol):
    """Where answers are written: `lake.predictions.PredictionLog`. Durable on return."""

    def append(self, rows: Sequence[Prediction]) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One prediction. probability: None where the policy abstained (`reason` says why); for a regression problem, the
    value. made_us: on the production clock. features: view -> how fresh its values were. flags: what to be wary of."""

    id: str
    probability: float | None
    model_version: str
    made_us: int
    features: Mapping[str, Age] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A loaded version, and what is worked out once for it. stored: slug -> type of each feature from the store."""

    loaded: LoadedVersion
    needs: RequestSchema
    key_types: Mapping[str, KeyType]
    stored: Mapping[str, pa.DataType]

    @classmethod
    def for_problem(cls, problem: Problem, loaded: LoadedVersion, key_types: Mapping[str, KeyType]) -> Version:
        """What serving needs of a version. key_types: of the join keys, as published."""
        definitions = loaded.bundle.definitions
        types = {item.slug: ARROW_TYPES[item.kind] for item in stored(definitions)}
        needs = RequestSchema.from_definitions(problem, definitions, key_types)
        return cls(loaded=loaded, needs=needs, key_types=key_types, stored=types)


@dataclass(frozen=True, kw_only=True)
class ValidatedCall:
    """The rows of one call, found to be in order, and the version that answers them all. now_us: the call's instant."""

    version: Version
    rows: tuple[RequestRow, ...]
    now_us: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A call that could not be answered for a fault of ours. reason: may be shown to clients, so it names no path."""

    reason: str
    at_s: float
