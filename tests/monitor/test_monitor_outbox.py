"""The outbox: decisions once, claims by one, leases that end, outcomes that stay; between threads and processes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headrace.core.clock import DAY, SECOND
from headrace.core.errors import ConflictError, NotFoundError
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.lease import renewed
from headrace.monitor.outbox.message import decision_alert, outcome_alert
from headrace.monitor.outbox.outbox import MAX_ATTEMPTS, Claim, Outbox
from headrace.monitor.policy.decision import Decision, PastDecision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide, escalation

AUC = Finding(name="auc", about="quality", effect=0.06)


def retrain(day: int = 7, champion: str = "1") -> Decision:
    window = Window(problem="flights", start_us=0, end_us=day * DAY, champion=champion, findings=(AUC,), judged=20)
    decision = decide(window)
    assert decision.kind == "retrain"
    return decision


@pytest.fixture
def outbox(tmp_path: Path, database_url: str) -> Outbox:
    return Outbox(tmp_path, "flights", database_url=database_url)


def claimed(outbox: Outbox, decision: Decision, holder: str = "a", now_us: int = 0) -> Claim:
    claim = outbox.claim(decision.id, holder, now_us=now_us, lease_us=100)
    assert claim is not None
    return claim


def test_reading_an_empty_outbox_makes_no_file(outbox: Outbox) -> None:
    assert outbox.history() == ()
    assert outbox.open_retrains(0) == ()
    assert queued_alerts(outbox) == ()
    assert not outbox.path.exists()
    with pytest.raises(NotFoundError, match="no decision 'x'"):
        outbox.get("x")


def test_a_decision_is_put_once_and_the_first_one_stands(outbox: Outbox) -> None:
    decision = retrain()
    first = outbox.add(decision, now_us=1, alert=decision_alert(decision))
    other = Decision(**{**decision.__dict__, "reason": "looked at again, later"})
    assert outbox.add(other, now_us=2, alert=decision_alert(other)) == first
    assert [entry.decision for entry in outbox.history()] == [decision]
    assert [message.alert.id for message in queued_alerts(outbox)] == [f"{decision.id}:retrain"]


def test_only_one_is_at_it_and_what_is_finished_stays(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    assert [entry.decision.id for entry in outbox.open_retrains(0)] == [decision.id]
    claim = claimed(outbox, decision)
    assert outbox.claim(decision.id, "b", now_us=99) is None
    assert outbox.open_retrains(99) == ()
    entry = outbox.finish(claim, "promoted", "better", now_us=50, version="2")
    assert (entry.outcome, entry.version, entry.finished_us) == ("promoted", "2", 50)
    assert outbox.finish(claim, "failed", "asked again", now_us=60) == entry
    assert outbox.claim(decision.id, "b", now_us=1000) is None
    assert outbox.open_retrains(1000) == ()


def test_alerts_and_nothings_are_never_owed_or_claimed(outbox: Outbox) -> None:
    quiet = decide(Window(problem="flights", start_us=0, end_us=1, champion="1"))
    outbox.add(quiet, now_us=0, alert=decision_alert(quiet))
    assert quiet.kind == "nothing"
    assert outbox.open_retrains(1) == ()
    assert outbox.claim(quiet.id, "a", now_us=0) is None
    assert queued_alerts(outbox) == ()


def test_a_killed_holder_loses_its_claim_and_may_not_finish_what_another_does(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    killed = claimed(outbox, decision)
    assert [entry.attempts for entry in outbox.open_retrains(100)] == [1]
    second = claimed(outbox, decision, "b", now_us=100)
    with pytest.raises(ConflictError, match=r"this claim was lost.*claimed by b"):
        outbox.finish(killed, "promoted", "too late", now_us=101)
    with pytest.raises(ConflictError):
        outbox.renew(killed, now_us=101)
    assert outbox.finish(second, "refused", "worse", now_us=102).outcome == "refused"
    with pytest.raises(ConflictError, match="finished: refused"):
        outbox.renew(second, now_us=103)


def test_a_lease_that_ran_out_is_ours_while_nobody_took_it(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    claim = claimed(outbox, decision)
    assert outbox.renew(claim, now_us=500, lease_us=100).until_us == 600
    assert outbox.claim(decision.id, "b", now_us=599) is None
    assert outbox.finish(claim, "promoted", "slow", now_us=9999).outcome == "promoted"


def test_the_same_holder_takes_its_own_claim_again(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    first, again = claimed(outbox, decision), claimed(outbox, decision)
    assert (first.token, again.token) == (1, 2)
    with pytest.raises(ConflictError):
        outbox.finish(first, "promoted", "", now_us=1)


def test_a_claim_given_back_is_owed_at_once_with_its_error(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    outbox.release(claimed(outbox, decision), "MLflow was away", now_us=10)
    (entry,) = outbox.open_retrains(10)
    assert entry.last_error == "MLflow was away"


def test_what_never_finishes_is_given_up(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    for attempt in range(MAX_ATTEMPTS):
        claimed(outbox, decision, now_us=attempt * 100)
    assert outbox.claim(decision.id, "a", now_us=10_000) is None
    entry = outbox.get(decision.id)
    assert (entry.outcome, entry.outcome_reason) == ("failed", "begun 20 times, never finished (last error: unknown)")


def test_an_outcome_its_message_and_an_escalation_are_one_step(outbox: Outbox) -> None:
    decisions = [retrain(7), retrain(21)]
    for decision in decisions:
        outbox.add(decision, now_us=0)
    outbox.finish(claimed(outbox, decisions[0]), "refused", "worse by 0.01", now_us=1)
    claim = claimed(outbox, decisions[1])
    before = [entry for entry in outbox.history() if entry.decision.id != decisions[1].id]
    told = escalation(
        decisions[1], [*before, PastDecision(decision=decisions[1], outcome="refused", outcome_reason="worse")]
    )
    assert told is not None
    message, alarm = outcome_alert(decisions[1], "refused", "worse by 0.02", at_us=1), decision_alert(told)
    assert alarm is not None
    outbox.finish(claim, "refused", "worse by 0.02", now_us=2, alerts=(message, alarm), follow_up=told)
    assert [one.alert.level for one in queued_alerts(outbox)] == ["warning", "failure"]
    assert [entry.decision.escalated for entry in outbox.history()].count(True) == 1
    assert [entry.decision.kind for entry in outbox.history()].count("alert") == 1


def test_the_heartbeat_keeps_a_short_lease(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    clock = iter(range(1000, 10**9, 1000))
    beaten = threading.Event()

    def now_us() -> int:
        at = next(clock)
        if at >= 3000:
            beaten.set()
        return at

    claim = outbox.claim(decision.id, "a", now_us=0, lease_us=SECOND // 50)
    assert claim is not None
    with renewed(outbox, claim, now_us, lease_us=SECOND // 50):
        assert beaten.wait(30)
    until_us = outbox.get(decision.id).until_us
    assert until_us is not None
    assert until_us > claim.until_us


_EVENT = """
import json, sys
from pathlib import Path
from headrace.monitor.outbox.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), "flights", database_url=sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
claim = outbox.claim(sys.argv[2], sys.argv[3], now_us=10)
if claim is not None:
    outbox.finish(claim, "promoted", f"done by {sys.argv[3]}", now_us=20, version="2")
