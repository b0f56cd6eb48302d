"""The prediction service without HTTP: request rows in, answers out, each logged durably before it is returned.

One call uses one champion version, and during a rollout its challenger for the entities of its share. Its rows are
validated, the stored features of all rows are read at once, transforms (calendar, time since, distances) are computed
as in training, the model predicts, the stale policy is applied, and the log is written in one transaction. Calls that
wait at the same time are answered together (`serving.queue`).
"""

from __future__ import annotations

import itertools
import math
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headrace.core.errors import DataError, HeadraceError, UnavailableError
from headrace.prediction_log.journal import PredictionJournal
from headrace.prediction_log.log import Prediction
from headrace.schema import Problem
from headrace.serving.answers import (
    Answer,
    BatchObserver,
    Failure,
    Log,
    Online,
    Policy,
    ValidatedCall,
    Version,
    new_id,
)
from headrace.serving.batch_times import BatchClock
from headrace.serving.flags import all_flags
from headrace.serving.follow import LoadedVersion
from headrace.serving.log_rows import LogRows
from headrace.serving.request import RequestSchema
from headrace.serving.rollout.canary import score_calls
from headrace.serving.rollout.follower import RolloutFollower
from headrace.serving.scoring import ScoredRow, score_rows
from headrace.serving.versions import Versions
from headrace.store.online import Age
from headrace.store.published import KeyType
from headrace.telemetry.fields import REQUEST_ID
from headrace.telemetry.tracing import present_context

#: Writes answers to the log.
_Write = Callable[[Sequence[Prediction]], object]


