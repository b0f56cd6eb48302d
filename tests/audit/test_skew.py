"""The skew audit: equal values bit for bit, a planted wrong row, late rows, and logs that cannot be checked."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.audit.recompute import recompute
from headrace.audit.skew import SkewReport, audit_skew, different_rows
from headrace.core.clock import DAY, HOUR, to_us
from headrace.core.errors import CorruptError, NotFoundError
from headrace.lake.store import Lake
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.store.materialise import online_rows
from headrace.store.online_file.tables import RowQuery
from headrace.synthesis.language.definitions import RowColumn, stored
from tests.audit.harbour import HOURS, Harbour, live, make_harbour
from tests.store.world import START, features, stays

MEAN = next(item for item in stored(features()) if item.slug.startswith("boat_mean"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Harbour:
    """Four refreshes and what was served between them. Read only."""
    harbour = make_harbour(tmp_path_factory.mktemp("harbour"))
    live(harbour)
    return harbour


def report_of(harbour: Harbour, **options: object) -> SkewReport:
    return audit_skew(
        harbour.world.problem,
        harbour.log,
        harbour.versions,
        harbour.world.snapshot,
        **options,  # type: ignore[arg-type]
    )


def test_what_was_served_is_what_history_gives_bit_for_bit(served: Harbour) -> None:
    report = report_of(served)
    assert report.clean
    assert report.predictions == len(HOURS) * 8 * 3
    assert report.values == report.predictions * len(features())
    assert not report.unchecked
    statuses = {status for item in served.log.read() for status in item.statuses.values()}
    assert statuses == {"FRESH", "STALE", "MISSING"}  # all three were compared


def test_a_planted_wrong_row_is_named_with_the_rows_behind_it(tmp_path: Path) -> None:
    harbour = make_harbour(tmp_path)
    harbour.refresh(120)
    view = f"{harbour.world.problem.name}__boat"
    online_rows(harbour.world.root).upsert(view, ["boat"], [MEAN.slug], [("anna", 1e6)])
    harbour.serve(121)
    report = report_of(harbour, most=100)
    assert not report.clean
    assert report.features == {MEAN.name: 3}
    first = report.differences[0]
    assert (first.entity, first.served, first.version) == ({"boat": "anna"}, 1e6, "1")
    assert first.tree is not None
    counted = [row.value for row in first.tree.rows if not row.why and row.value is not None]
    assert first.recomputed == pytest.approx(np.mean(counted))
    assert first.recomputed == first.tree.value
    assert all(row.row["boat"] == "anna" for row in first.tree.rows)
    assert set(first.ticks.values()) == {"2024-03-06T00:00:00Z"}


def test_one_bit_is_a_difference(tmp_path: Path) -> None:
    harbour = make_harbour(tmp_path)
    harbour.refresh(120)
    rows, view = online_rows(harbour.world.root), f"{harbour.world.problem.name}__boat"
    query = RowQuery(view=view, join_keys=("boat",), columns=(MEAN.slug,), keys=[("bert",)])
    value = rows.read([query])[0].rows[0][0]  # type: ignore[index]
    rows.upsert(view, ["boat"], [MEAN.slug], [("bert", float(np.nextafter(value, np.inf)))])
    harbour.serve(121)
    report = report_of(harbour, details=0)
    assert (report.different, report.differences) == (3, ())


def test_rows_that_arrive_later_change_nothing_of_what_was_served(served: Harbour, tmp_path: Path) -> None:
    shutil.copytree(served.world.root, tmp_path / "home")
    world = replace(served.world, root=tmp_path / "home")
    late = stays(80, seed=5).set_column(0, "stay", pa.array(range(100, 180), pa.int64()))  # new values of old stays
    Lake(world.root, world.problem.name).append(world.problem.spine_table, late, arrival_us=START + 16 * DAY)
    harbour = replace(served, world=world)
    assert report_of(harbour).clean
    assert report_of(harbour).history != report_of(served).history


def test_a_row_slipped_into_the_past_is_a_difference(served: Harbour, tmp_path: Path) -> None:
    shutil.copytree(served.world.root, tmp_path / "home")
    world = replace(served.world, root=tmp_path / "home")
    more = stays(30, seed=7).set_column(0, "stay", pa.array(range(9000, 9030), pa.int64()))
    Lake(world.root, world.problem.name).append(world.problem.spine_table, more, arrival_us=START, bootstrap=True)
    assert report_of(replace(served, world=world)).different > 0


def test_scored_rows_take_their_columns_from_the_spine(served: Harbour) -> None:
    one = next(item for item in served.log.read() if item.join_keys == {"boat": "anna", "berth": 2**40})
    stay = served.world.snapshot.table("stays").to_pylist()[0]
    moored_us = to_us(stay["moored"])
    scored = replace(
        one,
        source="score",
        cutoff_us=moored_us - HOUR,
        row_key=[stay["stay"]],
        ticks=dict.fromkeys(("boat", "berth", "boat_berth"), moored_us - HOUR - moored_us % HOUR),
        features={**one.features, "boat": "anna"},
    )
    definitions = (RowColumn(column="boat", kind="categorical"), *features()[2:])
    lost = replace(scored, id="lost", row_key=[10**6])
    found = recompute(served.world.problem, definitions, [scored, lost], served.world.snapshot)
    assert found.own["boat"].to_pylist() == [stay["boat"]]
    assert found.unchecked == {"lost": "its row is not in the history"}


def test_logs_without_what_a_check_needs_are_counted_with_the_reason(served: Harbour, tmp_path: Path) -> None:
    one = served.log.read()[0]
    rows = [
        replace(one, id="1", features={}),
        replace(one, id="2", ticks={}),
        replace(one, id="3", features=dict.fromkeys(list(one.features)[1:], 1.0)),
        replace(one, id="4", model_version="7"),
        replace(one, id="5", join_keys={}),
    ]
    with PredictionLog(tmp_path, "harbour") as log:
        log.append(rows)
        report = audit_skew(served.world.problem, log, served.versions, served.world.snapshot)
    assert not report.clean  # nothing was compared
    assert sum(report.unchecked.values()) == 5
    assert any("older format" in reason for reason in report.unchecked)
    assert any("version 7 is neither" in reason for reason in report.unchecked)


def test_an_empty_log_and_an_unknown_version_are_errors(served: Harbour, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no predictions are logged"):
        audit_skew(served.world.problem, PredictionLog(tmp_path, "harbour"), served.versions, served.world.snapshot)
    with pytest.raises(NotFoundError, match="no version 9"):
        report_of(served, version="9")
    with pytest.raises(NotFoundError, match="no predictions are logged"):
        report_of(served, since_us=START + 300 * DAY)


def test_a_log_of_an_older_format_says_which_column_it_lacks(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, "harbour")
    log.path.parent.mkdir(parents=True)
    with sqlite3.connect(log.path) as connection:
        connection.execute("CREATE TABLE predictions (id TEXT PRIMARY KEY, made_us INTEGER, probability REAL)")
    with pytest.raises(CorruptError, match="older format: it lacks the column"):
        log.read()


def test_pages_and_ids_of_the_log(tmp_path: Path) -> None:
    rows = [
        Prediction(
            id=f"a{number:02d}", cutoff_us=1, made_us=number // 3, model_version="1", join_keys={}, probability=0.5,
            source="api",
        )
        for number in range(20)
    ]  # fmt: skip
    with PredictionLog(tmp_path, "harbour") as log:
        log.append(rows)
        pages = list(log.pages(size=7))
        assert [len(page) for page in pages] == [7, 7, 6]
        assert [item for page in pages for item in page] == log.read()
        assert [item.id for page in log.pages(1, 3, size=2) for item in page] == [f"a{n:02d}" for n in range(3, 9)]
        assert [item.id for item in log.find("a03")] == ["a03"]
        assert len(log.find("a0")) == 10
        assert log.find("zz") == []


def test_missing_and_negative_zero_are_told_apart(served: Harbour) -> None:
    found = recompute(served.world.problem, features(), served.log.read()[:3], served.world.snapshot)
    slugs = found.features.column_names
    wrong = found.features.set_column(slugs.index(MEAN.slug), MEAN.slug, pa.array([-0.0, None, float("nan")]))
    served_rows = tuple(
        replace(item, features={**item.features, MEAN.slug: value})
        for item, value in zip(found.predictions, (0.0, None, None), strict=True)
    )
    assert different_rows(replace(found, features=wrong, predictions=served_rows), MEAN) == [0]
    texts = tuple(replace(item, features={**item.features, MEAN.slug: "x"}) for item in found.predictions)
    assert different_rows(replace(found, features=wrong, predictions=texts), MEAN) == [0, 1, 2]
