"""Assign entities to the champion or the challenger of a rollout: by a hash, so that each keeps its version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from headrace.lake.keys import KeyValue, value_text

_SPAN = 2.0**64


def position(salt: str, key: Iterable[KeyValue]) -> float:
    """Return an entity's position in [0, 1): uniform over entities, equal in every process, other for other salts.

    Args:
        salt: Id of the rollout.
        key: Canonical values of the entity's join keys.
    """
    text = repr((salt, *(value_text(value) for value in key)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / _SPAN


def is_canary(salt: str, key: Iterable[KeyValue], share: float) -> bool:
    """Whether the challenger answers an entity. With a larger share, it keeps the entities that it had.

    Args:
        salt: Id of the rollout.
        key: Canonical values of the entity's join keys.
        share: Share of the entities that the challenger answers, 0 to 1.
    """
    return share > 0 and position(salt, key) < share
