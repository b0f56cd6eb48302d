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


def record_champion(root: Path, problem: str, action: str, change: Mapping[str, Any]) -> None:
    """Record a promotion or roll back that the ledger holds already.

    A log that cannot be written does not undo it: that is reported in the process's log.

    Args:
        root: Home folder.
        problem: Name of the problem.
        action: promote or rollback.
        change: `version`, `previous`, `reason` and `at_us` of the change; others are left out.
    """
    key = settings().audit_key
    log = AuditLog(root, key.get_secret_value() if key else "")
    facts = {name: change[name] for name in ("version", "previous", "reason", "at_us")}
    _append(log, f"champion.{action}", problem, facts)


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
