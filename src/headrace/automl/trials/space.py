"""The joint space of a table: family, its parameters, its preparation, the scale of the target; and the start list."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.task.task import Floats, Task
from headrace.core.fingerprint import fingerprint
from headrace.models.space import Categorical, Choice, Config, Parameter, Space
from headrace.search.space import config_errors

#: Skewness above which the logarithm of a target is a choice.
_SKEWED = 1.0
#: Share of the rarest class below which balanced class weights are a choice.
_RARE = 0.1
#: Parameters that only some targets have.
_OF_TARGET = ("target_scale", "class_weight")
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


def joint_space(families: Sequence[str], task: Task, label: Floats, *, constructions: bool = True) -> Space:
    """Return the space of a search.

    Args:
        families: Names of the families.
        task: The task.
        label: Labels [n]: a skewed target adds `target_scale`, a rare class adds `class_weight`.
        constructions: Whether constructed columns are a choice.
    """
    options = {name: TABLE_FAMILIES[name].space(task) for name in families}
    if not constructions:
        options = {name: _without_constructions(space) for name, space in options.items()}
    return Space({"family": Choice(options), **_target_parameters(task, label)})


def _without_constructions(space: Space) -> Space:
    return Space({name: parameter for name, parameter in space.parameters.items() if name != "constructions"})


def start_list(
    families: Sequence[str],
    task: Task,
    label: Floats,
    portfolio: Sequence[Config] | None = None,
    *,
    constructions: bool = True,
) -> tuple[Config, ...]:
    """Return the first configs of a search: a portfolio where there is one, else the defaults and some variants.

    Args:
        families: Names of the families, in the order of the starts.
        task: The task.
        label: Labels [n].
        portfolio: Configs of the joint space, best first; those that do not fit the space are left out.
        constructions: Whether constructed columns are a choice.
    """
    space = joint_space(families, task, label, constructions=constructions)
    configs = [adapted(config, task, label) for config in portfolio or written_starts(families)]
    if not constructions:
        configs = [{key: value for key, value in config.items() if "constructions" not in key} for config in configs]
    different = {fingerprint(config): config for config in configs if not config_errors(space, config)}
    return tuple(different.values())


def written_starts(families: Sequence[str]) -> tuple[Config, ...]:
    """Return the start list that was written by hand: the families' defaults, then some variants."""
    own = [(name, TABLE_FAMILIES[name].default()) for name in families]
    own += [(name, {**TABLE_FAMILIES[name].default(), **changes}) for name, changes in _VARIANTS if name in families]
    return tuple({"family": name, **{f"{name}.{key}": value for key, value in config.items()}} for name, config in own)


def adapted(config: Config, task: Task, label: Floats) -> Config:
    """Return a config of another data set with the parameters of the target that this data set has.

    A parameter that the family has gained since gets its default.

    Args:
        config: A config; its parameters of the target are kept where this data set has them.
        task: The task.
        label: Labels [n].
    """
    family = str(config["family"])
    defaults = {f"{family}.{key}": value for key, value in TABLE_FAMILIES[family].default().items()}
    own = _start_values(task, label)
    kept = {name: value for name, value in config.items() if name not in _OF_TARGET or name in own}
    return {**{name: values[0] for name, values in own.items()}, **defaults, **kept}


def _start_values(task: Task, label: Floats) -> dict[str, tuple[str, ...]]:
    """Return the parameters of the target and their values, the default first."""
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


def _target_parameters(task: Task, label: Floats) -> dict[str, Parameter]:
    return {name: Categorical(values) for name, values in _start_values(task, label).items()}


def _skewness(label: Floats) -> float:
    spread = float(label.std())
    return float((((label - label.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
