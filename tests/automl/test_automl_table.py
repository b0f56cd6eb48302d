"""Tables as users have them: kinds of columns, bad input, validation that fits the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from headrace.automl.table.cleaning import Cleaner
from headrace.automl.table.columns import infer_columns
from headrace.automl.task.task import Task, guess_kind
from headrace.automl.validation.folds import make_folds
from headrace.automl.validation.guess import Decision, Mode, decide_validation
from headrace.core.errors import DataError, DeclarationError

BINARY = Task(kind="binary", metric="auc", classes=(0, 1))


def odd_table(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "fast", "slow", "old", "new", "big"])
    return pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "infinite": np.where(np.arange(n) % 7 == 0, np.inf, 1.0 * np.arange(n)),
            "huge": np.where(np.arange(n) % 9 == 0, 1e300, 1.0),
            "digits": [str(one) for one in range(n)],
            "mixed": [one if one % 2 else f"text {one % 6}" for one in range(n)],
            "null": [None] * n,
            "constant": ["same"] * n,
            "flag": rng.random(n) < 0.5,
            "day": pd.date_range("2024-01-01", periods=n).strftime("%Y-%m-%d"),
            "stamp": pd.date_range("2024-01-01", periods=n, tz="Europe/Berlin"),
            "text": [" ".join(rng.choice(words, 6)) for _ in range(n)],
            "category": pd.Categorical(rng.choice(["a", "b"], n)),
            "nullable": pd.array([None if one % 5 == 0 else one for one in range(n)], dtype="Int64"),
        }
    )


def test_kinds_of_columns() -> None:
    kinds = {column.name: column.kind for column in infer_columns(odd_table())}
    assert kinds == {
        "number": "number", "infinite": "number", "huge": "number", "digits": "number", "mixed": "category",
        "null": "unused", "constant": "unused", "flag": "number", "day": "date", "stamp": "date", "text": "text",
        "category": "category", "nullable": "number",
    }  # fmt: skip


def test_cleaning_leaves_no_infinity_and_takes_odd_rows_later() -> None:
    frame = odd_table()
    cleaner = Cleaner.fit(frame)
    cleaned = cleaner.transform(frame)
    assert np.isnan(cleaned["infinite"]).sum() == 9
    assert np.isnan(cleaned["huge"]).sum() == 7
    assert cleaned["mixed"].iloc[1] == "1"
    later = frame.assign(digits="no number", day="no day", category="never seen", flag=None, extra=1)
    taken = cleaner.transform(later)
    assert taken["digits"].isna().all()
    assert taken["day"].isna().all()
    assert "extra" not in taken
    assert any("all values are missing" in note for note in cleaner.notes())
    with pytest.raises(DataError, match="2 columns are missing"):
        cleaner.transform(frame.drop(columns=["number", "text"]))


@pytest.mark.parametrize(
    "later", [["True", "False", None], ["true", " FALSE", "?"], [True, False, None], [1, 0.0, None]]
)
def test_truth_values_are_read_as_in_training(later: list[object]) -> None:
    cleaner = Cleaner.fit(pd.DataFrame({"flag": [True, False] * 6}))
    read = cleaner.transform(pd.DataFrame({"flag": later}))
    np.testing.assert_array_equal(read["flag"], [1.0, 0.0, np.nan])


def test_duplicate_names_and_nothing_to_use_are_refused() -> None:
    twice = pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"])
    with pytest.raises(DataError, match="same name"):
        Cleaner.fit(twice)
    with pytest.raises(DataError, match="no column can be used"):
        Cleaner.fit(pd.DataFrame({"a": [None, None], "b": [1, 1]}))


@pytest.mark.parametrize(
    ("values", "kind"),
    [([0.5, 1.5, 2.5], "regression"), ([0, 1, 1], "classification"), (["a", "b", "a"], "classification"),
     ([True, False, None], "classification"), (range(100), "regression")],
)  # fmt: skip
def test_the_kind_of_a_target_is_guessed(values: list[object], kind: str) -> None:
    assert guess_kind(pd.Series(values)) == kind


def decided(frame: pd.DataFrame, mode: Mode = "auto", to_predict: pd.DataFrame | None = None) -> Decision:
    cleaner = Cleaner.fit(frame)
    queried = None if to_predict is None else cleaner.transform(to_predict)
    return decide_validation(cleaner.transform(frame), cleaner, mode=mode, time=None, groups=None, to_predict=queried)


def test_validation_is_guessed_with_a_reason() -> None:
    frame = pd.DataFrame(
        {"x": np.random.default_rng(0).normal(size=60), "day": pd.date_range("2024-01-01", periods=60)}
    )
    assert decided(frame).mode == "time"
    numbers = frame.assign(day=frame.index * 0.25).rename(columns={"day": "date"})
    assert decided(numbers).reason == "the rows are sorted by the time 'date'"
    shuffled = frame.sample(60, random_state=0)
    assert decided(shuffled).mode == "random"
    later = frame.assign(day=frame["day"] + pd.Timedelta(days=90))
    assert decided(shuffled, to_predict=later).reason == "the rows to predict are later by 'day'"
    people = frame[["x"]].assign(patient_id=[f"p{one % 15}" for one in range(60)])
    assert decided(people).mode == "group"
    assert decided(people, to_predict=people).mode == "random"  # the same patients are predicted
    assert decided(people, mode="random").mode == "random"
    with pytest.raises(DeclarationError, match="no column of times"):
        decided(people, mode="time")


def test_time_folds_expand_and_do_not_divide_an_instant() -> None:
    times = np.repeat(np.arange(20), 5)
    rng = np.random.default_rng(0)
    order = rng.permutation(100)
    folds = make_folds("time", rng.integers(2, size=100) * 1.0, BINARY, count=5, seed=0, keys=times[order])
    assert len(folds) == 3
    for fold in folds:
        assert times[order][fold.train].max() < times[order][fold.valid].min()
    assert sum(len(fold.valid) for fold in folds) == len(np.unique(np.concatenate([fold.valid for fold in folds])))
    assert times[order][folds[-1].valid].max() == 19


def test_groups_are_not_divided_and_rare_classes_are_taken() -> None:
    groups = np.arange(60) % 12
    label = (np.arange(60) % 2) * 1.0
    for fold in make_folds("group", label, BINARY, count=4, seed=0, keys=groups):
        assert not set(groups[fold.train]) & set(groups[fold.valid])
    rare = np.zeros(60)
    rare[:2] = 1
    assert len(make_folds("random", rare, BINARY, count=5, seed=0)) == 5
    assert len(make_folds("random", rare, BINARY, count=1, seed=0)) == 1
