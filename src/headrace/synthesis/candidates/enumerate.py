"""Enumerate the candidate features of a problem: depth one down each relationship, transforms, then deeper.

Which candidates there are, and how many, is decided here:

* An *outcome* (a column seen after its own row's cutoff, the label among them) and a column of another child table
  get a mean (or share, or count) over every lookback, and the costlier primitives over the middle and the longest one.
* A column that a row *gives* at its cutoff says little in aggregate: the longest lookback only, fewer primitives.
* `sum` is mean x count, so it is a candidate over the longest lookback only. `count` and `last_time` are candidates
  once per clock, because columns that become known together are counted together.
* The share of true labels is also a candidate over all history.
* What a problem names (`primitives`, `seed_features`) comes from `requested`.
* Deeper features (`depth`, `where`, `groupby` of the problem) come from `stacked`, from `through` where an entity's
  last row leads to another entity, and from `across` where they go up and down again. They follow all flat ones.
* Candidates are ranked by what usually helps (`_RANKS`), and cut at the problem's `max_candidates`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from headrace.schema import Entity, Problem, Table
from headrace.synthesis.candidates.across import Across, across_definitions
from headrace.synthesis.candidates.filters import check_names, matching, unmatched_patterns
from headrace.synthesis.candidates.interesting import with_interesting_values
from headrace.synthesis.candidates.past_labels import past_label_definitions
from headrace.synthesis.candidates.requested import requested_definitions
from headrace.synthesis.candidates.spans import every_span, longest_span, middle_and_longest_span
from headrace.synthesis.candidates.stacked import stacked_definitions
from headrace.synthesis.candidates.through import is_through, through_definitions
from headrace.synthesis.candidates.transforms import row_transforms, stored_transforms
from headrace.synthesis.language.columns import (
    FEATURE_KINDS,
    Kinds,
    aggregated_columns,
    aggregated_tables,
    check_label_name,
    clock_of,
    column_kinds,
    known_at_cutoff,
)
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Kind, RowColumn, Transform
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.inputs import depth, relative

_BY_KIND: dict[str, tuple[str, ...]] = {
    "row": (),
    "numeric": ("mean", "std", "max", "min", "skew", "sum", "last"),
    "boolean": ("percent_true", "last"),
    "categorical": ("num_unique", "mode", "last"),
}
_GIVEN: dict[str, tuple[str, ...]] = {
    "row": (),
    "numeric": ("mean",),
    "boolean": ("percent_true",),
    "categorical": ("num_unique", "mode"),
}
_EVERY_LOOKBACK = ("mean", "percent_true", "count")
_RANKS = {"std": 1, "max": 1, "min": 2, "num_unique": 2, "mode": 2, "log": 2, "square_root": 2, "skew": 3, "sum": 3}


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The candidates of a problem.

    Attributes:
        definitions: the candidates, best ranks first.
        cut: how many more there are beyond `max_candidates`.
        warnings: for people.
    """

    definitions: tuple[Definition, ...]
    cut: int
    warnings: tuple[str, ...]


def enumerate_definitions(
    problem: Problem, schemas: Mapping[str, pa.Schema], tables: Tables | None = None
) -> tuple[Definition, ...]:
    """All candidate definitions of a problem, best ranks first, at most `max_candidates`, each once.

    Args:
        problem: declares the tables and the options.
        schemas: the Arrow schema of every table.
        tables: their rows, from which interesting values and the cost of going up and down again are computed; None:
            neither are candidates.

    Raises:
        DeclarationError: a column has the name of the derived label, the declaration names something unknown or
            unfit, or `include` and `exclude` leave nothing.
    """
    return enumerate_candidates(problem, schemas, tables).definitions


def enumerate_candidates(
    problem: Problem, schemas: Mapping[str, pa.Schema], tables: Tables | None = None
) -> Candidates:
    """The same as `enumerate_definitions`, with the number beyond the cap, and warnings."""
    candidates = _candidates(problem, schemas, tables)
    every = _first_of_each_slug(sorted(matching(problem, candidates), key=_rank))
    return Candidates(
        definitions=tuple(every[: problem.max_candidates]),
        cut=max(0, len(every) - problem.max_candidates),
        warnings=(*unmatched_patterns(problem, candidates), *_alike(schemas)),
    )


def _alike(schemas: Mapping[str, pa.Schema]) -> tuple[str, ...]:
    """A warning for columns of a table whose features would share a name in the model."""
    warnings = []
    for table, schema in schemas.items():
        by_slug: dict[str, list[str]] = {}
        for name in schema.names:
            by_slug.setdefault(RowColumn(column=name, kind="numeric").slug, []).append(name)
        for first, *others in by_slug.values():
            if others:
                alike = ", ".join(repr(name) for name in others)
                warnings.append(
                    f"{table}: {alike} has no features of its own: it differs from {first!r} by case or signs only"
                )
    return tuple(warnings)


