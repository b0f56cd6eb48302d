"""Readiness check for load balancers: would a prediction succeed now, and if not, why.

The check predicts nothing. It reads the champion, the clock and the store as a prediction does, and tests the
prediction log without adding a row (`PredictionLog.check_writable`), at most once in `check_interval_s`. A call that
failed on the server's side counts for `failure_memory_s`, unless a later one succeeded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from headrace.core.errors import HeadraceError
from headrace.serving.service import Service

CHECK_INTERVAL_S = 1.0
FAILURE_MEMORY_S = 10.0


class ReadinessCheck:
    """The readiness of one serving process.

    Args:
        service: The service.
        check_interval_s: Shortest time between two tests of the log.
        failure_memory_s: Time for which a failed call counts.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        service: Service,
        *,
        check_interval_s: float = CHECK_INTERVAL_S,
        failure_memory_s: float = FAILURE_MEMORY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._check_interval_s = check_interval_s
        self._failure_memory_s = failure_memory_s
        self._clock = clock
        self._checking = threading.Lock()
        self._checked_s: float | None = None
        self._log_reason = ""

    def obstacles(self) -> list[str]:
        """Return why predictions would be refused now, in words for clients; empty where they would succeed."""
        service = self._service
        checks = (lambda: service.predictor.dry_run(service.now()), self._check_log, self._check_failures)
        reasons = [_failure_reason(check) for check in checks]
        return list(dict.fromkeys(reason for reason in reasons if reason))

    def _check_log(self) -> str:
        with self._checking:
            if self._checked_s is None or self._clock() - self._checked_s >= self._check_interval_s:
                self._log_reason = _failure_reason(self._write)
                self._checked_s = self._clock()
            return self._log_reason

    def _write(self) -> str:
        self._service.log.check_writable()
        return ""

    def _check_failures(self) -> str:
        last_failure = self._service.predictor.last_failure
        if last_failure is None or self._clock() - last_failure.at_s >= self._failure_memory_s:
            return ""
        return last_failure.reason


def _failure_reason(check: Callable[[], str]) -> str:
    """Run a check and return its failure; of an unexpected error only the type, as its text may contain paths."""
    try:
        return check()
    except HeadraceError as error:
        return error.what
    except Exception as error:
        return f"{type(error).__name__} on the way to a prediction"
