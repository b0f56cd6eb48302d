"""Compute a feature matrix from data frames by Deep Feature Synthesis, point-in-time correct, without a pipeline."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from headrace.core.clock import NEVER, parse_duration
from headrace.core.errors import DataError, DeclarationError
from headrace.core.extensions import hand_over
from headrace.library.cutoffs import spine_of
from headrace.library.tables import FrameTables, Link, declare_tables, with_frames
from headrace.proposal.propose import propose_lookbacks
from headrace.schema import EachRow, Entity, EntitySet, GivenRows, Problem
from headrace.synthesis.candidates.enumerate import enumerate_candidates
from headrace.synthesis.candidates.requested import check_primitives
from headrace.synthesis.engines import default_engine
from headrace.synthesis.history.joins import check_joins
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.values import instants
from headrace.synthesis.matrix.matrix import feature_matrix

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Features(NamedTuple):
    """The result of `synthesize`.

    Attributes:
        matrix: One row per cutoff, indexed by the target's key and `cutoff`; one column per definition, named by its
            `slug`: float64, or category for texts. A missing value is NaN.
        definitions: The features in the order of the columns; `name` says what each one means.
    """

    matrix: pd.DataFrame
    definitions: tuple[Definition, ...]


def synthesize(
    frames: Mapping[str, Any] | EntitySet,
    target: str,
    *,
    keys: Mapping[str, str | Sequence[str]] | None = None,
    relationships: Iterable[Link] = (),
    times: Mapping[str, str] | None = None,
    known_at: Mapping[str, str] | None = None,
    tz: str | None = None,
    cutoffs: Any = None,
    definitions: Sequence[Definition] | None = None,
    lookbacks: Sequence[str] | None = None,
    depth: int = 1,
    primitives: Sequence[Any] = (),
    where: Mapping[str, Any] | Literal["auto"] | None = None,
    groupby: Sequence[str] = (),
    through: Sequence[str] | Literal["auto"] = "auto",
    seed_features: Sequence[str] = (),
    entities: Mapping[str, Sequence[str]] | None = None,
    ignore: Sequence[str] = (),
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    max_candidates: int = 1000,
    tick: str | None = None,
    threads: int = 2,
) -> Features:
    """Compute features of the rows of a table from all tables that are related to it.

    A feature at a cutoff uses only values that were known before it. The engine and the definitions are the
    pipeline's, so a model that was trained on the matrix can be served by it.

    Args:
        frames: Table -> data frame (pandas, polars or Arrow); or an `EntitySet` whose tables have data frames, files or
            databases as sources, which replaces the next five arguments.
        target: The table whose rows get features.
        keys: Table -> the column or columns that identify a row.
        relationships: From a parent's key to a child's column: "customers.customer_id -> orders.customer_id".
        times: Table -> the column of its event time. Rows of other tables have always been known. A time expression
            ("placed + 1h") says that rows are known later than they happened.
        known_at: "table.column" -> the time expression at which that column is known, if later than its row.
        tz: Zone of times without one, as in "Europe/Zurich". None: UTC, where no time has a zone.
        cutoffs: A data frame with the target's key and a column of times (`cutoff`, or the first one): features of
            that key at that time. A datetime: of every row of the target at that time. A time expression of the
            target's columns ("placed - 2h"): of every row at a time of its own. None: at the row's known time, or at
            the end of the data where the target has no time.
        definitions: Compute these, such as those of an earlier result, instead of enumerating candidates.
        lookbacks: Lengths of history that aggregations use. None: up to three, from the time between rows and the
            length of the history.
        depth: How many levels a feature may stack, 1 to 3.
        primitives: Primitives besides the usual ones, by name or as objects.
        where: "table.column" -> values that aggregations are restricted to, or "auto" for frequent ones.
        groupby: "table.column"s by which rows get running values; from depth 2.
        through: "table.column"s whose last value leads to a further entity; "auto": the keys, from depth 2.
        seed_features: Transforms that are treated as columns: "orders.RATIO(paid, amount)".
        entities: Name -> columns of the target that are a key together; where rows have cutoffs of their own.
        ignore: "table.column"s that are never features.
        include: Patterns of feature names (* and ?): only these.
        exclude: Patterns of feature names: none of these.
        max_candidates: Largest number of features.
        tick: Refresh interval of production: features have their values of its last multiple before the cutoff. None:
            at the cutoff itself.
        threads: Number of threads.

    Returns:
        The feature matrix and its definitions.

    Raises:
        DeclarationError: A table, column, key or option does not exist or does not fit.
        DataError: Rows do not fit the declaration: a time without a zone, a key twice, no row that finds its parent.

    Source: Deep Feature Synthesis (Kanter and Veeramachaneni, 2015).
    """
    entity_set = _entity_set(frames, keys or {}, relationships, times or {}, known_at or {}, tz)
    spine = _spine(entity_set, target, cutoffs)
    problem = Problem(
        name="features",
        entity_set=entity_set,
        spine=spine,
        label=None,
        lookbacks=tuple(lookbacks or ("1d",)),
        depth=depth,
        primitives=tuple(primitives),
        where=where or {},
        groupby=tuple(groupby),
        through="auto" if through == "auto" else tuple(through),
        seed_features=tuple(seed_features),
        entities=_entities(entities or {}, spine),
        ignore=tuple(ignore),
        include=tuple(include),
        exclude=tuple(exclude),
        max_candidates=max_candidates,
    )
    return _computed(problem, cutoffs, definitions=definitions, propose=lookbacks is None, tick=tick, threads=threads)


def _entity_set(
    frames: Mapping[str, Any] | EntitySet,
    keys: Mapping[str, str | Sequence[str]],
    relationships: Iterable[Link],
    times: Mapping[str, str],
    known_at: Mapping[str, str],
    tz: str | None,
) -> EntitySet:
    if not isinstance(frames, EntitySet):
        return declare_tables(frames, keys=keys, relationships=relationships, times=times, known_at=known_at, tz=tz)
    if keys or times or known_at or relationships or tz:
        raise DeclarationError(
            "an EntitySet declares keys, times and relationships itself", where="synthesize", fix="leave them out"
        )
    return with_frames(frames)


def _spine(entity_set: EntitySet, target: str, cutoffs: Any) -> EachRow | GivenRows:
    table = entity_set.table(target)
    if isinstance(cutoffs, str) and _is_instant(cutoffs):
        raise DeclarationError(
            "one instant for all rows is given as a datetime, not as a text",
            where="cutoffs",
            found=[cutoffs],
            fix=f"write cutoffs=datetime.fromisoformat({cutoffs!r}); a text is a time expression, as in 'placed - 2h'",
        )
    if isinstance(cutoffs, str) or (cutoffs is None and table.row_known is not None):
        return EachRow(table=target, cutoff=cutoffs or str(table.row_known))
    if len(table.keys) != 1:
        raise DeclarationError(
            "cutoffs for a table whose key has several columns",
            where=target,
            found=table.keys,
            fix='give a cutoff as a time expression of its columns ("placed"), or a key of one column',
        )
    return GivenRows(entity=target)


def _is_instant(text: str) -> bool:
    try:
        datetime.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _entities(declared: Mapping[str, Sequence[str]], spine: EachRow | GivenRows) -> tuple[Entity, ...]:
    if declared and isinstance(spine, GivenRows):
        raise DeclarationError(
            "entities where the key and the cutoff are given",
            where="entities",
            found=declared,
            fix="leave them out: a row has no columns but its key then",
        )
    return tuple(Entity(name=name, join_keys=tuple(columns)) for name, columns in declared.items())


def _computed(
    problem: Problem,
    cutoffs: Any,
    *,
    definitions: Sequence[Definition] | None,
    propose: bool,
    tick: str | None,
    threads: int,
) -> Features:
    hand_over(problem.extensions)
    check_primitives(problem)
    tables = FrameTables(problem)
    if propose:
        problem = replace(problem, lookbacks=_proposed_lookbacks(tables))
        tables = replace(tables, problem=problem)
    notes = _require_joins(problem, tables)
    spine = spine_of(problem, tables, cutoffs, parse_duration(tick) if tick is not None else 1)
    if definitions is None:
        offered = enumerate_candidates(problem, tables.schemas, tables)
        definitions, notes = offered.definitions, [*notes, *offered.warnings]
    for note in notes:
        warnings.warn(note, stacklevel=3)
    values = feature_matrix(problem, definitions, spine, tables, default_engine(threads=threads))
    return Features(matrix=_as_frame(problem, spine, values), definitions=tuple(definitions))


def _require_joins(problem: Problem, tables: FrameTables) -> list[str]:
    """Return remarks about rows without a parent; DataError where no row of a table finds its parent."""
    joins = check_joins(problem, tables)
    for join in joins:
        if join.is_fault:
            item = join.relationship
            raise DataError(join.message, where=f"{item.parent} -> {item.child}")
    return [join.message for join in joins if join.message]


def _proposed_lookbacks(tables: FrameTables) -> tuple[str, ...]:
    """Lookbacks for the table with the most event times."""
    timed = [table for table in tables.problem.entity_set.tables if table.time is not None]
    moments = [np.unique(instants(tables.table(table.name)[str(table.time)])) for table in timed]
    longest = max((known[known < NEVER] for known in moments), key=len, default=np.empty(0, dtype=np.int64))
    if len(longest) < 2:
        return propose_lookbacks(None, 0)
    return propose_lookbacks(int(np.median(np.diff(longest))), int(longest[-1] - longest[0]))


def _as_frame(problem: Problem, spine: pa.Table, values: pa.Table) -> pd.DataFrame:
    import pandas as pd

    keys = list(problem.spine_table.keys if isinstance(problem.spine, EachRow) else problem.join_keys)
    index = spine.select(keys).to_pandas()
    index["cutoff"] = pd.to_datetime(spine["cutoff"].to_numpy(), unit="us", utc=True)
    frame: pd.DataFrame = values.to_pandas(strings_to_categorical=True)
    return frame.set_index(pd.MultiIndex.from_frame(index))
