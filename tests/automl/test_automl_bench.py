"""The replay of searches from a matrix, and the summary of the comparison with other systems, on cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.automl.losses import constant_loss, loss_of
from benchmarks.automl.summary import Results, rows_of
from benchmarks.automl.systems import AUTOGLUON, CHEAP, HEADRACE, LIGHTGBM
from benchmarks.automl.tables import TABLES
from benchmarks.portfolio.replay import TableReplay
from benchmarks.portfolio.tables import SOURCES
from headrace.automl.starts.matrix import Matrix


def matrix() -> Matrix:
    """Two data sets, four configurations; the first was written by hand. Two share their preparation."""
    configs = (
        {"family": "linear", "linear.scale": "standard", "linear.strength": 1.0},
        {"family": "linear", "linear.scale": "standard", "linear.strength": 2.0},
        {"family": "linear", "linear.scale": "quantile", "linear.strength": 1.0},
        {"family": "linear", "linear.scale": "quantile", "linear.strength": 2.0},
    )
    losses = np.array([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    return Matrix(
        configs=configs, tables=("a", "b"), losses=losses, test_losses=losses[:, ::-1], seconds=np.full((2, 4), 2.0),
        prepare_s=np.ones((2, 4)), properties=np.zeros((2, 1)), random=np.array([False, True, True, True]), recipe={},
    )  # fmt: skip


def test_a_replay_charges_a_preparation_once_and_keeps_the_best() -> None:
    table_replay = TableReplay(matrix=matrix(), table="a")
    unit = table_replay.unit(0)
    assert unit == pytest.approx((3 * 2.0 + 2 * 1.0) / 3)  # two preparations among three random trials
    replay = table_replay.search([0, 1], 0)
    assert replay.spent[:2] * unit == pytest.approx([3.0, 5.0])
    assert replay.loss[:2] == pytest.approx([1.0, 1.0])  # both are no better than the median
    assert replay.loss[-1] == 0.0
    assert replay.test[-1] == pytest.approx(2.0)  # the least loss has the largest test loss
    assert replay.at(0.0) == 1.0
    assert replay.cost_of(0.0) <= replay.spent[-1]
    assert replay.cost_of(-1.0) == float("inf")


def test_random_search_of_a_replay_draws_random_configurations_only() -> None:
    orders = [TableReplay(matrix=matrix(), table="b").random_order(seed) for seed in range(8)]
    assert all(sorted(order) == [1, 2, 3] for order in orders)
    assert len({tuple(order) for order in orders}) > 1


def run(table: str, system: str, loss: float | None, **facts: object) -> dict[str, object]:
    return {"table": table, "fold": 0, "system": system, "mode": "random", "loss": loss, "constant_loss": 0.5,
            "fit_s": 60.0, "predict_us": 10.0, **facts}  # fmt: skip


def test_the_summary_of_runs_by_hand() -> None:
    runs = [
        run("one", HEADRACE, 0.2), run("one", AUTOGLUON, 0.3, predict_us=1000.0), run("one", LIGHTGBM, 0.2),
        run("one", CHEAP, 0.21), run("two", HEADRACE, 0.4), run("two", AUTOGLUON, None), run("two", LIGHTGBM, 0.3),
        run("three", AUTOGLUON, 0.1),
    ]  # fmt: skip
    rows = {row.metric.split(" (")[0]: row for row in rows_of(Results.of(runs, "make"))}
    assert rows["random rows: Headrace beats AutoGluon best quality"].value == 1.0
    assert rows["random rows: Headrace beats AutoGluon best quality"].unit == "of 1 tables"  # a failed run is left out
    assert rows["random rows: Headrace beats LightGBM default"].value == 0.25
    assert rows["random rows: normalised loss of Headrace"].value == pytest.approx((0 + 1 / 2) / 2)
    assert rows["random rows: normalised loss of AutoGluon best quality"].value == pytest.approx(1 / 3)
    assert rows["time to predict: AutoGluon / Headrace, cost-aware"].value == pytest.approx(100)
    assert rows["normalised loss that cost-aware mode adds"].value == pytest.approx(0.01 / 0.3)
    assert rows["failed runs"].value == 1


def test_losses_have_one_direction() -> None:
    label = np.array([0.0, 1.0, 1.0, 0.0])
    right = np.array([0.1, 0.9, 0.8, 0.2])
    assert loss_of(label, np.column_stack([1 - right, right])) == 0.0
    assert constant_loss(label, label, 2) == 0.5
    assert loss_of(label, label[:, None]) == 0.0
    assert constant_loss(label, label, 0) == pytest.approx(0.5)
    assert constant_loss(np.array([0.0, 1, 2]), np.array([0.0, 1, 2]), 3) == pytest.approx(np.log(3))


def test_no_table_of_the_comparison_is_in_the_matrix() -> None:
    assert not {table.name for table in TABLES} & {source.name for source in SOURCES}
    assert len(TABLES) == len({table.name for table in TABLES})