print(json.dumps(claim is not None), flush=True)
"""


def test_ten_events_in_ten_processes_make_one_retrain(outbox: Outbox, tmp_path: Path, database_url: str) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _EVENT, str(tmp_path), decision.id, f"run-{number}", database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(10)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    effective = [json.loads(process.communicate("go\n", timeout=60)[0]) for process in started]
    assert effective.count(True) == 1
    entry = outbox.get(decision.id)
    assert (entry.attempts, entry.outcome_reason) == (1, f"done by run-{effective.index(True)}")


def test_racing_threads_put_one_decision_into_an_outbox_that_is_not_there_yet(outbox: Outbox) -> None:
    barrier, decision, entries = threading.Barrier(8), retrain(), []

    def add(number: int) -> None:
        barrier.wait()
        entries.append(outbox.add(decision, now_us=number, alert=decision_alert(decision)))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entries) == 8
    assert len({entry.put_us for entry in entries}) == 1
    assert len(queued_alerts(outbox)) == 1


def test_a_lease_of_before_the_wall_clock_was_set_back_holds_nobody_up(outbox: Outbox) -> None:
    decision = retrain()
    outbox.add(decision, now_us=0)
    ahead = 365 * DAY
    lost = outbox.claim(decision.id, "killed", now_us=ahead)
    assert lost is not None
    assert not outbox.open_retrains(ahead)
    assert not outbox.open_retrains(ahead - 30 * SECOND)  # a clock that is corrected by seconds ends no lease
    assert [entry.decision.id for entry in outbox.open_retrains(0)] == [decision.id]
    claim = outbox.claim(decision.id, "b", now_us=0)
    assert claim is not None
    with pytest.raises(ConflictError):  # should it live after all
        outbox.finish(lost, "promoted", "late", now_us=1)
    outbox.finish(claim, "promoted", "done", now_us=1)


def test_beats_end_quietly_where_the_outbox_is_lost(tmp_path: Path) -> None:
    outbox, decision = Outbox(tmp_path, "flights", database_url=""), retrain()
    outbox.add(decision, now_us=0)
    claim = outbox.claim(decision.id, "a", now_us=0, lease_us=SECOND // 50)
    assert claim is not None
    with renewed(outbox, claim, lambda: 0, lease_us=SECOND // 50):
        (beats,) = [thread for thread in threading.enumerate() if thread.name == f"lease-{decision.id}"]
        outbox.path.write_bytes(b"{}")
        beats.join(timeout=60)  # an error in a thread is a warning, and warnings are errors
        assert not beats.is_alive()
