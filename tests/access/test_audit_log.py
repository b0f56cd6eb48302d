"""The audit log: a chain of lines in which a change, a removal and an insertion are found, and no secret stands."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.access.audit_log import GENESIS, AuditLog
from headrace.core.errors import CorruptError

AT = 1_700_000_000_000_000


def written(root: Path, lines: int = 5, key: str = "") -> AuditLog:
    log = AuditLog(root, key)
    for number in range(lines):
        log.append("ada", "key.create", f"key {number}", at_us=AT + number, facts={"scopes": ["predict"]})
    return log


def test_lines_are_numbered_and_chained(tmp_path: Path) -> None:
    log = written(tmp_path)
    entries = list(log.entries())
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in entries] == [GENESIS, *(entry.hash for entry in entries[:-1])]
    assert log.verify() == (5, entries[-1].hash)
    assert log.verify(entries[2].hash) == (5, entries[-1].hash)
    assert entries[0].at == "2023-11-14T22:13:20.000+00:00"
    assert AuditLog(tmp_path / "empty").verify() == (0, GENESIS)


def _changed(lines: list[str]) -> list[str]:
    return [lines[0], lines[1].replace('"ada"', '"bob"'), *lines[2:]]


@pytest.mark.parametrize(
    ("attack", "line"),
    [
        (_changed, 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: lines[:2] + lines[3:], 3),
        (lambda lines: lines[:4], 5),
        (lambda lines: [], 1),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
    ],
)
def test_a_changed_chain_is_found(tmp_path: Path, attack: Callable[[list[str]], list[str]], line: int) -> None:
    log = written(tmp_path)
    lines = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join(attack(lines)))
    with pytest.raises(CorruptError, match=rf"audit\.jsonl, line {line}:"):
        log.verify()


def test_lines_that_were_removed_stay_missing_when_others_follow(tmp_path: Path) -> None:
    log = written(tmp_path)
    log.path.write_text("".join(log.path.read_text().splitlines(keepends=True)[:3]))
    log.append("ada", "key.revoke", "key 1", at_us=AT)
    with pytest.raises(CorruptError, match="line 4: is not the line that followed"):
        log.verify()


def test_a_chain_that_was_computed_anew_is_found_by_a_noted_hash_or_by_the_key(tmp_path: Path) -> None:
    noted = written(tmp_path / "a").verify()[1]
    forged = AuditLog(tmp_path / "b")
    for number in range(6):
        forged.append("bob", "key.create", f"key {number}", at_us=AT)
    with pytest.raises(CorruptError, match="no line has the hash that was noted"):
        forged.verify(noted)
    with pytest.raises(CorruptError, match="another HEADRACE_AUDIT_KEY"):
        AuditLog(tmp_path / "b", key="secret").verify()
    assert written(tmp_path / "c", key="secret").verify()[0] == 5


def test_an_unfinished_line_of_a_crash_is_cut_off(tmp_path: Path) -> None:
    log = written(tmp_path, 2)
    with log.path.open("a") as file:
        file.write('{"number": 3, "at": "20')
    log.append("ada", "key.revoke", "key 1", at_us=AT)
    assert log.verify()[0] == 3
    # Killed between the line and the head: the chain is whole.
    (tmp_path / "access" / "audit.head").write_text(json.dumps({"number": 2, "hash": list(log.entries())[1].hash}))
    assert log.verify()[0] == 3


def test_secrets_in_addresses_are_masked(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append("http://ada:pw-1@host", "settings.change", "http://host/?token=pw-2", at_us=AT,
               facts={"tracking": "http://ada:pw-3@host"})  # fmt: skip
    assert "pw-" not in log.path.read_text()


def test_many_writers_make_one_chain(tmp_path: Path) -> None:
    writers = [threading.Thread(target=written, args=(tmp_path, 10)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert AuditLog(tmp_path).verify()[0] == 40
