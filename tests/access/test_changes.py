"""Champions and settings in the audit log: who changed what, without secrets, and never at the cost of the change."""

from __future__ import annotations

import getpass
import logging
from pathlib import Path

import pytest

from headrace.access.audit_log import AuditLog
from headrace.access.changes import record_settings
from headrace.core.settings import Settings
from headrace.registry.ledger import Ledger


def test_promotions_and_roll_backs_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path, "shop")
    ledger.promote("1", None, "first", {}, 10)
    ledger.promote("1", None, "again", {}, 11)
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "f00")
    ledger.promote("2", "1", "better", {}, 20)
    ledger.rollback(30, "worse")
    log = AuditLog(tmp_path)
    log.verify()
    entries = list(log.entries())
    assert [(entry.action, entry.what, entry.facts["version"], entry.facts["previous"]) for entry in entries] == [
        ("champion.promote", "shop", "1", None),
        ("champion.promote", "shop", "2", "1"),
        ("champion.rollback", "shop", "1", "2"),
    ]
    user = getpass.getuser()
    assert [entry.who for entry in entries] == [f"user {user}", *[f"user {user}, flow run f00"] * 2]
    assert entries[2].facts["reason"] == "worse"


def test_a_log_that_cannot_be_written_undoes_no_promotion(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = Ledger(tmp_path, "shop")
    (tmp_path / "access").write_text("no folder")
    with caplog.at_level(logging.ERROR):
        assert ledger.promote("1", None, "first", {}, 10).version == "1"
    assert "the audit log cannot be written" in caplog.text


def test_settings_are_recorded_when_they_change(tmp_path: Path) -> None:
    def start(**changes: object) -> None:
        record_settings(Settings(home=tmp_path, _env_file=None, **changes))  # type: ignore[arg-type, call-arg]

    start()
    start()
    start(auth="keys", alert_url="slack://planted/planted/planted")
    start(auth="keys", alert_url="slack://planted/planted/other", mlflow_tracking_uri=None)
    start(auth="open")
    log = AuditLog(tmp_path)
    assert [entry.what for entry in log.entries()] == ["first start", "alert_url, auth", "alert_url, auth"]
    assert "planted" not in log.path.read_text()
    assert list(log.entries())[1].facts["settings"]["alert_url"] == "(set)"
