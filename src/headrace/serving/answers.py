"""Values and protocols of the prediction service: a loaded version, a validated call, an answer, store and log."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pyarrow as pa

from headrace.lake.keys import KeyValue
from headrace.prediction_log.log import Prediction
from headrace.schema import DUE, Problem
from headrace.serving.batch_times import BatchTimes
from headrace.serving.entity_rows import EntityRows
from headrace.serving.flags import usual_lead_times
from headrace.serving.follow import LoadedVersion
from headrace.serving.inputs import InputPlan
from headrace.serving.kept_rows import KeptRows
from headrace.serving.plain_rows import PlainRows
from headrace.serving.request import RequestRow, RequestSchema
from headrace.serving.rollout_counts import RolloutCounts
from headrace.store.online import Age, FeatureRow, OnlineStore
from headrace.store.published import KeyType
from headrace.synthesis.language.definitions import RowColumn, stored
from headrace.synthesis.language.values import arrow_type

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from headrace.models.bundle import Bundle

Policy = Literal["default", "abstain", "fail"]


class Online(Protocol):
    """Reader of stored features: `store.online.OnlineStore`, or another store's."""

    def read(self, service: str, keys: Sequence[Mapping[str, Any]], now_us: int) -> list[FeatureRow]: ...

    def ages(self, service: str, now_us: int) -> dict[str, Age]: ...


class Log(Protocol):
    """Log of answers, durable on return: `lake.predictions.PredictionLog`."""

    def append(self, rows: Sequence[Prediction]) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One prediction.

    Attributes:
        id: Its id in the log.
        value: Probability of a true label, or the predicted number; None where the policy abstained.
        model_version: Version that predicted.
        made_us: Instant on the production clock.
        features: View -> age of its values.
        flags: Warnings (`serving.flags`).
        reason: Why features were not fresh; empty where they were.
        inputs: Inputs of the model by slug.
    """

    id: str
    value: float | None
    model_version: str
    made_us: int
    features: Mapping[str, Age] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reason: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Version:
    """A loaded version and what is derived from it once.

    Attributes:
        loaded: The version.
        needs: Columns of its requests.
        plain: Validates its requests.
        key_types: Join key -> type.
        stored: Slug -> Arrow type of each stored feature.
        tick_us: Length of the problem's tick, microseconds.
        usual_lead_us: Lead times that are usual (`flags.usual_lead_times`).
        plan: Computes the model's inputs; None where they are computed as an Arrow table.
        rows: Reads the stored features for the plan, prepared.
    """

    loaded: LoadedVersion
    needs: RequestSchema
    plain: PlainRows
    key_types: Mapping[str, KeyType]
    stored: Mapping[str, pa.DataType]
    tick_us: int
    usual_lead_us: tuple[float, float] | None = None
    plan: InputPlan | None = None
    rows: KeptRows | None = None

    @classmethod
    def for_problem(
        cls,
        problem: Problem,
        loaded: LoadedVersion,
        key_types: Mapping[str, KeyType],
        table_columns: frozenset[str] | None = None,
        online: Online | None = None,
    ) -> Version:
        """Derive what serving needs from a loaded version.

        Args:
            problem: The problem.
            loaded: The version.
            key_types: Published types of the join keys.
            table_columns: Columns of the spine's table; None where they are not known.
            online: Stored features.
        """
        definitions = loaded.bundle.definitions
        types = {item.slug: arrow_type(item.kind) for item in stored(definitions)}
        needs = replace(
            RequestSchema.from_definitions(problem, definitions, key_types),
            ignored=table_columns,
            categories=_categories(loaded.bundle),
        )
        # Other stores, and models that take Arrow tables only, are served as an Arrow table.
        has_arrays = isinstance(online, OnlineStore) and hasattr(loaded.bundle, "fitted")
        plan = InputPlan.of(definitions, loaded.bundle.encoder) if has_arrays else None
        rows = (
            KeptRows(online, EntityRows(online, loaded.bundle.service, plan.columns), plan)
            if plan and isinstance(online, OnlineStore)
            else None
        )
        return cls(
            loaded=loaded,
            needs=needs,
            plain=PlainRows(needs),
            key_types=key_types,
            stored=types,
            tick_us=problem.tick_us,
            usual_lead_us=usual_lead_times(loaded.bundle, problem.tick_us),
            plan=plan,
            rows=rows,
        )


@dataclass(frozen=True, kw_only=True)
class ChallengerRows:
    """What the rows of a call are for the challenger of a rollout.

    Attributes:
        version: The challenger.
        rows: Position -> row validated for it, of the rows that it answers.
        received: All rows as received.
    """

    version: Version
    rows: Mapping[int, RequestRow]
    received: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class ValidatedCall:
    """The validated rows of one call.

    Attributes:
        version: The version that answers them, apart from those that `challenger` does.
        rows: The rows.
        now_us: Instant of the call on the production clock.
        request_id: Id of the HTTP request, None outside of one.
        trace: Context of the request's span, None where no spans are recorded.
        challenger: Of the rollout under way; None where there is none.
        counts: Counts of that rollout.
    """

    version: Version
    rows: tuple[RequestRow, ...]
    now_us: int
    request_id: str | None = None
    trace: Context | None = None
    challenger: ChallengerRows | None = None
    counts: RolloutCounts | None = None

    @property
    def loaded(self) -> dict[str, LoadedVersion]:
        """The versions that may answer."""
        own = (self.version, *((self.challenger.version,) if self.challenger else ()))
        return {one.loaded.version: one.loaded for one in own}


#: Is told the calls and the times of each batch that was answered, in the thread that answers.
BatchObserver = Callable[[Sequence[ValidatedCall], BatchTimes], None]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A call that failed on the server's side.

    Attributes:
        reason: For clients, so it contains no path.
        at_s: Instant on the monotonic clock, seconds.
    """

    reason: str
    at_s: float


