"""Record changes of champions and of settings in the audit log of a home."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from headrace.access.actor import actor
from headrace.access.audit_log import AuditLog
from headrace.access.opened import audit_log
from headrace.core.errors import HeadraceError
from headrace.core.settings import Settings, settings

_log = logging.getLogger(__name__)

SETTINGS = "settings.change"


def author() -> tuple[str, int]:
    """Return who acts, and the wall clock (microseconds UTC)."""
    return actor(), time.time_ns() // 1000


def record_champion(
    root: Path, problem: str, action: str, facts: Mapping[str, Any], *, who: str, made_us: int, change: str
) -> None:
    """Record a promotion or roll back that the ledger has already. Repeated, it changes nothing.

    Args:
        root: Home folder.
        problem: Name of the problem.
        action: promote or rollback.
        facts: Of the change.
        who: Who made it.
        made_us: When, on the wall clock, microseconds UTC.
        change: Identifies the change over all ledgers.

    Raises:
        HeadraceError: The log is damaged.
        OSError: It cannot be written.
    """
    key = settings().audit_key
    log = AuditLog(root, key.get_secret_value() if key else "")
    if not any(entry.facts.get("change") == change for entry in log.entries()):
        log.append(who, f"champion.{action}", problem, at_us=made_us, facts={**facts, "change": change})


def record_settings(chosen: Settings) -> None:
    """Record the settings that a server starts with, where they differ from those of the last start.

    Args:
        chosen: The settings. Of a secret, only whether it is set is recorded.
    """
    log, now = audit_log(chosen), _shown(chosen)
    try:
        entries = [entry for entry in log.entries() if entry.action == SETTINGS]
    except (HeadraceError, OSError) as error:
        _log.error("the audit log cannot be read: %s", error)
        return
    before: Mapping[str, Any] = entries[-1].facts["settings"] if entries else {}
    changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
    if changed:
        _append(log, SETTINGS, ", ".join(changed) if entries else "first start", {"settings": now})


def _shown(chosen: Settings) -> dict[str, str]:
    values = {name: getattr(chosen, name) for name in Settings.model_fields}
    return {
        name: "(set)" if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _append(log: AuditLog, action: str, what: str, facts: Mapping[str, Any]) -> None:
    try:
        log.append(actor(), action, what, at_us=time.time_ns() // 1000, facts=facts)
    except (HeadraceError, OSError) as error:
        _log.error("the audit log cannot be written: %s", error)
