"""A retrain that is owed: done once whoever else is woken, promoted or refused with its reason, and told to people."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from headrace.core.clock import DAY
from headrace.core.errors import DataError, NotFoundError, UnavailableError
from headrace.core.files import read_json
from headrace.evaluate.gate import GateDecision, decide
from headrace.evaluate.metrics import METRICS
from headrace.lake.store import Lake
from headrace.monitor.alerts.delivery import queued_alerts
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.catalogue import RETRAIN_STAGES
from headrace.pipeline.operations.retraining import RetrainReport, request_retrain, retrain
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.definitions import read_definitions
from headrace.pipeline.stage import StageReport
from headrace.pipeline.stages import promote
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.walker import PipelineRun
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record
from headrace.schema import Policy
from headrace.store.materialise import online_is_empty
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, live, look, wall_us

pytestmark = pytest.mark.slow


def done(shop: Shop, decision: str, holder: str = "a test") -> RetrainReport:
    return retrain(context_of(shop), decision, holder=holder, now_us=wall_us)


def titles(shop: Shop) -> list[str]:
    return [message.alert.title for message in queued_alerts(Outbox(shop.home, "shop"))]


def test_the_stages_are_those_of_the_main_job_without_its_replay() -> None:
    names = [stage.name for stage in RETRAIN_STAGES]
    assert "replay" not in names
    assert names[0] == "ingest"
    assert names.index("materialise") < names.index("promote")
    assert all(
        {needed.name for needed in stage.needs} <= set(names[:place]) for place, stage in enumerate(RETRAIN_STAGES)
    )


def test_a_better_challenger_is_promoted_once_however_often_it_is_woken(turned: Shop) -> None:
    decision = look(context_of(turned)).decision
    reports: list[RetrainReport] = []
    threads = [
        threading.Thread(target=lambda number=number: reports.append(done(turned, decision.id, f"holder {number}")))
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcomes = sorted(report.outcome for report in reports)
    assert outcomes == ["not ours"] * 9 + ["promoted"]
    champion = Ledger(turned.home, "shop").champion()
    assert champion is not None
    assert champion.version == "2"
    assert "refresh within the margin" in champion.reason  # left to itself, the search here takes another family
    bundles = [champion_bundle(context_of(turned), one) for one in Ledger(turned.home, "shop").history()]
    assert len({(one.family, one.service) for one in bundles}) == 1
    assert turned.versions() == ["1", "2"]
    assert not online_is_empty(turned.home, context_of(turned).problem)  # what it reads is there
    assert not Outbox(turned.home, "shop").open_retrains(wall_us())
    assert titles(turned)[-2:] == ["Headrace shop: retraining", "Headrace shop: version 2 is champion"]
    live(context_of(turned), 1)
    assert look(context_of(turned)).decision.champion == "2"


def test_a_challenger_that_is_not_better_is_refused_and_people_are_asked_in_the_end(
    standing: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(standing)
    monkeypatch.setattr(promote, "compare_on_gate", lambda *_: _worse())
    first = done(standing, request_retrain(context, "a whim", now_us=wall_us()).id)
    live(context, 1)
    second = done(standing, request_retrain(context, "another whim", now_us=wall_us()).id)
    assert (first.outcome, second.outcome) == ("refused", "refused")
    assert "worse than the champion" in second.reason
    assert (first.escalated, second.escalated) == (False, True)
    champion = Ledger(standing.home, "shop").champion()
    assert champion is not None
    assert champion.version == "1"
    assert "retraining does not help" in titles(standing)[-1]


def test_a_policy_without_a_gate_promotes_what_the_gate_would_refuse(
    standing: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(standing)
    live(context, 1)
    monkeypatch.setattr(promote, "compare_on_gate", lambda *_: _worse())
    ungated = replace(context, problem=replace(context.problem, policy=Policy(gate=False)))
    wanted = request_retrain(ungated, "a whim", now_us=wall_us())
    report = retrain(ungated, wanted.id, holder="a test", now_us=wall_us)
    assert report.outcome == "promoted"
    assert "without a gate" in report.reason
    assert "worse than the champion" in report.reason, "what the gate found is recorded"
    assert _champion(standing).version == report.version == "2"


def test_a_retrain_keeps_the_features_and_family_of_the_champion_unless_it_is_asked_to_choose(
    standing: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(standing)
    until = Lake(standing.home, "shop").clock()
    before = champion_bundle(context, _champion(standing))
    refresh = replace(context, until_us=until, recipe_of="1")
    kept = PipelineRun(refresh, RETRAIN_STAGES)
    monkeypatch.setattr("headrace.pipeline.stages.select.select", _never)
    assert kept.output(SELECT).service == before.service
    assert read_definitions(kept.folder(SELECT) / "definitions.json") == before.definitions
    tried = [trial["config"] for trial in read_json(kept.folder(SEARCH) / "trials.json")]
    assert {config["family"] for config in tried} == {before.family}
    assert tried[0] == before.config
    fewer = replace(context.problem, lookbacks=("1d",))  # the declaration makes them no longer
    for other in (replace(refresh, recipe_of=None), replace(refresh, recipe_of="99"), replace(refresh, problem=fewer)):
        with pytest.raises(AssertionError, match="selected"):
            PipelineRun(other, RETRAIN_STAGES).run_stage("select")


def _never(*_: object, **__: object) -> None:
    raise AssertionError("selected")


def _champion(shop: Shop) -> Record:
    champion = Ledger(shop.home, "shop").champion()
    assert champion is not None
    return champion


def test_a_wish_for_other_features_is_a_decision_of_its_own(standing: Shop) -> None:
    context = context_of(standing)
    plain = request_retrain(context, "a whim", now_us=wall_us())
    anew = request_retrain(context, "a whim", now_us=wall_us(), reselect=True)
    assert plain.id != anew.id
    read = Outbox(standing.home, "shop").get(anew.id).decision
    assert (plain.reselect, read.reselect) == (False, True)


def _worse() -> GateDecision:
    """The gate's verdict on a challenger with predictions that say nothing."""
    label = np.arange(200) % 2.0
    cutoffs = np.arange(200) * DAY // 20
    return decide(METRICS["auc"], label, label[::-1] * 0, label, cutoffs, margin=0.002, baseline=0.5)


