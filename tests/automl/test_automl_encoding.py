"""Out-of-fold target encoding against its obvious twin; constructions see no later row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from headrace.automl.prepare.block import Target
from headrace.automl.prepare.constructions import Constructions
from headrace.automl.prepare.encoding import TargetEncoded
from headrace.automl.prepare.lookup import level_numbers
from headrace.automl.prepare.simple import CategoryCodes
from headrace.automl.task.task import Task

NUMBER = Task(kind="regression", metric="rmse")


def rows(seed: int, n: int, levels: int) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    category = rng.integers(levels, size=n)
    frame = pd.DataFrame({"c": [f"level {one}" for one in category], "x": rng.normal(size=n), "z": rng.normal(size=n)})
    return frame, category + rng.normal(size=n)


def smoothed(levels: list[str], y: np.ndarray, level: str) -> float:
    """Empirical Bayes: (n_i s2 mean_i + s2_i mean) / (n_i s2 + s2_i), the overall mean for an unknown level."""
    mine = y[[one == level for one in levels]]
    if not len(mine):
        return float(y.mean())
    within, between = float(mine.var()), float(y.var())
    share = between / (between + within / len(mine)) if between + within / len(mine) > 0 else 1.0
    return share * float(mine.mean()) + (1 - share) * float(y.mean())


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(10, 60), st.integers(2, 8))
def test_encoding_equals_its_twin(seed: int, n: int, levels: int) -> None:
    frame, y = rows(seed, n, levels)
    block = TargetEncoded(["c"])
    encoded = block.fit_transform(frame, Target(label=y, task=NUMBER, seed=7))[:, 0]
    expected = np.empty(n)
    for train, held_out in KFold(5, shuffle=True, random_state=7).split(y):
        known = frame["c"].iloc[train].tolist()
        for row in held_out:
            expected[row] = smoothed(known, y[train], frame["c"].iloc[row])
    assert encoded == pytest.approx(expected, rel=1e-4, abs=1e-4)
    later = block.transform(pd.DataFrame({"c": ["level 0", "never seen"]}))[:, 0]
    everything = frame["c"].tolist()
    assert later == pytest.approx([smoothed(everything, y, "level 0"), y.mean()], rel=1e-4, abs=1e-4)


def test_a_row_never_sees_its_own_target() -> None:
    frame, y = rows(0, 50, 5)
    changed = y.copy()
    changed[10] += 1000
    first, second = (
        TargetEncoded(["c"]).fit_transform(frame, Target(label=label, task=NUMBER, seed=0))[10, 0]
        for label in (y, changed)
    )
    assert first == second


def test_noise_categories_get_no_signal() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"c": [f"level {one}" for one in rng.integers(200, size=400)]})
    y = rng.normal(size=400)
    encoded = TargetEncoded(["c"]).fit_transform(frame, Target(label=y, task=NUMBER, seed=0))[:, 0]
    assert abs(np.corrcoef(encoded, y)[0, 1]) < 0.15


def test_constructions_find_a_ratio_and_treat_rows_alone() -> None:
    frame, _ = rows(1, 400, 4)
    y = frame["x"].to_numpy() / (frame["z"].to_numpy() ** 2 + 0.5) ** 0.5
    y = np.sign(frame["x"] * frame["z"]).to_numpy() + 0.01 * y
    block = Constructions(["x", "z"], ["c"])
    fitted = block.fit_transform(frame, Target(label=y, task=NUMBER, seed=0))
    assert any("x x z" in name or "x / z" in name or "z / x" in name or "z x x" in name for name in block.names)
    assert fitted.shape == (400, len(block.names))
    together, alone = block.transform(frame.iloc[:5]), block.transform(frame.iloc[[3]].reset_index(drop=True))
    np.testing.assert_array_equal(together[3:4], alone)


def test_several_classes_have_a_column_each() -> None:
    frame, _ = rows(2, 90, 3)
    task = Task(kind="multiclass", metric="log_loss", classes=("a", "b", "c"))
    block = TargetEncoded(["c"])
    encoded = block.fit_transform(frame, Target(label=np.arange(90) % 3.0, task=task, seed=0))
    assert encoded.shape == (90, 3) == (90, len(block.names))


def test_rare_unknown_and_missing_levels_have_codes_of_their_own() -> None:
    fitted = CategoryCodes(["level"], max_levels=2)
    fitted.fit_transform(pd.DataFrame({"level": ["a", "b", "b", "c", None, "b", "a"]}), None)  # type: ignore[arg-type]
    codes = fitted.transform(pd.DataFrame({"level": ["a", "b", "c", "d", None, np.nan]}))
    assert codes[:4, 0].tolist() == [1.0, 0.0, 2.0, 2.0]
    assert np.isnan(codes[4:, 0]).all()


LEVELS = st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "é", "", "nan", "None", "0"])), max_size=30)


@settings(deadline=None, max_examples=60)
@given(LEVELS, st.dictionaries(st.sampled_from(["a", "b", "", "nan", "0"]), st.floats(width=16), max_size=5))
def test_numbers_of_levels_are_those_of_pandas(levels: list[Any], numbers: dict[str, float]) -> None:
    values, other = pd.Series(levels, dtype=object), 7.5
    expected = values.map(numbers).astype(np.float64).where(values.isin(numbers.keys()) | values.isna(), other)
    np.testing.assert_array_equal(level_numbers(values, numbers, other=other), expected)
