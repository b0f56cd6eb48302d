"""Two homes on one database, as two machines: one promotion, one log; a dead worker's retrain is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.core.clock import DAY, SECOND
from headrace.core.errors import ConflictError
from headrace.monitor.outbox.outbox import LEASE_US, Claim, Outbox
from headrace.monitor.policy.decision import Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from headrace.prediction_log.journal import PredictionJournal
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from tests.database.test_prediction_log import ONE

_WORKER = """
import sys, time
from pathlib import Path
from headrace.monitor.outbox.outbox import Outbox
claim = Outbox(Path(sys.argv[1]), "shop", database_url=sys.argv[2]).claim(sys.argv[3], "first", now_us=0)
print(claim.token, flush=True)
sys.stdin.read()
"""


def test_a_promotion_on_one_machine_is_seen_on_the_other(tmp_path: Path, postgresql_url: str) -> None:
    one, other = (Ledger(tmp_path / name, "shop", database_url=postgresql_url) for name in "ab")
    one.promote("1", None, "first", {}, 1)
    assert other.sequence() == 1
    other.promote("2", "1", "better", {}, 2)
    with pytest.raises(ConflictError, match="the champion is version 2, not version 1"):
        one.promote("3", "1", "decided before it saw version 2", {}, 3)
    assert one.champion() == other.champion()
    assert not one.path.exists()


def test_the_retrain_of_a_killed_worker_is_taken_over_after_its_lease(tmp_path: Path, postgresql_url: str) -> None:
    first, second = (Outbox(tmp_path / name, "shop", database_url=postgresql_url) for name in "ab")
    auc = Finding(name="auc", about="quality", effect=0.06)
    decision = decide(Window(problem="shop", start_us=0, end_us=7 * DAY, champion="1", findings=(auc,), judged=20))
    first.add(decision, now_us=0)
    command = [sys.executable, "-c", _WORKER, str(tmp_path / "a"), postgresql_url, decision.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        token = int(worker.stdout.readline())
        os.kill(worker.pid, signal.SIGKILL)
    assert second.claim(decision.id, "second", now_us=SECOND) is None, "its lease still counts"
    assert second.open_retrains(SECOND) == ()
    late = LEASE_US + SECOND
    assert [entry.decision.id for entry in second.open_retrains(late)] == [decision.id]
    claim = second.claim(decision.id, "second", now_us=late)
    assert claim is not None
    assert claim.token == token + 1
    stale = Claim(decision=decision, holder="first", token=token, until_us=LEASE_US)
    with pytest.raises(ConflictError, match="claimed by second"):
        first.finish(stale, "promoted", "came back too late", now_us=late)
    assert second.finish(claim, "promoted", "done", now_us=late, version="2").outcome == "promoted"
    assert first.get(decision.id).version == "2"


def test_answers_of_two_replicas_are_in_one_log(tmp_path: Path, postgresql_url: str) -> None:
    for name in "ab":
        with PredictionJournal(tmp_path / name, "shop") as journal:
            journal.append([replace(ONE, id=name)])
        PredictionLog(tmp_path / name, "shop", database_url=postgresql_url).take_in()
    log = PredictionLog(tmp_path / "c", "shop", database_url=postgresql_url)
    assert sorted(row.id for row in log.read()) == ["a", "b"]