def _candidates(problem: Problem, schemas: Mapping[str, pa.Schema], tables: Tables | None) -> list[Definition]:
    """All candidates, each once, before the problem's patterns are applied."""
    if problem.spine.table in schemas:
        check_label_name(problem, schemas[problem.spine.table])
    kinds = column_kinds(problem, schemas)
    check_names(problem, kinds)
    if tables is not None:
        problem = with_interesting_values(problem, kinds, tables)
    rows = tuple(_row_columns(problem, kinds))
    direct = tuple(_direct(problem, kinds))
    times = _direct_times(problem, kinds)
    aggregates = tuple(
        item
        for entity in problem.all_entities
        for table, keys in aggregated_tables(problem, entity)
        for item in _over_table(problem, entity, table, keys, kinds)
    )
    candidates: list[Definition] = [
        *(item for item in rows if item.kind != "time"),
        *direct,
        *row_transforms(rows),
        *stored_transforms(problem, (*direct, *times), (*aggregates, *_last_times(problem, kinds))),
        *(item for item in aggregates if item.kind != "time"),
        *past_label_definitions(problem, kinds),
        *requested_definitions(problem, kinds),
        *through_definitions(problem, kinds),
        *stacked_definitions(problem, kinds),
        *(item.definition for item in _across(problem, kinds, tables) if item.is_candidate),
    ]
    return list(dict.fromkeys(candidates))


def _across(problem: Problem, kinds: Kinds, tables: Tables | None) -> tuple[Across, ...]:
    return () if tables is None else across_definitions(problem, kinds, tables)


def _rank(definition: Definition) -> tuple[int, int]:
    """Flat definitions before stacked ones, the less deep first; then what usually helps.

    What an entity's last row leads to ranks among the flat ones, after their means and spreads.
    """
    if is_through(definition):
        return (0, 1)
    stacked = isinstance(definition, Direct | Aggregate) and bool(relative(definition))
    primitive = definition.primitive if isinstance(definition, Aggregate | Transform) else ""
    return (depth(definition) if stacked else 0, _RANKS.get(primitive, 0))


def _first_of_each_slug(definitions: list[Definition]) -> list[Definition]:
    """Two names can have one slug (`a.B` and `a_b`): the first definition stays."""
    return list({definition.slug: definition for definition in reversed(definitions)}.values())[::-1]


def _row_columns(problem: Problem, kinds: Kinds) -> Iterator[RowColumn]:
    for (table, column), kind in kinds.items():
        if table == problem.spine.table and known_at_cutoff(problem, column):
            if kind in FEATURE_KINDS:
                yield RowColumn(column=column, kind=FEATURE_KINDS[kind])
            elif kind == "time":
                yield RowColumn(column=column, kind="time")


def _direct(problem: Problem, kinds: Kinds) -> Iterator[Direct]:
    for entity in problem.all_entities:
        if entity.parent is None:
            continue
        for (table, column), kind in kinds.items():
            if table == entity.parent[0] and kind in FEATURE_KINDS and column != entity.parent[1]:
                yield Direct(entity=entity.name, table=table, column=column, kind=FEATURE_KINDS[kind])


def _direct_times(problem: Problem, kinds: Kinds) -> Iterator[Direct]:
    """Instants in an entity's own row, as the anchors of the time since them."""
    for entity in problem.all_entities:
        if entity.parent is not None:
            for (table, column), kind in kinds.items():
                if table == entity.parent[0] and kind == "time":
                    yield Direct(entity=entity.name, table=table, column=column, kind="time")


def _last_times(problem: Problem, kinds: Kinds) -> Iterator[Aggregate]:
    """The last instant in each column that tells neither when a row happened nor when it is known."""
    for entity in problem.all_entities:
        for table, keys in aggregated_tables(problem, entity):
            if table in (problem.spine_table, *(item.table for item in problem.entity_set.derived)):
                continue
            for column in [name for (where, name), kind in kinds.items() if where == table.name and kind == "time"]:
                if column not in table.time_columns:
                    yield Aggregate(
                        entity=entity.name,
                        table=table.name,
                        keys=keys,
                        column=column,
                        primitive="last",
                        lookback_us=None,
                        kind="time",
                    )


def _over_table(
    problem: Problem, entity: Entity, table: Table, keys: tuple[str, ...], kinds: Kinds
) -> Iterator[Aggregate]:
    """Aggregates of one entity over one table."""

    def aggregate(column: str, primitive: str, lookback_us: int | None, kind: Kind) -> Aggregate:
        return Aggregate(
            entity=entity.name,
            table=table.name,
            keys=keys,
            column=column,
            primitive=primitive,
            lookback_us=lookback_us,
            kind=kind,
        )

    has_time = table.row_known is not None and bool(problem.lookbacks)
    clocks: set[tuple[str, ...]] = set()
    columns: list[tuple[str, str]] = [("", "row"), *aggregated_columns(problem, table, keys, kinds)]
    for column, kind in columns:
        given = table == problem.spine_table and all(known_at_cutoff(problem, name) for name in (*keys, column) if name)
        clock = clock_of(problem, table, (*keys, *((column,) if column else ())))
        primitives = list((_GIVEN if given else _BY_KIND)[kind])
        if clock not in clocks:
            clocks.add(clock)
            primitives += ["count"] if given or not has_time else ["count", "last_time"]
        for primitive in primitives:
            result: Kind = FEATURE_KINDS[kind] if primitive in ("mode", "last") else "numeric"
            for lookback_us in _spans(problem, table, primitive, given):
                yield aggregate(column, primitive, lookback_us, "time" if primitive == "last_time" else result)


def _spans(problem: Problem, table: Table, primitive: str, given: bool) -> tuple[int | None, ...]:
    """The lookbacks over which a primitive is a candidate; None is all history."""
    if primitive in ("last", "last_time"):
        return (None,)
    if given or primitive == "sum":
        return (longest_span(problem, table),)
    if primitive not in _EVERY_LOOKBACK:
        return middle_and_longest_span(problem, table)
    spans = every_span(problem, table)
    return tuple(dict.fromkeys((*spans, None))) if primitive == "percent_true" else spans
