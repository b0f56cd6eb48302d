"""Recommendations: what each user had before is found again, and nothing after a cutoff matters."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.recommendation.interactions import Interactions, interactions_of
from headrace.recommendation.pair_features import Attributes
from headrace.recommendation.precision import list_metrics
from headrace.recommendation.recommender import Requests, World, popular_lists, recommend

USERS, ITEMS, WEEKS, PERIOD = 60, 40, 12, 7


def bought(later: int = 0) -> Interactions:
    """Each user buys items of its own group of four; after week 10 items are shifted by `later`."""
    rng = np.random.default_rng(0)
    user = rng.integers(0, USERS, 6_000)
    at = np.sort(rng.integers(0, WEEKS * PERIOD, 6_000))
    item = (user % 10) * 4 + rng.integers(0, 4, 6_000)
    item = np.where(at > 10 * PERIOD, (item + later) % ITEMS, item)
    return interactions_of("bought", user, item, at, USERS, ITEMS)


def requests(kind: Interactions, weeks: range) -> Requests:
    """Every user at the end of each week, with what it buys in the next."""
    rows = [(user, week * PERIOD) for week in weeks for user in range(USERS)]
    after = [kind.until(cutoff + PERIOD, cutoff) for _, cutoff in rows]
    items = [np.unique(one.item[one.user == user]) for (user, _), one in zip(rows, after, strict=True)]
    return Requests(user=np.array([u for u, _ in rows]), cutoff_us=np.array([c for _, c in rows]), items=items)


def world(kind: Interactions) -> World:
    groups = Attributes(groups={"group": np.arange(ITEMS) // 4}, numbers={"price": np.arange(ITEMS, dtype=float)})
    return World(kinds=(kind,), users=Attributes(), items=groups, period_us=PERIOD)


def asked(kind: Interactions) -> np.ndarray:
    made = recommend(world(kind), requests(kind, range(4, 9)), requests(kind, range(9, 10)),
                     requests(kind, range(10, 11)), k=4)  # fmt: skip
    return made.lists


def test_own_items_come_before_popular_ones() -> None:
    kind = bought()
    test = requests(kind, range(10, 11))
    ours = list_metrics(asked(kind), test.items)["map"]
    assert ours > 0.9
    assert ours > 3 * list_metrics(popular_lists(world(kind), test, 4), test.items)["map"]


def test_interactions_after_the_cutoff_change_nothing() -> None:
    np.testing.assert_array_equal(asked(bought()), asked(bought(later=17)))


def test_a_list_has_no_item_twice() -> None:
    assert all(len(set(row)) == len(row) for row in asked(bought()).tolist())


@pytest.mark.parametrize("seconds", [0.01, 60.0])
def test_a_time_limit_takes_fewer_rows(seconds: float) -> None:
    kind = bought()
    made = recommend(world(kind), requests(kind, range(1, 9)), requests(kind, range(9, 10)),
                     requests(kind, range(10, 11)), k=4, seconds=seconds)  # fmt: skip
    assert made.train_rows - USERS == (480 if seconds == 60.0 else pytest.approx(480, abs=240))
    assert list_metrics(made.lists, requests(kind, range(10, 11)).items)["map"] > 0.7
