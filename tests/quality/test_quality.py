"""Batches and training sets: good ones pass and leave nothing behind, bad ones say why, with pages to look at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.errors import DataError
from headrace.lake.conform import conform
from headrace.lake.times import TIMESTAMP
from headrace.problems.catalogue import load_problem
from headrace.quality.check import Verdict, validate_batch, validate_training_set
from headrace.quality.rules import table_rules
from headrace.quality.suites import suite_for, training_suite
from headrace.schema import Problem, Table
from tests.tiny_problem import write_tiny_problem

WHEN = datetime(2024, 1, 1, tzinfo=UTC)
SALES = Table(
    name="sales",
    key=("shop", "number"),
    time="at",
    source="-",
    roles={"paid": "boolean"},
    bounds={"price": (0, 100), "weight": (0, None)},
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    return load_problem(write_tiny_problem(tmp_path_factory.mktemp("shop")))


def sales(**columns: Any) -> pa.Table:
    data = {
        "shop": ["a", "a", "b"],
        "number": [1, 2, 1],
        "at": pa.array([WHEN] * 3, TIMESTAMP),
        "price": [0.0, 100.0, None],
        "weight": [1.0, 2.0, 3.0],
        "paid": [True, False, None],
    }
    return pa.table(data | columns)


def reasons(verdict: Verdict) -> list[str]:
    assert not verdict.success
    return [reason["reason"] for reason in verdict.reasons]


def test_good_batches_leave_nothing_behind(shop: Problem, tmp_path: Path) -> None:
    assert validate_batch(SALES, sales(), tmp_path).success
    for table in shop.entity_set.tables:
        rows = conform(table, table.source.read())  # type: ignore[union-attr]
        assert validate_batch(table, rows, tmp_path).success
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"shop": ["a", None, "b"]}, "rows without their key 'shop' (1 of 3 rows)"),
        ({"number": [1, 1, 1]}, "duplicate keys (shop, number) (2 of 3 rows"),
        ({"at": pa.array([WHEN, None, WHEN], TIMESTAMP)}, "rows without their time 'at' (1 of 3 rows)"),
        ({"price": [0.0, -1.0, 100.5]}, "'price' is out of its bounds [0, 100] (2 of 3 rows, such as -1.0, 100.5)"),
        ({"weight": [-3.0, 1.0, 1.0]}, "'weight' is out of its bounds [0, no limit] (1 of 3 rows, such as -3.0)"),
        ({"paid": ["yes", "no", None]}, "'paid' holds something else than true and false (2 of 3 rows"),
    ],
)
def test_bad_batches_say_why(tmp_path: Path, columns: dict[str, Any], expected: str) -> None:
    verdict = validate_batch(SALES, sales(**columns), tmp_path)
    (reason,) = reasons(verdict)
    assert reason.startswith(expected)
    assert verdict.docs is not None
    assert verdict.docs.is_file()


def test_several_faults_are_all_told_again_and_again(tmp_path: Path) -> None:
    bad = sales(price=[-1.0, 1.0, 1.0], weight=[-1.0, 1.0, 1.0])
    first, second = validate_batch(SALES, bad, tmp_path), validate_batch(SALES, bad, tmp_path)
    assert len(reasons(first)) == 2
    assert reasons(first) == reasons(second)
    assert first.docs is not None
    pages = "".join(page.read_text() for page in first.docs.parent.rglob("*.html"))
    assert "price" in pages
    with pytest.raises(DataError, match=r"sales batch: 'price' is out of its bounds .*; 'weight' is out"):
        first.require()


def test_an_empty_batch_is_refused(tmp_path: Path) -> None:
    assert reasons(validate_batch(SALES, sales().slice(0, 0), tmp_path)) == ["the batch has no rows (0)"]


def test_versions_of_a_key_in_a_feed_are_fine(tmp_path: Path) -> None:
    rows = sales(number=[1, 1, 1], _arrival=pa.array([1, 2, 3], TIMESTAMP))
    assert validate_batch(SALES, rows, tmp_path).success


def test_suites_hold_every_rule(shop: Problem) -> None:
    columns = sales().column_names
    assert len(suite_for(SALES, columns).expectations) == len(table_rules(SALES, columns))
    assert suite_for(SALES, columns).name == "sales_batch"
    assert len(training_suite(shop, training(label=[0.0]).schema).expectations) > 5


def training(*, label: Any, rows: int = 100, **columns: Any) -> pa.Table:
    rng = np.random.default_rng(0)
    labels = np.resize(np.asarray(label, dtype=object), rows)
    data = {"mean": rng.normal(size=rows), "city": ["Bern"] * rows, "label": pa.array(labels, pa.float64())}
    return pa.table(data | columns)


def test_a_good_training_set(shop: Problem, tmp_path: Path) -> None:
    assert validate_training_set(shop, training(label=[0, 1, 1, None]), tmp_path).success
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ([0], "has one class only: there is nothing to tell apart (0.0: 100 rows)"),
        ([1, None], "has one class only: there is nothing to tell apart (1.0: 50 rows, missing: 50 rows)"),
        ([0, 1, float("nan"), 1], "labels that are NaN or infinite: correct the label's column (25 of 100 rows)"),
        ([0, 1, float("inf"), 1], "labels that are NaN or infinite"),
        ([0, 1, 2, 1], "labels other than 0 and 1 (25 of 100 rows, such as 2.0)"),
        ([0, 1, None, None, None], "more than 50% of the labels are missing (60 of 100 rows)"),
    ],
)
def test_bad_labels(shop: Problem, tmp_path: Path, label: list[float | None], expected: str) -> None:
    assert any(expected in reason for reason in reasons(validate_training_set(shop, training(label=label), tmp_path)))


def test_bad_features_and_too_few_rows(shop: Problem, tmp_path: Path) -> None:
    bad = training(label=[0, 1], rows=10, mean=[*[1.0] * 9, float("inf")], empty=pa.nulls(10, pa.float64()))
    told = " / ".join(reasons(validate_training_set(shop, bad, tmp_path)))
    assert "fewer than 50 rows to train on (10)" in told
    assert "the feature 'mean' has infinite values (1 of 10 rows, such as inf)" in told
    assert "the feature 'empty' has no value at all" in told


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_columns_that_are_checked_a_few_at_a_time_are_told_the_same(
    shop: Problem, tmp_path: Path, columns: int
) -> None:
    more = {"third": np.arange(100.0), "fourth": pa.array(["x", None] * 50)}
    good = training(label=[0, 1], **more)
    assert validate_training_set(shop, good, tmp_path, columns=columns).success
    bad = training(label=[0, 2], third=[*[1.0] * 99, float("inf")], fourth=pa.nulls(100, pa.float64()))
    whole = validate_training_set(shop, bad, tmp_path)
    parts = validate_training_set(shop, bad, tmp_path, columns=columns)
    assert set(reasons(parts)) == set(reasons(whole))
    assert len(reasons(parts)) == 4
    assert parts.docs is not None


def test_a_training_set_needs_a_label(shop: Problem, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="without a label"):
        validate_training_set(shop, training(label=[0]).drop_columns(["label"]), tmp_path)
