"""A connection that closes itself: unclosed ones are warnings from Python 3.13 on, and warnings are errors here."""

from __future__ import annotations

import gc
import sqlite3
from pathlib import Path

import pytest

from headrace.core.sqlite_files import SelfClosingConnection

pytestmark = pytest.mark.slow


def test_a_dropped_connection_closes_without_a_warning(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "some.db", factory=SelfClosingConnection)
    connection.execute("CREATE TABLE x (y)")
    del connection
    gc.collect()


def test_one_that_cannot_be_opened_raises_that_only(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect(tmp_path / "no" / "such" / "folder.db", factory=SelfClosingConnection)
    gc.collect()
