"""The Feast backends that a user chooses: sections of `feature_store.yaml` in the home folder.

    online_store:
      type: redis                        # any class that Feast knows, or `package.module.Class`
      connection_string: ${REDIS_URL}    # variables of the environment are filled in

Where that file names no online store and HEADRACE_REDIS_URL is set, the online store is Headrace's in that Redis.

Headrace's API and its own freshness checks read the embedded file (`store/online.db`), which every refresh writes. A
chosen online store gets the same rows at each refresh, for everything that reads through Feast; Headrace's in Redis
takes the file's place instead. A chosen offline store
has to compute on read: a subclass of `headrace.store.offline.HeadraceOfflineStore`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

from headrace.core.errors import DeclarationError
from headrace.core.settings import settings

NAME = "feature_store.yaml"
SECTIONS = ("online_store", "offline_store")
#: A variable that was not filled in.
_NAMED = re.compile(r"\$\{([^}]+)\}")


def chosen_backends(root: Path) -> dict[str, dict[str, Any]]:
    """Return the sections of a home folder's `feature_store.yaml`, and Redis where only the setting names it.

    Raises:
        DeclarationError: for a file that cannot be read, that sets what Headrace keeps to itself, or that names a
            variable of the environment that is not set.
    """
    address = settings().redis_address
    redis = {"type": "headrace.store.redis_store.HeadraceRedisOnlineStore", "url": address}
    return {**({"online_store": redis} if address else {}), **_sections(root / NAME)}


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    try:
        found = yaml.safe_load(os.path.expandvars(path.read_text(encoding="utf-8"))) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"cannot be read: {str(error).splitlines()[0]}", where=str(path)) from None
    if not isinstance(found, dict) or set(found) - set(SECTIONS):
        raise DeclarationError(
            "sets more than the stores",
            where=str(path),
            found=list(found) if isinstance(found, dict) else [],
            fix=f"write {' and '.join(SECTIONS)} only: the registry, the project and the provider are Headrace's",
        )
    if unset := sorted(set(_NAMED.findall(str(found)))):
        raise DeclarationError(
            f"environment variables that are not set: {', '.join(unset)}",
            where=str(path),
            fix=f"set them, as in `export {unset[0]}=...`, where Headrace runs",
        )
    for section, chosen in found.items():
        if not isinstance(chosen, dict) or not isinstance(chosen.get("type"), str):
            raise DeclarationError(f"{section} has no type", where=str(path), fix="write type: redis, say")
    return found
