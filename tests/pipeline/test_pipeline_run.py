"""The main job from end to end: everything once, nothing twice, and what is gone is made again."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.core.clock import NEVER
from headrace.core.errors import ConflictError, DataError, DeclarationError
from headrace.core.files import read_json
from headrace.core.replicas import remove_replicas
from headrace.lake.store import Lake
from headrace.models.design import Design, Encoder
from headrace.pipeline.catalogue import STAGES
from headrace.pipeline.stage import stage_key
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.register import REGISTER
from headrace.pipeline.stages.search import SEARCH
from headrace.pipeline.stages.select import SELECT
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.training_set import TRAINING_SET
from headrace.pipeline.walker import PipelineRun
from headrace.prediction_log.log import PredictionLog
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.schema import Monitoring, Policy
from headrace.store.materialise import online_is_empty
from tests.pipeline.shop import Shop, worked
from tests.tiny_problem import write_tiny_problem

NAMES = tuple(stage.name for stage in STAGES)


def test_every_stage_runs_and_a_model_is_deployed(ran: Shop) -> None:
    last = ran.last_run()
    assert tuple(stage["name"] for stage in last["stages"]) == NAMES
    assert ran.versions() == ["1"]
    assert len(ran.studies()) == 1
    champion = Ledger(ran.home, "shop").champion()
    assert champion is not None
    assert champion.version == "1"
    assert champion.metrics["gate_auc"] > 0.6  # the tiny problem can be learnt: customers differ in their care
    assert not online_is_empty(ran.home, ran.run().context.problem)


def test_last_run_has_its_promised_shape(ran: Shop) -> None:
    last = ran.last_run()
    assert last["seconds"] > 0
    assert all(set(stage) == {"name", "seconds", "cached"} for stage in last["stages"])
    assert last["champion"]["version"] == "1"
    assert last["quarantined"] == []


def test_a_second_run_finds_everything_done(copy: Shop) -> None:
    shop = copy
    assert worked(shop.finish()) == []
    assert all(stage["cached"] for stage in shop.last_run()["stages"])
    assert shop.versions() == ["1"]


def test_half_written_folders_of_a_killed_run_are_swept(copy: Shop) -> None:
    shop = copy
    stage = shop.home / "stages" / "shop" / "evaluate"
    key = next(path.name for path in stage.iterdir() if path.is_dir())
    (stage / f".{key}.0123456789abcdef.tmp").mkdir()
    (stage / f".{key}.0123456789abcdef.tmp" / "gate.parquet").write_bytes(b"half")
    (stage / key / "stage.json").unlink()
    assert worked(shop.finish()) == ["evaluate"]
    assert not list(stage.glob(".*.tmp"))


def test_only_what_depends_on_a_parameter_runs_again(copy: Shop) -> None:
    shop = copy
    longer = shop.run(trials=3)
    reports = {name: longer.run_stage(name).cached for name in NAMES[: NAMES.index("search") + 1]}
    assert [name for name, cached in reports.items() if not cached] == ["search"]
    other = shop.run(seed=1)
    assert other.run_stage("synthesise").cached
    assert not other.run_stage("select").cached


def test_training_rows_in_files_give_the_same_rows_and_the_same_model(
    copy: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = copy
    stages = shop.home / "stages" / "shop"
    names = ("training-set", "evaluate", "refit", "draw")
    before = {name: read_json(next((stages / name).glob("*/stage.json"))) for name in names}
    for name in names:
        shutil.rmtree(stages / name)
    designs: list[Design] = []

    def encoded(encoder: Encoder, matrix: pa.Table, folder: Path) -> Design:
        designs.append(encode(encoder, matrix, folder))
        return designs[-1]

    encode = Encoder.encode_in_file
    monkeypatch.setattr(Encoder, "encode_in_file", encoded)
    monkeypatch.setattr("headrace.pipeline.stages.training_set.slice_rows", lambda *_: 70)
    monkeypatch.setattr("headrace.pipeline.stages.training_rows.fits_in_memory", lambda *_: False)
    assert set(worked(shop.finish())) >= set(names)
    assert len(designs) == 3
    assert all(isinstance(design.X, np.memmap) for design in designs)
    assert {name: read_json(next((stages / name).glob("*/stage.json"))) for name in names} == before
    assert not list(stages.glob(".mapped-*"))


def test_another_share_trains_anew_and_synthesises_nothing(tmp_path: Path) -> None:
    """By the stages' keys alone: of what an option changes, all that comes after it is another."""
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    context = shop.run().context
    larger = replace(context, problem=replace(context.problem, tune_share=0.25))
    changed = {stage.name for stage in STAGES if stage_key(stage, context, {}) != stage_key(stage, larger, {})}
    assert changed == {"select", "search", "evaluate", "refit"}


