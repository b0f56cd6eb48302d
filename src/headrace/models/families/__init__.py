"""The catalogue of model families: built-in ones, those of installed packages, those that a problem hands over.

A new built-in one is a file here and a line below. Each passes `headrace.testing.families`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headrace.core.errors import NotFoundError
from headrace.core.extensions import Catalogue
from headrace.models.families.lightgbm import LightGBM
from headrace.models.families.linear import Linear
from headrace.models.families.protocol import Family, Fitted, Learner
from headrace.models.space import Choice, Config, Space

FAMILIES: Catalogue[Family] = Catalogue("family", {family.name: family for family in (LightGBM(), Linear())})

__all__ = ["FAMILIES", "Family", "Fitted", "Learner", "family_named", "split_config", "study_space", "warm_start"]


def study_space(families: Iterable[str] = FAMILIES.built_in) -> Space:
    """One space over these families (the built-in ones by default): which one, and only then its own parameters."""
    return Space({"family": Choice({name: family_named(name).space() for name in families})})


def warm_start(families: Iterable[str] = FAMILIES.built_in) -> tuple[Config, ...]:
    """Configs that a study tries first: each family's default, the strongest family first, then the others."""
    asked = [(name, family_named(name)) for name in families]
    defaults = [(name, family.default()) for name, family in asked]
    others = [(name, config) for name, family in asked for config in family.others()]
    return tuple(
        {"family": name, **{f"{name}.{key}": value for key, value in config.items()}}
        for name, config in (*defaults, *others)
    )


def family_named(name: str) -> Family:
    """The family of that name.

    Raises:
        NotFoundError: for an unknown name.
    """
    return FAMILIES.named(name, where="models", unknown=NotFoundError)


def split_config(config: Mapping[str, Any]) -> tuple[Family, Config]:
    """The family that a study's config names, and that family's own config."""
    name = str(config["family"])
    prefix = f"{name}."
    own = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    return family_named(name), own
