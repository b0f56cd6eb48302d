"""Selection on small tables: weak signals stay, noise goes, and a model always has features."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kruskal, rankdata

from headrace.synthesis.language.definitions import RowColumn
from headrace.synthesis.selection.association import associated
from headrace.synthesis.selection.select import Selection, select

COPIES, NOISE = 24, 100


def chosen(rows: int, *, seed: int, binary: bool, events: float = 0.5) -> Selection:
    """Select among columns that are noisy measurements of what drives the label, as lookbacks are, and noise."""
    rng = np.random.default_rng(seed)
    form = rng.normal(size=rows)
    columns = {f"signal{i}": form + 1.5 * rng.normal(size=rows) for i in range(COPIES)}
    columns |= {f"noise{i}": rng.normal(size=rows) for i in range(NOISE)}
    label = 0.7 * form + rng.normal(size=rows)
    definitions = tuple(RowColumn(column=name, kind="numeric") for name in columns)
    target = (label > np.quantile(label, 1 - events)).astype(np.float64) if binary else label
    return select(pa.table(columns), target, definitions, max_features=120, seed=seed, threads=1)


def kept(selection: Selection, prefix: str) -> int:
    return sum(item.slug.startswith(prefix) for item in selection.kept)


@pytest.mark.parametrize(("rows", "least"), [(300, 14), (500, 20)])
@pytest.mark.parametrize("binary", [False, True])
def test_noisy_measurements_of_one_signal_stay_in_a_small_table(rows: int, least: int, binary: bool) -> None:
    selection = chosen(rows, seed=0, binary=binary)
    assert kept(selection, "signal") >= least
    assert kept(selection, "noise") <= 0.15 * NOISE


def test_many_rows_with_few_events_are_a_small_table() -> None:
    selection = chosen(8_000, seed=0, binary=True, events=0.02)
    assert kept(selection, "signal") >= 20
    assert kept(selection, "noise") <= 0.15 * NOISE


@pytest.mark.parametrize(("rows", "columns"), [(150, 10), (6_000, 5)])
def test_where_nothing_is_better_than_noise_the_best_few_stay(rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    matrix = pa.table({f"noise{i}": rng.normal(size=rows) for i in range(columns)})
    definitions = tuple(RowColumn(column=name, kind="numeric") for name in matrix.column_names)
    label = (rng.random(rows) < 0.5).astype(np.float64)
    assert 1 <= len(select(matrix, label, definitions, max_features=120, seed=0, threads=1).kept) <= 10


def test_of_many_associated_features_a_share_of_the_rows_stays() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=150)
    columns = {f"copy{i}": base + 0.8 * rng.normal(size=150) for i in range(80)}
    definitions = tuple(RowColumn(column=name, kind="numeric") for name in columns)
    label = base + 0.3 * rng.normal(size=150)
    selection = select(pa.table(columns), label, definitions, max_features=120, seed=0, threads=1)
    by_rank_test = [entry for entry in selection.ledger if entry["kept"] and entry["agreement"] <= 0.5]
    assert 0 < len(by_rank_test) <= 10  # 150 rows / 15
    left_out = [entry["contribution"] for entry in selection.ledger if not entry["kept"]]
    assert left_out
    assert max(left_out) <= min(entry["contribution"] for entry in by_rank_test)


def spearman_p(x: np.ndarray, y: np.ndarray) -> float:
    """The p-value by its textbook formula: t = r sqrt((n - 2) / (1 - r^2)), on mean ranks."""
    from scipy.stats import t

    r = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    degrees = len(x) - 2
    return float(2 * t.sf(abs(r) * np.sqrt(degrees / max(1 - r * r, 1e-300)), degrees))


def passed_by_the_book(p_values: list[float], level: float) -> list[bool]:
    """Benjamini and Hochberg: the largest k with p_(k) <= k / m level; the k smallest pass."""
    m, ordered = len(p_values), sorted(p_values)
    passing = [ordered[k - 1] for k in range(1, m + 1) if ordered[k - 1] <= k / m * level]
    return [p <= max(passing, default=-1.0) for p in p_values]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(25, 120), binary=st.booleans())
def test_the_tests_are_those_of_the_textbook(seed: int, rows: int, binary: bool) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(size=rows)
    values = np.stack([target * scale + rng.normal(size=rows) for scale in (0, 0, 0.3, 0.6, 1, 0)], axis=1).round(1)
    values[:, 5] = rng.integers(0, 3, rows)
    target = (target > np.median(target)).astype(np.float64) if binary else target
    values[rng.random(values.shape) < 0.1] = np.nan
    categorical = np.array([False] * 5 + [True])
    p_values = []
    for column, codes in zip(values.T, categorical, strict=True):
        present = ~np.isnan(column)
        x, y = column[present], target[present]
        if codes:
            groups = [y[x == code] for code in np.unique(x) if (x == code).sum() >= 5]
            p_values.append(float(kruskal(*groups).pvalue) if len(groups) > 1 else 1.0)
        else:
            p_values.append(spearman_p(x, y) if len(x) >= 20 else 1.0)
    np.testing.assert_array_equal(associated(values, categorical, target), passed_by_the_book(p_values, 0.1))


def test_what_no_test_is_defined_for_is_not_associated() -> None:
    target = np.arange(40.0)
    few = np.where(np.arange(40) < 10, target, np.nan)
    one = np.zeros(40)
    values = np.stack([few, one, one, np.full(40, np.nan), target], axis=1)
    categorical = np.array([False, False, True, True, False])
    assert associated(values, categorical, target).tolist() == [False, False, False, False, True]
    assert not associated(values, categorical, np.zeros(40)).any()
    assert associated(np.empty((40, 0)), np.empty(0, dtype=bool), target).tolist() == []
