"""The portfolio and the warm start against their obvious twins; properties of data sets; the shipped matrix."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.automl.families import DEFAULT_FAMILIES, TABLE_FAMILIES
from headrace.automl.options import Options
from headrace.automl.searching import family_turns
from headrace.automl.starts.first_configs import first_configs, with_every_family, with_new_parameters
from headrace.automl.starts.greedy import greedy_choice
from headrace.automl.starts.matrix import Matrix, shipped_matrix
from headrace.automl.starts.properties import PROPERTIES, similarities, table_properties
from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData
from headrace.automl.trials.family_turns import FamilyTurns
from headrace.automl.trials.space import joint_space, start_list
from headrace.automl.validation.folds import make_folds
from headrace.search.searchers.gp import GaussianProcessSearcher
from headrace.search.space import config_errors

NUMBER = Task(kind="regression", metric="rmse")
BINARY = Task(kind="binary", metric="auc", classes=(0, 1))


def losses_of(seed: int, tables: int, configs: int) -> Floats:
    return np.random.default_rng(seed).random((tables, configs))


def matrix_of(seed: int, tables: int = 4, configs: int = 16) -> Matrix:
    """A matrix whose configurations take turns between the families."""
    rng = np.random.default_rng(seed)
    names = [family for family, _ in zip(list(TABLE_FAMILIES) * configs, range(configs), strict=False)]
    return Matrix(
        configs=tuple({"family": name, "number": number} for number, name in enumerate(names)),
        tables=tuple(f"table {number}" for number in range(tables)), losses=rng.random((tables, configs)) + 5,
        test_losses=rng.random((tables, configs)), seconds=rng.random((tables, configs)) + 0.1,
        prepare_s=rng.random((tables, configs)), properties=rng.normal(size=(tables, len(PROPERTIES))),
        random=rng.random(configs) < 0.5, recipe={"command": "none"},
    )  # fmt: skip


def obvious(losses: Floats, size: int, weights: Floats, costs: Floats, power: float) -> list[int]:
    """Add the configuration of largest gain per cost, summed table by table."""
    chosen: list[int] = []
    for _ in range(size):
        scores = {}
        for config in set(range(losses.shape[1])) - set(chosen):
            gain = 0.0
            for table, row in enumerate(losses):
                best = min([1.0, *(row[one] for one in chosen)])
                gain += weights[table] * max(best - row[config], 0.0)
            scores[config] = gain / costs[config] ** power
        if max(scores.values()) * costs.max() < 1e-3:  # what follows is chosen by the mean loss
            break
        chosen.append(max(scores, key=lambda config: (scores[config], -config)))
    return chosen


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 9), st.sampled_from([0.0, 0.5, 1.0]))
def test_greedy_choice_equals_its_twin(seed: int, tables: int, configs: int, power: float) -> None:
    losses = losses_of(seed, tables, configs)
    rng = np.random.default_rng(seed + 1)
    weights, costs = rng.random(tables) + 0.01, rng.random(configs) + 0.1
    expected = obvious(losses, configs, weights / weights.sum(), costs, power)
    found = greedy_choice(losses, configs, weights=weights, costs=costs, cost_power=power)
    assert list(found[: len(expected)]) == expected
    assert sorted(found) == list(range(configs))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(3, 8), st.integers(1, 3))
def test_the_greedy_gain_is_at_least_63_percent_of_the_best(seed: int, tables: int, configs: int, size: int) -> None:
    losses = losses_of(seed, tables, configs)

    def gain(chosen: tuple[int, ...]) -> float:
        return float((1 - losses[:, list(chosen)].min(axis=1)).sum())

    best = max(gain(chosen) for chosen in combinations(range(configs), size))
    assert gain(greedy_choice(losses, size)) >= (1 - 1 / np.e) * best


def test_what_was_chosen_before_is_not_chosen_again() -> None:
    losses = losses_of(0, 3, 6)
    assert not set(greedy_choice(losses, 9, chosen=(0, 3))) & {0, 3}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_relative_losses_have_the_best_at_zero_and_do_not_depend_on_the_unit(seed: int) -> None:
    matrix = matrix_of(seed)
    relative = matrix.relative()
    assert (relative.min(axis=1) == 0).all()
    assert relative.max() <= 1
    other = matrix.from_json({**matrix.to_json(), "losses": (1000 * matrix.losses - 3).tolist()})
    assert np.allclose(other.relative(), relative)


def test_a_failed_configuration_counts_as_no_better_than_the_median() -> None:
    matrix = matrix_of(1)
    matrix.losses[0, 2] = np.nan
    assert matrix.relative()[0, 2] == 1.0


def test_on_a_data_set_that_no_configuration_could_learn_none_is_better_than_another() -> None:
    matrix = matrix_of(5)
    matrix.losses[0], matrix.test_losses[0] = np.nan, np.nan
    assert (matrix.relative()[0] == 1.0).all()
    assert (matrix.relative_of_both()[0] == 1.0).all()
    assert first_configs(matrix, tuple(TABLE_FAMILIES), None)


def test_a_configuration_that_is_best_by_chance_is_not_chosen_before_one_that_is_good_twice() -> None:
    matrix = matrix_of(4, tables=3, configs=8)
    matrix.losses[:] = matrix.test_losses[:] = 1.0 + np.arange(8)
    matrix.losses[:, 5], matrix.test_losses[:, 5] = 0.5, 9.0  # lucky in cross-validation
    matrix.seconds[:] = 1.0
    first = first_configs(matrix, tuple(TABLE_FAMILIES), None, portfolio=1)
    assert first == (matrix.configs[0],)
    assert matrix.relative().argmin(axis=1).tolist() == [5, 5, 5]


def test_a_matrix_survives_json() -> None:
    matrix = matrix_of(2)
    matrix.losses[1, 3] = np.nan
    again = Matrix.from_json(matrix.to_json())
    assert again.configs == matrix.configs
    assert np.allclose(again.losses, matrix.losses, rtol=1e-5, equal_nan=True)
    assert "table 1" not in again.without("table 1").tables
    assert {config["family"] for config in again.of_families(("svm",)).configs} == {"svm"}


def test_the_warm_start_prefers_what_was_good_on_similar_data_sets() -> None:
    matrix = matrix_of(3, tables=8, configs=32)
    reached = {"warm": 0.0, "everywhere": 0.0}
    for row, own in enumerate(matrix.properties):
        assert int(np.argmax(similarities(own, matrix.properties))) == row
        for name, sizes in (("warm", {"portfolio": 0, "warm": 2}), ("everywhere", {"portfolio": 2, "warm": 0})):
            first = first_configs(matrix, tuple(TABLE_FAMILIES), own, **sizes)
            reached[name] += matrix.relative()[row, [matrix.configs.index(config) for config in first]].min()
    assert reached["warm"] < 0.8 * reached["everywhere"]


def test_properties_of_a_table() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"a": rng.normal(size=300), "b": rng.choice(["x", "y", "z"], 300), "c": np.where(np.arange(300) % 3, 1.0, None)}
    )
    frame["c"] = frame["c"].astype(float)
    cleaner = Cleaner.fit(frame)
    cleaned = cleaner.transform(frame)
    found = dict(zip(PROPERTIES, table_properties(cleaned, cleaner, NUMBER, 2 * cleaned["a"].to_numpy()), strict=True))
    assert found["log_rows"] == pytest.approx(np.log(300))
    assert found["log_levels"] == pytest.approx(np.log(3))
    assert found["category_share"] == pytest.approx(1 / 3)
    assert found["missing_share"] == pytest.approx(1 / 9)
    assert found["strongest_correlation"] == pytest.approx(1.0)
    label = (np.arange(300) % 10 == 0).astype(float)
    classes = dict(zip(PROPERTIES, table_properties(cleaned, cleaner, BINARY, label), strict=True))
    assert classes["rare_class"] == pytest.approx(0.1)
    assert classes["classes"] == 2


@pytest.mark.parametrize("columns", [["text only"], ["number only"]])
def test_properties_are_finite_where_a_kind_of_column_is_missing(columns: list[str]) -> None:
    values = ["a", "b"] * 20 if columns == ["text only"] else list(range(40))
    frame = pd.DataFrame({columns[0]: values})
    cleaner = Cleaner.fit(frame)
    found = table_properties(cleaner.transform(frame), cleaner, NUMBER, np.arange(40.0))
    assert np.isfinite(found).all()


def test_the_shipped_matrix_gives_starts_of_the_joint_space() -> None:
    matrix = shipped_matrix()
    assert len(matrix.tables) >= 15
    label = np.random.default_rng(0).normal(size=200)
    properties = matrix.properties[0]
    for families in (tuple(TABLE_FAMILIES), ("lightgbm", "linear")):
        first = first_configs(matrix, families, properties)
        starts = start_list(families, NUMBER, label, first)
        assert len(starts) == len({str(start) for start in starts}) >= 5
        space = joint_space(families, NUMBER, label)
        assert not any(config_errors(space, start) for start in starts)
        assert {start["family"] for start in starts} <= set(families)


def test_without_constructions_no_start_and_no_parameter_has_them() -> None:
    label = np.random.default_rng(0).normal(size=200)
    starts = start_list(("lightgbm", "catboost"), NUMBER, label, constructions=False)
    assert len(starts) == len({str(start) for start in starts}) > 2
    assert not any("constructions" in key for start in starts for key in start)


def turns_of(families: tuple[str, ...], task: Task, **options: Any) -> FamilyTurns:
    """What proposes the configs of a small table."""
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["a", "b", "c"])
    cleaner, label = Cleaner.fit(frame), (np.arange(200) % 2).astype(float)
    folds = make_folds("random", label, task, count=5, seed=0)
    data = SearchData(frame=frame, label=label, weight=None, folds=folds, cleaner=cleaner, task=task)
    return family_turns(data, families, Options(trials=1, seconds=None, **options))


def starts_of(families: tuple[str, ...], task: Task) -> list[str]:
    """The families of the first configs of a search, in their order."""
    return [str(config["family"]) for config in turns_of(families, task).first]


def test_a_family_with_few_parameters_is_searched_by_a_process_that_ends() -> None:
    turns = turns_of(("svm", "lightgbm"), NUMBER).turns
    assert isinstance(turns["svm"].searcher, GaussianProcessSearcher)
    assert turns["svm"].most == 50
    assert len(turns["svm"].first) == 10
    assert turns["lightgbm"].searcher.name == "auto"
    assert turns["lightgbm"].most == np.inf
    assert len(turns["lightgbm"].first) == 6


def test_a_searcher_that_was_named_searches_every_family_and_a_list_of_starts_is_the_only_one() -> None:
    turns = turns_of(("svm", "lightgbm"), NUMBER, searcher="random", portfolio=[]).turns
    assert {turn.searcher.name for turn in turns.values()} == {"random"}
    assert [(turn.first, turn.most) for turn in turns.values()] == [((), np.inf)] * 2


@pytest.mark.parametrize("task", [NUMBER, BINARY])
def test_every_family_has_a_start_and_those_of_the_missing_ones_are_the_fifth_and_the_next(task: Task) -> None:
    families = tuple(name for name in DEFAULT_FAMILIES if not TABLE_FAMILIES[name].refuses(task, 200, 3))
    starts = starts_of((*families, "mlp"), task)
    greedy = [str(config["family"]) for config in first_configs(shipped_matrix(), families, None, warm=0)]
    assert set(starts) == {*families, "mlp"}
    assert starts[:4] == greedy[:4]
    assert {"svm", "mlp"} <= set(starts[4:9])
    assert starts.count("mlp") == 1  # the default: the matrix has no network
    assert set(starts_of(("lightgbm", "linear"), task)) == {"lightgbm", "linear"}


@pytest.mark.parametrize("family", DEFAULT_FAMILIES)
def test_the_start_of_a_missing_family_is_its_best_configuration_of_the_matrix(family: str) -> None:
    matrix = shipped_matrix()
    others = tuple(name for name in DEFAULT_FAMILIES if name != family)
    first = first_configs(matrix, others, None)
    starts = with_every_family(first, matrix, DEFAULT_FAMILIES, None)
    (added,) = (config for config in starts if config["family"] == family)
    own = matrix.of_families((family,))
    position = own.configs.index(added)
    means = own.relative_of_both().mean(axis=0)
    assert means[position] == min(means)


def test_parameters_that_the_matrix_lacks_have_each_of_their_values_in_turn() -> None:
    families = ("catboost", "linear", "elastic_net", "catboost", "elastic_net", "catboost")
    gained = with_new_parameters([{"family": family} for family in families])
    assert [config.get("catboost.one_hot_max_size") for config in gained] == [2, None, None, 10, None, 2]
    assert [config.get("elastic_net.loss") for config in gained] == [None, None, "squared", None, "huber", None]
    frame, label = pd.DataFrame({"a": np.arange(100.0), "b": ["x", "y"] * 50}), np.arange(100.0)
    data = SearchData(
        frame=frame,
        label=label,
        weight=None,
        folds=make_folds("random", label, NUMBER, count=5, seed=0),
        cleaner=Cleaner.fit(frame),
        task=NUMBER,
    )
    first = family_turns(data, ("catboost", "lightgbm"), Options(trials=1, seconds=None)).first
    values = [config["catboost.one_hot_max_size"] for config in first if config["family"] == "catboost"]
    assert values[:4] == [2, 10, 2, 10]