def test_a_challenger_that_cannot_be_compared_is_no_refusal(standing: Shop) -> None:
    """The day after a training few rows are left that neither model learnt from: no word on retraining."""
    context = context_of(standing)
    reports = []
    for whim in ("a whim", "another whim"):
        live(context, 1)
        reports.append(done(standing, request_retrain(context, whim, now_us=wall_us()).id))
    assert [report.outcome for report in reports] == ["not comparable"] * 2
    assert "fewer than 50 rows" in reports[0].reason
    assert not any(report.escalated for report in reports)
    assert titles(standing)[-1] == "Headrace shop: the challenger cannot be compared yet"


def test_a_retrain_without_the_artifact_store_is_owed_until_it_answers(
    turned: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    def gone(*_: object) -> None:
        raise ConnectionError("connection refused")

    decision = look(context_of(turned)).decision
    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactRepository, "list_artifacts", gone)
        with pytest.raises(UnavailableError, match=r"artifacts of run .*connection refused.*run again"):
            done(turned, decision.id)
    (owed,) = Outbox(turned.home, "shop").open_retrains(wall_us())
    assert "UnavailableError: MLflow, artifacts of run" in (owed.last_error or "")
    assert done(turned, decision.id, "second").outcome == "promoted"


def test_a_retrain_that_broke_off_is_owed_and_finished_by_the_next(turned: Shop) -> None:
    decision = look(context_of(turned)).decision

    def breaks(name: str, run_stage: Callable[[], StageReport]) -> StageReport:
        report = run_stage()
        if name == "register":
            raise UnavailableError("MLflow went away")
        return report

    with pytest.raises(UnavailableError):
        retrain(context_of(turned), decision.id, holder="first", now_us=wall_us, execute=breaks)
    (owed,) = Outbox(turned.home, "shop").open_retrains(wall_us())
    assert owed.last_error == "UnavailableError: MLflow went away."
    cached: list[str] = []

    def watched(name: str, run_stage: Callable[[], StageReport]) -> StageReport:
        report = run_stage()
        cached.extend([name] if report.cached else [])
        return report

    live(context_of(turned), 1)  # the clock moved on: the history of the decision did not
    report = retrain(context_of(turned), decision.id, holder="second", now_us=wall_us, execute=watched)
    assert report.outcome == "promoted"
    assert {"search", "refit", "register"} <= set(cached)
    assert turned.versions() == ["1", "2"]


def test_killed_after_the_promotion_it_is_promoted_all_the_same(turned: Shop) -> None:
    decision = look(context_of(turned)).decision

    def killed(name: str, run_stage: Callable[[], StageReport]) -> StageReport:
        report = run_stage()
        if name == RETRAIN_STAGES[-1].name:
            raise KeyboardInterrupt
        return report

    with pytest.raises(KeyboardInterrupt):
        retrain(context_of(turned), decision.id, holder="first", now_us=wall_us, execute=killed)
    report = done(turned, decision.id, "second")
    assert (report.outcome, report.version) == ("promoted", "2")


def test_another_champion_since_makes_it_void(turned: Shop) -> None:
    decision = look(context_of(turned)).decision
    live(context_of(turned), 1)
    clock = Lake(turned.home, "shop").clock()
    assert clock is not None
    Ledger(turned.home, "shop").promote("7", "1", "by hand", {}, clock, force=True)
    report = done(turned, decision.id)
    assert report.outcome == "superseded"
    assert "version 7" in report.reason


def test_data_that_cannot_be_trained_on_end_it_as_failed(turned: Shop) -> None:
    decision = look(context_of(turned)).decision

    def one_class(name: str, run_stage: Callable[[], StageReport]) -> StageReport:
        raise DataError("every label is 0", where="shop.orders")

    report = retrain(context_of(turned), decision.id, holder="a test", now_us=wall_us, execute=one_class)
    assert report.outcome == "failed"
    assert "every label is 0" in report.reason
    assert not Outbox(turned.home, "shop").open_retrains(wall_us())


def test_an_unknown_decision_is_an_error(standing: Shop) -> None:
    with pytest.raises(NotFoundError):
        done(standing, "no such decision")


def test_before_any_data_there_is_nothing_to_train_on(standing: Shop) -> None:
    with pytest.raises(NotFoundError, match="nothing was loaded"):
        request_retrain(context_of(Shop(path=standing.path, home=standing.home / "fresh")), "a whim", now_us=wall_us())
