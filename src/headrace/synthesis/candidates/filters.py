"""What a declaration says of the features it wants: the names in it are checked, the patterns applied."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from headrace.core.errors import DeclarationError
from headrace.schema import Problem
from headrace.synthesis.candidates.requested import check_primitives, seeds
from headrace.synthesis.language.columns import FEATURE_KINDS, Kinds
from headrace.synthesis.language.definitions import Definition


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


def wanted(problem: Problem, definitions: Sequence[Definition]) -> list[Definition]:
    """Those whose names fit `include` (if there is one) and not `exclude`. DeclarationError where none does."""
    found = [
        definition
        for definition in definitions
        if (not problem.include or any(_fits(pattern, definition.name) for pattern in problem.include))
        and not any(_fits(pattern, definition.name) for pattern in problem.exclude)
    ]
    if not found and (problem.include or problem.exclude):
        raise DeclarationError(
            "include and exclude leave no candidate feature",
            where=problem.name,
            found=unmatched_patterns(problem, definitions) or (*problem.include, *problem.exclude),
            fix="a pattern is held against a whole name, as in '*.MEAN(*)'",
        )
    return found


def unmatched_patterns(problem: Problem, definitions: Sequence[Definition]) -> tuple[str, ...]:
    """A warning for each pattern of `include` and `exclude` that fits no candidate, with the names nearest to it."""
    names = [definition.name for definition in definitions]
    return tuple(
        _idle(field, pattern, names)
        for field, patterns in (("include", problem.include), ("exclude", problem.exclude))
        for pattern in patterns
        if not any(_fits(pattern, name) for name in names)
    )


def _idle(field: str, pattern: str, names: list[str]) -> str:
    """Near is by the whole name, or else by what stands between the signs of the pattern."""
    near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.6)
    words = [word.lower() for word in re.findall(r"\w+", pattern)]
    near = near or sorted(names, key=lambda name: -_likeness(words, name))[:3]
    return f"{field}: no candidate feature fits {pattern!r}. near it: {', '.join(near)}"


def _likeness(words: list[str], name: str) -> float:
    parts = [part.lower() for part in re.findall(r"\w+", name)]
    return sum(max((difflib.SequenceMatcher(None, word, part).ratio() for part in parts), default=0) for word in words)


def _fits(pattern: str, name: str) -> bool:
    """* is any text, ? any letter; brackets are brackets, for names have them."""
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(text, name) is not None
