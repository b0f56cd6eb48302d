"""Write refused requests to the audit log, without letting whoever sends them fill the disk or slow the server.

The first refusal of an address for a reason is written at once. Those that follow within a minute are counted, and
their number stands in the next line. A thread of its own writes, for a line waits for the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from headrace.access.audit_log import AuditLog
from headrace.access.gate import Reason
from headrace.core.errors import HeadraceError

_log = logging.getLogger(__name__)

#: Seconds for which refusals of one address and reason are counted in one line.
QUIET_S = 60.0
_MAX_PAIRS = 1000


class Denials:
    """Refusals and actions of one server, on their way to the audit log. `add` is of one thread.

    Args:
        log: The audit log.
        wall_us: Wall clock, microseconds UTC.
    """

    def __init__(self, log: AuditLog, wall_us: Callable[[], int]) -> None:
        self._log = log
        self._wall_us = wall_us
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="audit")
        #: Address and reason -> when a line was written (us), refusals since.
        self._recent: dict[tuple[str, Reason], tuple[int, int]] = {}

    def add(self, who: str, address: str, reason: Reason, what: str) -> None:
        """Record a refused request.

        Args:
            who: Name and id of the key, or "unknown".
            address: Where it came from.
            reason: Why it was refused.
            what: Method and path.
        """
        now_us, pair = self._wall_us(), (address, reason)
        written_us, since = self._recent.get(pair, (None, 0))
        if written_us is not None and now_us - written_us < QUIET_S * 1e6:
            self._recent[pair] = (written_us, since + 1)
            return
        self._recent.pop(pair, None)
        self._recent[pair] = (now_us, 0)
        if len(self._recent) > _MAX_PAIRS:
            del self._recent[next(iter(self._recent))]
        facts = {"reason": reason, **({"more_before": since} if since else {})}
        self.write(f"{who} at {address}", "access.refused", what, "refused", facts)

    def write(self, who: str, action: str, what: str, result: str, facts: dict[str, Any] | None = None) -> None:
        """Write a line soon. An audit log that cannot be written is reported in the server's log."""
        self._writer.submit(self._append, who, action, what, result, self._wall_us(), facts)

    def close(self) -> None:
        """Wait until all lines are written."""
        self._writer.shutdown()

    def _append(self, who: str, action: str, what: str, result: str, at_us: int, facts: dict[str, Any] | None) -> None:
        try:
            self._log.append(who, action, what, result, at_us=at_us, facts=facts)
        except (OSError, HeadraceError) as error:
            _log.error("the audit log cannot be written: %s", error)
