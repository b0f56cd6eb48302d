"""Retention: old predictions and delivered alerts go; what something still reads stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.core.clock import DAY, WEEK
from headrace.core.replicas import read_replicas, write_replicas
from headrace.lake.store import Lake
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox import deliveries
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.production import retention
from headrace.pipeline.production.retention import plan_removal, protected_from_us, remove
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.schema import Monitoring
from tests.database.make_home import prediction

PROBLEM: Any = SimpleNamespace(name="p", monitoring=Monitoring(window="7d"), label_expression=None)
CLOCK = 365 * DAY


def fill(root: Path) -> None:
    """A prediction a day for a year: of version 1, then of version 2, the champion."""
    Lake(root, "p").advance_clock(CLOCK)
    Ledger(root, "p").promote("1", None, "first", {}, 0)
    Ledger(root, "p").promote("2", "1", "better", {}, 200 * DAY)
    rows = [replace(prediction(day), id=f"{day:03}", model_version="1" if day < 200 else "2") for day in range(365)]
    rows = [replace(row, source="score" if number % 2 else "api") for number, row in enumerate(rows)]
    with PredictionLog(root, "p") as log:
        log.append(rows)
    write_replicas(root / "predictions" / "p.scored.json", {"until_us": CLOCK, "rows": 182})


def days(root: Path) -> list[int]:
    with PredictionLog(root, "p") as log:
        return [int(row.id) for row in log.read()]


def test_old_predictions_go_and_the_newest_of_eligible_versions_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "NEWEST_KEPT", 10)
    fill(tmp_path)
    removal = plan_removal(tmp_path, PROBLEM, predictions_us=100 * DAY, alerts_us=None, now_us=0)
    assert days(tmp_path) == list(range(365))
    remove(tmp_path, PROBLEM, removal)
    left = [*range(190, 200), *range(265, 365)]
    assert days(tmp_path) == left
    assert (removal.predictions, removal.kept_versions) == (365 - len(left), ("1", "2"))
    with PredictionLog(tmp_path, "p") as log:
        assert read_replicas(tmp_path / "predictions" / "p.scored.json")["rows"] == log.scored()
    again = plan_removal(tmp_path, PROBLEM, predictions_us=100 * DAY, alerts_us=None, now_us=0)
    assert (again.predictions, again.scored) == (0, 0)


def test_what_monitoring_compares_stays_whatever_the_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "NEWEST_KEPT", 1)
    fill(tmp_path)
    removal = plan_removal(tmp_path, PROBLEM, predictions_us=DAY, alerts_us=None, now_us=0)
    assert removal.before_us == protected_from_us(PROBLEM, CLOCK) == CLOCK - 7 * WEEK
    remove(tmp_path, PROBLEM, removal)
    assert days(tmp_path) == [199, *range(365 - 49, 365)]


@pytest.mark.parametrize("newest", [0, 3, 1000])
def test_counted_is_what_is_removed_on_both_databases(tmp_path: Path, database_url: str, newest: int) -> None:
    rows = [replace(prediction(day), id=str(day), model_version=str(day % 3)) for day in range(40)]
    with PredictionLog(tmp_path, "p", database_url=database_url) as log:
        log.append(rows)
        counted = log.count_removable(30 * DAY, ("0", "1"), newest)
        assert log.remove(30 * DAY, ("0", "1"), newest) == counted[0]
        log.vacuum()
        newest_of = {version: [day for day in range(40) if day % 3 == version][::-1][:newest] for version in (0, 1)}
        left = [day for day in range(40) if day >= 30 or day in newest_of.get(day % 3, ())]
        assert sorted(int(row.id) for row in log.read()) == left


def test_delivered_alerts_go_with_their_deliveries(tmp_path: Path, database_url: str) -> None:
    outbox = Outbox(tmp_path, "p", database_url=database_url)
    with outbox.write() as connection:
        for number in range(4):
            deliveries.add(connection, Alert(id=str(number), decision_id="d", title="", body=""), number)
        for number in (0, 1, 3):
            deliveries.mark_received(connection, str(number), "mail", 9)
            deliveries.record_attempt(connection, str(number), None, 9)
    assert outbox.count_delivered(3) == outbox.remove_delivered(3) == 2
    assert [one.alert.id for one in queued_alerts(outbox)] == ["2", "3"]
    with outbox.read() as connection:
        assert not deliveries.was_received(connection, "0", "mail")
        assert deliveries.was_received(connection, "3", "mail")