class Predictor:
    """Predicts rows of one problem. Thread-safe.

    Args:
        problem: The problem.
        champion: Returns the version to use; called once per call.
        online: Stored features.
        log: Where answers are written.
        policy: What to do with STALE or MISSING features: predict (default), return no probability (abstain), or
            refuse the call (fail).
        new_id: Returns an id for an answer.
        key_types: Returns the types of the join keys.
        table_columns: Returns the columns of the spine's table, None where they are not known.
        clock: Seconds, monotonic.
        versions: Derives what serving needs from a loaded version; made of the arguments before where left out.
        rollout: The challenger that is compared with the champion; None: there never is one.

    Attributes:
        last_failure: The last call that failed on the server's side; None after a call was answered.
        observer: Is told the times of each batch that was answered.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        champion: Callable[[], LoadedVersion],
        online: Online,
        log: Log,
        policy: Policy = "default",
        new_id: Callable[[], str] = new_id,
        key_types: Callable[[], Mapping[str, KeyType]] = dict,
        table_columns: Callable[[], frozenset[str] | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        versions: Versions | None = None,
        rollout: RolloutFollower | None = None,
    ) -> None:
        self.last_failure: Failure | None = None
        self.observer: BatchObserver | None = None
        self._clock = clock
        self._problem = problem
        self._champion = champion
        self._online = online
        self._log = log
        self._policy = policy
        self._new_id = new_id
        self._versions = versions or Versions(problem, online, key_types=key_types, table_columns=table_columns)
        self._rollout = rollout
        self._log_rows = LogRows(problem)

    def needs(self) -> RequestSchema:
        """Return the columns that a request for the present champion must have."""
        return self.version().needs

    def predict(self, rows: Sequence[Mapping[str, Any]], *, now_us: int) -> list[Answer]:
        """Predict rows as of `now_us` on the production clock; all are logged, or none.

        Args:
            rows: Request rows: column -> JSON value.
            now_us: The present on the production clock.

        Raises:
            DataError: A row lacks a column or has a wrong value.
            UnavailableError: There is no champion, features are not fresh (policy fail), or the log cannot be written.
        """
        (result,) = self.answer([self.check(rows, now_us=now_us)])
        if isinstance(result, HeadraceError):
            raise result
        return result

    def check(
        self, rows: Sequence[Mapping[str, Any]], *, now_us: int, strict: bool = False, version: Version | None = None
    ) -> ValidatedCall:
        """Validate the rows of one call; raises as `predict`.

        Args:
            rows: Request rows.
            now_us: The present on the production clock.
            strict: See `checked_row`.
            version: What `version` returned a moment ago; None for the present champion.
        """
        version = self.version() if version is None else version
        check = version.plain.check
        checked = tuple(check(row, _location(position, rows), strict=strict) for position, row in enumerate(rows))
        beside = self._rollout.rows(version, rows, checked) if self._rollout is not None else None
        challenger, counts = beside or (None, None)
        return ValidatedCall(
            version=version,
            rows=checked,
            now_us=now_us,
            request_id=REQUEST_ID.get() or None,
            trace=present_context(),
            challenger=challenger,
            counts=counts,
        )

    def dry_run(self, now_us: int) -> str:
        """Run the steps of a prediction that need no row, for readiness checks.

        Returns:
            Why every call would be refused now by the stale policy; empty where none would.

        Raises:
            HeadraceError: As `predict` would.
        """
        version = self.version()
        service = version.loaded.bundle.service
        self._online.read(service, [dict.fromkeys(version.needs.join_keys)], now_us)
        if self._policy != "fail":
            return ""
        reasons = [f"{view} is {age.status}" for view, age in self._online.ages(service, now_us).items()]
        return "; ".join(reason for reason in reasons if not reason.endswith("FRESH"))

    def answer(self, calls: Sequence[ValidatedCall]) -> list[list[Answer] | HeadraceError]:
        """Answer several calls with one read of the store, one prediction and one transaction of the log.

        Returns:
            For each call its answers, or the error that it would raise alone.
        """
        return self._answer(calls, self._log.append)

    def write(self, calls: Sequence[ValidatedCall]) -> list[list[Answer] | HeadraceError]:
        """Answer calls as `answer` does, without waiting until a journal is on disk."""
        return self._answer(calls, self._log.write if isinstance(self._log, PredictionJournal) else self._log.append)

    def _answer(self, calls: Sequence[ValidatedCall], write: _Write) -> list[list[Answer] | HeadraceError]:
        outcomes: list[list[Answer] | HeadraceError] = []
        for _, group in itertools.groupby(calls, key=_answered_together):
            outcomes += self._answer_same_version(list(group), write)
        return outcomes

    def version(self) -> Version:
        """Return the present champion and what is derived from it; UnavailableError where there is none."""
        return self._versions.of(self._champion())

    def _answer_same_version(self, calls: Sequence[ValidatedCall], write: _Write) -> list[list[Answer] | HeadraceError]:
        """Answer calls of the same version and instant."""
        try:
            outcomes = self._answer_together(calls, write)
        except DataError as error:
            # A key of some call has another type than in the store: answer each call alone to find it.
            return [error] if len(calls) == 1 else [self._answer_same_version([call], write)[0] for call in calls]
        except HeadraceError as error:  # a failure of the server: no call can be answered
            self.last_failure = Failure(reason=_public_reason(error), at_s=self._clock())
            return [error] * len(calls)
        self.last_failure = None
        return outcomes

    def _answer_together(self, calls: Sequence[ValidatedCall], write: _Write) -> list[list[Answer] | HeadraceError]:
        now_us, clock = calls[0].now_us, BatchClock()
        scored = self._score(calls, now_us, clock.step_ended)
        clock.step_ended()
        predicted = iter(scored)
        rows = [list(itertools.islice(predicted, len(call.rows))) for call in calls]
        outcomes = [self._apply_policy(rows_of_call, now_us) for rows_of_call in rows]
        logged = [
            self._log_rows.answer(item, answer, call.request_id)
            for call, rows_of_call, answers in zip(calls, rows, outcomes, strict=True)
            if not isinstance(answers, HeadraceError)
            for item, answer in zip(rows_of_call, answers, strict=True)
        ]
        self._append_to_log(logged, write)
        if self.observer is not None and scored:
            self.observer(calls, clock.times())
        if self._rollout is not None:
            for call, answers in zip(calls, outcomes, strict=True):
                if not isinstance(answers, HeadraceError):
                    self._rollout.offer(call, answers)
        return outcomes

    def _score(self, calls: Sequence[ValidatedCall], now_us: int, after_read: Callable[[], None]) -> list[ScoredRow]:
        """Score the rows of calls that are answered together."""
        if calls[0].challenger is not None and calls[0].counts is not None:
            return score_calls(self._online, calls, now_us, calls[0].counts, after_read)
        rows = [row for call in calls for row in call.rows]
        return score_rows(self._online, calls[0].version, rows, now_us, after_read)

    def _apply_policy(self, rows: Sequence[ScoredRow], now_us: int) -> list[Answer] | HeadraceError:
        """Return the answers of one call under the stale policy, or the error that refuses it."""
        try:
            return [self._answer_row(row, _location(position, rows), now_us) for position, row in enumerate(rows)]
        except HeadraceError as error:
            return error

    def _answer_row(self, row: ScoredRow, where: str, now_us: int) -> Answer:
        reason, version = self._reason(row.ages, where), row.version
        name = version.loaded.version
        return Answer(
            id=self._new_id(),
            value=None if reason and self._policy == "abstain" else _finite(row.value, name),
            model_version=name,
            made_us=now_us,
            features=row.ages,
            flags=all_flags(version.usual_lead_us, row.request_row, now_us),
            reason=reason,
            inputs=row.features,
        )

    def _reason(self, ages: Mapping[str, Age], where: str) -> str:
        """Return why the features of a row are not all fresh; empty where they are."""
        not_fresh = self._log_rows.ages.of(ages).not_fresh
        if not_fresh and self._policy == "fail":
            raise UnavailableError(
                "features are not fresh",
                where=where,
                found=not_fresh,
                fix="refresh the online store, or set HEADRACE_STALE_POLICY to default or abstain",
            )
        return "; ".join(not_fresh)

    def _append_to_log(self, logged: Sequence[Prediction], write: _Write) -> None:
        """Log answers; UnavailableError with a reason that clients may see where that fails."""
        try:
            write(logged)
        except (HeadraceError, sqlite3.Error, OSError) as error:
            reason = error.what if isinstance(error, HeadraceError) else str(error)
            raise UnavailableError(
                "the prediction could not be logged, so it is not given",
                where=self._problem.name,
                found=[reason],
                fix="see that the disk is writable and not full; `/readyz` says when it is",
            ) from error


def _answered_together(call: ValidatedCall) -> tuple[int, int, int]:
    """Return what calls that are answered together have in common: their versions and their instant."""
    return id(call.version), call.now_us, id(call.challenger.version) if call.challenger is not None else 0


def _public_reason(error: HeadraceError) -> str:
    """Return an error's message without `where` and `fix`, which may contain paths."""
    details = [str(item) for item in error.found if isinstance(error, UnavailableError)]
    return f"{error.what}: {', '.join(details)}" if details else error.what


def _location(position: int, rows: Sequence[object]) -> str:
    return "request" if len(rows) == 1 else f"row {position}"


def _finite(value: float, version: str) -> float:
    if not math.isfinite(value):
        raise DataError("the model gave no number for this row", where=f"version {version}")
    return float(value)
