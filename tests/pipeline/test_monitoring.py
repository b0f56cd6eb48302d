"""A window of production is looked at: what is found, what is decided, and what is said where nothing can be told."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from headrace.cli.monitor import show_report
from headrace.core.clock import DAY, iso
from headrace.core.errors import NotFoundError
from headrace.core.files import write_bytes
from headrace.lake.store import Lake
from headrace.models.bundle import CUTOFF, Bundle
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.report.paths import page_file, page_path
from headrace.pipeline.monitoring.feature_sources import feature_sources
from headrace.pipeline.monitoring.monitor_report import WindowComparison
from headrace.pipeline.monitoring.monitor_window import link, monitor_window
from headrace.prediction_log.log import PredictionLog
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.registry.links import REPORT
from headrace.schema import Costs, Monitoring
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.spine.build import build_spine
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, look, wall_us

pytestmark = pytest.mark.slow


def test_a_world_that_turned_is_found_and_a_retrain_is_owed(turned: Shop) -> None:
    report = look(context_of(turned))
    decision = report.decision
    assert (decision.kind, report.retrain_is_open) == ("retrain", True)
    assert {"amount", "auc"} <= {finding.name for finding in decision.drifted}
    assert decision.costs["auc"] > 0.3
    assert decision.champion == "1"
    assert decision.end_us - decision.start_us == 7 * DAY
    assert decision.mature > 50
    (open_retrains,) = Outbox(turned.home, "shop").open_retrains(wall_us())
    assert open_retrains.decision == decision


def test_a_window_is_decided_once(turned: Shop) -> None:
    context = context_of(turned)
    first = look(context)
    second = look(context)
    assert second.decision == first.decision
    assert not second.new
    ids = [entry.decision.id for entry in Outbox(turned.home, "shop").history()]
    assert len(ids) == len(set(ids)) == 2


def test_costs_are_told_by_importance(turned: Shop) -> None:
    drifted = look(context_of(turned)).decision.drifted
    weights = [finding.weight for finding in drifted if finding.about == "feature"]
    assert weights
    assert all(weight is not None and 0 <= weight <= 1 for weight in weights)


def test_labels_are_joined_by_key_as_known_now(turned: Shop) -> None:
    context = context_of(turned)
    decision = look(context).decision
    clock = Lake(turned.home, "shop").clock()
    assert clock is not None
    spine = build_spine(
        context.problem,
        Lake(turned.home, "shop").snapshot(),
        start_us=decision.start_us,
        end_us=clock,
        now_us=clock,
        engine=LocalEngine(),
    )
    assert decision.rows == spine.num_rows
    assert decision.mature == sum(spine["mature"].to_pylist())
    assert decision.censored == 0  # what is missing is not due yet: orders settle after two days


def test_what_a_flow_shows(turned: Shop) -> None:
    report = look(context_of(turned))
    text, page, table = report.artifacts()
    assert (page.kind, page.data) == ("link", page_file(turned.home, report.decision).as_uri())
    assert report.decision.reason in text.data
    assert iso(report.decision.end_us) in text.data
    assert any(row["what"] == "auc" and row["drifted"] for row in table.data)
    json.dumps(table.data)


def test_a_window_that_is_not_of_whole_weeks_is_compared_with_its_own_weekdays(turned: Shop) -> None:
    def comparison_by(monitoring: Monitoring) -> WindowComparison:
        context = context_of(turned)
        found = look(replace(context, problem=replace(context.problem, monitoring=monitoring))).comparison
        assert found is not None
        assert found.reference.table is not None
        return found

    days, every = comparison_by(Monitoring(window="3d")), comparison_by(Monitoring(window="3d", reference="whole"))
    assert days.current.length_us == every.current.length_us == 3 * DAY
    assert days.evidence.measured
    weekdays = {int(day) for day in days.reference.table[CUTOFF].to_numpy() // DAY % 7}  # type: ignore[index]
    assert weekdays == {int(day) for day in days.current.cutoffs_us // DAY % 7}
    assert days.reference.held_out.num_rows < every.reference.held_out.num_rows  # type: ignore[union-attr]
    assert days.reference.table.num_rows == pytest.approx(every.reference.table.num_rows * 3 / 7, rel=0.1)  # type: ignore[union-attr]


def test_what_stood_in_the_way_is_shown(turned: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    report = look(context_of(turned))
    (note, *_) = report.notes
    assert note in report.text()
    show_report(report)
    assert note in capsys.readouterr().out


def test_the_report_is_named_at_its_version_in_mlflow(turned: Shop) -> None:
    context, client = context_of(turned), connect(turned.tracking_uri)
    report = look(context)
    assert not link(context, report)  # it is not drawn yet
    write_bytes(page_file(turned.home, report.decision), b"<html>")
    for _ in range(2):
        assert link(context, report)
    version = client.get_model_version("shop", "1")
    run = client.get_run(str(version.run_id))
    assert version.tags[REPORT] == run.data.tags[REPORT] == page_file(turned.home, report.decision).as_uri()
    client.delete_model_version("shop", "1")
    assert not link(context, report)


def test_where_pages_are_served_the_page_is_linked(turned: Shop) -> None:
    at = "http://127.0.0.1:9"
    report = monitor_window(context_of(turned), now_us=wall_us(), links={"Evidently": at})
    assert report.address == at + page_path(report.decision)


def test_calendar_features_are_no_evidence(turned: Shop) -> None:
    looked = look(context_of(turned)).comparison
    assert looked is not None
    judged = {column.name for column in looked.evidence.columns}
    assert not judged & looked.reference.excluded


def test_no_champion_is_said(tmp_path: Path, turned: Shop) -> None:
    fresh = Shop(path=turned.path, home=tmp_path / "fresh")
    report = look(context_of(fresh))
    assert (report.decision.kind, report.retrain_is_open) == ("nothing", False)
    assert "no champion" in report.decision.reason
    assert not Outbox(fresh.home, "shop").history()


def test_an_empty_window_is_looked_at_again_when_predictions_come(turned: Shop) -> None:
    log = PredictionLog(turned.home, "shop")
    with sqlite3.connect(log.path) as database:
        database.execute("ALTER TABLE predictions RENAME TO kept")
    database.close()
    context = context_of(turned)
    before = len(Outbox(turned.home, "shop").history())
    report = look(context)
    assert report.decision.kind == "nothing"
    assert "empty window" in report.decision.reason
    assert len(Outbox(turned.home, "shop").history()) == before
    with sqlite3.connect(log.path) as database:
        database.execute("DROP TABLE predictions")
        database.execute("ALTER TABLE kept RENAME TO predictions")
    database.close()
    assert look(context).decision.kind == "retrain"


def test_without_labels_the_quality_is_not_judged(turned: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.pipeline.monitoring import current_window

    def unlabelled(*args: object, **options: object) -> object:
        return build_spine(*args, **options).slice(0, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(current_window, "build_spine", unlabelled)
    decision = look(context_of(turned)).decision
    assert decision.mature == 0
    assert decision.costs == {}
    # Of eleven features a reference of five weeks can prove one: told to people, no reason to train.
    assert decision.kind == "alert"
    assert "amount" in {finding.name for finding in decision.drifted}
    assert all(finding.about != "quality" for finding in decision.drifted)


def test_a_lost_reference_is_told_to_people(turned: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: Bundle) -> None:
        raise NotFoundError("this bundle has no reference profile", where="bundle of shop")

    monkeypatch.setattr(Bundle, "read_reference", lost)
    report = look(context_of(turned))
    assert report.decision.kind == "alert"
    assert "no reference" in report.decision.reason
    assert not report.retrain_is_open


def test_a_gone_column_is_a_fault_and_no_reason_to_retrain(turned: Shop) -> None:
    log = PredictionLog(turned.home, "shop")
    with sqlite3.connect(log.path) as database:
        database.execute("UPDATE predictions SET features = json_remove(features, '$.amount'), row_sum = NULL")
    database.close()
    decision = look(context_of(turned)).decision
    assert any(finding.name == "amount" and finding.broken for finding in decision.drifted)
    assert "amount is broken" in decision.reason


def test_only_the_champions_own_predictions_count(turned: Shop) -> None:
    ledger = Ledger(turned.home, "shop")
    clock = Lake(turned.home, "shop").clock()
    assert clock is not None
    ledger.promote("9", "1", "by a test", {}, clock, force=True)
    report = look(context_of(turned))
    assert report.decision.champion == "9"
    assert not report.retrain_is_open


def test_estimates_stand_beside_what_is_measured(turned: Shop) -> None:
    context = context_of(turned)
    costs = Costs(false_positive=8, false_negative=12, currency="EUR")
    report = look(replace(context, problem=replace(context.problem, costs=costs)))
    evidence = report.evidence
    assert evidence is not None
    estimates = evidence.estimates
    assert estimates is not None
    auc = estimates.metric("auc")
    assert auc is not None
    assert auc.realised is not None
    assert auc.realised < auc.low  # the relation changed, which no estimate without labels can see
    assert estimates.delay is not None
    assert estimates.delay.matured == report.decision.mature / report.decision.rows
    assert (estimates.delay.complete_us or 0) > report.decision.end_us  # the last orders settle two days later
    assert estimates.daily
    assert any(row["what"] == "auc, estimated" for row in report.rows())
    for text in (report.text(), "\n".join(report.decision.impact)):
        assert "EUR" in text
        assert "Estimated auc" in text
    json.dumps(evidence.to_json(), allow_nan=False)


def test_a_bundle_without_held_out_features_gives_a_note(turned: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bundle, "read_held_out", lambda self: None)
    report = look(context_of(turned))
    assert any(note.startswith("slices: ") for note in report.notes)
    assert report.evidence is not None
    assert report.evidence.estimates is not None
    assert report.evidence.estimates.performance  # the gate's predictions suffice for these


def test_features_name_the_tables_and_columns_that_they_come_from(turned: Shop) -> None:
    found = look(context_of(turned)).comparison
    assert found is not None
    assert found.reference.bundle is not None
    sources = feature_sources(found.reference.bundle.definitions, "orders")
    assert sources["amount"] == {"orders.amount"}
    stacked = next(item for name, item in sources.items() if "refunded_amount" in name)
    assert {"orders", "orders.refunded_amount"} <= stacked
