"""What the machine refuses is one line that says what to do."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from unittest.mock import patch

import pytest

from headrace.core.machine import machine_error
from tests.cli.command import headrace


def test_the_systems_error_names_the_file_and_the_fix() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/shop/lake")
    assert str(machine_error(error)).startswith("/home/shop/lake: no space left on device. make room")


def test_the_system_is_found_below_a_librarys_error() -> None:
    above = ValueError("could not be saved")
    above.__cause__ = OSError(errno.EROFS, os.strerror(errno.EROFS), "/home/x")
    assert "read-only file system" in str(machine_error(above))


@pytest.mark.parametrize(
    "error",
    [ValueError("[Errno 28] Error writing bytes to file. Detail: No space left on device"), RuntimeError("x")],
    ids=["text", "other"],
)
def test_a_librarys_text_may_be_all_there_is(error: Exception) -> None:
    found = machine_error(error)
    assert (found is None) == isinstance(error, RuntimeError)


def test_a_full_database_is_one() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE x (y)")
    connection.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.execute("INSERT INTO x VALUES (?)", ("z" * 100_000,))
    connection.close()
    assert "make room" in str(machine_error(raised.value))


def test_a_file_that_is_not_there_is_not_the_machines_fault() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        Path("/nowhere/at/all").read_bytes()
    assert machine_error(raised.value) is None


def test_a_command_ends_with_that_line(tmp_path: Path) -> None:
    refusal = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/home/shop")
    with patch("headrace.cli.status.show_status", side_effect=refusal):
        outcome = headrace("status", "flights", home=tmp_path)
    assert outcome.code == 1
    assert outcome.errors == ["headrace: /home/shop: no space left on device. make room on the disk, then do it again: "
                              "what was finished is kept."]  # fmt: skip
