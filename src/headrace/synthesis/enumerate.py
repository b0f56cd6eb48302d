"""Every definition worth computing, read off the schema: depth one down each relationship, then transforms.

What is offered, and how many, is decided here and nowhere else:

* An *outcome* (a column seen after its own row's cutoff, the label among them) and a column of another child table
  get a mean (or share, or count) over every lookback, and the costlier primitives over the middle and the longest one.
* A column that a row *gives* at its cutoff says little in aggregate: the longest lookback only, fewer primitives.
* `sum` is mean x count, so it is offered over the longest lookback only. `count` and `last_time` are offered once per
  clock, for columns that are seen together are counted together.
* The share of true labels is also offered over all history.
* Candidates are ranked by what usually pays (`_TIERS`), and cut at CANDIDATE_LIMIT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from headrace.schema import Entity, Problem, Table
from headrace.synthesis.columns import check_label_name, clock_of, column_kinds, known_at_cutoff, label_column
from headrace.synthesis.combine import row_transforms, stored_transforms
from headrace.synthesis.definitions import Aggregate, Definition, Direct, Kind, RowColumn

#: How many candidates at most; the last tiers go first.
CANDIDATE_LIMIT = 1000

_FEATURE_KINDS: dict[str, Kind] = {"numeric": "numeric", "categorical": "categorical", "boolean": "boolean"}
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
_TIERS = {"std": 1, "max": 1, "min": 2, "num_unique": 2, "mode": 2, "log": 2, "square_root": 2, "skew": 3, "sum": 3}

Kinds = Mapping[tuple[str, str], str]


def enumerate_definitions(problem: Problem, schemas: Mapping[str, pa.Schema]) -> tuple[Definition, ...]:
    """All candidate definitions of a problem, best tiers first, at most CANDIDATE_LIMIT, each once.

    schemas: the Arrow schema of every table. Raises DeclarationError where a column's name collides with the
    derived label's.
    """
    if problem.spine.table in schemas:
        check_label_name(problem, schemas[problem.spine.table])
    kinds = column_kinds(problem, schemas)
    rows = tuple(_row_columns(problem, kinds))
    direct = tuple(_direct(problem, kinds))
    aggregates = tuple(item for entity in problem.all_entities for item in _aggregates(problem, entity, kinds))
    candidates: list[Definition] = [
        *(item for item in rows if item.kind != "time"),
        *direct,
        *row_transforms(rows),
        *stored_transforms(problem, direct, aggregates),
        *(item for item in aggregates if item.kind != "time"),
    ]
    ranked = sorted(dict.fromkeys(candidates), key=_tier)
    return tuple(_first_of_each_slug(ranked)[:CANDIDATE_LIMIT])


def _tier(definition: Definition) -> int:
    return 0 if isinstance(definition, RowColumn | Direct) else _TIERS.get(definition.primitive, 0)


def _first_of_each_slug(definitions: list[Definition]) -> list[Definition]:
    """Two names can fold into one slug (`a.B` and `a_b`): the first keeps it."""
    return list({definition.slug: definition for definition in reversed(definitions)}.values())[::-1]


def _row_columns(problem: Problem, kinds: Kinds) -> Iterator[RowColumn]:
    for (table, column), kind in kinds.items():
        if table == problem.spine.table and known_at_cutoff(problem, column):
            if kind in _FEATURE_KINDS:
                yield RowColumn(column=column, kind=_FEATURE_KINDS[kind])
            elif kind == "time":
                yield RowColumn(column=column, kind="time")


def _direct(problem: Problem, kinds: Kinds) -> Iterator[Direct]:
    for entity in problem.all_entities:
        if entity.parent is None:
            continue
        for (table, column), kind in kinds.items():
            if table == entity.parent[0] and kind in _FEATURE_KINDS and column != entity.parent[1]:
                yield Direct(entity=entity.name, table=table, column=column, kind=_FEATURE_KINDS[kind])


def _aggregates(problem: Problem, entity: Entity, kinds: Kinds) -> Iterator[Aggregate]:
    """Aggregates over the spine's own table, then over every other child table of the entity's parent."""
    if problem.carrier == problem.spine.table:  # a schedule's rows are not kept
        yield from _over_table(problem, entity, problem.spine_table, entity.join_keys, kinds)
    if entity.parent is not None:
        for relationship in problem.entity_set.children(entity.parent[0]):
            if relationship.child_table != problem.spine.table:
                child = problem.entity_set.table(relationship.child_table)
                yield from _over_table(problem, entity, child, (relationship.child_column,), kinds)


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

    lookbacks = problem.lookbacks_us if table.row_known is not None else ()
    clocks: set[tuple[str, ...]] = set()
    for column in ("", *_columns(problem, table, keys, kinds)):
        kind = "row" if not column else "boolean" if column == label_column(problem) else kinds[table.name, column]
        given = table == problem.spine_table and all(known_at_cutoff(problem, name) for name in (*keys, column) if name)
        clock = clock_of(problem, table, (*keys, *((column,) if column else ())))
        primitives = list((_GIVEN if given else _BY_KIND)[kind])
        if clock not in clocks:
            clocks.add(clock)
            primitives += ["count"] if given or not lookbacks else ["count", "last_time"]
        for primitive in primitives:
            result: Kind = _FEATURE_KINDS[kind] if primitive in ("mode", "last") else "numeric"
            for lookback_us in _spans(primitive, given, lookbacks):
                yield aggregate(column, primitive, lookback_us, "time" if primitive == "last_time" else result)


def _spans(primitive: str, given: bool, lookbacks: tuple[int, ...]) -> tuple[int | None, ...]:
    """The lookbacks that a primitive is offered over; None is all history."""
    if not lookbacks or primitive in ("last", "last_time"):
        return (None,)
    if given or primitive == "sum":
        return (max(lookbacks),)
    if primitive not in _EVERY_LOOKBACK:
        ordered = sorted(lookbacks)
        return tuple(dict.fromkeys((ordered[len(ordered) // 2], ordered[-1])))
    return (*lookbacks, None) if primitive == "percent_true" else lookbacks


def _columns(problem: Problem, table: Table, keys: tuple[str, ...], kinds: Kinds) -> Iterator[str]:
    """Columns that can be aggregated: not the keys themselves; the derived label last."""
    for (name, column), kind in kinds.items():
        if name == table.name and kind in _FEATURE_KINDS and column not in keys:
            yield column
    derived = label_column(problem)
    if table == problem.spine_table and derived is not None:
        yield derived
