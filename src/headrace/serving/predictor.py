"""The data plane, without HTTP: rows in, answers out, each one durably logged before it leaves.

For one call: the champion is taken once; rows are checked; stored features are read at once for all rows; what is
finished at read (calendar, time since, distances) is finished as in training; the model
predicts; the policy decides about stale or missing features; the log is written in one transaction. Calls that wait at
the same time can be answered together (`serving.queue`).
"""

from __future__ import annotations

import itertools
import math
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from headrace.core.clock import SECOND, floor_to_tick
from headrace.core.errors import DataError, HeadraceError, UnavailableError
from headrace.lake.keys import KeyValue
from headrace.lake.predictions import Prediction
from headrace.schema import DUE, Every, Problem
from headrace.serving.follow import Loaded
from headrace.serving.request import ARROW_TYPES, Asked, Needs, check_row, columns_of
from headrace.store.online import Age, FeatureRow
from headrace.store.published import KeyType
from headrace.synthesis.language.definitions import stored
from headrace.synthesis.primitives.finish import finish

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

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

    loaded: Loaded
    needs: Needs
    key_types: Mapping[str, KeyType]
    stored: Mapping[str, pa.DataType]

    @classmethod
    def of(cls, problem: Problem, loaded: Loaded, key_types: Mapping[str, KeyType]) -> Version:
        """What serving needs of a version. key_types: of the join keys, as published."""
        definitions = loaded.bundle.definitions
        types = {item.slug: ARROW_TYPES[item.kind] for item in stored(definitions)}
        needs = Needs.of(problem, definitions, key_types)
        return cls(loaded=loaded, needs=needs, key_types=key_types, stored=types)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The rows of one call, found to be in order, and the version that answers them all. now_us: the call's instant."""

    version: Version
    rows: tuple[Asked, ...]
    now_us: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A call that could not be answered for a fault of ours. reason: may be shown to clients, so it names no path."""

    reason: str
    at_s: float


@dataclass(frozen=True, kw_only=True)
class _Predicted:
    """One row on its way to an answer. features: what went into the model, by slug; value: what came out of it."""

    asked: Asked
    ages: Mapping[str, Age]
    features: Mapping[str, Any]
    value: float


class Predictor:
    """Answers rows of one problem. Safe from many threads.

    champion: gives the version to use, once per call. policy: what to do where features are STALE or MISSING: predict
    all the same (default), give no probability (abstain), or refuse (fail). clock: seconds, monotonic. failed: the
    last call that was refused for a fault of ours; None once a call was answered.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        champion: Callable[[], Loaded],
        online: Online,
        log: Log,
        policy: Policy = "default",
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        key_types: Callable[[], Mapping[str, KeyType]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.failed: Failed | None = None
        self._clock = clock
        self._problem = problem
        self._champion = champion
        self._online = online
        self._log = log
        self._policy = policy
        self._new_id = new_id
        self._key_types = key_types
        self._last: Version | None = None

    def needs(self) -> Needs:
        """The columns that a request must carry for the present champion."""
        return self._version().needs

    def predict(self, rows: Sequence[Mapping[str, Any]], *, now_us: int) -> list[Answer]:
        """Answer rows in their order, as of `now_us` on the production clock; all are logged, or none.

        Raises DataError for a row that lacks a column or holds a wrong value, UnavailableError while there is no
        champion, where the policy is to fail on stale features, or where the answers cannot be logged.
        """
        (found,) = self.answer([self.check(rows, now_us=now_us)])
        if isinstance(found, HeadraceError):
            raise found
        return found

    def check(self, rows: Sequence[Mapping[str, Any]], *, now_us: int) -> Checked:
        """The rows of one call, checked for the present champion. Raises DataError, or UnavailableError without one."""
        version = self._version()
        asked = tuple(check_row(version.needs, row, _place(at, rows)) for at, row in enumerate(rows))
        return Checked(version=version, rows=asked, now_us=now_us)

    def rehearse(self, now_us: int) -> str:
        """Do what a prediction does before it has a row; why every call would be refused now, empty where none would.

        Raises what `predict` would raise for a fault of ours.
        """
        version = self._version()
        service = version.loaded.bundle.service
        self._online.read(service, [dict.fromkeys(version.needs.join_keys)], now_us)
        if self._policy != "fail":
            return ""
        old = [f"{view} is {age.status}" for view, age in self._online.ages(service, now_us).items()]
        return "; ".join(reason for reason in old if not reason.endswith("FRESH"))

    def answer(self, calls: Sequence[Checked]) -> list[list[Answer] | HeadraceError]:
        """Answer several calls together: one read of the store, one prediction, one transaction of the log.

        Every call is answered as it would be alone; one that is refused has its error in place of its answers.
        """
        found: list[list[Answer] | HeadraceError] = []
        for _, alike in itertools.groupby(calls, key=lambda call: (id(call.version), call.now_us)):
            found += self._answer_alike(list(alike))
        return found

    def _version(self) -> Version:
        loaded, key_types, last = self._champion(), self._key_types(), self._last
        if last is None or last.loaded is not loaded or last.key_types != key_types:
            last = self._last = Version.of(self._problem, loaded, key_types)
        return last

    def _answer_alike(self, calls: Sequence[Checked]) -> list[list[Answer] | HeadraceError]:
        """Answer calls to one version at one instant."""
        try:
            found = self._answer_together(calls)
        except DataError as error:
            # Some call's key is of another type than the store's: find out whose.
            return [error] if len(calls) == 1 else [self._answer_alike([call])[0] for call in calls]
        except HeadraceError as error:  # a fault of ours: nobody can be answered now
            self.failed = Failed(reason=_public(error), at_s=self._clock())
            return [error] * len(calls)
        self.failed = None
        return found

    def _answer_together(self, calls: Sequence[Checked]) -> list[list[Answer] | HeadraceError]:
        version, now_us = calls[0].version, calls[0].now_us
        predicted = iter(self._predict_rows(version, [row for call in calls for row in call.rows], now_us))
        rows = [list(itertools.islice(predicted, len(call.rows))) for call in calls]
        found = [self._judge(version, part, now_us) for part in rows]
        self._write(
            self._logged(item, answer)
            for part, answers in zip(rows, found, strict=True)
            if not isinstance(answers, HeadraceError)
            for item, answer in zip(part, answers, strict=True)
        )
        return found

    def _predict_rows(self, version: Version, asked: Sequence[Asked], now_us: int) -> list[_Predicted]:
        if not asked:
            return []
        bundle = version.loaded.bundle
        found = self._online.read(bundle.service, [item.keys for item in asked], now_us)
        matrix = self._matrix(version, asked, found, now_us)
        values = np.asarray(bundle.predict(matrix), dtype=np.float64)
        names = matrix.column_names
        features = zip(*(column.to_pylist() for column in matrix.columns), strict=True)
        return [
            _Predicted(asked=item, ages=row.ages, features=dict(zip(names, used, strict=True)), value=float(value))
            for item, row, used, value in zip(asked, found, features, values, strict=True)
        ]

    def _matrix(self, version: Version, asked: Sequence[Asked], found: Sequence[FeatureRow], now_us: int) -> pa.Table:
        values = {
            slug: pa.array([row.values[slug] for row in found], type=kind) for slug, kind in version.stored.items()
        }
        cutoffs = np.full(len(asked), now_us, dtype=np.int64)
        ticks = np.full(len(asked), floor_to_tick(now_us, self._problem.tick_us), dtype=np.int64)
        return finish(version.loaded.bundle.definitions, values, columns_of(version.needs, asked), ticks, cutoffs)

    def _judge(self, version: Version, rows: Sequence[_Predicted], now_us: int) -> list[Answer] | HeadraceError:
        """The answers of one call, by the policy; or why it is refused."""
        try:
            return [self._answer_row(version.loaded, row, _place(at, rows), now_us) for at, row in enumerate(rows)]
        except HeadraceError as error:
            return error

    def _answer_row(self, loaded: Loaded, row: _Predicted, where: str, now_us: int) -> Answer:
        reason = self._reason(row.ages, where)
        return Answer(
            id=self._new_id(),
            probability=None if reason and self._policy == "abstain" else _finite(row.value, loaded.version),
            model_version=loaded.version,
            made_us=now_us,
            features=row.ages,
            flags=_flags(loaded.bundle, row.asked, now_us, self._problem.tick_us),
            reason=reason,
        )

    def _reason(self, ages: Mapping[str, Age], where: str) -> str:
        """Why the features of a row are not all fresh; empty where they are."""
        lacking = [f"{view} is {age.status}" for view, age in ages.items() if age.status != "FRESH"]
        if lacking and self._policy == "fail":
            raise UnavailableError(
                "features are not fresh",
                where=where,
                found=lacking,
                fix="refresh the online store, or set HEADRACE_STALE_POLICY to default or abstain",
            )
        return "; ".join(lacking)

    def _logged(self, row: _Predicted, answer: Answer) -> Prediction:
        return Prediction(
            id=answer.id,
            cutoff_us=answer.made_us,
            made_us=answer.made_us,
            model_version=answer.model_version,
            join_keys=row.asked.keys,
            request=row.asked.given,
            features=row.features,
            ticks={view: age.tick_us for view, age in answer.features.items() if age.tick_us is not None},
            statuses={view: age.status for view, age in answer.features.items()},
            probability=answer.probability,
            source="api",
            row_key=_row_key(self._problem, row.asked.named, answer.made_us),
        )

    def _write(self, logged: Iterable[Prediction]) -> None:
        """Log answers. Raises UnavailableError where that cannot be, with a reason that may be shown to clients."""
        try:
            self._log.append(list(logged))
        except (HeadraceError, sqlite3.Error, OSError) as error:
            reason = error.what if isinstance(error, HeadraceError) else str(error)
            raise UnavailableError(
                "the prediction could not be logged, so it is not given",
                where=self._problem.name,
                found=[reason],
                fix="see that the disk is writable and not full; `/readyz` says when it is",
            ) from error


def _public(error: HeadraceError) -> str:
    """An error's fault, and what was found where that holds no path, as `where` and `fix` may."""
    found = [str(item) for item in error.found if isinstance(error, UnavailableError)]
    return f"{error.what}: {', '.join(found)}" if found else error.what


def _row_key(problem: Problem, named: Mapping[str, KeyValue], made_us: int) -> list[KeyValue]:
    """The spine row's key, where the request names it whole; a scheduled problem's row is due when it is asked for."""
    given = {**named, DUE: made_us} if isinstance(problem.spine, Every) else named
    key = [given.get(name) for name in problem.spine_table.keys]
    return [] if None in key else key


def _place(at: int, rows: Sequence[object]) -> str:
    return "request" if len(rows) == 1 else f"row {at}"


def _finite(value: float, version: str) -> float:
    if not math.isfinite(value):
        raise DataError("the model gave no number for this row", where=f"version {version}")
    return float(value)


def _flags(bundle: Bundle, asked: Asked, now_us: int, tick_us: int) -> tuple[str, ...]:
    """Warn where a row is asked for much earlier or later before its event than the model was trained for."""
    if asked.time_us is None or not bundle.lead_time:
        return ()
    lead = asked.time_us - now_us
    low, high = (bundle.lead_time[name] * SECOND for name in ("low_s", "high_s"))
    return () if low - tick_us <= lead <= high + tick_us else (LEAD_TIME_UNUSUAL,)
