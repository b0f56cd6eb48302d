"""MLflow's migrations once in a session of tests: each new home begins with a copy of one empty, migrated database.

They take seconds, and a session makes many homes. The first database is still made as a user's is.
"""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from unittest import mock


@contextmanager
def migrated_once(folder: Path) -> Iterator[None]:
    """While the block runs, `client.connect` copies the database of `folder` to a home that has none yet."""
    if importlib.util.find_spec("headrace") is None:  # the environment of test-infra
        yield
        return
    from headrace.registry import client

    template, prepare = folder / "mlflow.db", client.relocate

    def copied(store: Path) -> bool:
        if not store.exists() and store != template:
            if not template.exists():
                client.connect(f"sqlite:///{template}")
            with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(store)) as target:
                source.backup(target)
        return prepare(store)

    with mock.patch.object(client, "relocate", copied):
        yield
