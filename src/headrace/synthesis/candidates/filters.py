"""Check the names in a declaration, and apply its patterns `include` and `exclude` to the candidates."""

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
    """Raise DeclarationError where a field names an unknown column or primitive, or one of a wrong kind."""
    check_primitives(problem)
    seeds(problem, kinds)
    named = {} if isinstance(problem.where, str) else problem.where
    through = () if isinstance(problem.through, str) else problem.through
    fields = (("ignore", problem.ignore), ("where", named), ("groupby", problem.groupby), ("through", through))
    for field, names in fields:
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


def matching(problem: Problem, definitions: Sequence[Definition]) -> list[Definition]:
    """The definitions whose names match `include` (if it is given) and not `exclude`.

    Raises:
        DeclarationError: none does.
    """
    matches = [
        definition
        for definition in definitions
        if (not problem.include or any(_matches(pattern, definition.name) for pattern in problem.include))
        and not any(_matches(pattern, definition.name) for pattern in problem.exclude)
    ]
    if not matches and (problem.include or problem.exclude):
        raise DeclarationError(
            "include and exclude leave no candidate feature",
            where=problem.name,
            found=unmatched_patterns(problem, definitions) or (*problem.include, *problem.exclude),
            fix="a pattern is held against a whole name, as in '*.MEAN(*)'",
        )
    return matches


def unmatched_patterns(problem: Problem, definitions: Sequence[Definition]) -> tuple[str, ...]:
    """A warning for each pattern of `include` and `exclude` that matches no candidate, with the closest names."""
    names = [definition.name for definition in definitions]
    return tuple(
        _unmatched(field, pattern, names)
        for field, patterns in (("include", problem.include), ("exclude", problem.exclude))
        for pattern in patterns
        if not any(_matches(pattern, name) for name in names)
    )


def _unmatched(field: str, pattern: str, names: list[str]) -> str:
    """Closest by the whole name, or else by the words of the pattern."""
    closest = difflib.get_close_matches(pattern, names, n=3, cutoff=0.6)
    words = [word.lower() for word in re.findall(r"\w+", pattern)]
    closest = closest or sorted(names, key=lambda name: -_likeness(words, name))[:3]
    return f"{field}: no candidate feature fits {pattern!r}. near it: {', '.join(closest)}"


def _likeness(words: list[str], name: str) -> float:
    parts = [part.lower() for part in re.findall(r"\w+", name)]
    return sum(max((difflib.SequenceMatcher(None, word, part).ratio() for part in parts), default=0) for word in words)


def _matches(pattern: str, name: str) -> bool:
    """Whether a name matches a pattern: * is any text, ? any letter; brackets are literal, because names have them."""
    text = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(text, name) is not None