@pytest.mark.parametrize(
    ("knobs", "changed"),
    [
        ({"policy": Policy(k=1, cooldown="1d")}, set()),
        ({"monitoring": Monitoring(window="14d", drift_tests=("ks",), floors={"ks": 0.2})}, set()),
        ({"families": ("linear",)}, {"search"}),
        ({"racing": None}, {"search"}),
    ],
)
def test_a_knob_changes_the_stages_that_read_it(tmp_path: Path, knobs: dict[str, Any], changed: set[str]) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    context = shop.run().context
    other = replace(context, problem=replace(context.problem, **knobs))
    assert {stage.name for stage in STAGES if stage_key(stage, context, {}) != stage_key(stage, other, {})} == changed


def test_another_margin_trains_nothing_anew(copy: Shop) -> None:
    context = copy.run().context
    stricter = PipelineRun(replace(context, problem=replace(context.problem, margin=0.0005)))
    cached = {name: stricter.run_stage(name).cached for name in NAMES}
    assert [name for name in NAMES if not cached[name]] == ["promote", "retire", "replay", "materialise"]
    searching = PipelineRun(replace(context, problem=replace(context.problem, searcher="random")))
    assert searching.run_stage("training-set").cached
    assert not searching.run_stage("search").cached


def test_sources_are_known_by_content_not_by_time_or_place(tmp_path: Path) -> None:
    here = Shop(path=write_tiny_problem(tmp_path / "here"), home=tmp_path / "home")
    here.run().run_stage("synthesise")
    moved = Shop(path=here.path.parent.rename(tmp_path / "moved") / here.path.name, home=here.home)
    orders = moved.path.parent / "orders.csv"
    os.utime(orders, (1, 1))
    assert moved.run().run_stage("synthesise").cached
    orders.write_text(orders.read_text().replace(",web,", ",online,"))
    changed = moved.run()
    assert not changed.run_stage("ingest").cached
    assert not changed.run_stage("synthesise").cached


def test_another_problem_of_the_same_name_does_not_get_into_the_lake(copy: Shop, tmp_path: Path) -> None:
    other = Shop(path=write_tiny_problem(tmp_path / "other", seed=1), home=copy.home)
    before = Lake(copy.home, "shop").snapshot().fingerprint
    with pytest.raises(ConflictError, match=rf"lake of 'shop' holds what {copy.path}.*another name"):
        other.run().run_stage("ingest")
    assert Lake(copy.home, "shop").snapshot().fingerprint == before
    assert copy.run().run_stage("ingest").cached


def test_another_question_about_the_same_data_does(copy: Shop, tmp_path: Path) -> None:
    other = Shop(path=write_tiny_problem(tmp_path / "other"), home=copy.home)
    other.path.write_text(other.path.read_text().replace("refunded_amount >= 1", "refunded_amount >= 20"))
    leftover = copy.home / "lake" / "shop" / ".origin.json.0123.tmp"  # of a killed run
    leftover.write_text("{")
    assert not other.run().run_stage("ingest").cached
    assert not leftover.exists()


def test_the_gate_has_no_say_in_which_features_are_chosen(ran: Shop, tmp_path: Path) -> None:
    other = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    orders = other.path.parent / "orders.csv"
    head, *rows = orders.read_text().splitlines()
    fields = [row.split(",") for row in rows]
    gate_from = ran.run().output(SEARCH).windows["gate_from"]
    for field in fields:
        if field[2] >= gate_from:
            field[-1] = "0.00" if float(field[-1]) else "25.00"
    orders.write_text("\n".join([head, *(",".join(field) for field in fields)]) + "\n")
    here, there = ran.run(), other.run()
    assert here.output(SYNTHESISE).spine_digest != there.output(SYNTHESISE).spine_digest
    assert here.output(SELECT).service == there.output(SELECT).service


def test_two_homes_make_the_same_training_set(ran: Shop, tmp_path: Path) -> None:
    elsewhere = Shop(path=write_tiny_problem(tmp_path / "other place"), home=tmp_path / "home")
    here, there = ran.run().output(TRAINING_SET), elsewhere.run().output(TRAINING_SET)
    assert here.sha256 == there.sha256
    assert here.rows == there.rows == 600


def test_two_runs_at_once_do_the_work_once(tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    done: dict[int, list[str]] = {}
    start = threading.Barrier(2)

    def work(number: int) -> None:
        start.wait()
        done[number] = worked(shop.finish())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done[0] + done[1]) == sorted(NAMES)
    assert shop.versions() == ["1"]
    assert len(shop.studies()) == 1


