"""Bounds of the spaces of families; the configurations of the shipped matrix are inside them."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.starts.matrix import shipped_matrix
from headrace.automl.task.task import Task
from headrace.automl.trials import space as space_module
from headrace.automl.trials.space import adapted, joint_space, start_list
from headrace.search.space import config_errors

NUMBER = Task(kind="regression", metric="rmse")


def test_lightgbm_may_have_few_leaves_few_columns_and_a_small_learning_rate() -> None:
    label = np.random.default_rng(0).normal(size=50)
    own = {**TABLE_FAMILIES["lightgbm"].default(), "num_leaves": 3, "feature_fraction": 0.1, "learning_rate": 0.01}
    config = {"family": "lightgbm", **{f"lightgbm.{name}": value for name, value in own.items()}}
    space = joint_space(("lightgbm",), NUMBER, label)
    assert config_errors(space, config) == []
    assert config_errors(space, {**config, "lightgbm.num_leaves": 2}) != []


def test_every_configuration_of_the_shipped_matrix_fits_the_joint_space() -> None:
    label = np.random.default_rng(0).normal(size=50)
    space = joint_space(tuple(TABLE_FAMILIES), NUMBER, label)
    wrong = [config for config in shipped_matrix().configs if config_errors(space, adapted(config, NUMBER, label))]
    assert wrong == []


def test_the_label_is_looked_at_no_more_often_for_more_first_configurations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels can be millions: what they tell is computed once, not once per configuration."""
    label, looks = np.random.default_rng(0).exponential(size=100), []
    skewness = space_module._skewness
    monkeypatch.setattr(space_module, "_skewness", lambda label: looks.append(1) or skewness(label))
    task, configs = Task(kind="regression", metric="rmse"), shipped_matrix().configs
    counts = []
    for first in (configs[:2], configs):
        looks.clear()
        assert all("target_scale" in config for config in start_list(tuple(TABLE_FAMILIES), task, label, first))
        counts.append(len(looks))
    assert counts[0] == counts[1]
