"""One installation for all tests of production; it starts once and ends with the session."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.production.installation import Installation


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """PostgreSQL, Redis, S3, Prefect and MLflow run; the worker and the APIs are started by tests."""
    # PostgreSQL's user must reach its folder, and sockets have short names: not below pytest's own folders.
    folder = Path(tempfile.mkdtemp(prefix="headrace-production-"))
    folder.chmod(0o711)
    made = Installation(folder=folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
