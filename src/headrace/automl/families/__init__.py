"""The catalogue of model families for tables, in the order in which a search starts with them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from headrace.automl.families.catboost import TableCatBoost
from headrace.automl.families.lightgbm import TableLightGBM
from headrace.automl.families.network import TableNetworks
from headrace.automl.families.protocol import TableFamily
from headrace.automl.families.sklearn_models import ElasticNetFamily, Forest, Neighbours, SupportVectors, TableLinear
from headrace.automl.families.xgboost import TableXGBoost
from headrace.automl.task.task import Task
from headrace.core.errors import DeclarationError

TABLE_FAMILIES: dict[str, TableFamily] = {
    family.name: family
    for family in (
        TableCatBoost(),
        TableLightGBM(),
        Forest("extra_trees"),
        TableLinear(),
        TableXGBoost(),
        Forest("random_forest"),
        SupportVectors(),
        Neighbours(),
        ElasticNetFamily(),
        TableNetworks("mlp"),
        TableNetworks("tabm"),
        TableNetworks("tabnet"),
    )
}
#: Families of a search that names none. Networks cost many times what trees cost, so a search has to name them.
DEFAULT_FAMILIES = tuple(name for name, family in TABLE_FAMILIES.items() if not isinstance(family, TableNetworks))
#: Module -> extra that has it.
_EXTRAS = {"torch": "neural"}

__all__ = ["DEFAULT_FAMILIES", "TABLE_FAMILIES", "TableFamily", "load_packages", "usable_families"]


def load_packages(names: Sequence[str]) -> None:
    """Import the packages of families that are slow to import: a search does this before it divides its time."""
    for name in names:
        family = TABLE_FAMILIES[name]
        if isinstance(family, TableNetworks):
            family.load_packages()


def usable_families(
    requested: Sequence[str] | None, task: Task, n_rows: int, n_columns: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the families that can be used, and a note for each of the others.

    Args:
        requested: Names; None for all but networks.
        task: The task.
        n_rows: Training rows.
        n_columns: Columns.

    Raises:
        DeclarationError: A name is unknown, or no family can be used.
    """
    names = DEFAULT_FAMILIES if requested is None else tuple(requested)
    unknown = [name for name in names if name not in TABLE_FAMILIES]
    if unknown:
        raise DeclarationError(f"no family {unknown[0]!r}", where="families", found=TABLE_FAMILIES)
    usable, notes = [], []
    for name in names:
        family = TABLE_FAMILIES[name]
        if importlib.util.find_spec(family.module) is None:
            extra = _EXTRAS.get(family.module, "automl")
            notes.append(f"family {name} is left out: package {family.module} is not installed (headrace[{extra}])")
        elif reason := family.refuses(task, n_rows, n_columns):
            notes.append(f"family {name} is left out: {reason}")
        else:
            usable.append(name)
    if not usable:
        raise DeclarationError("no family can be used", where="families", found=notes)
    return tuple(usable), tuple(notes)
