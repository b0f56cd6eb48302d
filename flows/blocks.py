"""Read alert addresses from a block of the Prefect server, where they can be edited in its pages.

A block is read for each delivery, so a changed address takes effect at the next one. Any block with a `value` (Secret)
or a `url` (the notification blocks for Slack, Teams, Discord, e-mail and more) is accepted.
"""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound

_FIELDS = ("value", "url")


def addresses_in(reference: str) -> tuple[str, ...]:
    """Read the Apprise addresses of a block.

    Args:
        reference: The block as `type/name`.

    Returns:
        Its addresses, which spaces separate; none if there is no such block.
    """
    kind, name = reference.split("/")
    with get_client(sync_client=True) as client:
        try:
            block = client.read_block_document_by_name(name, kind, include_secrets=True)
        except ObjectNotFound:
            return ()
    data: dict[str, Any] = block.data
    texts = (data[field] for field in _FIELDS if isinstance(data.get(field), str))
    return tuple(next(texts, "").split())
