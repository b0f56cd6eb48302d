"""A rollout with every part real: begun by the gate, compared on labels, promoted, rolled back, reconciled."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import ConflictError, CorruptError
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.operations.retraining import RetrainReport, request_retrain, retrain
from headrace.pipeline.rollout.by_hand import begin_by_hand, next_step, promote_now, roll_back_now
from headrace.pipeline.rollout.evaluate import RolloutReport, evaluate_rollout, rollout_state
from headrace.pipeline.rollout.reconcile import reconcile_rollouts
from headrace.prediction_log.log import PredictionLog
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts
from headrace.schema import Rollout
from headrace.serving.rollout.assignment import is_canary
from tests.pipeline.shop import Shop
from tests.pipeline.turned import TURNS, context_of, live, look, wall_us
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

#: Twenty orders a day in a world of which the champion knows the opposite: few blocks decide.
RULES = Rollout(
    shadow="1d", shares=(0.5,), hold="1d", least_requests=10, block="6h", tolerance=0.0, error=0.2, deadline="60d"
)


def in_production(shop: Shop, rules: Rollout | None = RULES) -> Context:
    context = context_of(shop)
    return replace(context, problem=replace(context.problem, metric="log_loss", rollout=rules))


def retrained(context: Context) -> RetrainReport:
    decision = request_retrain(context, "a test", now_us=wall_us())
    return retrain(context, decision.id, holder="a test", now_us=wall_us)


def evaluated(context: Context) -> RolloutReport:
    return evaluate_rollout(context, now_us=wall_us())


def titles(root: Path) -> list[str]:
    return [message.alert.title for message in queued_alerts(Outbox(root, "shop"))]


@pytest.fixture(scope="module")
def in_shadow_once(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """In a world that turned fifteen days ago, a retrain has put version 2 into shadow, and three more days passed."""
    folder = tmp_path_factory.mktemp("rollout")
    problem = write_tiny_problem(folder / "problem", orders=2200, replayed_days=1, turns=TURNS, days=110)
    shop = Shop(path=problem, home=folder / "home")
    shop.finish(trials=1)
    context = replace(in_production(shop), trials=1)
    live(context, 17)
    report = retrained(context)
    assert (report.outcome, report.version) == ("in rollout", "2")
    live(context, 3)
    return shop


@pytest.fixture
def in_shadow(in_shadow_once: Shop, tmp_path: Path) -> Shop:
    shutil.copytree(in_shadow_once.home, tmp_path / "home")
    return Shop(path=in_shadow_once.path, home=tmp_path / "home")


def test_the_gate_begins_a_rollout_in_place_of_a_promotion(in_shadow: Shop) -> None:
    ledger = Ledger(in_shadow.home, "shop")
    champion, step = ledger.champion(), Rollouts(ledger).current()
    assert champion is not None
    assert step is not None
    assert (champion.version, step.version, step.phase, ledger.challenger()) == ("1", "2", "shadow", "2")
    assert "Headrace shop: version 2 is compared with the champion in production" in titles(in_shadow.home)
    # what fell due since then was predicted by both, and answered by the champion
    shadows = PredictionLog(in_shadow.home, "shop").shadows(step.at_us, 2**62, version="2")
    assert len(shadows) > 30
    answers = {row.id for row in PredictionLog(in_shadow.home, "shop").read() if row.source == "score"}
    assert {row.id.removeprefix("shadow-") for row in shadows} <= answers


def test_a_better_challenger_goes_from_shadow_over_canary_to_champion(in_shadow: Shop) -> None:
    context = in_production(in_shadow)
    dry = rollout_state(context)
    assert dry.decision is not None
    assert not dry.acted
    first = evaluated(context)
    assert first.step is not None
    assert (dry.decision.action, first.step.phase, first.step.share) == ("advance", "canary", 0.5)
    live(context, 3)
    logged = [row for row in PredictionLog(in_shadow.home, "shop").read(first.step.at_us) if row.source == "score"]
    recent = [row for row in logged if row.made_us > first.step.at_us]
    assert {row.model_version for row in recent} == {"1", "2"}
    for row in recent:
        canary = is_canary(first.step.id, list(row.join_keys.values()), 0.5)
        assert row.model_version == ("2" if canary else "1")
    for _ in range(12):
        report = evaluated(context)
        if report.acted:
            break
        live(context, 1)
    champion = Ledger(in_shadow.home, "shop").champion()
    assert champion is not None
    assert (champion.version, champion.previous) == ("2", "1")
    assert "less loss per prediction than the champion" in champion.reason
    assert [step.phase for step in report.steps] == ["shadow", "canary", "promoted"]
    assert titles(in_shadow.home)[-1] == "Headrace shop: version 2 is champion after its rollout"
    assert connect(in_shadow.tracking_uri).get_registered_model("shop").aliases["champion"] in (2, "2")
    assert evaluated(context).decision is None


def test_a_worse_challenger_is_rolled_back_and_not_tried_again(in_shadow: Shop) -> None:
    """Version 2 becomes champion by hand; version 1, whose world is gone, is its challenger."""
    context = in_production(in_shadow)
    promote_now(context, "by hand", now_us=wall_us())
    begin_by_hand(context, "1", "a test", now_us=wall_us())
    for _ in range(20):
        live(context, 1)
        report = evaluated(context)
        if report.step is not None and not report.step.open:
            break
    assert report.step is not None
    assert (report.step.phase, report.step.version) == ("rolled back", "1")
    assert "its losses are larger" in report.step.reason
    ledger = Ledger(in_shadow.home, "shop")
    assert "1" in ledger.barred()
    assert titles(in_shadow.home)[-1] == "Headrace shop: version 1 was rolled back, version 2 stays champion"
    tags = connect(in_shadow.tracking_uri).get_model_version("shop", "1").tags
    assert tags["validation_status"] == "rolled_back"
    with pytest.raises(ConflictError, match="was rolled back"):
        begin_by_hand(context, "1", "again", now_us=wall_us())


def test_steps_by_hand(in_shadow: Shop) -> None:
    context = in_production(in_shadow)
    report = next_step(context, "a person", now_us=wall_us())
    assert report.step is not None
    assert (report.step.phase, report.step.share, report.step.reason) == ("canary", 0.5, "a person")
    report = roll_back_now(context, "not today", now_us=wall_us())
    assert report.step is not None
    assert report.step.phase == "rolled back"
    report = begin_by_hand(context, "2", "again", now_us=wall_us(), force=True)
    assert report.step is not None
    assert report.step.phase == "shadow"
    next_step(context, "a person", now_us=wall_us())
    report = next_step(context, "a person", now_us=wall_us())
    assert report.champion == "2"


def test_a_challenger_that_cannot_be_served_is_not_promoted(in_shadow: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise CorruptError("the model does not predict what it predicted when it was made")

    monkeypatch.setattr("headrace.pipeline.production.rollouts.load_version", broken)
    context = in_production(in_shadow)
    with pytest.raises(Exception, match="cannot be served: the model does not predict"):
        promote_now(context, "by hand", now_us=wall_us())
    champion = Ledger(in_shadow.home, "shop").champion()
    assert champion is not None
    assert champion.version == "1"
    # and one whose rollout would begin is refused with the reason
    report = begin_by_hand(context, "2", "again", now_us=wall_us(), force=True)
    assert report.step is not None
    assert report.step.phase == "refused"


def test_a_challenger_that_fails_on_due_rows_is_rolled_back_and_they_are_predicted(
    in_shadow: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(context: Context, version: str) -> Any:
        raise CorruptError("sha256 differs")

    monkeypatch.setattr("headrace.pipeline.production.scoring.version_bundle", broken)
    before = PredictionLog(in_shadow.home, "shop").scored()
    live(in_production(in_shadow), 1)
    assert PredictionLog(in_shadow.home, "shop").scored() > before
    last = Rollouts(Ledger(in_shadow.home, "shop")).history()[-1]
    assert (last.phase, last.reason) == ("rolled back", "it cannot score due rows: sha256 differs")


def test_without_rules_a_version_is_promoted_at_once(turned: Shop) -> None:
    context = in_production(turned, None)
    look(context)
    assert retrained(context).outcome == "promoted"
    assert rollout_state(context).step is None


# -- a crash between any two steps

#: What a step calls, in order: a process may die before or after each.
MOMENTS = [
    "headrace.registry.ledger.Ledger.promote",
    "headrace.registry.aliases.mirror",
    "headrace.registry.aliases._write_tags",
    "headrace.registry.ledger.Ledger.begin_alias_write",
    "headrace.registry.ledger.Ledger.finish_alias_write",
    "headrace.monitor.outbox.outbox.Outbox.add",
]


class Killed(BaseException):
    """The process is gone: nothing catches it."""


def _dying(monkeypatch: pytest.MonkeyPatch, name: str, *, after: bool) -> Iterator[None]:
    """Let the first call of a function end the process, before or after its work."""
    path, _, attribute = name.rpartition(".")
    target = _resolved(path)
    real: Callable[..., Any] = getattr(target, attribute)

    def call(*arguments: Any, **named: Any) -> Any:
        if after:
            real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(target, attribute, call)
        yield


def _resolved(path: str) -> Any:
    import importlib

    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_crash_at_any_moment_of_a_promotion_is_reconciled(
    in_shadow: Shop, monkeypatch: pytest.MonkeyPatch, moment: str, after: bool
) -> None:
    context = in_production(in_shadow)
    for _ in _dying(monkeypatch, moment, after=after):
        with pytest.raises(Killed):
            promote_now(context, "a person", now_us=wall_us())
    ledger = Ledger(in_shadow.home, "shop")
    champion, step = ledger.champion(), Rollouts(ledger).current()
    # the ledger is never between two states: either nothing happened, or the promotion and the rollout's end did
    assert champion is not None
    assert (champion.version, step is None) in (("1", False), ("2", True))
    if champion.version == "1":
        promote_now(context, "a person", now_us=wall_us())
    reconcile_rollouts(context, now_us=wall_us())
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "2"
    aliases = connect(in_shadow.tracking_uri).get_registered_model("shop").aliases
    assert (str(aliases["champion"]), str(aliases["previous"])) == ("2", "1")
    ends = [title for title in titles(in_shadow.home) if "after its rollout" in title]
    assert len(ends) == 1
    assert [one.phase for one in Rollouts(ledger).history()] == ["shadow", "promoted"]
    assert reconcile_rollouts(context, now_us=wall_us()).nothing


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("moment", ["headrace.registry.rollouts.Rollouts.advance", *MOMENTS[1:2], MOMENTS[-1]])
def test_a_crash_at_any_moment_of_a_roll_back_is_reconciled(
    in_shadow: Shop, monkeypatch: pytest.MonkeyPatch, moment: str, after: bool
) -> None:
    context = in_production(in_shadow)
    for _ in _dying(monkeypatch, moment, after=after):
        with pytest.raises(Killed):
            roll_back_now(context, "a person", now_us=wall_us())
    rollouts = Rollouts(Ledger(in_shadow.home, "shop"))
    if rollouts.current() is not None:
        roll_back_now(context, "a person", now_us=wall_us())
    reconcile_rollouts(context, now_us=wall_us())
    assert [one.phase for one in rollouts.history()] == ["shadow", "rolled back"]
    aliases = connect(in_shadow.tracking_uri).get_registered_model("shop").aliases
    assert {name: str(version) for name, version in aliases.items()} == {"champion": "1"}
    assert len([title for title in titles(in_shadow.home) if "was rolled back" in title]) == 1
    assert reconcile_rollouts(context, now_us=wall_us()).nothing
