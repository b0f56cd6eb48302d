"""The joint space of a table: family, its parameters, its preparation, the scale of the target; and the start list."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.task.task import Floats, Task
from headrace.core.fingerprint import fingerprint
from headrace.models.space import Categorical, Choice, Config, Parameter, Space
from headrace.search.space import config_errors

#: Skewness above which the logarithm of a target is a choice.
_SKEWED = 1.0
#: Share of the rarest class below which balanced class weights are a choice.
_RARE = 0.1
#: Parameters of the joint space that only some data sets have.
_OF_DATA = ("target_scale", "class_weight", "half_life")
#: Values of `half_life`, shares of the training rows: the weight of a row halves with every such share of newer rows.
HALF_LIVES = {"none": math.inf, "1/2": 1 / 2, "1/4": 1 / 4}
#: Its values in the first configs of a family, in turn; twice each, so that they do not alternate together with those
#: of `starts.first_configs.with_new_parameters`.
_FIRST_HALF_LIVES = ("none", "none", "1/2", "1/2")
#: Families that ignore weights of rows.
_UNWEIGHTED = ("neighbours",)
#: Further starts after the defaults: (family, changes of its default).
_VARIANTS: tuple[tuple[str, Config], ...] = (
    ("catboost", {"constructions": True, "categories": "both"}),
    ("lightgbm", {"extra_trees": True, "learning_rate": 0.03, "feature_fraction": 0.5, "categories": "target"}),
    ("lightgbm", {"constructions": True, "num_leaves": 15, "feature_fraction": 0.5, "min_data_in_leaf": 5}),
    ("catboost", {"depth": 8, "learning_rate": 0.05, "rsm": 0.5, "l2_leaf_reg": 6.0}),
    ("extra_trees", {"max_features": 0.8, "min_samples_leaf": 1, "constructions": True}),
    ("linear", {"strength": 0.02, "scale": "standard"}),
    ("svm", {"strength": 4.0, "scale": "standard"}),
)


def joint_space(
    families: Sequence[str], task: Task, label: Floats, *, constructions: bool = True, ordered: bool = False
) -> Space:
    """Return the space of a search.

    Args:
        families: Names of the families.
        task: The task.
        label: Labels [n]: a skewed target adds `target_scale`, a rare class adds `class_weight`.
        constructions: Whether constructed columns are a choice.
        ordered: Whether rows are ordered by time: adds `half_life`, by which older rows count less in training.
    """
    options = {name: TABLE_FAMILIES[name].space(task) for name in families}
    if not constructions:
        options = {name: _without_constructions(space) for name, space in options.items()}
    weighted = ordered and any(name not in _UNWEIGHTED for name in families)
    return Space({"family": Choice(options), **_data_parameters(task, label, weighted)})


def _without_constructions(space: Space) -> Space:
    return Space({name: parameter for name, parameter in space.parameters.items() if name != "constructions"})


def start_list(
    families: Sequence[str],
    task: Task,
    label: Floats,
    portfolio: Sequence[Config] | None = None,
    *,
    constructions: bool = True,
    ordered: bool = False,
) -> tuple[Config, ...]:
    """Return the first configs of a search: a portfolio where there is one, else the defaults and some variants.

    Args:
        families: Names of the families, in the order of the starts.
        task: The task.
        label: Labels [n].
        portfolio: Configs of the joint space, best first; those that do not fit the space are left out.
        constructions: Whether constructed columns are a choice.
        ordered: Whether rows are ordered by time: half of the configs of a family weight older rows less.
    """
    space = joint_space(families, task, label, constructions=constructions, ordered=ordered)
    first = portfolio or written_starts(families)
    if ordered:
        first = _with_half_lives(first)
    values = _data_values(task, label, ordered)
    configs = [_with_values(config, values) for config in first]
    if not constructions:
        configs = [{key: value for key, value in config.items() if "constructions" not in key} for config in configs]
    different = {fingerprint(config): config for config in configs if not config_errors(space, config)}
    return tuple(different.values())


def written_starts(families: Sequence[str]) -> tuple[Config, ...]:
    """Return the start list that was written by hand: the families' defaults, then some variants."""
    own = [(name, TABLE_FAMILIES[name].default()) for name in families]
    own += [(name, {**TABLE_FAMILIES[name].default(), **changes}) for name, changes in _VARIANTS if name in families]
    return tuple({"family": name, **{f"{name}.{key}": value for key, value in config.items()}} for name, config in own)


def _with_half_lives(configs: Sequence[Config]) -> list[Config]:
    """Return the configs with the half-lives of first configs in turn, for each family; their own are kept."""
    families = {str(config["family"]) for config in configs}
    turns = {family: itertools.cycle(("none",) if family in _UNWEIGHTED else _FIRST_HALF_LIVES) for family in families}
    return [{"half_life": next(turns[str(config["family"])]), **config} for config in configs]


def adapted(config: Config, task: Task, label: Floats, *, ordered: bool = False) -> Config:
    """Return a config of another data set with the parameters of the joint space that this data set has.

    A parameter that the family has gained since gets its default.

    Args:
        config: A config; its parameters are kept where this data set has them.
        task: The task.
        label: Labels [n].
        ordered: Whether rows are ordered by time.
    """
    return _with_values(config, _data_values(task, label, ordered))


def _with_values(config: Config, own: Mapping[str, tuple[str, ...]]) -> Config:
    """Return a config with the parameters of a data set and the defaults of its family where it lacks them."""
    family = str(config["family"])
    defaults = {f"{family}.{key}": value for key, value in TABLE_FAMILIES[family].default().items()}
    kept = {name: value for name, value in config.items() if name not in _OF_DATA or name in own}
    return {**{name: values[0] for name, values in own.items()}, **defaults, **kept}


def _data_values(task: Task, label: Floats, ordered: bool) -> dict[str, tuple[str, ...]]:
    """Return the parameters that this data set has in the joint space, and their values, the default first."""
    return {**_target_values(task, label), **({"half_life": tuple(HALF_LIVES)} if ordered else {})}


def _target_values(task: Task, label: Floats) -> dict[str, tuple[str, ...]]:
    if task.kind == "regression" and task.metric == "rmsle":
        return {}  # always the logarithm
    if task.kind == "regression" and label.min() >= 0 and _skewness(label) > _SKEWED:
        absolute = task.metric in ("mae", "mape")
        return {"target_scale": ("log", "none") if absolute else ("none", "log")}
    if task.classification:
        counts = [(label == position).mean() for position in range(len(task.classes))]
        if min(counts) < _RARE:
            return {"class_weight": ("none", "balanced")}
    return {}


def _data_parameters(task: Task, label: Floats, ordered: bool) -> dict[str, Parameter]:
    return {name: Categorical(values) for name, values in _data_values(task, label, ordered).items()}


def _skewness(label: Floats) -> float:
    spread = float(label.std())
    if spread == 0:
        return 0.0
    z = (label - label.mean()) / spread
    return float((z * z * z).mean())  # a power takes 40 times as long
