"""Metrics of alerts, runs and backlogs, read from a home folder as they would be scraped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.api.metrics import Meters
from headrace.api.state_metrics import ProblemState
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Acknowledgement, Decision, Kind
from headrace.telemetry.flow_runs import recorded_run
from tests.api.served import serving
from tests.serving_fixtures import NOW, write_store

S = 1_000_000


def decision(identifier: str, kind: Kind) -> Decision:
    return Decision(id=identifier, problem="shop", kind=kind, reason="", start_us=0, end_us=NOW, champion="1")


def state(root: Path, **more: Any) -> ProblemState:
    fields: dict[str, Any] = {"service": serving(root), "queued_rows": lambda: 7, "wall_us": lambda: 90 * S}
    return ProblemState(root=root, **{**fields, **more})


def values(*states: ProblemState) -> Mapping[tuple[str, ...], float]:
    """(name, values of the labels ...) -> value."""
    meters = Meters()
    for one in states:
        meters.add_state(one)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in meters._states.collect()
        for sample in family.samples
    }


def test_alerts_and_retrains_that_wait(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "shop")
    alert = Alert(id="a1", decision_id="d1", title="drift", body="", level="warning", at_us=NOW)
    outbox.add(decision("d1", "alert"), now_us=30 * S, alert=alert)
    outbox.add(decision("d2", "retrain"), now_us=60 * S)
    found = values(state(tmp_path))
    assert found["headrace_alerts_open", "shop", "alert"] == 1
    assert found["headrace_alerts_open", "shop", "retrain"] == 1
    assert found["headrace_alerts_undelivered", "shop"] == 1
    assert found["headrace_retrains_open", "shop"] == 1
    assert found["headrace_outbox_oldest_seconds", "shop"] == 60
    outbox.acknowledge("d1", Acknowledgement(who="me", at_us=70 * S, note=""))
    assert values(state(tmp_path))["headrace_alerts_open", "shop", "alert"] == 0


def test_the_last_run_of_a_flow_and_the_last_that_completed(tmp_path: Path) -> None:
    clock = iter(range(10, 100, 10))
    with recorded_run(tmp_path, "shop", "monitor", "r1", lambda: next(clock) * S):
        pass
    with (
        pytest.raises(ZeroDivisionError),
        recorded_run(tmp_path, "shop", "monitor", "r2", lambda: next(clock) * S),
    ):
        raise ZeroDivisionError
    found = values(state(tmp_path))
    assert found["headrace_flow_last_run_timestamp_seconds", "shop", "monitor"] == 40
    assert found["headrace_flow_last_run_completed", "shop", "monitor"] == 0
    assert found["headrace_flow_last_run_seconds", "shop", "monitor"] == 10
    assert found["headrace_flow_last_success_timestamp_seconds", "shop", "monitor"] == 20


def test_what_cannot_be_read_is_named_and_the_rest_remains(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "shop.db").write_bytes(b"no database")
    found = values(state(tmp_path))
    assert found["headrace_unreadable", "shop", "outbox"] == 1
    assert found["headrace_queue_rows", "shop"] == 7


def test_age_and_pending_aliases_of_the_champion(tmp_path: Path) -> None:
    write_store(tmp_path)
    one = state(tmp_path)
    one.service.ledger.promote("1", None, "first", {}, NOW - 5 * S)
    one.service.ledger.begin_alias_write("champion", "1")
    found = values(one)
    assert found["headrace_champion_age_seconds", "shop", "1"] == 5
    assert found["headrace_ledger_aliases_pending", "shop"] == 1


def test_problems_of_one_server_share_the_family_of_a_metric(tmp_path: Path) -> None:
    first, other = state(tmp_path), state(tmp_path)
    renamed = SimpleNamespace(**{**vars(other.service), "problem": SimpleNamespace(name="other")})
    second = state(tmp_path, service=renamed)
    meters = Meters()
    meters.add_state(first)
    meters.add_state(second)
    text = meters.exposition().decode()
    assert text.count("# TYPE headrace_queue_rows gauge") == 1
    assert 'headrace_queue_rows{problem="shop"} 7.0' in text
    assert 'headrace_queue_rows{problem="other"} 7.0' in text


def test_processes_on_one_port_share_their_counters(tmp_path: Path) -> None:
    code = (
        "import os, pathlib\n"
        "from headrace.api.metrics import Meters, Metrics\n"
        "meters = Meters(pathlib.Path(os.environ['PROMETHEUS_MULTIPROC_DIR']))\n"
        "Metrics('shop', meters).count_request('/predict', 200, 0.1)\n"
        "print(meters.exposition().decode())\n"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for processes in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
        )
        assert f'headrace_requests_total{{path="/predict",problem="shop",status="200"}} {processes}.0' in done.stdout