def test_a_deleted_model_version_is_registered_again(copy: Shop) -> None:
    shop = copy
    connect(shop.tracking_uri).delete_model_version("shop", "1")
    report = shop.finish()
    assert "register" in worked(report)
    assert shop.versions() == ["2"]
    assert report.champion["version"] == "2"
    aliased = connect(shop.tracking_uri).get_model_version_by_alias("shop", "champion")
    assert str(aliased.version) == "2"
    assert worked(shop.finish()) == []


def test_an_emptied_online_store_is_filled_again(copy: Shop) -> None:
    shop = copy
    (shop.home / "store" / "online.db").unlink()
    assert worked(shop.finish()) == ["materialise"]
    assert not online_is_empty(shop.home, shop.run().context.problem)


def test_a_deleted_study_is_logged_again(copy: Shop) -> None:
    shop = copy
    (study,) = shop.studies()
    connect(shop.tracking_uri).delete_run(study)
    report = shop.finish()
    assert "track" in worked(report)
    (again,) = shop.studies()
    assert again != study
    assert shop.versions() == ["1"]


def test_a_rolled_back_version_is_not_promoted_when_it_is_judged_anew(copy: Shop) -> None:
    shop = copy
    shutil.rmtree(shop.home / "stages" / "shop" / "promote")
    ledger = Ledger(shop.home, "shop")
    ledger.promote("0", "1", "the one before", {}, at_us=0)
    ledger.promote("1", "0", "the gate", {}, at_us=1)
    ledger.rollback(at_us=2, reason="angry customers")
    outcome = shop.run().output(PROMOTE)
    assert not outcome.promoted
    assert "version 1 was rolled back (angry customers)" in outcome.reason
    champion = ledger.champion()
    assert champion is not None
    assert (champion.version, ledger.challenger()) == ("0", None)


def test_a_champion_is_not_measured_on_what_it_learnt_from(turned: Shop) -> None:
    problem = turned.run().context.problem
    assert problem.feed is not None
    newer = turned.run(until_us=problem.feed.start_us + 12 * problem.feed.step_us)
    version = str(newer.output(REGISTER).version)
    ledger = Ledger(turned.home, "shop")
    ledger.promote(version, "1", "it learnt from the month that the main job lives through", {}, at_us=1)
    report = turned.finish()
    assert report.champion["version"] == version
    assert not [name for name in report.champion["metrics"] if name.startswith("2024-02")]
    assert not PredictionLog(turned.home, "shop").probabilities(0, NEVER, version=version)
    assert worked(turned.finish()) == []


def test_a_lost_lake_is_loaded_again_and_nothing_else_changes(copy: Shop) -> None:
    shop = copy
    before = shop.run().output(TRAINING_SET).sha256
    remove_replicas(shop.home / "lake" / "shop" / "clock.json")
    again = shop.run()
    assert not again.run_stage("ingest").cached
    assert again.output(TRAINING_SET).sha256 == before


def test_a_failing_batch_is_quarantined_whole_and_the_rest_goes_on(tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    strict = 'source="customers.parquet", bounds={"discount": (0.25, 1.0)}'
    shop.path.write_text(shop.path.read_text().replace('source="customers.parquet"', strict))
    ingested = shop.run().output(INGEST)
    (refused,) = ingested.quarantined
    assert refused.table == "customers"
    assert ingested.tables["orders"] == 600
    kept = Path(refused.path)
    assert read_json(kept / "batch.json")["rows"] == 20
    assert "discount" in str(read_json(kept / "reasons.json"))


def test_a_refused_first_load_is_history_once_it_is_corrected(ran: Shop, tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    customers = shop.path.parent / "customers.parquet"
    rows = pq.read_table(customers)
    pq.write_table(rows.drop_columns(["customer_id"]), customers)
    first = shop.run()
    assert len(first.output(INGEST).quarantined) == 1
    assert first.output(TRAINING_SET).rows == 600
    pq.write_table(rows, customers)
    corrected = shop.run()
    assert corrected.output(INGEST).quarantined == ()
    assert corrected.output(TRAINING_SET).sha256 == ran.run().output(TRAINING_SET).sha256


def test_the_table_of_predictions_is_not_gone_on_without(tmp_path: Path) -> None:
    shop = Shop(path=write_tiny_problem(tmp_path / "problem"), home=tmp_path / "home")
    text = shop.path.read_text()
    shop.path.write_text(text.replace('source="orders.csv"', 'source="orders.csv", bounds={"amount": (0.0, 1.0)}'))
    with pytest.raises(DataError, match=r"shop\.orders: the table that predictions are made for was refused.*amount"):
        shop.run().run_stage("ingest")
    assert list((shop.home / "lake" / "shop" / "quarantine" / "orders").glob("*/reasons.json"))


def test_an_unknown_stage_is_refused(ran: Shop) -> None:
    with pytest.raises(DeclarationError, match="no stage 'bake'"):
        ran.run().run_stage("bake")