class AnswerQueue(Protocol):
    """Answers calls that wait at the same time together: `serving.queue.PredictionQueue` or `serving.turn_queue`."""

    @property
    def rows(self) -> int: ...

    async def answer(self, call: ValidatedCall) -> list[Answer]: ...

    def stop(self) -> None: ...


#: Random bytes of the next ids; one call of the system gives those of many.
_random: list[bytes] = []
_IDS_AT_ONCE, _RANDOM_BYTES = 64, 10
os.register_at_fork(after_in_child=_random.clear)


def new_id() -> str:
    """Return a new id of 32 hexadecimal digits: UUID version 7 (RFC 9562), which begins with the time.

    Ids of one second are neighbours in the log's index, so that a commit writes few pages of it.
    """
    try:
        random = _random.pop()
    except IndexError:
        drawn = os.urandom(_IDS_AT_ONCE * _RANDOM_BYTES)
        parts = [drawn[at : at + _RANDOM_BYTES] for at in range(0, len(drawn), _RANDOM_BYTES)]
        random = parts.pop()
        _random.extend(parts)
    value = time.time_ns() // 1_000_000 << 80 | int.from_bytes(random)
    return f"{value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62:032x}"


def spine_row_key(names: Sequence[str], row_key_values: Mapping[str, KeyValue], due_us: int | None) -> list[KeyValue]:
    """Return the spine row's key where the request has all its parts.

    Args:
        names: Columns of the key.
        row_key_values: Parts that the request has.
        due_us: Instant at which a scheduled row is due; None for rows of a table.
    """
    values = row_key_values if due_us is None else {**row_key_values, DUE: due_us}
    key = [values.get(name) for name in names]
    return [] if None in key else key


def _categories(bundle: Bundle) -> dict[str, frozenset[str]]:
    """Return request column -> values that the model knows; empty for columns that are no feature of their own."""
    known = bundle.encoder.categories
    own = (item for item in bundle.definitions if isinstance(item, RowColumn))
    return {item.column: frozenset(known[item.slug]) for item in own if item.slug in known}
