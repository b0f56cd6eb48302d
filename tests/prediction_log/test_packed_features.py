"""Packed features: what goes in comes out, with names once per model; what is damaged is refused."""

from __future__ import annotations

import math
import sqlite3
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import CorruptError
from headrace.prediction_log.log import Prediction, PredictionLog
from headrace.prediction_log.packed_features import EncodedMapping, FeatureNames, PackedFeatures

NAMES = FeatureNames(names=("mean", "city", "count"), texts=("city",))
ONE = Prediction(
    id="a", cutoff_us=1, made_us=1, model_version="1", join_keys={"k": 1}, probability=0.5, source="api"
)  # fmt: skip


def packed(mean: float, count: float, city: str | None) -> PackedFeatures:
    return PackedFeatures(NAMES, struct.pack("<2d", mean, count), (city,))


@given(st.floats(), st.floats(), st.none() | st.text())
def test_values_come_back(mean: float, count: float, city: str | None) -> None:
    features = PackedFeatures.from_bytes(packed(mean, count, city).to_bytes(), {NAMES.digest: NAMES}.__getitem__)
    expected = {"mean": mean, "city": city, "count": count}
    expected |= {name: None for name in ("mean", "count") if not math.isfinite(expected[name])}  # type: ignore[arg-type]
    assert dict(features) == expected
    assert list(features) == ["mean", "city", "count"]
    assert struct.pack("<2d", mean, count) == features.numbers


def test_a_log_keeps_names_once_and_reads_them_in_another_process(tmp_path: Path) -> None:
    features = packed(30.0, math.nan, "ü")
    with PredictionLog(tmp_path, "p") as log:
        for number in range(3):
            log.append([replace(ONE, id=str(number), features=features, ticks=EncodedMapping({"v": 1}))])
    with PredictionLog(tmp_path, "p") as log:
        read = log.read()
        assert [dict(row.features) for row in read] == [{"mean": 30.0, "city": "ü", "count": None}] * 3
        assert [row.ticks for row in read] == [{"v": 1}] * 3
    with sqlite3.connect(tmp_path / "predictions" / "p.db") as database:
        assert database.execute("SELECT count(*) FROM feature_names").fetchone() == (1,)


def test_rows_of_both_forms_lie_in_one_log(tmp_path: Path) -> None:
    with PredictionLog(tmp_path, "p") as log:
        log.append(
            [ONE, replace(ONE, id="b", features=packed(1.0, 2.0, None)), replace(ONE, id="c", features={"x": 1})]
        )
        assert [dict(row.features) for row in log.read()] == [{}, {"mean": 1.0, "city": None, "count": 2.0}, {"x": 1}]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM feature_names",
        "UPDATE feature_names SET content = replace(content, 'mean', 'sum')",
        "UPDATE feature_names SET content = 'no JSON'",
    ],
)
def test_damaged_names_are_one_clear_error(tmp_path: Path, damage: str) -> None:
    log = PredictionLog(tmp_path, "p")
    log.append([replace(ONE, features=packed(1.0, 2.0, None))])
    log.close()
    with sqlite3.connect(log.path) as database:
        database.execute(damage)
    with pytest.raises(CorruptError, match="names of features"):
        log.read()
    log.close()


def test_names_of_a_commit_that_failed_are_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(ONE, features=packed(1.0, 2.0, None))
    with PredictionLog(tmp_path, "p") as log:
        log.append([ONE])
        with monkeypatch.context() as patch:
            patch.setattr("headrace.prediction_log.file.insert_statement", lambda rows: "INSERT INTO nothing")
            with pytest.raises(Exception, match="nothing"):
                log.append([replace(row, id="b")])
        log.append([replace(row, id="c")])
    with PredictionLog(tmp_path, "p") as log:
        assert [dict(item.features) for item in log.read()][1:] == [{"mean": 1.0, "city": None, "count": 2.0}]
