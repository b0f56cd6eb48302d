"""The hindsight optimum: equal to the enumeration of all sets of retrains, and never above any policy's loss."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.replay.hindsight import hindsight
from headrace.replay.walk import calendar, chosen, walk_rule
from tests.replay.tables_of_losses import aging, table


def of_every_set(loss: np.ndarray, first: int, most: int) -> list[float]:
    """The obvious way: the loss of every set of at most so many retrains."""
    least = []
    for count in range(most + 1):
        totals = []
        for size in range(count + 1):
            for retrains in combinations(range(first + 1, len(loss)), size):
                champion, total = first, 0.0
                for period in range(first, len(loss)):
                    champion = period if period in retrains else champion
                    total += loss[champion, period]
                totals.append(total)
        least.append(min(totals))
    return least


@settings(max_examples=40, deadline=None)
@given(models=st.integers(2, 8), first=st.integers(0, 3), most=st.integers(0, 5), seed=st.integers(0, 1000))
def test_the_optimum_is_that_of_all_sets(models: int, first: int, most: int, seed: int) -> None:
    first = min(first, models - 1)
    loss = aging(models, seed)
    found = hindsight(loss, first, most)
    assert [one.loss for one in found] == pytest.approx(of_every_set(loss, first, most))
    assert all(len(one.retrains) <= count for count, one in enumerate(found))


def test_the_retrains_of_an_optimum_lose_what_it_says() -> None:
    losses = table()
    for one in hindsight(losses.loss, losses.first, 4):
        walk = walk_rule("hindsight", chosen(one.retrains), losses)
        lost = sum(losses.loss[model, period] for period, model in zip(losses.periods, walk.champions, strict=True))
        assert lost == pytest.approx(one.loss)
        assert walk.promoted == len(one.retrains)


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_no_calendar_loses_less_than_the_optimum_of_as_many(every: int) -> None:
    losses = table(seed=every)
    walk = walk_rule("calendar", calendar(every), losses)
    optimum = hindsight(losses.loss, losses.first, walk.promoted)[walk.promoted]
    lost = sum(losses.loss[model, period] for period, model in zip(losses.periods, walk.champions, strict=True))
    assert optimum.loss <= lost + 1e-9
