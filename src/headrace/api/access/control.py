"""What demands API keys in a server, built from the settings."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from headrace.access.denials import Denials
from headrace.access.gate import Gate
from headrace.access.key_ring import KeyRing
from headrace.access.opened import audit_log, key_file
from headrace.access.rates import Rate
from headrace.core.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class AccessControl:
    """The checks of a server, and what writes refusals to the audit log. One for all problems of a process."""

    gate: Gate
    denials: Denials


def access_control(settings: Settings, host: str) -> AccessControl | None:
    """Return what demands keys when the API listens on a host; None where the settings leave it open.

    Raises:
        DeclarationError: A rate cannot be read.
    """
    if not settings.demands_keys(host):
        return None
    file = key_file(settings)
    now_s = int(time.time())
    if not any(key.state(now_s) == "active" for key in file.records()):
        _log.warning("no API key is active, so no request is answered: make one with `headrace keys create`")
    return AccessControl(
        gate=Gate(
            ring=KeyRing(file, time.monotonic),
            key_rate=_rate(settings.key_rate, "HEADRACE_KEY_RATE"),
            address_rate=_rate(settings.address_rate, "HEADRACE_ADDRESS_RATE"),
        ),
        denials=Denials(audit_log(settings), wall_us),
    )


def wall_us() -> int:
    """The wall clock, microseconds UTC."""
    return time.time_ns() // 1000


def _rate(text: str | None, where: str) -> Rate | None:
    return None if text is None else Rate.parse(text, where=where)
