"""The file of keys, the audit log and the allowed networks of an installation, as its settings say."""

from __future__ import annotations

from pydantic import SecretStr

from headrace.access.audit_log import AuditLog
from headrace.access.key_file import KeyFile
from headrace.access.outbound import Network, parse_networks
from headrace.core.settings import Settings


def key_file(settings: Settings) -> KeyFile:
    """Return the file of API keys."""
    return KeyFile(path=settings.keys_file, pepper=_text(settings.key_pepper))


def audit_log(settings: Settings) -> AuditLog:
    """Return the audit log."""
    return AuditLog(settings.root, _text(settings.audit_key))


def alert_networks(settings: Settings) -> tuple[Network, ...]:
    """Return the networks that alerts may be sent to beside public addresses.

    Raises:
        DeclarationError: The setting cannot be read.
    """
    return parse_networks(settings.alert_networks or "", where="HEADRACE_ALERT_NETWORKS")


def _text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
