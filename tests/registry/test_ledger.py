"""The ledger: compare-and-set, rollback, barring, and races between threads and processes, on both databases."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from headrace.core.errors import ConflictError, NotFoundError
from headrace.registry.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path, database_url: str) -> Ledger:
    return Ledger(tmp_path, "flights", database_url=database_url)


def test_nothing_is_champion_at_first_and_reading_makes_no_file(ledger: Ledger) -> None:
    assert ledger.champion() is None
    assert ledger.sequence() == 0
    assert ledger.history() == ()
    assert not ledger.path.exists()


def test_first_promotion_expects_none(ledger: Ledger) -> None:
    record = ledger.promote(1, None, "beats the baseline", {"auc": 0.78}, 100)
    assert (record.version, record.previous, record.metrics, record.at_us) == ("1", None, {"auc": 0.78}, 100)
    assert ledger.champion() == record
    assert ledger.sequence() == 1


def test_promotion_against_another_champion_is_a_conflict_that_names_it(ledger: Ledger) -> None:
    ledger.promote("1", None, "first", {}, 1)
    with pytest.raises(ConflictError, match=r"champion is version 1, not none") as caught:
        ledger.promote("2", None, "late", {}, 2)
    assert caught.value.facts["champion"] == "1"
    assert ledger.sequence() == 1


def test_promoting_the_champion_again_writes_nothing(ledger: Ledger) -> None:
    first = ledger.promote("1", None, "first", {}, 1)
    assert ledger.promote("1", None, "asked again after a kill", {}, 2) == first
    assert ledger.sequence() == 1


def test_rollback_restores_the_previous_and_bars_the_other(ledger: Ledger) -> None:
    ledger.promote("1", None, "first", {"auc": 0.7}, 1)
    ledger.promote("2", "1", "better", {"auc": 0.8}, 2)
    assert ledger.previous() == "1"
    record = ledger.rollback(3, "worse in production")
    assert (record.action, record.version, record.previous) == ("rollback", "1", "2")
    assert record.metrics == {"auc": 0.7}
    assert ledger.barred() == {"2": "worse in production"}
    with pytest.raises(ConflictError, match=r"rolled back and does not come back by itself.*worse in production"):
        ledger.promote("2", "1", "the gate says yes", {}, 4)
    assert ledger.promote("2", "1", "by hand", {}, 5, force=True).version == "2"
    assert ledger.barred() == {}


def test_rollback_twice_goes_further_back_never_forward(ledger: Ledger) -> None:
    for version, expected in (("1", None), ("2", "1"), ("3", "2")):
        ledger.promote(version, expected, "better", {}, int(version))
    assert ledger.rollback(4).version == "2"
    assert ledger.rollback(5).version == "1"
    with pytest.raises(NotFoundError, match=r"no version to roll back to.*champion 1"):
        ledger.rollback(6)


def test_two_that_read_the_same_state_go_one_version_back(ledger: Ledger) -> None:
    for version, before in (("1", None), ("2", "1"), ("3", "2")):
        ledger.promote(version, before, "better", {}, 1)
    ledger.rollback(4, "drift", expected=("3", "2"))
    with pytest.raises(ConflictError, match=r"the champion is version 2, not version 3.*before it: version 1"):
        ledger.rollback(5, "by hand", expected=("3", "2"))
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "2"
    assert set(ledger.barred()) == {"3"}


def test_rollback_of_an_empty_ledger_says_so(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match="no champion yet"):
        ledger.rollback(1)


def test_metrics_are_added_later(ledger: Ledger) -> None:
    ledger.promote("1", None, "first", {"auc": 0.78}, 1)
    ledger.record_metrics("1", {"2013-05_auc": 0.774})
    champion = ledger.champion()
    assert champion is not None
    assert champion.metrics == {"auc": 0.78, "2013-05_auc": 0.774}


def test_challenger_ends_when_promoted(ledger: Ledger) -> None:
    ledger.promote("1", None, "first", {}, 1)
    ledger.set_challenger(2)
    assert ledger.challenger() == "2"
    ledger.promote("2", "1", "better", {}, 2)
    assert ledger.challenger() is None


def test_racing_threads_one_wins(ledger: Ledger) -> None:
    ledger.promote("1", None, "first", {}, 1)
    barrier, outcomes = threading.Barrier(8), []

    def promote(version: str) -> None:
        barrier.wait()
        try:
            outcomes.append(ledger.promote(version, "1", "race", {}, 2).version)
        except ConflictError:
            outcomes.append("conflict")

    threads = [threading.Thread(target=promote, args=(str(n),)) for n in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome != "conflict"]
    champion = ledger.champion()
    assert champion is not None
    assert winners == [champion.version]
    assert outcomes.count("conflict") == 7


_PROMOTER = """
import sys
from pathlib import Path
from headrace.core.errors import ConflictError
from headrace.registry.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), "flights", database_url=sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
try:
    print(ledger.promote(sys.argv[2], None, "race", {}, 1).version, flush=True)
except ConflictError:
    print("conflict", flush=True)
"""


def test_racing_processes_on_a_ledger_that_does_not_exist_yet(tmp_path: Path, database_url: str) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _PROMOTER, str(tmp_path), version, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for version in ("7", "8")
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    outcomes = [process.communicate("go\n", timeout=60)[0].strip() for process in started]
    assert sorted(outcomes)[1] == "conflict"
    champion = Ledger(tmp_path, "flights", database_url=database_url).champion()
    assert champion is not None
    assert champion.version == sorted(outcomes)[0]


def test_a_change_that_fails_inside_its_transaction_leaves_nothing(ledger: Ledger) -> None:
    ledger.promote("1", None, "first", {}, 1)
    with pytest.raises(IntegrityError):
        ledger.promote("2", "1", None, {"auc": 1.0}, 2)  # type: ignore[arg-type]
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "1"
    assert set(ledger.versions()) == {"1"}


_examples = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(1, 5), st.just("rollback")), max_size=12))
def test_any_history_agrees_with_a_plain_stack(tmp_path: Path, database_url: str, moves: list[int | str]) -> None:
    """The obvious twin: a list of versions and a set of barred ones."""
    ledger = Ledger(tmp_path, f"p{next(_examples)}", database_url=database_url)
    stack: list[str] = []
    barred: set[str] = set()
    for at, move in enumerate(moves):
        if move == "rollback":
            restorable = [v for v in stack[:-1] if v not in barred and v != stack[-1]]
            if not restorable:
                with pytest.raises(NotFoundError):
                    ledger.rollback(at)
                continue
            barred.add(stack[-1])
            while stack[-1] != restorable[-1]:
                stack.pop()
            ledger.rollback(at)
        else:
            version, current = str(move), stack[-1] if stack else None
            if version == current:
                ledger.promote(version, current, "r", {}, at)
            elif version in barred:
                with pytest.raises(ConflictError):
                    ledger.promote(version, current, "r", {}, at)
            else:
                ledger.promote(version, current, "r", {}, at)
                stack.append(version)
        champion = ledger.champion()
        assert (champion.version if champion else None) == (stack[-1] if stack else None)
        assert set(ledger.barred()) == barred
