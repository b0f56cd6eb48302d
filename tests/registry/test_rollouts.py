"""The journal of rollouts: steps by compare-and-set, ends with a change of champion, cooldowns."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import ConflictError, NotFoundError
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts


@pytest.fixture
def ledger(tmp_path: Path, database_url: str) -> Ledger:
    ledger = Ledger(tmp_path, "shop", database_url=database_url)
    ledger.promote("1", None, "first", {}, 1)
    return ledger


def phases(rollouts: Rollouts, version: str) -> list[str]:
    return [step.phase for step in rollouts.history() if step.version == version]


def test_a_ledger_without_rollouts_has_none(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    assert (rollouts.current(), rollouts.waiting(), rollouts.history()) == (None, None, ())
    with pytest.raises(NotFoundError, match="no rollout is under way"):
        rollouts.require_current()


def test_a_rollout_goes_step_by_step_and_ends_with_the_promotion(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    step = rollouts.begin("2", champion="1", reason="passed the gate", at_us=10, metrics={"auc": 0.7})
    assert rollouts.begin("2", champion="1", reason="again", at_us=11) == step
    assert rollouts.current() == step
    assert ledger.challenger() == "2"
    step = rollouts.advance(step, "canary", reason="a day", at_us=20, share=0.05, facts={"requests": 300})
    assert (step.phase, step.share, step.facts) == ("canary", 0.05, {"requests": 300})
    ledger.promote("2", "1", "not worse", {}, 30)
    assert rollouts.current() is None
    assert phases(rollouts, "2") == ["shadow", "canary", "promoted"]
    assert rollouts.history()[-1].reason == "not worse"
    assert ledger.versions()["2"] == {"auc": 0.7}


def test_two_processes_never_take_two_steps(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    step = rollouts.begin("2", champion="1", reason="gate", at_us=10)
    rollouts.advance(step, "canary", reason="a day", at_us=20, share=0.05)
    with pytest.raises(ConflictError, match="not as it was read"):
        rollouts.advance(step, "rolled back", reason="errors", at_us=21)
    assert phases(rollouts, "2") == ["shadow", "canary"]


def test_a_version_whose_rollout_ended_meanwhile_is_not_promoted(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    step = rollouts.begin("2", champion="1", reason="gate", at_us=10)
    step = rollouts.advance(step, "canary", reason="a day", at_us=20, share=0.5)
    rollouts.advance(step, "rolled back", reason="12 of 50 requests failed", at_us=21)
    with pytest.raises(ConflictError, match=r"not as it was read.*12 of 50 requests failed"):
        ledger.promote("2", step.champion, "not worse", {}, 30, step=step)
    assert phases(rollouts, "2") == ["shadow", "canary", "rolled back"]


def test_another_champion_supersedes_the_rollout(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    step = rollouts.begin("2", champion="1", reason="gate", at_us=10)
    ledger.promote("3", "1", "by hand", {}, 20)
    assert phases(rollouts, "2") == ["shadow", "superseded"]
    with pytest.raises(ConflictError):
        rollouts.advance(step, "canary", reason="late", at_us=30, share=0.1)
    # a rollback of the champion ends one too
    rollouts.begin("4", champion="3", reason="gate", at_us=40)
    ledger.rollback(50)
    assert phases(rollouts, "4") == ["shadow", "superseded"]


def test_a_second_version_waits_and_begins_against_the_new_champion(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    rollouts.begin("2", champion="1", reason="gate", at_us=10)
    waiting = rollouts.begin("3", champion="1", reason="gate", at_us=11)
    assert waiting.phase == "waiting"
    assert rollouts.waiting() == waiting
    assert ledger.eligible() == {"1", "2", "3"}
    ledger.promote("2", "1", "not worse", {}, 20)
    assert rollouts.waiting() == waiting
    begun = rollouts.advance(waiting, "shadow", reason="its turn", at_us=21)
    assert (begun.champion, begun.phase) == ("2", "shadow")


def test_a_failed_version_is_not_tried_again_within_its_cooldown(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    step = rollouts.begin("2", champion="1", reason="gate", at_us=10)
    rollouts.advance(step, "rolled back", reason="5 of 20 requests failed", at_us=20)
    with pytest.raises(ConflictError, match=r"cooldown until.*5 of 20 requests failed"):
        rollouts.begin("2", champion="1", reason="gate", at_us=29, cooldown_us=10)
    assert rollouts.begin("2", champion="1", reason="gate", at_us=30, cooldown_us=10).phase == "shadow"


def test_a_barred_version_comes_back_by_a_person_only(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    step = rollouts.begin("2", champion="1", reason="gate", at_us=10)
    rollouts.advance(step, "rolled back", reason="its losses are larger", at_us=20, bar=True)
    assert ledger.barred() == {"2": "its losses are larger"}
    with pytest.raises(ConflictError, match=r"was rolled back \(its losses are larger\)"):
        rollouts.begin("2", champion="1", reason="gate", at_us=10_000)
    assert rollouts.begin("2", champion="1", reason="by hand", at_us=30, cooldown_us=100, force=True).phase == "shadow"
    assert ledger.barred() == {}


def test_a_refused_version_leaves_its_reason(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    rollouts.refuse("2", champion="1", reason="the model does not load", at_us=10)
    assert rollouts.current() is None
    assert rollouts.history()[0].reason == "the model does not load"
    with pytest.raises(ConflictError, match="cooldown"):
        rollouts.begin("2", champion="1", reason="gate", at_us=11, cooldown_us=10)


def test_a_rollout_needs_the_champion_it_was_compared_with(ledger: Ledger) -> None:
    rollouts = Rollouts(ledger)
    with pytest.raises(ConflictError, match="the champion is version 1, not 7"):
        rollouts.begin("2", champion="7", reason="gate", at_us=10)
