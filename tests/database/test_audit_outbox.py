"""A change of champion whose process is killed before or after its line in the audit log: one line in the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.access.audit_log import AuditLog
from headrace.registry import audit_lines
from headrace.registry.ledger import Ledger

#: Promotes version 2 and dies, by SIGKILL, before or after the line of the audit log is written.
_PROMOTES = """
import os, signal, sys
from pathlib import Path
from headrace.registry import audit_lines
from headrace.registry.ledger import Ledger

home, url, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
write = audit_lines.record_champion

def killed(*arguments, **named):
    if moment == "after the line":
        write(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

audit_lines.record_champion = killed
Ledger(home, "shop", database_url=url).promote("2", "1", "better", {}, 20)
"""


@pytest.mark.parametrize("moment", ["before the line", "after the line"])
def test_a_kill_between_ledger_and_audit_log_loses_no_line(tmp_path: Path, database_url: str, moment: str) -> None:
    ledger, log = Ledger(tmp_path, "shop", database_url=database_url), AuditLog(tmp_path)
    ledger.promote("1", None, "first", {}, 10)
    ended = subprocess.run([sys.executable, "-c", _PROMOTES, str(tmp_path), database_url, moment], check=False)
    assert ended.returncode == -signal.SIGKILL
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "2", "the ledger has the change"
    assert len(list(log.entries())) == (2 if moment == "after the line" else 1)
    for _ in range(2):
        ledger.write_audit_lines()
        assert [entry.facts["version"] for entry in log.entries()] == ["1", "2"]
    ledger.rollback(30, "worse")
    log.verify()
    entries = list(log.entries())
    assert [entry.action for entry in entries] == ["champion.promote", "champion.promote", "champion.rollback"]
    assert len({entry.facts["change"] for entry in entries}) == 3
    assert entries[1].at < entries[2].at, "the instant of the change, not of the line"


def test_a_log_that_could_not_be_written_gets_its_lines_later(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, log = Ledger(tmp_path, "shop", database_url=database_url), AuditLog(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(audit_lines, "author", lambda: ("user ada", 1_000_000))
        (tmp_path / "access").write_text("no folder")
        ledger.promote("1", None, "first", {}, 10)
        ledger.promote("2", "1", "better", {}, 20)
    (tmp_path / "access").unlink()
    ledger.rollback(30, "worse")
    entries = list(log.entries())
    assert [entry.facts["version"] for entry in entries] == ["1", "2", "1"]
    assert [entry.who for entry in entries[:2]] == ["user ada"] * 2
    assert entries[0].at == "1970-01-01T00:00:01.000+00:00"
