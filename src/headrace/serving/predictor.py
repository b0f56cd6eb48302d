"""The data plane, without HTTP: rows in, answers out, each one durably logged before it leaves.

For one call: the champion is taken once; rows are checked; stored features are read at once for all rows; what is
finished at read (calendar, time since, distances) is finished by the model bundle, as in training; the model
predicts; the policy decides about stale or missing features; the log is written in one transaction.
"""

from __future__ import annotations

import math
import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from headrace.core.clock import SECOND, floor_to_tick
from headrace.core.errors import DataError, UnavailableError
from headrace.lake.keys import KeyValue
from headrace.lake.predictions import Prediction
from headrace.schema import DUE, Every, Problem
from headrace.serving.follow import Loaded
from headrace.serving.request import ARROW_TYPES, Asked, Needs, check_row, columns_of
from headrace.store.online import Age, FeatureRow
from headrace.store.published import KeyType
from headrace.synthesis.definitions import stored

if TYPE_CHECKING:
    from headrace.models.bundle import Bundle

Policy = Literal["default", "abstain", "fail"]

LEAD_TIME_UNUSUAL = "lead_time_unusual"


class Online(Protocol):
    """Where stored features come from: `store.online.OnlineStore`, or another store's reader."""

    def read(self, service: str, keys: Sequence[Mapping[str, Any]], now_us: int) -> list[FeatureRow]: ...


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


class Predictor:
    """Answers rows of one problem. Safe from many threads.

    champion: gives the version to use, once per call. policy: what to do where features are STALE or MISSING: predict
    all the same (default), give no probability (abstain), or refuse (fail).
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
    ) -> None:
        self._problem = problem
        self._champion = champion
        self._online = online
        self._log = log
        self._policy = policy
        self._new_id = new_id
        self._key_types = key_types

    def needs(self) -> Needs:
        """The columns that a request must carry for the present champion."""
        return self._needs(self._champion())

    def _needs(self, loaded: Loaded) -> Needs:
        return Needs.of(self._problem, loaded.bundle.definitions, self._key_types())

    def predict(self, rows: Sequence[Mapping[str, Any]], *, now_us: int) -> list[Answer]:
        """Answer rows in their order, as of `now_us` on the production clock; all are logged, or none.

        Raises DataError for a row that lacks a column or holds a wrong value, UnavailableError while there is no
        champion, where the policy is to fail on stale features, or where the answers cannot be logged.
        """
        loaded = self._champion()
        needs = self._needs(loaded)
        asked = [check_row(needs, row, _place(at, rows)) for at, row in enumerate(rows)]
        if not asked:
            return []
        found = self._online.read(loaded.bundle.service, [item.keys for item in asked], now_us)
        reasons = [self._judge(row, _place(at, rows)) for at, row in enumerate(found)]
        matrix = self._matrix(loaded.bundle, needs, asked, found, now_us)
        predicted = np.asarray(loaded.bundle.predict(matrix), dtype=np.float64)
        answers = [
            Answer(
                id=self._new_id(),
                probability=None if reason and self._policy == "abstain" else _finite(value, loaded.version),
                model_version=loaded.version,
                made_us=now_us,
                features=row.ages,
                flags=_flags(loaded.bundle, item, now_us, self._problem.tick_us),
                reason=reason,
            )
            for item, row, value, reason in zip(asked, found, predicted, reasons, strict=True)
        ]
        self._write(rows, asked, matrix, answers)
        return answers

    def _judge(self, row: FeatureRow, where: str) -> str:
        """Why the features of a row are not all fresh; empty where they are."""
        lacking = [f"{view} is {age.status}" for view, age in row.ages.items() if age.status != "FRESH"]
        if lacking and self._policy == "fail":
            raise UnavailableError(
                "features are not fresh",
                where=where,
                found=lacking,
                fix="refresh the online store, or set HEADRACE_STALE_POLICY to default or abstain",
            )
        return "; ".join(lacking)

    def _matrix(
        self, bundle: Bundle, needs: Needs, asked: Sequence[Asked], found: Sequence[FeatureRow], now_us: int
    ) -> pa.Table:
        values = {
            item.slug: pa.array([row.values[item.slug] for row in found], type=ARROW_TYPES[item.kind])
            for item in stored(bundle.definitions)
        }
        cutoffs = np.full(len(asked), now_us, dtype=np.int64)
        ticks = np.full(len(asked), floor_to_tick(now_us, self._problem.tick_us), dtype=np.int64)
        return bundle.finish(values, columns_of(needs, asked), ticks, cutoffs)

    def _write(
        self, rows: Sequence[Mapping[str, Any]], asked: Sequence[Asked], matrix: pa.Table, answers: Sequence[Answer]
    ) -> None:
        features = matrix.to_pylist()
        logged = [
            Prediction(
                id=answer.id,
                cutoff_us=answer.made_us,
                made_us=answer.made_us,
                model_version=answer.model_version,
                join_keys=asked[at].keys,
                request={name: rows[at][name] for name in asked[at].columns},
                features={name: _plain(value) for name, value in features[at].items()},
                ticks={view: age.tick_us for view, age in answer.features.items() if age.tick_us is not None},
                statuses={view: age.status for view, age in answer.features.items()},
                probability=answer.probability,
                source="api",
                row_key=_row_key(self._problem, asked[at].named, answer.made_us),
            )
            for at, answer in enumerate(answers)
        ]
        try:
            self._log.append(logged)
        except (sqlite3.Error, OSError) as error:
            raise UnavailableError(
                "the prediction could not be logged, so it is not given",
                where=self._problem.name,
                fix="see that the disk is writable and not full",
            ) from error


def _row_key(problem: Problem, named: Mapping[str, KeyValue], made_us: int) -> list[KeyValue]:
    """The spine row's key, where the request names it whole; a scheduled problem's row is due when it is asked for."""
    given = {**named, DUE: made_us} if isinstance(problem.spine, Every) else named
    key = [given.get(name) for name in problem.spine_table.keys]
    return [] if None in key else key


def _place(at: int, rows: Sequence[object]) -> str:
    return "request" if len(rows) == 1 else f"row {at}"


def _plain(value: Any) -> float | str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | float | int) else str(value)


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
