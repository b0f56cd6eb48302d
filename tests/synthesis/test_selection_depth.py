"""The depth of features is chosen by validation in time: the least one that no deeper one beats clearly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.errors import DeclarationError
from headrace.schema.label_history import LABEL_HISTORY
from headrace.synthesis.candidates.enumerate import enumerate_definitions
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn
from headrace.synthesis.selection.depth import choose_depth, level
from headrace.testing.random_world import random_world
from headrace.testing.shop_world import problem

ROWS = 2_000


def over(value: Definition | None, column: str = "") -> Aggregate:
    return Aggregate(
        entity="customer", table="orders", keys=("customer",), column=column, primitive="mean", lookback_us=None,
        kind="numeric", value=value,
    )  # fmt: skip


FLAT = over(None, "amount")
DEEP = over(Direct(entity="city", table="cities", column="size", kind="numeric"))


def chosen(flat: np.ndarray, deep: np.ndarray, label: np.ndarray) -> tuple[int, list[int]]:
    matrix = pa.table({FLAT.slug: flat, DEEP.slug: deep})
    half = np.arange(ROWS // 2)
    folds = [(half, half + ROWS // 2)]
    depth, results = choose_depth(problem, matrix, label, [FLAT, DEEP], folds, max_features=5, seed=0, threads=1)
    return depth, [item.depth for item in results if item.error == 0 and item.worse == 0]


def test_a_deeper_feature_is_chosen_where_it_predicts_later_rows() -> None:
    rng = np.random.default_rng(0)
    flat, deep = rng.normal(size=(2, ROWS))
    for label in ((flat + 2 * deep + rng.normal(size=ROWS) > 0).astype(np.float64), flat + 2 * deep):
        assert chosen(flat, deep, label) == (2, [2])


def test_the_least_depth_is_chosen_where_deeper_features_add_nothing() -> None:
    rng = np.random.default_rng(1)
    flat, deep = rng.normal(size=(2, ROWS))
    assert chosen(flat, deep, (flat + rng.normal(size=ROWS) > 0).astype(np.float64))[0] == 1


def test_what_predicts_the_training_rows_alone_is_not_chosen() -> None:
    """The deep feature tells the label of the first half of the rows, and its opposite of the later half."""
    rng = np.random.default_rng(2)
    flat = rng.normal(size=ROWS)
    label = (flat + rng.normal(size=ROWS) > 0).astype(np.float64)
    deep = np.where(np.arange(ROWS) < ROWS // 2, 1, -1) * (label - 0.5) + rng.normal(size=ROWS)
    assert chosen(flat, deep, label)[0] == 1


def test_all_candidates_of_a_depth_have_at_most_that_level() -> None:
    world = random_world(0)
    for depth in (1, 2):
        declared = replace(problem, depth=depth, max_candidates=100_000)
        levels = {level(declared, item) for item in enumerate_definitions(declared, world.schemas)}
        assert max(levels) == depth
    assert level(problem, RowColumn(column="amount", kind="numeric")) == 1
    of_group = replace(FLAT, table=LABEL_HISTORY, column="label")
    assert level(problem, Direct(entity="customer", table="c", column="", kind="numeric", value=of_group)) == 1


def test_auto_offers_what_the_largest_depth_offers() -> None:
    schemas = random_world(0).schemas
    auto, three = (replace(problem, depth=depth) for depth in ("auto", 3))
    assert enumerate_definitions(auto, schemas) == enumerate_definitions(three, schemas)
    with pytest.raises(DeclarationError, match="depth='deep' is neither from 1 to 3 nor 'auto'"):
        replace(problem, depth="deep")
