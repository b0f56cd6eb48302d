"""What a declaration says of the features it wants: the names in it are checked, the patterns applied."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headrace.core.errors import DeclarationError
from headrace.schema import Problem
from headrace.synthesis.columns import FEATURE_KINDS, Kinds
from headrace.synthesis.definitions import Definition
from headrace.synthesis.requested import check_primitives, seeds


def check_names(problem: Problem, kinds: Kinds) -> None:
    """DeclarationError where a field names a column or a primitive that is not there or cannot be used so."""
    check_primitives(problem)
    seeds(problem, kinds)
    named = {} if isinstance(problem.where, str) else problem.where
    for field, names in (("ignore", problem.ignore), ("where", named), ("groupby", problem.groupby)):
        for name in names:
            table, _, column = name.partition(".")
            if (table, column) not in kinds:
                raise DeclarationError(
                    f"{field}: no column {name!r}",
                    where=problem.name,
                    found=[other for where, other in kinds if where == table] or [where for where, _ in kinds],
                )
    for name, values in named.items():
        table, _, column = name.partition(".")
        kind = kinds[table, column]
        if kind not in FEATURE_KINDS:
            raise DeclarationError(
                f"where: {name!r} holds no categories, truths or numbers",
                where=problem.name,
                found=[kind],
                fix="give the column a role, or name another",
            )
        given = () if isinstance(values, str) else values
        wrong = [value for value in given if isinstance(value, str) != (kind == "categorical")]
        if wrong:
            raise DeclarationError(
                f"where: {wrong[0]!r} cannot be a value of {name!r}, which is {kind}", where=problem.name
            )


def wanted(problem: Problem, definitions: Iterable[Definition]) -> list[Definition]:
    """Those whose names fit `include` (if there is one) and not `exclude`. A pattern that fits nothing is refused."""
    found = list(definitions)
    names = [definition.name for definition in found]
    for field, patterns in (("include", problem.include), ("exclude", problem.exclude)):
        for pattern in patterns:
            if not any(_fits(pattern, name) for name in names):
                raise DeclarationError(
                    f"{field}: no candidate feature fits {pattern!r}",
                    where=problem.name,
                    fix="a pattern is held against a whole name, as in '*.MEAN(*)'",
                )
    return [
        definition
        for definition in found
        if (not problem.include or any(_fits(pattern, definition.name) for pattern in problem.include))
        and not any(_fits(pattern, definition.name) for pattern in problem.exclude)
    ]


def _fits(pattern: str, name: str) -> bool:
    """* is any text, ? any letter; brackets are brackets, for names have them."""
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(text, name) is not None
