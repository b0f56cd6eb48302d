"""Feast's online store over packed rows in Redis, which Headrace's API reads too.

    online_store:
      type: headrace.store.redis_store.HeadraceRedisOnlineStore
      url: ${REDIS_URL}

in the home folder's `feature_store.yaml`. Feast's own `type: redis` also works, as a copy for those who read through
Feast: it has a protobuf per feature, no watermark and no checksum, so the API then reads the embedded file.
"""

from __future__ import annotations

from typing import Literal

from feast.repo_config import FeastConfigBaseModel, RepoConfig

from headrace.store.embedded import HeadraceOnlineStore
from headrace.store.redis_rows import redis_rows
from headrace.store.row_interface import OnlineRows


class HeadraceRedisOnlineStoreConfig(FeastConfigBaseModel):
    """`online_store:` in feature_store.yaml. url: address of Redis; prefix: beginning of every key."""

    type: Literal["headrace.store.redis_store.HeadraceRedisOnlineStore"] = (
        "headrace.store.redis_store.HeadraceRedisOnlineStore"
    )
    url: str
    prefix: str = "headrace"


class HeadraceRedisOnlineStore(HeadraceOnlineStore):
    """The embedded store's behaviour on rows in Redis."""

    def rows(self, config: RepoConfig) -> OnlineRows:
        """The rows that a Feast configuration names."""
        chosen = config.online_store
        return redis_rows(chosen.url, chosen.prefix)
