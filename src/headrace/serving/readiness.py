"""Whether predictions would be refused now, and why: what a load balancer asks before it sends requests here.

Nothing is predicted for it. The champion, the clock and the store are read as a prediction reads them; the prediction
log is written to without a row (`PredictionLog.check_writable`), at most once in `keep_s`. A call that was refused for
a fault of ours counts for `remember_s`, unless one was answered since.
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
    """One for each serving process. clock: seconds, monotonic."""

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
        """Why predictions would be refused now, for clients to read; empty where they would be given."""
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
    """What a look finds in the way, or what ends it; of a foreign error its kind alone, for it may hold paths."""
    try:
        return check()
    except HeadraceError as error:
        return error.what
    except Exception as error:
        return f"{type(error).__name__} on the way to a prediction"
