"""Secrets that Prefect keeps for us: an alert address may stand in a block of its server, editable in its pages.

A block is read whenever it is needed, so a changed address counts from the next delivery on. Any block with a `value`
(Secret) or a `url` (the notification blocks for Slack, Teams, Discord, e-mail and more) will do.
"""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

_FIELDS = ("value", "url")


def addresses_in(reference: str) -> tuple[str, ...]:
    """Apprise addresses in the block `type/name`, a space between two; none where there is no such block."""
    kind, name = reference.split("/")
    with get_client(sync_client=True) as client:
        try:
            block = client.read_block_document_by_name(name, kind, include_secrets=True)
        except ObjectNotFound:
            return ()
    data: dict[str, Any] = block.data
    found = (data[field] for field in _FIELDS if isinstance(data.get(field), str))
    return tuple(next(found, "").split())
