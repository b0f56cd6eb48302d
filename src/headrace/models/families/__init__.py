"""The catalogue of model families by name: built-in ones, those of installed packages, those that a problem declares.

A new built-in family is one file here and one line below. Every family passes `headrace.testing.families`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.core.errors import DeclarationError, NotFoundError
from headrace.core.extensions import Catalogue
from headrace.models.design import MAX_CATEGORIES
from headrace.models.families.catboost import CatBoost
from headrace.models.families.lightgbm import LightGBM
from headrace.models.families.linear import Linear
from headrace.models.families.protocol import Family, Fitted, Learner
from headrace.models.families.xgboost import XGBoost
from headrace.models.space import Choice, Config, Space

FAMILIES: Catalogue[Family] = Catalogue(
    "family", {family.name: family for family in (LightGBM(), Linear(), XGBoost(), CatBoost())}
)
#: The families of a study whose problem names none. The others need a package of `headrace[automl]`.
DEFAULT_FAMILIES = ("lightgbm", "linear")

__all__ = [
    "DEFAULT_FAMILIES",
    "FAMILIES",
    "Family",
    "Fitted",
    "Learner",
    "category_limit",
    "get_family",
    "require_package",
    "split_config",
    "study_space",
    "warm_start",
]


def study_space(families: Iterable[str] = DEFAULT_FAMILIES) -> Space:
    """Return the space of a study: the choice of a family, and the parameters of each one."""
    return Space({"family": Choice({name: get_family(name).space() for name in families})})


def warm_start(families: Iterable[str] = DEFAULT_FAMILIES) -> tuple[Config, ...]:
    """Return the first configs of a study: the default of each family, then their extra configs."""
    chosen = [(name, get_family(name)) for name in families]
    defaults = [(name, family.default()) for name, family in chosen]
    extra_configs = [(name, config) for name, family in chosen for config in family.extra_configs()]
    return tuple(
        {"family": name, **{f"{name}.{key}": value for key, value in config.items()}}
        for name, config in (*defaults, *extra_configs)
    )


def category_limit(families: Iterable[str]) -> int:
    """Return the longest category list that all these families can use (`max_categories`, of trees 250)."""
    names = tuple(families) or DEFAULT_FAMILIES
    return min(int(getattr(get_family(name), "max_categories", MAX_CATEGORIES)) for name in names)


def get_family(name: str) -> Family:
    """Return a family of the catalogue.

    Raises:
        NotFoundError: No family has this name.
    """
    return FAMILIES.named(name, where="models", unknown=NotFoundError)


def require_package(name: str, *, where: str) -> None:
    """Check that the package of a family is installed.

    Raises:
        DeclarationError: It is not.
    """
    family = get_family(name)
    module = getattr(family, "module", None)
    if module is not None and importlib.util.find_spec(module) is None:
        extra = getattr(family, "extra", "automl")
        raise DeclarationError(
            f"family {name!r} needs the package {module}", where=where, fix=f"pip install 'headrace[{extra}]'"
        )


def split_config(config: Mapping[str, Any]) -> tuple[Family, Config]:
    """Split a study's config into its family and the family's own config."""
    name = str(config["family"])
    prefix = f"{name}."
    family_config = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    return get_family(name), family_config
