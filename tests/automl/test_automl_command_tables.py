"""Rows to predict as files of users have them: other columns, another order, other spellings of the same values."""

from __future__ import annotations

import importlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headrace.automl import HeadraceRegressor
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.table.reading import read_table
from headrace.cli.automl import Request
from headrace.core.errors import ConflictError, DataError
from tests.automl.learning import LINEAR

#: The module; the function of the command has its name in `headrace.cli`.
command = importlib.import_module("headrace.cli.automl")


def predicted(folder: Path, monkeypatch: pytest.MonkeyPatch, train: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """Run the command without its report and return its predictions."""

    def quick(seconds: float, **parameters: Any) -> HeadraceRegressor:
        return HeadraceRegressor(**{**LINEAR, **parameters})

    monkeypatch.setattr(command, "HeadraceRegressor", quick)
    monkeypatch.setattr(command, "write_page", lambda *arguments, **named: None)
    train.to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    command.run_automl(request_of(folder, test=folder / "test.csv", task="regression"))
    return pd.read_csv(folder / "out" / "predictions.csv")


def request_of(folder: Path, **changes: Any) -> Request:
    options: dict[str, Any] = {
        "train": folder / "train.csv", "target": "y", "out": folder / "out", "test": None, "task": "auto",
        "minutes": 1.0, "explain": False, "parameters": {},
    }  # fmt: skip
    return Request(**{**options, **changes})


def rows(n: int = 40) -> pd.DataFrame:
    a = np.random.default_rng(0).normal(size=n)
    return pd.DataFrame({"a": a, "b": a[::-1], "empty": [None] * n, "y": a})


def test_a_test_file_may_have_other_columns_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = rows()
    test = train.drop(columns="empty")[["b", "y", "a"]].assign(extra=1)
    assert np.corrcoef(predicted(tmp_path, monkeypatch, train, test)["y"], train["y"])[0, 1] > 0.95


def test_a_column_that_is_used_and_missing_is_named_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_fit", lambda *arguments: pytest.fail("searched"))
    with pytest.raises(DataError, match=r"test.csv: 1 columns of the training table are missing\. found: b"):
        predicted(tmp_path, monkeypatch, rows(), rows().drop(columns=["b", "empty"]))


def test_categories_of_the_test_file_are_spelt_as_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    floor = np.array(["1", "2", "3", "B"])[np.arange(240) % 4]
    code = np.array(["01", "02", "x"])[np.arange(240) % 3]
    y = (floor == "1") * 5.0 + (code == "01") * 20.0
    train = pd.DataFrame({"floor": floor, "code": code, "y": y})
    test = pd.DataFrame({"floor": ["1", "2", None], "code": ["01", "02", "01"]})  # pandas alone: 1.0, 2.0, NaN; 1, 2, 1
    found = predicted(tmp_path, monkeypatch, train, test)["y"]
    np.testing.assert_allclose(found.iloc[:2], [25.0, 0.0], atol=3.0)


def test_only_columns_of_texts_are_read_as_texts(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("a,b,c\n01,01,True\n,2,\n")
    frame = read_table(tmp_path / "test.csv", texts=["a", "absent"])
    assert frame["a"].iloc[0] == "01"
    assert pd.isna(frame["a"].iloc[1])
    assert frame["b"].tolist() == [1, 2]
    assert frame["c"].iloc[0] is True


@pytest.mark.parametrize("numbers", [[1.0, 2.0, None], [1, 2, 3], np.array([1, 2, 3], dtype=np.float32)])
def test_whole_numbers_of_a_category_are_spelt_as_integers(numbers: Any) -> None:
    cleaner = Cleaner.fit(pd.DataFrame({"floor": ["1", "2", "B"] * 4}))
    later = cleaner.transform(pd.DataFrame({"floor": numbers}))
    assert later["floor"].tolist()[:2] == ["1", "2"]
    floats = Cleaner.fit(pd.DataFrame({"floor": [1.0, 2.5, "B"] * 4})).transform(pd.DataFrame({"floor": [1, 2.5]}))
    assert floats["floor"].tolist() == ["1", "2.5"]


@pytest.mark.parametrize("out", ["file", "file/out"])
def test_a_folder_that_cannot_be_created_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    (tmp_path / "file").write_text("")
    rows().to_csv(tmp_path / "train.csv", index=False)
    monkeypatch.setattr(command, "_fit", lambda *arguments: pytest.fail("searched"))
    with pytest.raises(ConflictError, match=r"file.*: is no folder that can be written \(.*name another folder"):
        command.run_automl(request_of(tmp_path, out=tmp_path / out))


@pytest.mark.parametrize(
    ("frame", "changes", "message"),
    [
        (rows().assign(y=np.nan), {}, r"train.csv: the target 'y' has no value\. name another with --target\."),
        (rows()[["y"]], {}, r"train.csv: there is no column but the target 'y'\. add columns"),
        (rows(), {"task": "classification"}, r"the target 'y' has decimal numbers, .* use --task regression"),
        (rows().assign(y=[Decimal(one) for one in range(40)]), {}, r"the target 'y' has decimal numbers, not classes"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame, changes: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(command, "read_table", lambda *arguments: frame)
    monkeypatch.setattr(command, "_fit", lambda *arguments: pytest.fail("searched"))
    with pytest.raises(DataError, match=message):
        command.run_automl(request_of(tmp_path, **changes))
