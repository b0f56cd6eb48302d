"""Counts of interactions, the best pairs of a row and the metrics of lists, beside plain twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relbench import metrics

from headrace.recommendation.interactions import (
    LENGTHS,
    Interactions,
    best_per_row,
    interactions_of,
    pair_counts,
    past_of,
)
from headrace.recommendation.precision import list_metrics

USERS, ITEMS, PERIOD = 4, 5, 10
ROWS = st.lists(st.tuples(st.integers(-1, USERS), st.integers(-1, ITEMS), st.integers(0, 60)), max_size=40)


def made(rows: list[tuple[int, int, int]]) -> Interactions:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return interactions_of("bought", columns[:, 0], columns[:, 1], columns[:, 2], USERS, ITEMS)


def valid(rows: list[tuple[int, int, int]], instant: int) -> list[tuple[int, int, int]]:
    return [(u, i, at) for u, i, at in rows if 0 <= u < USERS and 0 <= i < ITEMS and at <= instant]


@settings(deadline=None)
@given(rows=ROWS, instant=st.integers(0, 60), asked=st.permutations(range(USERS)), n=st.integers(1, USERS))
def test_pairs_are_counted_up_to_the_instant(
    rows: list[tuple[int, int, int]], instant: int, asked: list[int], n: int
) -> None:
    users = np.array(asked[:n])
    found = pair_counts(past_of(made(rows), instant, PERIOD), users)
    expected = {}
    for row, user in enumerate(users.tolist()):
        for item in range(ITEMS):
            times = [at for u, i, at in valid(rows, instant) if (u, i) == (user, item)]
            if times:
                expected[row * ITEMS + item] = (len(times), max(times))
    assert found.pair.tolist() == sorted(expected)
    assert list(zip(found.count, found.last_us, strict=True)) == [expected[pair] for pair in sorted(expected)]


@settings(deadline=None)
@given(rows=ROWS, instant=st.integers(0, 60))
def test_items_and_users_are_counted_over_periods(rows: list[tuple[int, int, int]], instant: int) -> None:
    past = past_of(made(rows), instant, PERIOD)
    for length in LENGTHS:
        inside = [one for one in valid(rows, instant) if length is None or one[2] > instant - length * PERIOD]
        assert past.item_counts[length].tolist() == [sum(i == item for _, i, _ in inside) for item in range(ITEMS)]
        assert past.user_counts[length].tolist() == [sum(u == user for u, _, _ in inside) for user in range(USERS)]
    for item in range(ITEMS):
        times = [at for _, i, at in valid(rows, instant) if i == item]
        expected = (instant - max(times)) / PERIOD if times else np.nan
        np.testing.assert_equal(past.item_age[item], expected)


@settings(deadline=None)
@given(
    scored=st.dictionaries(st.integers(0, 3 * ITEMS - 1), st.floats(-2, 2, allow_nan=False), max_size=15),
    most=st.integers(1, 4),
)
def test_the_best_pairs_of_each_row(scored: dict[int, float], most: int) -> None:
    pair, score = np.array(list(scored), dtype=np.int64), np.array(list(scored.values()), dtype=np.float64)
    best = set(pair[best_per_row(pair, score, ITEMS, most)].tolist())
    for row in range(3):
        of_row = sorted((-value, one) for one, value in scored.items() if one // ITEMS == row)
        assert {one for _, one in of_row[:most]} == {one for one in best if one // ITEMS == row}


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.permutations(range(8)), st.sets(st.integers(0, 12), max_size=6)), min_size=1, max_size=8
    ),
    k=st.integers(1, 8),
)
def test_mean_average_precision_is_that_of_relbench(rows: list[tuple[list[int], set[int]]], k: int) -> None:
    lists = np.array([order[:k] for order, _ in rows])
    truth = [np.array(sorted(items), dtype=np.int64) for _, items in rows]
    found = list_metrics(lists, truth)
    if not any(map(len, truth)):
        assert found == {}
        return
    hits = np.stack([np.isin(row, items) for row, items in zip(lists, truth, strict=True)])
    assert found["map"] == pytest.approx(metrics.map(hits, np.array([len(items) for items in truth])))


def test_recall_and_reciprocal_rank_by_hand() -> None:
    found = list_metrics(np.array([[3, 1, -1], [4, 5, 6]]), [np.array([1, 2]), np.array([9])])
    assert found == {"map": pytest.approx(0.125), "recall": pytest.approx(0.25), "mrr": pytest.approx(0.25)}
