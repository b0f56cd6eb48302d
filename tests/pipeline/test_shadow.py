"""A shadow is refitted when due, compared on what the champion answered, and promoted when only it sees a change."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from headrace.core.clock import DAY, WEEK, floor_to_tick
from headrace.core.files import read_json
from headrace.evaluate.metrics import METRICS
from headrace.lake.store import Lake
from headrace.models.bundle import LABEL, PREDICTION
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.current_window import current_window
from headrace.pipeline.monitoring.monitor_report import MonitorReport
from headrace.pipeline.monitoring.shadow_comparison import shadow_predictions, worth_of_refresh
from headrace.pipeline.operations.release import promote_by_hand
from headrace.pipeline.operations.retraining import RetrainReport, retrain
from headrace.pipeline.operations.shadow import ShadowReport, refit_shadow
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.shadows import all_shadows, read_shadows, readable
from headrace.pipeline.stage import StageReport
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.schema import Policy
from headrace.serving.reports import report_file
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.spine.build import build_spine
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, wall_us, write_channels

pytestmark = pytest.mark.slow

_WEEKS = 6


@dataclass(frozen=True, kw_only=True)
class Lived:
    """A shop after some weeks of production, and what was decided in them. before: its home at the last decision."""

    shop: Shop
    reports: tuple[MonitorReport, ...]
    shadows: tuple[ShadowReport, ...]
    before: Path

    @property
    def last(self) -> MonitorReport:
        return self.reports[-1]


def _live(folder: Path, *, turns: bool) -> Lived:
    """Weeks of production, each looked at and followed by a refit, until a retrain is decided."""
    shop = Shop(path=write_channels(folder / "problem", turns=turns), home=folder / "home")
    shop.finish()
    reports: list[MonitorReport] = []
    shadows: list[ShadowReport] = []
    for _ in range(_WEEKS):
        context = context_of(shop)
        live(context, 1)
        reports.append(look(context))
        if reports[-1].retrain_is_open:
            break
        shadows.append(refit_shadow(context))
    return Lived(shop=shop, reports=tuple(reports), shadows=tuple(shadows), before=folder / "home")


@pytest.fixture(scope="module")
def turned_channels(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """A world in which only the worth of a refresh shows the change. Read only."""
    return _live(tmp_path_factory.mktemp("channels"), turns=True)


@pytest.fixture
def decided(turned_channels: Lived, tmp_path: Path) -> Shop:
    """That shop when the retrain is decided, to change."""
    shutil.copytree(turned_channels.before, tmp_path / "home")
    return Shop(path=turned_channels.shop.path, home=tmp_path / "home")


def _promote(shop: Shop, decision: str) -> RetrainReport:
    return retrain(context_of(shop), decision, holder="a test", now_us=wall_us)


def test_nothing_but_the_worth_of_a_refresh_sees_the_change(turned_channels: Lived) -> None:
    *earlier, last = turned_channels.reports
    assert {report.decision.kind for report in earlier} <= {"nothing", "alert"}
    assert not any("worth" in report.decision.topics for report in earlier)
    assert all(finding.about != "quality" for report in turned_channels.reports for finding in report.decision.drifted)
    assert last.decision.kind == "retrain"
    assert "worth" in last.decision.topics
    assert last.decision.worth is not None
    assert last.decision.worth.low > last.decision.worth.required
    assert last.decision.shadow_us in {report.shadow.fitted_us for report in turned_channels.shadows if report.shadow}
    assert any(row["what"] == "gain of a refresh" and row["drifted"] for row in last.rows())
    assert last.evidence is not None
    assert last.evidence.estimates is not None
    disagreement = last.evidence.estimates.disagreement
    assert disagreement is not None
    assert disagreement.mean > 0
    assert disagreement.reference is not None
    assert disagreement.reference > 0
    assert any(text.startswith("Champion and shadow differ by ") for text in last.decision.impact)


def test_the_shadow_that_won_is_promoted_as_it_is(decided: Shop, turned_channels: Lived) -> None:
    context, decision = context_of(decided), turned_channels.last.decision
    studies = decided.studies()
    shadow = next(one for one in read_shadows(context, "1") if one.fitted_us == decision.shadow_us)
    before = shadow.bundle(context)
    report = _promote(decided, decision.id)
    assert (report.outcome, report.version) == ("promoted", "2")
    record = Ledger(decided.home, "shop").champion()
    assert record is not None
    bundle = champion_bundle(context, record)
    assert (record.version, record.at_us) == ("2", decision.end_us)
    assert "a refresh is worth it" in record.reason
    assert bundle.windows["trained_until_us"] == decision.shadow_us
    assert bundle.facts == before.facts
    assert len(decided.studies()) == len(studies) + 1  # its run, without trials
    assert "Nothing: the recipe is that of an earlier version" in report_file(decided.home, "shop", "2").read_text()
    gates = [read_json(path) for path in (decided.home / "stages" / "shop" / "promote").glob("*/gate.json")]
    assert decision.worth is not None
    (gate,) = [one for one in gates if one["metric"] == "loss of log_loss"]
    assert gate["difference"] == pytest.approx(decision.worth.gain)
    titles = [message.alert.title for message in queued_alerts(Outbox(decided.home, "shop"))]
    assert titles[-2:] == ["Headrace shop: retraining", "Headrace shop: version 2 is champion"]
    assert not Outbox(decided.home, "shop").open_retrains(wall_us())


def test_a_refit_at_the_decision_is_promoted_where_the_policy_wants_the_newest_rows(
    decided: Shop, turned_channels: Lived
) -> None:
    asked = turned_channels.last.decision
    decision = replace(asked, id="5" * 16, shadow_us=asked.end_us)
    outbox = Outbox(decided.home, "shop")
    announce(outbox, decision, now_us=wall_us())
    report = _promote(decided, decision.id)
    assert (report.outcome, report.version) == ("promoted", "2")
    record = Ledger(decided.home, "shop").champion()
    assert record is not None
    assert champion_bundle(context_of(decided), record).windows["trained_until_us"] == asked.end_us


def test_a_worse_champion_is_rolled_back_by_the_policy(decided: Shop, turned_channels: Lived) -> None:
    """The version before the change is promoted by hand; its predecessor has learnt the change."""
    _promote(decided, turned_channels.last.decision.id)
    plain = context_of(decided)
    context = replace(plain, problem=replace(plain.problem, policy=Policy(rollback=True, worth=None, quality=False)))
    promote_by_hand(context, "1", "by a test")
    for _ in range(4):
        live(context, 1)
        decision = look(context).decision
        if decision.kind == "retrain":
            break
    found = (decision.kind, decision.rollback_to, decision.champion)
    assert found == ("retrain", "2", "1"), (decision.reason, decision.predecessor, decision.predecessor_worth)
    assert "worse than its predecessor, version 2" in decision.reason
    result = retrain(context, decision.id, holder="a test", now_us=wall_us)
    assert (result.outcome, result.version) == ("promoted", "2")
    ledger = Ledger(decided.home, "shop")
    champion = ledger.champion()
    assert champion is not None
    assert champion.version == "2"
    assert "1" in ledger.barred()
    titles = [message.alert.title for message in queued_alerts(Outbox(decided.home, "shop"))]
    assert titles[-2:] == ["Headrace shop: back to version 2", "Headrace shop: version 2 is champion"]


def test_what_follows_is_predicted_better(decided: Shop, turned_channels: Lived) -> None:
    before = read_shadows(context_of(decided), "1")
    _promote(decided, turned_channels.last.decision.id)
    context = context_of(decided)
    live(context, 1)
    clock = Lake(decided.home, "shop").clock()
    assert clock is not None
    spine = build_spine(
        context.problem,
        Lake(decided.home, "shop").snapshot(),
        start_us=clock - WEEK,
        end_us=clock,
        now_us=clock + WEEK,
        engine=LocalEngine(),
    )
    window = current_window(context, "2", {}, clock - WEEK, clock, clock)
    label = window.table[LABEL].to_numpy().astype(float)
    mature = np.isfinite(label)
    assert spine.num_rows == window.table.num_rows
    assert METRICS["log_loss"].value(label[mature], window.table[PREDICTION].to_numpy()[mature]) < 0.68
    assert refit_shadow(context).new  # the next comparison is with the new champion
    assert {one.version for one in all_shadows(context)} == {"2"}, "those of its predecessor are retired"
    assert not any((decided.home / name).exists() for one in before for name in one.outputs)
    champion = Ledger(decided.home, "shop").champion()
    assert champion is not None
    assert champion_bundle(context, champion).facts, "the shadow that became champion is in the registry"


def test_a_retrain_that_is_woken_twice_promotes_once(decided: Shop, turned_channels: Lived) -> None:
    first = _promote(decided, turned_channels.last.decision.id)
    second = _promote(decided, turned_channels.last.decision.id)
    assert (first.outcome, second.outcome) == ("promoted", "not ours")
    assert decided.versions() == ["1", "2"]


def test_a_promotion_that_was_killed_is_finished(decided: Shop, turned_channels: Lived) -> None:
    """Killed after each stage: what was done stays, and the same shadow becomes champion."""
    decision = turned_channels.last.decision

    def killed_after(number: int) -> None:
        done = 0

        def execute(name: str, run: object) -> StageReport:
            nonlocal done
            if done == number:
                raise KeyboardInterrupt
            done += 1
            return run()  # type: ignore[operator, no-any-return]

        with pytest.raises(KeyboardInterrupt):
            retrain(context_of(decided), decision.id, holder="killed", now_us=wall_us, execute=execute)  # type: ignore[arg-type]

    for number in (2, 8, 9, 11):
        killed_after(number)
    assert _promote(decided, decision.id).outcome == "promoted"
    assert decided.versions() == ["1", "2"]


def test_another_champion_since_the_decision_is_left_in_place(decided: Shop, turned_channels: Lived) -> None:
    clock = Lake(decided.home, "shop").clock()
    assert clock is not None
    Ledger(decided.home, "shop").promote("9", "1", "by a test", {}, clock + DAY, force=True)
    assert _promote(decided, turned_channels.last.decision.id).outcome == "superseded"


def test_a_world_that_stands_never_retrains(tmp_path: Path) -> None:
    lived = _live(tmp_path, turns=False)
    assert len(lived.reports) == _WEEKS
    assert "retrain" not in {report.decision.kind for report in lived.reports}
    worth = lived.last.decision.worth
    assert worth is not None
    assert worth.verdict != "worth it"
    assert worth.days >= 21


def test_a_shadow_is_refitted_once_when_it_is_due(turned_channels: Lived, decided: Shop) -> None:
    context = context_of(decided)
    assert all(report.new for report in turned_channels.shadows)
    shadows = read_shadows(context, "1")
    assert [one.fitted_us % WEEK for one in shadows] == [0] * len(shadows)
    assert all(np.diff([one.rows for one in shadows]) > 0)
    again = refit_shadow(context)
    clock = Lake(decided.home, "shop").clock()
    assert clock is not None
    assert again.shadow is not None
    assert again.shadow.fitted_us == floor_to_tick(clock, WEEK)
    assert not refit_shadow(context).new


def test_a_damaged_shadow_is_left_out_and_made_again(decided: Shop) -> None:
    context = context_of(decided)
    refit_shadow(context)
    newest = read_shadows(context, "1")[-1]
    model = next((decided.home / newest.folder / "model").iterdir())
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    _, notes = readable(context, read_shadows(context, "1"))
    assert len(notes) == 1
    assert "sha256 differs" in notes[0]
    assert refit_shadow(context).new
    assert not readable(context, read_shadows(context, "1"))[1]


def test_a_shadow_sees_what_was_logged_and_no_row_it_learnt_from(decided: Shop) -> None:
    """The twin: row by row, with the bundle that was newest at its cutoff."""
    context = context_of(decided)
    clock = Lake(decided.home, "shop").clock()
    assert clock is not None
    fitted, _ = readable(context, read_shadows(context, "1"))
    kinds = {item.slug: item.kind for item in fitted[0][1].definitions}
    window = current_window(context, "1", kinds, fitted[0][0].fitted_us - 3 * DAY, clock, clock)
    found = shadow_predictions(fitted, window)
    for row in range(0, window.table.num_rows, 60):
        before = [bundle for shadow, bundle in fitted if shadow.fitted_us <= window.cutoffs_us[row]]
        expected = before[-1].predict(window.table.slice(row, 1))[0] if before else np.nan
        np.testing.assert_allclose(found[row], expected)


def test_without_a_shadow_or_a_wish_there_is_no_evidence(decided: Shop) -> None:
    context = context_of(decided)
    clock = Lake(decided.home, "shop").clock()
    assert clock is not None
    unwatched = replace(context, problem=replace(context.problem, policy=replace(context.problem.policy, worth=None)))
    assert worth_of_refresh(unwatched, "1", end_us=clock, now_us=clock) == (None, ())
    assert "does not measure" in refit_shadow(unwatched).reason
    assert worth_of_refresh(context, "99", end_us=clock, now_us=clock) == (None, ())
    with PredictionLog(decided.home, "shop") as log:
        assert len(log) > 0


def test_without_a_champion_nothing_is_due(decided: Shop, tmp_path: Path) -> None:
    fresh: Context = context_of(Shop(path=decided.path, home=tmp_path / "fresh"))
    assert refit_shadow(fresh).reason == "there is no champion yet"
