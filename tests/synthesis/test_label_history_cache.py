"""The label history of a grown history: what is reused equals what is derived from all rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.schema import Problem
from headrace.synthesis.engines import LocalEngine
from headrace.synthesis.history import label_history_cache as cache
from headrace.synthesis.history.label_history import label_history_rows
from headrace.synthesis.language.engine import Tables
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_world import World, at
from tests.synthesis.test_label_history import PROBLEMS, definitions

seeds = st.integers(0, 2**32)


def growing(seed: int, parts: int) -> list[World]:
    """A random world whose tables grow at their end: late rows, corrections and moved keys among the later rows."""
    whole, rng = random_world(seed), np.random.default_rng(seed)
    cuts = {name: np.sort(rng.integers(0, len(rows) + 1, parts - 1)) for name, rows in whole.rows.items()}
    first = [World({name: rows[: cuts[name][part]] for name, rows in whole.rows.items()}) for part in range(parts - 1)]
    return [*first, whole]


@pytest.mark.parametrize("declared", PROBLEMS.values(), ids=PROBLEMS)
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_what_is_reused_is_what_would_be_derived(declared: Problem, seed: int) -> None:
    cache.forget()
    for world in growing(seed, 3):
        assert cache.cached_label_history(declared, world).equals(label_history_rows(declared, world))


def test_only_entities_that_new_rows_name_are_derived_again(monkeypatch: pytest.MonkeyPatch) -> None:
    declared, hours = PROBLEMS["counted"], (("a", 1.5), ("a", 4), ("b", 2), ("a", 20), ("b", 6))
    visits = [
        {"visit_id": number, "visitor": who, "page": "home", "seconds": 1.0, "at": at(hour)}
        for number, (who, hour) in enumerate(hours)
    ]
    before, whole = World({"visits": visits[:-1]}), World({"visits": visits})
    derived: list[int] = []

    def counted(problem: Problem, snapshot: Tables) -> pa.Table:
        rows = label_history_rows(problem, snapshot)
        derived.append(rows.num_rows)
        return rows

    monkeypatch.setattr(cache, "label_history_rows", counted)
    cache.forget()
    first = cache.cached_label_history(declared, before)
    assert cache.cached_label_history(declared, before) is first
    assert cache.cached_label_history(declared, whole).equals(label_history_rows(declared, whole))
    assert derived[0] == first.num_rows
    assert 0 < derived[1] < derived[0]
    assert len(derived) == 2


def test_rows_that_are_not_those_of_before_derive_everything_again() -> None:
    declared = PROBLEMS["counted"]
    one, other = random_world(1), random_world(2)
    cache.forget()
    cache.cached_label_history(declared, one)
    assert cache.cached_label_history(declared, other).equals(label_history_rows(declared, other))
    shorter = World({**other.rows, "visits": other.rows["visits"][:2]})
    assert cache.cached_label_history(declared, shorter).equals(label_history_rows(declared, shorter))


def test_problems_that_derive_other_labels_share_nothing() -> None:
    world, counted = random_world(5), PROBLEMS["counted"]
    stricter = replace(counted, label='count("visits", horizon="4h") > 1')
    cache.forget()
    for declared in (counted, stricter, PROBLEMS["observed"]):
        assert cache.cached_label_history(declared, world).equals(label_history_rows(declared, world))


@settings(max_examples=5, deadline=None)
@given(seed=seeds, query_seed=seeds)
def test_features_do_not_depend_on_what_was_computed_before(seed: int, query_seed: int) -> None:
    declared, worlds = PROBLEMS["counted"], growing(seed, 3)
    keys = random_queries(query_seed, most=6).select(["customer", "tick"])
    cache.forget()
    values = [LocalEngine().compute(declared, definitions(declared), keys, world) for world in worlds][-1]
    cache.forget()
    assert values.equals(LocalEngine().compute(declared, definitions(declared), keys, worlds[-1]))
