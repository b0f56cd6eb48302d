"""The digest of some modules' source, under which runs that were made with them are kept."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path


@cache
def code_version(modules: tuple[str, ...]) -> str:
    """sha256 of the source of modules, without importing them, hex."""
    digest = hashlib.sha256()
    for name in sorted(modules):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        digest.update(Path(spec.origin).name.encode())
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()
